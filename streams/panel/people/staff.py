"""
The people of the panel, as whoever manages them sees and changes them: one place for the pages and the API.

Decision: whoever manages people sees and changes only those whose scopes lie wholly within their own and whose role is not
above theirs, before and after the change; nobody changes their own role, and the last owner stays one. Every method demands
this itself, whatever its caller has checked.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection

from streams.panel.asking import Asking
from streams.panel.people import entry
from streams.panel.people.links import INVITE, RESET, make_link
from streams.panel.people.roles import is_last_owner
from streams.panel.people.scopes import MOST_SCOPES
from streams.panel.people.sign_in import RECOVERY
from streams.panel.problems import Forbidden, NotFound, Unusable
from streams.panel.rights import Right, Role, parse_person_scope
from streams.panel.store import audit, people, sign_in
from streams.panel.store.people import Person
from streams.panel.store.sign_in import Invitation
from streams.panel.store.visible import EVERYTHING_SCOPE

HOUR_MS = 3_600_000
LONGEST_NAME = 254


class Staff:
    """
    People, for one who asks.

    Raises NotFound for those who are not theirs to manage, Forbidden for what nobody may do, Unusable (with the field) for
    values that cannot be used.
    """

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._reader = asking.reader
        self._store = asking.panel.store
        self._words = asking.words
        if not self._reader.may(Right.MANAGE_PEOPLE):
            raise Forbidden(self._words.gettext("Your role does not allow this."))

    def everybody(self) -> list[Person]:
        """All who are theirs, by name."""
        with self._store.reading() as connection:
            return [person for person in people.everybody(connection) if self._is_theirs(person.role, person.scopes)]

    def invitations(self) -> list[Invitation]:
        """Invitations that still work, the newest first."""
        with self._store.reading() as connection:
            return self._invitations(connection)

    def person(self, number: int) -> Person:
        """One of them."""
        with self._store.reading() as connection:
            return self._person(connection, number)

    def invite(self, name: str, role: str, scopes: Sequence[str]) -> str:
        """The link with which somebody joins; it is shown once."""
        name = self._usable_name(name)
        scopes = self._usable_scopes(role, scopes)
        with self._store.writing() as connection:
            if people.by_name(connection, name) is not None:
                raise Unusable("name", self._words.gettext("Somebody signs in with this name already."))
            path = make_link(
                connection,
                INVITE,
                actor=self._reader.name,
                now_ms=self._asking.now_ms,
                lifetime_ms=self._lifetime_ms,
                name=name,
                role=role,
                scopes=scopes,
                maker_id=self._reader.person_id,
            )
            self._note(connection, "invited", name, scopes, role=role, scopes=list(scopes))
        return self._asking.panel.address + path

    def withdraw(self, number: int) -> None:
        """Take an invitation back."""
        with self._store.writing() as connection:
            chosen = next((item for item in self._invitations(connection) if item.id == number), None)
            if chosen is None:
                raise NotFound
            sign_in.remove_invitation(connection, chosen.id)
            self._note(connection, "invitation_withdrawn", chosen.name, chosen.scopes)

    def change(self, number: int, role: str, scopes: Sequence[str]) -> Person:
        """Another role, other scopes."""
        with self._changing(number) as (connection, person):
            scopes = self._usable_scopes(role, scopes)
            self._keep_an_owner(connection, person, role)
            people.change(connection, person.id, role=role)
            people.set_scopes(connection, person.id, scopes)
            detail = {
                "role": role,
                "scopes": list(scopes),
                "role_before": person.role,
                "scopes_before": list(person.scopes),
            }
            self._note(connection, "person_changed", person.name, scopes, **detail)
        return person

    def disable(self, number: int) -> Person:
        """Let somebody in no more; their sessions and tokens end at once."""
        with self._changing(number) as (connection, person):
            self._keep_an_owner(connection, person, "")
            people.change(connection, person.id, disabled=True)
            sign_in.end_sessions(connection, person.id)
            self._note(connection, "person_disabled", person.name, person.scopes)
        return person

    def enable(self, number: int) -> Person:
        """Let somebody in again."""
        with self._changing(number) as (connection, person):
            people.change(connection, person.id, disabled=False)
            self._note(connection, "person_enabled", person.name, person.scopes)
        return person

    def end_sessions(self, number: int) -> Person:
        """End all of somebody's sessions."""
        with self._changing(number) as (connection, person):
            sign_in.end_sessions(connection, person.id)
            self._note(connection, "sessions_ended", person.name, person.scopes)
        return person

    def reset_second_factor(self, number: int) -> Person:
        """For somebody who has lost the app and the recovery codes."""
        with self._changing(number) as (connection, person):
            drop_second_factor(connection, person.id)
            self._note(connection, "second_factor_reset", person.name, person.scopes)
        return person

    def new_password(self, number: int) -> tuple[Person, str]:
        """Whose, and the link with which they set a new password; links of before work no more."""
        with self._changing(number) as (connection, person):
            sign_in.remove_links(connection, person.id, purpose=RESET)
            path = make_link(
                connection,
                RESET,
                actor=self._reader.name,
                now_ms=self._asking.now_ms,
                lifetime_ms=self._lifetime_ms,
                person_id=person.id,
                maker_id=self._reader.person_id,
            )
            self._note(connection, "password_link_made", person.name, person.scopes)
        return person, self._asking.panel.address + path

    def remove(self, number: int) -> Person:
        """Delete somebody with their sessions and tokens; the audit keeps the name."""
        with self._changing(number) as (connection, person):
            self._keep_an_owner(connection, person, "")
            people.remove(connection, person.id)
            self._note(connection, "person_removed", person.name, person.scopes)
        return person

    @contextmanager
    def _changing(self, number: int) -> Iterator[tuple[Connection, Person]]:
        """A transaction about somebody else."""
        with self._store.writing() as connection:
            person = self._person(connection, number)
            if person.id == self._reader.person_id:
                raise Forbidden(
                    self._words.gettext("Nobody changes their own rights. Ask somebody else who manages people.")
                )
            yield connection, person

    @property
    def _lifetime_ms(self) -> int:
        return self._asking.panel.settings.panel_invitation_hours * HOUR_MS

    def _is_theirs(self, role: str, scopes: tuple[str, ...]) -> bool:
        """Whether somebody of this role and these scopes is the reader's to manage."""
        return self._reader.manages(Role(role), scopes, self._asking.panel.group_of)

    def _person(self, connection: Connection, number: int) -> Person:
        person = people.by_id(connection, number)
        if person is None or not self._is_theirs(person.role, person.scopes):
            raise NotFound
        return person

    def _invitations(self, connection: Connection) -> list[Invitation]:
        found = sign_in.invitations(connection, now_ms=self._asking.now_ms, purpose=INVITE)
        return [item for item in found if self._is_theirs(item.role, item.scopes)]

    def _keep_an_owner(self, connection: Connection, person: Person, role: str) -> None:
        if role != Role.OWNER and is_last_owner(connection, person.id):
            raise Forbidden(self._words.gettext("This is the last owner. Make somebody else an owner first."))

    def _usable_name(self, text: str) -> str:
        """The name to sign in with: a mail address, so that single sign-on can find its person."""
        name = text.strip().lower()
        local, at, domain = name.rpartition("@")
        odd = any(c.isspace() or not c.isprintable() or c in '<>,;"' for c in name)
        if not at or not local or "." not in domain or odd or len(name) > LONGEST_NAME:
            raise Unusable("name", self._words.gettext("Write a mail address."))
        return name

    def _usable_scopes(self, role: str, scopes: Sequence[str]) -> tuple[str, ...]:
        """The canonical scopes, if the reader may give them with this role. An owner's are everything. Raises Refused."""
        if role not in list(Role) or not self._reader.outranks(Role(role)):
            raise Unusable("role", self._words.gettext("Choose one of those offered."))
        found = {EVERYTHING_SCOPE} if role == Role.OWNER else {parse_person_scope(scope) for scope in scopes}
        if not found:
            raise Unusable("scopes", self._words.gettext("Name at least one group or domain."))
        if len(found) > MOST_SCOPES:
            raise Unusable("scopes", self._words.gettext("These are too many: at most %(most)s.", most=MOST_SCOPES))
        if not self._reader.covers_all(found, self._asking.panel.group_of):
            raise Unusable("scopes", self._words.gettext("You can give only scopes that lie within your own."))
        return tuple(sorted(found))

    def _note(
        self, connection: Connection, action: str, name: str, scopes: tuple[str, ...], /, **detail: object
    ) -> None:
        audit.note(
            connection,
            time_ms=self._asking.now_ms,
            actor=self._reader.name,
            action=action,
            subject=name,
            scope=entry.first_scope(scopes),
            address=self._asking.address,
            detail=detail,
        )


def drop_second_factor(connection: Connection, person_id: int) -> None:
    """Let somebody sign in without a second factor; sessions and recovery codes end."""
    people.change(connection, person_id, totp_secret=None)
    sign_in.remove_links(connection, person_id, purpose=RECOVERY)
    sign_in.end_sessions(connection, person_id)
