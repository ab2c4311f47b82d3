"""What programs change, on the embedded broker: read back by the same API."""

import time

import pytest

from streams.bus.embedded import EmbeddedBroker
from streams.panel.rights import Role
from tests.cli.small_worker import SmallWorker
from tests.panel.api.callers import MAKER, Program, token
from tests.panel.browser.scene import tell
from tests.panel.pages import records
from tests.panel.visitors import Site

ACCOUNT = "ann@example.org"


async def test_rules_are_set_read_and_taken_back(live_site: Site) -> None:
    """A policy, with notice of whoever saved in between; a safe network; a domain's group."""
    program = Program(live_site, token(live_site, Role.ADMINISTRATOR, "everything"))
    wanted = {"fields": {"allowed_ips": 3, "time_window": 60, "notify": ["a@example.org"]}}

    assert (await program("PUT", "/policies/domain:example.org", wanted)).status_code == 204
    stored = (await program("GET", "/policies/domain:Example.org")).json()
    conflict = await program("PUT", "/policies/domain:example.org", wanted)
    again = await program("PUT", "/policies/domain:example.org", {**wanted, "seen_ms": stored["time_ms"]})
    effective = (await program("GET", f"/accounts/{ACCOUNT}/policy")).json()

    assert (stored["fields"]["allowed_ips"], stored["fields"]["mode"], stored["actor"]) == (3, None, MAKER)
    assert (conflict.status_code, conflict.json()["changed_by"]) == (409, MAKER)
    assert again.status_code == 204
    assert (effective["allowed_ips"], effective["origins"]["allowed_ips"]) == (3, "domain:example.org")
    assert (await program("DELETE", "/policies/domain:example.org")).status_code == 204
    assert (await program("GET", "/policies")).json()["items"] == []
    removed = await program("PUT", "/policies/domain:example.org", {**wanted, "seen_ms": stored["time_ms"]})
    assert (removed.status_code, removed.json()["changed_by"], removed.json()["changed_ms"]) == (409, None, None)

    safe = {"scope": f"account:{ACCOUNT}", "network": "192.0.2.7/24", "description": "the hotel"}
    assert (await program("POST", "/safe-networks", safe)).status_code == 204
    [listed] = (await program("GET", "/safe-networks")).json()["items"]
    assert (listed["network"], listed["actor"]) == ("192.0.2.0/24", MAKER)
    named = {"scope": listed["scope"], "network": listed["network"]}
    assert (await program("DELETE", "/safe-networks", **named)).status_code == 204
    assert (await program("DELETE", "/safe-networks", **named)).status_code == 404

    assert (await program("PUT", "/domains/example.org", {"group": "shops/north"})).status_code == 204
    assert (await program("PUT", "/policies/group:shops/north", {"fields": {"mode": "observe"}})).status_code == 204
    assert (await program("GET", "/policies/group:shops/north")).json()["fields"]["mode"] == "observe"
    [domain] = (await program("GET", "/domains")).json()["items"]
    assert (domain["domain"], domain["group"]) == ("example.org", "shops/north")
    deeds = (await program("GET", "/audit")).json()["items"]
    assert {deed["actor"] for deed in deeds} == {MAKER}
    assert {"policy.set", "policy.inherit", "safe.add", "safe.remove", "domain.set"} <= {
        deed["action"] for deed in deeds
    }


@pytest.mark.parametrize(("method", "path"), [("DELETE", ""), ("POST", "/reset")])
async def test_a_policy_that_somebody_changed_is_not_taken_back_unseen(live_site: Site, method: str, path: str) -> None:
    """With `seen_ms`, as PUT does: neither one that is newer, nor one that is gone; without, whatever is there."""
    program = Program(live_site, token(live_site, Role.ADMINISTRATOR, "everything"))
    policy, wanted = "/policies/domain:example.org", {"fields": {"allowed_ips": 3}}
    assert (await program("PUT", policy, wanted)).status_code == 204
    seen_ms = (await program("GET", policy)).json()["time_ms"]

    newer = await program(method, f"{policy}{path}", seen_ms=seen_ms - 1)
    left = (await program("GET", policy)).json()
    done = await program(method, f"{policy}{path}", seen_ms=seen_ms)
    late = await program(method, f"{policy}{path}", seen_ms=seen_ms)
    now = await program("GET", policy)
    whatever = await program(method, f"{policy}{path}")

    assert (newer.status_code, newer.json()["changed_by"], newer.json()["changed_ms"]) == (409, MAKER, seen_ms)
    assert (left["fields"]["allowed_ips"], left["time_ms"]) == (3, seen_ms)
    assert (done.status_code, late.status_code, whatever.status_code) == (204, 409, 204)
    assert late.json()["changed_ms"] == (now.json()["time_ms"] if path else None)


async def test_an_incident_is_reviewed_and_an_account_blocked(live_site: Site, embedded: EmbeddedBroker) -> None:
    """The review is on the incident, the worker blocks and says so, and lets in again."""
    program = Program(live_site, token(live_site, Role.HELP_DESK, "domain:example.org"))
    found = records.taken_over(time.time_ns() // 1_000_000 - 3_600_000)
    tell(embedded.settings, [("incidents", ACCOUNT, found)])
    unanswered = await program("GET", f"/accounts/{ACCOUNT}")

    with SmallWorker(embedded.settings):
        reviewed = await program("POST", f"/incidents/{found['id']}/review", {"verdict": "compromised", "note": "yes"})
        blocked = await program("POST", f"/accounts/{ACCOUNT}/block", {"minutes": 30, "reason": "strange mails"})
        view = await answered(program)
        await program("POST", f"/accounts/{ACCOUNT}/unblock", {})
        after = await answered(program)
    incident = (await program("GET", f"/incidents/{found['id']}")).json()

    assert (unanswered.status_code, "worker" in unanswered.json()["detail"]) == (503, True)
    assert (reviewed.status_code, blocked.status_code) == (204, 202)
    assert view["blocked_until"] is not None
    assert after["blocked_until"] is None
    assert incident["line"]["verdict"] == "compromised"
    assert [review["note"] for review in incident["reviews"]] == ["yes"]
    assert incident["record"]["networks"][0]["city"] == found["networks"][0]["city"]


async def answered(program: Program) -> dict[str, object]:
    """What the worker says of the account, as soon as it does."""
    for _ in range(10):  # each waits two seconds for it
        answer = await program("GET", f"/accounts/{ACCOUNT}")
        if answer.status_code == 200:
            found: dict[str, object] = answer.json()
            return found
    raise AssertionError(answer.text)
