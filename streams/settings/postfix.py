"""Postfix's policy service."""

from typing import Literal

from streams.settings.declare import Group, setting


class PostfixSettings(Group):
    """Postfix's policy service."""

    postfix_listen: str = setting(
        "127.0.0.1:9105",
        "Where the policy service listens for Postfix; empty = only on postfix_socket. It knows no secret: whoever reaches it"
        " can ask, and report messages.",
    )
    postfix_socket: str = setting(
        "", "Path of a unix socket to listen on too, for instance in Postfix's queue directory."
    )
    postfix_socket_mode: str = setting(
        "0660",
        "Rights of that socket; Postfix's user must be able to write to it.",
        unit="octal",
        pattern=r"^0?[0-7]{3}$",
    )
    postfix_health_listen: str = setting("127.0.0.1:9104", "Where the policy service serves /metrics and /health.")
    postfix_deny_action: str = setting(
        "REJECT 5.7.1 Account locked because of suspicious logins. Please contact your help desk.",
        "Action for a blocked account: REJECT, DEFER, DEFER_IF_PERMIT or a code (521 also ends the connection), and a sentence"
        " that its user is shown.",
        max_length=500,
    )
    postfix_list_action: str = setting(
        "REJECT 5.7.1 Sending denied. Please contact your help desk.",
        "Action for an account or address on the black list of the gateway's weakforced-compatible door, written as"
        " postfix_deny_action is.",
        max_length=500,
    )
    postfix_count_at: Literal["end-of-data", "data"] = setting(
        "end-of-data",
        "When a message is counted: at the request of smtpd_end_of_data_restrictions (with its real size), or, where only"
        " smtpd_data_restrictions asks, at that one.",
    )
    postfix_report_logins: bool = setting(
        False,
        "Report SASL logins, once per connection. Only where nothing else does: Dovecot reports its own to the gateway.",
    )
    postfix_max_request_bytes: int = setting(
        16_384, "Longer requests are not judged; their message passes, counted.", unit="bytes", ge=2048, le=1_000_000
    )
    postfix_max_connections: int = setting(
        4096, "Connections held open at once (Postfix: one per smtpd and clause); more are closed.", ge=8, le=1_000_000
    )
    postfix_buffer: int = setting(
        100_000,
        "Messages and logins kept while Kafka is away; more are dropped, counted and shown.",
        unit="records",
        ge=100,
    )
    postfix_drain_timeout: int = setting(
        10, "Longest wait for begun requests and reports at stop.", unit="seconds", ge=1
    )
