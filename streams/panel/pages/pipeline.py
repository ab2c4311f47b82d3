"""
Whether the pipeline is well, as far as a panel sees it: what it has read, how far the worker is, what doors deliver, how
old the map is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import maxminddb

from streams.panel.asking import Asking
from streams.panel.store.activity import Hour
from streams.panel.store.incidents import IncidentRow

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
OLD_GEO_MS = 45 * DAY_MS
"""Geo databases come out every week or month; what is older than this is forgotten rather than late."""
MANY_BEHIND = 1000
"""Records that the panel may be behind without a word."""


@dataclass(frozen=True, slots=True)
class Sign:
    """One line: its name, what is to be said, and the class of its badge (calm, warning, danger)."""

    name: str
    text: str
    tone: str


def signs(asking: Asking, hours: Sequence[Hour], latest: Sequence[IncidentRow]) -> list[Sign]:
    """Everything that is to be said, from the last hours and the latest incidents."""
    return [*_reading(asking), *_worker(asking), *_logins(asking, hours), *_geo(asking, latest)]


def _reading(asking: Asking) -> list[Sign]:
    """Whether the panel has read what is on the topics, and can write to them."""
    _ = asking.words.gettext
    troubles = asking.panel.troubles()
    if troubles:
        return [Sign(_("Panel"), trouble, "danger") for trouble in troubles]
    behind = int(asking.panel.follower.lag())
    if behind > MANY_BEHIND:
        text = asking.words.ngettext(
            "The panel is %(number)s record behind; the newest incidents are still missing here.",
            "The panel is %(number)s records behind; the newest incidents are still missing here.",
            behind,
        )
        return [Sign(_("Panel"), text, "warning")]
    return [Sign(_("Panel"), _("Everything on the topics is read."), "calm")]


def _worker(asking: Asking) -> list[Sign]:
    """Whether the worker keeps up. Its number of records is of all domains together: others learn only whether it does."""
    _ = asking.words.gettext
    lag = asking.panel.worker_lag
    if lag.behind is None or lag.last_error is not None:
        return []  # Kafka is away, which the panel's own line says
    if not lag.overdue:
        return [Sign(_("Worker"), _("Every login is judged at once."), "calm")]
    if not asking.reader.sees_everything:
        return [Sign(_("Worker"), _("The worker is late: new incidents and blocks take longer than usual."), "warning")]
    text = asking.words.ngettext(
        "The worker is %(number)s record behind: new incidents and blocks come late. Look whether it runs.",
        "The worker is %(number)s records behind: new incidents and blocks come late. Look whether it runs.",
        lag.behind,
    )
    return [Sign(_("Worker"), text, "danger")]


def _logins(asking: Asking, hours: Sequence[Hour]) -> list[Sign]:
    """Whether doors and log readers deliver. Only for those who see all domains: the number is of all together."""
    _ = asking.words.gettext
    if not hours or hours[-1].logins is None:
        return []
    # the hour has just begun, perhaps
    number = hours[-1].logins + (hours[-2].logins or 0 if len(hours) > 1 else 0)
    if number:
        text = asking.words.ngettext(
            "%(number)s login reported since %(hour)s.",
            "%(number)s logins reported since %(hour)s.",
            number,
            hour=_hour(hours),
        )
        return [Sign(_("Doors and log readers"), text, "calm")]
    text = _("No login was reported since %(hour)s. Check the gateway and the log readers.", hour=_hour(hours))
    return [Sign(_("Doors and log readers"), text, "warning")]


def _geo(asking: Asking, latest: Sequence[IncidentRow]) -> list[Sign]:
    """How old the geo databases are that the settings name; with none here, whether the worker has one."""
    _ = asking.words.gettext
    settings = asking.panel.settings
    signs = [_database(asking, path) for path in (*settings.geo_databases, *settings.geo_owner_databases)]
    if signs or not latest:
        return signs
    if any(row.distinct_countries for row in latest):
        return [Sign(_("Geo database"), _("The latest incidents have their countries."), "calm")]
    text = _("Countries are unknown in the latest incidents: without a geo database the country rule is off.")
    return [Sign(_("Geo database"), text, "warning")]


def _database(asking: Asking, path: str) -> Sign:
    name = asking.words.gettext("Geo database")
    try:
        with maxminddb.open_database(path, maxminddb.MODE_MMAP) as database:
            built_ms = database.metadata().build_epoch * 1000
    except (OSError, ValueError, maxminddb.InvalidDatabaseError):
        return Sign(name, asking.words.gettext("%(file)s cannot be read.", file=Path(path).name), "warning")
    age_ms = max(0, asking.now_ms - built_ms)
    text = asking.words.ngettext(
        "%(file)s is %(number)s day old.", "%(file)s is %(number)s days old.", age_ms // DAY_MS, file=Path(path).name
    )
    return Sign(name, text, "warning" if age_ms > OLD_GEO_MS else "calm")


def _hour(hours: Sequence[Hour]) -> str:
    first = hours[-2] if len(hours) > 1 else hours[-1]
    return f"{first.hour_ms % DAY_MS // HOUR_MS:02}:00 GMT"
