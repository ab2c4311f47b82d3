"""
The map of the places that logins came from: an equirectangular grid with coarse coasts, one point per place.

Decision: networks of one place are one point, which is larger the more logins it had and carries the number of its
networks; labels that would cover another are left out, since every place stands in the table below the picture.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import log2
from typing import Any

from streams.panel.pictures.axis import Tick
from streams.panel.pictures.coasts import COASTS

WIDTH, HEIGHT = 720.0, 296.0
NORTH, SOUTH = 84.0, -64.0
"""Nobody reads mail from beyond; what does, stands at the edge."""
SCALE = WIDTH / 360
SMALLEST, LARGEST = 4.0, 11.0
LABEL_WIDTH, LABEL_HEIGHT = 6.4, 13.0
"""Of one character and of a line, roughly: only to keep labels apart."""
LONGEST_LABEL = 24


@dataclass(slots=True)
class Point:
    """One place: where it stands, how large, and what logged in from there. `label` is empty where it has no room."""

    x: float
    y: float
    city: str | None
    country: str | None
    networks: list[str] = field(default_factory=list)
    logins: int = 0
    radius: float = SMALLEST
    label: str = ""
    anchor: str = "start"
    label_x: float = 0.0


@dataclass(frozen=True, slots=True)
class World:
    """A whole map. `unplaced` networks have no coordinates and are only in the table."""

    width: float
    height: float
    coasts: tuple[str, ...]
    meridians: tuple[Tick, ...]
    parallels: tuple[Tick, ...]
    points: tuple[Point, ...]
    unplaced: int


def world(networks: Iterable[Mapping[str, Any]]) -> World:
    """The map of networks with `latitude` and `longitude` in degrees, of which either may be None."""
    points: dict[tuple[float, float], Point] = {}
    unplaced = 0
    for network in networks:
        latitude, longitude = network.get("latitude"), network.get("longitude")
        if latitude is None or longitude is None:
            unplaced += 1
            continue
        where = (round(latitude, 1), round(longitude, 1))
        point = points.get(where)
        if point is None:
            point = points[where] = Point(_x(longitude), _y(latitude), network.get("city"), network.get("country"))
        point.networks.append(network["network"])
        point.logins += network["logins"]
    # large ones first, so that small ones are drawn over them
    ordered = sorted(points.values(), key=lambda point: (-point.logins, point.x, point.y))
    for point in ordered:
        point.radius = round(min(LARGEST, SMALLEST + log2(max(point.logins, 1))), 1)
    _write_labels(ordered)
    return World(
        width=WIDTH,
        height=HEIGHT,
        coasts=_COASTS,
        meridians=tuple(Tick(_x(degrees), _degrees(degrees, "E", "W")) for degrees in range(-120, 121, 60)),
        parallels=tuple(Tick(_y(degrees), _degrees(degrees, "N", "S")) for degrees in range(-30, 61, 30)),
        points=tuple(ordered),
        unplaced=unplaced,
    )


def _write_labels(points: list[Point]) -> None:
    taken = [(point.x - point.radius, point.x + point.radius, point.y) for point in points]
    for point in points:
        name = point.city or point.country or ""
        text = name if len(name) <= LONGEST_LABEL else f"{name[: LONGEST_LABEL - 1]}…"
        long = LABEL_WIDTH * len(text)
        right = (point.x + point.radius + 3, "start")
        left = (point.x - point.radius - 3, "end")
        for at, anchor in (right, left):
            start, end = (at, at + long) if anchor == "start" else (at - long, at)
            room = start >= 0 and end <= WIDTH
            if text and room and not any(_cover(start, end, point.y, other) for other in taken):
                taken.append((start, end, point.y))
                point.label, point.anchor, point.label_x = text, anchor, round(at, 1)
                break


def _cover(start: float, end: float, y: float, other: tuple[float, float, float]) -> bool:
    return start < other[1] and other[0] < end and abs(y - other[2]) < LABEL_HEIGHT


def _x(longitude: float) -> float:
    return round((min(180.0, max(-180.0, longitude)) + 180) * SCALE, 1)


def _y(latitude: float) -> float:
    return round((NORTH - min(NORTH, max(SOUTH, latitude))) * SCALE, 1)


def _degrees(degrees: int, positive: str, negative: str) -> str:
    letter = positive if degrees > 0 else negative if degrees < 0 else ""
    return f"{abs(degrees)}°{letter}"


_COASTS = tuple(" ".join(f"{_x(longitude)},{_y(latitude)}" for longitude, latitude in coast) for coast in COASTS)
