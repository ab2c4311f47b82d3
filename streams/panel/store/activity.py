"""How much happened hour by hour: what the plot on the home page shows."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from streams.panel.store.tables import HOURLY
from streams.panel.store.visible import Visible

HOUR_MS = 3_600_000
MOST_HOURS = 90 * 24
TOGETHER = ""
"""Where the domain would stand, in the rows of all domains together."""


@dataclass(frozen=True, slots=True)
class Hour:
    """
    One hour, beginning at `hour_ms`.

    `logins` are records on the topic `logins`, all domains together: None for readers who do not see everything.
    """

    hour_ms: int
    logins: int | None
    incidents: int
    blocks: int


def hourly(connection: Connection, visible: Visible, *, since_ms: int, until_ms: int) -> tuple[Hour, ...]:
    """Every hour that begins in the span (since inclusive, until exclusive), empty ones too; of a longer one the last 90 days."""
    c = HOURLY.c
    first = max(-(-since_ms // HOUR_MS) * HOUR_MS, until_ms - MOST_HOURS * HOUR_MS)
    whose = c.domain == TOGETHER if visible.everything else (c.domain > TOGETHER) & visible.domain(c.domain)
    query = (
        select(c.hour_ms, func.sum(c.logins), func.sum(c.incidents), func.sum(c.blocks))
        .where(c.hour_ms >= first, c.hour_ms < until_ms, whose)
        .group_by(c.hour_ms)
    )
    found = {
        hour: (int(logins), int(incidents), int(blocks))
        for hour, logins, incidents, blocks in connection.execute(query)
    }
    hours = []
    for hour in range(-(-first // HOUR_MS) * HOUR_MS, until_ms, HOUR_MS):
        logins, incidents, blocks = found.get(hour, (0, 0, 0))
        hours.append(Hour(hour, logins if visible.everything else None, incidents, blocks))
    return tuple(hours)
