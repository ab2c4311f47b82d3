"""What the engine remembers of accounts under attack."""

from dataclasses import dataclass

from tests.engine.feeding import NOW, Records
from tests.model.places import FixedPlaces, Place


@dataclass
class Edition(FixedPlaces):
    """A geo database that knows one city."""

    city: str = ""

    def place(self, address: str) -> Place:
        return Place(super().place(address).country, self.city)


def test_a_new_edition_of_the_geo_database_shows_in_the_next_revision(records: Records) -> None:
    """For all networks of the incident, also those that were shown before."""
    records.policy(mode="observe")
    records.engine.use_places(Edition("Old Town"))
    for number in (1, 2):
        records.read(ip=f"198.51.100.{number}", time=NOW + number, now=NOW + number)
    records.engine.use_places(Edition("New Town"))
    records.read(ip="198.51.100.3", time=NOW + 3, now=NOW + 3)

    before, after = [[network["city"] for network in record["networks"]] for _, record in records.written()]

    assert before == ["Old Town"] * 2
    assert after == ["New Town"] * 3
