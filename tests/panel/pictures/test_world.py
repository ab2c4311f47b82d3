"""The map's geometry."""

from typing import Any

from streams.panel.pictures.world import HEIGHT, LARGEST, WIDTH, world


def network(
    name: str, latitude: float | None, longitude: float | None, logins: int = 1, city: str = ""
) -> dict[str, Any]:
    return {
        "network": name,
        "latitude": latitude,
        "longitude": longitude,
        "logins": logins,
        "city": city or None,
        "country": "DE",
    }


def test_a_place_stands_where_it_is_on_the_globe() -> None:
    """Longitude 0 is the middle; north is up; west is left."""
    made = world([network("null", 0, 0), network("berlin", 52.5, 13.4), network("sao paulo", -23.5, -46.6)])

    null, berlin, sao_paulo = (
        next(p for p in made.points if p.networks == [n]) for n in ("null", "berlin", "sao paulo")
    )
    assert null.x == WIDTH / 2
    assert berlin.y < null.y < sao_paulo.y
    assert sao_paulo.x < null.x < berlin.x


def test_networks_of_one_place_are_one_point_that_grows_with_logins() -> None:
    """Many networks of one city do not cover each other."""
    made = world([network("a", 52.5, 13.4, 3), network("b", 52.5, 13.4, 5), network("c", 10, 10, 10**9)])

    large, berlin = made.points
    assert (berlin.networks, berlin.logins) == (["a", "b"], 8)
    assert large.radius == LARGEST


def test_a_network_without_coordinates_is_counted_and_not_drawn() -> None:
    """It stands in the table; the picture says how many it lacks."""
    made = world([network("a", None, None), network("b", 1, 1)])

    assert made.unplaced == 1
    assert [point.networks for point in made.points] == [["b"]]


def test_impossible_coordinates_stay_inside_the_picture() -> None:
    """A broken geo database cannot break the page."""
    made = world([network("a", 999, -999), network("b", -90, 180)])

    assert all(0 <= point.x <= WIDTH and 0 <= point.y <= HEIGHT for point in made.points)


def test_labels_never_cover_another_label() -> None:
    """A crowd of neighbours gets as many labels as have room; all keep their point."""
    made = world(
        [network(f"n{number}", 50 + number % 5, 8 + number / 5, city=f"Town {number}") for number in range(40)]
    )

    boxes = [
        (point.label_x - (6.4 * len(point.label) if point.anchor == "end" else 0), point.y, len(point.label) * 6.4)
        for point in made.points
        if point.label
    ]
    assert len(made.points) == 40
    assert 0 < len(boxes) < 40
    for at, (x, y, long) in enumerate(boxes):
        for other_x, other_y, other_long in boxes[at + 1 :]:
            assert abs(y - other_y) >= 13 or x + long <= other_x or other_x + other_long <= x
