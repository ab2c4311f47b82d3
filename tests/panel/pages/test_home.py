"""The first page after signing in."""

from streams.panel.pages.home import by_day
from streams.panel.store.activity import Hour
from tests.panel.pages.house import House
from tests.panel.pages.records import DAY_MS, FOREIGNER, NOW_MS, THIEF, TRAVELLER, review, taken_over, told, travelling

HOUR_MS = 3_600_000
START_MS = NOW_MS // DAY_MS * DAY_MS


def test_the_banner_leads_to_incidents_that_wait_and_goes_when_all_are_reviewed(house: House) -> None:
    """As long as one of the reader's scope is unreviewed."""
    house.tell([*told(taken_over()), *told(travelling())])
    visitor = house.visitor()
    waiting = visitor.get("/")

    house.tell([("reviews", THIEF, review(taken_over(), "compromised")), ("reviews", TRAVELLER, review(travelling()))])
    done = visitor.get("/")

    assert "New security incidents detected 2 incidents wait for a review." in waiting.text
    assert "/incidents?status=unreviewed&sort=likeliest" in waiting.links
    assert "New security incidents detected" not in done.text
    assert "No incident waits for a review." in done.text


def test_counts_and_the_first_ones_to_look_at_are_those_of_the_readers_scope(house: House) -> None:
    """A foreign incident neither counts nor shows."""
    house.tell([*told(taken_over()), *told(travelling()), *told(taken_over(NOW_MS - DAY_MS, FOREIGNER, "8"))])

    own = house.visitor("reader", "domain:example.org").get("/")
    every = house.visitor().get("/")

    assert "2 not reviewed 2 incidents today (GMT)" in own.text
    assert "1 accounts blocked now" in own.text
    assert FOREIGNER not in own.text
    assert "3 not reviewed" in every.text
    rows = [row for row in own.rows if "@" in row]
    assert rows[0].startswith(THIEF)


def test_an_empty_panel_has_a_home_page(house: House) -> None:
    """The minute after the installation: nothing waits, and the plot is empty."""
    page = house.visitor().get("/")

    assert page.status == 200
    assert "No incident waits for a review." in page.text


def test_without_kafka_the_pipeline_says_so(house: House) -> None:
    """Nobody takes a quiet page for a quiet day."""
    page = house.visitor().get("/")

    assert "trouble" in page.text.partition("Pipeline")[2]


def test_on_a_working_broker_the_pipeline_is_well_and_misses_logins(live_house: House) -> None:
    """Everything is read; that no login comes in is worth a look."""
    text = live_house.visitor().get("/").text.partition("Pipeline")[2]

    assert "well Panel Everything on the topics is read." in text
    assert "look Doors and log readers No login was reported since" in text


def test_hours_become_days_and_days_before_the_first_known_login_have_no_number() -> None:
    """Not known is not none."""
    hours = [
        Hour(START_MS, 0, 1, 0),
        Hour(START_MS + DAY_MS, 0, 0, 0),
        Hour(START_MS + DAY_MS + HOUR_MS, 7, 2, 1),
        Hour(START_MS + 2 * DAY_MS, 0, 0, 0),
        Hour(START_MS + 2 * DAY_MS + HOUR_MS, 5, 0, 3),
    ]

    days = by_day(hours)

    assert [(day.logins, day.incidents, day.blocks) for day in days] == [(None, 1, 0), (7, 2, 1), (5, 0, 3)]


def test_readers_of_some_domains_see_no_number_of_logins(house: House) -> None:
    """Logins are counted for all domains together, which is not theirs to know."""
    page = house.visitor("reader", "domain:example.org").get("/")

    assert "logins (all domains)" not in page.text
    assert "Doors and log readers" not in page.text
