"""Texts: all of them in German, with the same placeholders."""

import re

import pytest

from streams.panel.words import LANGUAGES, chosen_language, words_of
from tests.panel.texts import extracted

PLACEHOLDER = re.compile(r"%\((\w+)\)s")


def test_every_text_is_there_in_german() -> None:
    """A text that the sources have and the catalogue has not would be English on a German page."""
    known = words_of("de").catalogue
    missing = [
        (where, text) for where, text in extracted() if (text if isinstance(text, str) else text[0]) not in known
    ]

    assert missing == []


def test_the_texts_are_found_at_all() -> None:
    """Or the test above would find nothing missing in nothing."""
    found = [text for _, text in extracted()]

    assert len(found) > 300
    assert "Sign in" in found
    assert ("One field", "%(number)s fields") in found


def test_translations_have_the_same_placeholders() -> None:
    """One more would fail when it is shown, one less would say less."""
    for _, text in extracted():
        forms = (text,) if isinstance(text, str) else text
        names = {name for form in forms for name in PLACEHOLDER.findall(form)}
        for translated in words_of("de").catalogue[forms[0]]:
            assert set(PLACEHOLDER.findall(translated)) <= names | {"number"}, translated
            assert names - set(PLACEHOLDER.findall(translated)) <= {"number"}, translated


def test_numbers_choose_the_form() -> None:
    """One and many, in both languages."""
    for language, one, many in (("en", "One field", "2 fields"), ("de", "Ein Feld", "2 Felder")):
        words = words_of(language)
        assert words.ngettext("One field", "%(number)s fields", 1) == one
        assert words.ngettext("One field", "%(number)s fields", 2) == many


@pytest.mark.parametrize(
    ("asked", "language"),
    [("", "en"), ("de", "de"), ("de-CH,en;q=0.9", "de"), ("fr, en;q=0.5, de;q=0.4", "en"), ("xx;q=much,*;q=0.1", "en")],
)
def test_the_browsers_language_is_taken_where_we_have_it(asked: str, language: str) -> None:
    """The one that the browser likes best, else English."""
    assert chosen_language(asked) == language


def test_every_language_names_itself() -> None:
    """So that whoever cannot read the present one finds theirs."""
    assert LANGUAGES == {"en": "English", "de": "Deutsch"}
