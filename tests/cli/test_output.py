"""What the commands print."""

import json

import pytest

from streams.cli.output import Output, iso, plain


def test_no_record_can_steer_the_terminal() -> None:
    """Escape sequences and line breaks in foreign text are shown, not sent."""
    assert plain("a\x1b[31mred\nnext\u202e") == "a\\x1b[31mred\\nnext\\u202e"


def test_a_table_shows_foreign_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Brackets are no markup, and a long cell is not cut in a pipe."""
    Output().table(("A", "B"), [("[red]x[/red]", "y" * 200)], [], "none")

    out = capsys.readouterr().out
    assert "[red]x[/red]" in out
    assert "y" * 200 in out


def test_an_empty_table_says_what_that_means(capsys: pytest.CaptureFixture[str]) -> None:
    """The remark goes to standard error, so that a pipe stays empty."""
    Output().table(("A",), [], [], "No incidents.")

    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "No incidents.\n"


def test_programs_get_an_empty_array(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json an empty answer is an answer."""
    Output(json=True).table(("A",), [], [], "No incidents.")

    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize(
    ("time_ms", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_700_000_000_999, "2023-11-14T22:13:20Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59Z"),
        (1 << 62, f"{1 << 62} ms"),
        (None, ""),
    ],
)
def test_times_are_iso_in_utc(time_ms: int | None, text: str) -> None:
    """Also those that no calendar can show."""
    assert iso(time_ms) == text
