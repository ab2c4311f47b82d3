"""
What the demo's administrator has set, and when its thieves come.

The policies show how scopes inherit: everybody lives in one country, the sales people of one company travel. The cloud
of a mail app, from which many mailboxes are read, is marked as safe.
"""

from typing import Any

from streams.core.policy import FIELDS
from streams.simulator.people import TRAVEL_DOMAIN
from streams.simulator.thieves import Kind, Plan
from streams.simulator.world import build_world

ACTOR = "demo"
SOC = "soc@example.org"

EVERYONE = {
    "time_window": 60,
    "allowed_ips": 4,
    "allowed_countries": 1,
    "block_time": 30,
    "notify": [SOC],
}
TRAVELLERS = {"allowed_ips": 5, "allowed_countries": 2, "notify": [SOC, f"helpdesk@{TRAVEL_DOMAIN}"]}

STORY: tuple[tuple[Kind, float, float], ...] = (
    # kind, seconds after people begin to log in, seconds between the thief's logins
    ("abroad", 5, 1.2),
    ("botnet", 9, 0.8),
    ("home", 13, 1.2),
    ("slow", 17, 4.0),
    ("abroad", 21, 1.2),
)
STORY_S = 40.0
"""The story fits into this time; a shorter demo tells it faster."""
THIEF_STAYS_S = 60.0
ENCORE_EVERY_S = 60.0
"""In a demo without an end, another thief comes so often."""
ENCORES = 120


def policies(now_ms: int) -> list[tuple[str, dict[str, Any]]]:
    """The Policy records, each with its key."""
    scopes = {"everyone": EVERYONE, f"domain:{TRAVEL_DOMAIN}": TRAVELLERS}
    unset = dict.fromkeys(FIELDS)
    return [
        (scope, {**unset, **demands, "scope": scope, "actor": ACTOR, "time": now_ms})
        for scope, demands in scopes.items()
    ]


def in_words() -> list[str]:
    """What the demo's administrator has set, for whoever watches."""
    everyone = (
        f"everyone: at most {EVERYONE['allowed_ips']} networks and {EVERYONE['allowed_countries']} country within"
        f" {EVERYONE['time_window']} minutes, else blocked for {EVERYONE['block_time']} minutes"
    )
    travellers = (
        f"domain:{TRAVEL_DOMAIN}: {TRAVELLERS['allowed_ips']} networks and {TRAVELLERS['allowed_countries']} countries,"
        " the rest inherited"
    )
    cloud = build_world().cloud
    return [everyone, travellers, f"safe for everyone: {cloud.four}, {cloud.owner}"]


def safe_networks(now_ms: int) -> list[tuple[str, dict[str, Any]]]:
    """The SafeNetwork records, each with its key."""
    network = str(build_world().cloud.four)
    record = {
        "scope": "everyone",
        "network": network,
        "description": "Example Mail App fetches mail from here for its users",
        "actor": ACTOR,
        "time": now_ms,
        "expires": None,
    }
    return [(f"everyone {network}", record)]


def plans(seconds: float | None, accounts: int) -> tuple[Plan, ...]:
    """When which thief comes. With an end, all come early enough to be caught before it."""
    scale = min(1.0, (seconds or STORY_S) / STORY_S)
    story = [
        Plan(kind, int(1000 * start * scale), int(1000 * every * scale), int(1000 * THIEF_STAYS_S))
        for kind, start, every in STORY
    ]
    if seconds is None:
        for number in range(ENCORES):
            kind, _, every = STORY[number % len(STORY)]
            start = STORY_S + ENCORE_EVERY_S * (number + 1)
            story.append(Plan(kind, int(1000 * start), int(1000 * every), int(1000 * THIEF_STAYS_S)))
    return tuple(story[: max(1, accounts // 4)])
