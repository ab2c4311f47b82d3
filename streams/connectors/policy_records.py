"""What a policy request tells the other processes: a message as a Submission, a SASL authentication as a Login; each once."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

from streams.connectors.policy_protocol import LARGEST_COUNT, Request
from streams.core.addresses import format_address, parse_address
from streams.core.refusal import Refused

THROUGH_DOVECOT = "XCLIENT"
"""The mechanism when Dovecot's submission service hands a session over; it has reported the login itself."""


class Remembered:
    """What was seen lately: at most `most` things, those not seen for the longest time forgotten first."""

    def __init__(self, most: int, keep_ms: int) -> None:
        self._most = most
        self._keep_ms = keep_ms
        self._seen: OrderedDict[Hashable, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def is_new(self, thing: Hashable, now_ms: int) -> bool:
        """Whether it was not seen for `keep_ms`; from now on it is seen."""
        last_ms = self._seen.pop(thing, None)
        self._seen[thing] = now_ms
        if len(self._seen) > self._most:
            self._seen.popitem(last=False)
        return last_ms is None or now_ms - last_ms > self._keep_ms


def submission_record(request: Request, account: str, now_ms: int) -> dict[str, Any]:
    """The Submission of an accepted message; what Postfix did not say is left out."""
    recipients = request.recipients
    return {
        "time": now_ms,
        "account": account,
        "sender": request.sender,
        "recipients": 1 if recipients is None else min(recipients, LARGEST_COUNT),
        "accepted": True,
        "id": f"{request.server_address}/{request.instance}" if request.instance else None,
        "ip": _address(request.client_address),
        "queue_id": request.queue_id or None,
        "size": request.size,
    }


def login_record(request: Request, account: str, now_ms: int, login_id: str, *, denied: bool) -> dict[str, Any]:
    """The Login of a SASL authentication; one that we refuse because of a block has the failure `policy`."""
    return {
        "time": now_ms,
        "account": account,
        "ip": _address(request.client_address) or request.client_address,
        "success": not denied,
        "service": "smtp",
        "id": login_id,
        "session": None,
        "server": request.server_address or None,
        "client": None,
        "failure": "policy" if denied else None,
    }


def _address(text: str) -> str | None:
    try:
        return format_address(parse_address(text))
    except Refused:
        return None
