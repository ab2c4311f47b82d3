"""Which states a worker keeps over a rebalance, and which it reads again."""

import pytest

from streams.engine.accounts import PlainAccounts
from streams.settings import Settings
from streams.worker.changelog import States
from streams.worker.progress import Progress
from streams.worker.table import Accounts
from tests.worker.stand_in import StandIn, StandInForm


class Reading(Accounts):
    """Accounts that note what is read instead of asking Kafka."""

    read: list[set[int]]

    async def _read(self, partitions: set[int]) -> States:
        self.read.append(set(partitions))
        states: States = {partition: PlainAccounts() for partition in partitions}
        for partition, held in states.items():
            held.put(f"account{partition}", b"read")
        return states


@pytest.fixture
def engine() -> StandIn:
    return StandIn()


@pytest.fixture
def accounts(engine: StandIn) -> Reading:
    accounts = Reading(Settings(), engine, StandInForm(), Progress())
    accounts.read = []
    return accounts


async def test_the_next_generation_keeps_what_it_held(accounts: Reading, engine: StandIn) -> None:
    """Nobody else can have written: only new partitions are read, and those given away are forgotten."""
    await accounts.recover({0, 1}, 5)
    engine.accounts[0].keep("account0", b"newer")

    await accounts.recover({0, 2}, 6)

    assert accounts.read == [{0, 1}, {2}]
    assert engine.accounts == {0: {"account0": b"newer"}, 2: {"account2": b"read"}}


async def test_a_generation_that_was_missed_means_reading_everything(accounts: Reading) -> None:
    """Another worker may have had the accounts in between."""
    await accounts.recover({0, 1}, 5)

    await accounts.recover({0, 1}, 7)

    assert accounts.read == [{0, 1}, {0, 1}]


async def test_a_batch_that_was_given_up_means_reading_everything(accounts: Reading) -> None:
    """What it did in memory never reached the changelog."""
    await accounts.recover({0, 1}, 5)
    accounts.distrust()

    await accounts.recover({0, 1}, 6)

    assert accounts.read == [{0, 1}, {0, 1}]


async def test_a_recovery_that_failed_is_not_built_upon(accounts: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    """The generation counts only when its recovery was completed."""
    await accounts.recover({0}, 5)

    async def fail(_partitions: set[int]) -> States:
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr(accounts, "_read", fail)
        with pytest.raises(OSError):
            await accounts.recover({0, 1}, 6)

    await accounts.recover({0, 1}, 7)

    assert accounts.read == [{0}, {0, 1}]
