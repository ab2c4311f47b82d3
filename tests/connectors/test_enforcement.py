"""From a block on the topic to webhooks and kicks; nothing is lost between, and nobody waits for another."""

import asyncio
import threading
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from streams.bus.clients import client_config, new_consumer
from streams.bus.embedded import EmbeddedBroker
from streams.bus.producer import Producer
from streams.connectors.enforcement import Enforcement, receivers
from streams.connectors.enforcement_queue import Patience
from streams.errors import ConfigurationError
from streams.settings import Settings
from streams.topology import BLOCKS
from tests.connectors.doors import CODEC, MINUTE_MS, block, now_ms, read_all
from tests.connectors.hooks import KEY, SECRET, Dovecot24, Hook, serving
from tests.eventually import eventually_async
from tests.ports import free_port

QUICK = Patience(first_ms=20, most_ms=100, receiver_most_ms=100)
ALICE, BOB = "alice@example.org", "bob@example.org"


def write(broker: EmbeddedBroker, *blocks: dict[str, Any] | bytes) -> None:
    """Put blocks on partition 0 of their topic."""
    producer = Producer(broker.settings)
    for one in blocks:
        raw = one if isinstance(one, bytes) else CODEC.encode("Block", one)
        producer.send(BLOCKS.name, raw, key="key", partition=0)
    producer.close()


def settings(broker: EmbeddedBroker, *hooks: str, doveadm: tuple[str, ...] = (), **values: Any) -> Settings:
    given = {
        "enforcement_webhooks": hooks,
        "enforcement_webhook_secret": SECRET,
        "enforcement_doveadm_urls": doveadm,
        "enforcement_doveadm_key": KEY,
        "enforcement_timeout": 20,
    }
    return Settings.model_validate({**broker.settings.model_dump(), **given, **values})


@asynccontextmanager
async def running(given: Settings, *, patience: Patience = QUICK) -> AsyncIterator[Enforcement]:
    """Enforcement at work; stopped in good order at the end."""
    # the embedded broker waits a session timeout at every change of a group's members
    enforcement = Enforcement(given, patience=patience, session_timeout_ms=1_500, repeat_ms=20)
    task = asyncio.create_task(enforcement.run())
    try:
        yield enforcement
    finally:
        enforcement.stop()
        await task


def count(enforcement: Enforcement, sample: str, **labels: str) -> float:
    return enforcement.metrics.registry.get_sample_value(f"loginwatch_{sample}_total", labels) or 0.0


def hooks_count(enforcement: Enforcement, outcome: str) -> float:
    return count(enforcement, "webhooks", outcome=outcome)


def kicks(enforcement: Enforcement, outcome: str) -> float:
    return count(enforcement, "kicks", outcome=outcome)


@contextmanager
def reading(broker: EmbeddedBroker, group: str) -> Iterator[Consumer]:
    consumer = new_consumer({**client_config(broker.settings), "group.id": group})
    try:
        yield consumer
    finally:
        consumer.close()


def committed(given: Settings, broker: EmbeddedBroker) -> int:
    """The position of the first receiver in partition 0; negative when nothing is committed."""
    backends, hooks = receivers(given)
    kind, receiver = ("doveadm", backends[0]) if backends else ("webhook", hooks[0])
    with reading(broker, f"{given.app}-enforcement-{kind}-{receiver.name}") as consumer:
        return int(consumer.committed([TopicPartition(BLOCKS.name, 0)], timeout=10)[0].offset)


async def letters(given: Settings, number: int) -> list[dict[str, Any]]:
    found = await asyncio.to_thread(read_all, given, "dead-letters")
    assert len(found) == number
    return [letter for _, letter in found]


