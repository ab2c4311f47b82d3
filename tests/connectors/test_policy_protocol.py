"""The wire of Postfix's policy delegation: requests however they arrive, and nothing but requests."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.connectors.policy_protocol import (
    END_BYTES,
    MOST_DISCARDED,
    PASS,
    REPLACEMENT,
    Request,
    RequestReader,
    parse_denial,
    parse_request,
    reply,
)
from streams.core.refusal import Refused
from tests.connectors.postfix_samples import RCPT, SAMPLES, end_of_data, request

MOST = 2048


def read(*parts, most=MOST):
    reader = RequestReader(most)
    return [found.reason if isinstance(found, Refused) else found for part in parts for found in reader.feed(part)]


def cut(data, places):
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[first:last] for first, last in pairwise(edges)]


def test_a_request_of_postfix_is_understood():
    """What is needed of it; numbers are numbers."""
    [found] = read(RCPT)

    assert found == Request(
        state="RCPT", username="alice@example.org", mechanism="PLAIN", sender="Alice@example.org", recipients=0, size=0,
        queue_id="", instance="7d76.6b026f7c.747c8.0", client_address="203.0.113.7", client_port="40001",
        server_address="192.0.2.25",
    )  # fmt: skip


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_other_line_end_means_the_same(sample):
    """CRLF throughout, or mixed."""
    crlf = sample.replace(b"\n", b"\r\n")

    assert read(sample) == read(crlf) == read(sample[:-1] + b"\r\n") == read(crlf[:-2] + b"\n")


def test_many_at_once_and_one_by_one_are_the_same():
    """Pipelined requests are answered in their order."""
    expected = [found for sample in SAMPLES for found in read(sample)]

    assert len(expected) == len(SAMPLES)
    assert read(b"".join(SAMPLES)) == expected
    assert read(*(bytes([byte]) for byte in b"".join(SAMPLES))) == expected


def test_empty_lines_between_requests_are_no_requests():
    """An answer too many would shift all later ones to the wrong request."""
    assert len(read(b"\n\r\n\n" + RCPT + b"\n\n\n" + RCPT + b"\r\n")) == 2


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"garbage\n\n", "bad-request"),
        (b"request=smtpd_access_policy\nsasl_username\n\n", "bad-request"),
        (b"request=smtpd_access_policy\nsasl_username=a\0b\n\n", "bad-request"),
        (b"protocol_state=RCPT\n\n", "unknown-request"),
        (b"request=junk\n\n", "unknown-request"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "bad-request"),
        (b"=\n\n", "unknown-request"),
        (b"request = smtpd_access_policy\n\n", "unknown-request"),
        (b"\xff\xfe\n\n", "bad-request"),
    ],
)
def test_what_is_no_request_takes_one_turn(raw, reason):
    """And leaves its neighbours alone."""
    assert read(RCPT + raw + RCPT) == [*read(RCPT), reason, *read(RCPT)]


def test_unknown_and_repeated_attributes_and_values_with_equal_signs():
    """Newer Postfixes say more; the last of a repeated attribute counts, as Postfix's document allows."""
    [found] = read(request(tls_sni="mail.example.org", sender="a=b@example.org", compatibility_level="3.6"))
    assert found.sender == "a=b@example.org"

    raw = RCPT[:-1] + b"sasl_username=bob@example.org\n\n"
    assert read(raw)[0].username == "bob@example.org"


@pytest.mark.parametrize(
    ("text", "number"),
    [("3", 3), ("", None), ("-1", None), ("1e3", None), ("٣", None), ("9" * 19, (1 << 63) - 1), ("9" * 20, None)],
)
def test_numbers_are_plain_and_bounded(text, number):
    """What is none counts as left out."""
    assert read(request(size=text))[0].size == number


def test_bytes_that_are_no_utf8_cost_only_themselves():
    """A client's greeting in Latin-1 does not hide who is logged in."""
    [found] = read(RCPT.replace(b"helo_name=x", b"helo_name=b\xfccher"))

    assert found.username == "alice@example.org"


def test_a_request_at_the_limit_passes_and_one_over_it_does_not():
    """Also when its end comes in the same part; those after it are read."""
    padding = MOST - len(request(padding="")) + 2
    exact, long = request(padding="x" * padding), request(padding="x" * (padding + 1))

    assert isinstance(read(exact)[0], Request)
    for parts in ((long + RCPT,), (long[:-1], long[-1:] + RCPT), [bytes([byte]) for byte in long + RCPT]):
        assert read(*parts) == ["too-large", *read(RCPT)]


