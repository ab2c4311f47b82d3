"""
The kernel against the engine without it: `twins.py` reads one log with both.

`python -m tests.engine.compiled.twins --seeds 20000` does the same for long.
"""

import random
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from streams.core.state import RUNS, unpack
from streams.engine.compiled import countries, rules_known
from streams.worker.fetched import Record
from tests.core.histories import logs
from tests.engine.compiled.twins import CODEC, OPTIONAL, PARTITIONS, Cutter, Twins, compare, partition_for, varied
from tests.model.generators import Flavour, Step
from tests.model.values import DAY_MS, MINUTE_MS

NOW = 1_767_700_000_000
SECOND_MS = 1000
USER = "user@example.org"
POLICY = {"scope": "everyone", "time_window": 10, "allowed_ips": 3, "block_time": 30, "actor": "test", "time": NOW}
slow = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
)


@given(log=logs(), data=st.data())
@settings(slow, max_examples=150)
def test_an_engine_with_the_kernel_writes_counts_and_keeps_the_same(
    log: tuple[Flavour, list[Step]], data: st.DataObject
) -> None:
    """After every batch of any log: outputs, records passed on, counts, and every state byte for byte."""
    kind, steps = log

    def choose(options: Sequence[Any]) -> Any:
        return data.draw(st.sampled_from(options))

    twins = Twins(kind.lateness * MINUTE_MS)
    Cutter(choose)(twins, list(varied(choose, steps)))

    event(f"logins done by the kernel: {min(twins.taken[True], 8)}")


def test_random_logs_give_no_difference_either() -> None:
    """Longer ones than hypothesis draws; the kernel has a share of their logins worth the name."""
    done = sum((compare(seed) for seed in range(60)), start=type(compare(0))())

    assert done[True] > done.total() / 8


def ordinary(seed: int) -> Iterator[Step]:
    """A day of 300 accounts in six domains: each has a few networks, polls from them, and now and then travels."""
    draw = random.Random(seed)
    homes = {
        f"user{number}@domain{number % 6}.example": [
            f"100.{64 + number % 60}.{draw.randrange(256)}.{draw.randrange(256)}",
            f"2001:db8:{draw.choice(('de', 'fa', '1'))}:{number:x}::{draw.randrange(1, 9)}",
            f"192.0.2.{draw.randrange(256)}",
        ]
        for number in range(300)
    }
    now_ms = NOW
    for _ in range(6000):
        now_ms += draw.randrange(30) * SECOND_MS
        account = draw.choice(list(homes))
        ip = draw.choice(homes[account]) if draw.random() < 0.98 else f"198.51.100.{draw.randrange(256)}"
        yield login(account, ip, now_ms - draw.choice((0, 0, 0, 1)) * SECOND_MS, now_ms)


def login(account: str, ip: str, time_ms: int, now_ms: int | None = None, **fields: Any) -> Step:
    """A login, keyed as it should be."""
    value = {"time": time_ms, "account": account, "ip": ip, "success": True, "service": "imap", **fields}
    return Step("logins", time_ms if now_ms is None else now_ms, value, account)


def policy(**fields: Any) -> Step:
    """A policy, of everyone if `scope` does not say otherwise."""
    value = {**POLICY, **fields}
    return Step("policies", NOW, value, value["scope"])


def safe(network: str, scope: str = "everyone", expires: int | None = None) -> Step:
    """A safe network."""
    value = {"scope": scope, "network": network, "description": "office", "actor": "test", "time": NOW}
    return Step("safe-networks", NOW, {**value, "expires": expires}, f"{scope} {network}")


def batch(*steps: Step) -> list[tuple[str, int, list[Record]]]:
    """One batch of records in their order, with offsets from their times."""
    made: dict[tuple[str, int], list[Record]] = {}
    for step in steps:
        assert step.value is not None
        is_login = step.topic == "logins"
        raw = CODEC.encode("Login", {**dict.fromkeys(OPTIONAL), **step.value}) if is_login else orjson.dumps(step.value)
        place = step.topic, partition_for(step.key.encode(), PARTITIONS)
        made.setdefault(place, []).append(Record(step.now_ms, step.now_ms, step.key.encode(), raw, ()))
    return [(topic, partition, records) for (topic, partition), records in made.items()]


def twins(*tables: Step, lateness_ms: int = 2 * MINUTE_MS) -> Twins:
    """Two engines that have read these records of tables."""
    made = Twins(lateness_ms)
    for step in tables:
        made.apply(step)
    return made


@pytest.mark.parametrize("size", [1, 70, 1000])
def test_of_an_ordinary_day_the_kernel_does_nearly_all(size: int) -> None:
    """Else it would be fast for nobody; in batches of any size, while the arrays grow."""
    both = twins(
        policy(allowed_ips=4), safe("192.0.2.64/26"), policy(scope="domain:domain3.example", allowed_countries=2)
    )
    steps = list(ordinary(1))[: 600 if size == 1 else 6000]

    for first in range(0, len(steps), size):
        both.read(batch(*spread(steps[first : first + size])))

    assert both.taken[True] > 0.8 * both.taken.total()


