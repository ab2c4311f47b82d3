"""The dashboards by Grafana's own schemas, as its Foundation SDK is generated from them: no field that Grafana does not know."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.grafana.make import DASHBOARDS, dashboard

pytest.importorskip("grafana_foundation_sdk", reason="grafana-foundation-sdk is not installed")

from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import prometheus, timeseries
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel


@pytest.fixture(autouse=True, scope="module")
def _known_plugins() -> None:
    """Panels and queries are read by the schema of their own plugin."""
    plugins.register_default_plugins()


@pytest.mark.parametrize("name", DASHBOARDS)
def test_grafana_keeps_every_field(name: str) -> None:
    """What is read by the schemas and written again has everything that was there, with the same values."""
    wanted = dashboard(name)
    read = Dashboard.from_json(wanted)

    assert list(lost(wanted, written(read))) == []
    for panel in read.panels or []:
        assert isinstance(panel, Panel)
        assert isinstance(panel.options, timeseries.Options)
        assert all(isinstance(target, prometheus.Dataquery) for target in panel.targets or [])


def test_a_field_that_grafana_does_not_know_is_noticed() -> None:
    """Of the dashboard, a panel, its options and its query."""
    wrong = dashboard("pipeline")
    panel = wrong["panels"][0]
    for place in (wrong, panel, panel["options"]["legend"], panel["targets"][0]):
        place["colour"] = "red"

    assert len(list(lost(wrong, written(Dashboard.from_json(wrong))))) == 4


def written(read: Dashboard) -> Any:
    """As Grafana would store it."""
    return json.loads(JSONEncoder().encode(read))


def lost(wanted: Any, found: Any, path: str = "") -> Iterator[str]:
    """Where the first is not in the second."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key, value in wanted.items():
            yield from lost(value, found.get(key), f"{path}/{key}")
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for number, (one, other) in enumerate(zip(wanted, found, strict=True)):
            yield from lost(one, other, f"{path}/{number}")
    elif wanted != found:
        yield f"{path}: {wanted!r} became {found!r}"
