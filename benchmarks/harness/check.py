"""
Is what a system wrote what it should have written?

The worker's incidents (with their revisions) and blocks are compared, as a set of ids, with those of a replay of the same
topic. The peers' blocks are counted against the plain form of their job over the same topic. Both read the topic itself,
partition by partition in processes of their own: accounts of different partitions do not know each other.
"""

from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import orjson

from benchmarks.harness.kafka import Ends, Kafka, read
from benchmarks.harness.rules import as_lines
from benchmarks.peers.job import WINDOW_MS, decode, judge
from streams.geo import NoPlaces, Places
from streams.records.codec import Codec
from streams.records.json_form import to_json
from streams.replay.replay import Replay
from streams.settings import Settings
from streams.topology import BY_NAME, LOGINS

OUTPUTS = {"incidents": "Incident", "blocks": "Block"}
PROCESSES = 2
Output = tuple[str, str, int]
"""Topic, id, revision (0 for a block)."""


class Mismatch(AssertionError):  # noqa: N818 - a finding
    """A system's outputs are not those of the replay: its figures mean nothing."""


class Expected(NamedTuple):
    """What the replay of a log writes, and how many blocks the plain common job does."""

    outputs: frozenset[Output]
    plain_blocks: int


def expected(kafka: Kafka, topic: str, job: str, geo: Path | None = None) -> Expected:
    """Replay a topic of logins as it stands."""
    ends = kafka.ends(topic)
    one = partial(_of_partition, kafka.settings, topic, job, geo if job == "full" else None)
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        parts = list(pool.map(one, ends.items()))
    outputs = frozenset().union(*(part.outputs for part in parts))
    return Expected(outputs, sum(part.plain_blocks for part in parts))


def outputs(kafka: Kafka, topic: str, job: str, geo: Path | None = None) -> Expected:
    """
    As `expected`, for millions of logins: the replay's engine takes the records as they are, and there is no plain job.

    It is the plain engine, without the worker's compiled code.
    """
    one = partial(_outputs_of_partition, kafka.settings, topic, job, geo if job == "full" else None)
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        return Expected(frozenset().union(*pool.map(one, kafka.ends(topic).items())), 0)


def check_worker(kafka: Kafka, want: Expected, begin: Mapping[str, Ends]) -> int:
    """Compare everything written since `begin`; returns the number of blocks. Raises Mismatch."""
    codec, found = Codec(), set()
    for topic, record in OUTPUTS.items():
        for *_, value in read(kafka.settings, topic, begin[topic], kafka.ends(topic)):
            fields = codec.decode(record, value or b"")
            found.add((topic, fields["id"], fields.get("revision", 0)))
    if found != want.outputs:
        missing, more = want.outputs - found, found - want.outputs
        raise Mismatch(f"{len(missing)} outputs are missing, {len(more)} are too many: {[*missing, *more][:3]}")
    return sum(topic == "blocks" for topic, _, _ in found)


def check_blocks(kafka: Kafka, want: Expected, topic: str) -> int:
    """Count a peer's blocks, each once; returns their number. Raises Mismatch."""
    blocks = {(key, value) for *_, key, value in read(kafka.settings, topic, {}, kafka.ends(topic))}
    return check_count(want, len(blocks))


def check_count(want: Expected, blocks: int) -> int:
    """Compare a number of blocks with that of the plain job. Raises Mismatch."""
    if blocks != want.plain_blocks:
        raise Mismatch(f"{blocks} blocks where the plain job writes {want.plain_blocks}")
    return blocks


def _outputs_of_partition(
    settings: Settings, topic: str, job: str, geo: Path | None, place: tuple[int, int]
) -> set[Output]:
    partition, end = place
    engine = _replay(settings, job, geo).engine
    for _, offset, timestamp, _, value in read(settings, topic, {}, {partition: end}):
        engine.process(LOGINS.name, 0, offset, timestamp, None, value)
    found: set[Output] = set()
    for output in engine.take().outputs:
        if (name := BY_NAME[output.topic].name) in OUTPUTS:
            value = orjson.loads(output.value or b"{}")
            found.add((name, value["id"], value.get("revision", 0)))
    return found


def _replay(settings: Settings, job: str, geo: Path | None) -> Replay:
    """One that knows the rules of the job."""
    replay = Replay(settings, Places((str(geo),)) if geo is not None else NoPlaces())
    for line in as_lines(job):
        replay.read(orjson.dumps(line))
    return replay


def _of_partition(settings: Settings, topic: str, job: str, geo: Path | None, place: tuple[int, int]) -> Expected:
    partition, end = place
    replay = _replay(settings, job, geo)
    codec = Codec()
    outputs: set[Output] = set()
    accounts: dict[str, dict[str, int]] = defaultdict(dict)
    quiet: dict[str, int] = {}
    blocks = 0
    for _, _, timestamp, _, value in read(settings, topic, {}, {partition: end}):
        login = codec.decode("Login", value or b"")
        line = {"topic": "logins", "timestamp": timestamp, "value": to_json("Login", login)}
        outputs.update(map(_output, replay.read(orjson.dumps(line))))
        plain = decode(value or b"")
        account = plain["account"]
        if plain["success"] and judge(accounts[account], quiet.get(account, 0), plain["ip"], plain["time"]):
            quiet[account] = plain["time"] + WINDOW_MS
            blocks += 1
    outputs.discard(("", "", 0))
    return Expected(frozenset(outputs), blocks)


def _output(line: bytes) -> Output:
    record = orjson.loads(line)
    if record["topic"] not in OUTPUTS:
        return "", "", 0
    return record["topic"], record["value"]["id"], record["value"].get("revision", 0)
