"""
The timeline of an incident: one lane per network, from its first login to its last, and the line of the limit.

Decision: lanes stand in the order in which their networks (or countries) came into the window. So the limit is one
horizontal line: what is above it the policy allows, what is below it is too many. Networks used long before reach the
left edge, as those of a thief never do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from streams.panel.pictures.axis import MINUTE_MS, Tick, place, time_ticks

MOST_LANES = 24
"""More are in the table; a picture higher than a screen explains nothing."""
WINDOWS_SHOWN = 3
"""How many windows after its opening an incident is drawn at most."""
SMALLEST_BAR = 4.0
"""A single login is a dot that can still be seen."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The measures of a timeline in units of its picture. `above`: labels stand over the bars, not left of them."""

    width: float
    lane: float
    bar: float
    left: float
    above: bool
    ticks: int
    head: float = 26.0
    foot: float = 30.0
    right: float = 12.0


WIDE = Layout(width=860, lane=30, bar=12, left=270, above=False, ticks=7)
NARROW = Layout(width=340, lane=44, bar=12, left=6, above=True, ticks=4)


@dataclass(frozen=True, slots=True)
class Lane:
    """
    One network. From `bar_x` it logged in, for `bar_width`; for `rest_width` after that it still counts.

    `top` is the lane's upper edge, `bar_y` its bar's. `before`, `after`: it began, or went on, outside of the picture.
    `over`: it stands below the limit.
    """

    network: Mapping[str, Any]
    top: float
    bar_y: float
    label_y: float
    bar_x: float
    bar_width: float
    rest_x: float
    rest_width: float
    before: bool
    after: bool
    over: bool


@dataclass(frozen=True, slots=True)
class Timeline:
    """A whole picture. `opened_x` is the instant at which the limit was exceeded, `limit_y` the line of the limit."""

    layout: Layout
    width: float
    height: float
    lanes: tuple[Lane, ...]
    ticks: tuple[Tick, ...]
    opened_x: float
    limit_y: float | None
    bottom: float
    left_out: int


def timeline(incident: Mapping[str, Any], layout: Layout = WIDE) -> Timeline:
    """The picture of an Incident record's networks over its window."""
    window_ms = incident["window"] * MINUTE_MS
    opened_ms = incident["opened"]
    since_ms = opened_ms - window_ms
    latest = max([opened_ms, *(network["last"] for network in incident["networks"])])
    until_ms = min(latest, opened_ms + WINDOWS_SHOWN * window_ms) + max(window_ms // 12, 1)
    ordered = ordered_networks(incident["networks"], since_ms)
    allowed = _allowed(ordered, incident["rule"], incident["limit"])
    shown = ordered[:MOST_LANES]
    span = _Span(since_ms, until_ms, window_ms, layout)
    lanes = tuple(span.lane(network, row, over=row >= allowed) for row, network in enumerate(shown))
    bottom = layout.head + layout.lane * len(lanes)
    return Timeline(
        layout=layout,
        width=layout.width,
        height=bottom + layout.foot,
        lanes=lanes,
        ticks=tuple(time_ticks(since_ms, until_ms, layout.left, span.right, layout.ticks)),
        opened_x=span.x(opened_ms),
        limit_y=layout.head + layout.lane * allowed if allowed < len(shown) else None,
        bottom=bottom,
        left_out=len(ordered) - len(shown),
    )


def ordered_networks(networks: Sequence[Mapping[str, Any]], since_ms: int) -> list[Mapping[str, Any]]:
    """Networks by the instant at which they came into the window; those that were there before it first."""
    return sorted(networks, key=lambda network: (max(network["first"], since_ms), network["first"]))


def _allowed(ordered: list[Mapping[str, Any]], rule: str, limit: int) -> int:
    """How many lanes stand above the line of the limit; for countries their networks are brought together first."""
    if rule != "countries":
        return limit
    first_seen = {network["country"]: row for row, network in reversed(list(enumerate(ordered)))}
    # an unknown country does not count as one, so its networks stand above the line
    ordered.sort(key=lambda network: -1 if network["country"] is None else first_seen[network["country"]])
    seen: set[str | None] = {None}
    for row, network in enumerate(ordered):
        seen.add(network["country"])
        if len(seen) - 1 > limit:
            return row
    return len(ordered)


@dataclass(frozen=True, slots=True)
class _Span:
    since_ms: int
    until_ms: int
    window_ms: int
    layout: Layout

    @property
    def right(self) -> float:
        return self.layout.width - self.layout.right

    def x(self, time_ms: int) -> float:
        return place(time_ms, self.since_ms, self.until_ms, self.layout.left, self.right)

    def lane(self, network: Mapping[str, Any], row: int, *, over: bool) -> Lane:
        layout = self.layout
        top = layout.head + layout.lane * row
        start, end = self.x(network["first"]), self.x(network["last"])
        width = max(end - start, SMALLEST_BAR)
        start = min(start, self.right - width)
        rest = max(self.x(network["last"] + self.window_ms) - start - width, 0.0)
        bar_y = top + layout.lane - layout.bar - 6 if layout.above else top + (layout.lane - layout.bar) / 2
        return Lane(
            network=network,
            top=top,
            bar_y=bar_y,
            label_y=top + 17 if layout.above else bar_y + layout.bar - 2,
            bar_x=start,
            bar_width=round(width, 1),
            rest_x=round(start + width, 1),
            rest_width=round(rest, 1),
            before=network["first"] < self.since_ms,
            after=network["last"] > self.until_ms,
            over=over,
        )
