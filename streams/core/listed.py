"""
The members of an incident in their order, ready to be stored and shown.

A thief's next login adds one to many. So what stands in the packed state of each, and in the evidence, is kept beside it.
"""

from bisect import bisect_left
from collections.abc import Iterable
from typing import Any

from streams.core.addresses import Network, Order
from streams.core.values import Part


class Listed:
    """Some networks, in order. `changed` are those of them that `show` shall be told of again."""

    __slots__ = ("_orders", "_shown", "_texts", "changed")

    def __init__(self, networks: Iterable[Network]) -> None:
        ordered = sorted(networks, key=lambda network: network.order)
        self._orders: list[Order] = [network.order for network in ordered]
        self._texts = [network_json(network) for network in ordered]
        self._shown: list[Part | None] = [None] * len(ordered)
        self.changed = set(ordered)

    def add(self, networks: Iterable[Network]) -> None:
        """More networks, none of them listed yet."""
        for network in networks:
            order = network.order
            place = bisect_left(self._orders, order)
            self._orders.insert(place, order)
            self._texts.insert(place, network_json(network))
            self._shown.insert(place, None)
            self.changed.add(network)

    def show(self, network: Network, part: Part) -> None:
        """How the evidence shows a listed network now."""
        self._shown[bisect_left(self._orders, network.order)] = part
        self.changed.discard(network)

    def shown(self) -> list[Part]:
        """All as the evidence shows them."""
        return [part for part in self._shown if part is not None]

    def json(self) -> bytes:
        """All as a list in JSON."""
        return b"[%b]" % b",".join(self._texts)


def network_json(network: Network) -> bytes:
    """
    A network in the tail of a packed state.

    >>> network_json(Network(255, 128))
    b'["ff",128]'
    """
    return b'["%x",%d]' % network


def network_from_json(value: list[Any]) -> Network:
    """The network of such a list."""
    return Network(int(value[0], 16), value[1])
