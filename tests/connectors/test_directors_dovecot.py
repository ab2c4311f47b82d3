"""A Dovecot director, and proxies, before real Dovecots: who is seen, who is refused, and which sessions a block closes."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from streams.bus.embedded import EmbeddedBroker
from streams.connectors.enforcement import Enforcement
from tests.connectors.doors import KEY as GATEWAY_KEY
from tests.connectors.doors import block, gateway_settings, open_door, read_all, wait_for, write_blocks
from tests.connectors.dovecot import DOVECOT_23, RELEASES, USERS, Dovecot, Release, running_dovecot
from tests.connectors.test_enforcement_dovecot import ALICE, BOB, KEY, count, idling, running, settings
from tests.eventually import eventually_async
from tests.ports import free_port

pytestmark = pytest.mark.mail_servers
BACKENDS = ("127.0.0.1", "127.0.0.2")
THIEF, HOME = "127.0.0.5", "127.0.0.65"


@contextmanager
def ring() -> Iterator[tuple[Dovecot, list[Dovecot]]]:
    """A director, a ring of one, and the two Dovecots that it distributes users to; all with doveadm."""
    port = free_port()
    behind = {"doveadm_key": KEY, "trusts_proxies": True, "imap_port": port}
    with (
        running_dovecot(None, address=BACKENDS[0], **behind) as one,
        running_dovecot(None, address=BACKENDS[1], **behind) as two,
        running_dovecot(None, doveadm_key=KEY, proxy_to=port, backends=BACKENDS) as director,
    ):
        yield director, [one, two]


async def order(embedded: EmbeddedBroker, *users: str, **fields: object) -> None:
    """Block these users."""
    await asyncio.to_thread(write_blocks, embedded.settings, *(block(user, **fields) for user in users))


def closed(enforcement: Enforcement) -> bool:
    """Whether nobody complains."""
    return enforcement.problems() == []


async def test_a_block_closes_sessions_through_a_director_wherever_it_has_put_them(embedded: EmbeddedBroker) -> None:
    """With director and backends named, every blocked user's session ends, on both backends, and nobody else's."""
    with ring() as (director, backends):
        async with idling(director, *((user, THIEF) for user in USERS)) as sessions:
            assert all("Started proxying" not in one.log() and "Login: user=<" in one.log() for one in backends)
            given = settings(embedded, director.doveadm_port, *(one.doveadm_port for one in backends))
            async with running(given, repeat_ms=100) as enforcement:
                await order(embedded, *USERS[:-1])
                for session in sessions[:-1]:
                    await eventually_async(session.ended)
                await eventually_async(lambda: closed(enforcement))
            assert sessions[-1].works()


async def test_a_director_alone_closes_all_sessions_of_a_user(embedded: EmbeddedBroker) -> None:
    """Where its backends are not named; those of others stay."""
    with ring() as (director, _):
        async with idling(director, (ALICE, THIEF), (ALICE, HOME), (BOB, THIEF)) as (thief, home, colleague):
            async with running(settings(embedded, director.doveadm_port), repeat_ms=100) as enforcement:
                await order(embedded, ALICE)
                await eventually_async(thief.ended)
                await eventually_async(home.ended)
                assert closed(enforcement)
            assert colleague.works()


async def test_a_network_that_stays_open_stays_through_a_director(embedded: EmbeddedBroker) -> None:
    """The backends know the clients' addresses, so only the thief's session ends, at the director too."""
    with ring() as (director, backends):
        async with idling(director, (ALICE, THIEF), (ALICE, HOME), (BOB, THIEF)) as (thief, home, colleague):
            given = settings(embedded, director.doveadm_port, *(one.doveadm_port for one in backends))
            async with running(given, repeat_ms=100) as enforcement:
                await order(embedded, ALICE, except_networks=["127.0.0.64/30"])
                await eventually_async(thief.ended)
                await eventually_async(lambda: count(enforcement, "kicks", outcome="spared") >= 1)
                assert closed(enforcement)
            assert home.works()
            assert colleague.works()


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)
async def test_a_network_that_stays_open_stays_through_a_proxy(embedded: EmbeddedBroker, release: Release) -> None:
    """As through a director, in both releases, with the Dovecot behind it named."""
    with (
        running_dovecot(None, release=release, doveadm_key=KEY, trusts_proxies=True) as behind,
        running_dovecot(None, release=release, proxy_to=behind.port) as proxy,
    ):
        async with idling(proxy, (ALICE, THIEF), (ALICE, HOME)) as (thief, home):
            async with running(settings(embedded, behind.doveadm_port), repeat_ms=100):
                await order(embedded, ALICE, except_networks=["127.0.0.64/30"])
                await eventually_async(thief.ended)
            assert home.works()


@pytest.mark.parametrize(
    ("release", "backends"),
    [*((release, ()) for release in RELEASES), (DOVECOT_23, BACKENDS[:1])],
    ids=[*(f"a proxy, {release.name}" for release in RELEASES), "a director"],
)
def test_who_logs_in_through_a_proxy_or_director_is_seen_once_with_his_own_address(
    embedded: EmbeddedBroker, release: Release, backends: tuple[str, ...]
) -> None:
    """The Dovecot behind it asks and reports; a block refuses with our words, but not from a network that stays open."""
    given = gateway_settings(embedded.settings, gateway_listen=f"127.0.0.1:{free_port()}")
    url = f"http://{given.gateway_listen}/"
    with (
        open_door(given) as door,
        running_dovecot(url, GATEWAY_KEY, release=release, trusts_proxies=True) as behind,
        running_dovecot(None, release=release, proxy_to=behind.port, backends=backends) as outer,
    ):
        assert outer.login(ALICE, address=THIEF) == "", outer.log() + behind.log()
        write_blocks(embedded.settings, block(ALICE, except_networks=["127.0.0.64/30"]))
        wait_for(lambda: door.count("loginwatch_blocks_held") == 1, "the block")

        assert given.gateway_deny_message in outer.login(ALICE, address=THIEF), outer.log()
        assert outer.login(ALICE, address=HOME) == ""
        wait_for(lambda: door.count("loginwatch_reports_total", outcome="delivered") == 3, "three reports")

    logins = [(login["ip"], login["success"]) for _, login in read_all(embedded.settings, "logins")]
    assert sorted(logins) == [(THIEF, False), (THIEF, True), (HOME, True)]
