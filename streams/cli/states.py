"""
The workers' states of accounts in a backup: lines of `loginwatch export accounts`, and back by `loginwatch import`.

Decision: a state counts the offsets that it has applied, and those mean nothing on other topics. So a line has none, and the
import, which has written the input records before, puts in where these end: the worker that reads them skips them all as
applied. What the states knew (familiar networks, blocks, cut-offs, open incidents) goes on as if nothing had happened.
"""

import base64
import binascii
from collections.abc import Iterator
from typing import Any

import orjson
from confluent_kafka import Consumer, KafkaException, TopicPartition
from tenacity import Retrying, retry_if_exception_type, retry_if_result, stop_after_delay, wait_fixed

from streams.bus.clients import Heard, new_consumer
from streams.bus.murmur2 import partition_for
from streams.bus.partitions import ASK_TIMEOUT_S, Place, bulk_config, partitions_of, watermarks
from streams.core.refusal import Refused
from streams.core.state import NONE, AccountState, pack, unpack
from streams.errors import BrokerUnavailableError
from streams.records.times import FIRST_MS
from streams.settings import Settings
from streams.topology import ACCOUNTS_TABLE, COMMANDS, LOGINS, SUBMISSIONS, WORKER_INPUTS, changelog
from streams.worker.changelog import ChangelogReader
from streams.worker.form import PackedStates

NAME = ACCOUNTS_TABLE
"""What the states are called beside the names of topics."""
SETTLED_WITHIN_S = 20
COMMITTED_WITHIN_S = 2


def exported(settings: Settings) -> Iterator[bytes]:
    """A line for each account that a worker holds. Raises ConfigurationError for a state of a newer version."""
    reader = ChangelogReader(settings, changelog(settings).name, PackedStates(), lambda _done, _total: None)
    for accounts in reader.read(range(settings.partitions)).values():
        for account, packed in accounts.items():
            state = unpack(packed)
            value = base64.b64encode(_with_offsets(state, {})).decode()
            line = {"topic": NAME, "timestamp": max(FIRST_MS, state.newest_ms), "key": account, "value": value}
            yield orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def orders_waiting(settings: Settings) -> int | None:
    """
    How many records of `account-commands` no worker has carried out, so that the states do not know them.

    Waits a moment for the workers, which commit twice a second. None = Kafka does not say. Raises BrokerUnavailableError or
    TopicError.
    """
    heard = Heard()
    consumer = new_consumer(bulk_config(settings, settings.app, heard))
    try:
        places = partitions_of(consumer, settings, [COMMANDS.name], heard)
        retrying = Retrying(
            retry=retry_if_result(lambda number: number != 0),
            stop=stop_after_delay(COMMITTED_WITHIN_S),
            wait=wait_fixed(0.2),
            retry_error_callback=lambda last: last.outcome.result(),  # type: ignore[union-attr]
        )
        return retrying(_uncommitted, consumer, settings, places)
    except KafkaException:
        return None
    finally:
        consumer.close()


def checked(value: Any) -> bytes:
    """The packed state of a line. Raises Refused for what is none, or of a newer version."""
    try:
        packed = base64.b64decode(value, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise Refused("bad-state", f"no state of an account: {error}") from error
    unpack(packed)
    return packed


class Ends:
    """Where the input topics end now: up to there a state that is written has applied everything."""

    def __init__(self, settings: Settings) -> None:
        """Raises BrokerUnavailableError or TopicError. Asks again for a moment: topics that were just made have no leader yet."""
        self._partitions = settings.partitions
        retrying = Retrying(
            retry=retry_if_exception_type(BrokerUnavailableError),
            stop=stop_after_delay(SETTLED_WITHIN_S),
            wait=wait_fixed(0.2),
            reraise=True,
        )
        self._next = retrying(_ends, settings)

    def packed(self, account: str, packed: bytes) -> bytes:
        """The state as one that has applied all input records of its account's partition."""
        partition = partition_for(account.encode(), self._partitions)
        return _with_offsets(
            unpack(packed), {topic.name: self._next[topic.name, partition] - 1 for topic in WORKER_INPUTS}
        )


def _ends(settings: Settings) -> dict[Place, int]:
    heard = Heard()
    consumer = new_consumer(bulk_config(settings, f"{settings.app}-reader", heard))
    try:
        places = partitions_of(consumer, settings, [topic.name for topic in WORKER_INPUTS], heard)
        return {place: watermarks(consumer, settings, place)[1] for place in places}
    finally:
        consumer.close()


def _uncommitted(consumer: Consumer, settings: Settings, places: list[Place]) -> int:
    found = consumer.committed([TopicPartition(*place) for place in places], timeout=ASK_TIMEOUT_S)
    number = 0
    for part in found:
        first, end = watermarks(consumer, settings, (part.topic, part.partition))
        number += max(0, end - max(part.offset, first))
    return number


def _with_offsets(state: AccountState, applied: dict[str, int]) -> bytes:
    state.login_offset = applied.get(LOGINS.name, NONE)
    state.messages.offset = applied.get(SUBMISSIONS.name, NONE)
    state.command_offset = applied.get(COMMANDS.name, NONE)
    return pack(state)
