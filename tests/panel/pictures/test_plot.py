"""The plot's geometry."""

from streams.panel.pictures.plot import NARROW, WIDE, Day, plot

DAY_MS = 86_400_000
START_MS = 1_767_225_600_000


def days(*counts: tuple[int | None, int, int]) -> list[Day]:
    return [Day(START_MS + number * DAY_MS, *count) for number, count in enumerate(counts)]


def test_bars_stand_on_their_base_and_are_as_high_as_their_number() -> None:
    """Twice as many incidents are twice as high."""
    made = plot(days((10, 1, 0), (20, 2, 4)))

    one, two = made.days
    assert two.incidents_height == 2 * one.incidents_height
    assert one.incidents_y + one.incidents_height == made.case_base
    assert one.blocks_height == 0
    assert two.blocks_height == made.measures.bars_height


def test_a_day_whose_logins_are_not_known_breaks_the_line_instead_of_being_zero() -> None:
    """Not known is not none."""
    made = plot(days((5, 0, 0), (6, 0, 0), (None, 0, 0), (7, 0, 0), (8, 0, 0)))

    assert len(made.line) == 2
    assert len(made.dots) == 4


def test_everything_lies_inside_the_picture_whatever_the_numbers() -> None:
    """From nothing at all to a hundred million logins a day."""
    for most in (0, 1, 7, 999, 100_000_000):
        for measures in (WIDE, NARROW):
            made = plot(days(*[(most * day // 13, most * day // 1000, day % 3) for day in range(14)]), measures)

            assert all(measures.left <= x <= made.width and measures.head <= y <= made.login_base for x, y in made.dots)
            assert all(bars.incidents_y >= made.login_base for bars in made.days)
            assert 2 <= len(made.login_ticks) <= 4
            assert made.labels[-1].label == made.days[-1].date


def test_no_days_are_an_empty_picture() -> None:
    """A panel that was installed a minute ago has an empty plot, not an error."""
    made = plot([])

    assert made.days == ()
    assert made.line == ()
