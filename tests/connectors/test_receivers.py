"""Which receivers a setting names, and that none of their secrets shows."""

import pytest

from streams.connectors.receivers import receivers_of
from streams.errors import ConfigurationError

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    "url", ["https://hooks.example.org/x", "http://127.0.0.1:8080", "http://[::1]:1/", "http://localhost:1"]
)
def test_https_anywhere_and_plain_http_on_this_machine_are_taken(url: str) -> None:
    """Nobody else is between."""
    (receiver,) = receivers_of([url, url], "enforcement_webhooks", allow_plaintext=False)
    assert str(receiver.url).rstrip("/") == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "", "hooks.example.org", "ftp://hooks.example.org", "https://", "https:///x", "http://[::1", "https://h:port/",
        "http://hooks.example.org/", "http://127.0.0.1.example.org/", "file:///etc/passwd", f"ftp://user:{SECRET}@h/{SECRET}",
    ],
)  # fmt: skip
def test_anything_else_is_refused_with_the_setting_and_without_its_secrets(url: str) -> None:
    """Plain HTTP to another machine shows the key to everybody between."""
    with pytest.raises(ConfigurationError, match="enforcement_webhooks") as refusal:
        receivers_of([url], "enforcement_webhooks", allow_plaintext=False)
    assert SECRET not in str(refusal.value)


def test_plain_http_is_a_decision_of_its_own() -> None:
    """For a network that nobody else can read."""
    (receiver,) = receivers_of(["http://mail1.example.org:8080"], "enforcement_doveadm_urls", allow_plaintext=True)
    assert receiver.name.startswith("mail1.example.org-")


def test_a_name_tells_receivers_apart_and_shows_no_secret() -> None:
    """It stands in logs, metrics and consumer groups."""
    urls = [f"https://user:{SECRET}@hooks.example.org/{SECRET}?{SECRET}", "https://hooks.example.org/"]
    names = [one.name for one in receivers_of(urls, "enforcement_webhooks", allow_plaintext=False)]

    assert len(set(names)) == 2
    assert all(name.startswith("hooks.example.org-") and SECRET not in name for name in names)


def test_receivers_are_bounded() -> None:
    """Each has a connection to Kafka of its own."""
    with pytest.raises(ConfigurationError, match="too many"):
        receivers_of([f"https://h{number}/" for number in range(101)], "enforcement_webhooks", allow_plaintext=False)
