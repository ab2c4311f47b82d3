"""What Postfix's door has of its own."""

from streams.metrics.declare import counter, gauge

POLICY_ANSWERS = counter(
    "loginwatch_postfix_answers",
    "Answers to Postfix by kind: anonymous (nobody is logged in), allowed, denied, familiar (blocked, but from a network that "
    "stays open), blacklisted, whitelisted, sender (refused by the sender policy), and open_..., let pass unjudged: open_not-ready (blocks still "
    "loading), open_bad-account and other faults of the request, open_fault (ours).",
    "postfix",
    labels=("answer",),
)
SENDERS_REFUSED = counter(
    "loginwatch_senders_refused",
    "Requests refused by the sender policy, by the demand that was broken: match_username, match_domain.",
    "postfix",
    labels=("demand",),
)
SENDERS_SEEN = counter(
    "loginwatch_senders",
    "Accepted messages by how MAIL FROM is related to the account: own, null, domain (another address of it), foreign, malformed.",
    "postfix",
    labels=("relation",),
)
RULES_READY = gauge(
    "loginwatch_rules_ready", "1 once all policies and domains were loaded; before, any sender may be used.", "postfix"
)
RULES_UNREADABLE = counter(
    "loginwatch_rules_unreadable",
    "Records of `policies` and `domains` that could not be used, by reason.",
    "postfix",
    labels=("reason",),
)
