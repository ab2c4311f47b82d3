"""Places from MMDB files: shapes of records, several files, reload, and everything that can be wrong with a file."""

from pathlib import Path

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from streams.core.addresses import parse_address
from streams.errors import ConfigurationError
from streams.geo import NoPlaces, Place, Places, has_extension, open_places
from streams.settings import Settings

NESTED = {
    "country": {"iso_code": "DE", "names": {"de": "Deutschland", "en": "Germany"}},
    "city": {"names": {"de": "Köln", "en": "Cologne"}},
    "location": {"latitude": 50.94, "longitude": 6.96, "accuracy_radius": 20},
}
FLAT = {"country_code": "it", "city": "Rome", "latitude": 41.9, "longitude": 12.5}


def write(path: Path, records: dict[str, object], *, ip_version: int = 6, kind: str = "Test-City") -> Path:
    """An MMDB file with these records by network."""
    writer = MMDBWriter(ip_version=ip_version, database_type=kind, ipv4_compatible=ip_version == 6)
    for network, record in records.items():
        writer.insert_network(IPSet([network]), record)
    writer.to_db_file(str(path))
    return path


def places(tmp_path: Path, records: dict[str, object]) -> Places:
    """Places of one file with these records."""
    return Places([write(tmp_path / "city.mmdb", records)])


def replace(path: Path, records: dict[str, object]) -> None:
    """As geoipupdate does it: a new file takes the old one's name."""
    write(path.with_suffix(".new"), records).replace(path)


def taken(known: Places) -> bool:
    """Is a file replaced that changed before? At the second look, as at the first it may be half written."""
    return not known.reload_if_changed() and known.reload_if_changed()


def test_the_extension_is_in_use() -> None:
    """The locked maxminddb brings its C extension; look-ups would be slow without it."""
    assert has_extension()


def test_nested_and_flat_records_are_read(tmp_path: Path) -> None:
    """Both common record shapes give country, city and coordinates; codes are capitals, names English."""
    known = places(tmp_path, {"192.0.2.0/24": NESTED, "198.51.100.0/24": FLAT})

    assert known.place("192.0.2.9") == Place("DE", "Cologne", 50.94, 6.96, None)
    assert known.place("198.51.100.9") == Place("IT", "Rome", 41.9, 12.5, None)
    assert known.country("198.51.100.9") == "IT"


def test_addresses_of_both_versions_and_mapped_ones_are_found(tmp_path: Path) -> None:
    """IPv6 addresses, a network's first address as text, and IPv4 inside IPv6 are looked up."""
    known = places(tmp_path, {"192.0.2.0/24": NESTED, "2001:db8:1::/48": FLAT})

    assert known.country("2001:db8:1::") == "IT"
    assert known.country("2001:db8:1:0:a::1") == "IT"
    assert known.country("::ffff:192.0.2.1") == "DE"
    assert known.country("::FFFF:c000:201") == "DE"


@pytest.mark.parametrize(
    "address", ["203.0.113.1", "10.0.0.1", "127.0.0.1", "2001:db8:2::1", "::1", "", "x", "1.2.3", "\0"]
)
def test_what_is_not_listed_is_unknown(tmp_path: Path, address: str) -> None:
    """Unlisted and private addresses, and texts that are none, have no place and raise nothing."""
    known = places(tmp_path, {"192.0.2.0/24": NESTED})

    assert known.country(address) is None
    assert known.place(address) == Place()


def test_files_for_each_version_are_asked_in_order(tmp_path: Path) -> None:
    """A file for IPv4 does not know IPv6 addresses; the next file is asked."""
    four = write(tmp_path / "four.mmdb", {"192.0.2.0/24": FLAT}, ip_version=4)
    six = write(tmp_path / "six.mmdb", {"2001:db8:1::/48": NESTED})
    known = Places([four, six])

    assert known.country("192.0.2.1") == "IT"
    assert known.place("2001:db8:1::1").city == "Cologne"
    assert Places([four]).country("2001:db8:1::1") is None


