"""Enforcement by its command: on a real Kafka, killed and restarted; and over HTTPS, with certificates that are checked."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from streams.bus.embedded import EmbeddedBroker
from streams.connectors.enforcement import Enforcement
from streams.demo.processes import environment
from streams.settings import Settings
from tests.bus.certificates import make_certificates
from tests.connectors.doors import block, write_blocks
from tests.connectors.hooks import KEY, SECRET, Dovecot24, Hook, serving
from tests.eventually import eventually_async

ALICE = "alice@example.org"


def changed(settings: Settings, **values: Any) -> Settings:
    given = {
        "enforcement_webhook_secret": SECRET,
        "enforcement_doveadm_key": KEY,
        "enforcement_health_listen": "127.0.0.1:0",
        **values,
    }
    return Settings.model_validate({**settings.model_dump(), **given})


@contextmanager
def process(settings: Settings, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """`loginwatch enforcement`, killed at the end if it still runs."""
    with log.open("wb") as out:
        running = subprocess.Popen(
            [sys.executable, "-m", "streams.cli", "enforcement"], env=environment(settings), stdout=out, stderr=out
        )
    try:
        yield running
    finally:
        running.kill()
        running.wait()


def deliveries(hook: Hook) -> dict[str, str]:
    """The account of every delivery that was taken; fails where one delivery told of two accounts."""
    found: dict[str, str] = {}
    for body in hook.taken:
        assert found.setdefault(body["delivery"], body["account"]) == body["account"]
    return found


@pytest.mark.kafka
async def test_a_killed_process_loses_nothing_and_the_next_one_goes_on(
    kafka_settings: Settings, tmp_path: Path
) -> None:
    """SIGKILL amid orders: every receiver goes on where it was, what comes twice has the same delivery; SIGTERM ends it well."""
    files = make_certificates(tmp_path)
    hook, steady = Hook(), Hook()
    accounts = [f"a{number}@example.org" for number in range(20)]
    dovecot = Dovecot24({account: ["203.0.113.5"] for account in accounts})
    async with (
        serving(hook.handle, certificate=files.server) as url,
        serving(steady.handle, certificate=files.server) as steady_url,
        serving(dovecot.handle, certificate=files.server) as doveadm,
    ):
        settings = changed(
            kafka_settings,
            enforcement_webhooks=(url, steady_url),
            enforcement_doveadm_urls=(doveadm,),
            enforcement_ca_file=str(files.ca),
        )
        log = tmp_path / "enforcement.log"
        with process(settings, log) as first:
            await asyncio.to_thread(write_blocks, settings, *map(block, accounts[:10]))
            await eventually_async(lambda: len(hook.taken) == len(steady.taken) == 10, 60, what=log.read_text())
            hook.gate.clear()
            await asyncio.to_thread(write_blocks, settings, *map(block, accounts[10:]))
            await eventually_async(lambda: len(steady.taken) == 20 and len(hook.tried) > 10)
            first.kill()
            await asyncio.to_thread(first.wait)
        assert len(hook.taken) == 10
        hook.gate.set()
        await asyncio.to_thread(write_blocks, settings, block(ALICE))
        everybody = {*accounts, ALICE}
        with process(settings, log) as second:
            # Kafka waits for the session of the dead one to end
            await eventually_async(lambda: set(deliveries(hook).values()) == everybody, 60, what="the webhook goes on")
            await eventually_async(lambda: set(deliveries(steady).values()) == everybody)
            await eventually_async(lambda: not any(dovecot.sessions.values()), what="all sessions are closed")
            second.terminate()
            assert await asyncio.to_thread(second.wait, 20) == 0, log.read_text()
    assert len(deliveries(hook)) == len(deliveries(steady)) == 21


async def test_a_broker_that_goes_and_comes_back_is_read_again(embedded: EmbeddedBroker) -> None:
    """Health says so meanwhile; what was told is not told again."""
    hook = Hook()
    async with serving(hook.handle) as url:
        settings = changed(embedded.settings, enforcement_webhooks=(url,))
        enforcement = Enforcement(settings, session_timeout_ms=1_500)
        task = asyncio.create_task(enforcement.run())
        try:
            await asyncio.to_thread(write_blocks, settings, block(ALICE))
            await eventually_async(lambda: hook.told() == [(ALICE, "blocked")])
            embedded.down()
            await eventually_async(lambda: any("Kafka" in text for text in enforcement.problems()))
            embedded.up()
            await asyncio.to_thread(write_blocks, settings, block("bob@example.org"))
            await eventually_async(lambda: len(hook.told()) == 2, 40)
            await eventually_async(lambda: enforcement.problems() == [])
        finally:
            enforcement.stop()
            await task
    assert hook.told() == [(ALICE, "blocked"), ("bob@example.org", "blocked")]


@pytest.mark.parametrize("wrong", ["authority", "name"])
async def test_a_receiver_with_a_wrong_certificate_is_told_nothing(
    embedded: EmbeddedBroker, tmp_path: Path, wrong: str
) -> None:
    """Signed by nobody that is trusted, or for another name: orders wait, health says why, nothing is sent."""
    files = make_certificates(tmp_path)
    hook, dovecot = Hook(), Dovecot24({ALICE: ["203.0.113.5"]})
    async with (
        serving(hook.handle, certificate=files.server) as url,
        serving(dovecot.handle, certificate=files.server) as doveadm,
    ):
        host = "localhost" if wrong == "name" else "127.0.0.1"
        settings = changed(
            embedded.settings,
            enforcement_webhooks=(url.replace("127.0.0.1", host),),
            enforcement_doveadm_urls=(doveadm.replace("127.0.0.1", host),),
            enforcement_ca_file=str(files.ca) if wrong == "name" else "",
        )
        enforcement = Enforcement(settings, session_timeout_ms=1_500)
        task = asyncio.create_task(enforcement.run())
        try:
            await asyncio.to_thread(write_blocks, settings, block(ALICE))
            await eventually_async(lambda: sum("certificate" in text for text in enforcement.problems()) == 2)
        finally:
            enforcement.stop()
            await task
    assert hook.tried == []
    assert dovecot.commands == []
