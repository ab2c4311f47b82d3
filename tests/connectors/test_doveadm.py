"""What is asked of doveadm and how its answers are read: captured answers of 2.3.19.1 and 2.4.1, and mutations of them."""

from contextlib import suppress

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.connectors import doveadm
from streams.connectors.doveadm import Answer, Dialect, Plan, Session
from streams.core.addresses import parse_address
from streams.core.refusal import Refused

ALICE = "alice@example.org"
COMMANDS_23 = b"""[{"command":"kick","parameters":[{"name":"socketPath","type":"string"},{"name":"force","type":"boolean"},
{"name":"mask","type":"array"}]},{"command":"who","parameters":[{"name":"socketPath","type":"string"},
{"name":"separateConnections","type":"boolean"},{"name":"mask","type":"array"}]},{"command":"proxyKick","parameters":
[{"name":"user","type":"array"}]},{"command":"authCacheFlush","parameters":[{"name":"socketPath","type":"string"},
{"name":"user","type":"array"}]}]"""
COMMANDS_243 = COMMANDS_23.replace(b'"user"', b'"userMask"')
KICKED_23 = b'[["doveadmResponse",[{"result":"alice@example.org"}],"kick0"]]'
NOT_THERE_23 = b'[["error",{"type":"exitCode", "exitCode":68},"kick0"]]'
KICKED_24 = b'[["doveadmResponse",[{"count":"1"}],"kick0"]]'
NOT_THERE_24 = b'[["doveadmResponse",[{"count":"0"}],"kick0"]]'
WHO_23 = (
    b'[["doveadmResponse",[{"username":"alice@example.org","service":"imap","pid":"23345","ip":"198.51.100.9"},'
    b'{"username":"bob@example.org","service":"imap","pid":"23346","ip":"198.51.100.9"}],"who0"]]'
)
WHO_24 = WHO_23.replace(b'"ip":', b'"dest_ip":"","ip":')
ANSWERS = (KICKED_23, NOT_THERE_23, KICKED_24, NOT_THERE_24, WHO_23, WHO_24)


def answer(raw: bytes, command: doveadm.Command) -> Answer:
    (one,) = doveadm.read_answers(raw, [command])
    return one


def session(address: str | None, name: str = ALICE) -> Session:
    return Session(name, None if address is None else parse_address(address))


@pytest.mark.parametrize(
    ("raw", "closed"), [(KICKED_23, True), (NOT_THERE_23, False), (KICKED_24, True), (NOT_THERE_24, False)]
)
def test_both_versions_say_whether_a_kick_closed_anything(raw: bytes, closed: bool) -> None:
    """2.3 names who was kicked or gives exit code 68; 2.4 counts."""
    assert doveadm.was_kicked(answer(raw, doveadm.kick(ALICE))) is closed


@pytest.mark.parametrize(
    "raw",
    [
        b'[["error",{"type":"exitCode","exitCode":64},"kick0"]]',
        b'[["error",{"type":"unknownMethod"},"kick0"]]',
        b'[["error",{"type":"invalidRequest"},"kick0"]]',
        b'[["doveadmResponse",[{"entries":"1"}],"kick0"]]',
        b'[["doveadmResponse",[{"count":"-1"}],"kick0"]]',
        b'[["doveadmResponse",[{"count":"99999999999999999999"}],"kick0"]]',
        b'[["doveadmResponse",[{"count":null}],"kick0"]]',
        b'[["doveadmResponse",[7],"kick0"]]',
        b'[["doveadmResponse",[{"count":"1"}],"another tag"]]',
        b'[["doveadmResponse",{"count":"1"},"kick0"]]',
        b'[["error",null,"kick0"]]',
        b"[]",
        b"{}",
        b"null",
        b"",
        b"<html>",
        b'[["doveadmResponse",[{"count":"1"}],"kick0"],["doveadmResponse",[{"count":"1"}],"kick1"]]',
    ],
)
def test_an_answer_that_does_not_say_is_refused(raw: bytes) -> None:
    """A kick that may not have happened is tried again."""
    with pytest.raises(Refused) as refusal:
        doveadm.was_kicked(answer(raw, doveadm.kick(ALICE)))
    assert refusal.value.reason == "bad_answer"


