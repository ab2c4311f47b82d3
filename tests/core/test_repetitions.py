"""
A repetition changes nothing but the listed number of logins: without the model, one reading of a log against another.

The log is read, and read again with earlier logins repeated at any later place. `nothing_tells_it` says which repetitions
cannot be known from what is kept of an account, and are taken for other logins.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from hypothesis import event, given, settings
from hypothesis import strategies as st

from streams.core.addresses import Network, parse_address
from streams.core.state import unpack
from tests.core.histories import limits, login, logins, logs, policy, read, slow, windows
from tests.model.compare import Machine, Outputs
from tests.model.generators import Flavour, Step
from tests.model.places import FixedPlaces
from tests.model.values import KEPT_MS, MINUTE_MS, SKEW_MS

NUMBERS = {"logins", "ignored_logins"}
UNCOUNTED_BY_BLOCK = {"blocked", "familiar", "cut_off"}


class Note(NamedTuple):
    """
    After a record: what was written, what became of a login, whether the rules keep it from counting, whether networks
    were let go; by account what holds.
    """

    outputs: Outputs
    outcome: str
    excluded: bool
    let_go: bool
    counting: dict[str, tuple[int, int, int]]
    stamps: dict[str, bytes]


def notes(kind: Flavour, records: Sequence[Step]) -> tuple[list[Note], Outputs]:
    """A log, read once: a note for each record, and how its accounts look in the end."""
    machine = Machine(kind.lateness * MINUTE_MS)
    accounts = accounts_of(records)
    found = []
    for step in records:
        before = kept(machine, step.key)
        outputs = machine.read(step)
        outcome = next((name[1] for name in machine.counts if name[0] == "logins"), "")
        excluded = outcome not in ("", "failed") and rules_exclude(machine, step)
        let_go = ("let_go",) in machine.counts or bool(before - kept(machine, step.key))
        rules = {account: machine.engine.book.rules(account, step.now_ms) for account in accounts}
        policies = {account: rules[account].policy for account in accounts}
        counting = {key: (one.time_window, one.ipv4_prefix, one.ipv6_prefix) for key, one in policies.items()}
        stamps = {account: rules[account].stamp for account in accounts}
        found.append(Note(without_numbers(outputs), outcome, excluded, let_go, counting, stamps))
    return found, views(machine, records)


def rules_exclude(machine: Machine, step: Step) -> bool:
    """Whether a login is safe, ignored or read with `time_window` 0."""
    assert step.value is not None
    rules = machine.engine.book.rules(step.key, step.now_ms)
    number = parse_address(step.value["ip"])
    ignored = FixedPlaces().country_of(number) in rules.ignored
    return ignored or rules.window_ms == 0 or rules.safe_cover(Network(number, 128)) is not None


def kept(machine: Machine, account: str) -> set[Any]:
    """The networks of an account."""
    packed = machine.engine.accounts.get(0, {}).get(account)
    return set() if packed is None else set(unpack(packed).networks)


def accounts_of(records: Sequence[Step]) -> list[str]:
    return sorted({step.key for step in records if step.topic == "logins" and "@" in step.key})


def views(machine: Machine, records: Sequence[Step]) -> Outputs:
    """All that is shown of the accounts at the end."""
    now_ms = records[-1].now_ms
    asked = [
        {"time": now_ms, "id": "view", "account": account, "action": "describe", "actor": "test"}
        for account in accounts_of(records)
    ]
    steps = [Step("account-commands", now_ms, value, value["account"]) for value in asked]
    return without_numbers([output for step in steps for output in machine.read(step) if output[0] == "account-views"])


def without_numbers(value: Any) -> Any:
    """Outputs without the numbers of logins, which a repetition changes; of a dead letter, which tells its offset, its reason."""
    if isinstance(value, tuple) and value[0] == "dead-letters":
        return value[0], value[1]["reason"]
    if isinstance(value, dict):
        return {name: 0 if name in NUMBERS else without_numbers(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(without_numbers(inner) for inner in value)
    return value


def nothing_tells_it(records: Sequence[Step], base: Sequence[Note], first: int, at: int) -> str:
    """
    Why the repetition, read after the record `at`, of the login `first` cannot be known as such; empty if it can.

    A reset deletes the login, and a network that is let go takes its logins with it. A login that did not count by the
    rules is not kept apart from others, and where counting restarted what counted before is not kept. A login more than
    5 minutes ahead is judged at its `now`, so a repetition is another login. One dated ahead that a block kept from
    counting is not kept apart either, when the block ends before its time; nor one that had counted when a block began at
    or before its time, once its network has counted again.
    """
    step, note = records[first], base[first]
    account, time, between = step.key, step.value["time"] if step.value else 0, range(first + 1, at + 1)
    commands = {
        other.value["action"]
        for other in (records[n] for n in between)
        if other.value and other.topic == "account-commands" and other.key == account
    }
    if "reset" in commands:
        return "reset"
    earliest = min(records[n].now_ms for n in range(first, at + 1))
    if time > earliest + SKEW_MS:
        return "too far ahead"
    if any(base[n].let_go and records[n].key == account for n in range(first, at + 1)):
        return "let go"
    if max(records[n].now_ms for n in range(first, at + 1)) >= time + KEPT_MS:
        return "old"
    if any(base[n].counting[account] != note.counting[account] for n in between):
        return "counting restarted"
    if note.excluded and base[at].stamps[account] != note.stamps[account]:
        return "other rules"
    if note.outcome in UNCOUNTED_BY_BLOCK and time > earliest and commands & {"unblock", "block"}:
        return "ahead, unblocked"
    if note.outcome == "counted" and counts_again_after_block(records, base, first, at):
        return "in a block, counted before it"
    return ""


def counts_again_after_block(records: Sequence[Step], base: Sequence[Note], first: int, at: int) -> bool:
    """Whether a block began at or before the time of a login that had counted, and another login counted since."""
    account, value = records[first].key, records[first].value
    assert value is not None
    in_block = False
    for n in range(first + 1, at + 1):
        if records[n].key == account and in_block and base[n].outcome == "counted":
            return True
        blocks = [block for topic, block in base[n].outputs if topic == "blocks"]
        in_block |= any(block["account"] == account and block["from"] <= value["time"] for block in blocks)
    return False


@given(log=logs(), draws=st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=8))
@settings(slow, max_examples=150)
def test_a_repetition_at_any_place_changes_nothing_but_the_number_of_logins(
    log: tuple[Flavour, list[Step]], draws: list[tuple[int, int]]
):
    """No record of its own, no other record later, and the account looks the same in the end; whatever happens between."""
    kind, records = log
    base, seen = notes(kind, records)
    read_ones = [n for n, note in enumerate(base) if note.outcome not in ("", "failed")]
    again: dict[int, list[int]] = {}
    for number, place in draws if read_ones else ():
        first = read_ones[number % len(read_ones)]
        at = first + place % (len(records) - first)
        reason = nothing_tells_it(records, base, first, at)
        event(f"repetition known: {not reason} {reason}")
        if not reason:
            again.setdefault(at, []).append(first)

    machine = Machine(kind.lateness * MINUTE_MS)
    for at, step in enumerate(records):
        assert without_numbers(machine.read(step)) == base[at].outputs
        for first in again.get(at, ()):
            assert machine.read(records[first]._replace(now_ms=step.now_ms)) == []
    assert views(machine, records) == seen


@given(logins=logins, limits=limits, block_time=st.sampled_from((0, 1, 20)), window=windows)
@settings(slow, max_examples=200)
def test_every_login_twice_changes_nothing_but_the_number_of_logins(
    logins: list[tuple[int, int, str]], limits: tuple[int, int], block_time: int, window: int
):
    """The second time up to `lateness` later: the same outputs but for the numbers listed."""
    demanded = policy(
        window, allowed_ips=limits[0], allowed_countries=limits[1], block_time=block_time, familiar_days=1
    )
    once = sorted((time, time, ip) for time, _, ip in logins)
    again = sorted((time + delay, time, ip) for time, delay, ip in logins)

    first = read([demanded, *(login(time, now, ip) for now, time, ip in once)])
    both = read([demanded, *(login(time, now, ip) for now, time, ip in sorted(once + again))])

    assert without_numbers(both) == without_numbers(first)