def spread(steps: Sequence[Step]) -> list[Step]:
    """The same with times that are apart, so that offsets made of them are."""
    return [step._replace(now_ms=step.now_ms + number % 1000) for number, step in enumerate(steps)]


def taken(both: Twins, *steps: Step) -> int:
    """How many of these the kernel did, read one by one."""
    before = both.taken[True]
    for step in steps:
        both.read(batch(step))
    return both.taken[True] - before


def test_days_and_years_pass_for_a_network_as_without_the_kernel() -> None:
    """Days of use are bits that move; those of more than a month ago are a number."""
    both = twins(policy())
    steps_ms = (0, DAY_MS, 2 * DAY_MS, 31 * DAY_MS, 32 * DAY_MS, 33 * DAY_MS, 63 * DAY_MS, 64 * DAY_MS, 300 * DAY_MS)
    time_ms, steps = NOW, []
    for step_ms in steps_ms:
        time_ms += step_ms
        steps += [login(USER, "192.0.2.1", time_ms), login(USER, "192.0.2.1", time_ms + MINUTE_MS)]

    assert taken(both, *steps) > len(steps_ms)


@pytest.mark.parametrize(("ipv4", "ipv6"), [(8, 16), (24, 48), (25, 57), (31, 127), (32, 128), (17, 63), (9, 65)])
def test_networks_of_every_size_are_told_apart_and_kept_in_order(ipv4: int, ipv6: int) -> None:
    """Prefixes that are no multiple of 8, on both sides of the middle of an address."""
    both = twins(policy(allowed_ips=50, ipv4_prefix=ipv4, ipv6_prefix=ipv6))
    draw = random.Random(ipv4)
    numbers = [draw.getrandbits(32) for _ in range(20)]
    addresses = [f"{a >> 24}.{a >> 16 & 255}.{a >> 8 & 255}.{a & 255}" for a in numbers]
    addresses += [f"192.0.2.{number}" for number in (0, 1, 127, 128, 129, 255)]
    addresses += [f"{word}:db8:{a:x}:{b:x}::{c:x}" for word in ("2001", "fe80", "::ffff:0", "9000") if "::" not in word
                  for a, b, c in ((1, 1, 1), (1, 2, 1), (0xFFFF, 0x8000, 1), (1, 0, 0x8000), (1, 1, 2))]  # fmt: skip
    draw.shuffle(addresses)
    steps = [login(USER, ip, NOW + number * SECOND_MS) for number, ip in enumerate(addresses)]

    assert taken(both, *steps) > len(steps) // 2

    (packed,) = (states[USER] for states in both.fast.accounts.values() if len(states))
    networks = list(unpack(packed).networks)
    assert networks == sorted(networks, key=lambda network: network.order)
    assert len(set(networks)) == len(networks)


def test_a_network_used_after_a_pause_begins_a_new_run_where_the_old_one_is_still_met() -> None:
    """As a further run in the tail while a late login can meet it, and without one when none can."""
    both = twins(policy(), lateness_ms=60 * MINUTE_MS)
    minutes = (0, 5, 20, 25, 40, 100, 200, 400)

    taken(both, *(login(USER, "192.0.2.1", NOW + minute * MINUTE_MS) for minute in minutes[:5]))
    (packed,) = (states[USER] for states in both.fast.accounts.values() if len(states))
    assert packed[1] & RUNS

    taken(both, *(login(USER, "192.0.2.1", NOW + minute * MINUTE_MS) for minute in minutes[5:]))
    (packed,) = (states[USER] for states in both.fast.accounts.values() if len(states))
    assert not packed[1] & RUNS


def test_a_safe_network_is_safe_until_it_expires_to_the_millisecond() -> None:
    """By the time at which the record came, whatever the login's own."""
    end_ms = NOW + MINUTE_MS
    both = twins(policy(), safe("192.0.2.0/24", expires=end_ms), safe("2001:db8::/33", scope=f"account:{USER}"))

    assert taken(both, *(login(USER, "192.0.2.7", NOW, now_ms) for now_ms in (NOW, end_ms - 1))) == 0
    assert taken(both, login(USER, "192.0.2.7", end_ms - 1, end_ms)) == 0, "the rules changed: a full judgement"
    assert taken(both, login(USER, "192.0.2.7", end_ms, end_ms + 1)) == 1
    assert taken(both, login(USER, "2001:db8:7fff::1", end_ms, end_ms + 2)) == 0
    assert taken(both, login(USER, "2001:db8:8000::1", end_ms, end_ms + 3)) == 1
    other = [
        login("other@example.org", "198.51.100.7", now_ms) for now_ms in (end_ms - 2, end_ms - 1, end_ms, end_ms + 4)
    ]
    assert taken(both, *other) == 3, "all but the first by other rules"


