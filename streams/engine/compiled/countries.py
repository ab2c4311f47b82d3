"""The countries of blocks of addresses that the kernel knows, as the geo database said them when it was asked."""

from typing import Protocol

import numpy as np

from streams.core.addresses import MAPPED
from streams.engine.compiled import known

FIRST_COUNTRIES = 1 << 12
MOST_COUNTRIES = 1 << 19
"""Slots: half a million blocks of addresses take 8 MiB."""
HALF = 64
LOW = (1 << HALF) - 1


class Blocks(Protocol):
    """A geo database, asked for blocks of addresses."""

    available: bool

    def country_and_span(self, number: int) -> tuple[str | None, int]:
        """The country of an address, and how many of its last bits do not matter to that."""
        ...


class KnownCountries:
    """
    A hash table of blocks: `keys` are those of `known.key_of`, 0 = a free slot, `codes` what `code_of` makes of countries.

    The arrays are exchanged when they grow: take them anew for every call of a compiled function.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Know no country any more."""
        self.keys = np.zeros(FIRST_COUNTRIES, np.int64)
        self.codes = np.zeros(FIRST_COUNTRIES, np.int64)
        self._used = 0

    def enter(self, number: int, places: Blocks) -> None:
        """Ask for the country of an address, and keep it for the widest block that has it, if there is a key for one."""
        code, free = places.country_and_span(number)
        widths = known.V4_FREE if number >> 32 == MAPPED >> 32 else known.V6_FREE
        for width, bits in enumerate(widths):
            if free >= bits:
                key = int(known.key_of(*halves_of(number), width))
                if key:
                    self._put(key, code_of(code))
                return

    def _put(self, key: int, code: int) -> None:
        if self._used * 10 >= len(self.keys) * 7:
            self._grow()
        index = known.slot_of_key(key, self.keys)
        self._used += self.keys[index] == 0
        self.keys[index], self.codes[index] = key, code

    def _grow(self) -> None:
        """Twice the slots, or all forgotten when there are as many as may be."""
        keys, codes = self.keys, self.codes
        size, self._used = len(keys), 0
        kept = keys != 0 if size < MOST_COUNTRIES else np.zeros(size, np.bool_)
        self.keys = np.zeros(min(2 * size, MOST_COUNTRIES), np.int64)
        self.codes = np.zeros_like(self.keys)
        for key, code in zip(keys[kept].tolist(), codes[kept].tolist(), strict=True):
            self._put(key, code)


def code_of(country: str | None) -> int:
    """A country as the kernel reads it from an entry, 0 = unknown."""
    return int.from_bytes((country or "\0\0").encode(), "little")


def halves_of(number: int) -> tuple[int, int]:
    """Both halves of an address of 128 bits with their signs, as compiled code has them."""
    return _signed(number >> HALF), _signed(number & LOW)


def _signed(half: int) -> int:
    return half - (1 << HALF) if half >> (HALF - 1) else half
