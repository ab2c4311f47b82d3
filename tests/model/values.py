"""
The values of the model: accounts, addresses, networks, ids, times.

All times are integer milliseconds since the epoch, UTC.
"""

import json
import re
import unicodedata
import uuid
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import idna

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MINUTE_MS = 60_000
QUARTER_MS = 15 * MINUTE_MS
DAY_MS = 24 * 60 * MINUTE_MS
SKEW_MS = 5 * MINUTE_MS
KEPT_MS = 30 * DAY_MS
MAPPED = IPv6Network("::ffff:0:0/96")
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "loginwatch")


class Wrong(ValueError):  # noqa: N818 - it is an answer, not a fault
    """A value from outside that is refused: the record becomes a dead letter."""


def canonical_account(name: object, default_domain: str) -> str:
    """Split at the last `@`; NFC, then lower case; the domain in its ASCII form, one trailing dot dropped."""
    if not isinstance(name, str):
        raise Wrong("no account")
    local, at, domain = name.strip().rpartition("@")
    if not at:
        local, domain = domain, default_domain
    local = unicodedata.normalize("NFC", local).lower()
    if not local or not domain:
        raise Wrong("no local part, or no domain")
    return f"{local}@{canonical_domain(domain)}"


def canonical_domain(domain: str) -> str:
    """IDNA 2008 (UTS 46, non-transitional), one trailing dot dropped."""
    try:
        return idna.encode(domain.removesuffix("."), uts46=True, transitional=False).decode().lower()
    except (idna.IDNAError, UnicodeError) as error:
        raise Wrong(str(error)) from error


def canonical_address(text: object) -> Address:
    """An address without zone, bracket or port; an IPv4-mapped one is IPv4, and only `::ffff:0:0/96` is mapped."""
    if not isinstance(text, str) or "%" in text:
        raise Wrong("no address")
    try:
        address = ip_address(text)
    except ValueError as error:
        raise Wrong(str(error)) from error
    if isinstance(address, IPv6Address) and address in MAPPED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def canonical_cidr(text: object) -> Network:
    """CIDRs are masked; mapped ones are converted."""
    if not isinstance(text, str) or "%" in text:
        raise Wrong("no network")
    try:
        network = ip_network(text, strict=False)
    except ValueError as error:
        raise Wrong(str(error)) from error
    if isinstance(network, IPv6Network) and network.subnet_of(MAPPED):
        return IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
    return network


def network_of(address: Address, ipv4_prefix: int, ipv6_prefix: int) -> Network:
    """What is counted as one IP: the address cut to the policy's prefix."""
    prefix = ipv4_prefix if address.version == 4 else ipv6_prefix
    return ip_network((address, prefix), strict=False)


def by_version_and_number(network: Network) -> tuple[int, int, int]:
    """The order in which networks are listed; the smaller address is the lesser one."""
    return network.version, int(network.network_address), network.prefixlen


def wholly_inside(network: Network, cidr: Network) -> bool:
    """Does the CIDR contain every address of the network?"""
    return network.version == cidr.version and network.subnet_of(cidr)  # type: ignore[arg-type]


def derived_id(*name: object) -> str:
    """UUIDv5 over JSON: the same records give the same ids wherever they are read."""
    return str(uuid.uuid5(NAMESPACE, json.dumps(list(name), separators=(",", ":"), ensure_ascii=False)))


def canonical_scope(scope: object) -> str:
    """Scopes use the same form as accounts and domains; group paths are case-sensitive."""
    if not isinstance(scope, str):
        raise Wrong("no scope")
    kind, _, name = scope.strip().partition(":")
    if kind == "everyone" and not name:
        return "everyone"
    if kind == "group" and re.fullmatch(r"[^/]+(/[^/]+)*", name):
        return f"group:{name}"
    if kind == "domain" and name:
        return f"domain:{canonical_domain(name)}"
    if kind == "account":
        return f"account:{canonical_account(name, '')}"
    raise Wrong("no such scope")


@dataclass(frozen=True)
class Seen:
    """A successful login as it was when it was read, with the outcome it had then. Nothing of it is changed later."""

    number: int
    """Its place in the order of reading, from 0."""
    time: int
    """Its judged time: after the skew clamp, which replaces `time` in all that is kept, listed or hashed."""
    address: Address
    network: Network
    country: str | None
    service: str
    counted: bool
    in_block: bool
    """Made during a block: such a login gives its network no familiar day."""

    @property
    def day(self) -> int:
        """Its UTC day, in days since the epoch."""
        return self.time // DAY_MS
