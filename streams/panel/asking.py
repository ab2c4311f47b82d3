"""Somebody who asks for something, whichever way: a visit of a page and a call of the API are both one."""

from typing import TYPE_CHECKING, Protocol

from streams.panel.rights import Reader
from streams.panel.words import Words

if TYPE_CHECKING:
    from streams.panel.panel import Panel


class Asking(Protocol):
    """Who asks, where, when, and in which language the answer is."""

    @property
    def panel(self) -> "Panel":
        """The panel that is asked."""

    @property
    def reader(self) -> Reader:
        """Who asks."""

    @property
    def words(self) -> Words:
        """The texts of the answer."""

    @property
    def now_ms(self) -> int:
        """When."""

    @property
    def address(self) -> str:
        """Where the request came from."""

    @property
    def query(self) -> str:
        """The query of its address, as it came."""
