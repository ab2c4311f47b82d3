"""Round steps of time and of numbers, for the ticks beside a picture."""

from datetime import UTC, datetime
from typing import NamedTuple

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
STEPS_MS = (
    MINUTE_MS,
    2 * MINUTE_MS,
    5 * MINUTE_MS,
    10 * MINUTE_MS,
    15 * MINUTE_MS,
    30 * MINUTE_MS,
    HOUR_MS,
    2 * HOUR_MS,
    3 * HOUR_MS,
    6 * HOUR_MS,
    12 * HOUR_MS,
    DAY_MS,
    2 * DAY_MS,
    5 * DAY_MS,
    10 * DAY_MS,
    30 * DAY_MS,
)
"""Steps that a reader counts without a pencil."""


class Tick(NamedTuple):
    """A mark on an axis: where (in units of the picture), and what stands there."""

    at: float
    label: str


def time_ticks(since_ms: int, until_ms: int, left: float, right: float, most: int) -> list[Tick]:
    """
    Marks at round times (UTC) of a span that is drawn from `left` to `right`, at most `most` of them.

    Where a step is shorter than a day the labels are times of day, with the date where it begins; else dates.
    """
    step = next((step for step in STEPS_MS if (until_ms - since_ms) // step < most), STEPS_MS[-1])
    ticks, day = [], ""
    for time_ms in range(-(-since_ms // step) * step, until_ms + 1, step):
        moment = datetime.fromtimestamp(time_ms / 1000, UTC)
        date = f"{moment:%m-%d}"
        label = date if step >= DAY_MS else f"{moment:%H:%M}" if date == day else f"{moment:%m-%d %H:%M}"
        day = date
        ticks.append(Tick(place(time_ms, since_ms, until_ms, left, right), label))
    return ticks


def number_ticks(highest: int, top: float, bottom: float) -> list[Tick]:
    """
    Marks at round numbers from 0 to at least `highest`, drawn from `bottom` up to `top`.

    >>> [tick.label for tick in number_ticks(7, 0, 100)]
    ['0', '5', '10']
    """
    size = 1
    while True:
        for factor in (1, 2, 5):
            step = factor * size
            if step * 3 >= highest:
                count = max(1, -(-highest // step))
                return [
                    Tick(place(number, 0, count * step, bottom, top), f"{number:,}".replace(",", "\u202f"))
                    for number in range(0, count * step + 1, step)
                ]
        size *= 10


def place(value: float, least: float, most: float, start: float, end: float) -> float:
    """
    Where a value of the span `least` to `most` stands between `start` and `end`; values outside stand at the edge.

    >>> place(5, 0, 10, 100, 200)
    150.0
    """
    share = (value - least) / (most - least) if most > least else 0.0
    return round(start + min(1.0, max(0.0, share)) * (end - start), 1)
