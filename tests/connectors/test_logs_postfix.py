"""The log reader on the log of a real Postfix."""

import pytest

from streams.bus.embedded import EmbeddedBroker
from tests.connectors.doors import now_ms, read_all
from tests.connectors.postfix_server import running_postfix, send
from tests.connectors.test_logs import reading, sent, settings_of
from tests.eventually import eventually
from tests.ports import free_port

pytestmark = pytest.mark.mail_servers


def test_a_message_through_a_real_postfix_is_read_from_its_log(embedded: EmbeddedBroker) -> None:
    """A login and a message with its sender, recipients and size, joined from the lines of two programs."""
    before = now_ms()
    with running_postfix(f"inet:127.0.0.1:{free_port()}") as postfix:
        settings = settings_of(embedded, postfix.folder / "mail.log")
        with reading(settings) as reader, postfix.session(address="127.0.0.7") as alice:
            assert send(alice, recipients=("x@example.com", "y@example.com")) == "", postfix.log()
            eventually(lambda: sent(reader, "submission") == 1, 60, what=postfix.log())

    [(_, login)] = read_all(embedded.settings, "logins")
    [(key, message)] = read_all(embedded.settings, "submissions")
    assert (login["account"], login["ip"], login["service"]) == ("alice@example.org", "127.0.0.7", "smtp")
    assert key == b"alice@example.org"
    assert (message["sender"], message["recipients"], message["accepted"]) == ("alice@example.org", 2, True)
    assert message["ip"] == "127.0.0.7"
    assert message["size"] > 0
    assert before - 1000 <= message["time"] <= now_ms()
