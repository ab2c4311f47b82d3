"""The log reader's."""

from streams.metrics.declare import counter, gauge

LOG_LINES = counter("loginwatch_log_lines", "Lines read, whatever they say.", "logs", unit="lines")
LOG_RECORDS = counter(
    "loginwatch_log_records",
    "Records acknowledged by Kafka, by kind: login, failed_login, submission.",
    "logs",
    labels=("kind",),
)
LOG_UNREADABLE = counter(
    "loginwatch_log_unreadable",
    "Lines that look like logins and cannot be used, by reason: bad-form, ambiguous, no-user, unknown-frame, bad-time, too-long, "
    "bad-account, bad-domain, bad-address, other-program (a tag that log_programs does not name) and those of records. One a minute "
    "is logged, but none of other programs.",
    "logs",
    labels=("reason",),
)
LOG_BEHIND = gauge("loginwatch_log_behind_bytes", "Bytes of the logs not read yet.", "logs", unit="bytes")
LOG_WAITING = gauge(
    "loginwatch_log_waiting", "Messages that Postfix began to take and has not queued yet.", "logs", unit="messages"
)
LOG_LET_GO = counter(
    "loginwatch_log_messages_let_go",
    "Messages that were begun and not queued within an hour, or too many at once.",
    "logs",
)
LOG_ROTATIONS = counter("loginwatch_log_rotations", "Rotations and truncations of logs seen.", "logs")