def test_what_is_remembered_of_a_block_is_what_the_file_says(tmp_path: Path) -> None:
    """Blocks that a file tells apart further are not taken together, whichever address is asked first."""
    records: dict[str, object] = {
        "192.0.2.0/25": NESTED,
        "192.0.2.128/31": FLAT,
        "198.51.100.0/22": FLAT,
        "2001:db8:1::/48": NESTED,
        "2001:db8:2::/65": FLAT,
        "2001:db8:2:0:8000::/66": NESTED,
        "::c000:200/120": FLAT,
    }
    four = write(tmp_path / "four.mmdb", {"203.0.113.64/26": FLAT}, ip_version=4)
    known = Places([four, write(tmp_path / "all.mmdb", records)])
    addresses = [f"192.0.2.{last}" for last in (1, 127, 128, 129, 130, 255)]
    addresses += [f"203.0.113.{last}" for last in (1, 64, 127, 128)] + ["198.51.100.1", "198.51.103.9", "198.51.104.1"]
    addresses += ["2001:db8:1::1", "2001:db8:1:2::1", "2001:db8:2::1", "2001:db8:2:0:8000::1", "2001:db8:2:0:c000::1"]
    addresses += ["::1", "::192.0.2.1", "0:0:ffff:c000:2::"]

    for order in (addresses, addresses[::-1], addresses):
        assert [known.country_of(parse_address(one)) for one in order] == [known.country(one) for one in order]


def test_a_new_file_is_asked_anew(tmp_path: Path) -> None:
    """What was remembered of blocks is forgotten when a file is replaced, and when it is closed."""
    path = write(tmp_path / "city.mmdb", {"192.0.2.0/24": NESTED})
    known, number = Places([path]), parse_address("192.0.2.9")
    assert known.country_of(number) == "DE"

    replace(path, {"192.0.2.0/24": FLAT})

    assert taken(known)
    assert known.country_of(number) == "IT"
    known.close()
    assert known.country_of(number) is None


def test_a_later_file_fills_in_but_does_not_contradict(tmp_path: Path) -> None:
    """The first country stands; a city is taken from a later file only if that file means the same country."""
    countries = write(
        tmp_path / "country.mmdb", {"192.0.2.0/24": {"country_code": "DE"}, "198.51.100.0/24": {"country_code": "FR"}}
    )
    cities = write(tmp_path / "city.mmdb", {"192.0.2.0/24": NESTED, "198.51.100.0/24": FLAT})
    known = Places([countries, cities])

    assert known.place("192.0.2.1") == Place("DE", "Cologne", 50.94, 6.96, None)
    assert known.place("198.51.100.1") == Place("FR")


@pytest.mark.parametrize(
    ("record", "owner"),
    [
        ({"autonomous_system_number": 64500, "autonomous_system_organization": "Example Telecom"}, "Example Telecom"),
        ({"asn": "AS64500", "as_name": "Example Telecom", "as_domain": "example.net"}, "Example Telecom"),
        ({"asn": "AS64500", "name": "Example Telecom"}, "Example Telecom"),
        ({"asn": {"asn": "AS64500", "name": "Example Telecom"}}, "Example Telecom"),
        ({"traits": {"autonomous_system_organization": "Example Telecom"}}, "Example Telecom"),
        ({"autonomous_system_number": 64500}, "AS64500"),
        ({"asn": "AS64500"}, "AS64500"),
        ({"asn": {"asn": 64500}}, "AS64500"),
        ({"autonomous_system_organization": "  \x1b[31mExample\nTelecom "}, "[31mExampleTelecom"),
        ({"autonomous_system_organization": 7, "asn": True}, None),
        ({"asn": "ASX", "autonomous_system_number": 0}, None),
        ({}, None),
    ],
)
def test_owners_are_read_in_every_shape(tmp_path: Path, record: dict[str, object], owner: str | None) -> None:
    """Network-owner databases spell the owner in several ways; without a name the AS number stands for it."""
    owners = write(tmp_path / "asn.mmdb", {"192.0.2.0/24": record}, kind="Test-ASN")
    cities = write(tmp_path / "city.mmdb", {"192.0.2.0/24": NESTED})

    assert Places([cities], [owners]).place("192.0.2.1") == Place("DE", "Cologne", 50.94, 6.96, owner)


