"""
The places of networks, from all files that the operator names.

A file that cannot be read at start is an error; one that cannot be read later leaves the old one in use and is shown in
`last_error`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import maxminddb
import structlog

from streams.core.addresses import format_address
from streams.errors import FileChangingError
from streams.geo.database import Database, Fingerprint, fingerprint_of, has_extension, open_at_start
from streams.geo.fields import city_in, coordinates_in, country_in, owner_in
from streams.settings import Settings

log = structlog.get_logger(__name__)

V4_BLOCK, V6_BLOCK = 8, 64
"""Of an address, in bits: mobile clients, and houses with IPv6 privacy addresses, use ever new addresses of few blocks."""
MOST_BLOCKS = 300_000
MOST_PLACES = 10_000


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
    run in another thread than the look-ups. Raises ConfigurationError when a file is missing or no MMDB, FileChangingError
    when it is being written.
    """

    def __init__(self, paths: Sequence[str | Path], owner_paths: Sequence[str | Path] = ()) -> None:
        self.generation = 0
        """Grows with every reload: whoever caches places forgets them then."""
        self._known: dict[int, str | None] = {}
        self._placed: dict[str, Place] = {}
        self._failed: dict[Path, tuple[Fingerprint | None, str]] = {}
        self._places = tuple(open_at_start(Path(path)) for path in paths)
        self._owners = tuple(open_at_start(Path(path)) for path in owner_paths)
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
            code = country_in(record)
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
        codes = [country_in(record) for record in records]
        country = next((code for code in codes if code is not None), None)
        city, latitude, longitude, owner = None, None, None, None
        for record, code in zip(records, codes, strict=True):
            if record is None or code not in {None, country}:
                continue
            city = city or city_in(record)
            if latitude is None:
                latitude, longitude = coordinates_in(record)
            owner = owner or owner_in(record)
        for database in self._owners:
            found = owner_in(database.span(address)[0])
            if found is not None:
                owner = found
                break
        return Place(country, city, latitude, longitude, owner)

    def reload_if_changed(self) -> bool:
        """
        Open the files that changed since they were read, and not since the last call: until then they may be half written.

        True if any was replaced; cheap when none was.
        """
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

    def _reopened(self, database: Database) -> Database:
        fingerprint = fingerprint_of(database.path)
        settled, database.last_seen = fingerprint == database.last_seen, fingerprint
        if fingerprint == database.fingerprint:
            self._failed.pop(database.path, None)
            return database
        if not settled:
            return database
        failed = self._failed.get(database.path)
        if failed is not None and failed[0] == fingerprint:
            return database
        try:
            fresh = Database(database.path)
        except FileChangingError:
            return database
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
