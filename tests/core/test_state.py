"""The packed form of an account: nothing is lost, old versions are read, foreign bytes are refused."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.addresses import cut, parse_network
from streams.core.blocks import Block
from streams.core.incidents import Incident
from streams.core.messages import ForeignSender, Messages
from streams.core.refusal import Refused
from streams.core.state import (
    ENTRY,
    HEADER,
    SERVICES,
    AccountState,
    Kept,
    applied_offsets,
    is_newer,
    login_offset,
    pack,
    put_together,
    take_apart,
    unpack,
)
from streams.worker.form import PackedStates

times = st.integers(0, 2**44)
addresses = st.one_of(st.integers(0xFFFF << 32, (0xFFFF << 32) + 50), st.integers(0, 2**128 - 1))


@st.composite
def kept_networks(draw: st.DrawFn) -> Kept:
    address = draw(addresses)
    first, last = sorted((draw(times), draw(times)))
    network = cut(address, draw(st.integers(8, 32)), draw(st.integers(16, 128)))
    ends = sorted(draw(st.lists(st.integers(0, 2**31), max_size=6, unique=True)), reverse=True)
    runs = [(max(0, last - b), max(0, last - a)) for a, b in zip(ends[1::2], ends[::2], strict=False)]
    return Kept(
        network,
        first,
        last,
        address,
        draw(st.sampled_from(SERVICES)),
        draw(st.sampled_from([None, "DE", "XK"])),
        draw(st.integers(1, 2**32 - 1)),
        draw(st.integers(0, 2**32 - 1)),
        draw(st.integers(0, 65535)),
        runs,
    )


blocks = st.builds(
    Block,
    st.text(max_size=5),
    times,
    times,
    st.none() | st.text(max_size=5),
    st.lists(st.sampled_from([parse_network("192.0.2.0/24"), parse_network("2001:db8::/64")]), max_size=2).map(tuple),
    st.none() | times,
)
incidents = st.builds(
    Incident,
    id=st.text(max_size=5),
    opened_ms=times,
    rule=st.sampled_from(["ips", "countries"]),
    limit=st.integers(1, 50),
    window=st.integers(1, 43_200),
    mode=st.sampled_from(["enforce", "observe"]),
    policy=st.just({"b": 1, "a": ["x"]}),
    last_ms=times,
    count=st.integers(0, 64),
    blocked_until_ms=st.none() | times,
    revision=st.integers(1, 100),
    ever=st.integers(1, 1000),
    members=st.sets(st.sampled_from([parse_network("192.0.2.0/24"), parse_network("2001:db8::/64")])),
)
numbers = st.dictionaries(st.integers(0, 2**32), st.integers(1, 1000), max_size=3)
senders = st.builds(ForeignSender, st.sampled_from(["domain", "foreign", "malformed"]), times, times, numbers)
messages = st.builds(
    Messages,
    quarters=numbers,
    senders=st.dictionaries(st.text(max_size=5), senders, max_size=3),
    others=numbers,
    codes=st.dictionaries(st.integers(0, 2**32), st.sampled_from(["abcdef", "abcdefghijkl"]), max_size=3),
    offset=st.integers(-1, 2**60),
)
states = st.builds(
    AccountState,
    networks=st.lists(kept_networks(), max_size=5).map(lambda items: {item.network: item for item in items}),
    newest_ms=st.just(-1) | times,
    cutoff_ms=st.just(-1) | times,
    stamp=st.binary(min_size=8, max_size=8),
    window=st.integers(0, 43_200),
    ipv4_prefix=st.integers(8, 32),
    ipv6_prefix=st.integers(16, 128),
    episode=st.none() | incidents,
    block=st.none() | blocks,
    past_blocks=st.lists(st.tuples(times, times), max_size=3).map(tuple),
    blocked_incident=st.none() | incidents,
    ignored_logins=st.integers(0, 2**40),
    messages=messages,
    login_offset=st.integers(-1, 2**60),
    command_offset=st.just(-1),
    command_id=st.just(""),
)


@given(states)
def test_what_is_packed_is_unpacked_the_same(state: AccountState) -> None:
    """Every field, for accounts with and without the rare parts; and packing again gives the same bytes."""
    packed = pack(state)

    assert unpack(packed) == state
    assert pack(unpack(packed)) == packed
    assert login_offset(packed) == state.login_offset


@given(states)
def test_a_state_taken_apart_and_put_together_is_the_same(state: AccountState) -> None:
    """So the messages can be counted without looking at the rest."""
    packed = pack(state)

    assert put_together(*take_apart(packed)) == packed


OF_0_1_0 = (
    bytes.fromhex(
        "010102000c00000000000000c0602d8d9b010000ffffffffffffffff31323334353637383c002040804445019b8d2b8c00010000"
        "000000008c2b8d9b0100000000000060762c8d9b010000030000000000000000000000000000ffffc0000207404445019b8d2b8c"
        "00010000000000008c2b8d9b01000000000000c0602d8d9b010000030000000020010db8000000000000000000000001"
    )
    + b'{"g":5,"m":[[1964000,2],[1964003,1]],"s":77}'
)
"""Two networks, ignored logins, messages and their offset."""


def test_a_state_written_before_there_were_ids_and_foreign_senders_is_read() -> None:
    """Bytes of version 0.1.0: the messages by quarter hour and the offset, and no more."""
    state = unpack(OF_0_1_0)

    assert state.messages == Messages(quarters={1_964_000: 2, 1_964_003: 1}, offset=77)
    assert state.ignored_logins == 5
    assert [str(network) for network in state.networks] == ["192.0.2.7/32", "2001:db8::/64"]
    assert unpack(pack(state)) == state


WITH_A_BLOCK_OF_0_1_0 = (
    bytes.fromhex("010100000300000000000000ffffffffffffffff0095688d9b010000000000000000000000000000")
    + b'{"b":["b-1",1767603600000,1767607200000,null,[],1767604000000],"k":1767604000000}'
)
"""No network, a block by hand that was lifted."""


def test_a_state_written_before_past_blocks_were_kept_is_read() -> None:
    """Bytes of version 0.1.0: of the account's blocks the last one. The next one moves it to the past ones."""
    state = unpack(WITH_A_BLOCK_OF_0_1_0)

    assert state.block == Block("b-1", 1_767_603_600_000, 1_767_607_200_000, lifted_ms=1_767_604_000_000)
    assert state.past_blocks == ()
    assert pack(state) == WITH_A_BLOCK_OF_0_1_0
    state.put_block(Block("b-2", 1_767_610_000_000, 1_767_620_000_000))
    assert unpack(pack(state)).past_blocks == ((1_767_603_600_000, 1_767_604_000_000),)


