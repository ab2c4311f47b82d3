"""
Pages from templates: escaped always, an unknown name is an error, and what a reader sees is in the reader's language.

Times are GMT; the title of each shows the same in the reader's zone.
"""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel.dates import format_timedelta
from babel.numbers import format_decimal
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from streams.panel.nav import menu
from streams.panel.paths import segment
from streams.panel.rights import Right, Role
from streams.panel.words import LANGUAGES, Words

if TYPE_CHECKING:
    from streams.panel.web import Visit

HERE = Path(__file__).parent
TEMPLATES = HERE / "templates"
STATIC = HERE / "static"
DASH = "\N{EN DASH}"
REGIONAL_A = 0x1F1E6
MINUTES_OF_DAY = 1440


class Templates:
    """All templates of the panel."""

    def __init__(self) -> None:
        self.environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.do"],
        )
        self.environment.filters |= FILTERS
        self.environment.globals |= {
            "Right": Right,
            "Role": Role,
            "languages": LANGUAGES,
            "version": _version(),
            "asset": _asset,
        }

    def render(self, name: str, visit: "Visit", context: Mapping[str, Any]) -> str:
        """One page or fragment for a visit."""
        shared = {
            "visit": visit,
            "reader": visit.signed_in,
            "words": visit.words,
            "_": visit.words.gettext,
            "ngettext": visit.words.ngettext,
            "csrf": visit.csrf,
            "now_ms": visit.now_ms,
            "nav": menu(visit),
        }
        return self.environment.get_template(name).render({**shared, **context})


def gmt_text(ms: int, zone: str = "") -> str:
    """
    A time to the minute, in GMT unless a zone is named that has it.

    >>> gmt_text(1_767_225_600_000)
    '2026-01-01 00:00 GMT'
    """
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    if zone:
        with suppress(OverflowError):  # the last hours of the year 9999 are in no calendar east of GMT
            return f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M %Z}"
    return f"{moment:%Y-%m-%d %H:%M} GMT"


def minutes_text(words: Words, minutes: int) -> str:
    """A span of minutes as people say it: "45 min", "1 h 30 min", "2 days"."""
    days, rest = divmod(minutes, MINUTES_OF_DAY)
    hours, left = divmod(rest, 60)
    parts = []
    if days:
        parts.append(words.ngettext("%(number)s day", "%(number)s days", days))
    if hours:
        parts.append(words.gettext("%(number)s h", number=hours))
    if left or not parts:
        parts.append(words.gettext("%(number)s min", number=left))
    return " ".join(parts)


def flag_of(code: str) -> str:
    """
    The flag of a country as an emoji.

    >>> flag_of("DE") == chr(0x1F1E9) + chr(0x1F1EA)
    True
    """
    return "".join(chr(REGIONAL_A + ord(letter) - ord("A")) for letter in code)


def is_zone(name: str) -> bool:
    """Whether a time zone of that name is known here."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def country_name(words: Words, code: str | None) -> str:
    """The name of a country in the reader's language."""
    if not code:
        return words.gettext("unknown country")
    return str(words.locale.territories.get(code, code))


@pass_context
def _gmt(context: Context, ms: int | None) -> Markup:
    words: Words = context["words"]
    if ms is None:
        return Markup('<span class="none">{}</span>').format(words.gettext("never"))
    reader = context["reader"]
    zone = reader.zone if reader is not None else ""
    stamp = f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
    if zone and is_zone(zone):
        form = Markup('<time datetime="{}" data-zone="{}" title="{}">{}</time>')
        return form.format(stamp, zone, gmt_text(ms, zone), gmt_text(ms))
    return Markup('<time datetime="{}" data-zone="">{}</time>').format(stamp, gmt_text(ms))


@pass_context
def _ago(context: Context, ms: int) -> str:
    words: Words = context["words"]
    passed = timedelta(milliseconds=ms - context["now_ms"])
    return format_timedelta(passed, add_direction=True, locale=words.locale)


@pass_context
def _country(context: Context, code: str | None) -> str:
    return country_name(context["words"], code)


@pass_context
def _flag(context: Context, code: str | None) -> Markup:
    """The flag with the code beside it; the name for whoever hovers or listens."""
    if not code or len(code) != 2 or not code.isascii() or not code.isupper():
        return Markup('<span class="flag none">{}</span>').format(code or DASH)
    name = country_name(context["words"], code)
    form = Markup('<span class="flag" title="{}"><span aria-hidden="true">{}</span> {}</span>')
    return form.format(name, flag_of(code), code)


@pass_context
def _number(context: Context, value: float) -> str:
    words: Words = context["words"]
    return format_decimal(value, locale=words.locale)


@pass_context
def _minutes(context: Context, minutes: int) -> str:
    return minutes_text(context["words"], minutes)


@cache
def _asset(name: str) -> str:
    """The address of a file in `static`, with a mark of its content, so that browsers may keep it."""
    mark = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?{mark}"


@cache
def _version() -> str:
    try:
        return metadata.version("loginwatch")
    except metadata.PackageNotFoundError:
        return ""


FILTERS = {
    "gmt": _gmt,
    "ago": _ago,
    "country": _country,
    "flag": _flag,
    "number": _number,
    "minutes": _minutes,
    "segment": segment,
}
