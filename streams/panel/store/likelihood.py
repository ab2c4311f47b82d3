"""
How likely it is that an account was taken over: a number from 0 to 100 by which lists are sorted.

Decision: a sum of signs that a help desk would look for, each bounded, in whole points, so that everybody can add them
up. It decides nothing; it only puts the ones to look at first on top. Computed once, when a revision is read.
"""

from typing import Any

Networks = list[dict[str, Any]]

FOREIGN_POINTS = 12
MOST_FOREIGN = 36
"""For every country besides the account's own. Thieves use networks of many countries; travellers two or three."""
AT_ONCE_POINTS = 16
AT_ONCE_MS = 2 * 3_600_000
"""Used from abroad within two hours of a use at home: nobody travels like that, though some have a VPN."""
NEW_POINTS = 2
MOST_NEW = 16
"""For every network used on one day only. A mobile phone gets there as well, but in one country."""
MOST_EXCESS = 12
"""Four points for each time that the count exceeds the limit: 2 times 4, 3 times 8, from 4 times on 12."""
MESSAGE_POINTS = 2
MOST_MESSAGES = 20
"""Two points for each doubling of the messages sent in 24 hours: 30 are 10, from 512 on 20. Mail is what most thieves want."""

SENDER_POINTS = 10
"""Messages were sent under addresses that are not the account's."""
ALIAS_POINTS = 4
"""The same, when all of them are addresses of its own domain: often an alias of its owner."""
MORE_SENDER_POINTS = 2
MOST_SENDERS = 20
"""For each further sender of another domain, or that is no address at all. Thieves change them; owners have one or two."""


def likelihood(incident: dict[str, Any]) -> int:
    """
    The points of an Incident record, 0 to 100.

    >>> home = {"country": "DE", "days": 30, "logins": 400, "first": 0, "last": 9_000_000}
    >>> away = {"country": "BR", "days": 1, "logins": 2, "first": 8_000_000, "last": 8_500_000}
    >>> likelihood({"networks": [home, away], "count": 2, "limit": 1, "messages_24h": 600})
    54
    """
    networks: Networks = incident["networks"]
    home = home_country(networks)
    foreign = {network["country"] for network in networks} - {home, None}
    points: int = (
        min(MOST_FOREIGN, FOREIGN_POINTS * len(foreign))
        + (AT_ONCE_POINTS if _at_once(networks, home) else 0)
        + min(MOST_NEW, NEW_POINTS * sum(network["days"] <= 1 for network in networks))
        + min(MOST_EXCESS, 4 * (incident["count"] // max(1, incident["limit"]) - 1))
        + min(MOST_MESSAGES, MESSAGE_POINTS * incident["messages_24h"].bit_length())
        + _senders(incident)
    )
    return max(0, min(100, points))


def _senders(incident: dict[str, Any]) -> int:
    """Points for MAIL FROM that is not the account's. Records of an older version do not say, or not which."""
    if not incident.get("foreign_messages_24h"):
        return 0
    senders = incident.get("foreign_senders") or ()
    strange = len([sender for sender in senders if sender["relation"] != "domain"])
    if senders and not strange:
        return ALIAS_POINTS
    return min(MOST_SENDERS, SENDER_POINTS + MORE_SENDER_POINTS * max(0, strange - 1))


def home_country(networks: Networks) -> str | None:
    """The country whose networks were used on the most days, then with the most logins; None where none is known."""
    use: dict[str, tuple[int, int]] = {}
    for network in networks:
        country = network["country"]
        if country is not None:
            days, logins = use.get(country, (0, 0))
            use[country] = (days + network["days"], logins + network["logins"])
    return max(use, key=lambda country: (*use[country], country), default=None)


def _at_once(networks: Networks, home: str | None) -> bool:
    at_home = [(network["first"], network["last"]) for network in networks if network["country"] == home]
    return any(
        network["first"] <= last + AT_ONCE_MS and first <= network["last"] + AT_ONCE_MS
        for network in networks
        if network["country"] not in (home, None)
        for first, last in at_home
    )
