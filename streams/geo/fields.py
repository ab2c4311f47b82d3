"""What the record of a network says, in the shapes that databases have. What is damaged in it is unknown."""

import math
from collections.abc import Mapping
from typing import Any

NO_COUNTRIES = frozenset({"AP", "EU", "XX", "ZZ"})
"""Codes that databases write for "somewhere in this region" or "unknown": they would be counted as a country."""
TEXT_LIMIT = 120
"""Characters kept of a city's or an owner's name: it ends up in every incident."""


def country_in(record: Mapping[str, Any] | None) -> str | None:
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


def city_in(record: Mapping[str, Any]) -> str | None:
    """Nested (`city.names`, English before any other language) and flat (`city`) records."""
    city = record.get("city")
    if not isinstance(city, dict):
        return _text(city)
    names = city.get("names")
    if not isinstance(names, dict):
        return _text(names)
    return _text(names.get("en")) or next((text for name in names.values() if (text := _text(name))), None)


def coordinates_in(record: Mapping[str, Any]) -> tuple[float, float] | tuple[None, None]:
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


def owner_in(record: Mapping[str, Any] | None) -> str | None:
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
