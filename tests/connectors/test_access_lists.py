"""The lists in memory: what is found for a client, in which order, how long, and what is refused."""

import doctest
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.connectors import access_lists
from streams.connectors.access_lists import AccessLists, Entry, Subject, read_entry
from streams.core.addresses import Network, contains, parse_address, parse_network
from streams.core.refusal import Refused
from streams.records.codec import Codec

NOW = 1_767_600_000_000
CODEC = Codec()


def entry(listed="blacklist", network=None, account=None, *, seconds=60, reason="why"):
    subject = Subject(None if network is None else parse_network(network), account)
    return Entry(listed, subject, reason, "a test", NOW, NOW + seconds * 1000)


def lists(*entries, bad=None):
    made = AccessLists(CODEC, "", (bad if bad is not None else []).append)
    made.apply((one.key, CODEC.encode("AccessEntry", one.record())) for one in entries)
    return made


def found(made, listed, address, account, now=NOW):
    one = made.find(listed, address and parse_address(address), account, now)
    return one and one.subject.kind


def test_the_examples_in_the_docstrings_hold():
    """Every doctest of the module runs and there is at least one."""
    assert doctest.testmod(access_lists) == (0, 1)


@pytest.mark.parametrize(
    ("network", "address", "expected"),
    [
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.8", False),
        ("192.0.2.0/24", "192.0.2.255", True),
        ("192.0.2.0/24", "192.0.3.0", False),
        ("192.0.2.0/24", "::ffff:192.0.2.9", True),
        ("::ffff:192.0.2.0/120", "192.0.2.9", True),
        ("0.0.0.0/0", "203.0.113.1", True),
        ("0.0.0.0/0", "2001:db8::1", False),
        ("::/0", "192.0.2.7", False),
        ("::/0", "2001:db8::1", True),
        ("2001:db8::/32", "2001:db8:ffff::1", True),
        ("2001:db8::/32", "2001:db9::1", False),
    ],
)
def test_a_network_holds_its_addresses_and_no_others(network, address, expected):
    """By prefix, mapped addresses as IPv4, the families apart."""
    assert found(lists(entry(network=network)), "blacklist", address, "a@example.org") == ("ip" if expected else None)


def test_the_address_is_asked_before_the_account_before_both():
    """weakforced's order; the narrowest network names the reason."""
    made = lists(
        entry(network="192.0.2.7", account="a@example.org"),
        entry(account="a@example.org"),
        entry(network="192.0.2.0/24", reason="wide"),
        entry(network="192.0.2.4/30", reason="narrow"),
    )

    assert made.find("blacklist", parse_address("192.0.2.7"), "a@example.org", NOW).reason == "narrow"
    assert found(made, "blacklist", "198.51.100.1", "a@example.org") == "login"
    assert found(made, "whitelist", "192.0.2.7", "a@example.org") is None
    assert (
        found(lists(entry(network="192.0.2.7", account="a@example.org")), "blacklist", "192.0.2.7", "a@example.org")
        == "iplogin"
    )
    assert (
        found(lists(entry(network="192.0.2.7", account="a@example.org")), "blacklist", "192.0.2.7", "b@example.org")
        is None
    )
    assert found(lists(entry(network="192.0.2.7", account="a@example.org")), "blacklist", None, "a@example.org") is None


def test_an_entry_holds_until_it_expires_and_a_wider_one_longer():
    """Its last millisecond is the one before its expiry; a narrower entry that is over hides no wider one."""
    made = lists(entry(network="192.0.2.7", seconds=10), entry(network="192.0.2.0/24", seconds=20))

    for after_ms, expected in ((9_999, "ip"), (10_000, "ip"), (19_999, "ip"), (20_000, None)):
        assert found(made, "blacklist", "192.0.2.7", None, NOW + after_ms) == expected
    assert [one.expires_ms - NOW for one in made.entries("blacklist", NOW + 10_000)] == [20_000]
    assert len(made.expired(NOW + 15_000)) == 1
    assert (len(made), made.in_force(NOW + 15_000)) == (2, 1)


def test_a_later_record_replaces_and_a_tombstone_removes():
    """As on the compacted topic: the last record of a key wins."""
    first, second = entry(network="192.0.2.0/24", seconds=10), entry(network="192.0.2.0/24", seconds=99, reason="new")
    made = lists(first, second)
    assert made.find("blacklist", parse_address("192.0.2.1"), None, NOW).reason == "new"

    made.apply([(first.key, None), (b"blacklist 198.51.100.0/24", None)])

    assert found(made, "blacklist", "192.0.2.1", None) is None
    assert (len(made), made.entries("blacklist", NOW)) == (0, [])


