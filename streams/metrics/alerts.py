"""The alert exporter's, and what it sees of reviews."""

from streams.metrics.declare import counter, gauge

ALERTS_SENT = counter(
    "loginwatch_alerts",
    "Events for a SOC by outlet (topic, file, syslog, webhook-...) and outcome: delivered, retried, refused (for good, dead letter), "
    "canary (of the canary's account, passed over).",
    "alerts",
    labels=("outlet", "outcome"),
)
ALERTS_LAG = gauge(
    "loginwatch_alerts_lag",
    "Records of incidents, reviews and blocks that an outlet was not told yet.",
    "alerts",
    unit="records",
    labels=("outlet",),
)
ALERTS_UP = gauge(
    "loginwatch_alerts_up",
    "Whether an outlet took the last event (1) or cannot be used (0).",
    "alerts",
    labels=("outlet",),
)
REVIEWED = counter(
    "loginwatch_reviews",
    "Reviews of incidents by verdict: compromised, third_party, travelling, mobile, other.",
    "alerts",
    labels=("verdict",),
)
