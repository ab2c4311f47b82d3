"""
Where a network is, and whose: country, city, coordinates and owner from MMDB files that the operator names.

Decision: every file is copied into memory when it is opened and looked up there by maxminddb's C extension. Mapping the
operator's file itself would save that memory, but somebody who overwrites it in place (`cp`, not `mv`) would end the
process with SIGBUS. A file that cannot be read at start is an error; one that cannot be read later leaves the old one
in use and is shown in `last_error`. Nothing is downloaded, nothing is bundled; no database at all is `NoPlaces`.
"""

import contextlib
import ipaddress
import math
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import maxminddb
import structlog

from streams.core.addresses import format_address
from streams.errors import ConfigurationError
from streams.settings import Settings

log = structlog.get_logger(__name__)

NO_COUNTRIES = frozenset({"AP", "EU", "XX", "ZZ"})
"""Codes that databases write for "somewhere in this region" or "unknown": they would be counted as a country."""
V4_BLOCK, V6_BLOCK = 8, 64
"""Of an address, in bits: mobile clients, and houses with IPv6 privacy addresses, use ever new addresses of few blocks."""
MOST_BLOCKS = 300_000
MOST_PLACES = 10_000
TEXT_LIMIT = 120
"""Characters kept of a city's or an owner's name: it ends up in every incident."""
MAPPED = "::ffff:"
PROBES = ("192.0.2.1", "2001:db8::1")
"""Looked up when a file is opened, so that a torn one is refused then; whether they are listed does not matter."""


@dataclass(frozen=True, slots=True)
class Place:
    """What is known of a network; None where the databases say nothing usable. Coordinates come in pairs, in degrees."""

    country: str | None = None
    city: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    owner: str | None = None


UNKNOWN = Place()


class NoPlaces:
    """No geo database: every place is unknown, so networks are counted and countries are not."""

    available = False
    generation = 0
    last_error: str | None = None

    def country_of(self, number: int) -> str | None:  # noqa: ARG002 - the interface of Places
        """Unknown."""
        return None

    def country_and_span(self, number: int) -> tuple[str | None, int]:  # noqa: ARG002 - the interface of Places
        """Unknown, wherever."""
        return None, 128

    def place(self, address: str) -> Place:  # noqa: ARG002 - the interface of Places
        """Unknown."""
        return UNKNOWN

    def reload_if_changed(self) -> bool:
        """There is nothing to reload."""
        return False

    def describe(self) -> dict[str, Any]:
        """For health pages: no databases."""
        return {"available": False, "extension": False, "databases": [], "last_error": None}

    def close(self) -> None:
        """There is nothing to close."""


