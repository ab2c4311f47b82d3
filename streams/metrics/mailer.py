"""The mailer's."""

from streams.metrics.declare import counter, gauge, histogram

NOTIFICATIONS_READ = counter("loginwatch_notifications_read", "Notifications read from their topic.", "mailer")
MAILS = counter(
    "loginwatch_mails",
    "Mails by outcome: sent, retried (refused for now), refused (for good, dead letter), given_up (refused for mail_retry_hours, "
    "dead letter), invalid (no mail address, dead letter), rate_limited (had to wait for the recipient's hourly rate), "
    "surplus (too many wait for this recipient, or for their hour in all, dead letter), repeated (sent before, not sent again).",
    "mailer",
    labels=("outcome",),
)
MAILS_PENDING = gauge("loginwatch_mails_pending", "Mails in hand that are not sent yet.", "mailer")
MAIL_OLDEST_PENDING = gauge(
    "loginwatch_mail_oldest_pending_seconds",
    "Age of the oldest notification with a mail that is not sent yet; 0 = none.",
    "mailer",
)
MAIL_DELAY = histogram(
    "loginwatch_mail_delay_seconds", "Time from a notification to its mail being taken by the server.", "mailer"
)
SMTP_UP = gauge(
    "loginwatch_smtp_up", "Whether the mail server took or judged the last mail tried (1) or is failing (0).", "mailer"
)
