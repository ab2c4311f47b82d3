"""
Records of one partition as columns: one array of bytes, and one of numbers that say where in it each key and value is.

Compiled code reads them so (`record_batches`); `record` and iteration make a Python object of one that is looked at singly.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Self, overload

import numpy as np
from aiokafka.record.util import decode_varint, encode_varint

from streams.engine.compiled.layout import COLUMNS, KEY, NULL, OFFSET, VALUE
from streams.engine.compiled.numbers import Bytes, Numbers
from streams.worker.record_batches import columns

Headers = Sequence[tuple[str, bytes | None]]

NO_TIME = -1
"""Kafka's own: records from before Kafka 0.10 have none."""


class Record(NamedTuple):
    """One record; `timestamp` in ms. The names are aiokafka's."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class Fetched(Sequence[Record]):
    """
    Records of one partition, in their order.

    `data` is read-only uint8. `table` is int64, C order, a row for each record: offset, timestamp in ms, start and end of the
    key and of the value in `data`; an end of -1 stands for null. Behind each value are the headers, as Kafka writes them.
    """

    __slots__ = ("_raw", "data", "table")

    def __init__(self, data: Bytes, table: Numbers) -> None:
        self.data = data
        self.table = table
        self._raw = data.data

    @classmethod
    def of(cls, records: Iterable[Any]) -> Self:
        """Of objects with the names of `Record`."""
        data, rows = bytearray(), []
        for record in records:
            key_at = len(data)
            data += record.key or b""
            at = len(data)
            data += record.value or b""
            ends = NULL if record.key is None else at, NULL if record.value is None else len(data)
            time = NO_TIME if record.timestamp is None else record.timestamp
            rows.append((record.offset, time, key_at, ends[0], at, ends[1]))
            _write_headers(data, record.headers)
        return cls(columns(bytes(data)), np.array(rows, np.int64).reshape(-1, COLUMNS))

    @classmethod
    def joined(cls, pieces: Sequence[Self]) -> Self:
        """One of several that follow each other; of each, only the bytes that its records span are copied."""
        if len(pieces) == 1:
            return pieces[0]
        spans, tables, length = [], [], 0
        for piece in pieces:
            if not len(piece):
                continue
            start, end = int(piece.table[0, KEY]), piece._end()  # noqa: SLF001
            spans.append(piece.data[start:end])
            tables.append(_moved(piece.table, length - start))
            length += end - start
        if not spans:
            return cls.of(())
        data = np.concatenate(spans)
        data.flags.writeable = False
        return cls(data, np.concatenate(tables))

    @property
    def size(self) -> int:
        """Bytes from the first record's key to the last one's value."""
        return int(self.table[-1, VALUE:].max() - self.table[0, KEY]) if len(self) else 0

    @property
    def offset(self) -> int:
        """That of the last record: aiokafka goes on behind it."""
        return int(self.table[-1, OFFSET])

    def behind(self, offset: int) -> Self:
        """The records from this offset on."""
        if int(self.table[0, OFFSET]) >= offset:
            return self
        return type(self)(self.data, self.table[np.searchsorted(self.table[:, OFFSET], offset) :])

    def record(self, number: int) -> Record:
        """One as an object, with its headers."""
        return self._record(self.table[number].tolist())

    def __len__(self) -> int:
        return len(self.table)

    def __iter__(self) -> Iterator[Record]:
        return map(self._record, self.table.tolist())

    @overload
    def __getitem__(self, wanted: int) -> Record: ...
    @overload
    def __getitem__(self, wanted: slice) -> Self: ...
    def __getitem__(self, wanted: int | slice) -> "Record | Self":
        """One as an object, or several as `Fetched`; with a step the table is no more what compiled code takes."""
        if isinstance(wanted, slice):
            return type(self)(self.data, self.table[wanted])
        return self.record(wanted)

    def _record(self, row: list[int]) -> Record:
        offset, timestamp, key, key_end, value, value_end = row
        raw = self._raw  # an array takes twice as long to cut
        headers_at = value if value_end == NULL else value_end
        return Record(
            offset,
            timestamp,
            None if key_end == NULL else bytes(raw[key:key_end]),
            None if value_end == NULL else bytes(raw[value:value_end]),
            () if raw[headers_at] == 0 else _read_headers(raw[headers_at:])[0],
        )

    def _end(self) -> int:
        """Where the last record is over, with its headers."""
        at = int(self.table[-1, VALUE:].max())
        return at + _read_headers(self._raw[at:])[1]


def _moved(table: Numbers, by: int) -> Numbers:
    """The table with its positions moved, and null left as it is."""
    moved = table.copy()
    positions = moved[:, KEY:]
    # null are few: adding to all, and writing these again, takes 0.6 of the time of adding to the others
    null = positions == NULL
    positions += by
    positions[null] = NULL
    return moved


def _write_headers(data: bytearray, headers: Headers) -> None:
    encode_varint(len(headers), data.append)
    for name, value in headers:
        for part in (name.encode(), value):
            encode_varint(-1 if part is None else len(part), data.append)
            data += part or b""


def _read_headers(raw: memoryview) -> tuple[Headers, int]:
    """
    The headers at the start of `raw`, and how long they are.

    A name that is not UTF-8 is no reason to stop for good at its record: it gets replacement characters.
    """
    count, at = decode_varint(raw, 0)
    headers = []
    for _ in range(count):
        length, at = decode_varint(raw, at)
        name = bytes(raw[at : at + length]).decode(errors="replace")
        at += length
        length, at = decode_varint(raw, at)
        headers.append((name, None if length < 0 else bytes(raw[at : at + length])))
        at += max(length, 0)
    return headers, at
