"""People of the panel: who is in it, invited, changed, and kept out."""

from typing import Annotated, Self

from fastapi import Path
from pydantic import BaseModel, Field

from streams.panel.api.answers import At, Listed, Rows, Sent, Text
from streams.panel.api.calls import Caller, Calls
from streams.panel.people.scopes import MOST_SCOPES
from streams.panel.people.staff import HOUR_MS, LONGEST_NAME, Staff
from streams.panel.rights import Right, Role
from streams.panel.store import people, sign_in
from streams.panel.store.cursors import PAGE, page_in
from streams.panel.store.people import Person
from streams.panel.store.sign_in import Invitation

calls = Calls("people")
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
Scopes = Annotated[
    list[Text],
    Field(default_factory=list, max_length=MOST_SCOPES, description="everything, group:a/b or domain:example.org"),
]
Given = Annotated[Role, Field(strict=False)]
MADE = 201


class PersonAnswer(BaseModel):
    """Somebody who can sign in; `single_sign_on`: the provider of the site knows them."""

    id: int
    name: str
    role: Role
    scopes: list[str]
    disabled: bool
    has_password: bool
    has_second_factor: bool
    single_sign_on: bool
    created_ms: int
    signed_in_ms: int | None

    @classmethod
    def of(cls, person: Person) -> Self:
        """Without what they sign in with."""
        return cls(
            id=person.id,
            name=person.name,
            role=Role(person.role),
            scopes=list(person.scopes),
            disabled=person.disabled,
            has_password=person.password_hash is not None,
            has_second_factor=person.totp_secret is not None,
            single_sign_on=person.subject is not None,
            created_ms=person.created_ms,
            signed_in_ms=person.signed_in_ms,
        )


class SessionAnswer(BaseModel):
    """A browser in which somebody is signed in."""

    address: str
    agent: str
    created_ms: int
    seen_ms: int
    expires_ms: int


class TokenAnswer(BaseModel):
    """A token of somebody, without the token."""

    name: str
    role: Role
    scopes: list[str]
    created_ms: int
    used_ms: int | None
    expires_ms: int | None


class WholePersonAnswer(BaseModel):
    """Somebody with their sessions and tokens."""

    person: PersonAnswer
    sessions: list[SessionAnswer]
    tokens: list[TokenAnswer]


class InvitationAnswer(BaseModel):
    """An invitation that still works, without its link."""

    id: int
    name: str
    role: Role
    scopes: list[str]
    actor: str
    created_ms: int
    expires_ms: int

    @classmethod
    def of(cls, invitation: Invitation) -> Self:
        """Without what its link is known by."""
        return cls.model_validate(invitation, from_attributes=True)


class LinkAnswer(BaseModel):
    """A link that works once, for the person alone. It is shown now and never again."""

    link: str
    expires_ms: int


class PersonSent(Sent):
    """What somebody may do, and where. An owner's scope is everything."""

    role: Given
    scopes: Scopes


class InvitationSent(PersonSent):
    """Who is invited: the mail address that they sign in with."""

    name: Annotated[Text, Field(max_length=LONGEST_NAME)]


@calls.get("/people", right=Right.MANAGE_PEOPLE)
def everybody(call: Caller, *, cursor: At = None, size: Rows = PAGE) -> Listed[PersonAnswer]:
    """The people within the token's scopes, up to its role, by name."""
    return Listed.of(page_in(Staff(call).everybody(), people.ORDER, cursor, size).each(PersonAnswer.of))


@calls.get("/people/{person}", right=Right.MANAGE_PEOPLE)
def one(call: Caller, person: Number) -> WholePersonAnswer:
    """One person, where they are signed in, and their tokens."""
    found = Staff(call).person(person)
    with call.panel.store.reading() as connection:
        sessions = sign_in.sessions(connection, found.id, now_ms=call.now_ms)
        tokens = sign_in.tokens(connection, found.id)
    return WholePersonAnswer(
        person=PersonAnswer.of(found),
        sessions=[SessionAnswer.model_validate(item, from_attributes=True) for item in sessions],
        tokens=[TokenAnswer.model_validate(item, from_attributes=True) for item in tokens],
    )


@calls.put("/people/{person}", right=Right.MANAGE_PEOPLE)
def change(call: Caller, person: Number, sent: PersonSent) -> None:
    """Give somebody another role and other scopes."""
    Staff(call).change(person, sent.role.value, sent.scopes)


@calls.delete("/people/{person}", right=Right.MANAGE_PEOPLE)
def remove(call: Caller, person: Number) -> None:
    """Delete somebody with their sessions and tokens; the audit keeps the name."""
    Staff(call).remove(person)


@calls.post("/people/{person}/disable", right=Right.MANAGE_PEOPLE)
def disable(call: Caller, person: Number) -> None:
    """Let somebody in no more; their sessions and tokens end at once."""
    Staff(call).disable(person)


@calls.post("/people/{person}/enable", right=Right.MANAGE_PEOPLE)
def enable(call: Caller, person: Number) -> None:
    """Let somebody in again."""
    Staff(call).enable(person)


@calls.post("/people/{person}/end-sessions", right=Right.MANAGE_PEOPLE)
def end_sessions(call: Caller, person: Number) -> None:
    """Sign somebody out everywhere."""
    Staff(call).end_sessions(person)


@calls.post("/people/{person}/reset-second-factor", right=Right.MANAGE_PEOPLE)
def reset_second_factor(call: Caller, person: Number) -> None:
    """Let somebody who has lost the app and the recovery codes sign in by password."""
    Staff(call).reset_second_factor(person)


@calls.post("/people/{person}/new-password", right=Right.MANAGE_PEOPLE, status_code=MADE)
def new_password(call: Caller, person: Number) -> LinkAnswer:
    """A link with which somebody sets a new password."""
    return _link(call, Staff(call).new_password(person)[1])


@calls.get("/invitations", right=Right.MANAGE_PEOPLE)
def invitations(call: Caller, *, cursor: At = None, size: Rows = PAGE) -> Listed[InvitationAnswer]:
    """Invitations that still work, the newest first."""
    return Listed.of(page_in(Staff(call).invitations(), sign_in.INVITATIONS, cursor, size).each(InvitationAnswer.of))


@calls.post("/invitations", right=Right.MANAGE_PEOPLE, status_code=MADE)
def invite(call: Caller, sent: InvitationSent) -> LinkAnswer:
    """Invite somebody with a role and scopes."""
    return _link(call, Staff(call).invite(sent.name, sent.role.value, sent.scopes))


@calls.delete("/invitations/{invitation}", right=Right.MANAGE_PEOPLE)
def withdraw(call: Caller, invitation: Number) -> None:
    """Take an invitation back."""
    Staff(call).withdraw(invitation)


def _link(call: Caller, link: str) -> LinkAnswer:
    return LinkAnswer(link=link, expires_ms=call.now_ms + call.panel.settings.panel_invitation_hours * HOUR_MS)
