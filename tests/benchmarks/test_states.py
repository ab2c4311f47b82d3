"""The accounts that the benchmarks make up are accounts that the worker takes for its own."""

from benchmarks.harness.states import States, address, logins, name
from benchmarks.state import _engine
from streams.core.state import login_offset, unpack
from streams.topology import LOGINS
from streams.worker.form import PackedStates

NOW_MS = 1_767_600_000_000
NETWORKS = 3


def test_a_state_made_up_is_one_that_recovery_accepts() -> None:
    """It has the networks of its account, in order, and no login of any topic applied."""
    packed = States(NETWORKS, NOW_MS).packed(70_001)

    PackedStates().check(packed)
    assert login_offset(packed) == -1
    assert {str(network) for network in unpack(packed).networks} == {
        f"{address(70_001, n)}/32" for n in range(NETWORKS)
    }


def test_accounts_made_up_are_known_to_the_engine_when_they_log_in() -> None:
    """No network is added and nothing is written: each login comes from a network of its account."""
    engine = _engine()
    states = States(NETWORKS, NOW_MS)
    for key, packed in states.all(50):
        engine.held(0).put(key.decode(), packed)

    for offset, (key, raw) in enumerate(logins(50, 300, NETWORKS, NOW_MS, seed=1)):
        engine.process(LOGINS.name, 0, offset, NOW_MS + 1000, key, raw)

    assert engine.take().outputs == []
    assert {len(packed) for packed in engine.accounts[0].values()} == {states.size}
    assert set(engine.accounts[0]) == {name(number).decode() for number in range(50)}
