"""
One MMDB file.

Decision: every file is copied into memory when it is opened and looked up there by maxminddb's C extension. Mapping the
operator's file itself would save that memory, but somebody who overwrites it in place (`cp`, not `mv`) would end the
process with SIGBUS. A copy of half a file is no better: the extension trusts what it reads, and may end the process with
SIGSEGV. So a file that changes while it is copied is not opened.
"""

import contextlib
import errno
import ipaddress
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import maxminddb

from streams.errors import ConfigurationError, FileChangingError

MAPPED = "::ffff:"
PROBES = ("192.0.2.1", "2001:db8::1")
"""Looked up when a file is opened, so that a torn one is refused then; whether they are listed does not matter."""
DAMAGE = (maxminddb.InvalidDatabaseError, UnicodeDecodeError, SystemError)
"""What a damaged record raises; a SystemError where the extension goes on after an error of its own."""


def has_extension() -> bool:
    """Is maxminddb's C extension in use? Without it a look-up takes about 15 times as long."""
    from maxminddb import extension  # noqa: PLC0415 - asked, not needed

    return hasattr(extension, "Reader")


Fingerprint = tuple[int, int, int]
Span = tuple[Mapping[str, Any] | None, int]


def fingerprint_of(path: Path) -> Fingerprint | None:
    """What changes when a file is replaced or rewritten: inode, size, modification time in ns. None: not readable."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


class Database:
    """
    One MMDB file, held in memory as it was when it was opened.

    Raises OSError, ValueError, InvalidDatabaseError, and FileChangingError when it is being written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fingerprint = self.last_seen = fingerprint_of(path)
        mode = maxminddb.MODE_MMAP_EXT if has_extension() else maxminddb.MODE_MMAP
        with _copied(_whole(path, self.fingerprint)) as copy:
            self._reader = maxminddb.open_database(copy, mode)
        self._metadata = self._reader.metadata()
        try:
            for address in PROBES[: 1 if self._metadata.ip_version == 4 else None]:
                self._reader.get(address)
        except SystemError as error:
            raise maxminddb.InvalidDatabaseError(str(error)) from error
        self._damaged: str | None = None
        self._last: tuple[str, Span] = ("", (None, 128))

    def span(self, address: str) -> Span:
        """
        The record of an address, and how many of its last bits do not matter to the answer.

        None if there is no record, it is no map, or the address is not one for this file. The last answer is remembered:
        a thief's new address is asked for its country, and at once for its place.
        """
        last_address, found = self._last
        if address != last_address:
            found = self._span(address)
            self._last = (address, found)
        return found

    def _span(self, address: str) -> Span:
        if address[:7].lower() == MAPPED:
            address = _unmapped(address)
        try:
            record, prefix = self._reader.get_with_prefix_len(address)
        except DAMAGE as error:
            self._damaged = str(error)
            return None, 0  # of its neighbours nothing is known: for all of a block it must not be remembered
        except (ValueError, TypeError):
            return None, 128  # an IPv6 address in a file for IPv4, or no address at all
        bits = (128 if ":" in address else 32) - prefix
        return (record if isinstance(record, dict) else None), bits

    def describe(self, kind: str) -> dict[str, Any]:
        """One line of the health page. `built` is the build time in epoch seconds, as the file states it."""
        return {
            "path": str(self.path),
            "kind": kind,
            "type": self._metadata.database_type,
            "built": self._metadata.build_epoch,
            "ip_version": self._metadata.ip_version,
            "damaged": self._damaged,
        }


def open_at_start(path: Path) -> Database:
    """A file that has to be there. Raises ConfigurationError, and FileChangingError when it is being written."""
    try:
        return Database(path)
    except OSError as error:
        raise ConfigurationError(f"cannot read the geo database {path}: {error.strerror or error}") from error
    except (ValueError, maxminddb.InvalidDatabaseError) as error:
        raise ConfigurationError(f"the geo database {path} is no usable MMDB file: {error}") from error


def _whole(path: Path, fingerprint: Fingerprint | None) -> bytes:
    """All of the file with this fingerprint. Raises OSError, FileChangingError."""
    try:
        content = path.read_bytes()
    except MemoryError as error:
        raise OSError(errno.ENOMEM, "it is larger than the memory that is free") from error
    if fingerprint_of(path) != fingerprint:
        raise FileChangingError(f"the geo database {path} changed while it was read: start again when it is whole")
    return content


@contextlib.contextmanager
def _copied(content: bytes) -> Iterator[str]:
    """The path of a private copy; it lives in memory (where there is memfd) for as long as somebody has it mapped."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("loginwatch-geo", os.MFD_CLOEXEC)
        with open(descriptor, "wb") as copy:  # noqa: PTH123 - a descriptor, not a path
            copy.write(content)
            copy.flush()
            yield f"/proc/self/fd/{descriptor}"
        return
    with tempfile.NamedTemporaryFile(prefix="loginwatch-geo-") as copy_file:
        copy_file.write(content)
        copy_file.flush()
        yield copy_file.name


def _unmapped(address: str) -> str:
    """::ffff:192.0.2.1 is 192.0.2.1."""
    try:
        mapped = ipaddress.IPv6Address(address).ipv4_mapped
    except ValueError:
        return address
    return address if mapped is None else str(mapped)
