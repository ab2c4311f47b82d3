"""
A broker inside this process, for the demo and for tests: the mock cluster that librdkafka carries.

Decision: real TCP and the real protocol, nothing to install, other processes can connect. Its limits decide where it may
be used: nothing is on disk, topics are not compacted, each partition keeps at most 5 MiB or 100,000 records and lets go
of the oldest, it answers no administration (topics are made here; a producer's first record to an unknown name makes one
with 4 partitions), it knows no offsets by time, a group that exists waits a whole session timeout at every change of its
members, and a record's timestamp is the one its producer gave it. So: semantics and a short demo, never load,
retention, compaction or durability.
"""

import ctypes
import socket
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import confluent_kafka

from streams.errors import ConfigurationError, TopicError
from streams.settings import Settings
from streams.topology import all_topics

PRODUCE, FETCH, OFFSET_COMMIT = 0, 1, 8
"""Request kinds (Kafka's API keys) for `fail`."""
PRODUCER_TYPE = 0
ERROR_TEXT_BYTES = 512
KNOCK_EVERY_S = 0.02


class EmbeddedBroker:
    """
    A mock Kafka cluster with every topic of `settings`, alive inside the `with` block.

    `settings` of the broker are the given ones with its address. `down`, `up`, `slow` and `fail` are faults for tests.
    """

    def __init__(self, settings: Settings | None = None, *, brokers: int = 1) -> None:
        given = settings or Settings()
        self._brokers = brokers
        self._library = _library()
        self._client: int | None = None
        self._cluster: int | None = None
        self._client = _new_client(self._library)
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._client, brokers)
        if not self._cluster:
            raise ConfigurationError("the embedded broker cannot listen on 127.0.0.1: is the loopback interface up?")
        self._library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)
        self.bootstrap_servers: str = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()
        self.settings = given.model_copy(
            update={"bootstrap_servers": self.bootstrap_servers, "security_protocol": "PLAINTEXT"}
        )
        with self._awake():
            for topic in all_topics(given):
                self._create(topic.name, topic.partitions(given))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def create_topic(self, name: str, partitions: int) -> None:
        """Make one topic. Raises TopicError when librdkafka refuses (the topic exists, or the name is impossible)."""
        with self._awake():
            self._create(name, partitions)

    def down(self) -> None:
        """Close every connection and take no new ones, as a stopped broker does. Records are kept."""
        with self._awake():
            for broker in self._each():
                self._library.rd_kafka_mock_broker_set_down(self._cluster, broker)

    def up(self) -> None:
        """Take connections again."""
        with self._awake():
            for broker in self._each():
                self._library.rd_kafka_mock_broker_set_up(self._cluster, broker)

    def slow(self, round_trip_ms: int) -> None:
        """Answer every request this many milliseconds late; 0 is at once."""
        with self._awake():
            for broker in self._each():
                self._library.rd_kafka_mock_broker_set_rtt(self._cluster, broker, round_trip_ms)

    def fail(self, request: int, errors: Sequence[int]) -> None:
        """Answer the next requests of this kind (Kafka's API key) with these error codes, one each."""
        codes = (ctypes.c_int * len(errors))(*errors)
        self._library.rd_kafka_mock_push_request_errors_array(self._cluster, request, len(errors), codes)

    def close(self) -> None:
        """End the broker; everything on it is gone."""
        if self._cluster:
            self._library.rd_kafka_mock_cluster_destroy(self._cluster)
            self._cluster = None
        if self._client:
            self._library.rd_kafka_destroy(self._client)
            self._client = None

    def _create(self, name: str, partitions: int) -> None:
        code = self._library.rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, self._brokers)
        if code:
            text = self._library.rd_kafka_err2str(code).decode()
            raise TopicError(f"the embedded broker cannot make topic {name} with {partitions} partitions: {text}")

    @contextmanager
    def _awake(self) -> Iterator[None]:
        """
        Keep the cluster's thread from sleeping while it is told something.

        It misses now and then that there is something to do and then sleeps for a second; a connection wakes it.
        """
        host, _, port = self.bootstrap_servers.partition(",")[0].rpartition(":")
        done = threading.Event()

        def knock() -> None:
            while not done.wait(KNOCK_EVERY_S):
                with suppress(OSError):
                    socket.create_connection((host, int(port)), 1).close()

        knocking = threading.Thread(target=knock, name="embedded-broker-knock", daemon=True)
        knocking.start()
        try:
            yield
        finally:
            done.set()
            knocking.join()

    def _each(self) -> Iterable[int]:
        return range(1, self._brokers + 1)


def _library() -> ctypes.CDLL:
    """The library as confluent-kafka's wheel carries it, with the types of what is called here."""
    package = Path(confluent_kafka.__file__).parent
    places = (package.parent / "confluent_kafka.libs", package / ".dylibs")
    for path in (found for place in places for found in sorted(place.glob("librdkafka*"))):
        with suppress(OSError, AttributeError):
            return _typed(ctypes.CDLL(str(path)))
    raise ConfigurationError(
        "the embedded broker needs the librdkafka inside confluent-kafka's wheel, which is not there:"
        " install confluent-kafka from PyPI's wheel, or use a real Kafka (deploy/kafka)"
    )


def _typed(library: ctypes.CDLL) -> ctypes.CDLL:
    pointer, integer, text, size = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t
    for name, result, arguments in (
        ("rd_kafka_conf_new", pointer, []),
        ("rd_kafka_conf_set", integer, [pointer, text, text, text, size]),
        ("rd_kafka_new", pointer, [integer, pointer, text, size]),
        ("rd_kafka_destroy", None, [pointer]),
        ("rd_kafka_err2str", text, [integer]),
        ("rd_kafka_mock_cluster_new", pointer, [pointer, integer]),
        ("rd_kafka_mock_cluster_destroy", None, [pointer]),
        ("rd_kafka_mock_cluster_bootstraps", text, [pointer]),
        ("rd_kafka_mock_topic_create", integer, [pointer, text, integer, integer]),
        ("rd_kafka_mock_broker_set_down", integer, [pointer, ctypes.c_int32]),
        ("rd_kafka_mock_broker_set_up", integer, [pointer, ctypes.c_int32]),
        ("rd_kafka_mock_broker_set_rtt", integer, [pointer, ctypes.c_int32, integer]),
        ("rd_kafka_mock_group_initial_rebalance_delay_ms", None, [pointer, ctypes.c_int32]),
        ("rd_kafka_mock_push_request_errors_array", None, [pointer, ctypes.c_int16, size, ctypes.POINTER(integer)]),
    ):
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library


def _new_client(library: ctypes.CDLL) -> int:
    text = ctypes.create_string_buffer(ERROR_TEXT_BYTES)
    conf = library.rd_kafka_conf_new()
    # silences the warning that a mock cluster is for testing
    library.rd_kafka_conf_set(conf, b"log_level", b"2", text, ERROR_TEXT_BYTES)
    client: int | None = library.rd_kafka_new(PRODUCER_TYPE, conf, text, ERROR_TEXT_BYTES)
    if not client:
        raise ConfigurationError(f"the embedded broker cannot start: {text.value.decode(errors='replace')}")
    return client
