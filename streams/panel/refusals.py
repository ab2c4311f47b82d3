"""
The core's refusals in the reader's language.

The core speaks English and knows no reader; here is every form of sentence that it refuses typed values with.
`tests/panel/test_refusals.py` refuses many values and fails for a sentence that fits none.
"""

from streams.core.refusal import Refused
from streams.panel.words import N_, Words

SENTENCES = (
    N_("%(name)s is no account name (empty, or over %(most)s characters)"),
    N_("account %(name)s has no domain, and the setting default_domain is empty"),
    N_("account %(name)s has an empty local part, or one with control characters"),
    N_("account %(name)s: %(domain)s is not a domain name: %(why)s"),
    N_("%(domain)s is not a domain name: %(why)s"),
    N_("%(group)s is not a group: write levels with single slashes, for instance a/b"),
    N_("%(scope)s is no scope of a person: use everything, group:a/b or domain:example.org"),
    N_("%(scope)s is no scope: use everyone, group:a/b, domain:example.org or account:user@example.org"),
    N_("%(address)s is not an IP address (without brackets, zone or port)"),
    N_("%(network)s is not a network (for instance 192.0.2.0/24 or 2001:db8::/48)"),
    N_("a safe network needs a description (1 to %(most)s characters)"),
    N_("%(field)s is %(value)s, but must be a whole number from %(least)s to %(most)s"),
    N_("%(field)s is %(value)s, but must be true or false"),
    N_("mode is %(value)s, but must be enforce or observe"),
    N_("%(code)s is not an ISO 3166 country code of two letters"),
    N_("notify must be a list of at most %(most)s e-mail addresses"),
    N_("notify: %(address)s is not an e-mail address"),
    N_("the expiry is over already"),
    N_("verdict must be one of %(verdicts)s"),
    N_("the text is too long: at most %(most)s characters"),
)


def refused(words: Words, refusal: Refused) -> str:
    """The refusal's sentence in the reader's language, with a capital and a full stop."""
    text = words.sentence(str(refusal), SENTENCES)
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")
