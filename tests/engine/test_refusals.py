"""Records of the input topics that cannot be used."""

import orjson
import pytest

from streams.records.letters import MOST_KEY
from tests.engine.feeding import CODEC, HOME, LARGEST, LOGIN, NOW, USER

BAD = {
    "empty": b"",
    "unknown-form": b"\xff\x00 no record",
    "bad-json": b'{"time": 1',
    "bad-utf8": b'{"account": "\xff"}',
    "truncated": CODEC.encode("Login", {**dict.fromkeys(("session", "server", "client", "failure", "id")), **LOGIN})[
        :-9
    ],
    "unknown-schema": b"\x00\x00\x00\x00\x07abc",
    "missing-field": b"{}",
    "bad-address": orjson.dumps({**LOGIN, "ip": "192.0.2.1:993"}),
    "bad-account": orjson.dumps({**LOGIN, "account": "@example.org"}),
    "bad-domain": orjson.dumps({**LOGIN, "account": "user@exa mple.org"}),
    "control-character": orjson.dumps({**LOGIN, "account": "us\ner@example.org"}),
    "time-out-of-range": orjson.dumps({**LOGIN, "time": -1}),
    "wrong-type": orjson.dumps({**LOGIN, "success": "yes"}),
}


@pytest.mark.parametrize("reason", BAD)
def test_a_bad_record_becomes_a_dead_letter_with_its_position(records, reason):
    """Topic, partition, offset, key and bytes as they came, when it came, and a sentence; the next record is taken."""
    records.policy()
    records.read(raw=BAD[reason], offset=41, now=NOW + 5)
    records.read(offset=42, now=NOW + 6)
    batch = records.engine.take()

    [output] = batch.outputs
    letter = CODEC.decode("DeadLetter", output.value)
    assert (output.key, output.timestamp_ms) == (USER.encode(), NOW + 5)
    assert (letter["topic"], letter["partition"], letter["offset"]) == ("logins", HOME, 41)
    assert (letter["reason"], letter["raw"], letter["key"]) == (reason, BAD[reason], USER.encode())
    assert (letter["time"], letter["process"]) == (NOW + 5, "worker")
    assert len(letter["detail"]) > len("no reason")
    assert batch.counts == {("dead_letters", reason): 1, ("logins", "counted"): 1}


@pytest.mark.parametrize(
    ("fields", "reason"), [({"action": "destroy"}, "unknown-symbol"), ({"minutes": 0}, "bad-minutes")]
)
def test_a_bad_command_changes_nothing(records, fields, reason):
    """Its account is not even touched."""
    records.read("account-commands", **fields)

    assert records.engine.take().touched == {}
    records.read("account-commands", **fields)
    assert records.letter()["reason"] == reason


def test_a_record_refused_again_has_the_same_letter(records):
    """After a crash its position is the same, so its id and bytes are."""
    letters = []
    for _ in range(2):
        records.read(raw=b"no record", offset=3)
        letters += records.engine.take().outputs

    assert letters[0] == letters[1]


def test_a_record_without_a_value_is_refused(records):
    """An input topic is no table: nothing can be meant by it."""
    records.engine.process("logins", HOME, 0, NOW, USER.encode(), None)

    letter = records.letter()
    assert (letter["reason"], letter["raw"]) == ("empty", None)


def test_a_record_that_is_too_large_is_refused_and_cut(records):
    """The dead letter must fit into a topic itself; one that is exactly as large as allowed is read."""
    records.read(client="", raw=padded(LARGEST))
    records.read(raw=padded(LARGEST + 1), key=b"k" * (LARGEST + 50))

    letter = records.letter()
    assert letter["reason"] == "too-large"
    assert letter["raw"] == padded(LARGEST + 1)[:LARGEST]
    assert len(letter["key"]) == MOST_KEY
    assert f"the first {MOST_KEY} of {LARGEST + 50} bytes of the key" in letter["detail"]
    assert f"{LARGEST + 1}" in letter["detail"]


def padded(size: int) -> bytes:
    """A login in so many bytes."""
    raw = orjson.dumps(LOGIN)
    return raw[:-1] + b" " * (size - len(raw)) + b"}"
