"""Alert rules: promtool takes them, each fires on what it is for and is silent otherwise, and its metrics and page exist."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.cli.health import LISTENS
from streams.metrics import Metric, declared
from streams.settings import Settings
from tests.tools import require_tools

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus/alerts.yml"
ALERTS = {rule["alert"]: rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}
WORKER = 'instance="worker:9101", process="worker", job="loginwatch"'
GATEWAY = 'instance="gateway:9102", process="gateway", job="loginwatch"'
CANARY = 'instance="canary:9109", process="canary", job="loginwatch"'
MAILER = 'instance="mailer:9103", process="mailer", job="loginwatch"'
ENFORCEMENT = 'instance="enforcement:9106", process="enforcement", job="loginwatch"'
LOGS = 'instance="logs:9107", process="logs", job="loginwatch"'
ALERTER = 'instance="alerts:9108", process="alerts", job="loginwatch"'
PANEL = 'instance="panel:8080", process="panel", job="loginwatch"'

HEALTHY = {
    f"up{{{WORKER}}}": "1x{n}",
    f"up{{{GATEWAY}}}": "1x{n}",
    f'loginwatch_worker_lag{{topic="logins", partition="0", {WORKER}}}': "20x{n}",
    f'loginwatch_logins_total{{outcome="counted", {WORKER}}}': "0+600x{n}",
    f"loginwatch_worker_commits_total{{{WORKER}}}": "0+60x{n}",
    f"loginwatch_worker_batch_records_count{{{WORKER}}}": "0+600x{n}",
    f'loginwatch_decision_seconds_bucket{{le="0.05", {WORKER}}}': "0+600x{n}",
    f'loginwatch_decision_seconds_bucket{{le="+Inf", {WORKER}}}': "0+600x{n}",
    f"loginwatch_worker_tables_caught_up{{{WORKER}}}": "1x{n}",
    f"loginwatch_worker_geo_built_timestamp_seconds{{{WORKER}}}": "0x{n}",
    f"loginwatch_kafka_up{{{WORKER}}}": "1x{n}",
    f'loginwatch_dead_letters_total{{reason="bad-address", {WORKER}}}': "3x{n}",
    f'loginwatch_logins_total{{outcome="blocked", {WORKER}}}': "2x{n}",
    f'loginwatch_door_answers_total{{answer="allowed", {GATEWAY}}}': "0+600x{n}",
    f'loginwatch_door_answers_total{{answer="open_not-ready", {GATEWAY}}}': "7x{n}",
    f"loginwatch_view_ready{{{GATEWAY}}}": "1x{n}",
    f'loginwatch_reports_total{{outcome="lost", {GATEWAY}}}': "1x{n}",
    **{f"up{{{process}}}": "1x{n}" for process in (CANARY, MAILER, ENFORCEMENT, LOGS, ALERTER, PANEL)},
    f"loginwatch_canary_logins_total{{{CANARY}}}": "0+4x{n}",
    f"loginwatch_canary_last_ok_timestamp_seconds{{{CANARY}}}": "0+{s}x{n}",
    f"loginwatch_canary_interval_seconds{{{CANARY}}}": "300x{n}",
    f"loginwatch_canary_refusal_seconds_sum{{{CANARY}}}": "0+0.1x{n}",
    f"loginwatch_canary_refusal_seconds_count{{{CANARY}}}": "0+1x{n}",
    f"loginwatch_smtp_up{{{MAILER}}}": "1x{n}",
    f"loginwatch_mail_oldest_pending_seconds{{{MAILER}}}": "2x{n}",
    'loginwatch_enforcement_up{receiver="mail1", process="enforcement"}': "1x{n}",
    'loginwatch_enforcement_oldest_pending_seconds{receiver="mail1", process="enforcement"}': "0x{n}",
    f"loginwatch_log_behind_bytes{{{LOGS}}}": "4000x{n}",
    'loginwatch_reviews_total{verdict="compromised", process="alerts"}': "0+1x{n}",
    'loginwatch_reviews_total{verdict="travelling", process="alerts"}': "3x{n}",
    'loginwatch_alerts_up{outlet="syslog", process="alerts"}': "0x{n}",
    'loginwatch_alerts_lag{outlet="syslog", process="alerts"}': "0x{n}",
}
"""A fleet that does its work, from the first sample to sample {n}, {s} seconds apart."""

BROKEN: dict[str, dict[str, str | None]] = {
    "LoginwatchWorkerMissing": {f"up{{{WORKER}}}": None},
    "LoginwatchWorkerDown": {f"up{{{WORKER}}}": "0x{n}"},
    "LoginwatchLagGrows": {f'loginwatch_worker_lag{{topic="logins", partition="0", {WORKER}}}': "20+1000x{n}"},
    "LoginwatchNoLogins": {f'loginwatch_logins_total{{outcome="counted", {WORKER}}}': "0+600x1600 960000+4x400"},
    "LoginwatchNoLogins of workers that were restarted": {
        f'loginwatch_logins_total{{outcome="{outcome}", {WORKER}}}': values
        for outcome, values in (("counted", "0+600x1600 _x400"), ("blocked", "2x1600 _x400"))
    },
    "LoginwatchCommitsStall": {f"loginwatch_worker_commits_total{{{WORKER}}}": "5x{n}"},
    "LoginwatchDecisionsSlow": {
        f'loginwatch_decision_seconds_bucket{{le="0.05", {WORKER}}}': "0+1x{n}",
        f'loginwatch_decision_seconds_bucket{{le="30", {WORKER}}}': "0+600x{n}",
    },
    "LoginwatchTablesNotRead": {f"loginwatch_worker_tables_caught_up{{{WORKER}}}": "0x{n}"},
    "LoginwatchGeoDatabaseOld": {f"loginwatch_worker_geo_built_timestamp_seconds{{{WORKER}}}": "1x{n}"},
    "LoginwatchKafkaAway": {f"loginwatch_kafka_up{{{WORKER}}}": "0x{n}"},
    "LoginwatchKafkaAway of a process that reads only": {f"loginwatch_kafka_up{{{MAILER}}}": "0x{n}"},
    "LoginwatchDeadLetters": {f'loginwatch_dead_letters_total{{reason="bad-address", {WORKER}}}': "_x90 1x10"},
    "LoginwatchBlocksNotEnforced": {f'loginwatch_logins_total{{outcome="blocked", {WORKER}}}': "_x90 1x10"},
    "LoginwatchDoorMissing": {f"up{{{GATEWAY}}}": "0x{n}"},
    "LoginwatchDoorOpen": {f'loginwatch_door_answers_total{{answer="open_not-ready", {GATEWAY}}}': "0+60x{n}"},
    "LoginwatchDoorNotReady": {f"loginwatch_view_ready{{{GATEWAY}}}": "0x{n}"},
    "LoginwatchReportsLost": {f'loginwatch_reports_total{{outcome="lost", {GATEWAY}}}': "1x90 9x10"},
    "LoginwatchCanaryFailing": {f"loginwatch_canary_last_ok_timestamp_seconds{{{CANARY}}}": "0x{n}"},
    "LoginwatchCanarySlow": {f"loginwatch_canary_refusal_seconds_sum{{{CANARY}}}": "0+9x{n}"},
    "LoginwatchCanaryDown": {f"up{{{CANARY}}}": "1x50 0x50"},
    "LoginwatchMailerFailing": {
        f"loginwatch_smtp_up{{{MAILER}}}": "0x{n}",
        f"loginwatch_mail_oldest_pending_seconds{{{MAILER}}}": "0+60x{n}",
    },
    "LoginwatchEnforcementFailing": {
        'loginwatch_enforcement_up{receiver="mail1", process="enforcement"}': "0x{n}",
        'loginwatch_enforcement_oldest_pending_seconds{receiver="mail1", process="enforcement"}': "0+60x{n}",
    },
    "LoginwatchEnforcementDown": {f"up{{{ENFORCEMENT}}}": "1x50 0x50"},
    **{
        f"LoginwatchProcessDown {number}": {f"up{{{process}}}": "1x50 0x50"}
        for number, process in enumerate((MAILER, ALERTER, LOGS, PANEL))
    },
    "LoginwatchManyHonestPeopleFound": {
        'loginwatch_reviews_total{verdict="travelling", process="alerts"}': "0+1x{n}",
    },
    "LoginwatchAlertsFailing": {
        'loginwatch_alerts_lag{outlet="syslog", process="alerts"}': "5x{n}",
    },
    "LoginwatchLogReaderBehind": {f"loginwatch_log_behind_bytes{{{LOGS}}}": "9e7x{n}"},
}
"""What is different when each alert is to fire, which is the first word; None = that series is not there."""
LONG = {"LoginwatchNoLogins": (1, 2000), "LoginwatchGeoDatabaseOld": (5, 13_200)}
"""Minutes between samples and their number, where a day or 45 of them must pass."""
SIDE_EFFECTS = {"LoginwatchWorkerMissing": set(), "LoginwatchWorkerDown": {"LoginwatchWorkerMissing"}}
"""Alerts that rightly fire beside."""
SAYS = {
    "LoginwatchLagGrows": "99.02k logins wait to be judged, and they grow more.",
    "LoginwatchDecisionsSlow": "One login in a hundred waits 29.7s for its decision.",
    "LoginwatchGeoDatabaseOld": "The geo database of worker:9101 is 45d 19h 54m 59s old.",
    "LoginwatchDeadLetters": "1 records could not be used by worker: bad-address.",
    "LoginwatchBlocksNotEnforced": "1 logins of blocked accounts succeeded in 15 minutes: a door does not ask.",
    "LoginwatchDoorOpen": "gateway gateway:9102 lets people pass unjudged, 1 a second.",
    "LoginwatchReportsLost": "gateway gateway:9102 lost 8 reports of logins.",
    "LoginwatchCanarySlow": "The canary is refused 9s after its last login; so is a thief.",
    "LoginwatchManyHonestPeopleFound": "99 incidents of a day were honest people: the policy is too strict, or a network should be safe.",
    "LoginwatchAlertsFailing": "The SOC is not told: syslog takes no events, 5 wait.",
    "LoginwatchMailerFailing": "Nobody is told: the oldest mail of mailer:9103 waits 1h 39m 0s.",
    "LoginwatchLogReaderBehind": "The log reader logs:9107 is 85.83MiB behind its logs.",
}
"""The sentence of each alert that tells a number, when it fires as in `BROKEN`."""
METRIC = re.compile(r"\bloginwatch_\w+")


def names_of(metric: Metric) -> set[str]:
    """The names under which Prometheus knows a metric."""
    if metric.kind == "counter":
        return {f"{metric.name}_total"}
    if metric.kind == "histogram":
        return {f"{metric.name}{suffix}" for suffix in ("_bucket", "_sum", "_count")}
    return {metric.name}


def firing(series: dict[str, str], tmp_path: Path, minutes: int = 1, samples: int = 100) -> dict[str, str]:
    """
    The alerts that promtool sees firing right before the last sample, by asking it for each as if none fired.

    With the sentence of each.
    """
    at = f"{(samples - 1) * minutes}m"
    expectations = [{"eval_time": at, "alertname": name, "exp_alerts": []} for name in ALERTS]
    test: dict[str, Any] = {
        "rule_files": [str(RULES)],
        "evaluation_interval": f"{minutes}m",
        "tests": [
            {
                "interval": f"{minutes}m",
                "input_series": [
                    {"series": name, "values": values.replace("{n}", str(samples)).replace("{s}", str(60 * minutes))}
                    for name, values in series.items()
                ],
                "alert_rule_test": expectations,
            }
        ],
    }
    path = tmp_path / "test.yml"
    path.write_text(yaml.safe_dump(test))
    done = subprocess.run(["promtool", "test", "rules", str(path)], check=False, capture_output=True, text=True)
    said = re.findall(r'alertname: (\w+), time.*?summary="(.*?)"}', done.stdout + done.stderr, re.DOTALL)
    found = dict(said)
    assert (done.returncode == 0) == (not found), done.stdout + done.stderr
    return found


def test_promtool_takes_rules_and_configuration() -> None:
    """Syntax of all files."""
    require_tools("promtool")
    configurations = [["check", "config", str(RULES.with_name(name))] for name in ("prometheus.yml", "systemd.yml")]
    for command in (["check", "rules", str(RULES)], *configurations):
        done = subprocess.run(["promtool", *command], check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_on_a_machine_with_the_units_asks_where_they_listen() -> None:
    """Workers at the addresses that their unit gives them, every other process at its default."""
    configuration = yaml.safe_load(RULES.with_name("systemd.yml").read_text())
    [job] = configuration["scrape_configs"]
    unit = (ROOT / "deploy/systemd/loginwatch-worker@.service").read_text()
    worker = re.search(r"^Environment=LOGINWATCH_WORKER_HEALTH_LISTEN=(\S+)$", unit, re.MULTILINE)
    assert worker is not None

    listed = {each["labels"]["process"]: each["targets"] for each in job["static_configs"]}

    defaults = {name: [Settings.model_fields[setting].default] for name, setting in LISTENS.items()}
    assert listed == defaults | {"worker": [worker[1].replace("%i", number) for number in "12"]}


def test_a_healthy_fleet_wakes_nobody(tmp_path: Path) -> None:
    """Old dead letters, lost reports and blocked logins fire no more."""
    require_tools("promtool")

    assert firing(HEALTHY, tmp_path) == {}


def test_a_fleet_without_a_canary_is_not_told_of_one(tmp_path: Path) -> None:
    """Off by default; its place in Prometheus' configuration may stay empty, and what needs no canary still fires."""
    require_tools("promtool")
    none = {name: values for name, values in HEALTHY.items() if "canary" not in name} | {f"up{{{CANARY}}}": "0x{n}"}
    silent = {f'loginwatch_logins_total{{outcome="counted", {WORKER}}}': "0+600x1600 960000x400"}

    assert firing(none, tmp_path) == {}
    assert firing(none | silent, tmp_path, *LONG["LoginwatchNoLogins"]).keys() == {"LoginwatchNoLogins"}


