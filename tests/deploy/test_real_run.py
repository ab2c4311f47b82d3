"""Rules and dashboards on what Debian's Prometheus recorded of a real run, in which the worker is killed."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.grafana.make import DASHBOARDS
from streams import metrics as m
from streams.bus.embedded import EmbeddedBroker
from streams.metrics import declared
from streams.settings import Settings
from tests.connectors.smtp_servers import Inbox, smtp_server
from tests.deploy.real_run import PROCESSES, RealRun
from tests.deploy.test_grafana import queries_of
from tests.deploy.test_prometheus import ALERTS, METRIC, RULES, names_of
from tests.eventually import eventually
from tests.kafka_broker import PARTITIONS
from tests.tools import require_tools

QUERIES = [query for name in DASHBOARDS for query in queries_of(name)]

STEP_S = 15
"""Promtool sees the run slowed down: what was scraped every half second comes to it every 15 seconds."""
BEFORE, AFTER = 16, 27
"""Scrapes until the worker is killed, and from then on: to promtool 4 minutes and almost 7."""
LOOSE = 3
"""Scrapes of several processes do not fall together: a series that ends so close to the last of all goes on."""
RATE_INTERVAL = "30s"
RAN = {name for metric in declared() if set(metric.processes) & set(PROCESSES) for name in names_of(metric)}
DID_NOT_HAPPEN = {f"{metric.name}_total" for metric in (m.DOOR_REFUSED, m.SENDERS_REFUSED, m.SENDERS_SEEN)} | {
    m.GEO_BUILT.name
}
"""Requests that no command saw, and foreign senders; and there is no geo database."""
FAULT = {"LoginwatchWorkerMissing", "LoginwatchWorkerDown"}


@dataclass
class Recorded:
    """What Prometheus answered while everything ran, and all that it had scraped in the end."""

    answers: dict[str, list[Any]]
    rules: list[dict[str, Any]]
    series: dict[str, list[str]]
    """By series: a value for each scrape, `_` where there was none."""
    pending: set[str]
    """Alerts that Prometheus itself saw coming at the end."""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """People log in at both doors, thieves are blocked, mails go out; then the worker dies, and doors go on."""
    require_tools("prometheus", "promtool")
    inbox = Inbox()
    with (
        EmbeddedBroker(Settings(partitions=PARTITIONS, app="real-run")) as broker,
        smtp_server(inbox) as smtp_port,
        RealRun(broker.settings, tmp_path_factory.mktemp("run"), smtp_port) as run,
    ):
        scrapes = run.scrapes()
        run.things_that_happen()
        for number in range(BEFORE):
            run.log_in([f"user{number}@example.org"])
            eventually(lambda number=number: run.scrapes() > scrapes + number, what="a scrape")
        answers = {query: run.query(query.replace("$__rate_interval", RATE_INTERVAL)) for query in QUERIES}
        run.kill("worker")
        scrapes = run.scrapes()
        for number in range(AFTER):
            run.log_in([f"late{number}@example.org"])
            eventually(lambda number=number: run.scrapes() > scrapes + number, what="a scrape")
        pending = {alert["labels"]["alertname"] for alert in run.ask("alerts")["alerts"]}
        rules = [rule for group in run.ask("rules")["groups"] for rule in group["rules"]]
        yield Recorded(answers, rules, run.series(BEFORE + AFTER), pending)


def test_dashboards_show_what_happened(recorded: Recorded) -> None:
    """Prometheus parses every query, and those about processes that ran and events that happened have data."""
    for query, answer in recorded.answers.items():
        asked = set(METRIC.findall(query))
        assert bool(answer) == (asked <= RAN and not asked & DID_NOT_HAPPEN), query


def test_prometheus_takes_the_rules_and_sees_the_fault(recorded: Recorded) -> None:
    """Every rule can be evaluated on what processes serve; with the worker gone exactly its two alerts are on their way."""
    assert {rule["name"] for rule in recorded.rules} == set(ALERTS)
    assert {rule["health"] for rule in recorded.rules} == {"ok"}
    assert recorded.pending == FAULT


def test_the_recorded_run_wakes_somebody_for_the_fault_alone(recorded: Recorded, tmp_path: Path) -> None:
    """Of what is well only the dead letter is told; six minutes after the worker died its alerts fire, and no other."""
    assert len(recorded.series) > 300

    assert firing(recorded.series, BEFORE - LOOSE, tmp_path) == {"LoginwatchDeadLetters"}
    assert firing(recorded.series, BEFORE + AFTER - LOOSE, tmp_path) == FAULT


def firing(series: dict[str, list[str]], at: int, folder: Path) -> set[str]:
    """The alerts that promtool sees firing at a sample, by asking it for each as if none fired."""
    test = {
        "rule_files": [str(RULES)],
        "evaluation_interval": f"{STEP_S}s",
        "tests": [
            {
                "interval": f"{STEP_S}s",
                "input_series": [{"series": name, "values": ended(values)} for name, values in series.items()],
                "alert_rule_test": [
                    {"eval_time": f"{at * STEP_S}s", "alertname": name, "exp_alerts": []} for name in ALERTS
                ],
            }
        ],
    }
    path = folder / "recorded.yml"
    path.write_text(yaml.safe_dump(test))
    done = subprocess.run(["promtool", "test", "rules", str(path)], check=False, capture_output=True, text=True)
    found = set(re.findall(r"alertname: (\w+)", done.stdout + done.stderr))
    assert (done.returncode == 0) == (not found), done.stdout + done.stderr
    return found


def ended(values: list[str]) -> str:
    """As promtool writes series: one that ends is `stale` from there on, as Prometheus marks it."""
    last = max(place for place, value in enumerate(values) if value != "_")
    if last + LOOSE >= len(values):
        return " ".join(values)
    return " ".join([*values[: last + 1], "stale", *values[last + 2 :]])
