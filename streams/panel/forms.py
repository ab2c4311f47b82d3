"""
What was typed into a form, checked field by field.

Decision: a field that cannot be used adds a sentence to `errors` instead of raising, so that one answer names all of
them; templates get the form back, so that what was typed stays and each sentence stands beside its field.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

from streams.core.refusal import Refused
from streams.panel.refusals import refused
from streams.panel.words import Words

LONGEST_FIELD = 500
MOST_FIELDS = 500
MOST_LINES = 200
LARGEST_NUMBER = 10**12

Parsed = TypeVar("Parsed")


class Form:
    """The posted fields (or those that a page begins with), and what is wrong with them by field name."""

    def __init__(self, words: Words, fields: Mapping[str, Sequence[str]] | None = None) -> None:
        self._words = words
        self._fields = {name: list(values) for name, values in (fields or {}).items()}
        self.errors: dict[str, str] = {}

    @classmethod
    def filled(cls, words: Words, **values: object) -> "Form":
        """A form as a page begins with it: lists have several values, None is left out."""
        fields: dict[str, list[str]] = {}
        for name, value in values.items():
            if isinstance(value, list | tuple):
                fields[name] = [str(item) for item in value]
            elif value is not None and value is not False:
                fields[name] = ["1" if value is True else str(value)]
        return cls(words, fields)

    @property
    def ok(self) -> bool:
        """Whether nothing has been found wrong so far."""
        return not self.errors

    def typed(self, name: str, default: str = "") -> str:
        """What was typed, as it was; for templates."""
        return next(iter(self._fields.get(name, ())), default)

    def every(self, name: str) -> list[str]:
        """All values of a field that may come several times, as they were typed."""
        return list(self._fields.get(name, ()))

    def ticked(self, name: str) -> bool:
        """Whether a box is ticked."""
        return bool(self._fields.get(name))

    def wrong(self, name: str, sentence: str) -> None:
        """Say what is wrong with a field; the first sentence stays."""
        self.errors.setdefault(name, sentence)

    def text(self, name: str, *, required: bool = False, longest: int = LONGEST_FIELD) -> str:
        """One line or more, trimmed; empty when nothing was typed."""
        text = self.typed(name).replace("\r\n", "\n").strip()
        if required and not text:
            self.wrong(name, self._words.gettext("This is needed."))
        elif len(text) > longest:
            self.wrong(name, self._words.gettext("This is too long: at most %(most)s characters.", most=longest))
        elif any(character < " " and character not in "\n\t" for character in text):
            self.wrong(name, self._words.gettext("This has control characters."))
        else:
            return text
        return ""

    def secret(self, name: str, *, longest: int = LONGEST_FIELD) -> str:
        """A password exactly as it was typed."""
        text = self.typed(name)
        if not text:
            self.wrong(name, self._words.gettext("This is needed."))
        elif len(text) > longest:
            self.wrong(name, self._words.gettext("This is too long: at most %(most)s characters.", most=longest))
        else:
            return text
        return ""

    def number(self, name: str, least: int, most: int = LARGEST_NUMBER, *, required: bool = False) -> int | None:
        """A whole number; None when nothing was typed."""
        text = self.typed(name).strip()
        if not text:
            if required:
                self.wrong(name, self._words.gettext("This is needed."))
            return None
        if text.isascii() and text.removeprefix("-").isdigit() and len(text) <= 13 and least <= int(text) <= most:
            return int(text)
        self.wrong(
            name, self._words.gettext("This must be a whole number from %(least)s to %(most)s.", least=least, most=most)
        )
        return None

    def choice(self, name: str, choices: Collection[str], *, required: bool = True) -> str:
        """One of some values; empty when it is none of them."""
        text = self.typed(name).strip()
        if text in choices:
            return text
        if required or text:
            self.wrong(name, self._words.gettext("Choose one of those offered."))
        return ""

    def lines(self, name: str, *, longest: int = LONGEST_FIELD, most: int = MOST_LINES) -> list[str]:
        """What stands on several lines, or in several fields of one name: trimmed, without empty ones."""
        found = [line.strip() for value in self._fields.get(name, ()) for line in value.splitlines()]
        found = [line for line in found if line]
        if len(found) > most:
            self.wrong(name, self._words.gettext("These are too many: at most %(most)s.", most=most))
            return []
        if any(len(line) > longest for line in found):
            self.wrong(name, self._words.gettext("This is too long: at most %(most)s characters.", most=longest))
            return []
        return found

    def parsed(self, name: str, parse: Callable[[str], Parsed], *, required: bool = True) -> Parsed | None:
        """What one of the core's parsers makes of a field; its refusal becomes the sentence. None when it has none."""
        text = self.text(name, required=required)
        if not text:
            return None
        try:
            return parse(text)
        except Refused as refusal:
            self.refused(name, refusal)
            return None

    def refused(self, name: str, refusal: Refused) -> None:
        """Put a refusal of the core beside a field, in the reader's language."""
        self.wrong(name, refused(self._words, refusal))
