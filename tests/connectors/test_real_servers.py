"""
All of it on real servers: the processes by their commands, Dovecot 2.3 and Postfix, mail clients, a real Kafka.

The addresses are those of the loopback network, which a small geo database puts into countries. Each test has an account
of its own, since all share one site.
"""

import smtplib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from time import monotonic

import pytest

from tests.connectors.dovecot import USERS
from tests.connectors.mail_clients import PASSWORD, Idling
from tests.connectors.postfix_server import send
from tests.connectors.site import Site, running_site
from tests.eventually import eventually
from tests.kafka_broker import KafkaBroker

pytestmark = [pytest.mark.kafka, pytest.mark.mail_servers, pytest.mark.timeout(240)]

HOME = "127.10.0.5"
THIEVES = ("127.20.0.5", "127.30.0.5", "127.40.0.5")
ALICE, BOB, CAROL, DAVE, ERIN, FRANK, GRACE = USERS
DOORS = ("imap", "pop3", "submission", "sieve", "smtp")
ALL_OPEN = dict.fromkeys(DOORS, "")


@pytest.fixture(scope="module")
def site(kafka: KafkaBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(kafka, tmp_path_factory.mktemp("site")) as site:
        yield site


def test_a_stolen_account_is_locked_out_of_everything_until_it_is_unblocked(site: Site) -> None:
    """Logins, the thief's open IMAP session and his open SMTP session; and all of it works again afterwards."""
    site.loginwatch(
        "policy", "set", f"account:{ALICE}", "--time-window", "60", "--allowed-ips", "3", "--block-time", "30"
    )
    assert site.logins(ALICE, HOME) == ALL_OPEN
    with (
        closing(Idling(site.dovecot.port, ALICE, THIEVES[0])) as reading,
        site.postfix.session(ALICE, THIEVES[0]) as sending,
    ):
        assert send(sending, "Boss@Example.com") == "", site.postfix.log()
        eventually(
            lambda: site.loginwatch("account", "show", ALICE)["messages_24h"] == 1, what="the message is counted"
        )
        for thief in THIEVES[1:]:
            assert site.dovecot.login(ALICE, address=thief) == ""
        began = monotonic()

        eventually(lambda: site.dovecot.login(ALICE, address=HOME), what="the block reaches Dovecot")
        locked_s = monotonic() - began
        eventually(reading.ended, what="the thief's session ends")
        kicked_s = monotonic() - began
        assert "BYE" in reading.farewell
        assert eventually(lambda: send(sending, ALICE)).startswith("554 5.7.1"), "the thief's session sends on"
        refused = site.logins(ALICE, HOME)
        assert all(refused.values()), refused
        assert "locked" in refused["imap"].lower()
    assert site.logins(BOB) == ALL_OPEN

    (incident,) = site.loginwatch("incidents", "list", "--account", ALICE)
    assert {network["country"] for network in incident["networks"]} == {"DE", "IT", "BR", "VN"}
    assert incident["messages_24h"] == incident["foreign_messages_24h"] == 1
    assert [sender["sender"] for sender in incident["foreign_senders"]] == ["boss@example.com"]

    site.loginwatch("account", "unblock", ALICE, "--reason", "password changed")
    for login in (site.dovecot.login, site.postfix.login):
        eventually(lambda login=login: login(ALICE) == "", what="the account is open again")
    assert site.logins(ALICE, HOME) == ALL_OPEN
    with site.postfix.session(ALICE, HOME) as sending:
        eventually(lambda: send(sending, ALICE) == "", what="Alice may send again")
    print(f"{locked_s:.2f} s after the last login the account was locked, after {kicked_s:.2f} s the session closed")


def test_a_message_through_dovecots_submission_service_is_counted(site: Site) -> None:
    """Postfix behind it sees the login by XCLIENT, with the client's address."""
    with smtplib.SMTP("127.0.0.1", site.dovecot.ports["submission"], timeout=30, source_address=(HOME, 0)) as smtp:
        smtp.login(DAVE, PASSWORD)
        assert send(smtp, DAVE) == "", site.postfix.log()
    eventually(lambda: site.loginwatch("account", "show", DAVE)["messages_24h"] == 1, what="the message is counted")
    assert f"[{HOME}], sasl_method=XCLIENT, sasl_username={DAVE}" in site.postfix.log(), site.postfix.log()


def test_a_forbidden_sender_is_refused_over_real_smtp(site: Site) -> None:
    """As soon as the policy is written, in a session that is open, with a sentence; the own address is taken."""
    with site.postfix.session(BOB) as bob:
        assert send(bob, "other@example.org") == ""
        site.loginwatch("policy", "set", f"account:{BOB}", "--match-username")
        said = eventually(lambda: send(bob, "other@example.org"), what="the policy reaches Postfix")
        assert said.startswith("554 5.7.1 <other@example.org>: Sender address rejected: You are logged in as"), said
        assert send(bob, BOB) == ""


def test_without_the_gateway_users_log_in_and_dovecot_says_so(site: Site) -> None:
    """Stopped in the middle of the day: even who is blocked, until it is started again."""
    site.stop("gateway")
    try:
        site.loginwatch("account", "block", CAROL, "--minutes", "30")
        before = site.dovecot.log().count("Policy server HTTP error")
        assert site.logins(CAROL) == ALL_OPEN
        assert site.dovecot.log().count("Policy server HTTP error") > before
    finally:
        site.start("gateway")

    site.dovecot.reload()
    eventually(lambda: site.dovecot.login(CAROL), what="the block holds")


def test_without_the_policy_service_mail_flows_and_postfix_says_so(site: Site) -> None:
    """In an open session, and in a new one."""
    with site.postfix.session(ERIN) as erin:
        assert send(erin, ERIN) == ""
        site.stop("postfix")
        try:
            with site.postfix.session(ERIN) as another, ThreadPoolExecutor(2) as both:
                assert list(both.map(lambda smtp: send(smtp, ERIN), (erin, another))) == ["", ""]
            assert "Connection refused" in site.postfix.log()
        finally:
            site.start("postfix")


def test_without_worker_and_enforcement_blocks_hold_and_what_waits_is_done_at_their_return(site: Site) -> None:
    """Who is blocked stays out, others log in, and a block that is ordered meanwhile closes a session afterwards."""
    site.loginwatch("account", "block", FRANK, "--minutes", "30", "--wait", "0")
    eventually(lambda: site.dovecot.login(FRANK), what="the block reaches Dovecot")
    with closing(Idling(site.dovecot.port, GRACE, HOME)) as reading:
        site.stop("worker", "enforcement")
        site.loginwatch("account", "block", GRACE, "--minutes", "30", "--wait", "0")
        assert site.dovecot.login(FRANK) != ""
        assert site.dovecot.login(GRACE) == ""
        assert not reading.ended()

        site.start("worker", "enforcement")
        eventually(reading.ended, 60, what="what waited is done")
    eventually(lambda: site.dovecot.login(GRACE), what="the block reaches Dovecot")
