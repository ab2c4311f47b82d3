"""The log reader on the log of a real Dovecot."""

import tempfile
from pathlib import Path

import pytest

from streams.bus.embedded import EmbeddedBroker
from tests.connectors.doors import now_ms, read_all
from tests.connectors.dovecot import Dovecot, free_port, require_dovecot
from tests.connectors.test_logs import reading, sent, settings_of
from tests.eventually import eventually

pytestmark = pytest.mark.mail_servers


def test_logins_at_a_real_dovecot_are_read_from_its_log(embedded: EmbeddedBroker) -> None:
    """Good and bad passwords, with address, protocol, session and the time of now, although the log says no year and no zone."""
    require_dovecot()
    before = now_ms()
    # not tmp_path, whose name is too long for Dovecot's sockets
    with tempfile.TemporaryDirectory(prefix="dovecot-") as name:
        folder = Path(name)
        settings = settings_of(embedded, folder / "dovecot.log")
        with Dovecot(folder, f"http://127.0.0.1:{free_port()}/", "key") as dovecot, reading(settings) as reader:
            assert dovecot.login("Alice@example.org", address="127.0.0.7") == "", dovecot.log()
            assert "AUTHENTICATIONFAILED" in dovecot.login("bob@example.org", "wrong", address="127.0.0.8")
            eventually(lambda: sent(reader) >= 1 and sent(reader, "failed_login") >= 2, what=dovecot.log())

    found = [value for _, value in read_all(embedded.settings, "logins")]
    [alice] = [login for login in found if login["success"]]
    assert (alice["account"], alice["ip"], alice["service"]) == ("alice@example.org", "127.0.0.7", "imap")
    assert before - 1000 <= alice["time"] <= now_ms()
    assert len(alice["session"]) > 10
    failures = {(login["account"], login["ip"], login["failure"]) for login in found if not login["success"]}
    assert failures == {
        ("bob@example.org", "127.0.0.8", "credentials"),
        ("bob@example.org", "127.0.0.8", "auth failed"),
    }
