"""
Sender policy: may this account send with this MAIL FROM? Permanent, and apart from incidents and their mode.

Decision: addresses are compared as accounts are (case, Unicode form, IDN domains), since SASL names come normalised and
MAIL FROM as the client typed it. The null sender is always allowed: bounces and receipts must have it (RFC 5321 4.5.5).
`user+tag` is an address of `user`, but `user` is none of an account `user+tag`. What is no address matches nobody.
"""

import enum

from streams.core.accounts import LONGEST_NAME, canonical_account, domain_of
from streams.core.refusal import Refused


class Sender(enum.Enum):
    """How a MAIL FROM is related to the account that sends with it."""

    NULL = "null"
    OWN = "own"
    """The account's own address, or one of its plus-addresses."""
    DOMAIN = "domain"
    """Another address of the account's domain."""
    FOREIGN = "foreign"
    """An address of another domain; a subdomain is another domain."""
    MALFORMED = "malformed"
    """No address: without domain, with an address literal, a domain that cannot exist, or control characters."""


class Forbidden(enum.Enum):
    """Which demand a sender breaks; the value is for metrics."""

    USERNAME = "match_username"
    DOMAIN = "match_domain"


def related(account: str, sender: str) -> Sender:
    """
    How a sender, as Postfix gives it (no quotes, no brackets), is related to a canonical account.

    >>> related("user@example.org", "User+Lists@EXAMPLE.org")
    <Sender.OWN: 'own'>
    """
    if sender in ("", "<>"):
        return Sender.NULL
    if sender == account:
        return Sender.OWN
    if len(sender) > LONGEST_NAME or any(part.strip() != part for part in sender.rpartition("@")):
        return Sender.MALFORMED
    try:
        address = canonical_account(sender)
    except Refused:
        return Sender.MALFORMED
    if address == account or _without_tag(address) == account:
        return Sender.OWN
    return Sender.DOMAIN if domain_of(address) == domain_of(account) else Sender.FOREIGN


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


def _without_tag(address: str) -> str:
    local, _, domain = address.rpartition("@")
    return f"{local.partition('+')[0]}@{domain}"