async def test_a_receiver_is_told_a_block_and_its_end_in_order(embedded: EmbeddedBroker) -> None:
    """Signed, with the delivery in header and body, and committed."""
    hook = Hook()
    first = block(ALICE, except_networks=["192.0.2.0/24"])
    async with serving(hook.handle) as url:
        given = settings(embedded, url)
        async with running(given) as enforcement:
            write(embedded, first, {**first, "state": "open", "until": now_ms()})
            await eventually_async(lambda: hooks_count(enforcement, "delivered") == 2)
            assert enforcement.problems() == []

    assert hook.told() == [(ALICE, "blocked"), (ALICE, "open")]
    assert {name: hook.taken[0][name] for name in first} == first
    assert [body["delivery"] for body in hook.taken] == [head["X-Loginwatch-Delivery"] for head in hook.headers]
    assert hook.headers[0]["X-Loginwatch-Id"] == first["id"]
    assert committed(given, embedded) == 2


async def test_at_the_first_start_only_blocks_in_force_are_told(embedded: EmbeddedBroker) -> None:
    """Old ones and their ends are history; the end of one that was told is not, and a second start repeats nothing."""
    hook = Hook()
    ended = block("old@example.org", until=now_ms() - MINUTE_MS)
    lifted, in_force = block(BOB, state="open"), block(ALICE)
    write(embedded, ended, lifted, in_force, {**in_force, "state": "open"})
    async with serving(hook.handle) as url:
        given = settings(embedded, url)
        async with running(given) as enforcement:
            await eventually_async(lambda: hooks_count(enforcement, "delivered") == 2)
            assert hooks_count(enforcement, "over") == 2
        write(embedded, {**lifted, "id": "later"}, {**ended, "id": "later too"})
        async with running(given) as enforcement:
            await eventually_async(lambda: hooks_count(enforcement, "delivered") == 2)

    assert hook.told() == [(ALICE, "blocked"), (ALICE, "open"), (BOB, "open"), ("old@example.org", "blocked")]


async def test_a_repeated_block_is_told_once(embedded: EmbeddedBroker) -> None:
    """A worker that crashed publishes the same block again; with a later end it is another."""
    hook, one = Hook(), block(ALICE)
    write(embedded, one, one, {**one, "until": one["until"] + 1}, one)
    async with serving(hook.handle) as url:
        given = settings(embedded, url)
        async with running(given) as enforcement:
            await eventually_async(lambda: hooks_count(enforcement, "delivered") == 2)
            await eventually_async(lambda: len(hook.taken) == 2)
    assert len({body["delivery"] for body in hook.taken}) == 2
    assert committed(given, embedded) == 4


async def test_a_receiver_that_fails_is_told_again_with_the_same_delivery(embedded: EmbeddedBroker) -> None:
    """Wrong statuses, a redirect, a connection lost amid: none is an answer. The order of the account is kept."""
    hook, one = Hook(answers=[500, 302, 503, 1, 404]), block(ALICE)
    write(embedded, one, {**one, "state": "open"})
    async with serving(hook.handle) as url, running(settings(embedded, url)) as enforcement:
        await eventually_async(lambda: hooks_count(enforcement, "delivered") == 2)

    assert [body["event"] for body in hook.tried] == ["blocked"] * 6 + ["open"]
    assert len({body["delivery"] for body in hook.tried}) == 2
    assert hooks_count(enforcement, "retried") == 5
    assert hook.hung_up == 1


async def test_a_redirect_is_not_followed(embedded: EmbeddedBroker) -> None:
    """It would tell a stranger of the block, with our signature."""
    hook, stranger = Hook(answers=[307, 302]), Hook()
    async with (
        serving(stranger.handle) as hook.elsewhere,
        serving(hook.handle) as url,
        running(settings(embedded, url)) as enforcement,
    ):
        write(embedded, block(ALICE))
        await eventually_async(lambda: hooks_count(enforcement, "delivered") == 1)

    assert len(hook.tried) == 3
    assert stranger.tried == []


