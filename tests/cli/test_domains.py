"""`loginwatch domain` on the embedded broker."""

import pytest

from streams.cli.store import Store
from streams.topology import DOMAINS
from tests.cli.conftest import Loginwatch


def test_a_domain_gets_a_group_and_loses_it(on_kafka: Loginwatch, store: Store) -> None:
    """The domain in its ASCII form, the group by its path; no group is a tombstone."""
    on_kafka("domain", "set", "BÜCHER.example", "--group", "reseller-a/customer-7")
    listed = on_kafka("domain", "list", "--json").json
    on_kafka("domain", "set", "bücher.example", "--no-group")

    assert listed == [{"domain": "xn--bcher-kva.example", "group": "reseller-a/customer-7"}]
    assert on_kafka("domain", "list", "--json").json == []
    assert list(store.history(DOMAINS.name))[-1].value is None


def test_the_list_can_be_that_of_a_group_and_all_below(on_kafka: Loginwatch) -> None:
    """`a` holds `a/b`, but not `ab`."""
    for domain, group in (("one.example", "a"), ("two.example", "a/b"), ("three.example", "ab")):
        on_kafka("domain", "set", domain, "--group", group)

    found = on_kafka("domain", "list", "--group", "a", "--json").json

    assert [row["domain"] for row in found] == ["one.example", "two.example"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["example.org"], "either --group PATH or --no-group"),
        (["example.org", "--group", "a", "--no-group"], "either --group PATH or --no-group"),
        (["example.org", "--group", "a//b"], "'a//b' is not a group"),
        (["exa mple.org", "--group", "a"], "'exa mple.org' is not a domain name"),
    ],
)
def test_what_is_no_domain_or_group_is_refused(loginwatch: Loginwatch, arguments: list[str], sentence: str) -> None:
    """Each refusal says what and why, with code 2."""
    answer = loginwatch("domain", "set", *arguments, env={"bootstrap_servers": "127.0.0.1:1"})

    assert answer.code == 2
    assert sentence in answer.err
