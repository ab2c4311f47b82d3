"""What the latency benchmark sends, and what it makes of it."""

import time

import numpy as np
import pytest

from benchmarks.harness.sender import ADDRESSES, NETWORKS, Load, Pool, Sender, Traffic, _set_time, _six_bytes
from benchmarks.harness.traffic import joined
from streams.bus.murmur2 import partition_for
from streams.records.codec import Codec
from streams.settings import Settings
from streams.topology import LOGINS
from tests.worker.harness import everything

ACCOUNTS = 20
LOAD = Load(rate=200, seconds=3, accounts=ACCOUNTS, label="test")
TIME_MS = 1_800_000_000_123


def login(traffic: Traffic, row: int) -> tuple[int, bytes, dict[str, object]]:
    """Partition, key and fields."""
    partition, key, key_end, value, value_end = traffic.table[row].tolist()
    raw = traffic.data.tobytes()
    return partition, raw[key:key_end], Codec().decode("Login", raw[value:value_end])


def test_a_prepared_login_takes_the_time_at_which_it_is_sent() -> None:
    """The bytes of the time are replaced, and the rest of the record stands."""
    traffic = Pool(ACCOUNTS, 4).traffic(LOAD)
    before = login(traffic, int(traffic.rows[0]))[2]

    _set_time(traffic.data, traffic.table, traffic.rows[:1], np.frombuffer(_six_bytes(TIME_MS), np.uint8))

    partition, key, fields = login(traffic, int(traffic.rows[0]))
    assert fields == {**before, "time": TIME_MS}
    assert str(fields["account"]).encode() == key
    assert partition == partition_for(key, 4)


def test_every_victim_sends_its_last_address_last() -> None:
    """The login that is timed is the one that leads to the block."""
    traffic = Pool(ACCOUNTS, 4).traffic(LOAD)
    addresses: dict[str, list[object]] = {}
    for place, row in enumerate(traffic.rows.tolist()):
        _, key, fields = login(traffic, row)
        if key.endswith(b"victims.example"):
            seen = addresses.setdefault(key.decode(), [])
            seen.append(fields["ip"])
            assert (traffic.timed.get(place) == key.decode()) == (len(seen) == ADDRESSES)

    assert sorted(traffic.timed.values()) == sorted(addresses)
    assert {len(set(seen)) for seen in addresses.values()} == {ADDRESSES}
    assert (np.diff(traffic.due) >= 0).all()


def test_a_load_has_its_rate_and_the_same_logins_every_time() -> None:
    """Two runs of a seed can be compared."""
    pool = Pool(ACCOUNTS, 4)
    one, same, other = pool.traffic(LOAD), pool.traffic(LOAD), pool.traffic(Load(200, 3, ACCOUNTS, "other"))

    assert len(one.due) == 600 + ADDRESSES * len(one.timed)
    assert (one.rows == same.rows).all()
    assert not np.array_equal(one.rows, other.rows)


@pytest.mark.kafka
def test_what_is_sent_is_on_the_topic(kafka_settings: Settings) -> None:
    """Every account from each network, then a load, with the times of now and the broker's times of append."""
    began_ms = time.time_ns() // 1_000_000
    with Sender(kafka_settings, ACCOUNTS) as sender:
        sender.start(None)
        sender.result()
        begins_s = sender.start(LOAD)
        moments, late_s, _ = sender.result()

    records = everything(kafka_settings, LOGINS.name)
    logins = [Codec().decode("Login", record.value or b"") for record in records]
    assert len(records) == NETWORKS * ACCOUNTS + 600 + ADDRESSES * len(moments)
    assert all(each.partition == partition_for(each.key or b"", 4) for each in records)
    assert min(each["time"] for each in logins) >= began_ms
    assert late_s >= 0
    appended = {(each.key or b"").decode(): each.timestamp_ms / 1000 for each in records}
    assert {victim: appended_s for victim, (_, appended_s) in moments.items()}.items() <= appended.items()
    assert all(due_s > begins_s for due_s, _ in moments.values())


def test_a_victim_without_a_block_is_no_figure() -> None:
    """A benchmark that lost a block says so instead of leaving it out."""
    with pytest.raises(RuntimeError, match="1 of 1 victims were not blocked"):
        joined({"victim": (1.0, 1.1)}, {})
