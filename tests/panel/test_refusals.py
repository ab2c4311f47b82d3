"""The core's refusals in German: every form of sentence is known."""

from collections.abc import Callable

import pytest

from streams.core.accounts import canonical_account, canonical_domain, canonical_group, parse_scope
from streams.core.addresses import parse_address, parse_network
from streams.core.book import parse_safe_network
from streams.core.policy import parse_policy
from streams.core.refusal import Refused
from streams.panel.refusals import SENTENCES, refused
from streams.panel.rights import parse_person_scope
from streams.panel.words import words_of


def policy(**fields: object) -> object:
    return parse_policy({"scope": "everyone", **fields})


@pytest.mark.parametrize(
    "refuse",
    [
        lambda: canonical_account(""),
        lambda: canonical_account("nobody"),
        lambda: canonical_account("a\x00@example.org"),
        lambda: canonical_account("a@b..c"),
        lambda: canonical_domain("%"),
        lambda: canonical_group("a//b"),
        lambda: parse_scope("nowhere"),
        lambda: parse_person_scope("nowhere"),
        lambda: parse_address("1.2.3"),
        lambda: parse_network("1.2.3/99"),
        lambda: parse_safe_network({"scope": "everyone", "network": "::/0", "description": ""}),
        lambda: policy(allowed_ips=99),
        lambda: policy(notify_sender="yes"),
        lambda: policy(mode="off"),
        lambda: policy(ignored_countries=["QQ"]),
        lambda: policy(notify=["a@b"] * 51),
        lambda: policy(notify=["nobody"]),
    ],
)
def test_a_refusal_is_said_in_german(refuse: Callable[[], object]) -> None:
    """With what was typed in it, a capital and a full stop; in English as the core says it."""
    with pytest.raises(Refused) as caught:
        refuse()
    english, german = refused(words_of("en"), caught.value), refused(words_of("de"), caught.value)

    assert german != english
    assert german.endswith(".")
    assert english.rstrip(".").lower() == str(caught.value).rstrip(".").lower()


def test_a_sentence_that_is_not_known_stays_as_it_is() -> None:
    """Better English than nothing."""
    assert refused(words_of("de"), Refused("new", "something new is wrong")) == "Something new is wrong."
    assert len(set(SENTENCES)) == len(SENTENCES)
