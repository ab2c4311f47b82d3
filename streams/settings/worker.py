"""The worker."""

from streams.settings.declare import Group, setting


class WorkerSettings(Group):
    """The worker."""

    worker_id: str = setting(
        "", "Name of this worker within its group (static membership), unique per worker; empty = the host's name."
    )
    worker_session_timeout: int = setting(
        30, "After this time of silence Kafka gives a worker's accounts to another.", unit="seconds", ge=6, le=300
    )
    worker_poll_records: int = setting(
        40_000, "Most logins in one batch: more is faster, less is quicker to answer.", ge=1, le=100_000
    )
    worker_stall_timeout: int = setting(
        60, "The watchdog ends a worker whose processing or commits stand still for this long.", unit="seconds", ge=5
    )
    worker_health_listen: str = setting("127.0.0.1:9101", "Where the worker serves /metrics and /health.")
