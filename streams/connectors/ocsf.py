"""
Incidents, reviews and blocks as OCSF events, for a SOC's tools. Pure.

OCSF 1.3.0 (Open Cybersecurity Schema Framework; github.com/ocsf/ocsf-schema): Detection Finding is class 2004 of category
2, Account Change class 3001 of category 3; `type_uid` is class * 100 + activity. docs/alerts.md has the mapping as a table.

Decision: everything about an incident has one finding id, the incident's, through all revisions and its review, so a SIEM
joins them. Each event has a `metadata.uid` of its own, derived, so that what is delivered twice is recognised.
"""

import json
import uuid
from typing import Any

from streams.core.episodes import NAMESPACE

Event = dict[str, Any]
Record = dict[str, Any]

VERSION = "1.3.0"
FINDINGS, DETECTION_FINDING = 2, 2004
IAM, ACCOUNT_CHANGE = 3, 3001
CREATE, UPDATE, CLOSE = (1, "Create"), (2, "Update"), (3, "Close")
ENABLE, LOCK = (2, "Enable"), (9, "Lock")
NEW, IN_PROGRESS = (1, "New"), (2, "In Progress")
SUPPRESSED, RESOLVED = (3, "Suppressed"), (4, "Resolved")
SUCCESS = (1, "Success")
INFORMATIONAL, MEDIUM, HIGH = (1, "Informational"), (3, "Medium"), (4, "High")
IP_ADDRESS, USER_NAME = (2, "IP Address"), (4, "User Name")
MOST_OBSERVABLES = 100

VALID_ACCOUNTS = {
    "version": "16.1",
    "tactics": [{"uid": "TA0001", "name": "Initial Access"}],
    "technique": {"uid": "T1078", "name": "Valid Accounts"},
}
REMOTE_MAIL = {
    "version": "16.1",
    "tactics": [{"uid": "TA0009", "name": "Collection"}],
    "technique": {"uid": "T1114", "name": "Email Collection"},
    "sub_technique": {"uid": "T1114.002", "name": "Remote Email Collection"},
}
"""Where the account was used to read mail from outside (IMAP, POP3), also this of MITRE ATT&CK."""
READING = {"imap", "pop3"}
TITLES = {
    "ips": "Mail account used from more networks than allowed",
    "countries": "Mail account used from more countries than allowed",
}
REVIEWED = {
    "compromised": (RESOLVED, "confirmed: the account was compromised"),
    "third_party": (SUPPRESSED, "benign: a third-party application logs in for the user"),
    "travelling": (SUPPRESSED, "benign: the user was travelling"),
    "mobile": (SUPPRESSED, "benign: a mobile connection that changes its address"),
    "other": (RESOLVED, "reviewed"),
}
"""What a verdict makes of the finding; only a confirmed takeover, and what is none of the known reasons, is Resolved."""


def finding(incident: Record, product_version: str) -> Event:
    """The Detection Finding of one revision of an Incident: created by the first, updated by later ones."""
    first = incident["revision"] == 1
    severity = MEDIUM if incident["mode"] == "observe" else HIGH
    networks = incident["networks"]
    info = {
        "uid": incident["id"],
        "title": TITLES[incident["rule"]],
        "desc": incident["summary"],
        "types": ["Compromised account"],
        "created_time": incident["opened"],
        "modified_time": incident["revised"],
        "first_seen_time": min((each["first"] for each in networks), default=incident["opened"]),
        "last_seen_time": max((each["last"] for each in networks), default=incident["opened"]),
        "analytic": {
            "uid": f"presence-{incident['rule']}",
            "name": f"presence of {incident['rule']} in a window",
            "type_id": 1,
            "type": "Rule",
        },
        "attacks": _attacks(incident),
    }
    return {
        **_base(FINDINGS, DETECTION_FINDING, CREATE if first else UPDATE, incident["revised"], severity),
        **_status(NEW if first else IN_PROGRESS),
        "message": f"{incident['account']}: {incident['summary']}",
        "metadata": _metadata(["incident", incident["id"], incident["revision"]], product_version),
        "finding_info": info,
        "evidences": [_evidence(incident["account"], each) for each in networks[:MOST_OBSERVABLES]],
        "observables": _observables(incident["account"], networks),
        "resources": [_resource(incident["account"])],
        "unmapped": {
            "count": incident["count"],
            "limit": incident["limit"],
            "window_minutes": incident["window"],
            "mode": incident["mode"],
            "blocked_until": incident["blocked_until"],
            "messages_24h": incident["messages_24h"],
            "distinct_countries": incident["distinct_countries"],
            "networks_ever": incident["networks_ever"],
        },
    }


