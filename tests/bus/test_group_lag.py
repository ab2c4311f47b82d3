"""How far a group is behind, seen from outside."""

from collections.abc import Iterator

import pytest
from confluent_kafka import TopicPartition

from streams.bus.clients import new_consumer
from streams.bus.embedded import EmbeddedBroker
from streams.bus.group_lag import GroupLag
from streams.bus.partitions import reader_config
from streams.bus.producer import Producer
from streams.settings import Settings
from streams.topology import LOGINS, SUBMISSIONS
from tests.eventually import eventually

SOON_S = 0.05


@pytest.fixture
def lag(embedded: EmbeddedBroker) -> Iterator[GroupLag]:
    """One that looks all the time, and finds late what is there at a second look."""
    looking = GroupLag(embedded.settings, "somebody", (LOGINS, SUBMISSIONS), every_s=SOON_S, late_s=SOON_S)
    yield looking
    looking.stop()


def write(settings: Settings, number: int) -> None:
    producer = Producer(settings)
    for _ in range(number):
        producer.send(LOGINS.name, b"x", key="a@example.org", partition=0)
    producer.flush(10)
    producer.close()


def commit(settings: Settings, offset: int) -> None:
    member = new_consumer(reader_config(settings, "somebody"))
    member.commit(offsets=[TopicPartition(LOGINS.name, 0, offset)], asynchronous=False)
    member.close()


def test_what_is_not_committed_is_behind_and_soon_overdue(embedded: EmbeddedBroker, lag: GroupLag) -> None:
    """Before the group has committed anything all records are; afterwards those beyond its positions."""
    write(embedded.settings, 7)
    lag.start()

    eventually(lambda: (lag.behind, lag.overdue) == (7, 7), 20, what="all of them are behind")
    commit(embedded.settings, 5)
    eventually(lambda: (lag.behind, lag.overdue) == (2, 2), 20, what="two are left")
    commit(embedded.settings, 7)
    eventually(lambda: (lag.behind, lag.overdue) == (0, 0), 20, what="none is left")

    assert lag.last_error is None


def test_records_that_just_came_are_behind_but_not_overdue(embedded: EmbeddedBroker) -> None:
    """A busy group that is well is always a little behind."""
    patient = GroupLag(embedded.settings, "somebody", (LOGINS,), every_s=SOON_S, late_s=3600)
    write(embedded.settings, 3)
    patient.start()

    eventually(lambda: patient.behind == 3, 20, what="they are behind")
    patient.stop()

    assert patient.overdue == 0


def test_without_kafka_it_says_why_until_kafka_is_back(embedded: EmbeddedBroker, lag: GroupLag) -> None:
    """Nothing is known then, and nothing ends."""
    embedded.down()
    lag.start()
    eventually(lambda: lag.last_error is not None, 30, what="the error is told")
    known = lag.behind
    embedded.up()
    eventually(lambda: lag.last_error is None and lag.behind == 0, 30, what="it looks again")

    assert known is None
