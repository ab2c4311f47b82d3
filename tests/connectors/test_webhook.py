"""What a webhook says, how it is signed, and what an answer means."""

import base64
import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.connectors.enforcement_queue import Verdict
from streams.connectors.webhook import MOST_RETRY_AFTER_S, body_of, delivery_id, headers_of, reply_to, signature_of
from tests.connectors.doors import block


def test_the_body_is_the_block_with_its_event_and_delivery() -> None:
    """Times are milliseconds since the epoch; what is null is there."""
    one = block("alice@example.org", except_networks=["192.0.2.0/24"])
    body = json.loads(body_of(one, "some-delivery"))

    assert body == {"event": "blocked", "delivery": "some-delivery", **one}
    assert list(body)[:2] == ["event", "delivery"]


def test_the_signature_is_that_of_the_bytes_sent() -> None:
    """Base64 of HMAC-SHA256, as weakforced signs."""
    one = block("bücher@example.org", state="open")
    body = body_of(one, "d")
    headers = headers_of(one, "d", body, "a secrét")

    expected = base64.b64encode(hmac.new("a secrét".encode(), body, hashlib.sha256).digest()).decode()
    assert headers["X-Loginwatch-Signature"] == expected == signature_of(body, "a secrét")
    assert headers["X-Loginwatch-Event"] == "open"
    assert headers["X-Loginwatch-Id"] == one["id"]
    assert headers["X-Loginwatch-Delivery"] == "d"


def test_a_delivery_is_the_same_at_every_try_and_different_for_every_receiver_and_event() -> None:
    """So that a receiver recognises a repetition."""
    one = block()

    assert delivery_id("a", one) == delivery_id("a", dict(one))
    others = [delivery_id("b", one), delivery_id("a", {**one, "state": "open"}), delivery_id("a", {**one, "until": 1})]
    assert len({delivery_id("a", one), *others}) == 4


def test_no_id_can_add_a_header() -> None:
    """One that a header cannot hold is only in the body."""
    one = block(id="x\r\nX-Evil: 1")
    assert headers_of(one, "d", b"", "s")["X-Loginwatch-Id"] == ""


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.DONE),
        (202, Verdict.DONE),
        (204, Verdict.DONE),
        (301, Verdict.AWAY),
        (400, Verdict.NEVER),
        (401, Verdict.AWAY),
        (404, Verdict.AWAY),
        (409, Verdict.FAILED),
        (410, Verdict.NEVER),
        (422, Verdict.NEVER),
        (429, Verdict.AWAY),
        (500, Verdict.FAILED),
        (503, Verdict.AWAY),
    ],
)
def test_a_status_is_taken_for_what_can_be_mended(status: int, verdict: Verdict) -> None:
    """Only what judges the bytes themselves is final; a redirect is not followed."""
    assert reply_to(status).verdict is verdict


@given(st.integers(100, 999), st.one_of(st.none(), st.text(max_size=12), st.integers(0, 10**12).map(str)))
def test_no_answer_makes_it_wait_for_ever(status: int, retry_after: str | None) -> None:
    """Retry-After is obeyed up to an hour, in seconds only."""
    assert 0 <= reply_to(status, retry_after).wait_ms <= MOST_RETRY_AFTER_S * 1000


def test_retry_after_is_obeyed() -> None:
    """In seconds."""
    assert reply_to(429, "17").wait_ms == 17_000
