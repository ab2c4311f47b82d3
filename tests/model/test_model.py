"""The model itself, against truth worked out by hand."""

from typing import Any

import pytest

from tests.model.model import Model
from tests.model.places import FixedPlaces

NINE_MS = 1_767_603_600_000
"""2026-01-05 09:00 UTC."""
A, B, C, D = "192.0.2.10", "198.51.100.7", "203.0.113.5", "198.18.0.1"


class Play:
    """A model with one account, told in minutes after nine."""

    def __init__(self, **policy: Any) -> None:
        self.model = Model(10 * 60_000, "example.org", FixedPlaces().country)
        self.policy(**{"time_window": 30, "allowed_ips": 2, "block_time": 60, **policy})

    def policy(self, **fields: Any) -> None:
        assert self.model.read("policies", 0, {"scope": "everyone", **fields}) == []

    def login(self, minute: float, ip: str, *, now: float | None = None, **more: Any) -> list[Any]:
        """The outputs of a login at a minute, read at that minute or at `now`."""
        value = {"time": at(minute), "account": "user", "ip": ip, "success": True, "service": "imap", **more}
        return self.model.read("logins", at(minute if now is None else now), value)

    def command(self, minute: float, action: str, **more: Any) -> list[Any]:
        value = {"time": at(minute), "id": f"{action} {minute}", "account": "user", "action": action, "actor": "admin"}
        return self.model.read("account-commands", at(minute), {**value, **more})


def at(minute: float) -> int:
    return NINE_MS + round(minute * 60_000)


def topics(outputs: list[Any]) -> list[str]:
    return [topic for topic, _ in outputs]


def networks(incident: dict[str, Any]) -> list[str]:
    return [network["address"] for network in incident["networks"]]


def test_a_third_network_inside_the_window_opens_an_incident_and_a_block():
    """Two networks are allowed, three are present from 09:25 on."""
    play = Play(notify=["soc@example.org"])

    assert play.login(0, A) == play.login(10, B) == []
    outputs = play.login(25, C)

    assert topics(outputs) == ["incidents", "blocks", "notifications"]
    incident, block, notification = (record for _, record in outputs)
    assert (incident["rule"], incident["count"], incident["limit"], incident["opened"]) == ("ips", 3, 2, at(25))
    assert networks(incident) == [A, B, C]
    assert (block["from"], block["until"], block["incident"]) == (at(25), at(85), incident["id"])
    assert (notification["kind"], notification["recipients"]) == ("blocked", ["soc@example.org"])


@pytest.mark.parametrize(("minute", "caught"), [(29.9, True), (30, False)])
def test_presence_ends_exactly_one_window_after_the_login(minute: float, caught: bool):
    """Presence is [t, t + window): the end does not belong to it."""
    play = Play()
    play.login(0, A)
    play.login(10, B)

    assert bool(play.login(minute, C)) == caught


def test_a_late_login_is_judged_at_the_instants_of_its_own_presence():
    """B arrives last, 9 minutes late, and at 09:25 three were present at once."""
    play = Play()
    play.login(0, A)
    play.login(25, C)

    (_, incident), *_ = play.login(16, B, now=25)

    assert (incident["opened"], incident["count"]) == (at(25), 3)


def test_an_episode_goes_on_until_one_window_after_its_last_instant():
    """Without a block: 09:25 opens; D at 09:30 is a revision; one window after 09:30 is a new incident."""
    play = Play(block_time=0, allowed_ips=1)
    play.login(0, A)

    first = play.login(25, B)[0][1]
    second = play.login(30, C)[0][1]
    play.login(59, A)
    third = play.login(60, B)

    assert (first["id"], first["revision"]) == (second["id"], second["revision"] - 1)
    assert third == []  # 09:59 went on with the episode, and A, B, C are in it already
    assert topics(play.login(120, A) + play.login(121, B)) == ["incidents"]


def test_a_login_during_the_block_adds_its_network_without_changing_the_count():
    """The incident goes on while the block lasts."""
    play = Play()
    play.login(0, A), play.login(10, B), play.login(25, C)

    ((topic, incident),) = play.login(40, D)

    assert (topic, incident["revision"], incident["count"], len(incident["networks"])) == ("incidents", 2, 3, 4)
    assert play.login(41, D) == []


def test_logins_up_to_the_end_of_a_block_never_count_again():
    """`t <= until` is not counted, `t > until` is."""
    play = Play(block_time=10)
    play.login(0, A), play.login(10, B), play.login(25, C)  # blocked until 09:35

    assert play.login(36, A) == play.login(37, B) == []
    assert topics(play.login(38, C)) == ["incidents", "blocks"]


def test_an_unblock_lifts_the_block_and_restarts_counting():
    """Its end is `now` of the command; the networks stay listed."""
    play = Play()
    play.login(0, A), play.login(10, B), play.login(25, C)

    ((_, lifted),) = play.command(30, "unblock")

    assert (lifted["state"], lifted["from"], lifted["until"], lifted["actor"]) == ("open", at(25), at(30), "admin")
    assert play.command(31, "unblock") == []
    assert play.login(32, A) == play.login(33, B) == []
    assert len(play.login(34, C)[0][1]["networks"]) == 3


def test_a_repeated_login_changes_only_the_listed_number():
    """Also when it repeats the login that opened the incident."""
    play = Play(mode="observe")
    play.login(0, A), play.login(10, B), play.login(25, C)

    assert play.login(25, C) == play.login(0, A, now=25) == []
    ((_, incident),) = play.login(26, D)
    assert [one["logins"] for one in incident["networks"]] == [
        2,
        1,
        1,
        2,
    ]  # by number: A (listed, too late to be judged), D, B, C


def test_observe_turned_to_enforce_closes_the_episode_and_opens_a_new_one():
    """The next login that exceeds, even of a network that is present already."""
    play = Play(mode="observe")
    play.login(0, A), play.login(10, B)
    first = play.login(25, C)
    play.policy(time_window=30, allowed_ips=2, block_time=60, mode="enforce")

    second = play.login(26, C)

    assert topics(first) == ["incidents"]
    assert topics(second) == ["incidents", "blocks"]
    assert first[0][1]["id"] != second[0][1]["id"]


def test_familiar_networks_stay_open_and_do_not_join_the_incident():
    """A network of one earlier day is familiar with `familiar_days` 1."""
    play = Play(familiar_days=1)
    play.login(-24 * 60, A)
    play.login(0, A), play.login(10, B)

    block = play.login(25, C)[1][1]

    assert block["except_networks"] == ["192.0.2.10/32"]
    assert play.login(26, A) == []


def test_at_most_64_networks_are_kept_and_revised_singly():
    """After 64 networks the next revision comes with the 128th."""
    play = Play(allowed_ips=1, block_time=0, time_window=600)

    outputs = [play.login(i / 10, f"198.18.0.{i}") for i in range(130)]

    assert [i for i, written in enumerate(outputs) if written] == [*range(1, 64), 127]
    assert outputs[127][0][1]["networks_ever"] == 128
    assert len(outputs[127][0][1]["networks"]) == 64
