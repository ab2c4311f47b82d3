"""Days in forms: typed as 2026-01-31, meant in GMT."""

from datetime import UTC, datetime, timedelta

from streams.panel.forms import Form
from streams.panel.words import Words

FIRST_YEAR, LAST_YEAR = 1970, 2999


def day_start_ms(form: Form, words: Words, name: str) -> int | None:
    """When the day in a field begins; None where nothing, or nothing usable, was typed."""
    day = _day(form, words, name)
    return None if day is None else _ms(day)


def day_end_ms(form: Form, words: Words, name: str) -> int | None:
    """When the day in a field is over: the first instant of the next one."""
    day = _day(form, words, name)
    return None if day is None else _ms(day + timedelta(days=1))


def _day(form: Form, words: Words, name: str) -> datetime | None:
    text = form.text(name, longest=10)
    if not text:
        return None
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        day = None
    if day is None or not FIRST_YEAR <= day.year <= LAST_YEAR:
        form.wrong(name, words.gettext("This must be a day as 2026-01-31."))
        return None
    return day


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
