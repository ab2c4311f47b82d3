"""Recovery from the changelog, on a real Kafka."""

from collections.abc import Callable
from typing import Any

import pytest

from streams.bus.clients import client_config, new_producer
from streams.bus.murmur2 import partition_for
from streams.engine.accounts import PlainAccounts
from streams.errors import ConfigurationError
from streams.settings import Settings
from streams.topology import changelog
from streams.worker.changelog import Cancelled, ChangelogReader, States
from tests.eventually import eventually
from tests.worker.harness import configure, everything, send
from tests.worker.stand_in import STATE, StandInForm

pytestmark = pytest.mark.kafka

ALL = {0, 1, 2, 3}


def state(offset: int, count: int) -> bytes:
    return STATE.pack(offset, -1, -1, count, b"")


def read(settings: Settings, report: Callable[[int, int], None] = lambda _done, _total: None) -> States:
    return ChangelogReader(settings, changelog(settings).name, StandInForm(), report).read(ALL)


def write(settings: Settings, *records: tuple[bytes | None, bytes | None]) -> None:
    send(settings, ((changelog(settings).name, key, value) for key, value in records))


def test_an_empty_changelog_is_read_at_once(kafka_settings: Settings) -> None:
    """The first start of an installation has nothing to wait for."""
    assert read(kafka_settings) == {0: {}, 1: {}, 2: {}, 3: {}}


def test_every_account_has_its_last_state(kafka_settings: Settings) -> None:
    """Later records replace earlier ones, and the progress ends at the number of records."""
    accounts = [f"user{number}@example.org" for number in range(300)]
    write(kafka_settings, *((a.encode(), state(n, n)) for n in (1, 2, 3) for a in accounts))
    told: list[tuple[int, int]] = []

    states = read(kafka_settings, lambda done, total: told.append((done, total)))

    for partition, held in states.items():
        assert held == {a: state(3, 3) for a in accounts if partition_for(a.encode(), 4) == partition}
    assert told[0] == (0, 900)
    assert told[-1] == (900, 900)


def test_an_older_state_never_replaces_a_newer_one(kafka_settings: Settings) -> None:
    """What a worker wrote after it had lost its accounts, without knowing, does no harm."""
    write(kafka_settings, (b"a@example.org", state(20, 2)), (b"a@example.org", state(10, 1)))

    states = read(kafka_settings)

    assert states[partition_for(b"a@example.org", 4)] == {"a@example.org": state(20, 2)}


def test_a_tombstone_removes_an_account(kafka_settings: Settings) -> None:
    """Also as the last record of a partition, where Faust's own recovery would wait for ever."""
    write(kafka_settings, (b"a@example.org", state(1, 1)), (b"a@example.org", None))

    assert all(held == {} for held in read(kafka_settings).values())


def test_a_state_that_cannot_be_read_refuses_the_start(kafka_settings: Settings) -> None:
    """Going on without it would forget what the account did: the operator decides."""
    write(kafka_settings, (b"a@example.org", b"written by a version of tomorrow"))

    with pytest.raises(ConfigurationError, match=r"account 'a@example.org'.*cannot be read.*tombstone"):
        read(kafka_settings)


def test_an_unreadable_state_behind_a_good_one_refuses_too(kafka_settings: Settings) -> None:
    """It may be the newer one."""
    write(kafka_settings, (b"a@example.org", state(1, 1)), (b"a@example.org", b""))

    with pytest.raises(ConfigurationError, match="cannot be read"):
        read(kafka_settings)


def test_a_missing_changelog_is_said(kafka_settings: Settings) -> None:
    """The operator is told which command makes it."""
    reader = ChangelogReader(kafka_settings, "no-such-changelog", StandInForm(), lambda *_: None, missing_s=1)

    with pytest.raises(ConfigurationError, match="topics create"):
        reader.read({0})


def test_a_changelog_whose_tail_was_deleted_is_read_to_its_end(kafka_settings: Settings) -> None:
    """The end that the broker reports counts, not a record at the offset before it (transaction markers leave such gaps)."""
    topic = changelog(kafka_settings).name
    producer = new_producer({**client_config(kafka_settings), "transactional.id": "gap"})
    producer.init_transactions(30)
    for _ in range(3):
        producer.begin_transaction()
        producer.produce(topic, state(1, 1), b"a@example.org", partition_for(b"a@example.org", 4))
        producer.commit_transaction(30)

    states = read(kafka_settings)

    assert states[partition_for(b"a@example.org", 4)] == {"a@example.org": state(1, 1)}


@pytest.mark.timeout(180)
def test_a_compacted_changelog_gives_the_same_states(kafka_settings: Settings) -> None:
    """Compaction leaves holes in the offsets and changes nothing else."""
    topic = changelog(kafka_settings).name
    configure(kafka_settings, topic, segment_bytes="1048576", min_cleanable_dirty_ratio="0.01")
    accounts = [f"user{number}@example.org".encode() for number in range(20_000)]
    for count in (1, 2, 3):
        write(kafka_settings, *((account, state(count, count)) for account in accounts))
    eventually(lambda: len(everything(kafka_settings, topic)) < 3 * len(accounts), 120, what="the broker has compacted")

    states = read(kafka_settings)

    held = {account: packed for accounts in states.values() for account, packed in accounts.items()}
    assert held == {account.decode(): state(3, 3) for account in accounts}


def test_what_goes_wrong_while_states_are_loaded_ends_the_recovery(kafka_settings: Settings) -> None:
    """The system has no more memory, say; a worker must not start with the accounts that it had room for."""

    class Full(PlainAccounts):
        def load(self, data: Any, table: Any, other: Callable[[int], None]) -> None:
            raise OSError("no more memory")

    write(kafka_settings, (b"a@example.org", state(1, 1)))
    topic = changelog(kafka_settings).name
    reader = ChangelogReader(kafka_settings, topic, StandInForm(), lambda _done, _total: None, new_accounts=Full)
    with pytest.raises(OSError, match="no more memory"):
        reader.read(ALL)


def test_a_recovery_that_is_not_needed_any_more_ends(kafka_settings: Settings) -> None:
    """The next rebalance does not wait for it."""
    reader = ChangelogReader(kafka_settings, changelog(kafka_settings).name, StandInForm(), lambda _done, _total: None)
    reader.cancel()

    with pytest.raises(Cancelled):
        reader.read(ALL)
