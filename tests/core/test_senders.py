"""How a MAIL FROM is related to an account: a truth table that a mail administrator can read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.senders import LONGEST_KEPT, Sender, mismatch, related

ALICE = "alice@example.org"
NULL, OWN, DOMAIN, FOREIGN, MALFORMED = Sender


@pytest.mark.parametrize(
    ("account", "sender", "relation"),
    [
        (ALICE, "alice@example.org", OWN),
        # the null sender: bounces, receipts, absence notes
        (ALICE, "", NULL),
        (ALICE, "<>", NULL),
        # case, in the local part too
        (ALICE, "Alice@Example.ORG", OWN),
        (ALICE, "ALICE+Shop@example.org", OWN),
        # plus-addressing: the tag is the sender's affair, in one direction
        (ALICE, "alice+lists@example.org", OWN),
        (ALICE, "alice+@example.org", OWN),
        (ALICE, "alice+a+b@example.org", OWN),
        (ALICE, "alice-lists@example.org", DOMAIN),
        (ALICE, "+alice@example.org", DOMAIN),
        ("alice+lists@example.org", "alice@example.org", DOMAIN),
        ("alice+lists@example.org", "alice+lists@example.org", OWN),
        ("alice+lists@example.org", "alice+other@example.org", DOMAIN),
        # others
        (ALICE, "bob@example.org", DOMAIN),
        (ALICE, "alice@mail.example.org", FOREIGN),
        (ALICE, "alice@org", FOREIGN),
        (ALICE, "alice@example.com", FOREIGN),
        (ALICE, "alice@notexample.org", FOREIGN),
        (ALICE, "alice@example.org@example.com", FOREIGN),
        (ALICE, "alice@example.com@example.org", DOMAIN),
        # the same domain in another form
        (ALICE, "alice@example.org.", OWN),
        ("user@xn--bcher-kva.example", "user@bücher.example", OWN),
        ("user@xn--bcher-kva.example", "User@BÜCHER.example", OWN),
        ("user@xn--bcher-kva.example", "user@XN--BCHER-KVA.example", OWN),
        ("user@xn--bcher-kva.example", "other@bücher.example", DOMAIN),
        ("user@xn--bcher-kva.example", "user@bucher.example", FOREIGN),
        # the same local part in another Unicode form (composed, decomposed)
        ("j\u00fcrgen@example.org", "Ju\u0308rgen@example.org", OWN),
        ("jürgen@example.org", "jurgen@example.org", DOMAIN),
        # letters that look alike are other letters
        (ALICE, "\u0430lice@example.org", DOMAIN),
        (ALICE, "alice@ex\u0430mple.org", FOREIGN),
        # no address
        (ALICE, "alice", MALFORMED),
        (ALICE, "@example.org", MALFORMED),
        (ALICE, "alice@", MALFORMED),
        (ALICE, "@", MALFORMED),
        (ALICE, " ", MALFORMED),
        (ALICE, " alice@example.org", MALFORMED),
        (ALICE, "alice@example.org ", MALFORMED),
        (ALICE, "alice @example.org", MALFORMED),
        (ALICE, "alice@ example.org", MALFORMED),
        (ALICE, "alice@[192.0.2.1]", MALFORMED),
        (ALICE, "alice@exam ple.org", MALFORMED),
        (ALICE, "alice@example..org", MALFORMED),
        (ALICE, "alice@-example.org", MALFORMED),
        (ALICE, "ali\x00ce@example.org", MALFORMED),
        (ALICE, "alice\n@example.org", MALFORMED),
        (ALICE, "\ud800@example.org", MALFORMED),
        (ALICE, "a" * 400 + "@example.org", MALFORMED),
        (ALICE, "alice@" + "a" * 64 + ".org", MALFORMED),
        (ALICE, "alice@xn--.org", MALFORMED),
    ],
)
def test_how_a_sender_is_related_to_the_account(account, sender, relation):
    """Case, tags, domains in every form; what is no address is nobody's."""
    assert related(account, sender) is relation


@pytest.mark.parametrize(
    ("sender", "kept"),
    [
        ("", None),
        ("<>", None),
        ("Alice+Shop@Example.org", None),
        ("Bob@Example.org.", (DOMAIN, "bob@example.org")),
        ("BOSS@B\u00fccher.example", (FOREIGN, "boss@xn--bcher-kva.example")),
        ("boss@\u202eexample.com", (MALFORMED, "boss@\u202eexample.com")),
        ("x" * 400, (MALFORMED, "x" * 119 + "\u2026")),
        ("b" * 200 + "@example.com", (FOREIGN, "b" * 119 + "\u2026")),
    ],
)
def test_what_is_kept_of_a_sender_that_is_not_the_accounts_own(sender, kept):
    """An address in its canonical form, so that spellings are one; anything else as it came; never much."""
    assert mismatch(ALICE, sender) == kept


@given(sender=st.text(max_size=400) | st.text(max_size=30).map(lambda local: f"{local}@example.org"))
def test_any_sender_is_its_own_none_or_kept_within_the_bound(sender):
    """Both questions agree, whatever a client typed."""
    kept = mismatch(ALICE, sender)

    assert (kept is None) == (related(ALICE, sender) in (NULL, OWN))
    assert kept is None or (kept[0] is related(ALICE, sender) and 0 < len(kept[1]) <= LONGEST_KEPT)
