"""Records that could not be used."""

import uuid

from streams.bus.dead_letters import DeadLetters
from streams.bus.embedded import EmbeddedBroker
from streams.bus.producer import Producer
from streams.bus.tail import tail
from streams.core.refusal import Refused
from streams.metrics import DEAD_LETTERS as METRIC
from streams.metrics import Metrics
from streams.records.codec import Codec
from streams.records.letters import letter_id
from streams.topology import DEAD_LETTERS

REFUSAL = Refused("bad_ip", "'999.1.1.1' is not an IP address")


def test_a_refused_record_is_written_whole_with_its_reason(embedded: EmbeddedBroker) -> None:
    """Under the key as received, readable by the codec, and counted by reason."""
    producer, metrics = Producer(embedded.settings), Metrics("worker")
    letters = DeadLetters(producer, Codec(), "worker", metrics)

    letters.write("logins", 3, 14, 1_700_000_000_000, b"\xffkey", b"\x00raw\xff", REFUSAL)
    producer.flush(10)

    (record,) = tail(embedded.settings, [DEAD_LETTERS])
    assert record.key == b"\xffkey"
    assert Codec().decode("DeadLetter", record.value or b"") == {
        "id": letter_id("logins", 3, 14, None),
        "topic": "logins",
        "partition": 3,
        "offset": 14,
        "time": 1_700_000_000_000,
        "reason": "bad_ip",
        "detail": "'999.1.1.1' is not an IP address",
        "key": b"\xffkey",
        "raw": b"\x00raw\xff",
        "process": "worker",
    }
    assert metrics.of(METRIC, reason="bad_ip")._value.get() == 1


def test_a_record_without_key_and_value_is_kept_as_that(embedded: EmbeddedBroker) -> None:
    """A tombstone where none belongs."""
    producer = Producer(embedded.settings)
    DeadLetters(producer, Codec(), "worker", Metrics("worker")).write("logins", 0, 0, 0, None, None, REFUSAL)
    producer.flush(10)

    (record,) = tail(embedded.settings, [DEAD_LETTERS])
    letter = Codec().decode("DeadLetter", record.value or b"")
    assert (letter["key"], letter["raw"]) == (None, None)


def test_what_is_larger_than_the_limit_is_cut_and_says_so(embedded: EmbeddedBroker) -> None:
    """A giant record must not make a giant, undeliverable letter."""
    producer = Producer(embedded.settings)
    letters = DeadLetters(producer, Codec(), "worker", Metrics("worker"), max_record_bytes=1_000)

    letters.write("logins", 0, 1, 0, b"k" * 1_001, b"r" * 5_000, REFUSAL)
    producer.flush(10)

    (record,) = tail(embedded.settings, [DEAD_LETTERS])
    letter = Codec().decode("DeadLetter", record.value or b"")
    assert (len(letter["raw"]), len(letter["key"])) == (1_000, 1_000)
    assert "1000 of 1001 bytes of the key" in letter["detail"]
    assert "1000 of 5000 bytes of the value" in letter["detail"]


def test_the_id_tells_positions_apart_and_is_the_same_again() -> None:
    """From the position where there is one, else from the bytes."""
    assert letter_id("logins", 1, 2, b"a") == letter_id("logins", 1, 2, b"b")
    assert letter_id("logins", 1, 2, b"a") != letter_id("logins", 1, 3, b"a")
    assert letter_id("logins", -1, -1, b"a") == letter_id("logins", -1, -1, b"a")
    assert letter_id("logins", -1, -1, b"a") != letter_id("logins", -1, -1, b"b")
    assert uuid.UUID(letter_id("logins", 1, 2, None)).version == 5


def test_the_id_tells_receivers_apart_and_is_that_of_before_without_one() -> None:
    """Letters that are on the topic already must be recognised when their record comes again."""
    assert letter_id("blocks", 1, 2, b"a", "webhook-a") != letter_id("blocks", 1, 2, b"a", "webhook-b")
    assert letter_id("blocks", 1, 2, b"a", "webhook-a") == letter_id("blocks", 1, 2, b"b", "webhook-a")
    assert letter_id("logins", 3, 14, None) == "7974e5b5-f850-5ffc-a69b-bbbdace208bb"
    assert letter_id("logins", -1, -1, b"raw") == "23db5f02-9971-5f8e-806d-e66da09f5356"
