"""Account names and scopes: one canonical form for each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.accounts import canonical_account, parse_scope
from streams.core.refusal import Refused


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("user@example.org", "user@example.org"),
        ("  User@Example.ORG.  ", "user@example.org"),
        ("a@b@example.org", "a@b@example.org"),
        ("user+tag@example.org", "user+tag@example.org"),
        ("user@bücher.example", "user@xn--bcher-kva.example"),
        ("user@XN--BCHER-KVA.example", "user@xn--bcher-kva.example"),
        ("user@faß.example", "user@xn--fa-hia.example"),
        ("Jo\u0308rg@example.org", "jörg@example.org"),
        ("user@example。org", "user@example.org"),
        ("user@example.org。", "user@example.org"),
        ("user@example.org\uff0e", "user@example.org"),
        ("user", "user@default.example"),
    ],
)
def test_a_name_has_one_canonical_form(name: str, canonical: str) -> None:
    """Split at the last @, NFC and lower case, the domain in ASCII by IDNA 2008 (non-transitional)."""
    assert canonical_account(name, "default.example") == canonical


@pytest.mark.parametrize(
    "name",
    [
        "",
        "   ",
        "@example.org",
        " @example.org",
        "user@",
        "user@exa mple.org",
        "user@-x.org",
        "user@ex..org",
        "user@example.org..",
        "user@example.org.。",
        "user@.",
        "user@" + "a" * 64 + ".org",
        "u" * 400 + "@example.org",
        "us\x00er@example.org",
        "us\ner@example.org",
        "us\u2028er@example.org",
        "us\u202eer@example.org",
        "\ud800@example.org",
        "user@[192.0.2.1]",
    ],
)
def test_a_name_that_cannot_be_an_account_is_refused(name: str) -> None:
    """With a sentence that shows the name, cut short."""
    with pytest.raises(Refused) as refused:
        canonical_account(name, "")

    assert refused.value.reason in {"bad-account", "bad-domain"}
    assert len(str(refused.value)) < 400


def test_a_name_without_a_domain_needs_the_setting() -> None:
    """Without a default domain it is refused, and the sentence names the setting."""
    with pytest.raises(Refused, match="default_domain"):
        canonical_account("user", "")


@given(
    st.text(max_size=40),
    st.sampled_from(["", "example.org", "bücher.example"]) | st.text("aü.。\uff0e\uff61-", min_size=1, max_size=6),
)
def test_the_canonical_form_of_a_canonical_name_is_itself(local: str, domain: str) -> None:
    """Else one account would have two keys."""
    try:
        once = canonical_account(f"{local}@{domain}" if domain else local, "example.org")
    except Refused:
        return

    assert canonical_account(once, "other.example") == once


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("everyone", "everyone"),
        (" Everyone ", "everyone"),
        ("group:Reseller-A/customer-7", "group:Reseller-A/customer-7"),
        ("DOMAIN:Example.org.", "domain:example.org"),
        ("account:User@Example.org", "account:user@example.org"),
    ],
)
def test_a_scope_has_one_canonical_form(text: str, canonical: str) -> None:
    """Accounts and domains as above; the case of groups counts."""
    assert parse_scope(text) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        "all",
        "everyone:x",
        "group:",
        "group:/a",
        "group:a//b",
        "group:a/ b",
        "domain:",
        "domain:a b",
        "account:@x.org",
        "user:x",
        "group:a\nb",
    ],
)
def test_a_scope_that_is_none_is_refused(text: str) -> None:
    """The sentence names the four forms, or the part that is wrong."""
    with pytest.raises(Refused):
        parse_scope(text)
