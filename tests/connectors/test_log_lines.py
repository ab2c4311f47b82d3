"""What lines of Dovecot and Postfix say, and that whoever fails to log in cannot make them say something else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.connectors.log_lines import (
    ClientLine,
    LoginLine,
    QueuedLine,
    looks_like_login,
    masked,
    parse_message,
    worth_reading,
)
from streams.core.refusal import Refused

END = "method=PLAIN, rip=203.0.113.62, lip=192.0.2.25, TLS, session=<abc>"
FAILED = "imap-login: Disconnected: Connection closed (auth failed, 1 attempts in 2 secs): user=<"


@pytest.mark.parametrize(
    "elements",
    [
        "method=PLAIN, rip=203.0.113.62, lip=192.0.2.25, mpid=1, TLS, session=<abc>",
        "method=PLAIN, rip=203.0.113.62, lip=192.0.2.25, mpid=1, secured, session=<abc>",
        "rip=203.0.113.62, session=<abc>",
        "session=<abc>, rip=203.0.113.62",
        "method=PLAIN, rip=203.0.113.62, rport=4711, cipher=<TLS x>, lip=192.0.2.25, session=<abc>, x=",
    ],
)
@pytest.mark.parametrize("verb", ["Login", "Logged in", "Info: Login"])
def test_a_login_is_read_whatever_the_order_of_its_elements(elements: str, verb: str) -> None:
    """login_log_format_elements are the administrator's to choose, as long as rip is among them."""
    said = parse_message(f"imap-login: {verb}: user=<a@example.org>, {elements}")

    assert said == LoginLine("a@example.org", "203.0.113.62", success=True, service="imap", session="abc")


@pytest.mark.parametrize("name", ["a<b>c@x.org", '"a b"@x.org', "a, b@x.org", "a>b", "<", ">", "a@x.org>", "<a@x.org>"])
def test_a_name_with_odd_characters_is_read_whole(name: str) -> None:
    """Quotes, commas, angle brackets."""
    said = parse_message(f"{FAILED}{name}>, {END}")

    assert said == LoginLine(name, "203.0.113.62", success=False, service="imap", session="abc", failure="auth failed")


@pytest.mark.parametrize(
    "typed",
    [
        "alice@example.org>, method=PLAIN, rip=192.0.2.1, lip=192.0.2.25, session=<x",
        "alice@example.org>, rip=192.0.2.1, session=<x",
        "alice@example.org>, session=<x",
        "a>, method=PLAIN, rip=192.0.2.1>, x",
        "alice@example.org>, rip=192.0.2.1, x=<y",
    ],
)
def test_a_typed_name_cannot_move_a_failure_to_another_address(typed: str) -> None:
    """What could be read in two ways is refused."""
    with pytest.raises(Refused):
        parse_message(f"{FAILED}{typed}>, {END}")


@given(st.text(alphabet=st.sampled_from("ab@.<>,= ") | st.characters(codec="ascii", exclude_characters="\n")))
def test_whatever_is_typed_the_address_is_the_real_one(typed: str) -> None:
    """And the name is the one that was typed, or the line is refused."""
    try:
        said = parse_message(f"{FAILED}{typed}>, {END}")
    except Refused:
        return
    assert isinstance(said, LoginLine)
    assert (said.address, said.success) == ("203.0.113.62", False)
    assert said.name == typed or typed.startswith(f"{said.name}>, ")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("imap-login: Login: user=<>, method=PLAIN, rip=192.0.2.1, lip=192.0.2.25", "no-user"),
        ("imap-login: Login: who knows", "bad-form"),
        ("imap-login: Logged in: user=<a@example.org", "bad-form"),
        ("imap-login: Login: user=<a@example.org>, method=PLAIN", "ambiguous"),
        ("imap-login: Login: user=<a@example.org>, rip=192.0.2.1, rip=192.0.2.2", "ambiguous"),
        ("4E88A23020F: client=unknown, sasl_method=PLAIN, sasl_username=a@example.org", "bad-form"),
        ("4E88A23020F: client=unknown[192.0.2.1], sasl_method=PLAIN, sasl_username=", "no-user"),
        (
            "warning: unknown[192.0.2.1]: SASL PLAIN authentication failed: x, sasl_username=b, sasl_username=a@x.org",
            "ambiguous",
        ),
    ],
)
def test_what_looks_like_a_login_and_cannot_be_read_is_refused(message: str, reason: str) -> None:
    """The reason is counted."""
    with pytest.raises(Refused) as refused:
        parse_message(message)

    assert refused.value.reason == reason


def test_a_failure_without_a_name_is_known_as_one() -> None:
    """It is neither sent nor unreadable."""
    postfix = "warning: unknown[192.0.2.1]: SASL LOGIN authentication failed: UGFzc3dvcmQ6"

    assert parse_message(f"{FAILED}>, {END}").name == ""
    assert parse_message(postfix) == LoginLine("", "192.0.2.1", success=False, service="smtp", failure="auth failed")
    assert parse_message(postfix + ", sasl_username=(unavailable)").name == ""


