"""Replay: what lines it takes, and whose clock it goes by."""

from typing import Any

import orjson
import pytest

from streams.replay.replay import replay_lines
from streams.settings import Settings
from tests.model.places import FixedPlaces

NOW = 1_700_000_000_000
POLICY = {"scope": "everyone", "time_window": 60, "allowed_ips": 1, "block_time": 30, "actor": "test", "time": NOW}


def login(ip: str, **fields: Any) -> dict[str, Any]:
    return {"time": NOW, "account": "user@example.org", "ip": ip, "success": True, **fields}


def replayed(*lines: Any) -> list[dict[str, Any]]:
    raw = (line if isinstance(line, bytes) else orjson.dumps(line) for line in lines)
    return [orjson.loads(line) for line in replay_lines(raw, Settings(), FixedPlaces())]


@pytest.mark.parametrize("time", [2**63, 2**64 - 1, -1, True, "10000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", None])
def test_a_time_that_no_record_can_have_moves_no_clock(time: Any) -> None:
    """The lines after a bad one go by the times of the good ones, as they would without it."""
    good = [{"topic": "policies", "value": POLICY}, {"value": login("192.0.2.1")}, {"value": login("192.0.2.2")}]

    letter, *others = replayed({"value": login("192.0.2.9", time=time)}, *good)

    assert letter["topic"] == "dead-letters"
    assert others == replayed(*good)
    assert [other["topic"] for other in others] == ["incidents", "blocks"]


@pytest.mark.parametrize("timestamp", [2**63, 2**64 - 1, 253_402_300_800_000, -1, 1.5, "1700000000000", True])
def test_a_timestamp_that_kafka_cannot_have_is_refused(timestamp: Any) -> None:
    """With the line's number; nothing of the line is judged."""
    [letter] = replayed({"timestamp": timestamp, "value": login("192.0.2.1")})

    assert (letter["topic"], letter["value"]["reason"]) == ("dead-letters", "not-a-line")
    assert "line 1" in letter["value"]["detail"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"nonsense", "not-json"),
        (b"\xff\xfe", "not-json"),
        (b'{"key": "\\ud800", "value": {}}', "not-json"),
        (b"[]", "not-a-line"),
        (b"{}", "not-a-line"),
        (b'{"topic": 7, "value": {}}', "not-a-line"),
        (b'{"key": 7, "value": {}}', "not-a-line"),
        (b'{"value": []}', "unknown-form"),
        (b'{"value": null}', "empty"),
        (b'{"topic": "policies", "value": null}', "bad-key"),
    ],
)
def test_a_line_that_is_none_becomes_a_dead_letter(line: bytes, reason: str) -> None:
    """And the next line is read."""
    letter, other = replayed(line, {"value": login("192.0.2.1:993")})

    assert letter["value"]["reason"] == reason
    assert other["value"]["reason"] == "bad-address"


def test_a_topic_that_the_worker_does_not_read_is_passed_over() -> None:
    """What was exported may hold the worker's own output too."""
    assert replayed({"topic": "incidents", "value": {}}, {"topic": "no-such", "value": {}}) == []
