"""Addresses and text from outside."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.connectors.mail_address import parse_address, plain
from streams.core.refusal import Refused


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("soc@example.org", "soc@example.org"),
        (" soc@example.org ", "soc@example.org"),
        ("Soc+x@EXAMPLE.org.", "Soc+x@example.org"),
        ("soc@bücher.example", "soc@xn--bcher-kva.example"),
        ("o'brien@example.org", "o'brien@example.org"),
        ("root@localhost", "root@localhost"),
        ("jürgen@example.org", "jürgen@example.org"),
    ],
)
def test_an_address_keeps_its_local_part_and_gets_an_ascii_domain(text: str, spec: str) -> None:
    """International domains become what every server knows."""
    assert parse_address(text).spec == spec


def test_only_a_local_part_outside_ascii_needs_smtputf8() -> None:
    """An international domain alone can go through any server."""
    assert parse_address("jürgen@example.org").needs_utf8
    assert not parse_address("soc@bücher.example").needs_utf8


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "soc",
        "soc@",
        "@example.org",
        "a b@example.org",
        "soc@exa mple.org",
        "soc@example.org\r\nBcc: thief@example.net",
        "soc\n@example.org",
        "soc@example.org\n",
        "soc\u202e@example.org",
        "so\u200bc@example.org",
        "so\u00a0c@example.org",
        "so\ud800c@example.org",
        "<soc@example.org>",
        "SOC <soc@example.org>",
        '"a b"@example.org',
        "=?utf-8?q?=0D=0ABcc:_x?=@example.org",
        "soc@[192.0.2.1]",
        "soc@exa_mple.org",
        "soc@-example.org",
        "soc@example..org",
        ".soc@example.org",
        "s..oc@example.org",
        "a@b@example.org",
        "soc,other@example.org",
        "x" * 65 + "@example.org",
        "soc@" + "x" * 64 + ".org",
        "soc@" + "x." * 130 + "org",
    ],
)
def test_what_is_no_plain_address_is_refused_with_a_sentence(text: str) -> None:
    """A refused recipient costs one mail; an accepted trick could cost a header."""
    with pytest.raises(Refused, match="is no mail address: ") as refused:
        parse_address(text)

    assert refused.value.reason == "invalid_address"
    assert "\n" not in str(refused.value)


@given(st.text(max_size=80))
def test_every_text_is_an_address_or_refused(text: str) -> None:
    """Nothing else can happen, and what is accepted has no line end, space or bracket."""
    try:
        spec = parse_address(text).spec
    except Refused:
        return

    assert not set(spec) & set('\r\n\t <>,;:"\\()[]\0')
    assert len(spec.encode()) <= 254


@given(st.text(max_size=400), st.integers(2, 300))
def test_cleaned_text_is_one_bounded_line_without_hidden_characters(text: str, most: int) -> None:
    """No field can start a line, hide a part of it or turn its direction."""
    cleaned = plain(text, most)

    assert len(cleaned) <= most
    assert not [char for char in cleaned if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"}]


def test_a_cut_text_says_that_it_is_cut() -> None:
    """An ellipsis stands for the rest."""
    assert plain("x" * 50, 10) == "x" * 9 + "…"
