"""The dashboards: as the declarations make them, with queries that Prometheus parses."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from deploy.grafana.make import DASHBOARDS, FOLDER, rate, text
from streams.metrics import LOGINS, declared
from tests.deploy.test_prometheus import METRIC, names_of
from tests.tools import require_tools


@pytest.mark.parametrize("name", DASHBOARDS)
def test_the_file_is_what_the_declarations_make(name: str) -> None:
    """`python -m deploy.grafana.make` was run after the last change."""
    assert (FOLDER / f"{name}.json").read_text(encoding="utf-8") == text(name)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_metric_of_a_dashboard_is_declared(name: str) -> None:
    """Under the name that Prometheus gives it."""
    known = {each for metric in declared() for each in names_of(metric)}
    queries = queries_of(name)

    assert len(queries) > 8
    for query in queries:
        for found in METRIC.findall(query):
            assert found in known, f"{found} in {query}"


def test_prometheus_parses_every_query(tmp_path: Path) -> None:
    """As recording rules, with Grafana's interval filled in."""
    require_tools("promtool")
    queries = [query for name in DASHBOARDS for query in queries_of(name)]
    rules = [
        {"record": f"query:{number}", "expr": query.replace("$__rate_interval", "1m")}
        for number, query in enumerate(queries)
    ]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboards", "rules": rules}]}))

    done = subprocess.run(["promtool", "check", "rules", str(path)], check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(queries)} rules found" in done.stdout


def test_panels_do_not_overlap_and_stand_in_rows() -> None:
    """24 columns, as Grafana divides a page."""
    for name in DASHBOARDS:
        places = [panel["gridPos"] for panel in json.loads(text(name))["panels"]]
        assert len({(place["x"], place["y"]) for place in places}) == len(places)
        assert all(place["x"] + place["w"] <= 24 for place in places)


def test_a_label_that_a_metric_does_not_have_is_refused() -> None:
    """The generator notices, not the reader of an empty picture."""
    with pytest.raises(ValueError, match="loginwatch_logins has no label colour"):
        rate(LOGINS, "colour")


def queries_of(name: str) -> list[str]:
    """The PromQL of a dashboard."""
    panels = json.loads(text(name))["panels"]
    return [re.sub(r"\s+", " ", target["expr"]) for panel in panels for target in panel["targets"]]
