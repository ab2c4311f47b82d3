"""
Sender policy: may this account send with this MAIL FROM? Permanent, and apart from incidents and their mode.

How a sender is related to an account is said in `streams/core/senders.py`. The null sender is always allowed: bounces and
receipts must have it (RFC 5321 4.5.5).
"""

import enum

from streams.core.accounts import domain_of
from streams.core.senders import Sender


class Forbidden(enum.Enum):
    """Which demand a sender breaks; the value is for metrics."""

    USERNAME = "match_username"
    DOMAIN = "match_domain"


def forbidden(sender: Sender, *, match_username: bool, match_domain: bool) -> Forbidden | None:
    """The demand that a sender so related breaks, the stricter one first; None if it may be used."""
    if sender in (Sender.NULL, Sender.OWN):
        return None
    if match_username:
        return Forbidden.USERNAME
    return Forbidden.DOMAIN if match_domain and sender is not Sender.DOMAIN else None


def refusal(account: str, broken: Forbidden) -> str:
    """The action that tells a person which senders are allowed."""
    allowed = account if broken is Forbidden.USERNAME else f"addresses at {domain_of(account)}"
    return f"REJECT 5.7.1 You are logged in as {account} and may only send from {allowed}"
