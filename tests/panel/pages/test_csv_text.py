"""Tables for a spreadsheet."""

import csv
from io import StringIO

import pytest

from streams.panel.pages.csv_text import BYTE_ORDER_MARK, cell, csv_lines


@pytest.mark.parametrize(
    "text",
    [
        '=HYPERLINK("http://evil.example")@example.org',
        "+1234@example.org",
        "-1+1@example.org",
        "@SUM(A1)",
        "\t=1+1",
        "\r=1+1",
        "\n=1+1",
        "  =1+1",
        "\x01=1+1",
        " \x00 =1+1",
        "\uff1d1+1",
        "\uff20SUM(A1)",
    ],
)
def test_a_cell_that_a_spreadsheet_would_compute_begins_with_an_apostrophe(text: str) -> None:
    """Account names and senders are chosen by strangers; whoever opens the file is an administrator."""
    assert cell(text).startswith("'")


@pytest.mark.parametrize("text", ["ann@example.org", "192.0.2.0/24", "2026-01-01T00:00:00Z", "São Paulo", "a=b", ""])
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    """What is exported can be used as it is."""
    assert cell(text) == text


def test_numbers_stay_numbers_and_nothing_is_empty() -> None:
    """A negative number is ours, not a stranger's."""
    assert [cell(-5), cell(0), cell(1.5), cell(None)] == ["-5", "0", "1.5", ""]


def test_commas_quotes_and_line_breaks_come_back_from_a_reader() -> None:
    """A note of several lines is one cell."""
    rows = [[f"line 1\nline {number}", 'say "no", please', "ünïcode 😀"] for number in range(450)]

    text = "".join(csv_lines(("Note", "Quote", "Letters"), rows))

    assert text.startswith(BYTE_ORDER_MARK)
    assert list(csv.reader(StringIO(text.removeprefix(BYTE_ORDER_MARK), newline=""))) == [
        ["Note", "Quote", "Letters"],
        *rows,
    ]


def test_control_characters_do_not_reach_the_file() -> None:
    """A terminal that shows the file is not steered by it."""
    assert cell("a\x1b[31mb\x00c") == "a[31mbc"