async def test_a_slow_receiver_holds_up_no_other(embedded: EmbeddedBroker) -> None:
    """It is told as soon as it answers; what waits for it shows in the metrics."""
    slow, quick = Hook(), Hook()
    slow.gate.clear()
    accounts = [f"a{number}@example.org" for number in range(30)]
    async with serving(slow.handle) as slow_url, serving(quick.handle) as quick_url:
        given = settings(embedded, slow_url, quick_url, enforcement_pending=10)
        async with running(given) as enforcement:
            write(embedded, *(block(account) for account in accounts))
            await eventually_async(lambda: len(quick.taken) == 30)
            assert slow.taken == []
            await eventually_async(lambda: len(slow.tried) >= 2)
            page = enforcement.metrics.page().decode()
            assert 'loginwatch_enforcement_pending{receiver="127.0.0.1-' in page
            slow.gate.set()
            await eventually_async(lambda: len(slow.taken) == 30)

    assert sorted(body["account"] for body in slow.taken) == sorted(accounts)


async def test_an_account_that_a_receiver_will_not_have_holds_up_no_other(embedded: EmbeddedBroker) -> None:
    """Its own later orders wait; those of others do not."""
    hook, one = Hook(fate=lambda body: 500 if body["account"] == ALICE else None), block(ALICE)
    write(embedded, one, {**one, "state": "open"}, block(BOB))
    async with serving(hook.handle) as url:
        given = settings(embedded, url)
        async with running(given) as enforcement:
            await eventually_async(lambda: hook.told() == [(BOB, "blocked")])
            assert {body["event"] for body in hook.tried} == {"blocked"}
        assert committed(given, embedded) < 0
        hook.fate = lambda _body: None
        async with running(given) as enforcement:
            await eventually_async(lambda: hooks_count(enforcement, "delivered") == 3)

    assert hook.told(ALICE) == [(ALICE, "blocked"), (ALICE, "open")]
    assert committed(given, embedded) == 3


async def test_what_is_refused_for_good_or_too_long_is_a_dead_letter(embedded: EmbeddedBroker) -> None:
    """With the body and the receiver, and never one that could be written back to `blocks`."""
    hook = Hook(fate=lambda body: {ALICE: 422, BOB: 500}.get(body["account"]))
    write(embedded, block(ALICE), block(BOB), block("carol@example.org"))
    async with serving(hook.handle) as url:
        given = settings(embedded, url + "/a-secret-path")
        impatient = Patience(20, 50, 50, give_up_ms=300)
        async with running(given, patience=impatient) as enforcement:
            await eventually_async(lambda: hooks_count(enforcement, "given_up") == 1 and len(hook.taken) == 1)
        found = await letters(given, 2)

    assert hooks_count(enforcement, "refused") == 1
    assert {letter["reason"] for letter in found} == {"webhook_refused", "webhook_given_up"}
    assert all(letter["topic"].startswith("webhook 127.0.0.1-") and letter["offset"] == -1 for letter in found)
    assert "a-secret-path" not in str(found)
    assert "blocks/0/" in found[0]["detail"]
    assert {ALICE.encode() in letter["raw"] or BOB.encode() in letter["raw"] for letter in found} == {True}
    assert committed(given, embedded) == 3


async def test_a_receiver_that_is_away_shows_and_loses_nothing(embedded: EmbeddedBroker) -> None:
    """Another process goes on where this one stopped."""
    hook, port = Hook(), free_port()
    given = settings(embedded, f"http://127.0.0.1:{port}/")
    write(embedded, block(ALICE), block(BOB))
    async with running(given) as enforcement:
        await eventually_async(lambda: hooks_count(enforcement, "retried") >= 2)
        assert [text for text in enforcement.problems() if "cannot connect" in text]
        assert "loginwatch_enforcement_up{" in (page := enforcement.metrics.page().decode())
        assert "example.org" not in page
    assert committed(given, embedded) < 0

    async with serving(hook.handle, port), running(given) as enforcement:
        await eventually_async(lambda: hooks_count(enforcement, "delivered") == 2)
        assert enforcement.problems() == []
    assert sorted(hook.told()) == [(ALICE, "blocked"), (BOB, "blocked")]


