"""Geo databases that are written, cut, damaged or too large while they are in use."""

import os
import resource
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.core.addresses import parse_address
from streams.engine.compiled.countries import KnownCountries, halves_of
from streams.engine.compiled.known import NOT_KNOWN, country_of
from streams.errors import ConfigurationError, FileChangingError
from streams.geo import Places
from tests.test_geo import FLAT, NESTED, taken, write

LARGE = 1 << 40


def test_a_file_that_is_still_written_is_not_read(tmp_path: Path) -> None:
    """Overwritten in place piece by piece: half a file could end the process in the C extension."""
    path = write(tmp_path / "city.mmdb", {"192.0.2.0/24": NESTED})
    known = Places([path])
    new = write(tmp_path / "new.mmdb", {f"192.0.{third}.0/24": FLAT for third in range(9)}).read_bytes()

    path.write_bytes(b"")
    for begin in range(0, len(new), 500):
        with path.open("ab") as file:
            file.write(new[begin : begin + 500])
        assert not known.reload_if_changed()
        assert known.last_error is None
        assert known.country("192.0.2.1") == "DE"

    assert known.reload_if_changed()
    assert known.country("192.0.2.1") == "IT"


def exchanged_while_read(path: Path, new: Path) -> None:
    """Make it a file whose reader gets what was written before `new` took its place."""
    path.unlink(missing_ok=True)
    os.mkfifo(path)

    def serve() -> None:
        with path.open("wb") as pipe:  # waits for the reader
            new.replace(path)
            pipe.write(b"half of a file")

    threading.Thread(target=serve, daemon=True).start()


def test_a_file_that_changes_while_it_is_read_is_not_opened(tmp_path: Path) -> None:
    """At start the process ends with a code after which it is started again; later the old file stays in use."""
    path = tmp_path / "city.mmdb"
    exchanged_while_read(path, write(tmp_path / "new.mmdb", {"192.0.2.0/24": NESTED}))
    with pytest.raises(FileChangingError, match=r"city\.mmdb changed while it was read"):
        Places([path])

    known = Places([path])
    exchanged_while_read(path, write(tmp_path / "new.mmdb", {"192.0.2.0/24": FLAT}))

    assert not taken(known)
    assert (known.last_error, known.country("192.0.2.1")) == (None, "DE")
    assert taken(known)
    assert known.country("192.0.2.1") == "IT"


@pytest.fixture
def little_memory() -> Iterator[None]:
    """This process gets no piece of memory as large as LARGE, whatever the machine would promise it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (LARGE, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.mark.usefixtures("little_memory")
def test_a_file_larger_than_the_memory_keeps_the_old_one(tmp_path: Path) -> None:
    """And is an error that names the file at start."""
    path = write(tmp_path / "city.mmdb", {"192.0.2.0/24": NESTED})
    known = Places([path])

    os.truncate(path, LARGE)  # all of it a hole

    assert not taken(known)
    assert known.country("192.0.2.1") == "DE"
    assert "larger than the memory" in (known.last_error or "")
    with pytest.raises(ConfigurationError, match=r"cannot read the geo database .*city\.mmdb: it is larger"):
        Places([path])


def test_a_name_that_is_no_text_hides_its_network_alone(tmp_path: Path) -> None:
    """Nothing is said of the block around it, whichever is asked first; the health shows the damage."""
    path = write(tmp_path / "city.mmdb", {"198.51.100.0/24": NESTED, "198.51.101.0/26": {**FLAT, "city": "Xuelheim"}})
    path.write_bytes(path.read_bytes().replace(b"Xuelheim", b"M\xfclheim!"))
    places, countries = Places([path]), KnownCountries()
    damaged, neighbour = parse_address("198.51.101.1"), parse_address("198.51.100.1")

    assert places.country_and_span(damaged) == (None, 0)
    countries.enter(damaged, places)
    assert country_of(*halves_of(neighbour), countries.keys, countries.codes) == NOT_KNOWN
    assert [places.country_of(number) for number in (damaged, neighbour)] == [None, "DE"]
    assert "utf-8" in places.describe()["databases"][0]["damaged"]
