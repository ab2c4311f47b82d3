"""Home: what waits for somebody, how the last days were, and whether the pipeline is well."""

from collections.abc import Iterable

from starlette.responses import Response

from streams.panel.pages.likely import likelihood
from streams.panel.pages.pipeline import signs
from streams.panel.pages.sentences import briefly
from streams.panel.pages.verdicts import VERDICTS
from streams.panel.pictures import plot as plots
from streams.panel.rights import Right
from streams.panel.store import activity, incidents
from streams.panel.web import Pages, Visit

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
DAYS = 14
FIRST_ONES = 5
LATEST = 20

pages = Pages()


@pages.get("/", right=Right.READ)
def home(visit: Visit) -> Response:
    """The first page after signing in."""
    visible, now_ms = visit.reader.visible, visit.now_ms
    today_ms = now_ms // DAY_MS * DAY_MS
    with visit.panel.store.reading() as connection:
        counts = incidents.counts(connection, visible, now_ms=now_ms, today_ms=today_ms)
        wanted = incidents.Wanted(status="unreviewed", sort="likeliest")
        first = incidents.listed(connection, visible, wanted, now_ms=now_ms, size=FIRST_ONES)
        latest = incidents.listed(connection, visible, incidents.Wanted(), now_ms=now_ms, size=LATEST)
        hours = activity.hourly(
            connection, visible, since_ms=today_ms - (DAYS - 1) * DAY_MS, until_ms=now_ms // HOUR_MS * HOUR_MS + HOUR_MS
        )
    days = by_day(hours)
    return visit.page(
        "pages/home.html",
        counts=counts,
        first=first.rows,
        days=days,
        pictures=[("wide", plots.plot(days, plots.WIDE)), ("narrow", plots.plot(days, plots.NARROW))],
        knows_logins=any(day.logins is not None for day in days),
        signs=signs(visit, hours, latest.rows),
        likelihood=likelihood,
        briefly=briefly,
        verdicts=VERDICTS,
    )


def by_day(hours: Iterable[activity.Hour]) -> list[plots.Day]:
    """Hours summed to UTC days. Days before the first login that is known have no number of logins."""
    sums: dict[int, list[int]] = {}
    known = False
    counted: dict[int, int | None] = {}
    for hour in hours:
        day = hour.hour_ms // DAY_MS * DAY_MS
        total = sums.setdefault(day, [0, 0])
        total[0] += hour.incidents
        total[1] += hour.blocks
        known = known or bool(hour.logins)
        before = counted.get(day)
        counted[day] = None if not known or hour.logins is None else (before or 0) + hour.logins
    return [plots.Day(day, counted[day], *total) for day, total in sums.items()]
