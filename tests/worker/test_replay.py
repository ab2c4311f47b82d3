"""The deployed worker on a real Kafka, killed midway, against an uninterrupted replay of the same log."""

import random
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from streams.geo import NoPlaces
from streams.records.json_form import to_json
from streams.replay.replay import replay_lines
from streams.settings import Settings
from streams.topology import BY_NAME, changelog
from tests.worker.harness import DEPLOYED, Seen, WorkerProcess, everything, send, until_done
from tests.worker.records import CODEC, login, now_ms, policy

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

OUTPUTS = ("incidents", "blocks", "notifications", "dead-letters")


def logins(number: int, seed: int) -> Iterator[tuple[str, bytes, bytes]]:
    """Homes and offices, some botnets, late and failed and repeated logins, and now and then bytes that are none."""
    # Half of the logins are of accounts of this seed alone: every round has accounts that were not blocked before.
    chance = random.Random(seed)
    now = now_ms()
    for index in range(number):
        account = f"user{chance.randrange(150) + 150 * seed * (index % 2)}@example.org"
        thief = hash_of(account) % 5 == 0 and chance.random() < 0.3
        ip = f"198.51.{chance.randrange(100)}.{chance.randrange(250)}" if thief else f"192.0.2.{hash_of(account) % 200}"
        changes = {"success": chance.random() < 0.95, "time": now - chance.randrange(900_000)}
        topic, key, raw = login(account, ip, id=f"{seed}-{index}" if index % 2 else None, **changes)
        if chance.random() <= 0.01:
            raw = chance.randbytes(30)
        yield topic, key, raw
        if chance.random() < 0.02:
            yield topic, key, raw


def hash_of(account: str) -> int:
    return sum(account.encode())


def as_lines(settings: Settings) -> Iterator[bytes]:
    """The topics as the replay reads them; poison has no JSON form, and is left to `dead_letters_of`."""
    for topic in ("policies", "logins", "submissions", "account-commands"):
        for seen in sorted(everything(settings, topic), key=lambda seen: (seen.partition, seen.offset)):
            if (value := _decoded(BY_NAME[topic].record, seen)) is not None:
                yield orjson.dumps({"topic": topic, "timestamp": seen.timestamp_ms, "value": value})


def _decoded(record: str, seen: Seen) -> dict[str, Any] | None:
    try:
        return to_json(record, CODEC.decode(record, seen.value or b""))
    except ValueError:
        return None


def published(settings: Settings) -> dict[str, list[bytes]]:
    """What is on the output topics, as canonical JSON with the key."""
    found: dict[str, list[bytes]] = {topic: [] for topic in OUTPUTS}
    for seen in everything(settings, *OUTPUTS):
        value = to_json(BY_NAME[seen.topic].record, CODEC.decode(BY_NAME[seen.topic].record, seen.value or b""))
        found[seen.topic].append(canonical((seen.key or b"").decode(errors="replace"), value))
    return found


def canonical(key: str, value: Any) -> bytes:
    return orjson.dumps([key, value], option=orjson.OPT_SORT_KEYS)


def replayed(settings: Settings) -> dict[str, set[bytes]]:
    found: dict[str, set[bytes]] = {topic: set() for topic in OUTPUTS}
    for line in replay_lines(as_lines(settings), settings, NoPlaces()):
        output = orjson.loads(line)
        found[output["topic"]].add(canonical(output["key"] or "", output["value"]))
    return found


def raw_outputs(settings: Settings, topic: str) -> set[tuple[bytes | None, bytes | None]]:
    return {(seen.key, seen.value) for seen in everything(settings, topic)}


def test_a_killed_worker_writes_what_a_replay_of_the_log_writes(kafka_settings: Settings) -> None:
    """The same ids and bytes as a set; what is there twice is there with equal bytes; every poison has its dead letter."""
    send(kafka_settings, [policy()])
    for number, crash_at in enumerate(("outputs:5", "changelog:3", "commit:1", "outputs:2", "changelog:6")):
        send(kafka_settings, logins(3000, number))
        with WorkerProcess(
            kafka_settings, "one", crash_at=crash_at, command=DEPLOYED, worker_poll_records=150
        ) as worker:
            worker.until_killed()
    with WorkerProcess(kafka_settings, "one", command=DEPLOYED) as worker:
        until_done(kafka_settings, worker)
        assert worker.terminate() == 0

    want, got = replayed(kafka_settings), published(kafka_settings)

    for topic in ("incidents", "blocks", "notifications"):
        assert want[topic], f"the log leads to no {topic}: the test tests nothing"
        assert set(got[topic]) == want[topic]
        ids = {(value["id"], value.get("revision")) for _, value in map(orjson.loads, got[topic])}
        assert len(ids) == len(raw_outputs(kafka_settings, topic)), "one id with different bytes"
    repeated = sum(len(got[topic]) - len(want[topic]) for topic in OUTPUTS)
    assert repeated > 0, "no kill fell between outputs and changelog"
    assert len(set(got["dead-letters"])) == poison(kafka_settings) > 0


def poison(settings: Settings) -> int:
    return sum(_decoded("Login", seen) is None for seen in everything(settings, "logins"))


def test_the_changelog_alone_gives_the_deployed_worker_its_accounts(kafka_settings: Settings) -> None:
    """
    A worker that has nothing but the changelog decides as if it had been there from the start.

    All have one name: under another, each would first wait until the group has given its predecessor up.
    """
    send(kafka_settings, [policy()])
    for number in range(3):
        send(kafka_settings, logins(2000, number))
        with WorkerProcess(kafka_settings, "one", command=DEPLOYED) as worker:
            until_done(kafka_settings, worker)
            assert worker.terminate() == 0

    want, got = replayed(kafka_settings), published(kafka_settings)

    for topic in ("incidents", "blocks", "notifications"):
        assert set(got[topic]) == want[topic]
        assert len(got[topic]) == len(want[topic]), "a clean stop repeats nothing"
    assert everything(kafka_settings, changelog(kafka_settings).name)
