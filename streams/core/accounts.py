"""
Account names and scopes in their one canonical form.

The canonical name is what Kafka partitions by, so every door, tool and worker must come to the same one. Domains take
their ASCII form by IDNA 2008 (RFC 5891) after the mapping of UTS 46 (non-transitional); local parts are compared
without case, as mail servers do in practice.
"""

import unicodedata
from functools import lru_cache

import idna

from streams.core.refusal import Refused

LONGEST_NAME = 320
LONGEST_GROUP = 200
EVERYONE = "everyone"
SCOPE_KINDS = ("group", "domain", "account")


def canonical_account(name: str, default_domain: str = "") -> str:
    """
    The canonical account of a login name: trimmed, lower case, `local@domain`.

    >>> canonical_account(" User@Bücher.Example. ")
    'user@xn--bcher-kva.example'

    Raises Refused: no local part, no domain and no default, a domain that cannot be encoded, control characters.
    """
    text = name.strip()
    if not text or len(text) > LONGEST_NAME:
        raise Refused("bad-account", f"{_shown(name)} is no account name (empty, or over {LONGEST_NAME} characters)")
    local, at, domain = text.rpartition("@")
    if not at:
        local, domain = text, default_domain
        if not domain:
            raise Refused(
                "bad-account", f"account {_shown(name)} has no domain, and the setting default_domain is empty"
            )
    local = _fold(local.strip())
    if not local or not _printable(local):
        raise Refused("bad-account", f"account {_shown(name)} has an empty local part, or one with control characters")
    try:
        return f"{local}@{canonical_domain(domain)}"
    except Refused as refused:
        raise Refused(refused.reason, f"account {_shown(name)}: {refused}") from refused


@lru_cache(maxsize=10_000)
def canonical_domain(domain: str) -> str:
    """
    The ASCII form of a domain, lower case, one trailing dot dropped. Raises Refused if it has none.

    >>> canonical_domain("EXAMPLE.org.")
    'example.org'
    """
    text = domain.strip()
    try:
        if not text or len(text) > LONGEST_NAME:
            raise idna.IDNAError("empty or too long")
        encoded = idna.encode(text, uts46=True, transitional=False).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError) as error:
        raise Refused("bad-domain", f"{_shown(domain)} is not a domain name: {_shown(str(error))}") from error
    return encoded.removesuffix(".")  # only now: other characters are dots too (UTS 46), and a second one is refused


def canonical_group(path: str) -> str:
    """A group's path, for instance `reseller-a/customer-7`. Case counts. Raises Refused."""
    text = path.strip()
    parts = text.split("/")
    if len(text) > LONGEST_GROUP or not _printable(text) or any(not part or part != part.strip() for part in parts):
        raise Refused("bad-group", f"{_shown(path)} is not a group: write levels with single slashes, for instance a/b")
    return text


def parse_scope(text: str, default_domain: str = "") -> str:
    """
    The canonical form of a scope: `everyone`, `group:a/b`, `domain:example.org` or `account:user@example.org`.

    Raises Refused with what is wrong.
    """
    kind, colon, name = text.strip().partition(":")
    kind = kind.lower()
    if kind == EVERYONE and not colon:
        return EVERYONE
    if kind == "group" and colon:
        return f"group:{canonical_group(name)}"
    if kind == "domain" and colon:
        return f"domain:{canonical_domain(name)}"
    if kind == "account" and colon:
        return f"account:{canonical_account(name, default_domain)}"
    raise Refused(
        "bad-scope",
        f"{_shown(text)} is no scope: use everyone, group:a/b, domain:example.org or account:user@example.org",
    )


def is_passed_on(account: str, key: bytes | None, *, in_place: bool = True, failed: bool = False) -> bool:
    """
    Whether a worker writes a record of a canonical account once more under the account's key, and uses only that copy.

    So it does with what came under another key, or is not `in_place`: not in the partition of its key. A failed login is
    only counted, wherever it came.

    >>> is_passed_on("user@example.org", b"User@Example.org"), is_passed_on("user@example.org", b"user@example.org")
    (True, False)
    """
    return not failed and (key != account.encode() or not in_place)


def domain_of(account: str) -> str:
    """The domain of a canonical account."""
    return account.rpartition("@")[2]


def _fold(text: str) -> str:
    """NFC, then lower case, then NFC again: lower case can leave a form that would fold differently next time."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())


def _printable(text: str) -> bool:
    """No control, surrogate or line-breaking characters, and none that turns the direction of what is shown."""
    return (text.isascii() and text.isprintable()) or not any(
        unicodedata.category(c) in _UNPRINTABLE or c in _TURNING for c in text
    )


_UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Bidirectional overrides and isolates (Unicode 9, UAX 9): with them a name looks like another one."""


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")
