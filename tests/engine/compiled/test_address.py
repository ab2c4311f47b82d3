"""Addresses read by compiled code are those that `parse_address` reads."""

from ipaddress import IPv4Address, IPv6Address

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.addresses import parse_address
from streams.core.refusal import Refused
from streams.engine.compiled.address import read_address

HALF = 64


def read(text: bytes, before: bytes = b"", behind: bytes = b"") -> int | None:
    """The number of an address between other bytes; None where it was declined."""
    data = np.frombuffer(before + text + behind, np.uint8)
    known, high, low = read_address(data, len(before), len(before) + len(text))
    return (high % (1 << HALF)) << HALF | low % (1 << HALF) if known else None


def reference(text: bytes) -> int | None:
    """What the slow way reads; None where it refuses."""
    try:
        return parse_address(text.decode())
    except (Refused, UnicodeDecodeError):
        return None


groups = st.one_of(st.just("0"), st.integers(0, 0xFFFF).map("{:x}".format), st.integers(0, 0xFFFF).map("{:04X}".format))
parts = st.one_of(st.integers(0, 255), st.integers(0, 1000)).map(str)
nearly = st.one_of(
    st.lists(parts, min_size=1, max_size=6).map(".".join),
    st.lists(groups, min_size=1, max_size=9).map(":".join),
    st.tuples(st.lists(groups, max_size=8), st.lists(groups, max_size=8)).map(
        lambda pair: "::".join(map(":".join, pair))
    ),
    st.text("0123456789abcdefF.:", max_size=45),
    st.text("01:.", max_size=20),
    st.text(max_size=20),
).map(lambda text: text.encode("utf-8", "surrogatepass"))
around = st.binary(max_size=3) | st.sampled_from([b"1", b".1", b":1", b"::"])


@given(text=nearly, before=around, behind=around)
@settings(deadline=None, max_examples=1000)
def test_what_is_read_is_what_the_slow_way_reads(text: bytes, before: bytes, behind: bytes) -> None:
    """Whatever stands around it; texts that are no address are declined."""
    number = read(text, before, behind)

    assert number is None or number == reference(text)
    assert number == read(text)


@given(st.one_of(st.integers(0, 2**128 - 1), st.lists(st.sampled_from([0, 0, 1, 0xFFFF]), min_size=8, max_size=8)))
@settings(deadline=None, max_examples=500)
def test_every_usual_spelling_of_ipv6_is_read(drawn: int | list[int]) -> None:
    """Short, in full, and in capitals."""
    number = drawn if isinstance(drawn, int) else sum(group << 16 * i for i, group in enumerate(drawn))
    address = IPv6Address(number)
    short = ":".join(f"{group:x}" for group in (number >> 112 - 16 * i & 0xFFFF for i in range(8)))

    for text in (str(address), address.exploded, address.exploded.upper(), short):
        expected = (
            None if "." in text else number
        )  # Python before 3.13 writes no dots; later ones do in mapped addresses
        assert read(text.encode()) == expected


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=500)
def test_every_ipv4_address_is_read(number: int) -> None:
    """As its IPv4-mapped address."""
    assert read(str(IPv4Address(number)).encode()) == 0xFFFF << 32 | number


@pytest.mark.parametrize(
    "text",
    ["", ".", ":", "::1::", "1:::2", "192.0.2", "192.0.2.1.", ".192.0.2.1", "192..2.1", "256.0.0.1", "192.0.2.01", "1.2.3.4.5", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "12345::", "::g", "fe80::1%eth0", "[::1]", "1:", ":1", "-1.0.0.0", "1e1.0.0.0"],
)  # fmt: skip
def test_what_is_no_address_is_declined(text: str) -> None:
    """The engine then says what is wrong with it."""
    assert reference(text.encode()) is None
    assert read(text.encode()) is None
