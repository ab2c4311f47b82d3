"""The hot path against the full judgement: where it answers, both come to the same."""

from collections import Counter

from hypothesis import event, given, settings
from hypothesis import strategies as st

from streams.core import activity, detect, hot, presence
from streams.core.addresses import Network, cut, parse_address
from streams.core.book import RuleBook, Rules
from streams.core.state import RUNS, AccountState, pack, unpack
from streams.core.values import Login
from streams.geo import NoPlaces

ACCOUNT = "user@example.org"
MINUTE = 60_000
LATENESS_MS = 5 * MINUTE
START = 1_767_700_000_000 // 86_400_000 * 86_400_000 + 86_400_000 - 20 * MINUTE
"""Twenty minutes before midnight, so that days change within a run."""
ADDRESSES = ("192.0.2.1", "192.0.2.2", "198.51.100.9", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")


def book(allowed: int, safe: bool, window: int, prefix: int) -> Rules:
    made = RuleBook()
    policy = {"scope": "everyone", "time_window": window, "allowed_ips": allowed, "ipv4_prefix": prefix}
    made.set_policy("", {**policy, "block_time": 10})
    if safe:
        record = {"scope": "everyone", "network": "192.0.2.2/32", "description": "office", "expires": None}
        made.set_safe_network("", record)
    return made.rules(ACCOUNT, 0)


RULES = [
    book(2, False, 10, 32),
    book(2, True, 10, 32),
    book(3, False, 10, 32),
    book(2, False, 15, 32),
    book(1, False, 10, 24),
    book(5, False, 10, 32),
]

steps = st.tuples(
    st.sampled_from(ADDRESSES[:1] * 5 + ADDRESSES),
    st.sampled_from([1, 1, 1, 2, 3, 8, 12, 16, 25, 1500, 44_000, -1, -3, -12]).map(lambda minutes: minutes * MINUTE),
    st.sampled_from([0, 0, 0, 0, 1000, -1000, 200_000]),
    st.sampled_from([0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 5, 5, 5, 5]),
    st.sampled_from(["imap", "smtp"]),
)


def spot_of(rules: Rules, address: str) -> hot.Spot:
    number = parse_address(address)
    network = cut(number, rules.policy.ipv4_prefix, rules.policy.ipv6_prefix)
    safe = rules.safe_cover(Network(number, 128)) is not None
    return hot.make_spot(number, network, None, safe=safe, ignored=False)


def judged(
    packed: bytes, spot: hot.Spot, time: int, service: str, rules: Rules, now: int, offset: int
) -> tuple[bytes, str, int]:
    state = unpack(packed)
    login = Login(ACCOUNT, time, spot.number, spot.network, None, service, None, spot.safe, spot.ignored)
    verdict = detect.judge(state, login, rules, now_ms=now, lateness_ms=LATENESS_MS, world=NoPlaces())
    state.login_offset = offset
    return pack(state), verdict.outcome, len(verdict.outputs)


def tidied(state: AccountState, window_ms: int, lateness_ms: int = LATENESS_MS) -> AccountState:
    """
    What the hot path leaves for the next full judgement: old networks and runs are let go, what overlaps is one run.

    Runs overlap that were kept apart while the second one was dated ahead of `now`. When a run began does not matter any
    more once no login from then is judged.
    """
    activity.forget_old(state)
    judged_from = state.newest_ms - lateness_ms
    presence.prune_runs(state, window_ms, lateness_ms)
    for kept in state.networks.values():
        runs, kept.runs = presence.without_cut(kept.runs, state.counts_from_ms), []
        for start, last in runs:
            overlaps = kept.runs and start < kept.runs[-1][1] + window_ms
            began = kept.runs.pop()[0] if overlaps else start
            kept.runs.append((min(last, max(began, judged_from)), last))
    return state


@settings(max_examples=1000)
@given(st.lists(steps, min_size=2, max_size=40))
def test_where_the_hot_path_answers_it_answers_as_the_full_judgement(
    history: list[tuple[str, int, int, int, str]],
) -> None:
    """
    Same state, nothing to write: over late, early, repeated logins, changing rules, blocks and midnight.

    What the hot path leaves undone must not add up either: one account goes on as patched, its twin is always judged.
    """
    packed, twin, now, taken = pack(AccountState()), pack(AccountState()), START, Counter[bool]()
    for offset, (address, step, skew, rules_number, service) in enumerate(history):
        rules = RULES[rules_number]
        now += max(0, step) if step > -8 * MINUTE else 0
        time = now + skew + min(0, step)
        spot = spot_of(rules, address)

        if offset == 0:
            patched = hot.first(spot, time, service, rules, offset=offset, now_ms=now)
        else:
            patched = hot.extend(packed, spot, time, service, rules, offset=offset, now_ms=now, lateness_ms=LATENESS_MS)
        expected = judged(twin, spot, time, service, rules, now, offset)
        twin = expected[0]

        taken[patched is not None] += 1
        if patched is not None:
            assert expected[1:] == ("counted", 0)
            packed = patched
        else:
            packed, *answer = judged(packed, spot, time, service, rules, now, offset)
            assert tuple(answer) == expected[1:]
        assert tidied(unpack(packed), rules.window_ms) == tidied(unpack(twin), rules.window_ms)
        assert pack(unpack(packed)) == packed
    event(f"hot path taken: {min(taken[True], 5)}")
    event(f"further runs: {bool(packed[1] & RUNS)}")


def test_a_polling_client_takes_the_hot_path() -> None:
    """Else it would be fast for nobody."""
    rules = RULES[0]
    spot = spot_of(rules, "2001:db8::1")
    packed, _, _ = judged(pack(AccountState()), spot, START, "imap", rules, START, 0)

    later = hot.extend(
        packed,
        spot_of(rules, "2001:db8::2"),
        START + MINUTE,
        "imap",
        rules,
        offset=1,
        now_ms=START + MINUTE,
        lateness_ms=0,
    )

    assert later is not None
    (kept,) = unpack(later).networks.values()
    assert (kept.logins, kept.runs, kept.address & 0xFF) == (2, [(START, START + MINUTE)], 2)