def test_a_process_that_never_ran_is_not_missed(tmp_path: Path) -> None:
    """The configurations that come with it list all of them; doors and workers are for every site."""
    require_tools("promtool")
    never = {f"up{{{process}}}": "0x{n}" for process in (CANARY, MAILER, ENFORCEMENT, LOGS, ALERTER, PANEL)}

    assert firing(HEALTHY | never, tmp_path) == {}


def test_where_no_worker_runs_nobody_is_sent_looking_for_logins(tmp_path: Path) -> None:
    """They may well arrive; it is the worker that is missing."""
    require_tools("promtool")
    gone = {name: values.format(n=1600, s=60) + " _x400" for name, values in HEALTHY.items() if WORKER in name}

    found = firing(HEALTHY | gone | {f"up{{{WORKER}}}": "1x1600 0x400"}, tmp_path, *LONG["LoginwatchNoLogins"])

    assert found.keys() == {"LoginwatchWorkerMissing", "LoginwatchWorkerDown"}


@pytest.mark.parametrize("case", BROKEN)
def test_each_alert_fires_on_what_it_is_for(case: str, tmp_path: Path) -> None:
    """With its sentence. Nothing else does, but what is the same failure seen from elsewhere."""
    require_tools("promtool")
    alert = case.partition(" ")[0]
    changed: dict[str, str | None] = {**HEALTHY, **BROKEN[case]}
    series = {name: values for name, values in changed.items() if values is not None}

    found = firing(series, tmp_path, *LONG.get(alert, ()))

    assert found.keys() == {alert} | SIDE_EFFECTS.get(alert, set())
    assert found[alert] == SAYS.get(alert, found[alert])


def test_every_alert_has_a_failure_and_every_number_a_sentence() -> None:
    """What Prometheus puts in for `$value` is the number that the sentence is about."""
    assert {case.partition(" ")[0] for case in BROKEN} == ALERTS.keys()
    assert {name for name, rule in ALERTS.items() if "$value" in rule["annotations"]["summary"]} == SAYS.keys()


def test_every_metric_of_the_rules_is_declared() -> None:
    """And with the labels that the rules select."""
    known = {name: metric for metric in declared() for name in names_of(metric)}

    for alert, rule in ALERTS.items():
        for name in METRIC.findall(rule["expr"]):
            assert name in known, f"{alert} asks for {name}"
        for name, selected in re.findall(r"(loginwatch_\w+)\{(\w+)=", rule["expr"]):
            assert selected in known[name].labels, f"{alert} selects {name} by {selected}"


def test_every_alert_has_its_page() -> None:
    """With the alert's name in it, so that a search finds it."""
    for alert, rule in ALERTS.items():
        page = ROOT / "docs" / rule["annotations"]["runbook"]
        assert alert in page.read_text(), f"{page.name} does not name {alert}"
        assert rule["labels"]["severity"] in ("page", "ticket")