async def test_reading_pauses_while_too_much_waits(embedded: EmbeddedBroker) -> None:
    """Memory is bounded, and nothing is skipped."""
    hook, port = Hook(), free_port()
    accounts = [f"a{number}@example.org" for number in range(230)]
    write(embedded, *(block(account) for account in accounts))
    given = settings(embedded, f"http://127.0.0.1:{port}/", enforcement_pending=10)
    (name,) = (one.name for one in receivers(given)[1])
    async with running(given) as enforcement:
        await eventually_async(lambda: hooks_count(enforcement, "retried") >= 3)
        pending = enforcement.metrics.registry.get_sample_value
        read = lambda: pending("loginwatch_enforcement_pending", {"receiver": name}) or 0  # noqa: E731
        await eventually_async(lambda: read() >= 10)
        assert read() <= 110
        async with serving(hook.handle, port):
            await eventually_async(lambda: len(hook.taken) == 230)

    assert sorted(body["account"] for body in hook.taken) == sorted(accounts)
    assert committed(given, embedded) == 230


async def test_what_is_no_block_is_one_dead_letter_for_all_receivers(embedded: EmbeddedBroker) -> None:
    """And stops nobody."""
    one, other = Hook(), Hook()
    write(embedded, b"", b"\xff\xfe", b'{"account": 7}', block(ALICE))
    async with serving(one.handle) as url, serving(other.handle) as other_url:
        given = settings(embedded, url, other_url)
        async with running(given):
            await eventually_async(lambda: one.told() == other.told() == [(ALICE, "blocked")])
        found = await letters(given, 3)

    assert [(letter["topic"], letter["offset"]) for letter in found] == [("blocks", 0), ("blocks", 1), ("blocks", 2)]
    assert committed(given, embedded) == 4


async def test_sessions_outside_open_networks_are_closed_twice_over_and_2_4_does_not_panic(
    embedded: EmbeddedBroker,
) -> None:
    """2.4.0 to 2.4.2 are spared `authCacheFlush`; from 2.4.3 it is asked by `userMask`."""
    old = Dovecot24({ALICE: ["192.0.2.9", "203.0.113.5", "2001:db8::7"], BOB: ["203.0.113.5"]})
    new = Dovecot24({ALICE: ["203.0.113.6"]}, flush="userMask")
    async with serving(old.handle) as old_url, serving(new.handle) as new_url:
        given = settings(embedded, doveadm=(old_url, new_url + "/"))
        async with running(given) as enforcement:
            write(embedded, block(ALICE, except_networks=["192.0.2.0/24"]))
            await eventually_async(lambda: kicks(enforcement, "closed") == 2 and kicks(enforcement, "spared") == 1)
            await eventually_async(lambda: kicks(enforcement, "none") == 1)

    assert old.sessions == {ALICE: ["192.0.2.9"], BOB: ["203.0.113.5"]}
    assert new.sessions == {ALICE: []}
    assert old.panics == 0
    assert ("authCacheFlush", {"userMask": [ALICE]}) in new.commands
    assert [name for name, _ in old.commands].count("who") == 2
    assert count(enforcement, "auth_cache_flushes", outcome="skipped") == 1
    assert committed(given, embedded) == 1


async def test_a_name_with_a_wildcard_kicks_nobody(embedded: EmbeddedBroker) -> None:
    """It is a dead letter, since Dovecot would close the sessions of others."""
    dovecot = Dovecot24({"*@example.org": ["203.0.113.5"], ALICE: ["203.0.113.5"]})
    write(embedded, block("*@example.org"), block(ALICE))
    async with serving(dovecot.handle) as url:
        given = settings(embedded, doveadm=(url,))
        async with running(given) as enforcement:
            await eventually_async(lambda: kicks(enforcement, "refused") == 1 and kicks(enforcement, "closed") == 1)
        (letter,) = await letters(given, 1)

    assert letter["reason"] == "doveadm_refused"
    assert "wildcard" in letter["detail"]
    assert not [given for _, given in dovecot.commands if "*" in str(given)]


