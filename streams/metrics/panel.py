"""The panel's."""

from streams.metrics.declare import counter, gauge, histogram

PANEL_REQUESTS = counter(
    "loginwatch_panel_requests",
    "Requests answered, by the page's path with its parameters' names (other = no page) and HTTP status.",
    "panel",
    labels=("page", "status"),
)
PANEL_SECONDS = histogram(
    "loginwatch_panel_request_seconds", "Time from a request to the end of its answer.", "panel", labels=("page",)
)
PANEL_SIGN_INS = counter(
    "loginwatch_panel_sign_ins",
    "Sign-ins by outcome: password, second_factor, recovery_code, single_sign_on, link (all let in), refused (wrong name, "
    "password or code), throttled (too many tries), stranger (single sign-on of somebody who is not known here).",
    "panel",
    labels=("outcome",),
)
PANEL_DECISIONS = counter(
    "loginwatch_panel_decisions",
    "Records written for people, by topic and outcome: done, failed (Kafka did not take it).",
    "panel",
    labels=("topic", "outcome"),
)
PANEL_FOLLOWER_LAG = gauge(
    "loginwatch_panel_follower_lag",
    "Records on the topics that the panel's database does not have yet.",
    "panel",
    unit="records",
)
PANEL_RECORDS = counter(
    "loginwatch_panel_records", "Records taken into the panel's database, by topic.", "panel", labels=("topic",)
)
