"""The benchmark of doors asks what mail servers ask, and its generator sees every answer that is wrong, late or missing."""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from socket import IPPROTO_TCP, TCP_NODELAY, create_server

import pytest

from benchmarks.doors import ECHOED, HTTP, SYSTEMS
from benchmarks.harness import door_requests, open_loop
from benchmarks.harness.door_processes import account, block, change
from benchmarks.harness.open_loop import Request, ask
from streams.connectors.auth_policy import PASS
from streams.connectors.policy_protocol import Request as PolicyRequest
from streams.connectors.policy_protocol import RequestReader
from streams.connectors.usual_http import Answers, UsualReader
from streams.records.codec import Codec

QUESTION = Request(b"x", denied=False)


@contextmanager
def server(*answers: bytes) -> Iterator[int]:
    """A port whose connections get these answers in turn, whatever they send, each in two parts; b"" ends one."""
    listener = create_server(("127.0.0.1", 0))

    def serve() -> None:
        for number in range(64):
            threading.Thread(target=_converse, args=(listener.accept()[0], number), daemon=True).start()

    def _converse(client, number: int) -> None:
        with client:
            turn = number
            client.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
            while client.recv(4096):
                answer = answers[turn % len(answers)]
                if not answer:
                    return
                client.sendall(answer[:20])
                client.sendall(answer[20:])
                turn += 64

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with listener:
        yield listener.getsockname()[1]
        thread.join(10)


def test_every_request_is_timed_after_the_warm_up() -> None:
    """Latencies from when due are never less than those from when sent."""
    with server(ECHOED) as port:
        found = ask(port, HTTP, [QUESTION] * 300, rate=3_000, warm_up=100)

    assert (found.denied, found.wrong, found.unanswered) == (0, 0, 0)
    assert 200 <= len(found.due) <= 300
    assert all(0 < sent <= due for due, sent in zip(found.due, found.sent, strict=True))


def test_a_wrong_answer_is_seen() -> None:
    """A denial of somebody who is not blocked, and another status than 200."""
    denial, failure = ECHOED.replace(b'"status":0', b'"status":-1'), ECHOED.replace(b"200", b"500")
    with server(denial, failure, ECHOED, ECHOED) as port:
        found = ask(port, HTTP, [QUESTION] * 64, rate=5_000)

    assert (found.denied, found.wrong) == (16, 32)


def test_a_closed_connection_is_no_answer() -> None:
    """A door that closes under load has no figures."""
    with server(b"") as port, pytest.raises(ConnectionError):
        ask(port, HTTP, [QUESTION], rate=5_000)


def test_a_missing_answer_is_seen(monkeypatch) -> None:
    """One whose end never comes is waited for a while, and counted."""
    monkeypatch.setattr(open_loop, "PATIENCE_S", 0.5)
    with server(ECHOED, ECHOED[:-1]) as port:
        found = ask(port, HTTP, [QUESTION] * 64, rate=5_000)

    assert (found.wrong, found.unanswered, len(found.due)) == (0, 32, 32)


@pytest.mark.parametrize("make", [door_requests.questions, door_requests.logins])
def test_questions_of_dovecot_are_usual(make) -> None:
    """What is measured is the way that real requests take."""
    paths = ("/?command=allow", "/?command=report")
    reader = UsualReader(dict.fromkeys(paths, lambda body, _: (200, body)))

    found = [reader.read(request.raw) for request in islice(make(1000, random.Random(1)), 30)]

    assert all(usual is not None and usual.body.startswith(b'{"') for usual in found)


@pytest.mark.parametrize("make", [door_requests.recipients, door_requests.messages])
def test_questions_of_postfix_are_understood(make) -> None:
    """Each is one request of the protocol, of an account that is blocked where it should be."""
    for request in islice(make(1000, random.Random(1)), 30):
        [found] = RequestReader(16_384).feed(request.raw)
        assert isinstance(found, PolicyRequest)
        assert found.username.startswith("user" if request.denied else "free")


def test_the_echo_answers_as_much_as_the_gateway() -> None:
    """Otherwise it would be cheaper for a reason that has nothing to do with doors."""
    assert abs(len(ECHOED) - len(Answers().of(200, PASS))) < 100
    assert SYSTEMS[0].requests is door_requests.echoed


def test_changes_never_open_an_account_that_should_be_denied() -> None:
    """They renew blocks, and block and open accounts that nobody asks about."""
    read = Codec().decode
    for number in range(40):
        key, raw = change(number, 10)
        found = read("Block", raw)
        assert key.decode() == found["account"]
        assert found["state"] == "blocked" or key >= account(10)
    assert read("Block", block(7))["account"] == account(7).decode()
