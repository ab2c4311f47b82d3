"""
The producer of every process: idempotent, acknowledged by all copies, partitioned like Java.

Decision: nobody can ignore a lost record. A failed delivery is remembered, and every later `send`, `poll` and `flush`
raises DeliveryError; only with `policy="report"`, and only where `on_delivery` takes the error, is it the caller's to
count (a door that buffers while Kafka is away). Polling is the caller's job: a thread that polls beside the worker nearly
halves its rate, so `start_polling` is for processes that send little.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, Literal

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, Message

from streams.bus.clients import client_config, new_producer, reason
from streams.errors import DeliveryError
from streams.settings import Settings

OnDelivery = Callable[[DeliveryError | None], None]
OnPlaced = Callable[[int, int], None]
"""Told the partition and the offset that an acknowledged record got."""
Headers = Sequence[tuple[str, bytes]]

QUEUE_WAIT_S = 0.05
POLL_S = 0.1
ENDED = "librdkafka has ended this producer, and its line FATAL on standard error says why"
PURGED = (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT)  # noqa: SLF001
"""What becomes of the records of a producer that has ended; they may be told of before the reason is."""
PURGE_S = 1.0
"""librdkafka needs far less to give up its records."""


class Producer:
    """
    Sends records to Kafka and remembers every one that was lost.

    `delivery_timeout_ms` bounds how long a record is retried; a broker may be away for less than that without harm.
    At most `queue_records` wait in memory: a `strict` producer then waits up to the delivery timeout, a `report` one
    refuses at once. `on_fatal` is told the first remembered error, in the thread that polls.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        policy: Literal["strict", "report"] = "strict",
        on_fatal: Callable[[DeliveryError], None] | None = None,
        delivery_timeout_ms: int = 120_000,
        queue_records: int = 100_000,
        linger_ms: float = 5,
    ) -> None:
        self.failure: DeliveryError | None = None
        self.last_error: str | None = None
        """Why the brokers cannot be reached; None as soon as something is acknowledged again."""
        self._strict = policy == "strict"
        self._on_fatal = on_fatal
        self._queue_wait_s = delivery_timeout_ms / 1000 if self._strict else 0.0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._gives_up = False
        self._client: confluent_kafka.Producer | _Closed = new_producer(
            {
                **client_config(settings),
                "acks": "all",
                "enable.idempotence": True,
                "partitioner": "murmur2_random",  # librdkafka's default is CRC32: one account on two workers
                "delivery.timeout.ms": delivery_timeout_ms,
                "linger.ms": linger_ms,
                "queue.buffering.max.messages": queue_records,
                "queue.buffering.max.kbytes": 262_144,
                "error_cb": self._on_error,
            }
        )
        self._produce = self._client.produce

    def __len__(self) -> int:
        """Records not yet acknowledged."""
        return len(self._client)

    def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: str | bytes | None,
        timestamp_ms: int = 0,
        headers: Headers | None = None,
        partition: int | None = None,
        on_delivery: OnDelivery | None = None,
        on_placed: OnPlaced | None = None,
    ) -> None:
        """
        Queue one record; it is on its way, not yet delivered.

        `timestamp_ms` 0 is now; `partition` None is decided by the key. `on_placed` is called before `on_delivery`, and only
        together with one. Raises DeliveryError when an earlier record was
        lost, or when this one cannot even be queued.
        """
        if self.failure is not None:
            raise self.failure
        callback = self._delivered if on_delivery is None else self._reporting(on_delivery, on_placed)
        arguments: dict[str, Any] = {"key": key, "timestamp": timestamp_ms, "on_delivery": callback}
        if headers:
            arguments["headers"] = list(headers)
        if partition is not None:
            arguments["partition"] = partition
        try:
            self._produce(topic, value, **arguments)
        except BufferError:
            self._send_when_room(topic, value, arguments, on_delivery)
        except KafkaException as error:
            self._refused(topic, reason(error), on_delivery)

    def poll(self, timeout_s: float = 0) -> int:
        """Serve delivery reports; returns how many. Raises DeliveryError when a record was lost."""
        served = self._serve("poll", timeout_s)
        self._raise()
        return served

    def flush(self, timeout_s: float) -> None:
        """
        Wait until everything sent is acknowledged.

        Raises DeliveryError when a record was lost, or when some are not acknowledged in time (they stay queued).
        """
        left = self._serve("flush", timeout_s)
        self._raise()
        if left:
            why = f": {self.last_error}" if self.last_error else ""
            raise DeliveryError(
                f"Kafka did not acknowledge {left} records within {timeout_s:g} s{why}."
                " Check that the brokers are up and have enough in-sync replicas"
            )

    def start_polling(self) -> None:
        """Serve delivery reports in a thread of their own until `close`; callbacks run in that thread."""
        self._thread = threading.Thread(target=self._poll_until_stopped, name="kafka-producer-poll", daemon=True)
        self._thread.start()

    async def poll_forever(self, interval_s: float = 0.02) -> None:
        """Serve delivery reports on the running event loop until cancelled. Raises DeliveryError as `poll` does."""
        while True:
            self.poll(0)
            await asyncio.sleep(interval_s)

    def close(self, timeout_s: float = 10) -> None:
        """
        Flush, then let go of the client: its threads and connections are gone when this returns, or raises.

        Raises as `flush` does; what is not acknowledged then is given up, and no `on_delivery` is told. Afterwards `send`,
        `poll` and `flush` raise DeliveryError, and another `close` does nothing.
        """
        if isinstance(self._client, _Closed):
            return
        try:
            self.flush(timeout_s)
        finally:
            self._stop.set()
            if self._thread is not None:
                self._thread.join()
            self._let_go()

    def give_up(self) -> None:
        """`close` for one that is of no more use: nothing is flushed, nobody waits, and no `on_delivery` is told any more."""
        self._gives_up = True
        self._stop.set()
        threading.Thread(target=self._let_go, name="kafka-producer-end", daemon=True).start()

    def _let_go(self) -> None:
        """The client holds this object by its callbacks: unless it is forgotten here, only a look for garbage ends it."""
        if len(self._client):
            # each record holds a callback as well, where Python does not see it: librdkafka must be done with all of them
            self._gives_up = True
            self._client.purge()
            self._serve("flush", PURGE_S)
        self._client = _Closed(self.failure)
        self._produce = self._client.produce

    def _poll_until_stopped(self) -> None:
        while not self._stop.is_set() and self.failure is None:
            self._serve("poll", POLL_S)

    def _serve(self, call: Literal["poll", "flush"], timeout_s: float) -> int:
        """
        What a call returns that serves callbacks; of a producer that is at its end, 0, and the failure is remembered.

        After a fatal error confluent-kafka raises from the call itself, without `error_cb`: KafkaException, or a SystemError
        with that as its cause when callbacks follow, or without any. It never forgets some of these, and with them what is in
        this frame: so no variable here holds the client.
        """
        try:
            return int(getattr(self._client, call)(timeout_s))
        except (KafkaException, SystemError) as error:
            cause = error.__cause__ if isinstance(error, SystemError) else error
            why = reason(cause) if isinstance(cause, KafkaException) else self.last_error or ENDED
            self._remember(_delivery_error("any topic", why))
            return 0

    def _send_when_room(
        self, topic: str, value: bytes | None, arguments: dict[str, Any], on_delivery: OnDelivery | None
    ) -> None:
        deadline = monotonic() + self._queue_wait_s
        while monotonic() < deadline:
            self.poll(QUEUE_WAIT_S)
            try:
                self._produce(topic, value, **arguments)
            except BufferError:
                continue
            except KafkaException as error:
                self._refused(topic, reason(error), on_delivery)
            return
        self._refused(topic, "the local queue is full: Kafka takes records too slowly", on_delivery)

    def _refused(self, topic: str, why: str, on_delivery: OnDelivery | None) -> None:
        """A record that could not even be queued."""
        self._lost(_delivery_error(topic, why), on_delivery)
        self._raise()

    def _reporting(
        self, on_delivery: OnDelivery, on_placed: OnPlaced | None
    ) -> Callable[[KafkaError | None, Message], None]:
        def delivered(error: KafkaError | None, message: Message) -> None:
            if self._gives_up:
                return
            if error is None:
                self.last_error = None
                if on_placed is not None:
                    on_placed(message.partition() or 0, message.offset() or 0)
                on_delivery(None)
            else:
                self._undelivered(error, message, on_delivery)

        return delivered

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self.last_error = None
        elif not self._gives_up:  # otherwise `close` has said so
            self._undelivered(error, message, None)

    def _undelivered(self, error: KafkaError, message: Message, on_delivery: OnDelivery | None) -> None:
        why = ENDED if error.code() in PURGED else error.str()
        self._lost(_delivery_error(message.topic() or "", why), on_delivery)

    def _lost(self, error: DeliveryError, on_delivery: OnDelivery | None) -> None:
        """Remember a lost record unless the caller takes it."""
        if on_delivery is None or self._strict:
            self._remember(error)
        if on_delivery is not None:
            on_delivery(error)

    def _remember(self, error: DeliveryError) -> None:
        if self.failure is not None:
            return
        self.failure = error
        if self._on_fatal is not None:
            self._on_fatal(error)

    def _on_error(self, error: KafkaError) -> None:
        self.last_error = error.str()
        if error.fatal():
            # an idempotent producer sends nothing after this, whatever the policy
            self._remember(_delivery_error("any topic", error.str()))

    def _raise(self) -> None:
        if self.failure is not None:
            raise self.failure


class _Closed:
    """In the place of a client that was let go of: holds no records, and raises what went wrong, or that it is closed."""

    def __init__(self, failure: DeliveryError | None) -> None:
        self._failure = failure

    def __len__(self) -> int:
        return 0

    def produce(self, *_: object, **__: object) -> None:
        raise self._error()

    def poll(self, _timeout_s: float) -> int:
        raise self._error()

    def flush(self, _timeout_s: float) -> int:
        raise self._error()

    def _error(self) -> DeliveryError:
        return self._failure or DeliveryError("this producer is closed: it takes no more records")

    def purge(self) -> None:
        """There is nothing to give up."""


def _delivery_error(topic: str, why: str) -> DeliveryError:
    return DeliveryError(
        f"a record for {topic} was not delivered: {why}."
        " Check that the topic exists (loginwatch topics check) and that the brokers are up"
    )
