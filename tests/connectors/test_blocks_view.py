"""What a door knows of `blocks`: who is denied, until when, from where."""

import threading

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.connectors.blocks_view import MOST_FORGOTTEN, Answer, BlocksView
from streams.errors import RegistryUnavailableError
from streams.records import json_form
from streams.records.codec import Codec
from tests.connectors.doors import CODEC, MINUTE_MS, block

NOW = 1_700_000_000_000
HOUR_MS = 60 * MINUTE_MS
ALICE = "alice@example.org"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def bad():
    return []


@pytest.fixture
def view(clock, bad):
    return BlocksView(CODEC, clock, bad.append)


def put(view, codec=CODEC, **fields):
    record = block(**{"until": NOW + HOUR_MS, "from": NOW, **fields})
    view.apply([(record["account"].encode(), codec.encode("Block", record))])


def test_a_blocked_account_is_denied_until_the_end_and_not_at_it(view):
    """`until` is the first instant at which logins are allowed again."""
    put(view)

    assert view.ask(ALICE, "192.0.2.1", NOW) is Answer.DENIED
    assert view.ask(ALICE, "192.0.2.1", NOW + HOUR_MS - 1) is Answer.DENIED
    assert view.ask(ALICE, "192.0.2.1", NOW + HOUR_MS) is Answer.OPEN
    assert view.ask("bob@example.org", "192.0.2.1", NOW) is Answer.OPEN


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("203.0.113.9", Answer.FAMILIAR),
        ("::ffff:203.0.113.9", Answer.FAMILIAR),
        ("203.0.114.9", Answer.DENIED),
        ("2001:db8:1:2::77", Answer.FAMILIAR),
        ("2001:DB8:1:3::77", Answer.DENIED),
        ("::203.0.113.9", Answer.DENIED),
        ("fe80::1%eth0", Answer.DENIED),
        ("203.0.113.9:993", Answer.DENIED),
        ("[2001:db8:1:2::77]", Answer.DENIED),
        ("", Answer.DENIED),
        ("nonsense", Answer.DENIED),
    ],
)
def test_networks_that_stay_open_are_open_to_their_addresses_alone(view, address, expected):
    """The truth table of addresses: families, mapped ones, and what is no address."""
    put(view, except_networks=["203.0.113.0/24", "2001:db8:1:2::/64", "garbage"])

    assert view.ask(ALICE, address, NOW) is expected


def test_an_order_to_open_lifts_the_block(view):
    """State open opens at once, whatever its `until`."""
    put(view)
    put(view, state="open")

    assert view.ask(ALICE, "192.0.2.1", NOW) is Answer.OPEN
    assert len(view) == 0


def test_the_last_record_of_an_account_wins(view):
    """A manual block replaces a running one even if it is shorter."""
    put(view, until=NOW + 10 * HOUR_MS, except_networks=["192.0.2.0/24"])
    put(view, until=NOW + HOUR_MS)

    assert view.ask(ALICE, "192.0.2.1", NOW) is Answer.DENIED
    assert view.ask(ALICE, "192.0.2.1", NOW + 2 * HOUR_MS) is Answer.OPEN


def test_a_tombstone_opens(view):
    """A record without a value removes the account from the view."""
    put(view)
    view.apply([(ALICE.encode(), None)])

    assert view.ask(ALICE, "192.0.2.1", NOW) is Answer.OPEN


def test_a_block_that_is_over_is_not_kept(view):
    """35 days of old blocks on the topic cost no memory."""
    put(view, until=NOW)

    assert len(view) == 0


def test_a_block_that_is_over_takes_an_earlier_one_with_it(view):
    """The later record says the truth also when it has ended already."""
    put(view)
    put(view, until=NOW - 1)

    assert view.ask(ALICE, "192.0.2.1", NOW) is Answer.OPEN


def test_blocks_leave_memory_after_their_end(view, clock):
    """Ended blocks are given back, the others stay, also one that was prolonged."""
    put(view, account="a@example.org", until=NOW + 5 * MINUTE_MS)
    put(view, account="b@example.org", until=NOW + 5 * MINUTE_MS)
    put(view, account="b@example.org", until=NOW + HOUR_MS)

    assert view.forget_ended(NOW + 4 * MINUTE_MS) == 0
    assert view.forget_ended(NOW + 7 * MINUTE_MS) == 1
    assert len(view) == 1
    assert view.ask("b@example.org", "192.0.2.1", NOW + 7 * MINUTE_MS) is Answer.DENIED