async def test_a_lifted_block_kicks_nobody_later(embedded: EmbeddedBroker) -> None:
    """The backend was away meanwhile; when it is back, only what is still blocked is closed."""
    dovecot, port = Dovecot24({ALICE: ["203.0.113.5"], BOB: ["203.0.113.5"]}), free_port()
    one = block(ALICE)
    given = settings(embedded, doveadm=(f"http://127.0.0.1:{port}",))
    async with running(given) as enforcement:
        write(embedded, one, block(BOB))
        await eventually_async(lambda: kicks(enforcement, "retried") >= 2)
        write(embedded, {**one, "state": "open"})
        await eventually_async(lambda: kicks(enforcement, "lifted") == 1)
        async with serving(dovecot.handle, port):
            await eventually_async(lambda: kicks(enforcement, "closed") == 1)
            await eventually_async(lambda: kicks(enforcement, "none") == 1)

    assert dovecot.sessions == {ALICE: ["203.0.113.5"], BOB: []}
    assert committed(given, embedded) == 3


async def test_an_end_that_is_reached_while_the_backend_is_away_needs_no_kick(embedded: EmbeddedBroker) -> None:
    """The account is open again."""
    given = settings(embedded, doveadm=(f"http://127.0.0.1:{free_port()}",))
    write(embedded, block(ALICE, until=now_ms() + 1_500))
    async with running(given) as enforcement:
        await eventually_async(lambda: kicks(enforcement, "over") == 1)
    assert committed(given, embedded) == 1


async def test_two_processes_share_the_work(embedded: EmbeddedBroker) -> None:
    """What one had not done when a partition moved is done by the other."""
    hook = Hook()
    accounts = {f"a{number}@example.org" for number in range(40)}
    producer = Producer(embedded.settings)
    for account in accounts:
        producer.send(BLOCKS.name, CODEC.encode("Block", block(account)), key=account)
    producer.close()
    async with serving(hook.handle) as url:
        given = settings(embedded, url)
        async with running(given), running(given):
            await eventually_async(lambda: {body["account"] for body in hook.taken} == accounts)


async def test_it_says_what_is_missing_before_it_starts(embedded: EmbeddedBroker) -> None:
    """A process that could tell nobody does not run."""
    for changes, sentence in (
        ({}, "nobody to tell"),
        ({"enforcement_webhooks": ("https://h/",), "enforcement_webhook_secret": ""}, "enforcement_webhook_secret"),
        ({"enforcement_doveadm_urls": ("https://h/",), "enforcement_doveadm_key": ""}, "enforcement_doveadm_key"),
        ({"enforcement_doveadm_urls": ("http://mail.example.org",)}, "without TLS"),
        ({"enforcement_webhooks": ("https://h/",), "enforcement_ca_file": "/nowhere.pem"}, "enforcement_ca_file"),
    ):
        with pytest.raises(ConfigurationError, match=sentence):
            Enforcement(settings(embedded, **{"enforcement_webhooks": (), **changes}))


async def test_health_and_metrics_are_served(embedded: EmbeddedBroker) -> None:
    """By the process itself, on its own address."""
    from streams.connectors.enforcement import serve

    hook, found, codes, over = Hook(), [], [], threading.Event()

    def ready(enforcement: Enforcement, health: Any) -> None:
        found.append((enforcement, health, asyncio.get_running_loop()))
        if over.is_set():  # nobody waits for it any more
            enforcement.stop()

    def get(path: str) -> bytes:
        with urllib.request.urlopen(f"http://{found[0][1].address}{path}", timeout=10) as response:
            return bytes(response.read())

    async with serving(hook.handle) as url:
        given = settings(embedded, url, enforcement_health_listen="127.0.0.1:0")
        # not asyncio.to_thread, for which the end of the event loop waits without end
        threading.Thread(target=lambda: codes.append(serve(given, ready=ready)), daemon=True).start()
        try:
            await eventually_async(lambda: found, 60)
            await eventually_async(lambda: found[0][0].problems() == [])
            page = await asyncio.to_thread(get, "/metrics")
            assert b"loginwatch_enforcement_pending" in page
            assert b'"ready": true' in await asyncio.to_thread(get, "/health/ready")
        finally:
            over.set()
            if found:
                found[0][2].call_soon_threadsafe(found[0][0].stop)
        await eventually_async(lambda: codes, 60, what="it ends")
    assert codes == [0]
