"""The tables of the documentation come from the results, and the guard in CI from a recorded ratio."""

import json
import re

import pytest

from benchmarks.__main__ import ONLY_BY_NAME, SIZES
from benchmarks.harness import sizing
from benchmarks.harness.table import MARKED, PAGES, ROOT, TABLES, text
from benchmarks.smoke import ALLOWED, GUARDED, RECORDED, _verdict


@pytest.mark.parametrize("page", PAGES)
def test_every_mark_of_a_page_is_closed_and_names_a_table(page: str) -> None:
    """A misspelt mark would keep old figures for ever."""
    content = (ROOT / page).read_text(encoding="utf-8")

    opened = re.findall(r"<!-- bench:([\w-]+) -->", content)

    assert opened == [name for _, name, _ in MARKED.findall(content)]
    assert set(opened) <= {*TABLES, "sizing"}


def test_every_benchmark_has_a_table() -> None:
    """What is measured can be shown."""
    assert {*SIZES, *ONLY_BY_NAME} == set(TABLES)


def test_nothing_is_shown_as_measured_that_was_not() -> None:
    """Without results the plan says what to run."""
    assert "Not measured yet" in sizing.text(lambda _: None)


def test_a_table_names_machine_commit_and_versions() -> None:
    """Where there are results, the reader learns of what."""
    measured = [name for name in SIZES if "Not measured" not in text(name)]

    assert all("commit" in text(name) and "Kafka" in text(name) for name in measured)


def test_the_guard_fails_for_a_login_that_has_become_dearer() -> None:
    """More than 1.3 times the recorded ratio is a failure, anything below is none."""
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))["ratio_to_raw_loop"]

    assert set(recorded) == {system.job for system in GUARDED}
    assert _verdict("common", recorded["common"] * ALLOWED * 1.01, recorded["common"]) == 1
    assert _verdict("common", recorded["common"] * ALLOWED * 0.99, recorded["common"]) == 0