def test_all_black_list_entries_of_an_account_are_known():
    """From everywhere and from single addresses, as they come, are renewed, expire and go."""
    alice = [entry(account="a@example.org"), entry(network="192.0.2.7", account="a@example.org", seconds=10)]
    white = entry("whitelist", network="192.0.2.9", account="a@example.org")
    made = lists(*alice, *alice, white, entry(account="b@example.org"), entry(network="192.0.2.7"))

    assert made.about("a@example.org", NOW) == alice
    assert made.about("a@example.org", NOW + 10_000) == alice[:1]
    made.apply((one.key, None) for one in alice)
    assert made.about("a@example.org", NOW) == []
    assert made.about("nobody@example.org", NOW) == []


def test_what_cannot_be_read_changes_nothing_and_is_counted():
    """A record without key, of another key, of another form, of nothing."""
    bad = []
    good = entry(account="a@example.org")
    made = lists(good, bad=bad)
    raw = CODEC.encode("AccessEntry", good.record())
    nothing = CODEC.encode("AccessEntry", good.record() | {"account": None})
    both = CODEC.encode("AccessEntry", entry(network="192.0.2.0/24", account="a@example.org").record())

    made.apply([(None, raw), (b"blacklist b@example.org", raw), (good.key, b"?"), (b"x", nothing), (b"x", both)])

    assert len(bad) == 5
    assert {"no-key", "bad-key", "bad-entry"} <= set(bad)
    assert made.entries("blacklist", NOW) == [good]


def test_who_waits_for_a_record_is_told_after_it_was_applied():
    """Also for a tombstone; nobody is told twice, or of another value."""
    made, told = lists(), []
    one = entry(account="a@example.org")
    raw = CODEC.encode("AccessEntry", one.record())
    made.expect(one.key, raw, lambda: told.append(len(made)))
    made.expect(one.key, None, lambda: told.append(len(made)))

    for value in (CODEC.encode("AccessEntry", one.record() | {"reason": "other"}), raw, raw, None, None):
        made.apply([(one.key, value)])

    assert told == [1, 0]


NETWORKS = st.builds(
    lambda number, prefix, v4: (
        Network((0xFFFF << 32) | (number & 0xFFFFFFFF) >> 8 - prefix % 9 << 8 - prefix % 9, 120 + prefix % 9)
        if v4
        else Network(number >> 128 - prefix << 128 - prefix, prefix)
    ),
    st.integers(0, 2**128 - 1),
    st.integers(1, 127),
    st.booleans(),
).filter(lambda network: network.is_v4 or network.number >> 32 != 0xFFFF)


@given(
    st.lists(NETWORKS, max_size=8, unique=True),
    st.lists(st.integers(0, 7), max_size=4),
    st.integers(0, 7),
    st.integers(0, 255),
)
def test_looking_up_finds_what_searching_finds(networks, dropped, which, offset):
    """Against a plain search through all networks, after some came and went."""
    entries = [entry(network=str(network)) for network in networks]
    made = lists(*entries)
    gone = {entries[number].key for number in dropped if number < len(entries)}
    made.apply((key, None) for key in gone)
    address = networks[which].number + offset if which < len(networks) else parse_address("192.0.2.1")
    address = min(address, 2**128 - 1)

    covering = [one for one in entries if one.key not in gone and contains(one.subject.network, Network(address, 128))]

    best = max(covering, key=lambda one: one.subject.network.prefix, default=None)
    assert made.find("blacklist", address, None, NOW) == best


def test_reading_while_another_thread_applies():
    """Nothing breaks, and what stays on the list is always found."""
    stays = entry(network="192.0.2.7")
    made = lists(stays)
    come_and_go = [entry(network=f"192.0.2.0/{prefix}") for prefix in range(24, 32)]
    records = [(one.key, CODEC.encode("AccessEntry", one.record())) for one in come_and_go]
    done = threading.Event()

    def change():
        for _ in range(200):
            made.apply(records)
            made.apply((key, None) for key, _ in records)
        done.set()

    thread = threading.Thread(target=change, daemon=True)
    thread.start()
    while not done.is_set():
        assert made.find("blacklist", parse_address("192.0.2.7"), None, NOW) == stays
        made.entries("blacklist", NOW)
    thread.join(60)
    assert len(made) == 1


@given(st.dictionaries(st.sampled_from(("network", "account")), st.none() | st.text(max_size=30)))
def test_any_text_makes_an_entry_under_its_own_key_or_is_refused(fields):
    """Fuzz: what is read has the canonical key of what it says."""
    record = {**entry(account="a@example.org").record(), "network": None, "account": None, **fields}
    try:
        one = read_entry(record)
    except Refused:
        return
    assert read_entry(one.record()).key == one.key