def test_an_endless_request_takes_no_memory_and_is_given_up():
    """Whatever is sent, with or without line ends."""
    for part in (b"x" * 1000, b"a=b\n" * 250):
        reader = RequestReader(MOST)
        while not reader.hopeless:
            assert reader.feed(part) == []
            assert len(reader._buffer) <= MOST + END_BYTES
        assert MOST_DISCARDED < reader._discarded < MOST_DISCARDED + 2 * MOST


def test_a_request_in_progress_shows():
    """So that a stop can wait for it."""
    reader = RequestReader(MOST)
    seen = [reader.halfway]
    for part in (RCPT[:100], RCPT[100:], b"\n", b"x" * (MOST + 100), b"\n\n"):
        reader.feed(part)
        seen.append(reader.halfway)

    assert seen == [False, True, False, False, True, False]


mutations = st.lists(
    st.tuples(
        st.integers(0, 4000), st.sampled_from([b"", b"\n", b"\r", b"\r\n", b"=", b"\0", b"\xff", b"\n\n", b"x" * 900])
    ),
    max_size=6,
)


@given(
    st.lists(st.sampled_from(SAMPLES), min_size=1, max_size=4), mutations, st.lists(st.integers(0, 9000), max_size=8)
)
def test_mutated_requests_are_read_alike_however_they_are_cut(samples, changes, places):
    """No crash, no account that was not sent, and where a stream is cut changes nothing."""
    data = bytearray(b"".join(samples))
    for place, piece in changes:
        data[place % len(data) : place % len(data) + 1] = piece or data[place % len(data) : place % len(data)]

    whole = read(bytes(data))

    assert read(*cut(bytes(data), places)) == whole
    names = [found.username for found in whole if isinstance(found, Request) and REPLACEMENT not in found.username]
    assert all(f"sasl_username={name}".encode() in data for name in names if name)
    assert all(
        isinstance(found, Request) or found in ("bad-request", "unknown-request", "too-large") for found in whole
    )


@given(st.binary(max_size=6000), st.lists(st.integers(0, 6000), max_size=8))
def test_garbage_is_read_alike_however_it_is_cut(data, places):
    """Whatever it is, no account comes out of it."""
    found = read(*cut(data, places), most=512)

    assert found == read(data, most=512)
    assert all(isinstance(item, str) for item in found)


@given(st.lists(st.sampled_from(SAMPLES), min_size=1, max_size=6), st.lists(st.integers(0, 9000), max_size=8))
def test_whole_requests_arrive_whole(samples, places):
    """However they are cut, each is what it is alone."""
    assert read(*cut(b"".join(samples), places)) == [found for sample in samples for found in read(sample)]


@pytest.mark.parametrize(
    "text",
    [
        "REJECT", "reject", "REJECT 5.7.1 Account locked.", "521 5.7.1 Account locked.", "450 4.7.1 Later", "550",
        "DEFER 4.7.1 Later", "DEFER_IF_PERMIT 4.7.1 Later", "REJECT 5.7.1 Konto gesperrt. Hilfe für Sie: 123",
    ],
)  # fmt: skip
def test_actions_that_refuse(text):
    """As an operator may want them."""
    assert parse_denial(f" {text} ") == text


@pytest.mark.parametrize(
    "text",
    [
        "", "OK", "ok", "PERMIT", "permit_sasl_authenticated", "DUNNO", "250 fine", "REJECTED", "5215 x", "HOLD",
        "DISCARD", "REDIRECT a@b", "WARN x", "PREPEND X: y", "REJECT a\naction=OK", "REJECT \x07", "REJECT " + "x" * 600, "٥٢١ x",
    ],
)  # fmt: skip
def test_actions_that_do_not_refuse_are_no_denials(text):
    """Nor anything that would be more than one line."""
    with pytest.raises(Refused, match=r"action|refuse"):
        parse_denial(text)


@given(st.text(max_size=100))
def test_an_answer_is_one_attribute_and_an_empty_line(action):
    """Postfix hangs at CR, and a line end within would forge an answer."""
    answer = reply(action)

    assert answer.startswith(b"action=")
    assert answer.endswith(b"\n\n")
    assert answer.count(b"\n") == 2
    assert b"\r" not in answer


def test_no_opinion_is_dunno():
    """Never OK."""
    assert PASS == b"action=DUNNO\n\n"


def test_a_request_needs_no_more_than_its_kind():
    """What is left out is empty."""
    found = parse_request(b"request=smtpd_access_policy")

    assert (found.state, found.username, found.size) == ("", "", None)
    assert parse_request(end_of_data()[:-2]).recipients == 3
