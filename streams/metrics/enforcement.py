"""Of enforcement: kicks, auth caches, webhooks."""

from streams.metrics.declare import counter, gauge, histogram

KICKS = counter(
    "loginwatch_kicks",
    "Kicks of one account at one Dovecot by outcome: closed (sessions were open), none (there were none), spared (all were in "
    "networks that stay open), retried, lifted or over (the block ended before), repeated (done before), refused (the name "
    "cannot be a mask, dead letter), given_up (dead letter). Each block is kicked twice.",
    "enforcement",
    labels=("outcome",),
)
AUTH_CACHE_FLUSHES = counter(
    "loginwatch_auth_cache_flushes",
    "Auth caches emptied for an account by outcome: flushed, failed, skipped (switched off, or this Dovecot cannot).",
    "enforcement",
    labels=("outcome",),
)
WEBHOOKS = counter(
    "loginwatch_webhooks",
    "Webhooks by outcome: delivered, retried, repeated (delivered before), over (ended before this receiver was there), refused "
    "(for good, dead letter), given_up (dead letter).",
    "enforcement",
    labels=("outcome",),
)
ENFORCEMENT_PENDING = gauge(
    "loginwatch_enforcement_pending",
    "Orders in hand that are not carried out yet.",
    "enforcement",
    labels=("receiver",),
)
ENFORCEMENT_OLDEST_PENDING = gauge(
    "loginwatch_enforcement_oldest_pending_seconds",
    "Age of the oldest block that a receiver is still to be told; 0 = none.",
    "enforcement",
    labels=("receiver",),
)
ENFORCEMENT_DELAY = histogram(
    "loginwatch_enforcement_delay_seconds",
    "Time from a block being written to its first kick or its webhook having worked.",
    "enforcement",
    labels=("kind",),
)
RECEIVER_UP = gauge(
    "loginwatch_enforcement_up",
    "Whether a backend or webhook carried out or judged the last order (1) or cannot be used (0).",
    "enforcement",
    labels=("receiver",),
)
