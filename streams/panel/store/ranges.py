"""Networks of incidents by address: rows of `network` inside or around a network."""

from sqlalchemy import ColumnElement, Connection, and_, false, func, or_, select, tuple_

from streams.core.addresses import V4_OFFSET, Network
from streams.panel.store.tables import NETWORK

BITS = 128
V4_BITS = 32
WIDEST_V4 = V4_OFFSET + 8
WIDEST_V6 = 16
"""The widest networks that a policy can count by (`core.policy.LIMITS`)."""


def number_bytes(number: int) -> bytes:
    """An address as the column `start` has it, so that bytes compare as numbers do."""
    return number.to_bytes(BITS // 8)


def cidr(start: bytes, prefix: int) -> str:
    """The text of the network that a row is about."""
    return str(Network(int.from_bytes(start), prefix))


def inside(network: Network, *, indexed: bool = True) -> ColumnElement[bool]:
    """The condition that a row lies wholly within a network; not `indexed` where another condition leaves few rows."""
    last = network.number | ((1 << (BITS - network.prefix)) - 1)
    start = NETWORK.c.start if indexed else func.coalesce(NETWORK.c.start, b"")
    return and_(start.between(number_bytes(network.number), number_bytes(last)), NETWORK.c.prefix >= network.prefix)


def around(network: Network) -> ColumnElement[bool]:
    """The condition that a row contains a network and is wider; nothing wider than policies count by."""
    wider = range(WIDEST_V4 if network.is_v4 else WIDEST_V6, network.prefix)
    if not wider:
        return false()
    each = [(number_bytes(network.number >> (BITS - prefix) << (BITS - prefix)), prefix) for prefix in wider]
    return and_(NETWORK.c.start.in_([start for start, _ in each]), tuple_(NETWORK.c.start, NETWORK.c.prefix).in_(each))


def accounts_at(connection: Connection, network: Network, most: int) -> set[str] | None:
    """The accounts with a network that lies within this one, or contains it; None where rows of more than `most` do."""
    found: set[str] = set()
    for condition in (inside(network), around(network)):  # two queries, not one with OR: each has a range of the tree
        rows = connection.execute(select(NETWORK.c.account).where(condition).limit(most + 1)).scalars().all()
        if len(rows) > most:
            return None
        found.update(rows)
    return found


def has_one(network: Network, domain: ColumnElement[str], account: ColumnElement[str]) -> ColumnElement[bool]:
    """
    The condition that an account has such a network, for rows that are looked at one by one.

    A subquery with a limit, because databases would join one without: then they read all networks of the range first.
    """
    c = NETWORK.c
    fits = or_(inside(network, indexed=False), around(network))
    own = select(c.prefix).where(c.domain == domain, c.account == account, fits).correlate_except(NETWORK).limit(1)
    return own.scalar_subquery().is_not(None)
