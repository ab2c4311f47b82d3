"""States that are remembered: whatever is remembered, the same is judged, written and stored."""

from hypothesis import given

from streams.core.overview import Overview, total_logins
from streams.core.recent import MOST_NETWORKS, RecentStates
from streams.core.state import BUSY, HEADER, AccountState, pack, unpack
from tests.core.histories import LATENESS_MS, login, logs, policy, slow
from tests.model.compare import Machine
from tests.model.generators import CROWD, START_MS, Flavour, Step
from tests.model.values import MINUTE_MS

USER = "user@example.org"


def same_with_and_without(lateness_ms: int, records: list[Step]) -> int:
    """Read a log twice, once with nothing remembered from one record to the next. How many records found a state remembered."""
    remembering, forgetful = Machine(lateness_ms), Machine(lateness_ms)
    found = 0
    for step in records:
        found += USER in remembering.engine._recent._states
        forgetful.engine._recent.forget()
        assert remembering.read(step) == forgetful.read(step)
        for partition, accounts in remembering.engine.accounts.items():
            assert accounts.get(USER) == forgetful.engine.accounts[partition].get(USER)
        for packed, state in remembering.engine._recent._states.values():
            holds(packed, state)
    return found


def holds(packed: bytes, state: AccountState) -> None:
    """Whether a remembered state is that of its bytes, and its overview that of its networks."""
    assert unpack(packed) == state
    overview, state.overview = state.overview, None
    assert pack(state) == packed
    state.overview = overview
    if overview is not None:
        kept = state.networks.values()
        assert overview.logins == total_logins(kept)
        assert all(item.last_ms >= overview.oldest_ms for item in kept)
        assert all(last >= overview.run_end_ms for item in kept for _, last in item.runs)
        assert pack(state) == packed


@slow
@given(log=logs())
def test_what_is_remembered_changes_nothing(log: tuple[Flavour, list[Step]]) -> None:
    """The same outputs and the same stored bytes of any log, whether states are remembered or always unpacked."""
    kind, records = log

    same_with_and_without(kind.lateness * MINUTE_MS, records)


def test_a_crowd_of_thieves_is_judged_the_same() -> None:
    """More networks than are kept, in and out of order, known and new, while the incident of the account is open."""
    for mode in ("enforce", "observe"):
        demanded = policy(60, allowed_ips=3, allowed_countries=2, block_time=1, mode=mode)
        logins = [
            login(START_MS + i * 900 - (i % 7 == 3) * 5000, START_MS + i * 1000, CROWD[i * 7 % (10 + i)])
            for i in range(200)
        ]

        assert same_with_and_without(LATENESS_MS, [demanded, *logins]) > 100


def attack(**fields: int | str) -> list[Step]:
    """A policy, and the logins that open an incident by it."""
    logins = [login(START_MS + i * 1000, START_MS + i * 1000, CROWD[i]) for i in range(6)]
    return [policy(60, allowed_ips=3, **fields), *logins]


def test_a_login_dated_before_all_others_is_not_overlooked() -> None:
    """Its run is the first that is let go, and its network the one unused for longest."""
    now_ms = START_MS + 7000
    late = [login(START_MS - 5 * MINUTE_MS, now_ms, CROWD[7]), login(now_ms, now_ms, CROWD[8])]

    assert same_with_and_without(LATENESS_MS, [*attack(mode="observe"), *late]) == 4


def test_a_safe_network_that_is_new_is_left_out_like_those_known() -> None:
    """It is looked for among the safe ones when it comes, not with each revision."""
    now_ms = START_MS + 7000
    value = {"scope": "everyone", "network": f"{CROWD[7]}/32", "description": "office", "actor": "test", "time": now_ms}
    safe = Step("safe-networks", now_ms, value, f"everyone {CROWD[7]}/32")
    rest = [login(now_ms + i, now_ms + i, CROWD[i]) for i in (6, 7, 8)]

    assert same_with_and_without(LATENESS_MS, [*attack(mode="observe"), safe, *rest]) == 6


def test_a_restart_during_a_block_is_seen() -> None:
    """Another window: no network is present any more, while the incident of the block stays."""
    now_ms = START_MS + 7000

    restart = [policy(30, allowed_ips=3, block_time=30), login(now_ms, now_ms, CROWD[7])]

    assert same_with_and_without(LATENESS_MS, [*attack(block_time=30), *restart]) == 4


def busy_state(networks: int) -> tuple[bytes, AccountState]:
    """A state that every login judges in full, for the date of its logins."""
    machine = Machine(LATENESS_MS)
    machine.read(policy(60, allowed_ips=1, mode="observe"))
    for i in range(networks):
        machine.read(login(START_MS + i, START_MS + i, CROWD[i]))
    packed = machine.engine.accounts[0].get(USER)
    assert packed is not None
    assert packed[1] & BUSY
    return packed, unpack(packed)


def test_a_state_is_taken_once_and_only_for_its_own_bytes() -> None:
    """What was changed by others (a command, a message) is unpacked."""
    packed, state = busy_state(5)
    recent = RecentStates()

    recent.put(USER, packed, state)
    assert recent.take(USER, packed) is state
    assert recent.take(USER, packed) is not state

    recent.put(USER, packed, state)
    other = packed[:4] + (99).to_bytes(8, "little") + packed[12:]
    assert recent.take(USER, other).login_offset == 99


def test_the_states_judged_longest_ago_are_forgotten() -> None:
    """Bounded by the number of networks, whatever accounts they are of."""
    packed, _ = busy_state(40)
    recent = RecentStates()
    fitting = MOST_NETWORKS // 40

    for i in range(fitting + 10):
        recent.put(f"{i}@example.org", packed, unpack(packed))

    assert list(recent._states) == [f"{i}@example.org" for i in range(10, fitting + 10)]
    assert recent._networks == fitting * 40


def test_a_usual_account_is_not_remembered() -> None:
    """Its next login does not ask for its unpacked state."""
    recent = RecentStates()
    state = AccountState()

    recent.put(USER, pack(state), state)

    assert recent._states == {}


def test_an_overview_that_was_not_told_enough_says_so() -> None:
    """Of two changes between two packings, or of a network that came to another country, it knows nothing."""
    packed, state = busy_state(5)
    one, two, *_ = state.networks.values()

    def overview() -> Overview:
        return Overview(state.networks.values(), packed[HEADER.size :])

    assert not overview().note(one, one.last_ms, "XX", is_new=False)
    twice = overview()
    assert twice.note(one, one.last_ms, one.country, is_new=False)
    assert not twice.note(two, two.last_ms, two.country, is_new=False)