def test_owner_files_alone_know_no_country(tmp_path: Path) -> None:
    """With owner databases only, the country rule is off, and that can be asked."""
    owners = write(tmp_path / "asn.mmdb", {"192.0.2.0/24": {"as_name": "Example Telecom", "country_code": "DE"}})
    known = Places([], [owners])

    assert not known.available
    assert known.country("192.0.2.1") is None
    assert known.place("192.0.2.1").owner == "Example Telecom"


@pytest.mark.parametrize(
    "record",
    [
        "DE",
        ["DE"],
        {},
        {"country": None},
        {"country": []},
        {"country": {"iso_code": 49}},
        {"country": {"iso_code": "DEU"}},
        {"country": {"iso_code": "D"}},
        {"country": {"iso_code": ""}},
        {"country": {"iso_code": "A1"}},
        {"country": {"iso_code": "ÄÖ"}},
        {"country": {"iso_code": "EU"}},
        {"country_code": "ZZ"},
        {"country_code": {"code": "DE"}},
        {"country": "Germany"},
    ],
)
def test_a_damaged_country_is_unknown(tmp_path: Path, record: object) -> None:
    """Wrong types, codes of the wrong length and codes of regions are no country."""
    if isinstance(record, dict):
        record = {key: value for key, value in record.items() if value is not None}
    known = places(tmp_path, {"192.0.2.0/24": record})

    assert known.country("192.0.2.1") is None
    assert known.place("192.0.2.1") == Place()


@pytest.mark.parametrize(
    "record",
    [
        {"country_code": " de ", "city": 7, "latitude": "north", "longitude": 6.9},
        {"country_code": "De", "city": "\n\t", "latitude": 91.0, "longitude": 6.9},
        {"country_code": "de", "city": {}, "location": {"latitude": 50.9}},
        {"country_code": "DE", "city": {"names": {}}, "location": "50,6"},
        {"country_code": "DE", "city": {"names": []}, "latitude": float("nan"), "longitude": 1.0},
        {"country_code": "DE", "latitude": 0.0, "longitude": 0.0},
        {"country_code": "DE", "latitude": True, "longitude": True},
    ],
)
def test_damaged_details_do_not_hide_the_country(tmp_path: Path, record: dict[str, object]) -> None:
    """A record whose city or coordinates are unusable still has its country, and coordinates only in pairs."""
    assert places(tmp_path, {"192.0.2.0/24": record}).place("192.0.2.1") == Place("DE")


def test_other_spellings_are_read(tmp_path: Path) -> None:
    """Coordinates as text, `lat` and `lng`, a code directly in `country`, and a city without an English name."""
    known = places(
        tmp_path,
        {
            "192.0.2.0/24": {"country": "FR", "city": "Paris", "lat": "48.85", "lng": "2.35"},
            "198.51.100.0/24": {"country": {"iso_code": "AT"}, "city": {"names": {"de": "Wien"}}},
        },
    )

    assert known.place("192.0.2.1") == Place("FR", "Paris", 48.85, 2.35)
    assert known.place("198.51.100.1") == Place("AT", "Wien")


def test_absurdly_long_names_are_cut(tmp_path: Path) -> None:
    """A city's name ends up in every incident, so it is bounded."""
    city = places(tmp_path, {"192.0.2.0/24": {"country_code": "DE", "city": "x" * 5000}}).place("192.0.2.1").city

    assert city == "x" * 120


