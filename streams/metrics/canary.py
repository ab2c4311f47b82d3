"""The canary's."""

from streams.metrics.declare import counter, gauge, histogram

CANARY_ROUNDS = counter(
    "loginwatch_canary_rounds",
    "Rounds of the canary by outcome: ok, or why it was not: not_arrived (its logins did not reach the worker), not_blocked, "
    "not_refused (blocked, and the door lets it in), not_lifted (refused after the reset, or before the first login), no_worker, "
    "door_away, door_refused (our secret), door_fault, kafka, registry, clock (the gateway's is behind Kafka's), and what is "
    "wrong with the canary itself: policy, not_ours (a real account), busy (another canary), fault.",
    "canary",
    labels=("outcome",),
)
CANARY_LOGINS = counter("loginwatch_canary_logins", "Logins that the canary reported at the gateway.", "canary")
CANARY_BLOCK_SECONDS = histogram(
    "loginwatch_canary_block_seconds", "Time from the canary's last login to its block on the topic `blocks`.", "canary"
)
CANARY_REFUSAL_SECONDS = histogram(
    "loginwatch_canary_refusal_seconds", "Time from the canary's last login to the door refusing it.", "canary"
)
CANARY_REOPENING_SECONDS = histogram(
    "loginwatch_canary_reopening_seconds", "Time from the canary's reset to the door letting it in again.", "canary"
)
CANARY_LAST_OK = gauge(
    "loginwatch_canary_last_ok_timestamp_seconds",
    "When the last round of the canary went well, seconds since 1970; 0 = none since its start.",
    "canary",
    unit="seconds",
)
CANARY_INTERVAL = gauge(
    "loginwatch_canary_interval_seconds", "Seconds between two rounds, as set.", "canary", unit="seconds"
)
