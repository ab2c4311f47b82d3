"""
How a MAIL FROM is related to the account that sends with it: its own address, or somebody else's.

Decision: addresses are compared as accounts are (case, Unicode form, IDN domains), since SASL names come normalised and
MAIL FROM as the client typed it. The null sender belongs to everybody: bounces and receipts must have it (RFC 5321 4.5.5).
`user+tag` is an address of `user`, but `user` is none of an account `user+tag`. What is no address matches nobody.
"""

import enum

from streams.core.accounts import LONGEST_NAME, canonical_account, domain_of
from streams.core.refusal import Refused

LONGEST_KEPT = 120
"""Characters of a sender that are kept as evidence: a thief chooses them."""


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


def related(account: str, sender: str) -> Sender:
    """
    How a sender, as the mail server gives it (no quotes, no brackets), is related to a canonical account.

    >>> related("user@example.org", "User+Lists@EXAMPLE.org")
    <Sender.OWN: 'own'>
    """
    return _look(account, sender)[0]


def mismatch(account: str, sender: str) -> tuple[Sender, str] | None:
    """
    The relation of a sender that is not the account's own, and how it is kept as evidence; None for its own and for none.

    An address is kept in its canonical form, what is no address as it came, either cut to 120 characters.

    >>> mismatch("user@example.org", "Boss@Example.COM")
    (<Sender.FOREIGN: 'foreign'>, 'boss@example.com')
    """
    if sender == account:
        return None
    relation, address = _look(account, sender)
    if relation in (Sender.NULL, Sender.OWN):
        return None
    return relation, address if len(address) <= LONGEST_KEPT else f"{address[: LONGEST_KEPT - 1]}…"


def _look(account: str, sender: str) -> tuple[Sender, str]:
    """The relation, and the canonical address where the sender is one."""
    if sender in ("", "<>"):
        return Sender.NULL, ""
    if sender == account:
        return Sender.OWN, account
    if len(sender) > LONGEST_NAME or any(part.strip() != part for part in sender.rpartition("@")):
        return Sender.MALFORMED, sender
    try:
        address = canonical_account(sender)
    except Refused:
        return Sender.MALFORMED, sender
    if address == account or _without_tag(address) == account:
        return Sender.OWN, address
    return (Sender.DOMAIN if domain_of(address) == domain_of(account) else Sender.FOREIGN), address


def _without_tag(address: str) -> str:
    local, _, domain = address.rpartition("@")
    return f"{local.partition('+')[0]}@{domain}"
