"""docs/mail-servers.md: its snippets are what the tests run, its names exist."""

import re
from pathlib import Path

from streams.cli.health import LISTENS
from streams.settings import Settings
from tests.connectors.dovecot import GATEWAY_URL, PAGE, RELEASES, snippet
from tests.connectors.postfix_server import POLICY

TEXT = PAGE.read_text()
ASKED = re.compile(r'snippet\(f?"(.+?)"\)')


def settings_of(text: str) -> dict[str, str]:
    return dict(line.split(" = ", 1) for line in text.splitlines() if " = " in line)


def test_the_snippets_have_the_default_addresses():
    """The tests run them with their own addresses in place of these."""
    assert f"http://{Settings().gateway_listen}/" == GATEWAY_URL
    assert f"inet:{Settings().postfix_listen}" == POLICY
    assert snippet("in master.cf").count(POLICY) == 2
    assert all(GATEWAY_URL in snippet(f"95-loginwatch.conf, {release.name}") for release in RELEASES)


def test_doveadm_listens_where_no_process_of_ours_does():
    """On one machine with the panel, whichever of the two started later would not have had its port."""
    ours = {getattr(Settings(), setting).rpartition(":")[2] for setting in (*LISTENS.values(), "postfix_listen")}

    for release in RELEASES:
        assert settings_of(snippet(f"96-loginwatch.conf, {release.name}"))["    port"] not in ours


def test_no_snippet_is_left_out():
    """Each one in the page is asked for by the first line, in what starts the servers or in a test of its own."""
    others = [path for path in Path(__file__).parent.glob("*.py") if path.name != Path(__file__).name]
    asked = [title for path in others for title in ASKED.findall(path.read_text())]
    titles = {title.replace("{release.name}", release.name) for title in asked for release in RELEASES}
    first_lines = [block.partition("\n")[0] for block in TEXT.split("```\n")[1::2]]

    assert len(first_lines) == 8
    assert [line for line in first_lines if not line.endswith(tuple(titles))] == []


def test_both_dovecots_are_given_the_same():
    """What 2.4 spells as 2.3 does has the same value, and the timeout is the same."""
    old, new = (settings_of(snippet(f"95-loginwatch.conf, {release.name}")) for release in RELEASES)

    assert old.pop("auth_policy_server_timeout_msecs") + "ms" == new.pop("  http_client_request_absolute_timeout")
    assert old == new


def test_every_setting_that_is_named_exists():
    """Words in backticks that begin as ours do are settings of ours."""
    named = set(re.findall(r"`((?:gateway|postfix|enforcement|log)_[a-z_]+)`", TEXT))

    assert len(named) > 15
    assert named <= Settings.model_fields.keys()
