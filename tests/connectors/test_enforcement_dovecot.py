"""Enforcement at real Dovecots: sessions that are open are closed, and only those that must be."""

import asyncio
import imaplib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from streams.bus.embedded import EmbeddedBroker
from streams.connectors.enforcement import Enforcement
from streams.connectors.enforcement_queue import Patience
from streams.settings import Settings
from tests.connectors.doors import block, write_blocks
from tests.connectors.dovecot import DOVECOT_23, RELEASES, Dovecot, Release, running_dovecot
from tests.connectors.mail_clients import Idling
from tests.eventually import eventually_async

pytestmark = pytest.mark.mail_servers
KEY = "a key for doveadm"
QUICK = Patience(first_ms=20, most_ms=100, receiver_most_ms=100)
ALICE, BOB, CAROL = "alice@example.org", "bob@example.org", "carol@example.org"


@pytest.fixture(params=RELEASES, ids=lambda release: release.name)
def release(request: pytest.FixtureRequest) -> Release:
    return request.param


@pytest.fixture
def dovecot(release: Release) -> Iterator[Dovecot]:
    """It asks no door: sessions are all that matters here."""
    with running_dovecot(None, release=release, doveadm_key=KEY) as dovecot:
        yield dovecot


def settings(broker: EmbeddedBroker, *ports: int, **values: Any) -> Settings:
    given = {
        "enforcement_doveadm_urls": tuple(f"http://127.0.0.1:{port}" for port in ports),
        "enforcement_doveadm_key": KEY,
        "enforcement_timeout": 5,
    }
    return Settings.model_validate({**broker.settings.model_dump(), **given, **values})


@asynccontextmanager
async def running(given: Settings, *, repeat_ms: int = 3_000) -> AsyncIterator[Enforcement]:
    """Enforcement at work; stopped in good order at the end."""
    enforcement = Enforcement(given, patience=QUICK, session_timeout_ms=1_500, repeat_ms=repeat_ms)
    task = asyncio.create_task(enforcement.run())
    try:
        yield enforcement
    finally:
        enforcement.stop()
        await task


def count(enforcement: Enforcement, sample: str, **labels: str) -> float:
    return enforcement.metrics.registry.get_sample_value(f"loginwatch_{sample}_total", labels) or 0.0


@asynccontextmanager
async def idling(dovecot: Dovecot, *who: tuple[str, str]) -> AsyncIterator[list[Idling]]:
    sessions = [await asyncio.to_thread(Idling, dovecot.port, user, address) for user, address in who]
    try:
        yield sessions
    finally:
        for session in sessions:
            with suppress(OSError, imaplib.IMAP4.error):
                session.close()


async def test_an_idling_session_is_closed_by_a_block(
    embedded: EmbeddedBroker, dovecot: Dovecot, release: Release
) -> None:
    """Those of other users stay, and a session that began just before the block is closed by the second kick."""
    async with idling(dovecot, (ALICE, "127.0.0.5"), (BOB, "127.0.0.5")) as (alice, bob):
        async with running(settings(embedded, dovecot.doveadm_port)) as enforcement:
            await eventually_async(lambda: enforcement.problems() == [])
            await asyncio.to_thread(write_blocks, embedded.settings, block(ALICE))
            await eventually_async(alice.ended)
            async with idling(dovecot, (ALICE, "127.0.0.6")) as (late,):
                await eventually_async(late.ended)
            await eventually_async(lambda: count(enforcement, "kicks", outcome="closed") == 2)
            assert enforcement.problems() == []

        assert "BYE" in alice.farewell
        assert not bob.ended()
        assert bob.works()
    # 2.4.0 to 2.4.2 would panic
    flushed = "flushed" if release is DOVECOT_23 else "skipped"
    assert count(enforcement, "auth_cache_flushes", outcome=flushed) == 1


async def test_a_session_from_a_network_that_stays_open_stays(embedded: EmbeddedBroker, dovecot: Dovecot) -> None:
    """Only the others of the account are closed, each by its address; a colleague at the thief's address is not."""
    everybody = ((ALICE, "127.0.0.65"), (ALICE, "127.0.0.5"), (ALICE, "127.0.0.6"), (BOB, "127.0.0.5"))
    async with idling(dovecot, *everybody) as (familiar, thief, accomplice, colleague):
        async with running(settings(embedded, dovecot.doveadm_port), repeat_ms=100) as enforcement:
            open_networks = ["127.0.0.64/30", "2001:db8::/32"]
            await asyncio.to_thread(write_blocks, embedded.settings, block(ALICE, except_networks=open_networks))
            await eventually_async(thief.ended)
            await eventually_async(accomplice.ended)
            await eventually_async(lambda: count(enforcement, "kicks", outcome="spared") == 1)

        assert familiar.works()
        assert colleague.works()


