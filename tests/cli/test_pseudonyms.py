"""What of an incident is shared, and what is not."""

import json
from typing import Any

from streams.cli import pseudonyms
from tests.records.golden import PATH

INCIDENT: dict[str, Any] = {
    **json.loads(PATH.read_text())["Incident.2"]["value"],
    "id": "0a3f",
    "account": "user@example.org",
    "networks": [
        {"network": "192.0.2.7/32", "country": "DE", "address": "192.0.2.7", "owner": "Example Net", "city": "Bonn"}
        | {"latitude": 50.7, "longitude": 7.1, "logins": 3, "first": 1, "last": 2, "service": "imap", "days": 1},
    ],
    "foreign_senders": [
        {"sender": "user@example.org", "relation": "foreign", "messages": 2, "first": 1, "last": 2},
    ],
    "left_out": [
        {"network": "192.0.2.7/32", "country": "DE", "first": 1, "last": 2, "logins": 1, "safe_network": "192.0.2.0/24"}
        | {"scope": "group:reseller/customer", "description": "our office in Bonn"},
    ],
    "policy": {"notify": ["soc@example.org"], "origins": {"notify": "account:user@example.org", "mode": "everyone"}},
}
NAMES = ("user", "example.org", "192.0.2", "Example Net", "Bonn", "reseller", "office", "soc", "0a3f", "50.7")


def test_no_name_address_or_place_is_left_and_the_structure_is() -> None:
    """The country, the times and the numbers stay; the same account is the same pseudonym wherever it stands."""
    shared = pseudonyms.of(INCIDENT)

    assert [name for name in NAMES if name in json.dumps(shared)] == []
    assert shared.keys() == INCIDENT.keys()
    assert shared["networks"][0].keys() == INCIDENT["networks"][0].keys()
    assert (shared["networks"][0]["country"], shared["networks"][0]["logins"]) == ("DE", 3)
    assert shared["networks"][0]["network"].endswith("/32")
    assert shared["networks"][0]["network"] == shared["left_out"][0]["network"]
    assert shared["account"] == shared["foreign_senders"][0]["sender"]
    assert shared["policy"]["origins"] == {"notify": f"account:{shared['account']}", "mode": "everyone"}


def test_the_same_secret_gives_the_same_pseudonyms_and_none_gives_new_ones() -> None:
    """Two incidents of one account can be told to be so, by whoever exports them together."""
    assert pseudonyms.of(INCIDENT, "ours") == pseudonyms.of(INCIDENT, "ours")
    assert pseudonyms.of(INCIDENT, "ours")["account"] != pseudonyms.of(INCIDENT, "theirs")["account"]
    assert pseudonyms.of(INCIDENT)["account"] != pseudonyms.of(INCIDENT)["account"]
