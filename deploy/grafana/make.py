"""
Writes the Grafana dashboards from the declarations in `streams/metrics/`: `python -m deploy.grafana.make`.

Decision: queries are made from the metrics' declarations, so a metric that is renamed or loses a label cannot stay behind
in a picture; a test compares the files with what this writes.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streams import metrics as m
from streams.metrics import Metric

FOLDER = Path(__file__).parent / "dashboards"
SOURCE = {"type": "prometheus", "uid": "prometheus"}
WIDTH, HEIGHT = 8, 7
PER_ROW = 24 // WIDTH


@dataclass(frozen=True)
class Query:
    """One line of a picture: PromQL and what its lines are called."""

    expression: str
    legend: str = ""


@dataclass(frozen=True)
class Picture:
    """One panel: what it answers, and in which unit of Grafana's."""

    title: str
    queries: Sequence[Query]
    unit: str = "short"
    about: str = ""


def rate(metric: Metric, by: str = "", **only: str) -> Query:
    """Events a second of a counter, by one label. Raises ValueError for a label that the metric does not have."""
    name = f"{metric.name}_total{_selector(metric, by, only)}"
    return Query(f"sum{_by(by)} (rate({name}[$__rate_interval]))", f"{{{{{by}}}}}" if by else metric.name)


def value(metric: Metric, by: str = "", how: str = "sum", **only: str) -> Query:
    """The value of a gauge, added up (or `max`, `min`) over processes, by one label."""
    return Query(f"{how}{_by(by)} ({metric.name}{_selector(metric, by, only)})", f"{{{{{by}}}}}" if by else metric.name)


def quantiles(metric: Metric, *quantities: float) -> list[Query]:
    """Quantiles of a histogram over all processes."""
    return [
        Query(
            f"histogram_quantile({quantity}, sum by (le) (rate({metric.name}_bucket[$__rate_interval])))",
            f"{100 * quantity:g} % are faster",
        )
        for quantity in quantities
    ]


def _by(label: str) -> str:
    return f" by ({label})" if label else ""


def _selector(metric: Metric, by: str, only: dict[str, str]) -> str:
    for label in (by, *only):
        if label and label not in (*metric.labels, "instance", "process"):
            raise ValueError(f"{metric.name} has no label {label}")
    return "{" + ",".join(f'{label}=~"{wanted}"' for label, wanted in only.items()) + "}" if only else ""


def hourly(metric: Metric, by: str = "", **only: str) -> Query:
    """Events of a counter in the last hour, for what is rare."""
    name = f"{metric.name}_total{_selector(metric, by, only)}"
    return Query(f"sum{_by(by)} (increase({name}[1h]))", f"{{{{{by}}}}}" if by else metric.name)


