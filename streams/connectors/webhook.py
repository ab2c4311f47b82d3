"""
Webhooks: what is posted for a block or its end, how it is signed, and what the receiver's status means.

Decision: as weakforced's webhooks, so that what checks those checks these: JSON body, and headers `X-Loginwatch-Event`
(`blocked` or `open`), `-Id` (the block's), `-Delivery` (the same at every retry, different for every receiver) and
`-Signature`, the base64 HMAC-SHA256 of the body's bytes. The delivery is in the body too, where the signature covers it.
"""

import base64
import hashlib
import hmac
import json
import uuid
from collections.abc import Mapping

import aiohttp
import orjson
from yarl import URL

from streams.connectors.enforcement_queue import Block, Order, Reply, Verdict
from streams.connectors.receivers import Receiver, trouble_of
from streams.core.episodes import NAMESPACE
from streams.metrics import WEBHOOKS, Metric
from streams.records import json_form

NEVER = {400, 410, 413, 414, 415, 422, 431}
"""The receiver has judged these bytes and will judge them alike again; anything else may be mended."""
ABOUT_THE_ORDER = {409, 425, 500}
"""Not now, and it says nothing of other orders."""
MOST_RETRY_AFTER_S = 3_600


def delivery_id(receiver: str, block: Block) -> str:
    """The same for every try, so that a receiver recognises what it was told already."""
    parts = ["webhook", receiver, block["id"], block["state"], block["until"]]
    return str(uuid.uuid5(NAMESPACE, json.dumps(parts)))


def body_of(block: Block, delivery: str) -> bytes:
    """The body: the Block's fields, times in milliseconds since the epoch, with the event and the delivery before them."""
    return orjson.dumps({"event": block["state"], "delivery": delivery, **json_form.to_json("Block", block)})


def signature_of(body: bytes, secret: str) -> str:
    """
    What a receiver compares, in constant time, with its own.

    >>> signature_of(b"{}", "a secret")
    'xCTG9ZDQ1x5zwUnPO6uqz2hwknbr35jEQml11eB/k5c='
    """
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def headers_of(block: Block, delivery: str, body: bytes, secret: str) -> dict[str, str]:
    """The headers of one delivery."""
    return {
        "Content-Type": "application/json",
        "X-Loginwatch-Event": block["state"],
        "X-Loginwatch-Id": header_text(block["id"]),
        "X-Loginwatch-Delivery": delivery,
        "X-Loginwatch-Signature": signature_of(body, secret),
    }


def header_text(text: str) -> str:
    """An id as a header may hold it: ids are UUIDs, and whatever else came is left to the body."""
    return text if text.isascii() and text.isprintable() and len(text) <= 100 else ""


def reply_to(status: int, retry_after: str | None = None) -> Reply:
    """
    What a status means.

    >>> reply_to(204).verdict, reply_to(422).verdict, reply_to(503).verdict
    (<Verdict.DONE: 'done'>, <Verdict.NEVER: 'never'>, <Verdict.AWAY: 'away'>)
    """
    if 200 <= status < 300:
        return Reply(Verdict.DONE, "delivered")
    sentence = f"answers {status}"
    if status in NEVER:
        return Reply(Verdict.NEVER, "refused", sentence)
    verdict = Verdict.FAILED if status in ABOUT_THE_ORDER else Verdict.AWAY
    return Reply(verdict, "retried", sentence, _wait_ms(retry_after))


def _wait_ms(retry_after: str | None) -> int:
    """Retry-After in seconds; its other form, a date, and anything strange is ignored."""
    text = (retry_after or "").strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        return 0
    return min(int(text), MOST_RETRY_AFTER_S) * 1000


async def post(session: aiohttp.ClientSession, url: URL, body: bytes, headers: Mapping[str, str]) -> Reply:
    """
    Post it once, and look at the status only.

    The session's total timeout bounds all of it, however slowly an answer trickles; the answer's body is left unread.
    """
    try:
        async with session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            return reply_to(response.status, response.headers.get("Retry-After"))
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        return Reply(Verdict.AWAY, "retried", trouble_of(error))


class Webhook:
    """One receiver of webhooks."""

    counter: Metric = WEBHOOKS
    kind = "webhook"
    lifts = False
    """An unblock is an order of its own."""

    def __init__(self, receiver: Receiver, session: aiohttp.ClientSession, secret: str) -> None:
        self.name = receiver.name
        self._url = receiver.url
        self._session = session
        self._secret = secret

    def wants(self, block: Block, now_ms: int, *, news: bool) -> bool:
        """Is this to be told? Of what was on the topic before this receiver was there, only blocks still in force."""
        return news or (block["state"] == "blocked" and block["until"] > now_ms)

    def is_over(self, block: Block, now_ms: int) -> bool:  # noqa: ARG002 - backends need it
        """Never: that there was a block is news later too."""
        return False

    def letter(self, block: Block) -> bytes:
        """What a dead letter keeps: the body that was not taken."""
        return body_of(block, delivery_id(self.name, block))

    async def probe(self) -> Reply | None:
        """Nothing that a receiver need understand could be asked."""
        return None

    async def carry_out(self, order: Order) -> Reply:
        """Post it once."""
        delivery = delivery_id(self.name, order.block)
        body = body_of(order.block, delivery)
        headers = headers_of(order.block, delivery, body, self._secret)
        return await post(self._session, self._url, body, headers)
