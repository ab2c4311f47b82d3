"""
Texts in the reader's language: gettext catalogues, read as they are written.

Decision: `.po` files are part of the package and read at start, so there is no build step and nothing compiled to be
forgotten. The English text is the id. Placeholders are `%(name)s`; without values a text is taken as it stands.
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from babel import Locale
from babel.messages.pofile import read_po

LOCALES = Path(__file__).parent / "locale"
DEFAULT = "en"
LANGUAGES: Mapping[str, str] = {"en": "English", "de": "Deutsch"}
"""By code, each in its own words."""


def N_(text: str) -> str:  # noqa: N802 - gettext's name for a text that is translated where it is shown
    """Mark a text as one to be translated; it is translated later, where the reader is known."""
    return text


def NN_(one: str, many: str) -> tuple[str, str]:  # noqa: N802 - as above
    """Mark both forms of a text for a number of things."""
    return one, many


class Words:
    """All texts in one language."""

    def __init__(self, language: str, catalogue: Mapping[str, tuple[str, ...]]) -> None:
        self.language = language
        self.locale = Locale.parse(language)
        self.catalogue = catalogue

    def gettext(self, text: str, /, **values: object) -> str:
        """The text in this language, its placeholders filled."""
        found = self.catalogue.get(text, (text,))[0]
        return found % values if values else found

    def ngettext(self, one: str, many: str, number: int, /, **values: object) -> str:
        """The text for a number of things; `%(number)s` is that number."""
        forms = self.catalogue.get(one, (one, many))
        found = forms[0 if number == 1 else 1]  # English and German alike
        return found % {"number": number, **values}

    def sentence(self, english: str, ids: tuple[str, ...]) -> str:
        """
        A sentence that other code made in English, in this language: `ids` are the texts that it may have been made
        from. One that fits none stays as it is.
        """
        for text in ids:
            if match := _pattern(text).fullmatch(english):
                return self.gettext(text, **match.groupdict()) if match.groupdict() else self.gettext(text)
        return english


@cache
def words_of(language: str) -> Words:
    """The texts of a language; English for one that is not there."""
    if language not in LANGUAGES or language == DEFAULT:
        return Words(DEFAULT, {})
    catalogue: dict[str, tuple[str, ...]] = {}
    for path in sorted((LOCALES / language / "LC_MESSAGES").glob("*.po")):
        with path.open("rb") as file:
            read = read_po(file, locale=language, abort_invalid=True)
        for message in read:
            if message.id and all(_forms(message.string)):
                catalogue[message.id if isinstance(message.id, str) else message.id[0]] = _forms(message.string)
    return Words(language, catalogue)


def chosen_language(accept_language: str) -> str:
    """
    The best language that a browser asks for and we have.

    >>> chosen_language("fr;q=1, de-AT;q=0.8, en;q=0.5")
    'de'
    """
    asked: list[tuple[float, str]] = []
    for part in accept_language[:200].split(","):
        code, _, quality = part.partition(";q=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            continue
        asked.append((-weight, code.strip().lower().partition("-")[0]))
    return next((code for _, code in sorted(asked, key=lambda found: found[0]) if code in LANGUAGES), DEFAULT)


def _forms(string: object) -> tuple[str, ...]:
    return (string,) if isinstance(string, str) else tuple(string)  # type: ignore[arg-type]


@cache
def _pattern(text: str) -> re.Pattern[str]:
    parts = re.split(r"%\((\w+)\)s", text)
    made = [re.escape(part) if place % 2 == 0 else f"(?P<{part}>.+)" for place, part in enumerate(parts)]
    return re.compile("".join(made), re.DOTALL)
