"""Alerts: incidents, reviews and blocks for a SOC."""

from pydantic import SecretStr

from streams.settings.declare import Group, setting


class AlertSettings(Group):
    """Alerts: incidents, reviews and blocks for a SOC."""

    alerts_health_listen: str = setting("127.0.0.1:9108", "Where the alert exporter serves /metrics and /health.")
    alerts_topic: bool = setting(True, "Write the events to the topic `alerts`.")
    alerts_syslog: str = setting("", "Syslog server for the events, host:port, RFC 5424 over TLS; empty = none.")
    alerts_syslog_plaintext: bool = setting(False, "Without TLS. Everybody between can read and change the events.")
    alerts_webhooks: tuple[str, ...] = setting((), "URLs to which each event is posted, signed as other webhooks are.")
    alerts_webhook_secret: SecretStr = setting(SecretStr(""), "Secret with which these webhooks are signed.")
    alerts_ca_file: str = setting("", "CA certificates for syslog and webhooks (PEM); empty = those of the system.")
    alerts_file: str = setting("", "File to which the events are appended, a line each; empty = none.")
    alerts_file_bytes: int = setting(
        100_000_000, "The file is put aside (.1, .2, ...) when it is longer.", unit="bytes", ge=10_000
    )
    alerts_file_keep: int = setting(10, "So many files put aside are kept.", ge=1, le=1000)
    alerts_timeout: int = setting(10, "Longest wait for a syslog server or webhook.", unit="seconds", ge=1, le=120)
