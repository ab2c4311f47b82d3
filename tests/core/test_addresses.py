"""Addresses and networks: one truth table for both families."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.addresses import Network, contains, cut, format_address, parse_address, parse_network
from streams.core.refusal import Refused


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:c000:201", "192.0.2.1"),
        ("0.0.0.0", "0.0.0.0"),
        ("255.255.255.255", "255.255.255.255"),
        ("127.0.0.1", "127.0.0.1"),
        ("::", "::"),
        ("::1", "::1"),
        ("2001:DB8:0:0::0001", "2001:db8::1"),
        ("::192.0.2.1", "::c000:201"),
        ("64:ff9b::192.0.2.1", "64:ff9b::c000:201"),
        ("2002:c000:201::", "2002:c000:201::"),
    ],
)
def test_an_address_has_one_canonical_form(text: str, canonical: str) -> None:
    """Only the mapped range is IPv4; other forms that embed an IPv4 address stay IPv6."""
    assert format_address(parse_address(text)) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "192.0.2",
        "192.0.2.256",
        "192.0.2.01",
        " 192.0.2.1",
        "192.0.2.1:25",
        "[2001:db8::1]",
        "[2001:db8::1]:25",
        "fe80::1%eth0",
        "2001:db8::1/64",
        "example.org",
        "1" * 10_000,
        "192.0.2.1\x00",
        "\u0661\u0669\u0662.\u0660.\u0662.\u0661",
        "unknown",
    ],
)
def test_what_is_not_a_bare_address_is_refused_with_a_reason(text: str) -> None:
    """Zones, brackets, ports, names and garbage are not addresses; nothing is asked of DNS."""
    with pytest.raises(Refused) as refused:
        parse_address(text)

    assert refused.value.reason == "bad-address"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("192.0.2.77/24", "192.0.2.0/24"),
        ("192.0.2.77", "192.0.2.77/32"),
        ("::ffff:192.0.2.77/120", "192.0.2.0/24"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::ffff:0:0/95", "::fffe:0:0/95"),
        ("2001:db8::5/48", "2001:db8::/48"),
        ("2001:db8::5", "2001:db8::5/128"),
        ("::/0", "::/0"),
    ],
)
def test_a_network_is_masked_and_a_mapped_one_is_ipv4(text: str, canonical: str) -> None:
    """What people type becomes the one key of that network."""
    assert str(parse_network(text)) == canonical


@pytest.mark.parametrize(
    "text", ["", "/", "192.0.2.0/33", "2001:db8::/129", "192.0.2.0/255.255.255.0", "192.0.2.0/", "a/8", "::1%1/64"]
)
def test_what_is_not_a_network_is_refused(text: str) -> None:
    """The sentence shows what was given."""
    with pytest.raises(Refused) as refused:
        parse_network(text)

    assert refused.value.reason == "bad-network"


@pytest.mark.parametrize(
    ("outer", "inner", "answer"),
    [
        ("192.0.2.0/24", "192.0.2.7/32", True),
        ("192.0.2.0/24", "192.0.3.7/32", False),
        ("192.0.2.0/24", "192.0.0.0/16", False),
        ("192.0.2.7/32", "192.0.2.7/32", True),
        ("0.0.0.0/0", "192.0.2.7/32", True),
        ("0.0.0.0/0", "2001:db8::/64", False),
        ("::/0", "192.0.2.7/32", False),
        ("::/0", "2001:db8::/64", True),
        ("2001:db8::/32", "2001:db8:1::/64", True),
    ],
)
def test_a_network_contains_only_what_lies_wholly_in_it(outer: str, inner: str, answer: bool) -> None:
    """The families never contain each other."""
    assert contains(parse_network(outer), parse_network(inner)) is answer


@given(st.integers(0, 2**32 - 1), st.integers(8, 32))
def test_cutting_ipv4_agrees_with_the_standard_library(number: int, prefix: int) -> None:
    """A counted network is what `ipaddress` says it is."""
    address = ipaddress.IPv4Address(number)

    network = cut(parse_address(str(address)), prefix, 64)

    assert str(network) == str(ipaddress.IPv4Network((number, prefix), strict=False))


@given(st.integers(0, 2**128 - 1).filter(lambda number: number >> 32 != 0xFFFF), st.integers(16, 128))
def test_cutting_ipv6_agrees_with_the_standard_library(number: int, prefix: int) -> None:
    """The same for IPv6."""
    network = cut(parse_address(str(ipaddress.IPv6Address(number))), 32, prefix)

    expected = ipaddress.IPv6Network((number, prefix), strict=False)
    assert network == Network(int(expected.network_address), prefix)


groups = st.one_of(
    st.sampled_from(["", "0", "00", "1", "ffff", "FFFF", "00001", "g", "192.0.2.1", "1.2.3"]), st.text(max_size=3)
)
texts = st.one_of(
    st.lists(groups, min_size=1, max_size=9).map(":".join),
    st.lists(st.one_of(st.integers(0, 300).map(str), groups), min_size=2, max_size=5).map(".".join),
    st.ip_addresses().map(str),
    st.text(max_size=20),
)


@given(texts)
def test_what_is_read_as_an_address_is_what_the_standard_library_reads(text: str) -> None:
    """The C library's converters are faster, and must neither read more nor less."""
    try:
        expected = int(ipaddress.IPv6Address(text)) if ":" in text else int(ipaddress.IPv4Address(text)) | 0xFFFF << 32
    except ValueError:
        expected = None
    if "%" in text:
        expected = None

    try:
        assert parse_address(text) == expected
    except Refused:
        assert expected is None


@given(
    st.lists(st.sampled_from([0, 0, 0, 1, 0xFFFF, 0x102, 0xC000]), min_size=8, max_size=8),
    st.sampled_from([0, 0, 16, 32, 48, 64, 80, 96, 112]),
)
def test_an_address_is_written_as_the_standard_library_writes_it(words: list[int], shift: int) -> None:
    """The C library writes some addresses with an IPv4 address at the end, of which there must be one form only."""
    number = int.from_bytes(b"".join(word.to_bytes(2, "big") for word in words), "big") >> shift

    plain = ipaddress.IPv4Address(number & 0xFFFFFFFF) if number >> 32 == 0xFFFF else ipaddress.IPv6Address(number)
    assert format_address(number) == str(plain)
