"""What the latency benchmark sends, and how it reads its own clock."""

import pytest

from benchmarks.harness.traffic import TIME_AT, TIME_END, Load, _prepared, _six_bytes, joined
from streams.records.codec import Codec

LOAD = Load(rate=200, seconds=3, accounts=20, label="test")


def test_a_prepared_login_takes_the_time_at_which_it_is_sent() -> None:
    """The bytes of the time are replaced, and the rest of the record stands."""
    _, key, head, tail, _ = _prepared(LOAD)[0]

    login = Codec().decode("Login", head + _six_bytes(1_800_000_000_123) + tail)

    assert login["time"] == 1_800_000_000_123
    assert login["account"].encode() == key
    assert (len(head), TIME_END - TIME_AT) == (10, 6)


def test_every_victim_sends_its_sixth_address_last() -> None:
    """The login that is timed is the one that leads to the block."""
    addresses: dict[bytes, list[str]] = {}
    timed = []
    for _, key, head, tail, victim in _prepared(LOAD):
        if key.endswith(b"victims.example"):
            login = Codec().decode("Login", head + _six_bytes(1_800_000_000_000) + tail)
            addresses.setdefault(key, []).append(login["ip"])
            if victim:
                timed.append((victim, len(addresses[key])))

    assert timed
    assert {count for _, count in timed} == {6}
    assert {len(set(seen)) for seen in addresses.values()} == {6}


def test_a_victim_without_a_block_is_no_figure() -> None:
    """A benchmark that lost a block says so instead of leaving it out."""
    with pytest.raises(RuntimeError, match="1 of 1 victims were not blocked"):
        joined({"victim": (1.0, 1.1)}, {})
