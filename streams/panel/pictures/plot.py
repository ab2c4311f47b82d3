"""Logins, incidents and blocks over the last days: one line above, two rows of bars below, on one axis of days."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from streams.panel.pictures.axis import Tick, number_ticks, place


class Day(NamedTuple):
    """What was counted on one UTC day, which began at `start_ms`. None = not known, which is not the same as none."""

    start_ms: int
    logins: int | None
    incidents: int
    blocks: int


@dataclass(frozen=True, slots=True)
class Measures:
    """The measures of a plot in units of its picture."""

    width: float
    left: float
    labels: int
    line_height: float = 96.0
    bars_height: float = 64.0
    head: float = 14.0
    gap: float = 34.0
    foot: float = 24.0
    right: float = 10.0


WIDE = Measures(width=860, left=64, labels=14)
NARROW = Measures(width=340, left=62, labels=4)


@dataclass(frozen=True, slots=True)
class Bars:
    """One day in the lower part: `x` is the middle of the day, heights and tops of its two bars."""

    day: Day
    date: str
    x: float
    incidents_x: float
    incidents_y: float
    incidents_height: float
    blocks_x: float
    blocks_y: float
    blocks_height: float


@dataclass(frozen=True, slots=True)
class Plot:
    """A whole picture. `line` and `area` are points of a polyline and a polygon, `base` the zero of each part."""

    measures: Measures
    width: float
    height: float
    line: tuple[str, ...]
    area: tuple[str, ...]
    dots: tuple[tuple[float, float], ...]
    days: tuple[Bars, ...]
    bar_width: float
    labels: tuple[Tick, ...]
    login_ticks: tuple[Tick, ...]
    case_ticks: tuple[Tick, ...]
    login_base: float
    case_base: float


def plot(days: Sequence[Day], measures: Measures = WIDE) -> Plot:
    """The picture of some days, oldest first. Days whose logins are not known break the line; if none are, it has no room."""
    known = any(day.logins is not None for day in days)
    login_base = measures.head + (measures.line_height if known else 0)
    case_top = login_base + (measures.gap if known else 0)
    case_base = case_top + measures.bars_height
    slot = (measures.width - measures.left - measures.right) / max(len(days), 1)
    middles = [round(measures.left + slot * (number + 0.5), 1) for number in range(len(days))]
    login_ticks = number_ticks(max((day.logins or 0 for day in days), default=0), measures.head, login_base)
    case_ticks = number_ticks(max((max(day.incidents, day.blocks) for day in days), default=0), case_top, case_base)
    highest = _number(login_ticks[-1])
    runs = _runs(
        [
            None if day.logins is None else (x, place(day.logins, 0, highest, login_base, measures.head))
            for day, x in zip(days, middles, strict=True)
        ]
    )
    every = -(-len(days) // measures.labels) if days else 1
    return Plot(
        measures=measures,
        width=measures.width,
        height=case_base + measures.foot,
        line=tuple(" ".join(f"{x},{y}" for x, y in run) for run in runs if len(run) > 1),
        area=tuple(
            " ".join(f"{x},{y}" for x, y in [(run[0][0], login_base), *run, (run[-1][0], login_base)])
            for run in runs
            if len(run) > 1
        ),
        dots=tuple(point for run in runs for point in run),
        days=tuple(
            _bars(day, x, slot, _number(case_ticks[-1]), case_top, case_base)
            for day, x in zip(days, middles, strict=True)
        ),
        bar_width=round(slot * 0.3, 1),
        # the last day always has its label: it is today
        labels=tuple(
            Tick(x, _date(day))
            for number, (day, x) in enumerate(zip(days, middles, strict=True))
            if (len(days) - 1 - number) % every == 0
        ),
        login_ticks=tuple(login_ticks) if known else (),
        case_ticks=tuple(case_ticks),
        login_base=login_base,
        case_base=case_base,
    )


def _bars(day: Day, x: float, slot: float, highest: int, top: float, base: float) -> Bars:
    width = slot * 0.3
    incidents_y = place(day.incidents, 0, highest, base, top)
    blocks_y = place(day.blocks, 0, highest, base, top)
    return Bars(
        day=day,
        date=_date(day),
        x=x,
        incidents_x=round(x - width - 0.5, 1),
        incidents_y=incidents_y,
        incidents_height=round(base - incidents_y, 1),
        blocks_x=round(x + 0.5, 1),
        blocks_y=blocks_y,
        blocks_height=round(base - blocks_y, 1),
    )


def _runs(points: Sequence[tuple[float, float] | None]) -> list[list[tuple[float, float]]]:
    """Points that follow each other without a gap."""
    runs: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if point is not None:
            runs[-1].append(point)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _date(day: Day) -> str:
    return f"{datetime.fromtimestamp(day.start_ms / 1000, UTC):%m-%d}"


def _number(tick: Tick) -> int:
    return int(tick.label.replace("\u202f", ""))
