"""`loginwatch dead-letters` on the embedded broker."""

import base64
import uuid

import pytest

from streams.cli.store import Store
from streams.topology import DEAD_LETTERS, LOGINS
from tests.cli.conftest import Loginwatch

TIME = 1_700_000_000_000


def put(
    store: Store,
    raw: bytes | None,
    *,
    topic: str = "logins",
    offset: int = 7,
    reason: str = "bad-json",
    key: bytes | None = b"user@example.org",
) -> str:
    """Write one dead letter as the worker does; its id."""
    letter = {
        "id": str(uuid.uuid5(uuid.NAMESPACE_OID, str(offset))),
        "topic": topic,
        "partition": 3,
        "offset": offset,
        "time": TIME + offset,
        "reason": reason,
        "detail": "the value begins like JSON but is none",
        "key": key,
        "raw": raw,
        "process": "worker",
    }
    store.write(DEAD_LETTERS.name, "user@example.org", letter)
    return str(letter["id"])


def test_dead_letters_are_listed_newest_first_once(on_kafka: Loginwatch, store: Store) -> None:
    """One that was written twice, before and after a crash, is one; reasons are counted where the list is cut."""
    for offset in (1, 2, 2, 3):
        put(store, b"{", offset=offset)

    found = on_kafka("dead-letters", "list", "--json").json
    cut = on_kafka("dead-letters", "list", "--limit", "1")

    assert [letter["offset"] for letter in found] == [3, 2, 1]
    assert "logins/3@3" in cut.out
    assert "3 in all: 3 bad-json" in cut.err


def test_the_list_can_be_that_of_a_reason(on_kafka: Loginwatch, store: Store) -> None:
    """--reason takes the word that the metric has too."""
    put(store, b"{", offset=1)
    wanted = put(store, b"", offset=2, reason="empty")

    found = on_kafka("dead-letters", "list", "--reason", "empty", "--json").json

    assert [letter["id"] for letter in found] == [wanted]


def test_a_dead_letter_is_shown_with_what_was_received(on_kafka: Loginwatch, store: Store) -> None:
    """Bytes that are no text are escaped for people and base64 for programs; none of them steers the terminal."""
    raw = b"\x1b[2J\xff\x00"
    id_ = put(store, raw)

    shown = on_kafka("dead-letters", "show", id_)

    assert "\\x1b[2J\\xff\\x00" in shown.out
    assert "\x1b" not in shown.out
    assert base64.b64decode(on_kafka("dead-letters", "show", id_, "--json").json["raw"]) == raw


def test_a_dead_letter_is_sent_again_as_it_was_received(on_kafka: Loginwatch, store: Store) -> None:
    """The same bytes under the same key on the topic it came from."""
    first = put(store, b'{"time": 1', offset=1)
    second = put(store, b"\xc3\x01", offset=2, key=None)

    answer = on_kafka("dead-letters", "resend", first, second, first, "--yes")

    assert answer.code == 0
    assert answer.out.startswith("2 written again")
    sent = {(record.key, record.value) for record in store.history(LOGINS.name)}
    assert sent == {(b"user@example.org", b'{"time": 1'), (None, b"\xc3\x01")}


def test_sending_again_asks_first(on_kafka: Loginwatch, store: Store) -> None:
    """Anything but yes ends it with code 1, and nothing is written."""
    id_ = put(store, b"{")

    answer = on_kafka("dead-letters", "resend", id_, stdin="\n")

    assert answer.code == 1
    assert "Write 1 record(s) again, to logins?" in answer.err
    assert list(store.history(LOGINS.name)) == []


@pytest.mark.parametrize(
    ("letter", "sentence"),
    [
        ({"raw": b"x", "topic": "other-topic"}, "which is none that it can be sent to"),
        ({"raw": b"x", "topic": ""}, "which is none that it can be sent to"),
        ({"raw": b"x", "topic": "dead-letters"}, "which is none that it can be sent to"),
        ({"raw": b"x", "reason": "too-large"}, "kept only in part"),
        ({"raw": None}, "has no value, which means nothing on logins"),
    ],
)
def test_what_cannot_be_sent_again_is_refused(
    on_kafka: Loginwatch, store: Store, letter: dict[str, object], sentence: str
) -> None:
    """A letter decides neither about foreign topics, nor is half a record sent; all or none of the named ones."""
    good = put(store, b"{", offset=1)
    bad = put(store, offset=2, **letter)  # type: ignore[arg-type]

    answer = on_kafka("dead-letters", "resend", good, bad, "--yes")

    assert answer.code == 2
    assert sentence in answer.err
    assert list(store.history(LOGINS.name)) == []


def test_an_unknown_dead_letter_is_not_found(on_kafka: Loginwatch) -> None:
    """Code 4, and where to look."""
    for action in ("show", "resend"):
        answer = on_kafka("dead-letters", action, "nothing")
        assert answer.code == 4
        assert "loginwatch dead-letters list" in answer.err
