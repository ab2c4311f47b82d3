"""`loginwatch dead-letters` on the embedded broker."""

import base64
import uuid

import pytest

from streams.cli.store import Store
from streams.topology import BLOCKS, DEAD_LETTERS, LOGINS
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
    process: str = "worker",
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
        "process": process,
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
        ({"raw": b"x", "topic": "blocks", "process": "alerts"}, "its record is on blocks already"),
        ({"raw": b"x", "topic": "blocks", "process": "enforcement"}, "the newest word on that account"),
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


def test_an_alert_that_is_a_dead_letter_locks_nobody_out_again(on_kafka: Loginwatch, store: Store) -> None:
    """Its block was lifted since: that stays the newest word on the account, and the answer says what to do instead."""
    block = {
        "id": str(uuid.uuid4()),
        "account": "user@example.org",
        "state": "blocked",
        "from": TIME,
        "until": TIME + 3_600_000,
        "reason": "4 networks > 3",
        "incident": None,
        "actor": "loginwatch",
        "except_networks": [],
    }
    store.write(BLOCKS.name, "user@example.org", block)
    [written] = store.history(BLOCKS.name)
    store.write(BLOCKS.name, "user@example.org", {**block, "state": "open", "until": TIME + 1, "actor": "admin"})
    id_ = put(store, written.value, topic=BLOCKS.name, reason="alert-refused", process="alerts")

    answer = on_kafka("dead-letters", "resend", id_, "--yes")

    assert answer.code == 2
    assert "the newest word on that account" in answer.err
    assert f"loginwatch dead-letters show {id_}" in answer.err
    assert [record["state"] for record in store.rows(BLOCKS.name)][-1] == "open"


def test_an_unknown_dead_letter_is_not_found(on_kafka: Loginwatch) -> None:
    """Code 4, and where to look."""
    for action in ("show", "resend"):
        answer = on_kafka("dead-letters", action, "nothing")
        assert answer.code == 4
        assert "loginwatch dead-letters list" in answer.err