def test_the_order_of_a_stored_policy_is_kept() -> None:
    """Later revisions of an incident carry it byte for byte as the first did."""
    incident = Incident("i", 0, "ips", 1, 1, "enforce", {"b": 1, "a": {"z": 1, "y": 2}}, 0)

    kept = unpack(pack(AccountState(episode=incident))).episode

    assert kept is not None
    assert list(kept.policy) == ["b", "a"]
    assert list(kept.policy["a"]) == ["z", "y"]


def test_a_usual_account_is_small() -> None:
    """Three networks in under 210 bytes, 64 in under 4 KB: memory and changelog hang on it."""
    assert HEADER.size + 3 * ENTRY.size < 210
    assert HEADER.size + 64 * ENTRY.size < 4096


LIST_AS_TAIL = b"\x01\x01" + bytes(38) + b"[]"


@pytest.mark.parametrize(
    "raw", [b"", b"\x00", b"\x02" + bytes(60), b"\x01", b"\x01" + b"\xff" * 100, b"{}", LIST_AS_TAIL]
)
def test_bytes_that_are_no_state_are_refused(raw: bytes) -> None:
    """Never taken for an empty account: the worker must not start on them."""
    with pytest.raises(Refused) as refused:
        unpack(raw)

    assert refused.value.reason == "bad-state"


@pytest.mark.parametrize("networks", [0, 1, 4, 65_535])
@pytest.mark.parametrize("flags", [b"\x00", b"\x01"])
def test_a_state_that_is_shorter_or_longer_than_it_says_is_refused(networks: int, flags: bytes) -> None:
    """Compiled code believes the number of networks, and would read what lies behind the state."""
    raw = b"\x01" + flags + networks.to_bytes(2, "little") + bytes(HEADER.size - 4 + 3 * ENTRY.size)

    for read in (unpack, take_apart, PackedStates().check):
        with pytest.raises(Refused) as refused:
            read(raw)
        assert refused.value.reason == "bad-state"


@given(st.binary(max_size=200))
def test_any_bytes_are_a_state_or_refused(raw: bytes) -> None:
    """No other error than Refused."""
    for read in (unpack, take_apart, applied_offsets):
        with suppress(Refused):
            read(b"\x01" + raw)


@given(st.integers(-1, 5), st.integers(-1, 5), st.integers(-1, 5), st.integers(-1, 5))
def test_a_state_that_applied_less_never_replaces_one_that_applied_more(a: int, b: int, c: int, d: int) -> None:
    """By the offsets of every input topic."""
    held = AccountState(login_offset=a, messages=Messages(offset=b))
    candidate = AccountState(login_offset=c, messages=Messages(offset=d))

    assert is_newer(pack(candidate), pack(held)) is (c >= a and d >= b)
    assert applied_offsets(pack(held)) == {"logins": a, "submissions": b, "account-commands": -1}
