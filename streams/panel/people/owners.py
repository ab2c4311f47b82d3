"""
Owners from the command line: the first one, one who has lost the password or the second factor, and a link for the demo.

Decision: whoever may read the panel's settings and database may make owners; there is no default password, and none is
ever typed on a command line.
"""

import time

from streams.core.accounts import LONGEST_NAME
from streams.errors import NotFoundError, UsageError
from streams.panel.people.entry import first_scope
from streams.panel.people.links import INVITE, MINUTE_MS, RESET, SIGN_IN, make_link
from streams.panel.people.staff import drop_second_factor
from streams.panel.rights import Role
from streams.panel.security import own_address
from streams.panel.store import Store, audit, people
from streams.panel.store.visible import EVERYTHING_SCOPE
from streams.settings import Settings

HOUR_MS = 3_600_000
SIGN_IN_MS = 15 * MINUTE_MS


def create_owner(store: Store, settings: Settings, name: str, *, actor: str) -> str:
    """
    A link with which an owner of this name sets a password: a new owner, or one who is there and lost theirs.

    Raises UsageError for a name that cannot be one, or that is somebody's who is no owner.
    """
    canonical = name.strip().lower()
    if not canonical or len(canonical) > LONGEST_NAME or not canonical.isprintable() or " " in canonical:
        raise UsageError(f"{name[:80]!r} cannot be a sign-in name: take a mail address")
    now_ms = _now_ms()
    with store.writing() as connection:
        person = people.by_name(connection, canonical)
        if person is not None and person.role != Role.OWNER:
            raise UsageError(
                f"{canonical} is {person.role} in the panel: an owner can make them one on the page People"
            )
        path = make_link(
            connection,
            INVITE if person is None else RESET,
            actor=actor,
            now_ms=now_ms,
            lifetime_ms=settings.panel_invitation_hours * HOUR_MS,
            person_id=None if person is None else person.id,
            name=canonical,
            role=Role.OWNER.value,
            scopes=(EVERYTHING_SCOPE,),
        )
        if person is not None:
            people.change(connection, person.id, disabled=False)
        audit.note(connection, time_ms=now_ms, actor=actor, action="owner_made", subject=canonical)
    return _address(settings) + path


def sign_in_link(store: Store, settings: Settings, name: str | None, *, actor: str, make: bool = False) -> str:
    """
    A link that signs an owner in once, within 15 minutes: the named one, or the only one.

    `make` adds the owner where there is none (the demo). Raises NotFoundError, or UsageError where it is not clear who.
    """
    now_ms = _now_ms()
    with store.writing() as connection:
        owners = [item for item in people.everybody(connection) if item.role == Role.OWNER and not item.disabled]
        chosen = [item for item in owners if name is None or item.name == name.strip().lower()]
        if len(chosen) > 1:
            raise UsageError(f"there are several owners: name one of {', '.join(item.name for item in chosen)}")
        if chosen:
            person_id = chosen[0].id
        elif make:
            person_id = people.create(
                connection, name=name or "owner", role=Role.OWNER.value, scopes=(EVERYTHING_SCOPE,), now_ms=now_ms
            )
        else:
            raise NotFoundError(
                f"no owner {name or ''} in the panel: make one with `loginwatch panel create-owner NAME`"
            )
        path = make_link(connection, SIGN_IN, actor=actor, now_ms=now_ms, lifetime_ms=SIGN_IN_MS, person_id=person_id)
    return _address(settings) + path


def reset_second_factor(store: Store, name: str, *, actor: str) -> str:
    """
    Take somebody's second factor away: for an owner who has lost it, or after the loss of `panel_secret_keys`.

    The name as it is stored. Raises NotFoundError for a name that nobody has.
    """
    with store.writing() as connection:
        person = people.by_name(connection, name.strip().lower())
        if person is None:
            raise NotFoundError(f"nobody signs in to the panel as {name[:80]!r}")
        drop_second_factor(connection, person.id)
        scope = first_scope(person.scopes)
        audit.note(
            connection,
            time_ms=_now_ms(),
            actor=actor,
            action="second_factor_reset",
            subject=person.name,
            scope=scope,
        )
    return person.name


def _address(settings: Settings) -> str:
    return settings.panel_url.rstrip("/") or own_address(settings)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