async def test_a_name_that_is_a_mask_closes_nobody(embedded: EmbeddedBroker, dovecot: Dovecot) -> None:
    """A blocked `a*@example.org` is refused; the accounts that it would match stay."""
    async with idling(dovecot, (ALICE, "127.0.0.5"), (CAROL, "127.0.0.5")) as (alice, carol):
        async with running(settings(embedded, dovecot.doveadm_port)) as enforcement:
            await asyncio.to_thread(write_blocks, embedded.settings, block("*@example.org"), block("?lice@example.org"))
            await eventually_async(lambda: count(enforcement, "kicks", outcome="refused") == 2)

        assert alice.works()
        assert carol.works()


async def test_a_wrong_key_says_so_and_the_right_one_does_what_waited(
    embedded: EmbeddedBroker, dovecot: Dovecot
) -> None:
    """Nothing is given up for it."""
    async with idling(dovecot, (ALICE, "127.0.0.5")) as (alice,):
        wrong = settings(embedded, dovecot.doveadm_port, enforcement_doveadm_key="another")
        async with running(wrong) as enforcement:
            await asyncio.to_thread(write_blocks, embedded.settings, block(ALICE))
            await eventually_async(lambda: count(enforcement, "kicks", outcome="retried") >= 1)
            assert any("answers 401" in text and "enforcement_doveadm_key" in text for text in enforcement.problems())
            assert "another" not in str(enforcement.problems())
        assert not alice.ended()

        async with running(settings(embedded, dovecot.doveadm_port), repeat_ms=100):
            await eventually_async(alice.ended)


async def test_a_backend_that_is_down_holds_up_no_other_and_is_kicked_when_it_is_back(
    embedded: EmbeddedBroker, dovecot: Dovecot, release: Release
) -> None:
    """It shows in health and metrics until then."""
    with release.folder() as folder:
        other = Dovecot(folder, None, doveadm_key=KEY, release=release)
        given = settings(embedded, dovecot.doveadm_port, other.doveadm_port)
        async with idling(dovecot, (ALICE, "127.0.0.5")) as (alice,), running(given, repeat_ms=100) as enforcement:
            await asyncio.to_thread(write_blocks, embedded.settings, block(ALICE))
            await eventually_async(alice.ended)
            await eventually_async(lambda: count(enforcement, "kicks", outcome="retried") >= 1)
            assert any("cannot connect" in text for text in enforcement.problems())
            assert " 0.0" in line_of(enforcement, "loginwatch_enforcement_up")

            await asyncio.to_thread(other.__enter__)
            try:
                await eventually_async(lambda: enforcement.problems() == [])
                await eventually_async(lambda: count(enforcement, "kicks", outcome="none") >= 2)
            finally:
                await asyncio.to_thread(other.__exit__, None, None, None)


async def test_sessions_that_pass_through_a_proxy_are_closed_at_the_proxy_of_2_3(embedded: EmbeddedBroker) -> None:
    """Where only the proxy is known; no session is the proxy's own, so a plain kick finds nothing there."""
    with (
        running_dovecot(None) as behind,
        running_dovecot(None, doveadm_key=KEY, proxy_to=behind.port) as proxy,
    ):
        async with idling(proxy, (ALICE, "127.0.0.5"), (BOB, "127.0.0.5")) as (alice, bob):
            async with running(settings(embedded, proxy.doveadm_port), repeat_ms=100) as enforcement:
                await asyncio.to_thread(write_blocks, embedded.settings, block(ALICE))
                await eventually_async(alice.ended)
                assert enforcement.problems() == []
            assert bob.works()


async def test_a_kick_behind_a_proxy_closes_the_session_at_the_proxy_too(
    embedded: EmbeddedBroker, release: Release
) -> None:
    """So it is enough to name the Dovecots behind it; 2.4.1 needs that, since its proxy counts a kick and does nothing."""
    with (
        running_dovecot(None, release=release, doveadm_key=KEY) as behind,
        running_dovecot(None, release=release, proxy_to=behind.port) as proxy,
    ):
        async with idling(proxy, (ALICE, "127.0.0.5"), (BOB, "127.0.0.5")) as (alice, bob):
            async with running(settings(embedded, behind.doveadm_port), repeat_ms=100):
                await asyncio.to_thread(write_blocks, embedded.settings, block(ALICE))
                await eventually_async(alice.ended)
            assert bob.works()


def line_of(enforcement: Enforcement, sample: str) -> str:
    lines = enforcement.metrics.page().decode().splitlines()
    return "\n".join(line for line in lines if line.startswith(sample))
