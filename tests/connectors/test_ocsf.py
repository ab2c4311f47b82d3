"""Incidents, reviews and blocks as OCSF events, held against the published classes."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from py_ocsf_models.events.findings.detection_finding import DetectionFinding
from py_ocsf_models.objects.device import Device  # noqa: F401 - the models refer to each other by name

from streams.connectors.ocsf import REVIEWED, account_change, closing, finding
from streams.connectors.syslog import framed, syslog_message
from tests.connectors.doors import block
from tests.connectors.notifications import INCIDENT, OPENED, incident, network

ACCOUNT_CHANGE_REQUIRED = {
    "activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid", "user",
}  # fmt: skip
"""Of Account Change in ocsf-schema 1.3.0: events/iam/account_change.json, with iam.json and base_event.json."""
BASE_ATTRIBUTES = {
    "activity_name", "category_name", "class_name", "message", "observables", "severity", "status", "status_id",
    "type_name", "unmapped",
}  # fmt: skip
ACCOUNT_CHANGE_OTHERS = {"actor", "http_request", "policy", "src_endpoint", "user_result"}
REVIEW = {
    "id": "r1",
    "incident": INCIDENT,
    "account": "user@example.org",
    "time": OPENED + 60_000,
    "verdict": "compromised",
    "note": "password changed",
    "actor": "helpdesk@example.org",
}


def test_the_first_revision_creates_the_finding_and_later_ones_update_it() -> None:
    """One finding id, and an id of its own for every event."""
    created, updated = finding(incident(), "1.0"), finding(incident(revision=2, revised=OPENED + 9), "1.0")

    assert (created["activity_id"], created["type_uid"], created["status"]) == (1, 200401, "New")
    assert (updated["activity_id"], updated["type_uid"], updated["status"]) == (2, 200402, "In Progress")
    assert created["finding_info"]["uid"] == updated["finding_info"]["uid"] == INCIDENT
    assert created["metadata"]["uid"] != updated["metadata"]["uid"]
    assert finding(incident(), "1.0") == created


@pytest.mark.parametrize("event", [finding(incident(), "1.0"), finding(incident(networks=[]), "1.0")])
def test_a_finding_is_a_detection_finding_by_the_published_models(event: dict[str, Any]) -> None:
    """Types and enumerations by py-ocsf-models, which are made from the schema; what it takes is what we wrote."""
    read = DetectionFinding.model_validate(event)

    assert read.finding_info.uid == INCIDENT
    assert read.severity_id.name == "High"
    assert read.type_uid.name == "Create"
    assert [each.value for each in read.observables or []][:1] == ["user@example.org"]


def test_a_review_closes_the_finding_of_its_incident() -> None:
    """By the same finding id; the models take it."""
    event = closing(REVIEW, "1.0")

    read = DetectionFinding.model_validate(event)
    assert (event["activity_id"], event["type_uid"]) == (3, 200403)
    assert read.finding_info.uid == INCIDENT
    assert event["status"] == "Resolved"
    assert event["comment"] == "password changed"


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        ("compromised", "Resolved"),
        ("third_party", "Suppressed"),
        ("travelling", "Suppressed"),
        ("mobile", "Suppressed"),
        ("other", "Resolved"),
    ],
)
def test_a_verdict_says_how_it_ended(verdict: str, status: str) -> None:
    """What was benign is suppressed, and nothing else."""
    assert closing({**REVIEW, "verdict": verdict}, "1.0")["status"] == status
    assert verdict in REVIEWED


def test_what_is_only_observed_is_less_severe() -> None:
    """Nobody is blocked in that mode."""
    assert finding(incident(mode="observe"), "1.0")["severity"] == "Medium"


def test_the_techniques_fit_what_was_seen() -> None:
    """Valid Accounts always; Remote Email Collection where mail was read from outside."""
    reading = finding(incident(), "1.0")["finding_info"]["attacks"]
    sending = finding(incident(networks=[network("192.0.2.1/32", service="smtp")]), "1.0")["finding_info"]["attacks"]

    assert [each["technique"]["uid"] for each in reading] == ["T1078", "T1114"]
    assert [each["technique"]["uid"] for each in sending] == ["T1078"]


def test_the_evidence_names_every_network_with_its_place() -> None:
    """What is unknown is left out, not null."""
    evidence = finding(incident(), "1.0")["evidences"]

    assert [each["src_endpoint"]["ip"] for each in evidence] == ["192.0.2.10", "203.0.113.5", "2001:db8:1:2::99"]
    assert evidence[1]["src_endpoint"]["location"]["country"] == "BR"
    assert "country" not in evidence[2]["src_endpoint"]["location"]


@pytest.mark.parametrize(("state", "activity", "type_uid"), [("blocked", "Lock", 300109), ("open", "Enable", 300102)])
def test_a_block_is_an_account_change(state: str, activity: str, type_uid: int) -> None:
    """All attributes that the class requires, and none that it does not know."""
    event = account_change(block(state=state, incident=INCIDENT), "1.0")

    assert (event["activity_name"], event["type_uid"]) == (activity, type_uid)
    assert set(event) >= ACCOUNT_CHANGE_REQUIRED
    assert set(event) <= ACCOUNT_CHANGE_REQUIRED | BASE_ATTRIBUTES | ACCOUNT_CHANGE_OTHERS
    assert event["user"]["name"] == "alice@example.org"
    assert event["metadata"]["correlation_uid"] == INCIDENT


def test_a_block_by_hand_names_who_did_it_and_no_incident() -> None:
    """There is nothing to correlate with."""
    event = account_change(block(actor="helpdesk"), "1.0")

    assert event["actor"]["user"]["name"] == "helpdesk"
    assert "correlation_uid" not in event["metadata"]


@given(text=st.text(max_size=60), hostname=st.text(max_size=300))
def test_no_text_breaks_out_of_a_syslog_message(text: str, hostname: str) -> None:
    """Whatever a thief or a host is called: one frame, a head of seven fields, and the event whole behind it."""
    event = finding(incident(summary=text.encode(errors="replace").decode()), "1.0")

    length, _, message = framed(syslog_message(event, hostname)).partition(b" ")

    assert int(length) == len(message)
    assert b"\n" not in message
    head, _, content = message.partition(b"\xef\xbb\xbf")
    assert len(head.decode("ascii").split(" ")) == 8
    assert orjson.loads(content) == event
