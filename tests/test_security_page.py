"""The checked list of the ASVS: what it names is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| ([\d.,\- ]+) \| (.+) \| (.+) \| (.*) \|$", re.MULTILINE)
NAMED = re.compile(
    r"`((?:streams|tests|docs|deploy|schemas|\.ci)/[^`:]+|[\w.-]+\.(?:md|toml|lock)|Makefile)(?:::(\w+))?`"
)
WORDS = ("met", "not met", "not applicable", "by setting", "by single sign-on", "by TLS", "the operator's")


def test_every_file_and_test_named_is_there() -> None:
    """A row whose proof was renamed or deleted proves nothing."""
    named = NAMED.findall(TEXT)
    missing = [
        (path, test)
        for path, test in named
        if not (ROOT / path).exists()
        or (
            test
            and not re.search(rf"^(?:async )?def {test}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
        )
    ]

    assert len(named) > 120
    assert missing == []


def test_every_row_says_how_it_is_and_where_that_can_be_seen() -> None:
    """What is met names a file; all chapters of the standard are there, and no requirement twice."""
    rows = ROW.findall(TEXT)
    numbers = [number for row in rows for number in expanded(row[0])]

    assert len(rows) > 100
    assert [row[0] for row in rows if not row[2].startswith(WORDS)] == []
    assert [row[0] for row in rows if row[2].startswith(("met", "by setting")) and not NAMED.search(row[3])] == []
    assert {number.partition(".")[0] for number in numbers} == {str(chapter) for chapter in range(1, 15)}
    assert sorted({number for number in numbers if numbers.count(number) > 1}) == []


def expanded(text: str) -> list[str]:
    """The numbers in `2.6.1-2.6.3, 2.8.1`, each by itself."""
    found = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        section, _, number = first.rpartition(".")
        until = int(last.rpartition(".")[2]) if last else int(number)
        found += [f"{section}.{each}" for each in range(int(number), until + 1)]
    return found
