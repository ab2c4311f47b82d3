"""
How aiokafka's fetcher hands out columns (`Fetched`) in the place of records.

Its own code goes on to filter and to count: what `PartitionRecords` reads out of an answer of Kafka are batches, and a batch
here yields one `Fetched` with all of its records. So checksums, control batches, aborted transactions, gaps and the next
position are aiokafka's business as before, and so is every batch that is not plain, up to its content.

`install` puts three classes into aiokafka's module; there is no other way in, and no other consumer of aiokafka is in this
process. Until Kafka's answer is an array and a table takes 0.3 µs of CPU for a login, network included; with an object for
each record it was 1.5.
"""

import struct
import sys
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from aiokafka import codec
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords

from streams.worker.fetched import Fetched
from streams.worker.record_batches import (
    ATTRIBUTES_AT,
    BEFORE_LENGTH,
    HEADER,
    LENGTH_AT,
    LOG_APPEND_TIME,
    MAGIC_AT,
    columns,
    read_batches,
)

MAGIC = 2
UNPACK: dict[int, Callable[[bytes], bytes]] = {
    0: bytes,
    1: codec.gzip_decode,
    2: codec.snappy_decode,
    3: codec.lz4_decode,
    4: codec.zstd_decode,
}
CODEC = 0x07


class PlainBatches:
    """Consecutive batches that compiled code has read, and found sound, as if they were one."""

    producer_id = None  # of no transaction, whoever sent them
    is_control_batch = False

    def __init__(self, records: Fetched, next_offset: int) -> None:
        self.next_offset = next_offset
        self._records = records

    def validate_crc(self) -> bool:
        """They would not be here."""
        return True

    def __iter__(self) -> Iterator[Fetched]:
        return iter([self._records] if len(self._records) else ())


class OtherBatch:
    """Any other batch: what it is, aiokafka says; its records are read by compiled code where that can."""

    def __init__(self, batch: Any, raw: bytes) -> None:
        self._batch = batch
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        """The record of a control batch."""
        return next(self._batch)

    def __iter__(self) -> Iterator[Fetched]:
        found = self._unpacked() or Fetched.of(self._batch)
        return iter([found] if len(found) else ())

    def _unpacked(self) -> Fetched | None:
        """The records, from a plain batch that is made of this one; None when they are aiokafka's to read, or to refuse."""
        raw = self._raw
        unpack = UNPACK.get(raw[ATTRIBUTES_AT + 1] & CODEC)
        if raw[MAGIC_AT] != MAGIC or unpack is None:
            return None
        records = unpack(raw[HEADER:])
        length = struct.pack(">i", HEADER - BEFORE_LENGTH + len(records))
        attributes = struct.pack(">h", raw[ATTRIBUTES_AT + 1] & LOG_APPEND_TIME)
        middle = raw[BEFORE_LENGTH:ATTRIBUTES_AT]
        data = columns(
            b"".join((raw[:LENGTH_AT], length, middle, attributes, raw[ATTRIBUTES_AT + 2 : HEADER], records))
        )
        table, end, _ = read_batches(data, 0, False)
        return Fetched(data, table) if end == len(data) else None


class AnswerRecords:
    """The batches of one partition in an answer of Kafka, in the place of `MemoryRecords`."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._data = columns(raw)
        self._at = 0

    def size_in_bytes(self) -> int:
        """Of all batches, and of one that is cut off at the end."""
        return len(self._raw)

    def has_next(self) -> bool:
        """Whether a whole batch follows."""
        return self._at + BEFORE_LENGTH <= len(self._raw) and self._end() <= len(self._raw)

    def next_batch(self) -> PlainBatches | OtherBatch:
        """As many as are plain, or one that is not. Raises aiokafka's errors."""
        table, end, next_offset = read_batches(self._data, self._at, True)
        if end > self._at:
            self._at = end
            return PlainBatches(Fetched(self._data, table), next_offset)
        raw = self._raw[self._at : self._end()]
        batch = MemoryRecords(raw).next_batch()
        if batch is None:
            raise CorruptRecordException(f"a record batch of {len(raw)} bytes")
        self._at += len(raw)
        return OtherBatch(batch, raw)

    def _end(self) -> int:
        length: int = struct.unpack_from(">i", self._raw, self._at + LENGTH_AT)[0]
        return self._at + BEFORE_LENGTH + length


class ColumnRecords(fetcher.PartitionRecords):  # type: ignore[misc,unused-ignore]
    """What an answer has for one partition, handed out in pieces of any size."""

    _records_iterator: Iterator[Fetched]
    next_fetch_offset: int
    exhausted = False

    def take(self, most: int | None) -> Fetched:
        """So many records, or all that are left; when these were fewer it is `exhausted`. Raises aiokafka's errors."""
        pieces: list[Fetched] = []
        room = sys.maxsize if most is None else most
        while room > 0:
            piece = next(self._records_iterator, None)
            if piece is None:
                self.exhausted = True
                break
            if len(piece) > room:
                self._records_iterator = chain([piece[room:]], self._records_iterator)
                piece = piece[:room]
            self.next_fetch_offset = piece.offset + 1
            room -= len(piece)
            pieces.append(piece)
        return Fetched.joined(pieces)

    def _consumer_record(self, tp: Any, record: Fetched) -> Fetched:  # noqa: ARG002 - aiokafka's signature
        """A batch without the records before the position; it has others, or aiokafka had not asked."""
        return record.behind(self.next_fetch_offset)


class ColumnResult(fetcher.FetchResult):  # type: ignore[misc,unused-ignore]
    """As aiokafka's, but it counts the records in a piece."""

    _partition_records: ColumnRecords | None

    def getall(self, max_records: int | None = None) -> Fetched:
        """At most so many; the position moves behind them."""
        self.check_assignment(self._topic_partition)  # forgets the records that are not to be handed out any more
        records = self._partition_records
        if records is None:
            return Fetched.of(())
        taken = records.take(max_records)
        self._update_position()
        if records.exhausted:
            self._partition_records = None
        return taken


def install() -> None:
    """From now on, in this process."""
    read_batches(columns(b""), 0, True)
    fetcher.MemoryRecords = AnswerRecords
    fetcher.PartitionRecords = ColumnRecords
    fetcher.FetchResult = ColumnResult