def test_an_account_without_a_domain_is_nobody_of_the_domain_of_that_name() -> None:
    """Not even where some accounts have rules of their own, and names are looked up whole."""
    both = twins(policy(), policy(scope="account:other@example.org"))

    assert taken(both, login(USER, "192.0.2.1", NOW), login("example.org", "192.0.2.1", NOW + 1)) == 1
    assert sum(map(len, both.fast.accounts.values())) == 1


def test_an_address_of_ipv6_says_nothing_of_the_country_of_one_of_ipv4() -> None:
    """Whatever its first bits look like."""
    both = twins(policy(allowed_countries=1))
    low = [f"{group}:c0:{other}::1" for group in ("0:0", "0", "1") for other in ("2", "3")]
    addresses = [
        *low,
        "::1",
        "1::",
        "0:0:1::",
        "::c000:201",
        "192.0.2.1",
        "192.0.2.2",
        "192.0.3.1",
        "0.0.0.1",
        "0.1.0.0",
    ]

    taken(both, *(login(f"user{n}@example.org", ip, NOW + n) for n, ip in enumerate(addresses)))
    taken(both, *(login(f"user{n}@example.org", ip, NOW + 100 + n) for n, ip in enumerate(reversed(addresses))))


def test_a_record_that_is_too_large_or_not_where_it_belongs_is_left_to_the_engine() -> None:
    """The kernel does only what is under its account's key and in its partition."""
    both = twins(policy())
    right, value = login(USER, "192.0.2.1", NOW), {**dict.fromkeys(OPTIONAL), **login(USER, "192.0.2.1", NOW).value}
    partition = partition_for(USER.encode(), PARTITIONS)
    raw, long = CODEC.encode("Login", value), CODEC.encode("Login", {**value, **dict.fromkeys(OPTIONAL, "x" * 1000)})
    records = [
        ((partition + 1) % PARTITIONS, Record(1, NOW, USER.encode(), raw, ())),
        (partition, Record(2, NOW, b"other@example.org", raw, ())),
        (partition, Record(3, NOW, None, raw, ())),
        (partition, Record(4, NOW, USER.encode(), None, ())),
        (partition, Record(5, NOW, USER.encode(), long, ())),
        (partition, Record(6, -1, USER.encode(), raw, ())),
        (partition, Record(7, 1 << 62, USER.encode(), raw, ())),
        (partition, Record(8, NOW - 1, USER.encode(), raw, ())),
    ]
    for where, record in records:
        both.read([("logins", where, [record])])
    assert both.taken[True] == 0

    assert taken(both, right) == 0, "its offset, made of its time, is one that was applied"


@pytest.mark.parametrize("minutes", [(9, 9), (10, 10), (9, 12), (12, 12)])
@pytest.mark.parametrize("ips", [("192.0.2.1", "192.0.2.2"), ("192.0.2.2", "192.0.2.1"), ("192.0.2.1", "192.0.2.1")])
@pytest.mark.parametrize("action", ["reset", "unblock", "block"])
def test_logins_up_to_a_cut_off_do_not_count(minutes: tuple[int, int], ips: tuple[str, str], action: str) -> None:
    """Read after a reset, an unblock or a block's end, but made before: of a network that is known, and of a new one."""
    both = twins(policy(), lateness_ms=10 * MINUTE_MS)
    taken(both, login(USER, "192.0.2.1", NOW), login(USER, "192.0.2.1", NOW + 8 * MINUTE_MS))
    value = {"account": USER, "action": action, "actor": "admin", "id": "1", "time": NOW, "minutes": 1}
    reset = Step("account-commands", NOW + 10 * MINUTE_MS, {**value, "minutes": 1 if action == "block" else None}, USER)

    late = [
        login(USER, ip, NOW + minute * MINUTE_MS, NOW + (15 + number) * MINUTE_MS)
        for number, (ip, minute) in enumerate(zip(ips, minutes, strict=True))
    ]
    taken(both, reset, *late)

    done = taken(both, *(login(USER, ips[0], NOW + minute * MINUTE_MS) for minute in (16, 17, 18)))
    assert done > 0 or action == "block"


def test_tables_that_are_full_are_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of rules, names and countries only so many are remembered; what they say does not depend on it."""
    for module, name, most in (
        (rules_known, "MOST_DOMAINS", 3),
        (rules_known, "MOST_ROWS", 2),
        (countries, "FIRST_COUNTRIES", 4),
        (countries, "MOST_COUNTRIES", 16),
    ):
        monkeypatch.setattr(module, name, most)
    domains = [policy(scope=f"domain:domain{n}.example", allowed_ips=4 + n, allowed_countries=3) for n in range(6)]
    both = twins(policy(allowed_ips=4), *domains, policy(scope="account:user7@domain1.example", allowed_ips=9))
    steps = spread(list(ordinary(2))[:1500])

    for first in range(0, len(steps), 100):
        both.read(batch(*steps[first : first + 100]))

    assert both.taken[True] > 0.8 * both.taken.total()