@pytest.mark.parametrize("raw", [WHO_23, WHO_24])
def test_only_sessions_of_exactly_this_name_are_taken_from_a_list(raw: bytes) -> None:
    """Whatever else Dovecot lists belongs to others."""
    listed = answer(raw, doveadm.who(ALICE))

    assert doveadm.sessions_of(listed, "Alice@Example.org") == [session("198.51.100.9")]
    assert doveadm.sessions_of(listed, "a*@example.org") == []


def test_a_kick_names_one_network_since_dovecot_takes_no_more() -> None:
    """Two networks in one mask are exit code 64."""
    assert doveadm.kick(ALICE)[1] == {"mask": [ALICE]}
    assert doveadm.kick(ALICE, "203.0.113.9")[1] == {"mask": [ALICE, "203.0.113.9/32"]}
    assert doveadm.kick(ALICE, "2001:db8::1")[1] == {"mask": [ALICE, "2001:db8::1/128"]}


def test_the_commands_of_a_request_have_tags_of_their_own() -> None:
    """An answer is matched to its command, never to its neighbour."""
    commands = [doveadm.kick(ALICE, "192.0.2.1"), doveadm.kick(ALICE, "192.0.2.2")]
    body = orjson.loads(doveadm.body_of(commands))

    assert [tag for _, _, tag in body] == ["kick0", "kick1"]
    both = b'[["doveadmResponse",[{"count":"1"}],"kick0"],["error",{"type":"exitCode","exitCode":68},"kick1"]]'
    assert [doveadm.was_kicked(one) for one in doveadm.read_answers(both, commands)] == [True, False]
    with pytest.raises(Refused):
        doveadm.read_answers(b'[["doveadmResponse",[{"count":"1"}],"kick1"]]', commands)


@pytest.mark.parametrize(
    ("account", "domain", "names"),
    [
        ("alice@example.org", "", ("alice@example.org",)),
        ("alice@example.org", "example.net", ("alice@example.org",)),
        ("alice@example.org", "Example.org", ("alice@example.org", "alice")),
        ("192.0.2.1@example.org", "example.org", ("192.0.2.1@example.org",)),
        ("192.0.2.0/24@example.org", "example.org", ("192.0.2.0/24@example.org",)),
        ("10@example.org", "example.org", ("10@example.org",)),
        ("0x7f000001@example.org", "example.org", ("0x7f000001@example.org",)),
        ("::1@example.org", "example.org", ("::1@example.org",)),
        ("abe@example.org", "example.org", ("abe@example.org", "abe")),
        ("o'hara+x@example.org", "", ("o'hara+x@example.org",)),
        ("bücher@example.org", "", ("bücher@example.org",)),
        ("back\\slash@example.org", "", ("back\\slash@example.org",)),
    ],
)
def test_an_account_is_kicked_under_the_names_that_dovecot_may_have(
    account: str, domain: str, names: tuple[str]
) -> None:
    """Without its domain only at the default domain, and never when that would read as an address."""
    assert doveadm.names_of(account, domain) == names


@pytest.mark.parametrize(
    "account",
    [
        "*@example.org",
        "al?ce@example.org",
        "alice@*",
        "*",
        "",
        "alice",
        "@example.org",
        "a\nb@example.org",
        "x" * 400 + "@a",
    ],
)
def test_a_name_that_would_kick_others_is_refused(account: str) -> None:
    """Dovecot's masks have no escape."""
    with pytest.raises(Refused) as refusal:
        doveadm.names_of(account, "example.org")
    assert refusal.value.reason == "kick_name"


@given(
    st.text(alphabet=st.sampled_from("ab*?@.:/\\[]{}0129xX \n\x00é"), max_size=30), st.sampled_from(["", "b", "a.b"])
)
def test_no_name_becomes_a_wildcard_or_a_network(account: str, domain: str) -> None:
    """Whatever a block names, a mask names one user."""
    try:
        names = doveadm.names_of(account, domain)
    except Refused:
        return
    for name in names:
        assert "*" not in name
        assert "?" not in name
        with pytest.raises(Refused):
            parse_address(name.partition("/")[0])


