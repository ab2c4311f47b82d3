"""Networks of incidents by address: rows of `network` inside or around a network."""

from sqlalchemy import ColumnElement, CompoundSelect, Select, and_, select, tuple_

from streams.core.addresses import V4_OFFSET, Network
from streams.panel.store.tables import NETWORK

BITS = 128
WIDEST_V4 = V4_OFFSET + 8
WIDEST_V6 = 16
"""The widest networks that a policy can count by (`core.policy.LIMITS`)."""


def number_bytes(number: int) -> bytes:
    """An address as the column `start` has it, so that bytes compare as numbers do."""
    return number.to_bytes(BITS // 8)


def inside(network: Network) -> ColumnElement[bool]:
    """The condition that a row lies wholly within a network."""
    last = network.number | ((1 << (BITS - network.prefix)) - 1)
    within = NETWORK.c.start.between(number_bytes(network.number), number_bytes(last))
    return and_(within, NETWORK.c.prefix >= network.prefix)


def accounts_at(network: Network) -> CompoundSelect[str] | Select[str]:
    """The accounts with a network that lies within this one, or contains it."""
    within = select(NETWORK.c.account).where(inside(network))
    wider = range(WIDEST_V4 if network.is_v4 else WIDEST_V6, network.prefix)
    if not wider:
        return within
    around = [(number_bytes(network.number >> (BITS - prefix) << (BITS - prefix)), prefix) for prefix in wider]
    # two queries, not one with OR: each has a range of the index
    containing = tuple_(NETWORK.c.start, NETWORK.c.prefix).in_(around)
    starts = NETWORK.c.start.in_([start for start, _ in around])
    return within.union(select(NETWORK.c.account).where(starts, containing))
