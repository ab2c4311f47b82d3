"""Times as people type them."""

import pytest

from streams.cli.moments import ago, ahead, duration_ms
from streams.errors import UsageError

NOW = 1_700_000_000_000


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90m", NOW - 90 * 60_000),
        ("2d", NOW - 2 * 86_400_000),
        ("1w", NOW - 7 * 86_400_000),
        ("2023-11-14", 1_699_920_000_000),
        ("2023-11-14T22:13:20Z", NOW),
        ("2023-11-14T22:13:20", NOW),
        ("2023-11-14T23:13:20+01:00", NOW),
        ("1700000000000", NOW),
    ],
)
def test_since_takes_durations_dates_and_times(text: str, moment: int) -> None:
    """Without an offset a time is in UTC."""
    assert ago("--since", text, NOW) == moment


def test_a_duration_for_an_expiry_lies_ahead() -> None:
    """30d from now, not 30 days ago."""
    assert ahead("--expires", "30d", NOW) == NOW + 30 * 86_400_000


def test_an_option_that_is_not_given_names_no_time() -> None:
    """None in, None out."""
    assert ago("--since", None, NOW) is None


@pytest.mark.parametrize(
    "text", ["", "soon", "12", "5 minutes", "2026-13-01", "-3d", "9999999999w", "0001-01-01", "٣d"]
)
def test_what_is_no_time_is_refused_with_the_option(text: str) -> None:
    """The sentence names the option and what was typed."""
    with pytest.raises(UsageError, match="--since"):
        ago("--since", text, NOW)


def test_durations_have_a_unit() -> None:
    """A bare number could be anything."""
    assert duration_ms("--duration", "90m") == 5_400_000
    with pytest.raises(UsageError, match="is no duration"):
        duration_ms("--duration", "90")
