"""People, sessions, tokens, links and failed sign-ins."""

import pytest
from sqlalchemy.exc import IntegrityError

from streams.panel.store import Store, people, sign_in

NOW_MS = 1_790_000_000_000
LATER_MS = NOW_MS + 3_600_000


def person(store: Store, name: str = "ann@example.org", **values: object) -> int:
    with store.writing() as connection:
        given = {"role": "owner", "scopes": ["everything"], "now_ms": NOW_MS, **values}
        return people.create(connection, name=name, **given)  # type: ignore[arg-type]


def test_people_are_found_by_name_id_and_subject(store: Store) -> None:
    """With their scopes; nobody by a name that nobody has."""
    ann = person(store, subject="https://id.example ann", password_hash="secret hash")
    bob = person(store, "bob@example.org", role="reader", scopes=["domain:a.example", "group:g"])
    with store.reading() as connection:
        assert people.by_name(connection, "ann@example.org") == people.by_id(connection, ann)
        assert people.by_subject(connection, "https://id.example ann") == people.by_id(connection, ann)
        assert people.by_name(connection, "nobody") is None
        assert [found.id for found in people.everybody(connection)] == [ann, bob]
        assert [found.scopes for found in people.everybody(connection)] == [
            ("everything",),
            ("domain:a.example", "group:g"),
        ]
        assert people.count(connection, role="owner") == 1
        assert "secret hash" not in repr(people.by_id(connection, ann))


def test_a_name_is_taken_once(store: Store) -> None:
    """Two who press the button at the same time do not both get it."""
    person(store)

    with pytest.raises(IntegrityError):
        person(store)


def test_people_change_and_go_with_all_they_had(store: Store) -> None:
    """Somebody who is deleted is signed out, and their tokens and links no longer work; a new person gets a new id."""
    ann = person(store)
    with store.writing() as connection:
        people.change(connection, ann, display="Ann", disabled=True)
        people.set_scopes(connection, ann, ["group:a"])
        sign_in.open_session(connection, token_hash="s", person_id=ann, now_ms=NOW_MS, expires_ms=LATER_MS)
        sign_in.add_token(
            connection, token_hash="t", name="ci", person_id=ann, role="reader", scopes=["everything"], now_ms=NOW_MS
        )
        found = people.by_id(connection, ann)
        assert found is not None
        assert (found.display, found.disabled, found.scopes) == ("Ann", True, ("group:a",))
        assert people.count(connection) == 0
        with pytest.raises(ValueError, match="totp_step"):
            people.change(connection, ann, totp_step=0)

        people.remove(connection, ann)

        assert sign_in.session(connection, "s", now_ms=NOW_MS) is None
        assert sign_in.token(connection, "t", now_ms=NOW_MS) is None
    assert person(store, "bob@example.org") != ann


def test_a_code_works_once(store: Store) -> None:
    """Neither the same time step nor an earlier one again."""
    ann = person(store)
    with store.writing() as connection:
        assert people.use_totp_step(connection, ann, 100)
        assert not people.use_totp_step(connection, ann, 100)
        assert not people.use_totp_step(connection, ann, 99)
        assert people.use_totp_step(connection, ann, 101)


def test_sessions_expire_and_end(store: Store) -> None:
    """By time, one by one, or all but this one."""
    ann = person(store)
    with store.writing() as connection:
        for number in range(4):
            sign_in.open_session(
                connection,
                token_hash=f"s{number}",
                person_id=ann,
                now_ms=NOW_MS + number,
                expires_ms=LATER_MS + number,
            )
        here = sign_in.session(connection, "s0", now_ms=NOW_MS)
        assert here is not None
        sign_in.change_session(connection, here.id, said="done", seen_ms=LATER_MS - 1)
        assert [found.said for found in sign_in.sessions(connection, ann, now_ms=NOW_MS)] == ["done", "", "", ""]
        assert sign_in.session(connection, "s0", now_ms=LATER_MS) is None
        assert sign_in.end_sessions(connection, ann, but=here.id) == 3
        sign_in.end_session(connection, here.id)
        assert sign_in.sessions(connection, ann, now_ms=NOW_MS) == ()
        with pytest.raises(ValueError, match="person_id"):
            sign_in.change_session(connection, here.id, person_id=7)
    assert sign_in.is_worth_seeing(None, NOW_MS)
    assert not sign_in.is_worth_seeing(NOW_MS - 59_999, NOW_MS)


