"""Domains and their groups as a file: what its lines say, and which of them change something."""

import csv
from io import StringIO
from typing import TYPE_CHECKING

from streams.core.accounts import canonical_domain, canonical_group
from streams.core.refusal import Refused
from streams.panel.pages.csv_text import BYTE_ORDER_MARK, FORMULA
from streams.panel.pages.exports import DOMAINS
from streams.panel.refusals import refused
from streams.panel.words import Words

if TYPE_CHECKING:
    from streams.panel.panel import Panel

MOST_LINES = 20_000

Pairs = list[tuple[str, str | None]]


def read_lines(words: Words, text: str) -> tuple[Pairs, list[str]]:
    """
    The domains and groups in a CSV, each domain once (its last line holds), and what is wrong, a sentence per line.

    Commas or semicolons, since spreadsheets write what their country does; a heading may stand first.
    """
    reader = csv.reader(StringIO(text, newline=""), delimiter=";" if ";" in text.partition("\n")[0] else ",")
    found: dict[str, str | None] = {}
    wrong: list[str] = []
    try:
        for number, row in enumerate(reader, start=1):
            if number > MOST_LINES:
                wrong.append(_too_many(words))
                break
            _read_line(words, number, [_plain(value) for value in row], found, wrong)
    except csv.Error:
        wrong.append(_wrong(words, reader.line_num, words.gettext("This is no CSV.")))
    return list(found.items()), wrong


def _read_line(words: Words, number: int, cells: list[str], found: dict[str, str | None], wrong: list[str]) -> None:
    if not any(cells) or (number == 1 and cells[0].lower() == DOMAINS[0]):
        return
    try:
        found[canonical_domain(cells[0])] = group_of_text(cells[1]) if len(cells) > 1 and cells[1] else None
    except Refused as refusal:
        wrong.append(_wrong(words, number, refused(words, refusal)))


def _too_many(words: Words) -> str:
    return words.ngettext("At most %(number)s line can be taken.", "At most %(number)s lines can be taken.", MOST_LINES)


def _wrong(words: Words, number: int, sentence: str) -> str:
    return words.gettext("Line %(number)s: %(sentence)s", number=number, sentence=sentence)


def changed(panel: "Panel", pairs: Pairs) -> Pairs:
    """Those of the pairs that are not so already."""
    with panel.store.reading() as connection:
        groups = panel.book.book(connection).groups
    return [(domain, group) for domain, group in pairs if groups.get(domain) != group]


def group_of_text(text: str) -> str:
    """The path of a group as it is typed, with `group:` before it or without. Raises Refused."""
    return canonical_group(text.removeprefix("group:"))


def _plain(text: str) -> str:
    """A cell without the apostrophe that an export puts before a formula, and without a byte order mark."""
    plain = text.strip().removeprefix(BYTE_ORDER_MARK)
    return plain[1:] if plain[:1] == "'" and plain[1:].startswith(FORMULA) else plain