@pytest.mark.parametrize(
    ("sessions", "excepted", "expected"),
    [
        ([], ["192.0.2.0/24"], Plan(False)),
        (["192.0.2.9"], ["192.0.2.0/24"], Plan(False, (), 1)),
        (["192.0.2.9", "203.0.113.5", "203.0.113.5"], ["192.0.2.0/24"], Plan(False, ("203.0.113.5",), 1)),
        (["::ffff:192.0.2.9"], ["192.0.2.0/24"], Plan(False, (), 1)),
        (["::ffff:203.0.113.5"], ["192.0.2.0/24"], Plan(False, ("203.0.113.5",), 0)),
        (["2001:db8::9", "2001:db9::9"], ["2001:db8::/32"], Plan(False, ("2001:db9::9",), 1)),
        ([None], ["192.0.2.0/24"], Plan(True)),
        ([None, "203.0.113.5"], ["192.0.2.0/24"], Plan(True)),
        ([None, "192.0.2.9", "203.0.113.5"], ["192.0.2.0/24"], Plan(False, ("203.0.113.5",), 2)),
        (["192.0.2.9"], ["not a network"], Plan(False, ("192.0.2.9",), 0)),
        (["192.0.2.9"], ["::/0"], Plan(False, ("192.0.2.9",), 0)),
    ],
)
def test_sessions_in_networks_that_stay_open_stay(
    sessions: list[str | None], excepted: list[str], expected: Plan
) -> None:
    """One without an address goes only if none has to stay."""
    assert doveadm.plan([session(address) for address in sessions], excepted) == expected


@pytest.mark.parametrize(
    ("commands", "nobody", "expected", "flush"),
    [
        (COMMANDS_23, NOT_THERE_23, Dialect("2.3", "user", True), {"user": [ALICE]}),
        (COMMANDS_23, NOT_THERE_24, Dialect("2.4", None), None),
        (COMMANDS_243, NOT_THERE_24, Dialect("2.4", "userMask"), {"userMask": [ALICE]}),
    ],
)
def test_the_cache_is_emptied_in_the_words_of_that_dovecot(
    commands: bytes, nobody: bytes, expected: Dialect, flush: dict[str, list[str]] | None
) -> None:
    """Never where it panics (2.4.0 to 2.4.2), and never without a user, which panics everywhere."""
    dialect = doveadm.dialect_of(doveadm.read_commands(commands), answer(nobody, doveadm.kick(doveadm.NOBODY)))
    command = doveadm.flush([ALICE], dialect)

    assert dialect == expected
    assert (command and command[1]) == flush
    assert doveadm.flush([], dialect) is None


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{}", b'[{"command":"who"}]', b'[{"command":7,"parameters":[]}]', b"[[]]"]
)
def test_what_lists_no_kick_is_no_doveadm(raw: bytes) -> None:
    """A wrong address is found at the start."""
    with pytest.raises(Refused):
        doveadm.read_commands(raw)


def mutations() -> st.SearchStrategy[bytes]:
    """Captured answers with some bytes replaced, cut or doubled."""

    def mutate(raw: bytes, start: int, length: int, put: bytes) -> bytes:
        start %= len(raw)
        return raw[:start] + put + raw[start + length :]

    pieces = st.one_of(
        st.binary(max_size=4), st.sampled_from([b"null", b'"', b"[", b"]", b"{}", b"68", b"1e99", b"-1"])
    )
    return st.builds(mutate, st.sampled_from((*ANSWERS, COMMANDS_23)), st.integers(0, 2000), st.integers(0, 12), pieces)


@given(st.one_of(mutations(), st.binary(max_size=60)))
@example(b"[" * 5000)
@example(b'[["doveadmResponse",[{"username":null}],"who0"]]')
def test_no_answer_is_anything_but_read_or_refused(raw: bytes) -> None:
    """And no session is found that Dovecot did not list under this very name."""
    for command in (doveadm.kick(ALICE), doveadm.who(ALICE)):
        with suppress(Refused):
            doveadm.was_kicked(answer(raw, command))
        with suppress(Refused):
            assert {one.name.lower() for one in doveadm.sessions_of(answer(raw, command), ALICE)} <= {ALICE}
    with suppress(Refused):
        assert "kick" in doveadm.read_commands(raw)