def test_tokens_have_a_role_scopes_and_an_end(store: Store) -> None:
    """Found by the hash until they expire or are removed."""
    ann = person(store)
    with store.writing() as connection:
        given = {"person_id": ann, "role": "reader", "scopes": ["group:b", "group:a"], "now_ms": NOW_MS}
        first = sign_in.add_token(connection, token_hash="t1", name="b", **given)  # type: ignore[arg-type]
        sign_in.add_token(connection, token_hash="t2", name="a", expires_ms=LATER_MS, **given)  # type: ignore[arg-type]
        sign_in.use_token(connection, first, NOW_MS + 5)
        found = sign_in.token(connection, "t1", now_ms=LATER_MS)
        assert found is not None
        assert (found.scopes, found.used_ms) == (("group:a", "group:b"), NOW_MS + 5)
        assert sign_in.token(connection, "t2", now_ms=LATER_MS - 1) is not None
        assert sign_in.token(connection, "t2", now_ms=LATER_MS) is None
        assert [found.name for found in sign_in.tokens(connection, ann)] == ["a", "b"]
        sign_in.remove_token(connection, first)
        assert [found.name for found in sign_in.tokens(connection)] == ["a"]


def test_a_link_works_once_and_not_for_ever(store: Store) -> None:
    """Used up by the first who comes; over when it has expired; taken back by who sent it."""
    with store.writing() as connection:
        given = {"purpose": "invite", "actor": "ann", "now_ms": NOW_MS, "expires_ms": LATER_MS, "name": "bob"}
        first = sign_in.invite(connection, token_hash="i1", role="reader", scopes=["group:a"], **given)  # type: ignore[arg-type]
        second = sign_in.invite(connection, token_hash="i2", **given)  # type: ignore[arg-type]
        found = sign_in.invitation(connection, "i1", now_ms=NOW_MS)
        assert found is not None
        assert (found.role, found.scopes, found.person_id) == ("reader", ("group:a",), None)
        assert [waiting.id for waiting in sign_in.invitations(connection, now_ms=NOW_MS)] == [second, first]
        assert sign_in.use_invitation(connection, first, NOW_MS + 1)
        assert not sign_in.use_invitation(connection, first, NOW_MS + 2)
        assert sign_in.invitation(connection, "i1", now_ms=NOW_MS) is None
        assert not sign_in.use_invitation(connection, second, LATER_MS)
        sign_in.remove_invitation(connection, second)
        assert sign_in.invitation(connection, "i2", now_ms=NOW_MS) is None


def test_failures_are_counted_within_a_window(store: Store) -> None:
    """Each key by itself; a pause as long as the window, or a success, begins anew."""
    with store.writing() as connection:
        for at in range(3):
            found = sign_in.failed(connection, "name:ann", NOW_MS + at, window_ms=100)
        assert found == sign_in.Attempts(3, NOW_MS, NOW_MS + 2)
        assert sign_in.failed(connection, "address:192.0.2.1", NOW_MS, window_ms=100).failures == 1
        assert sign_in.failed(connection, "name:ann", NOW_MS + 102, window_ms=100).failures == 1
        sign_in.succeeded(connection, "name:ann")
        assert sign_in.attempts(connection, "name:ann") == sign_in.Attempts(0, 0, 0)


def test_what_is_over_is_tidied_away(store: Store) -> None:
    """Expired sessions at once; links and failures after a while; what still works stays."""
    ann = person(store)
    with store.writing() as connection:
        for name, expires in (("old", NOW_MS), ("new", LATER_MS)):
            sign_in.open_session(connection, token_hash=name, person_id=ann, now_ms=0, expires_ms=expires)
            sign_in.invite(connection, token_hash=name, purpose="invite", actor="", now_ms=0, expires_ms=expires - 50)
        sign_in.failed(connection, "name:ann", NOW_MS - 50, window_ms=1)
        sign_in.tidy(connection, now_ms=NOW_MS, keep_ms=50)
        assert sign_in.session(connection, "old", now_ms=0) is None
        assert sign_in.session(connection, "new", now_ms=0) is not None
        assert sign_in.invitation(connection, "old", now_ms=0) is None
        assert sign_in.invitation(connection, "new", now_ms=0) is not None
        assert sign_in.attempts(connection, "name:ann").failures == 0


def test_people_outlive_a_wipe_of_the_read_model(store: Store) -> None:
    """`panel rebuild` forgets only what topics can tell again."""
    ann = person(store)
    store.wipe_read_model()

    with store.reading() as connection:
        assert people.by_id(connection, ann) is not None
