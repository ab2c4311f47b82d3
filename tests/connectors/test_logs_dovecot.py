"""The log reader on the logs of real Dovecots."""

import pytest

from streams.bus.embedded import EmbeddedBroker
from tests.connectors.doors import now_ms, read_all
from tests.connectors.dovecot import RELEASES, Release, running_dovecot
from tests.connectors.test_logs import reading, sent, settings_of
from tests.eventually import eventually

pytestmark = pytest.mark.mail_servers
SERVICES = {"imap": "imap", "pop3": "pop3", "submission": "smtp", "sieve": "sieve"}


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)
def test_logins_at_a_real_dovecot_are_read_from_its_log(embedded: EmbeddedBroker, release: Release) -> None:
    """Good and bad passwords, with address, protocol, session and the time of now, although the log says no year and no zone."""
    before = now_ms()
    with (
        running_dovecot(None, release=release) as dovecot,
        reading(settings_of(embedded, dovecot.log_file)) as reader,
    ):
        for service in SERVICES:
            assert dovecot.login("Alice@example.org", address="127.0.0.7", service=service) == "", dovecot.log()
            assert dovecot.login("bob@example.org", "wrong", address="127.0.0.8", service=service) != ""
        eventually(lambda: sent(reader) == 4 and sent(reader, "failed_login") == 8, what=dovecot.log())

    found = [value for _, value in read_all(embedded.settings, "logins")]
    good = [login for login in found if login["success"]]
    assert {login["service"] for login in good} == set(SERVICES.values())
    assert {(login["account"], login["ip"]) for login in good} == {("alice@example.org", "127.0.0.7")}
    assert all(before - 1000 <= login["time"] <= now_ms() and len(login["session"]) > 10 for login in good)
    failures = {(login["account"], login["ip"], login["failure"]) for login in found if not login["success"]}
    assert failures == {
        ("bob@example.org", "127.0.0.8", "credentials"),
        ("bob@example.org", "127.0.0.8", "auth failed"),
    }
