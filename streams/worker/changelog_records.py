"""The accounts that a round touched, as the records that go to the changelog."""

from collections.abc import Mapping

import numpy as np

from streams.engine.accounts import Touched
from streams.engine.compiled.numbers import Bytes
from streams.worker.batch_writer import COLUMNS, KEY, KEY_END, NULL, PARTITION, VALUE, VALUE_END, Table


def changelog_records(touched: Mapping[int, Touched]) -> tuple[Bytes, Table]:
    """
    Their bytes, and a row for each record: partition, start and end of the key, start and end of the value (-1: a tombstone).

    `touched` is by partition.
    """
    parts, tables, length = [], [], 0
    for partition, accounts in touched.items():
        names = b"".join(name.encode() for name in accounts.forgotten)
        tables += [_kept(partition, accounts, length), _forgotten(partition, accounts, length + len(accounts.data))]
        parts += [accounts.data, names]
        length += len(accounts.data) + len(names)
    return np.frombuffer(b"".join(parts), np.uint8), np.concatenate(tables)


def _kept(partition: int, accounts: Touched, begin: int) -> Table:
    rows = np.empty((len(accounts.name_ends), COLUMNS), np.int64)
    rows[:, PARTITION] = partition
    rows[:, KEY_END] = rows[:, VALUE] = accounts.name_ends
    rows[:, VALUE_END] = accounts.state_ends
    rows[:1, KEY] = 0
    rows[1:, KEY] = rows[:-1, VALUE_END]
    rows[:, KEY:] += begin
    return rows


def _forgotten(partition: int, accounts: Touched, begin: int) -> Table:
    rows = np.empty((len(accounts.forgotten), COLUMNS), np.int64)
    ends = begin + np.cumsum([len(name.encode()) for name in accounts.forgotten], dtype=np.int64)
    rows[:, PARTITION], rows[:, KEY_END], rows[:, VALUE], rows[:, VALUE_END] = partition, ends, ends, NULL
    rows[:1, KEY] = begin
    rows[1:, KEY] = ends[:-1]
    return rows
