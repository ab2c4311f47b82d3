"""The timeline's geometry."""

from typing import Any

from streams.panel.pictures.timeline import MOST_LANES, NARROW, WIDE, Lane, timeline

MINUTE_MS = 60_000
OPENED_MS = 1_767_225_600_000


def network(name: str, first: int, last: int, country: str | None = "DE") -> dict[str, Any]:
    """A network with its first and last login in minutes from the opening."""
    return {
        "network": name,
        "country": country,
        "first": OPENED_MS + first * MINUTE_MS,
        "last": OPENED_MS + last * MINUTE_MS,
    }


def incident(*networks: dict[str, Any], rule: str = "ips", limit: int = 2) -> dict[str, Any]:
    return {"networks": list(networks), "opened": OPENED_MS, "window": 60, "rule": rule, "limit": limit}


def lane_of(name: str, lanes: tuple[Lane, ...]) -> Lane:
    return next(lane for lane in lanes if lane.network["network"] == name)


def test_lanes_stand_in_the_order_in_which_networks_came_into_the_window_and_those_over_the_limit_below_its_line() -> (
    None
):
    """Two networks are allowed: the third and fourth to come stand below the line, and only they are marked."""
    made = timeline(incident(network("d", 5, 9), network("b", -20, -3), network("c", 0, 4), network("a", -900, -50)))

    assert [lane.network["network"] for lane in made.lanes] == ["a", "b", "c", "d"]
    assert [lane.over for lane in made.lanes] == [False, False, True, True]
    assert made.limit_y is not None
    assert made.lanes[1].top < made.limit_y == made.lanes[2].top


def test_a_bar_begins_at_the_opening_line_where_the_login_opened_the_incident() -> None:
    """The network that exceeded the limit begins exactly at the instant that the picture marks."""
    made = timeline(incident(network("a", -30, -20), network("b", -10, 2), network("c", 0, 3)))

    assert lane_of("c", made.lanes).bar_x == made.opened_x
    assert lane_of("a", made.lanes).bar_x < lane_of("b", made.lanes).bar_x < made.opened_x


def test_a_network_known_for_weeks_reaches_the_left_edge_and_says_that_it_began_before() -> None:
    """What began before the window is cut at the edge and marked."""
    made = timeline(incident(network("home", -40_000, 1), network("b", -10, 2)))

    home = lane_of("home", made.lanes)
    assert home.before
    assert home.bar_x == WIDE.left
    assert not lane_of("b", made.lanes).before


def test_a_network_counts_for_a_window_after_its_last_login_and_no_longer() -> None:
    """The light part of a lane ends a window after the last login, or at the picture's edge."""
    made = timeline(incident(network("early", -59, -55), network("late", 0, 30)))

    early, late = lane_of("early", made.lanes), lane_of("late", made.lanes)
    minute = (made.width - WIDE.right - WIDE.left) / (60 + 30 + 5)
    assert abs(early.rest_x + early.rest_width - (WIDE.left + minute * 65)) < 1
    assert late.rest_x + late.rest_width == made.width - WIDE.right


def test_a_single_login_is_still_a_visible_dot_inside_the_picture() -> None:
    """A bar has a least width, also at the right edge."""
    for layout in (WIDE, NARROW):
        made = timeline(incident(network("a", -10, -10), network("b", 900, 900)), layout)

        for lane in made.lanes:
            assert lane.bar_width >= 4
            assert layout.left <= lane.bar_x
            assert lane.bar_x + lane.bar_width <= made.width - layout.right


def test_the_countries_rule_draws_the_limit_between_countries_and_leaves_unknown_ones_above() -> None:
    """Networks of one country stand together; an unknown country counts as none."""
    made = timeline(
        incident(
            network("de1", -40, -1, "DE"),
            network("fr1", -30, -1, "FR"),
            network("de2", -20, -1, "DE"),
            network("none", -10, -1, None),
            network("vn", 0, 1, "VN"),
            rule="countries",
        )
    )

    assert [lane.network["network"] for lane in made.lanes] == ["none", "de1", "de2", "fr1", "vn"]
    assert [lane.over for lane in made.lanes] == [False, False, False, False, True]


def test_a_picture_stays_within_a_screen_and_says_how_many_networks_it_leaves_out() -> None:
    """64 networks are drawn as far as a screen goes; the rest is counted."""
    made = timeline(incident(*(network(f"n{number:02}", number, number + 1) for number in range(64))))

    assert len(made.lanes) == MOST_LANES
    assert made.left_out == 64 - MOST_LANES
    assert made.height < 900


def test_an_episode_of_weeks_is_drawn_for_three_windows_only() -> None:
    """The opening stays readable; what goes on longer is marked at the edge."""
    made = timeline(incident(network("a", -10, 30_000), network("b", 0, 5)))

    assert lane_of("a", made.lanes).after
    assert made.opened_x - WIDE.left > (made.width - WIDE.left) * 0.2


def test_ticks_are_few_and_lie_inside_the_picture() -> None:
    """Round times only, as many as have room, for windows from a minute to 30 days."""
    for window in (1, 7, 60, 1440, 43_200):
        given = incident(network("a", -1, 0)) | {"window": window}
        for layout in (WIDE, NARROW):
            made = timeline(given, layout)

            assert 1 <= len(made.ticks) <= layout.ticks + 1
            assert all(layout.left <= tick.at <= made.width - layout.right for tick in made.ticks)


def test_an_incident_without_kept_networks_is_an_empty_picture() -> None:
    """All networks may have been let go since: there is still an axis, and no failure."""
    made = timeline(incident())

    assert made.lanes == ()
    assert made.limit_y is None
