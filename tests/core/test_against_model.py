"""
Detection against the brute-force model (`tests/model`), which knows nothing of runs of presence.

Hypothesis draws logs of few networks and few minutes: in order, shuffled, repeated, with clocks that are ahead, with
policies, safe networks and commands midway. `python -m tests.model.compare --seeds 20000` does the same for long.
"""

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from streams.core.state import unpack
from tests.core.histories import LATENESS_MS, SECOND_MS, limits, login, logins, logs, policy, read, slow, windows
from tests.model.compare import Machine, first_difference
from tests.model.generators import CROWD, START_MS, Flavour, Step
from tests.model.values import DAY_MS, MINUTE_MS


@given(log=logs())
@settings(slow, max_examples=150)
def test_engine_and_model_write_the_same(log: tuple[Flavour, list[Step]]):
    """Incidents, blocks, notifications and refusals of any log, in order, field by field."""
    kind, records = log

    assert first_difference(kind.lateness, records) is None


@given(logins=logins, window=windows, limits=limits)
@settings(slow, max_examples=200)
def test_caught_does_not_depend_on_the_order_of_arrival(
    logins: list[tuple[int, int, str]], window: int, limits: tuple[int, int]
):
    """Logins read in order, and each up to `lateness` later, catch the same accounts."""
    demanded = policy(window, allowed_ips=limits[0], allowed_countries=limits[1])
    in_order = [login(time, time, ip) for time, _, ip in sorted(logins)]
    shuffled = [
        login(time, now, ip) for now, time, ip in sorted((time + delay, time, ip) for time, delay, ip in logins)
    ]

    assert bool(read([demanded, *in_order])) == bool(read([demanded, *shuffled]))


crowds = st.lists(st.tuples(st.integers(0, 40 * 60), st.sampled_from(CROWD)), min_size=100, max_size=400)


@given(crowd=crowds, window=st.sampled_from((5, 43_200)), mode=st.sampled_from(("enforce", "observe")))
@settings(slow, max_examples=20)
def test_an_account_under_attack_stays_small(crowd: list[tuple[int, str]], window: int, mode: str):
    """At most 64 networks are kept and listed, however many come and in whatever order."""
    demanded = policy(window, allowed_ips=3, block_time=1, mode=mode)
    machine = Machine(LATENESS_MS)
    now_ms = START_MS + DAY_MS
    machine.read(demanded)

    written = [
        output
        for i, (s, ip) in enumerate(crowd)
        for output in machine.read(login(now_ms - s * SECOND_MS, now_ms + i, ip))
    ]

    state = unpack(machine.engine.accounts[0]["user@example.org"])
    assert len(state.networks) <= 64
    assert all(len(kept.runs) <= 64 for kept in state.networks.values())
    assert all(len(record["networks"]) <= 64 for topic, record in written if topic == "incidents")


visits = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 4), st.booleans()), max_size=40)


@given(visits=visits, crowd=st.integers(50, 70), familiar_days=st.integers(1, 3), off=st.booleans())
@settings(slow, max_examples=40)
def test_the_networks_that_stay_are_those_that_the_model_keeps(
    visits: list[tuple[int, int, bool]], crowd: int, familiar_days: int, off: bool
):
    """Homes visited on some of five days, then a crowd: who is let go shows in what the block leaves open."""
    ways = {"allowed_ips": 50, "block_time": 5, "familiar_days": familiar_days}
    records = [policy(60, **ways)]
    for home, day, evening in sorted(visits, key=lambda visit: (visit[1], visit[2])):
        time = START_MS + day * DAY_MS + evening * 60 * MINUTE_MS
        records.append(login(time, time, f"192.0.2.{home}"))
    attack_ms = START_MS + 5 * DAY_MS
    if off:  # nobody of the first half of the crowd counts, so that they are let go before the homes of one day
        records.append(policy(0, **ways))
    for i in range(crowd):
        if off and i == crowd // 2:
            records.append(policy(60, **ways))
        records.append(login(attack_ms + i * SECOND_MS, attack_ms + i * SECOND_MS, CROWD[i]))
    records.append(policy(60, **{**ways, "allowed_ips": 2}))
    records += [
        login(attack_ms + (100 + i) * SECOND_MS, attack_ms + (100 + i) * SECOND_MS, f"203.0.113.{i}") for i in (1, 2, 3)
    ]

    assert first_difference(10, records) is None


@given(log=logs())
@settings(slow, max_examples=50)
def test_two_readings_of_a_log_write_the_same_bytes(log: tuple[Flavour, list[Step]]):
    """Nothing depends on chance, on a clock or on an order of sets."""
    kind, records = log
    assume(records)

    assert read(records, kind.lateness * MINUTE_MS) == read(records, kind.lateness * MINUTE_MS)
