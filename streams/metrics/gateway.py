"""The gateway's, some of which Postfix's door has too: it answers from the same views and reports the same way."""

from streams.metrics.declare import counter, gauge, histogram

DOOR_ANSWERS = counter(
    "loginwatch_door_answers",
    "Answers to `allow` by kind: allowed, denied, familiar (blocked, but from a network that stays open), "
    "whitelisted, blacklisted (by the gateway's lists), and open_..., let pass unjudged: open_not-ready (blocks still "
    "loading), open_bad-json and other faults of the request.",
    "gateway",
    labels=("answer",),
)
ACCESS_ENTRIES = gauge(
    "loginwatch_access_entries", "Entries of the black and white lists in memory.", "gateway", "postfix", unit="entries"
)
ACCESS_CHANGES = counter(
    "loginwatch_access_changes",
    "Changes of the lists that weakforced's clients asked for, by outcome: written, refused (the request is wrong, or the "
    "list full), failed (Kafka did not take it).",
    "gateway",
    labels=("outcome",),
)
ACCESS_UNREADABLE = counter(
    "loginwatch_access_unreadable",
    "Records of `access-lists`, and in the gateway of `safe-networks`, that could not be read, by reason.",
    "gateway",
    "postfix",
    labels=("reason",),
)
DOOR_REFUSED = counter(
    "loginwatch_door_refused",
    "Requests and connections that no command saw, by reason: unauthorized, too-large, method, unknown, slow, broken, "
    "fault, connections, stopping. Mail servers let the login or the message pass then.",
    "gateway",
    "postfix",
    labels=("reason",),
)
DOOR_SECONDS = histogram(
    "loginwatch_door_seconds",
    "Time to answer a request, without the network.",
    "gateway",
    "postfix",
    labels=("command",),
    buckets=(0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.025, 0.1, 1),
)
DOOR_CONNECTIONS = gauge("loginwatch_door_connections", "Open connections.", "gateway", "postfix", unit="connections")
REPORTS = counter(
    "loginwatch_reports",
    "Reports by outcome: login (on its way to `logins`), submission (on its way to `submissions`), policy (a login that we denied), delivered (acknowledged by Kafka), "
    "not_a_login (doveadm), unusable_failure (failed, without usable name or address), dead_letter, dropped (buffer full), "
    "lost (Kafka refused it, or not acknowledged at stop).",
    "gateway",
    "postfix",
    labels=("outcome",),
)
REPORTS_BUFFERED = gauge(
    "loginwatch_reports_buffered", "Reports not yet acknowledged by Kafka.", "gateway", "postfix", unit="reports"
)
BLOCKS_HELD = gauge(
    "loginwatch_blocks_held", "Blocks in force in this door's memory.", "gateway", "postfix", unit="blocks"
)
BLOCKS_UNREADABLE = counter(
    "loginwatch_blocks_unreadable",
    "Records of `blocks` that could not be read, by reason.",
    "gateway",
    "postfix",
    labels=("reason",),
)
VIEW_LAG = gauge(
    "loginwatch_view_lag", "Records of `blocks` not yet applied here.", "gateway", "postfix", unit="records"
)
VIEW_READY = gauge(
    "loginwatch_view_ready", "1 once all blocks were loaded; before, everybody is let pass.", "gateway", "postfix"
)
