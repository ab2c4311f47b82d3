"""
Codec: microseconds to write and read one record, for every record and form.

The values are what the engine wrote and read in a small replay, so an incident has the networks of an incident. Least of the
rounds, in CPU time: a codec waits for nothing.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import orjson

from benchmarks.harness.log import Log, logins
from benchmarks.harness.rules import as_lines
from streams.geo import NoPlaces
from streams.records.codec import CONFLUENT, Codec
from streams.records.json_form import from_json, to_json
from streams.records.registry import Registry
from streams.records.schemas import latest
from streams.replay.replay import Replay
from streams.settings import Settings
from streams.topology import BY_NAME, LOGINS

RECORDS = ("Login", "Block", "Incident", "Notification", "Policy", "SafeNetwork", "Domain", "Submission")
LOG = Log(20_000, 2_000, 1)
SUBMISSION = {"time": 1_767_600_000_000, "account": "user@example.org", "sender": "user@example.org", "recipients": 3,
              "accepted": True, "id": "4cX1-2", "ip": "192.0.2.1", "queue_id": "4cX1ZV0Xz", "size": 18_231}  # fmt: skip
SCHEMA_ID = 7


class OneSchema(Registry):
    """A registry that has told everything already, as a codec sees it after the first record."""

    def __init__(self) -> None:
        """Asks nobody."""

    def learn(self, record: str) -> None:
        self._writer = latest(record).parsed

    def writer_schema(self, schema_id: int) -> Any:
        assert schema_id == SCHEMA_ID
        return self._writer

    def schema_id(self, schema: Any) -> int:
        assert schema is not None
        return SCHEMA_ID


def run(options: argparse.Namespace) -> dict[str, Any]:
    """A row per record: bytes, and microseconds to write and read each form."""
    values = _values()
    rows = []
    for record in RECORDS:
        value = max(values[record], key=lambda each: len(orjson.dumps(to_json(record, each))))
        rows.append({"record": record, **_forms(record, value, options)})
    fast, raw = Codec(), values["raw login"][0]
    reader = _least_us(lambda: fast.login(raw), options)
    return {"rows": rows, "login_fast_reader_us": reader}


def _forms(record: str, value: dict[str, Any], options: argparse.Namespace) -> dict[str, float]:
    registry = OneSchema()
    registry.learn(record)
    plain, confluent = Codec(), Codec(registry)
    single, framed = plain.encode(record, value), confluent.encode(record, value)
    assert framed[: CONFLUENT.size] == CONFLUENT.pack(0, SCHEMA_ID)
    text = orjson.dumps(to_json(record, value))
    assert from_json(record, orjson.loads(text)) == plain.decode(record, single) == confluent.decode(record, framed)
    return {
        "avro_bytes": len(single),
        "write_avro_us": _least_us(lambda: plain.encode(record, value), options),
        "read_avro_us": _least_us(lambda: plain.decode(record, single), options),
        "write_confluent_us": _least_us(lambda: confluent.encode(record, value), options),
        "read_confluent_us": _least_us(lambda: confluent.decode(record, framed), options),
        "json_bytes": len(text),
        "write_json_us": _least_us(lambda: orjson.dumps(to_json(record, value)), options),
        "read_json_us": _least_us(lambda: plain.decode(record, text), options),
    }


def _least_us(work: Callable[[], Any], options: argparse.Namespace) -> float:
    least: float = float("inf")
    for _ in range(options.rounds):
        begun = time.process_time()
        for _ in range(options.records):
            work()
        least = min(least, time.process_time() - begun)
    return round(least / options.records * 1e6, 2)


def _values() -> dict[str, list[Any]]:
    """Records by name, as they were read and written."""
    codec, replay = Codec(), Replay(Settings(), NoPlaces())
    found: dict[str, list[Any]] = {record: [] for record in RECORDS}
    found["Submission"].append(SUBMISSION)
    for line in as_lines("full"):
        replay.read(orjson.dumps(line))
        record = BY_NAME[line["topic"]].record
        found[record].append(from_json(record, line["value"]))
    sent = logins(LOG)
    found["raw login"] = [sent[0].value]
    for each in sent:
        login = codec.decode("Login", each.value)
        found["Login"].append(login)
        value = {"topic": LOGINS.name, "timestamp": each.timestamp_ms, "value": to_json("Login", login)}
        for line in map(orjson.loads, replay.read(orjson.dumps(value))):
            record = BY_NAME[line["topic"]].record
            found[record].append(from_json(record, line["value"]))
    return found