def test_a_replaced_file_is_read_again(tmp_path: Path) -> None:
    """A file that takes the old one's name is in use after the next look; unchanged files are not read again."""
    path = write(tmp_path / "city.mmdb", {"192.0.2.0/24": NESTED})
    known = Places([path])

    assert not known.reload_if_changed()
    replace(path, {"192.0.2.0/24": FLAT})
    assert taken(known)

    assert known.country("192.0.2.1") == "IT"
    assert known.generation == 1
    assert not known.reload_if_changed()


@pytest.mark.parametrize("garbage", [b"", b"x", b"garbage" * 1000])
def test_a_broken_new_file_keeps_the_old_one(tmp_path: Path, garbage: bytes) -> None:
    """A file overwritten in place with garbage leaves the places known before in use, and says so until it is mended."""
    path = write(tmp_path / "city.mmdb", {"192.0.2.0/24": NESTED})
    known = Places([path])

    path.write_bytes(garbage)

    assert not taken(known)
    assert known.country("192.0.2.1") == "DE"
    assert "city.mmdb changed and cannot be used" in (known.last_error or "")
    assert known.describe()["last_error"] == known.last_error
    replace(path, {"192.0.2.0/24": FLAT})
    assert taken(known)
    assert known.country("192.0.2.1") == "IT"
    assert known.last_error is None


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    """Half a database (a copy that was interrupted) is an error that names the file."""
    path = write(tmp_path / "city.mmdb", {"192.0.2.0/24": NESTED})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    with pytest.raises(ConfigurationError, match=r"city\.mmdb is no usable MMDB"):
        Places([path])


def test_a_file_that_vanishes_keeps_the_old_one(tmp_path: Path) -> None:
    """Somebody deletes the file: the places stay known, the health says what is wrong."""
    path = write(tmp_path / "city.mmdb", {"192.0.2.0/24": NESTED})
    known = Places([path])

    path.unlink()

    assert not taken(known)
    assert known.country("192.0.2.1") == "DE"
    assert known.last_error is not None


@pytest.mark.parametrize("damage", [b"\x00", b"\xff"])
def test_damage_inside_a_file_is_unknown_or_refused(tmp_path: Path, damage: bytes) -> None:
    """A file whose data section is overwritten is refused, or its records are unknown; nothing else is raised."""
    path = write(tmp_path / "city.mmdb", {"203.0.113.0/24": NESTED, "198.51.100.0/24": FLAT})
    content = path.read_bytes()
    metadata = content.rindex(b"\xab\xcd\xefMaxMind.com")
    path.write_bytes(content[: metadata - 150] + damage * 150 + content[metadata:])

    try:
        known = Places([path])
    except ConfigurationError:
        return
    assert known.place("203.0.113.1").city in {None, "Cologne"}


def test_a_missing_file_is_an_error_at_start(tmp_path: Path) -> None:
    """A path that names nothing is a mistake in the settings, and the sentence names it."""
    with pytest.raises(ConfigurationError, match=r"cannot read the geo database .*nowhere\.mmdb: No such file"):
        Places([tmp_path / "nowhere.mmdb"])


def test_health_shows_type_build_time_and_path(tmp_path: Path) -> None:
    """What the operator needs to see whether the database is the right one and fresh."""
    path = write(tmp_path / "city.mmdb", {"192.0.2.0/24": NESTED}, kind="Invented-City")
    described = Places([path]).describe()

    (database,) = described["databases"]
    assert described["available"]
    assert (database["path"], database["kind"], database["type"]) == (str(path), "place", "Invented-City")
    assert database["built"] > 1_700_000_000


def test_no_database_is_a_working_condition(tmp_path: Path) -> None:
    """Without a database every place is unknown, and that can be asked; with one named, it is opened."""
    none = open_places(Settings())

    assert isinstance(none, NoPlaces)
    assert not none.available
    assert none.country_of(parse_address("192.0.2.1")) is None
    assert none.place("192.0.2.1") == Place()
    assert not none.reload_if_changed()
    path = write(tmp_path / "city.mmdb", {"192.0.2.0/24": NESTED})
    assert open_places(Settings(geo_databases=(str(path),))).country("192.0.2.1") == "DE"
