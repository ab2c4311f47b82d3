"""The panel's own tables: people and what they sign in with. No topic has them, and no wipe of the read model touches them."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, Table

from streams.panel.store.tables import METADATA, TEXT


def _text(name: str, *, key: bool = False, null: bool = False, unique: bool = False) -> Column[str]:
    return Column(name, TEXT, primary_key=key, nullable=null, unique=unique or None)


def _time(name: str, *, null: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=null)


def _id() -> Column[int]:
    return Column("id", Integer, primary_key=True)


def _person(name: str = "person_id", *, null: bool = False, key: bool = False) -> Column[int]:
    return Column(
        name,
        Integer,
        ForeignKey("person.id", ondelete="CASCADE"),
        nullable=null,
        primary_key=key,
        autoincrement=False,
    )


PERSON = Table(
    "person",
    METADATA,
    _id(),
    _text("name", unique=True),  # what one signs in with, lower case: a mail address
    _text("display"),
    _text("role"),
    _text("password_hash", null=True),  # null = no password: invited, or signs in by OpenID
    _text("totp_secret", null=True),
    Column("totp_step", BigInteger, nullable=False),  # the last time step used, so that no code works twice
    _text("subject", null=True, unique=True),  # OpenID: issuer, a space, subject
    Column("disabled", Boolean, nullable=False),
    _text("locale"),  # empty = as the browser says
    _text("zone"),  # empty = UTC
    _time("created_ms"),
    _time("signed_in_ms", null=True),
    sqlite_autoincrement=True,  # the id of somebody who was deleted never means somebody else
)

PERSON_SCOPE = Table("person_scope", METADATA, _person(key=True), _text("scope", key=True))
"""`everything`, `group:a/b` or `domain:example.org`."""

INVITATION = Table(
    "invitation",
    METADATA,
    _id(),
    _text("token_hash", unique=True),
    _text("purpose"),  # invite, sign_in or reset
    _person(null=True),  # whom it signs in, or whose password it sets; null = it makes a person
    _text("name"),
    _text("role"),
    _text("scopes"),  # JSON list
    _text("actor"),
    _time("created_ms"),
    _time("expires_ms"),
    _time("used_ms", null=True),
    _person("maker_id", null=True),  # whose rights it needs, and with whom it goes; null = the command line made it
)
"""Links that work once. Only a hash is kept, so who reads the database cannot use them."""

SESSION = Table(
    "session",
    METADATA,
    _id(),
    _text("token_hash", unique=True),
    _person(),
    _text("stage"),  # empty = signed in; else what is still asked, for instance totp
    _text("said"),  # a message for the next page
    _text("address"),
    _text("agent"),
    _time("created_ms"),
    _time("seen_ms"),
    _time("proven_ms"),  # when the password, or the second factor, was last given
    _time("expires_ms"),
    Index(None, "person_id"),
    Index(None, "expires_ms"),
)

API_TOKEN = Table(
    "api_token",
    METADATA,
    _id(),
    _text("token_hash", unique=True),
    _text("name"),
    _person(),  # who made it; it goes with that person
    _text("role"),
    _text("scopes"),  # JSON list
    _time("created_ms"),
    _time("used_ms", null=True),
    _time("expires_ms", null=True),
    Index(None, "person_id"),
)

ATTEMPT = Table(
    "attempt",
    METADATA,
    _text("key", key=True),
    Column("failures", Integer, nullable=False),
    _time("since_ms"),
    _time("last_ms"),
    Index(None, "last_ms"),
)
"""Failed sign-ins by what is throttled (`name:…`, `address:…`, `known:…`); and without failures, who was `let in:…` from where."""
