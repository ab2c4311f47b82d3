"""Which MAIL FROM an account may use: a truth table that a mail administrator can read."""

import pytest

from streams.connectors.sender_policy import Forbidden, forbidden, refusal
from streams.core.senders import Sender

ALICE = "alice@example.org"
NULL, OWN, DOMAIN, FOREIGN, MALFORMED = Sender


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
