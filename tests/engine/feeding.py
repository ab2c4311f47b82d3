"""An engine of a worker with four partitions, and records whose fields differ from the usual ones."""

from typing import Any

import orjson

from streams.bus.murmur2 import partition_for
from streams.engine.engine import FORWARDED, Engine
from streams.records.codec import Codec
from tests.model.places import FixedPlaces

NOW = 1_700_000_000_000
USER = "user@example.org"
PARTITIONS = 4
HOME = partition_for(USER.encode(), PARTITIONS)
ELSEWHERE = (HOME + 1) % PARTITIONS
LARGEST = 2000
HEADERS = ((FORWARDED, b"1"),)
CODEC = Codec()
GERMAN, FRENCH, AMERICAN = "192.0.2.1", "198.51.100.1", "203.0.113.1"

LOGIN = {"time": NOW, "account": USER, "ip": GERMAN, "success": True, "service": "imap"}
SUBMISSION = {"time": NOW, "account": USER, "sender": USER, "recipients": 2, "accepted": True}
COMMAND = {"time": NOW, "id": "c-1", "account": USER, "action": "block", "actor": "help-desk"}
INPUTS = {"logins": LOGIN, "submissions": SUBMISSION, "account-commands": COMMAND}
POLICY = {"scope": "everyone", "time_window": 60, "allowed_ips": 1, "block_time": 30, "actor": "test", "time": NOW}


class Records:
    """The engine, and its input as Kafka would bring it."""

    def __init__(self) -> None:
        self.engine = Engine(
            codec=CODEC,
            places=FixedPlaces(),
            lateness_ms=600_000,
            route=lambda key: partition_for(key, PARTITIONS),
            largest=LARGEST,
        )
        self.offset = -1

    def policy(self, **fields: Any) -> None:
        self.engine.apply_table("policies", b"everyone", orjson.dumps({**POLICY, **fields}))

    def read(
        self,
        topic: str = "logins",
        *,
        key: bytes | None = USER.encode(),
        partition: int = HOME,
        offset: int | None = None,
        headers: Any = (),
        raw: bytes | None = None,
        now: int = NOW,
        **fields: Any,
    ) -> None:
        self.offset = self.offset + 1 if offset is None else offset
        value = raw if raw is not None else orjson.dumps({**INPUTS[topic], **fields})
        self.engine.process(topic, partition, self.offset, now, key, value, headers)

    def written(self) -> list[tuple[str, dict[str, Any]]]:
        names = {
            "incidents": "Incident",
            "blocks": "Block",
            "dead-letters": "DeadLetter",
            "account-views": "AccountView",
            "notifications": "Notification",
        }
        outputs = self.engine.take().outputs
        return [(output.topic, CODEC.decode(names[output.topic], output.value)) for output in outputs]

    def letter(self) -> dict[str, Any]:
        [(topic, letter)] = self.written()
        assert topic == "dead-letters"
        return letter
