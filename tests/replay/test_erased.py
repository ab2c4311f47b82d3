"""
`account erase` in the middle of a stream, as a replay: a reset with `forget`.

Beside the scenarios, because their timelines have no word for a tombstone: `midway.jsonl` is what is read, and what is
expected of it is written out here.
"""

from pathlib import Path
from typing import Any

import orjson

from streams.replay.replay import replay_lines
from streams.settings import Settings
from tests.model.places import FixedPlaces
from tests.model.timelines import time_ms

STREAM = Path(__file__).parent / "erased" / "midway.jsonl"
ERASED, OTHER = "user@example.org", "other@example.org"


def written() -> list[dict[str, Any]]:
    """What a replay of the file writes."""
    lines = STREAM.read_bytes().splitlines(keepends=True)
    return [orjson.loads(line) for line in replay_lines(lines, Settings(), FixedPlaces())]


def test_an_erased_account_begins_anew() -> None:
    """
    09:00 and 09:01 from two networks: an incident, and a block that the order of 09:05 lifts before a tombstone ends it.

    The login of 09:04 that is read at 09:06 counts, for nothing remembers the order; with that of 09:07 it is an incident of
    two logins and no messages, though one was sent at 08:50.
    """
    mine = [line for line in written() if line["key"] == ERASED]

    assert [line["topic"] for line in mine] == ["incidents", "blocks", "blocks", "blocks", "incidents", "blocks"]
    before, blocked, lifted, gone, after, again = (line["value"] for line in mine)
    assert (before["opened"], before["messages_24h"]) == (time_ms("09:01"), 1)
    assert (blocked["state"], lifted["state"], lifted["until"]) == ("blocked", "open", time_ms("09:05"))
    assert gone is None
    assert mine[3]["timestamp"] == time_ms("09:05")
    assert (after["opened"], after["messages_24h"], after["networks_ever"]) == (time_ms("09:07"), 0, 2)
    assert [(each["network"], each["logins"], each["days"]) for each in after["networks"]] == [
        ("192.0.2.10/32", 1, 1),
        ("198.51.100.7/32", 1, 1),
    ]
    assert after["id"] != before["id"]
    assert (again["state"], again["from"]) == ("blocked", time_ms("09:07"))


def test_others_are_not_touched() -> None:
    """The account beside it keeps its login of 09:00, and that of 09:08 is one network too many."""
    [incident, block] = [line for line in written() if line["key"] == OTHER]

    assert [each["first"] for each in incident["value"]["networks"]] == [time_ms("09:00"), time_ms("09:08")]
    assert block["value"]["state"] == "blocked"
