"""The words of refusals."""

import re

import pytest

from streams.records.reasons import REASONS, SHOWN_CHARACTERS, shown


def test_reasons_are_short_stable_words() -> None:
    """They are labels of metrics: small letters, digits and hyphens."""
    assert all(re.fullmatch(r"[a-z0-9-]{3,24}", reason) for reason in REASONS)
    assert {"unknown-schema", "unknown-form", "truncated", "missing-field"} <= REASONS


@pytest.mark.parametrize(
    "value", ["x" * 10**6, b"\xff" * 10**6, [1] * 1000, 10**100, "line\nbreak\x1b[31m", "\ud800", "ü"]
)
def test_a_refused_value_is_shown_on_one_short_printable_line(value: object) -> None:
    """It ends in logs and on terminals, so no control character of a stranger gets there."""
    text = shown(value)

    assert len(text) <= SHOWN_CHARACTERS
    assert text.isprintable()
    assert text.isascii()