def closing(review: Record, product_version: str) -> Event:
    """The Detection Finding that a Review closes."""
    status, meaning = REVIEWED.get(review["verdict"], (RESOLVED, "reviewed"))
    return {
        **_base(FINDINGS, DETECTION_FINDING, CLOSE, review["time"], INFORMATIONAL),
        **_status(status),
        "message": f"{review['account']}: {meaning}, says {review['actor']}",
        "comment": review["note"],
        "metadata": _metadata(["review", review["id"]], product_version),
        "finding_info": {
            "uid": review["incident"],
            "title": "Mail account used from more places than allowed",
            "modified_time": review["time"],
        },
        "observables": _observables(review["account"], []),
        "resources": [_resource(review["account"])],
        "unmapped": {"verdict": review["verdict"], "reviewer": review["actor"]},
    }


def account_change(block: Record, product_version: str) -> Event:
    """The Account Change of a Block: Lock when it begins, Enable when it is lifted before its time."""
    locked = block["state"] == "blocked"
    event = {
        **_base(IAM, ACCOUNT_CHANGE, LOCK if locked else ENABLE, block["from"], MEDIUM if locked else INFORMATIONAL),
        **_status(SUCCESS),
        "message": f"{block['account']} is {'denied logins' if locked else 'let in again'}: {block['reason']}",
        "metadata": _metadata(["block", block["id"], block["state"], block["until"]], product_version),
        "user": {"name": block["account"], "uid": block["account"]},
        "actor": {"user": {"name": block["actor"]}},
        "observables": _observables(block["account"], []),
        "unmapped": {"until": block["until"], "except_networks": block["except_networks"]},
    }
    if block["incident"] is not None:
        event["metadata"]["correlation_uid"] = block["incident"]
    return event


def _base(category: int, class_uid: int, activity: tuple[int, str], time_ms: int, severity: tuple[int, str]) -> Event:
    names = {DETECTION_FINDING: "Detection Finding", ACCOUNT_CHANGE: "Account Change"}
    return {
        "category_uid": category,
        "category_name": "Findings" if category == FINDINGS else "Identity & Access Management",
        "class_uid": class_uid,
        "class_name": names[class_uid],
        "activity_id": activity[0],
        "activity_name": activity[1],
        "type_uid": class_uid * 100 + activity[0],
        "type_name": f"{names[class_uid]}: {activity[1]}",
        "severity_id": severity[0],
        "severity": severity[1],
        "time": time_ms,
    }


def _status(status: tuple[int, str]) -> Event:
    return {"status_id": status[0], "status": status[1]}


def _metadata(identity: list[Any], product_version: str) -> Event:
    return {
        "version": VERSION,
        "uid": str(uuid.uuid5(NAMESPACE, json.dumps(["ocsf", *identity]))),
        "product": {"name": "loginwatch", "vendor_name": "loginwatch", "version": product_version},
    }


def _attacks(incident: Record) -> list[Event]:
    read = any(each["service"] in READING for each in incident["networks"])
    return [VALID_ACCOUNTS, REMOTE_MAIL] if read else [VALID_ACCOUNTS]


def _evidence(account: str, network: Record) -> Event:
    """Who came from where: the account, and the network's last address with its place."""
    place = {
        "country": network["country"],
        "city": network["city"],
        "lat": network["latitude"],
        "long": network["longitude"],
    }
    endpoint: Event = {"ip": network["address"], "location": _known(place), "svc_name": network["service"]}
    if network["owner"] is not None:
        endpoint["autonomous_system"] = {"name": network["owner"]}
    return {
        "src_endpoint": _known(endpoint),
        "actor": {"user": {"name": account, "uid": account}},
        "data": {key: network[key] for key in ("network", "first", "last", "logins", "days")},
    }


def _observables(account: str, networks: list[Record]) -> list[Event]:
    user = {"name": "user.name", "type_id": USER_NAME[0], "type": USER_NAME[1], "value": account}
    addresses = [
        {
            "name": f"evidences[{index}].src_endpoint.ip",
            "type_id": IP_ADDRESS[0],
            "type": IP_ADDRESS[1],
            "value": each["address"],
        }
        for index, each in enumerate(networks[:MOST_OBSERVABLES])
    ]
    return [user, *addresses]


def _resource(account: str) -> Event:
    return {"uid": account, "name": account, "type": "Mail account"}


def _known(given: Event) -> Event:
    return {key: value for key, value in given.items() if value not in (None, {})}
