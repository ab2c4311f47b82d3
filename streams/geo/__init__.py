"""
Where a network is, and whose: country, city, coordinates and owner from MMDB files that the operator names.

`places.py` asks several files in order and remembers, `database.py` is one file, `fields.py` reads the shapes of records
that databases have. Nothing is downloaded, nothing is bundled; no database at all is `NoPlaces`.
"""

from streams.geo.database import has_extension
from streams.geo.places import NoPlaces, Place, Places, open_places

__all__ = ["NoPlaces", "Place", "Places", "has_extension", "open_places"]
