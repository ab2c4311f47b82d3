"""The reference pages in `docs/` are what the code says."""

from pathlib import Path

import pytest

from streams import metrics
from streams.cli.reference import PAGES
from streams.metrics import Metric, declared
from streams.settings import Settings
from streams.topology import TOPICS
from tests.cli.conftest import Loginwatch

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", PAGES)
def test_a_reference_page_is_fresh(name: str) -> None:
    """If this fails: `make docs`."""
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name]()


def test_every_file_of_metrics_is_known() -> None:
    """What can be imported is what processes make and the reference shows."""
    importable = [value for value in vars(metrics).values() if isinstance(value, Metric)]

    assert sorted(metric.name for metric in importable) == sorted(metric.name for metric in declared())


def test_every_setting_metric_and_topic_is_described() -> None:
    """Nothing that an operator can set or see is left out."""
    configuration, measures, topics = (PAGES[name]() for name in ("configuration.md", "metrics.md", "topics.md"))

    assert all(f"`LOGINWATCH_{name.upper()}`" in configuration for name in Settings.model_fields)
    assert all(metric.name in measures for metric in declared())
    assert all(f"| `{topic.name}` |" in topics for topic in TOPICS)
    assert "`except_networks`" in topics


def test_every_command_is_described() -> None:
    """With its options; what is hidden stays hidden."""
    page = PAGES["cli.md"]()

    for command in ("loginwatch worker", "loginwatch policy set SCOPE", "loginwatch dead-letters resend ID..."):
        assert f"### `{command}`" in page
    assert "`--ignored-countries` `CODES`" in page
    assert "docs write" not in page


def test_docs_write_needs_a_directory_that_it_may_write(loginwatch: Loginwatch, tmp_path) -> None:
    """It writes all pages, or says what hinders it."""
    done = loginwatch("docs", "write", str(tmp_path / "new"))
    hindered = loginwatch("docs", "write", "/dev/null/docs")

    assert done.code == 0
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(PAGES)
    assert hindered.code == 2
    assert "cannot write to /dev/null/docs" in hindered.err