PIPELINE = [
    Picture("Processes that answer", [Query('sum by (process) (up{job="loginwatch"})', "{{process}}")], "none"),
    Picture("Logins, by outcome", [rate(m.LOGINS, "outcome")], "reqps"),
    Picture(
        "Records waiting to be judged",
        [value(m.LAG, "topic")],
        about="By the broker's own end offsets, so that a stalled worker shows.",
    ),
    Picture("From a login to its decision", quantiles(m.DECISION_SECONDS, 0.5, 0.99), "s"),
    Picture("From a login to its acknowledged block", quantiles(m.BLOCK_SECONDS, 0.5, 0.99), "s"),
    Picture("Kafka answers (0 = somebody cannot reach it)", [value(m.KAFKA_UP, "process", "min")], "none"),
    Picture(
        "Canary: from its last login to the refusal",
        [
            Query(f"sum(rate({name}_sum[30m])) / sum(rate({name}_count[30m]))", legend)
            for name, legend in (
                (m.CANARY_BLOCK_SECONDS.name, "blocked"),
                (m.CANARY_REFUSAL_SECONDS.name, "refused"),
                (m.CANARY_REOPENING_SECONDS.name, "open again, from the reset"),
            )
        ],
        "s",
        about="Mean of half an hour, end to end, through the front door.",
    ),
    Picture("Canary: rounds in an hour, by outcome", [hourly(m.CANARY_ROUNDS, "outcome")]),
    Picture("Dead letters in an hour, by reason", [hourly(m.DEAD_LETTERS, "reason")]),
    Picture("Under a wrong key in an hour", [hourly(m.FORWARDED, "topic")], about="Each is passed on, once."),
    Picture("Clocks ahead: logins in an hour", [hourly(m.CLOCK_SKEW)]),
]
INCIDENTS = [
    Picture("Incidents in an hour, by rule", [hourly(m.INCIDENTS, "rule")]),
    Picture("Incidents in an hour, by the scope that set the limit", [hourly(m.INCIDENTS, "level")]),
    Picture("Revisions in an hour", [hourly(m.INCIDENT_REVISIONS)], about="Further networks of open incidents."),
    Picture("Blocks in an hour", [hourly(m.BLOCKS, "kind")]),
    Picture("Blocks in force", [value(m.BLOCKS_HELD, how="max")], about="As the doors hold them."),
    Picture(
        "Logins of blocked accounts, in an hour",
        [hourly(m.LOGINS, "outcome", outcome="blocked|familiar")],
        about="`blocked` above 0: a door does not ask. `familiar` came from networks that stay open.",
    ),
    Picture("Mails in an hour, by outcome", [hourly(m.MAILS, "outcome")]),
    Picture("From a notification to its mail", quantiles(m.MAIL_DELAY, 0.5, 0.99), "s"),
    Picture("Oldest mail not sent", [value(m.MAIL_OLDEST_PENDING, how="max")], "s"),
    Picture("Kicks in an hour, by outcome", [hourly(m.KICKS, "outcome")]),
    Picture("Webhooks in an hour, by outcome", [hourly(m.WEBHOOKS, "outcome")]),
    Picture("From a block to its first kick or webhook", quantiles(m.ENFORCEMENT_DELAY, 0.5, 0.99), "s"),
]
DOORS = [
    Picture("Answers to Dovecot", [rate(m.DOOR_ANSWERS, "answer")], "reqps"),
    Picture("Answers to Postfix", [rate(m.POLICY_ANSWERS, "answer")], "reqps"),
    Picture("Time to answer", quantiles(m.DOOR_SECONDS, 0.5, 0.99), "s", about="Without the network."),
    Picture("Requests that no command saw", [rate(m.DOOR_REFUSED, "reason")], "reqps"),
    Picture("Connections", [value(m.DOOR_CONNECTIONS, "process")]),
    Picture("Blocks loaded (0 = everybody passes)", [value(m.VIEW_READY, "instance", "min")], "none"),
    Picture("Blocks not yet applied", [value(m.VIEW_LAG, "instance", "max")]),
    Picture("Reports, by outcome", [rate(m.REPORTS, "outcome")], "reqps"),
    Picture("Reports not yet acknowledged", [value(m.REPORTS_BUFFERED, "process")]),
    Picture("Senders refused in an hour", [hourly(m.SENDERS_REFUSED, "demand")]),
    Picture("Messages, by sender's relation to the account", [rate(m.SENDERS_SEEN, "relation")], "cps"),
    Picture("Log lines read", [rate(m.LOG_LINES)], "cps"),
    Picture("Log records, by kind", [rate(m.LOG_RECORDS, "kind")], "cps"),
    Picture("Log bytes not read", [value(m.LOG_BEHIND)], "bytes"),
    Picture("Lines that cannot be read, in an hour", [hourly(m.LOG_UNREADABLE, "reason")]),
]
WORKER = [
    Picture("Accounts in memory", [value(m.ACCOUNTS, "instance")]),
    Picture("Bytes of their states", [value(m.STATE_BYTES, "instance")], "bytes"),
    Picture("Recovering: changelog records left", [value(m.RECOVERY_REMAINING, "instance")]),
    Picture("Records in a batch", quantiles(m.BATCH_RECORDS, 0.5, 0.99)),
    Picture("Time of a batch", quantiles(m.BATCH_SECONDS, 0.5, 0.99), "s"),
    Picture("Batches in flight", [value(m.IN_FLIGHT, "instance")]),
    Picture("Commits", [rate(m.COMMITS, "instance")], "ops"),
    Picture("Lag by partition", [value(m.LAG, "partition", topic="logins")]),
    Picture("Batches sent again or given up, in an hour", [hourly(m.STAGES_REPEATED), hourly(m.BATCHES_ABANDONED)]),
    Picture("Policies read (0 = nothing is judged)", [value(m.TABLES_CAUGHT_UP, "instance", "min")], "none"),
    Picture("Country rule on", [value(m.COUNTRY_RULE, "instance", "min")], "none"),
    Picture(
        "Age of the geo database",
        [Query(f"time() - ({m.GEO_BUILT.name} > 0)", "{{instance}}")],
        "s",
    ),
    Picture("Networks given up, in an hour", [hourly(m.NETWORKS_LET_GO)], about="Accounts with more than 64."),
    Picture("Messages counted", [rate(m.MESSAGES)], "cps"),
    Picture("Commands", [rate(m.COMMANDS, "action")], "cps"),
]
DASHBOARDS = {
    "pipeline": ("loginwatch: pipeline health", PIPELINE),
    "incidents": ("loginwatch: incidents and blocks", INCIDENTS),
    "doors": ("loginwatch: doors and log reader", DOORS),
    "worker": ("loginwatch: worker internals", WORKER),
}


def dashboard(name: str) -> dict[str, Any]:
    """A dashboard as Grafana imports it (schema version 39)."""
    title, pictures = DASHBOARDS[name]
    return {
        "uid": f"loginwatch-{name}",
        "title": title,
        "tags": ["loginwatch"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "utc",
        "links": [
            {"type": "dashboards", "title": "loginwatch", "tags": ["loginwatch"], "asDropdown": True, "keepTime": True}
        ],
        "panels": [_panel(number, picture) for number, picture in enumerate(pictures)],
    }


def _panel(number: int, picture: Picture) -> dict[str, Any]:
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": picture.title,
        "description": picture.about,
        "datasource": SOURCE,
        "gridPos": {"x": number % PER_ROW * WIDTH, "y": number // PER_ROW * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": picture.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": SOURCE,
                "expr": query.expression,
                "legendFormat": query.legend,
            }
            for index, query in enumerate(picture.queries)
        ],
    }


def text(name: str) -> str:
    """The file of a dashboard."""
    return json.dumps(dashboard(name), indent=1) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for each in DASHBOARDS:
        (FOLDER / f"{each}.json").write_text(text(each), encoding="utf-8")
