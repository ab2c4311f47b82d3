"""The log reader."""

from streams.settings.declare import Group, setting


class LogSettings(Group):
    """The log reader."""

    log_files: tuple[str, ...] = setting(
        (),
        "Mail logs to follow (Dovecot's, Postfix's, or both in one); - is standard input, also journalctl -o json -f.",
    )
    log_position_file: str = setting(
        "/var/lib/loginwatch/logs.json", "Where the log reader keeps how far it has read; one file for each reader."
    )
    log_from_beginning: bool = setting(
        False, "Read a log that is in no position file yet from its beginning instead of its end."
    )
    log_timezone: str = setting(
        "", "Zone of log times that have none, for instance Europe/Berlin; empty = this machine's."
    )
    log_programs: tuple[str, ...] = setting(
        ("dovecot", "postfix"), "Beginnings of the syslog tags whose lines are read (instance_name, syslog_name)."
    )
    log_failed_logins: bool = setting(True, "Also send failed logins that name somebody; they are never counted.")
    logs_health_listen: str = setting("127.0.0.1:9107", "Where the log reader serves /metrics and /health.")