class Places:
    """
    The places of networks, from several MMDB files asked in order.

    A later file fills in what the earlier ones do not know, unless it contradicts their country. `reload_if_changed` may
    run in another thread than the look-ups. Raises ConfigurationError when a file is missing or no MMDB.
    """

    def __init__(self, paths: Sequence[str | Path], owner_paths: Sequence[str | Path] = ()) -> None:
        self.generation = 0
        """Grows with every reload: whoever caches places forgets them then."""
        self._known: dict[int, str | None] = {}
        self._placed: dict[str, Place] = {}
        self._failed: dict[Path, tuple[_Fingerprint | None, str]] = {}
        self._places = tuple(_open_at_start(Path(path)) for path in paths)
        self._owners = tuple(_open_at_start(Path(path)) for path in owner_paths)
        if not has_extension():
            log.warning(
                "geo look-ups are slow: maxminddb's C extension is missing; install the wheel of maxminddb for this platform"
            )

    @property
    def available(self) -> bool:
        """Can countries be counted? Not with owner databases alone."""
        return bool(self._places)

    @property
    def last_error(self) -> str | None:
        """Why a changed file is not in use, as a sentence; None when all is well."""
        return "; ".join(sentence for _, sentence in self._failed.values()) or None

    def country(self, address: str) -> str | None:
        """
        The country of an address or a network's first address: ISO 3166 alpha-2 in capitals, None when unknown.

        Private and unlisted addresses, IPv6 in a file for IPv4, damaged records and texts that are no address are unknown.
        """
        return self._find_country(address)[0]

    def country_of(self, number: int) -> str | None:
        """
        The country of an address given as a number of 128 bits: what `country` says of its text.

        Remembered by block, where the files say one thing of the whole block: 0.3 us instead of 2.6.
        """
        known = self._known  # taken before the files: an answer from old ones is never put beside those of new ones
        shift = V4_BLOCK if number >> 32 == 0xFFFF else V6_BLOCK
        block = number >> shift << shift
        if block in known:
            return known[block]
        code, bits = self._find_country(format_address(number))
        if bits >= shift:
            if len(known) >= MOST_BLOCKS:
                known.clear()
            known[block] = code
        return code

    def country_and_span(self, number: int) -> tuple[str | None, int]:
        """What `country_of` says, and how many of the address' last bits do not matter to that."""
        return self._find_country(format_address(number))

    def _find_country(self, address: str) -> tuple[str | None, int]:
        """The country of an address, and how many of its last bits do not matter to the answer."""
        bits = 128
        for database in self._places:
            record, free = database.span(address)
            bits = min(bits, free)
            code = _country(record)
            if code is not None:
                return code, bits
        return None, bits

    def place(self, address: str) -> Place:
        """
        Everything known of an address or a network's first address. `country` is what `country()` answers.

        Remembered: every revision of an incident names the places of all its networks.
        """
        placed = self._placed  # taken before the files, as in `country_of`
        place = placed.get(address)
        if place is None:
            if len(placed) >= MOST_PLACES:
                placed.clear()
            place = placed[address] = self._find_place(address)
        return place

    def _find_place(self, address: str) -> Place:
        records = [database.span(address)[0] for database in self._places]
        codes = [_country(record) for record in records]
        country = next((code for code in codes if code is not None), None)
        city, latitude, longitude, owner = None, None, None, None
        for record, code in zip(records, codes, strict=True):
            if record is None or code not in {None, country}:
                continue
            city = city or _city(record)
            if latitude is None:
                latitude, longitude = _coordinates(record)
            owner = owner or _owner(record)
        for database in self._owners:
            found = _owner(database.span(address)[0])
            if found is not None:
                owner = found
                break
        return Place(country, city, latitude, longitude, owner)

    def reload_if_changed(self) -> bool:
        """Open the files that changed since they were read. True if any was replaced; cheap when none was."""
        places = tuple(self._reopened(database) for database in self._places)
        owners = tuple(self._reopened(database) for database in self._owners)
        changed = places != self._places or owners != self._owners
        if changed:
            # each assignment is atomic: a look-up in between sees both old or one new, never a closed file
            self._places, self._owners = places, owners
            self._known = {}
            self._placed = {}
            self.generation += 1
        return changed

    def describe(self) -> dict[str, Any]:
        """For health pages: each file with path, database type and build time, and what is wrong, if anything."""
        databases = [database.describe("place") for database in self._places]
        databases += [database.describe("owner") for database in self._owners]
        return {
            "available": self.available,
            "extension": has_extension(),
            "databases": databases,
            "last_error": self.last_error,
        }

    def close(self) -> None:
        """Release the files; every place is unknown afterwards."""
        self._places, self._owners = (), ()
        self._known = {}
        self._placed = {}

    def _reopened(self, database: "_Database") -> "_Database":
        fingerprint = _fingerprint(database.path)
        if fingerprint == database.fingerprint:
            self._failed.pop(database.path, None)
            return database
        failed = self._failed.get(database.path)
        if failed is not None and failed[0] == fingerprint:
            return database
        try:
            fresh = _Database(database.path)
        except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
            sentence = (
                f"geo database {database.path} changed and cannot be used ({error}); the one read before stays in use"
            )
            self._failed[database.path] = (fingerprint, sentence)
            log.warning("geo database not reloaded", path=str(database.path), error=str(error))
            return database
        self._failed.pop(database.path, None)
        return fresh


def open_places(settings: Settings) -> Places | NoPlaces:
    """The databases that the settings name, or NoPlaces when they name none. Raises ConfigurationError."""
    if not settings.geo_databases and not settings.geo_owner_databases:
        return NoPlaces()
    return Places(settings.geo_databases, settings.geo_owner_databases)


def has_extension() -> bool:
    """Is maxminddb's C extension in use? Without it a look-up takes about 15 times as long."""
    from maxminddb import extension  # noqa: PLC0415 - asked, not needed

    return hasattr(extension, "Reader")


_Fingerprint = tuple[int, int, int]
_Span = tuple[Mapping[str, Any] | None, int]


