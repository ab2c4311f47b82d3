"""Ranges that may be marked as safe."""

import pytest

from streams.core.addresses import parse_network
from streams.core.refusal import Refused
from streams.panel.pages.ranges import chosen, covered, ranges


def test_an_ipv4_address_is_offered_alone_in_ranges_up_to_22_and_17() -> None:
    """The ranges that the design names, the narrowest first, each as the network that it makes."""
    offered = ranges("203.0.113.77")

    assert [choice.prefix for choice in offered] == [32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 17]
    assert offered[0].network == "203.0.113.77/32"
    assert offered[-1].network == "203.0.0.0/17"
    assert (offered[0].addresses, offered[-1].addresses) == (1, 32_768)


def test_services_that_need_a_wide_range_are_named_beside_it() -> None:
    """Google fetches mail from a /17, myMail from a /22."""
    hints = {choice.prefix: choice.hint for choice in ranges("203.0.113.77") if choice.hint}

    assert hints == {22: "myMail", 17: "Google"}


def test_an_ipv6_address_is_offered_from_64_to_32() -> None:
    """Nobody has less than a /64, and no provider more than a /32."""
    offered = ranges("2001:db8:1:2:3::4")

    assert [offered[0].network, offered[-1].network] == ["2001:db8:1:2::/64", "2001:db8::/32"]
    assert all(32 <= choice.prefix <= 64 for choice in offered)


def test_a_mapped_address_is_offered_the_ranges_of_ipv4() -> None:
    """One client seen in two notations is one."""
    assert ranges("::ffff:192.0.2.1")[0].network == "192.0.2.1/32"


@pytest.mark.parametrize("prefix", [0, 16, 18, 21, 33, 128, -1])
def test_a_range_that_is_not_offered_is_refused(prefix: int) -> None:
    """A form that was tampered with cannot mark half the internet."""
    with pytest.raises(Refused):
        chosen("192.0.2.1", prefix)


@pytest.mark.parametrize("text", ["", "example.org", "192.0.2.1/24", "<script>", "1.2.3.4, 5.6.7.8"])
def test_what_is_no_address_has_no_ranges(text: str) -> None:
    """The address comes from a form."""
    with pytest.raises(Refused):
        ranges(text)


def test_a_range_covers_listed_networks_that_lie_wholly_in_it() -> None:
    """A network that reaches beyond the range stays counted, so it is not promised."""
    listed = [{"network": name} for name in ("192.0.2.0/24", "192.0.0.0/15", "192.0.3.7/32", "2001:db8::/64")]

    assert [item["network"] for item in covered(parse_network("192.0.2.0/23"), listed)] == [
        "192.0.2.0/24",
        "192.0.3.7/32",
    ]
