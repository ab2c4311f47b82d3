"""
An incident for sharing: whoever gets it sees what happened and not to whom.

Decision: a pseudonym is a keyed hash (HMAC-SHA256), so that the same account, address or name is the same throughout, and
over several exports with the same secret; without the secret no list of addresses can be tried out against it. The id of
the incident is derived from the account and has one too. Countries and times stay; cities, coordinates and descriptions go.
"""

import hmac
import secrets
from collections.abc import Callable
from typing import Any

DIGITS = 12
Record = dict[str, Any]
GONE = ("city", "latitude", "longitude", "description")
KINDS = {
    "id": "incident",
    "network": "network",
    "safe_network": "network",
    "address": "address",
    "owner": "owner",
}


def of(incident: Record, secret: str = "") -> Record:
    """A copy of an Incident with pseudonyms, by this secret or by one of its own that nobody keeps."""
    key = secret.encode() or secrets.token_bytes(32)

    def pseudonym(kind: str, value: str) -> str:
        return f"{kind}-{hmac.digest(key, f'{kind}:{value}'.encode(), 'sha256').hex()[:DIGITS]}"

    return {name: _field(name, value, pseudonym) for name, value in incident.items()}


def _field(name: str, value: Any, pseudonym: Callable[[str, str], str]) -> Any:
    if value is None or name in GONE:
        return None
    if name in KINDS:
        network, slash, length = value.partition("/")
        return pseudonym(KINDS[name], network) + slash + length
    if name in ("account", "sender"):
        return _mailbox(value, pseudonym)
    if name == "notify":
        return [_mailbox(member, pseudonym) for member in value]
    if name == "origins":
        return {field: _scope(scope, pseudonym) for field, scope in value.items()}
    if name == "scope":
        return _scope(value, pseudonym)
    if isinstance(value, dict):
        return {inner: _field(inner, member, pseudonym) for inner, member in value.items()}
    if isinstance(value, list):
        return [_field("", member, pseudonym) for member in value]
    return value


def _mailbox(value: str, pseudonym: Callable[[str, str], str]) -> str:
    local, at, domain = value.rpartition("@")
    return (
        f"{pseudonym('account', value)}@{pseudonym('domain', domain)}" if local and at else pseudonym("account", value)
    )


def _scope(scope: str, pseudonym: Callable[[str, str], str]) -> str:
    kind, colon, name = scope.partition(":")
    if not colon:
        return scope
    return f"{kind}:{_mailbox(name, pseudonym) if kind == 'account' else pseudonym(kind, name)}"
