"""Replay: what lines it takes, and whose clock it goes by."""

from typing import Any

import orjson
import pytest

from streams.replay.replay import Replay, replay_lines
from streams.settings import Settings
from tests.model.compare import log
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


@pytest.mark.parametrize("seed", range(20))
def test_a_login_taken_as_parsed_is_judged_as_its_bytes_are(seed: int) -> None:
    """Lines padded so far that every value is written out and read by the engine lead to the same, byte for byte."""
    settings = Settings(max_record_bytes=1024)
    usual, padded = Replay(settings, FixedPlaces()), Replay(settings, FixedPlaces())

    for step in log(seed)[1]:
        line = {"topic": step.topic, "timestamp": step.now_ms, "key": step.key, "value": step.value}
        short = orjson.dumps(line)
        assert usual.read(short) == padded.read(short + b" " * 1000)

    assert usual.engine.accounts == padded.engine.accounts


@pytest.mark.parametrize("size", [900, 1100, 5000])
def test_a_value_that_is_too_large_is_refused_however_it_is_written(size: int) -> None:
    """A number may be longer when the worker would get it than it is in the line."""
    line = b'{"value":{"time":1700000000000,"account":"user@example.org","ip":"192.0.2.1","success":true,"x":[%s]}}'
    numbers = b",".join([b"1e15"] * (size // 19))
    settings = Settings(max_record_bytes=1024)

    policy = orjson.dumps({"topic": "policies", "value": POLICY})
    written = [orjson.loads(out) for out in replay_lines([policy, line % b"", line % numbers], settings, FixedPlaces())]

    assert [letter["value"]["reason"] for letter in written] == (["too-large"] if size > 1000 else [])