def test_the_name_of_a_failure_in_postfix_stands_at_the_right_end() -> None:
    """Before it comes what the door told the client, with commas and whatever else."""
    said = parse_message(
        "warning: unknown[203.0.113.50]: SASL PLAIN authentication failed: Locked, ask sasl_username=x: now, sasl_username=a@x.org"
    )

    assert (said.name, said.address) == ("a@x.org", "203.0.113.50")


def test_the_name_of_a_message_is_not_what_its_client_says_of_the_sender() -> None:
    """sasl_sender comes from AUTH= of MAIL FROM."""
    said = parse_message(
        "5404623020E: client=localhost[203.0.113.64]:4711, sasl_method=XCLIENT, sasl_username=alice@example.org,"
        " sasl_sender=x, sasl_username=bob@example.org, orig_queue_id=1, orig_client=x[192.0.2.1]"
    )

    assert said == ClientLine("5404623020E", "alice@example.org", "203.0.113.64")


def test_a_sender_may_look_like_the_end_of_its_line() -> None:
    """The real end is the last one."""
    said = parse_message(
        '4E88A23020F: from=<"a>, size=1, nrcpt=9 (queue active)"@x.org>, size=311, nrcpt=2 (queue active)'
    )

    assert said == QueuedLine("4E88A23020F", '"a>, size=1, nrcpt=9 (queue active)"@x.org', 311, 2)


def test_no_words_of_a_failure_are_kept() -> None:
    """Dovecot can be told to log passwords there."""
    said = parse_message("auth: passwd-file(a@x.org,192.0.2.1,<s>): Password mismatch (given password: hunter2)")

    assert said == LoginLine("a@x.org", "192.0.2.1", success=False, service="other", session="s", failure="credentials")


@pytest.mark.parametrize(
    "message",
    [
        "imap-login: Disconnected: Connection closed (no auth attempts in 0 secs): user=<>, rip=192.0.2.1",
        "imap-login: ID sent: name=imap-login: Login: user=<a@example.org>, rip=192.0.2.1: user=<>, rip=192.0.2.2",
        "imap(a@example.org)<1><2>: Disconnected: Logged out",
        "auth: Error: passwd-file: cannot open",
        "NOQUEUE: reject: RCPT from x[192.0.2.1]: 554 x; from=<a> to=<b> sasl_username=<c>",
        "670B523020F: removed",
        "670B523020F: from=<a@x.org>, size=311, nrcpt=1 (queue deferred)",
        "",
    ],
)
def test_other_lines_say_nothing(message: str) -> None:
    """None, and no complaint."""
    assert parse_message(message) is None


def test_the_shape_of_a_line_shows_nothing_of_it() -> None:
    """No name, address, password; only words that belong to the form."""
    shape = masked("imap-login: Login: user=<bob@example.org> rip=192.0.2.1 given password: hunter2 (" + "y" * 9000)

    assert shape.startswith("imap-login: Login: user=<x@x.x> rip=x.x.x.x x x: x (")
    assert len(shape) <= 256


@pytest.mark.parametrize("secret", ["пароль", "密码", "a€b", "éé", "p\u0301w", "🔑", "\u200bx\x85"])
def test_the_shape_of_a_line_shows_no_letter_of_any_script(secret: str) -> None:
    """A password may be in Cyrillic or Chinese, and beside a word of the form it hides that too."""
    assert masked(f"auth: Password mismatch (given password: {secret})") == "auth: x x (x x: x)"
    assert masked(f"user{secret} user") == "x user"


def test_lines_that_matter_are_worth_reading() -> None:
    """And most others are not."""
    assert worth_reading(b"vm dovecot: imap-login: Login: user=<a>")
    assert looks_like_login(b"what: Login: user=<a>")
    assert not worth_reading(b"Nov 22 04:25:34 vm postfix/smtpd[1]: connect from unknown[192.0.2.1]")


PIECES = st.sampled_from(
    ["imap-login: ", "Login: ", "user=<", ">", ", ", "rip=192.0.2.1", "session=<", "auth(", "auth: x(", "): ", "(auth failed",
     "4E8: client=x[", "]", ", sasl_method=", ", sasl_username=", "a@x.org", ": from=<", ", size=1, nrcpt=1 (queue active)",
     "warning: x[192.0.2.1]: SASL X authentication failed: "]
)  # fmt: skip


@given(st.lists(PIECES | st.text(max_size=5), max_size=12).map("".join))
def test_no_message_breaks_the_parser(message: str) -> None:
    """It says something, nothing, or is refused."""
    try:
        said = parse_message(message)
    except Refused:
        return
    assert said is None or isinstance(said, LoginLine | ClientLine | QueuedLine)