def test_a_clock_that_is_set_back_does_not_keep_ended_blocks(view):
    """What was found over, or not, at a later time says nothing."""
    assert view.forget_ended(NOW + 24 * HOUR_MS) == 0
    put(view, until=NOW + 2 * MINUTE_MS)

    assert view.forget_ended(NOW + 4 * MINUTE_MS) == 1


def test_many_blocks_that_end_together_leave_memory_in_small_parts(view):
    """A door that answers is not held up by them."""
    for number in range(2 * MOST_FORGOTTEN + 1):
        put(view, account=f"a{number}@example.org", until=NOW + MINUTE_MS)

    later = NOW + 3 * MINUTE_MS
    assert [view.forget_ended(later) for _ in range(4)] == [MOST_FORGOTTEN, MOST_FORGOTTEN, 1, 0]


def test_a_json_block_is_read_too(view):
    """What a provider's own tool may write as JSON denies like ours."""
    record = block(until=NOW + HOUR_MS)
    view.apply([(ALICE.encode(), orjson.dumps(json_form.to_json("Block", record)))])

    assert view.ask(ALICE, "192.0.2.1", NOW) is Answer.DENIED


@given(
    TEXT, TEXT, st.none() | TEXT, TEXT, st.integers(0, 2**62), st.integers(NOW + 1, 2**62), st.lists(TEXT, max_size=9)
)
def test_the_hand_written_reader_agrees_with_the_codec(key, reason, incident, actor, start, until, networks):
    """Whatever a Block holds, end and networks are those that the codec reads."""
    record = block(**{"id": key, "reason": reason, "incident": incident, "actor": actor, "from": start, "until": until,
                      "except_networks": networks})  # fmt: skip
    raw = CODEC.encode("Block", record)
    view = BlocksView(CODEC, lambda: NOW, pytest.fail)
    decoded = CODEC.decode("Block", raw)

    assert view._read(raw) == (decoded["until"], ",".join(decoded["except_networks"]).encode())


@given(st.integers(0, 400), st.binary(max_size=20))
def test_damaged_blocks_change_nothing_and_are_counted(length, tail):
    """A cut record, or one with garbage behind, never raises; a known block stays in force."""
    bad = []
    view = BlocksView(CODEC, lambda: NOW, bad.append)
    put(view)
    whole = CODEC.encode("Block", block(until=NOW + HOUR_MS, except_networks=["192.0.2.0/24"]))
    view.apply([(ALICE.encode(), whole[: min(length, len(whole) - 1)])])
    view.apply([(b"someone@example.org", whole[:10] + tail)])

    assert len(bad) in (1, 2)
    assert view.ask(ALICE, "203.0.113.1", NOW) is Answer.DENIED


def test_a_record_without_a_key_is_counted(view, bad):
    """Nobody can be denied by it."""
    view.apply([(None, CODEC.encode("Block", block(until=NOW + HOUR_MS)))])

    assert bad == ["no-key"]


class Registry:
    """A codec whose registry is away until it is told otherwise."""

    def __init__(self) -> None:
        self.there = threading.Event()
        self.asked = threading.Event()

    def decode(self, record, raw):
        self.asked.set()
        if not self.there.is_set():
            raise RegistryUnavailableError("the registry does not answer")
        return CODEC.decode(record, raw[5:])


def test_a_block_waits_for_the_schema_registry(clock, bad):
    """A block whose schema is unknown here is not passed over, or the account would stay open."""
    codec = Registry()
    view = BlocksView(codec, clock, bad.append)
    raw = b"\0\0\0\0\1" + CODEC.encode("Block", block(until=NOW + HOUR_MS))
    thread = threading.Thread(target=view.apply, args=([(ALICE.encode(), raw)],), daemon=True)

    thread.start()
    assert codec.asked.wait(60)
    codec.there.set()
    thread.join(60)

    assert view.ask(ALICE, "192.0.2.1", NOW) is Answer.DENIED
    assert bad == []


def test_closing_ends_the_wait_for_the_registry(clock, bad):
    """A stop does not hang on a registry that never comes back."""
    view = BlocksView(Registry(), clock, bad.append)
    view.close()
    view.apply([(ALICE.encode(), b"\0\0\0\0\1x")])

    assert bad == ["registry-unavailable"]


def test_every_released_block_schema_is_read_by_hand():
    """A new version that moves the fields would make loading slow unnoticed."""
    from streams.connectors.blocks_view import _headers_read_by_hand
    from streams.records import schemas

    assert _headers_read_by_hand() == {schema.header for schema in schemas.released()["Block"]}
    assert Codec().encode("Block", block())[: schemas.HEADER_BYTES] in _headers_read_by_hand()
