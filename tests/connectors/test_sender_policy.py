"""Which MAIL FROM an account may use: truth tables that a mail administrator can read."""

import pytest

from streams.connectors.sender_policy import Forbidden, Sender, forbidden, refusal, related

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
    ("sender", "username", "domain", "both"),
    [
        (NULL, None, None, None),
        (OWN, None, None, None),
        (DOMAIN, Forbidden.USERNAME, None, Forbidden.USERNAME),
        (FOREIGN, Forbidden.USERNAME, Forbidden.DOMAIN, Forbidden.USERNAME),
        (MALFORMED, Forbidden.USERNAME, Forbidden.DOMAIN, Forbidden.USERNAME),
    ],
)
def test_what_each_demand_forbids(sender, username, domain, both):
    """Nothing where nothing is demanded; the null sender never."""
    assert forbidden(sender, match_username=False, match_domain=False) is None
    assert forbidden(sender, match_username=True, match_domain=False) is username
    assert forbidden(sender, match_username=False, match_domain=True) is domain
    assert forbidden(sender, match_username=True, match_domain=True) is both


def test_the_refusal_says_what_is_allowed():
    """A sentence for the person who sends."""
    assert refusal(ALICE, Forbidden.USERNAME) == (
        "REJECT 5.7.1 You are logged in as alice@example.org and may only send from alice@example.org"
    )
    assert refusal(ALICE, Forbidden.DOMAIN).endswith("may only send from addresses at example.org")
