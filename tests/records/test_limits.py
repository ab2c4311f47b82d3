"""What texts and numbers from outside may be."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import BadRecordError
from streams.records.limits import (
    LONG_TEXT,
    MULTILINE,
    NUMBER_RANGES,
    OUTSIDE,
    TEXT_CHARACTERS,
    check_number,
    check_text,
)
from streams.records.schemas import latest


@given(text=st.text(st.characters(), max_size=20))
def test_a_text_is_refused_exactly_when_it_holds_a_control_character_or_half_a_pair(text: str) -> None:
    """By Unicode's own categories Cc and Cs; everything else, of any script, is taken."""
    bad = {unicodedata.category(character) for character in text} & {"Cc", "Cs"}

    if bad:
        with pytest.raises(BadRecordError):
            check_text(text, "Login.account")
    else:
        assert check_text(text, "Login.account") == text


def test_the_longest_text_is_taken_and_the_next_refused() -> None:
    """Counted in characters, not bytes."""
    assert check_text("ü" * TEXT_CHARACTERS, "Login.account")
    with pytest.raises(BadRecordError) as refusal:
        check_text("x" * (TEXT_CHARACTERS + 1), "Login.account")

    assert refusal.value.reason == "too-long"
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize("number", [0, 10])
def test_both_ends_of_a_range_belong_to_it(number: int) -> None:
    """Beyond them is out of range."""
    assert check_number(number, "Submission.size", (0, 10)) == number


@pytest.mark.parametrize("number", [-1, 11])
def test_numbers_beyond_a_range_are_refused(number: int) -> None:
    """With the range in the sentence."""
    with pytest.raises(BadRecordError, match="outside 0 to 10"):
        check_number(number, "Submission.size", (0, 10))


@pytest.mark.parametrize("field", sorted({*LONG_TEXT, *MULTILINE, *NUMBER_RANGES}))
def test_exceptions_are_for_fields_that_exist(field: str) -> None:
    """A renamed field must not lose its limit in silence."""
    record, name = field.split(".")

    assert record in OUTSIDE
    assert name in {field["name"] for field in latest(record).source["fields"]}
