"""What processes of every kind have."""

from streams.metrics.declare import counter, gauge

KAFKA_UP = gauge(
    "loginwatch_kafka_up",
    "1 while Kafka answers this process.",
    "worker",
    "gateway",
    "postfix",
    "mailer",
    "enforcement",
    "alerts",
    "logs",
    "panel",
)
DEAD_LETTERS = counter(
    "loginwatch_dead_letters",
    "Records from outside that could not be used, by reason.",
    "worker",
    "gateway",
    "postfix",
    "mailer",
    "enforcement",
    "panel",
    "alerts",
    labels=("reason",),
)