def _fingerprint(path: Path) -> _Fingerprint | None:
    """What changes when a file is replaced or rewritten: inode, size, modification time in ns. None: not readable."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


class _Database:
    """One MMDB file, held in memory as it was when it was opened. Raises OSError, ValueError, InvalidDatabaseError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # taken first: a file that changes while it is read is read again at the next look
        self.fingerprint = _fingerprint(path)
        mode = maxminddb.MODE_MMAP_EXT if has_extension() else maxminddb.MODE_MMAP
        with _copied(path) as copy:
            self._reader = maxminddb.open_database(copy, mode)
        self._metadata = self._reader.metadata()
        for address in PROBES[: 1 if self._metadata.ip_version == 4 else None]:
            self._reader.get(address)
        self._damaged: str | None = None
        self._last: tuple[str, _Span] = ("", (None, 128))

    def span(self, address: str) -> _Span:
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

    def _span(self, address: str) -> _Span:
        if address[:7].lower() == MAPPED:
            address = _unmapped(address)
        try:
            record, prefix = self._reader.get_with_prefix_len(address)
        except (ValueError, TypeError):
            return None, 128  # an IPv6 address in a file for IPv4, or no address at all
        except maxminddb.InvalidDatabaseError as error:
            self._damaged = str(error)
            return None, 0
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


def _open_at_start(path: Path) -> _Database:
    try:
        return _Database(path)
    except OSError as error:
        raise ConfigurationError(f"cannot read the geo database {path}: {error.strerror or error}") from error
    except (ValueError, maxminddb.InvalidDatabaseError) as error:
        raise ConfigurationError(f"the geo database {path} is no usable MMDB file: {error}") from error


@contextlib.contextmanager
def _copied(path: Path) -> Iterator[str]:
    """The path of a private copy; it lives in memory (where there is memfd) for as long as somebody has it mapped."""
    content = path.read_bytes()
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


def _country(record: Mapping[str, Any] | None) -> str | None:
    """Nested (`country.iso_code`) and flat (`country_code`, or `country` holding a code) records."""
    if record is None:
        return None
    country = record.get("country")
    code = country.get("iso_code") if isinstance(country, dict) else record.get("country_code", country)
    if not isinstance(code, str):
        return None
    code = code.strip().upper()
    if len(code) != 2 or not code.isascii() or not code.isalpha() or code in NO_COUNTRIES:
        return None
    return code


def _city(record: Mapping[str, Any]) -> str | None:
    """Nested (`city.names`, English before any other language) and flat (`city`) records."""
    city = record.get("city")
    if not isinstance(city, dict):
        return _text(city)
    names = city.get("names")
    if not isinstance(names, dict):
        return _text(names)
    return _text(names.get("en")) or next((text for name in names.values() if (text := _text(name))), None)


def _coordinates(record: Mapping[str, Any]) -> tuple[float, float] | tuple[None, None]:
    """Nested (`location`) and flat records; numbers may be written as text. (0, 0) is a database's "unknown"."""
    location = record.get("location")
    source = location if isinstance(location, dict) else record
    latitude = _degrees(source.get("latitude", source.get("lat")), 90)
    longitude = _degrees(source.get("longitude", source.get("lng", source.get("lon"))), 180)
    if latitude is None or longitude is None or latitude == longitude == 0:
        return None, None
    return latitude, longitude


def _degrees(value: object, limit: int) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        degrees = float(value)
    except ValueError:
        return None
    return degrees if math.isfinite(degrees) and abs(degrees) <= limit else None


def _owner(record: Mapping[str, Any] | None) -> str | None:
    """The owner's name in any of the shapes met in network-owner databases, or else AS and its number."""
    if record is None:
        return None
    traits = record.get("traits")
    for source in (record, traits if isinstance(traits, dict) else {}):
        for name in ("autonomous_system_organization", "as_name", "as_organization", "organization", "isp"):
            text = _text(source.get(name))
            if text:
                return text
    asn = record.get("asn")
    if isinstance(asn, dict):
        return _text(asn.get("name")) or _text(asn.get("organization")) or _as_number(asn.get("asn", asn.get("number")))
    if _as_number(asn):
        return _text(record.get("name")) or _as_number(asn)
    return _as_number(record.get("autonomous_system_number", record.get("as_number")))


def _as_number(value: object) -> str | None:
    digits = value.strip().upper().removeprefix("AS") if isinstance(value, str) else value
    if isinstance(digits, bool) or not isinstance(digits, int | str) or not str(digits).isdecimal():
        return None
    number = int(digits) if len(str(digits)) <= 10 else 0
    return f"AS{number}" if 0 < number < 2**32 else None


def _text(value: object) -> str | None:
    """A name fit for a mail or a page: no control characters, trimmed, bounded."""
    if not isinstance(value, str):
        return None
    kept = value if value.isprintable() else "".join(character for character in value if character.isprintable())
    return kept.strip()[:TEXT_LIMIT] or None
