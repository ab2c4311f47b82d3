"""The worker's: what came in and what it led to, and then the shell around the engine."""

from streams.metrics.declare import counter, gauge, histogram

LOGINS = counter(
    "loginwatch_logins",
    "Logins by outcome: counted, safe, ignored (country), off (no policy), late, failed, blocked (made while the account was "
    "blocked: somebody's door is not enforcing), familiar (made during a block from a network that stays open), "
    "cut_off (before a reset or the end of a block), replayed (applied before a crash).",
    "worker",
    labels=("outcome",),
)
CLOCK_SKEW = counter(
    "loginwatch_logins_clock_skew", "Logins dated more than 5 minutes after their arrival, judged at arrival.", "worker"
)
FORWARDED = counter(
    "loginwatch_forwarded",
    "Records that came under another key than their account, or to another partition, and were passed on; by topic.",
    "worker",
    labels=("topic",),
)
INCIDENTS = counter(
    "loginwatch_incidents",
    "Incidents opened, by rule and by the level of the scope that set the exceeded limit.",
    "worker",
    labels=("rule", "level"),
)
INCIDENT_REVISIONS = counter("loginwatch_incident_revisions", "Revisions of incidents after the first.", "worker")
BLOCKS = counter("loginwatch_blocks", "Blocks by kind: automatic, manual, lifted.", "worker", labels=("kind",))
NETWORKS_LET_GO = counter(
    "loginwatch_networks_let_go", "Networks given up because an account has more than 64.", "worker"
)
MESSAGES = counter("loginwatch_messages", "Accepted submissions counted.", "worker")
MESSAGES_REPEATED = counter(
    "loginwatch_messages_repeated",
    "Accepted submissions that were counted before, by queue id, id or offset.",
    "worker",
)
COMMANDS = counter(
    "loginwatch_commands",
    "Commands applied, by action; replayed = applied before a crash, or the topic was made anew and begins at 0 again.",
    "worker",
    labels=("action",),
)

# the shell around the engine
LAG = gauge(
    "loginwatch_worker_lag",
    "Input records not yet processed, by the broker's own end offsets.",
    "worker",
    unit="records",
    labels=("topic", "partition"),
)
RECOVERY_REMAINING = gauge(
    "loginwatch_worker_recovery_remaining",
    "Changelog records still to read before logins are judged.",
    "worker",
    unit="records",
)
RECOVERING = gauge("loginwatch_worker_recovering", "1 while accounts are read from the changelog.", "worker")
ACCOUNTS = gauge("loginwatch_worker_accounts", "Accounts in this worker's memory.", "worker", unit="accounts")
STATE_BYTES = gauge(
    "loginwatch_worker_state_bytes",
    "Bytes of their packed states, without the dictionary; estimated from a thousand of them per partition.",
    "worker",
    unit="bytes",
)
BATCH_RECORDS = histogram(
    "loginwatch_worker_batch_records",
    "Records in one batch: all that waited in the worker's partitions.",
    "worker",
    unit="records",
    buckets=(1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000),
)
BATCH_SECONDS = histogram(
    "loginwatch_worker_batch_seconds",
    "Time of one batch, from its first record to Kafka's last acknowledgement.",
    "worker",
)
DECISION_SECONDS = histogram(
    "loginwatch_decision_seconds",
    "Time from a login's arrival in Kafka to its decision; at most 10 logins of a partition and batch are timed.",
    "worker",
)
BLOCK_SECONDS = histogram(
    "loginwatch_block_seconds",
    "Time from a login's arrival in Kafka to the block it caused, acknowledged by Kafka.",
    "worker",
)
COMMITS = counter("loginwatch_worker_commits", "Commits of offsets that Kafka has accepted.", "worker")
IN_FLIGHT = gauge("loginwatch_worker_in_flight", "Batches begun and not yet acknowledged.", "worker", unit="batches")
STAGES_REPEATED = counter(
    "loginwatch_worker_stages_repeated",
    "Times records of a batch were sent again because Kafka refused them for the moment or gave no answer in time.",
    "worker",
)
BATCHES_ABANDONED = counter(
    "loginwatch_worker_batches_abandoned", "Batches given up because the group went on without this worker.", "worker"
)
TABLES_CAUGHT_UP = gauge(
    "loginwatch_worker_tables_caught_up", "1 once all policies, safe networks and domains were read.", "worker"
)
COUNTRY_RULE = gauge(
    "loginwatch_worker_country_rule", "1 with a geo database; without one no country is counted.", "worker"
)
GEO_BUILT = gauge(
    "loginwatch_worker_geo_built_timestamp_seconds",
    "When the oldest geo database in use was built, seconds since 1970; 0 = there is none.",
    "worker",
    unit="seconds",
)
