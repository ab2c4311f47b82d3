"""Whether the pipeline is well, as far as a panel sees it: what it has read, what doors deliver, how old the map is."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import maxminddb

from streams.panel.store.activity import Hour
from streams.panel.store.incidents import IncidentRow
from streams.panel.web import Visit

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


def signs(visit: Visit, hours: Sequence[Hour], latest: Sequence[IncidentRow]) -> list[Sign]:
    """Everything that is to be said, from the last hours and the latest incidents."""
    return [*_reading(visit), *_logins(visit, hours), *_geo(visit, latest)]


def _reading(visit: Visit) -> list[Sign]:
    """Whether the panel has read what is on the topics, and can write to them."""
    _ = visit.gettext
    troubles = visit.panel.troubles()
    if troubles:
        return [Sign(_("Panel"), trouble, "danger") for trouble in troubles]
    behind = int(visit.panel.follower.lag())
    if behind > MANY_BEHIND:
        text = visit.words.ngettext(
            "The panel is %(number)s record behind; the newest incidents are still missing here.",
            "The panel is %(number)s records behind; the newest incidents are still missing here.",
            behind,
        )
        return [Sign(_("Panel"), text, "warning")]
    return [Sign(_("Panel"), _("Everything on the topics is read."), "calm")]


def _logins(visit: Visit, hours: Sequence[Hour]) -> list[Sign]:
    """Whether doors and log readers deliver. Only for those who see all domains: the number is of all together."""
    _ = visit.gettext
    if not hours or hours[-1].logins is None:
        return []
    # the hour has just begun, perhaps
    number = hours[-1].logins + (hours[-2].logins or 0 if len(hours) > 1 else 0)
    if number:
        text = visit.words.ngettext(
            "%(number)s login reported since %(hour)s.",
            "%(number)s logins reported since %(hour)s.",
            number,
            hour=_hour(hours),
        )
        return [Sign(_("Doors and log readers"), text, "calm")]
    text = _("No login was reported since %(hour)s. Check the gateway and the log readers.", hour=_hour(hours))
    return [Sign(_("Doors and log readers"), text, "warning")]


def _geo(visit: Visit, latest: Sequence[IncidentRow]) -> list[Sign]:
    """How old the geo databases are that the settings name; with none here, whether the worker has one."""
    _ = visit.gettext
    settings = visit.panel.settings
    signs = [_database(visit, path) for path in (*settings.geo_databases, *settings.geo_owner_databases)]
    if signs or not latest:
        return signs
    if any(row.distinct_countries for row in latest):
        return [Sign(_("Geo database"), _("The latest incidents have their countries."), "calm")]
    text = _("Countries are unknown in the latest incidents: without a geo database the country rule is off.")
    return [Sign(_("Geo database"), text, "warning")]


def _database(visit: Visit, path: str) -> Sign:
    name = visit.gettext("Geo database")
    try:
        with maxminddb.open_database(path, maxminddb.MODE_MMAP) as database:
            built_ms = database.metadata().build_epoch * 1000
    except (OSError, ValueError, maxminddb.InvalidDatabaseError):
        return Sign(name, visit.gettext("%(file)s cannot be read.", file=Path(path).name), "warning")
    age_ms = max(0, visit.now_ms - built_ms)
    text = visit.words.ngettext(
        "%(file)s is %(number)s day old.", "%(file)s is %(number)s days old.", age_ms // DAY_MS, file=Path(path).name
    )
    return Sign(name, text, "warning" if age_ms > OLD_GEO_MS else "calm")


def _hour(hours: Sequence[Hour]) -> str:
    first = hours[-2] if len(hours) > 1 else hours[-1]
    return f"{first.hour_ms % DAY_MS // HOUR_MS:02}:00 GMT"
