"""
Produce requests written to Kafka's connections as they were built, without copies, by a member that still may.

aiokafka connects (TLS, SASL), knows the leaders and reads the answers; its own way to send copies a request eight times.
What a frozen worker had begun to write must not become whole when it wakes up: a request goes out in pieces, each only
when everything before it has left this process and the lease is fresh. A request without its last piece is none.

Over TLS asyncio may hold the last 64 KiB back once more when the network is slow; there only the pieces before are guarded.
"""

import socket
import ssl
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    StaleMetadata,
    TopicAuthorizationFailedError,
    for_code,
)
from aiokafka.protocol.produce import ProduceRequest_v7
from aiokafka.protocol.transaction import InitProducerIdRequest
from aiokafka.structs import TopicPartition

from streams.bus.clients import ssl_context, uses_sasl
from streams.engine.compiled.numbers import Bytes
from streams.settings import Settings

PIECE = 256 * 1024
LAST_PIECE = 1024
BUFFER_BYTES = 4 << 20
"""Longest body of a request. Only what is used of it is memory."""
SIZE = struct.Struct(">i")
AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER: what the system has not sent yet is thrown away with the connection."""

USED = ("_writer", "_requests", "_next_correlation_id", "_client_id", "_loop", "_ssl_context")
"""What is used of aiokafka's connection beside its methods; a test holds that it exists, so that no upgrade passes by it."""


class ProduceConnection(AIOKafkaConnection):  # type: ignore[misc,unused-ignore]
    """A connection to one broker, with one request at a time, which is built in its `buffer`."""

    buffer: Bytes

    async def connect(self) -> Any:
        """As aiokafka's; after it, nothing stays in this process without being waited for."""
        self.buffer = np.empty(BUFFER_BYTES, np.uint8)
        streams = await super().connect()
        # "more than 0 bytes wait": the transport of TLS counts from "at least"
        self._writer.transport.set_write_buffer_limits(high=0 if self._ssl_context is None else 1, low=0)
        return streams

    async def produce(self, body: memoryview, may_write: Callable[[], bool]) -> Any:
        """
        The answer (aiokafka's ProduceResponse_v7) to a request whose body is given.

        Raises KafkaConnectionError or OSError when there will be none: also when the lease ended on the way.
        """
        request = ProduceRequest_v7()
        correlation = self._next_correlation_id()
        header = request.build_request_header(correlation, self._client_id).encode()
        answer = self._loop.create_future()
        self._requests.append((correlation, request, answer))
        head = SIZE.pack(len(header) + len(body)) + header
        try:
            for piece in (head, *_pieces(body)):
                writer = self._writer
                if writer is None or not may_write():
                    raise KafkaConnectionError("the request was broken off")
                writer.write(piece)
                await writer.drain()
        except BaseException:
            answer.cancel()
            raise
        return await answer

    def drop(self) -> None:
        """End it at once; what was not sent yet never will be. One that Kafka has just ended is as good as any."""
        if self._writer is not None:
            with suppress(OSError):  # asyncio has closed the socket, and aiokafka has not heard of it yet
                held = self._writer.get_extra_info("socket")  # None then, over TLS
                if held is not None:
                    held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            self._writer.transport.abort()
        self.close()


def _pieces(body: memoryview) -> Iterator[memoryview]:
    last = max(len(body) - LAST_PIECE, 0)
    for at in range(0, last, PIECE):
        yield body[at : min(at + PIECE, last)]
    yield body[last:]


class Brokers:
    """The leaders of one topic and a connection to each. All methods raise KafkaError or OSError while Kafka is away."""

    def __init__(self, settings: Settings, topic: str, timeout_s: float) -> None:
        self._settings = settings
        self._topic = topic
        self._options = {
            "client_id": f"{settings.app}-worker-states",
            "request_timeout_ms": int(timeout_s * 1000),
            "security_protocol": settings.security_protocol,
            "ssl_context": ssl_context(settings),
        }
        if uses_sasl(settings):
            self._options["sasl_mechanism"] = settings.sasl_mechanism
            self._options["sasl_plain_username"] = settings.sasl_username
            self._options["sasl_plain_password"] = settings.sasl_password.get_secret_value()
        self._client: Any = None
        self._connections: dict[int, ProduceConnection] = {}

    async def partitions(self) -> frozenset[int]:
        """The topic's partitions, empty when Kafka does not know it."""
        metadata = await self._metadata()
        if self._topic in metadata.unauthorized_topics:
            raise TopicAuthorizationFailedError(self._topic)
        return frozenset(metadata.partitions_for_topic(self._topic) or ())

    async def leader(self, partition: int) -> ProduceConnection:
        """A connection to the broker that takes this partition's records."""
        metadata = await self._metadata()
        return await self._connection(metadata, metadata.leader_for_partition(TopicPartition(self._topic, partition)))

    async def new_producer_id(self) -> tuple[int, int]:
        """An id and an epoch for records that Kafka takes once, in their order."""
        metadata = await self._metadata()
        connection = await self._connection(metadata, self._client.get_random_node())
        answer = await connection.send(InitProducerIdRequest(None, -1))
        if answer.error_code:
            raise for_code(answer.error_code)
        return answer.producer_id, answer.producer_epoch

    async def refresh(self) -> bool:
        """Ask for the leaders anew; whether a broker answered."""
        return self._client is not None and bool(await self._client.force_metadata_update())

    def drop(self) -> None:
        """End all connections that carry records."""
        dropped, self._connections = self._connections, {}
        for connection in dropped.values():
            connection.drop()

    async def close(self) -> None:
        """End everything."""
        self.drop()
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _metadata(self) -> Any:
        if self._client is None:
            client = AIOKafkaClient(bootstrap_servers=self._settings.bootstrap_servers, **self._options)
            try:
                await client.bootstrap()
            except KafkaConnectionError:
                await self._raise_why(client.hosts)
                raise
            self._client = client
            await client.set_topics([self._topic])
        return self._client.cluster

    async def _raise_why(self, hosts: Iterable[tuple[str, int, Any]]) -> None:
        """Raise what keeps us from Kafka: aiokafka writes that into its log only. Returns when nothing does any more."""
        failed: list[Exception] = []
        for host, port, _ in hosts:
            try:
                (await create_conn(host, port, **self._options)).close()
            except (KafkaError, OSError) as error:
                failed.append(error)
            else:
                return
        # a broker that answers tells more than one that is not there
        raise max(failed, key=lambda error: isinstance(error, KafkaError | ssl.SSLError))

    async def _connection(self, metadata: Any, node: int | None) -> ProduceConnection:
        held = self._connections.get(-1 if node is None else node)
        if held is not None and held.connected():
            return held
        broker = metadata.broker_metadata(node)
        if broker is None:
            raise StaleMetadata(f"no broker leads every partition of {self._topic} at the moment")
        connection = ProduceConnection(broker.host, broker.port, **self._options)
        await connection.connect()
        self._connections[broker.nodeId] = connection
        return connection
