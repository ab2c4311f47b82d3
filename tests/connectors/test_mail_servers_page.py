"""docs/mail-servers.md: its snippets are what the tests run, its names exist."""

import re

from streams.settings import Settings
from tests.connectors.dovecot import DOVEADM, PAGE, snippet
from tests.connectors.postfix_server import RESTRICTIONS

TEXT = PAGE.read_text()


def settings_of(text: str) -> dict[str, str]:
    return dict(line.split(" = ", 1) for line in text.splitlines() if " = " in line)


def test_the_postfix_snippet_is_the_one_that_is_run():
    """With the default address in place of the test's."""
    listen = Settings().postfix_listen

    assert snippet("in master.cf").strip() == RESTRICTIONS.format(policy=f"inet:{listen}").strip()


def test_the_doveadm_snippet_is_the_one_that_is_run():
    """With other words for key and port."""
    assert snippet("both versions").strip() == DOVEADM.format(key="SECRET", port=8080).strip()


def test_both_dovecots_are_given_the_same():
    """What 2.4 spells as 2.3 does has the same value, and the timeout is the same."""
    old, new = settings_of(snippet("Dovecot 2.3")), settings_of(snippet("Dovecot 2.4"))

    assert old.pop("auth_policy_server_timeout_msecs") + "ms" == new.pop("  http_client_request_absolute_timeout")
    assert old == new
    assert Settings().gateway_listen in old["auth_policy_server_url"]


def test_every_setting_that_is_named_exists():
    """Words in backticks that begin as ours do are settings of ours."""
    named = set(re.findall(r"`((?:gateway|postfix|enforcement|log)_[a-z_]+)`", TEXT))

    assert len(named) > 15
    assert named <= Settings.model_fields.keys()
