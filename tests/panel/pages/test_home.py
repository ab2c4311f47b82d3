"""The first page after signing in."""

from confluent_kafka import TopicPartition

from streams.bus.clients import new_consumer
from streams.bus.group_lag import GroupLag
from streams.bus.partitions import reader_config
from streams.bus.producer import Producer
from streams.panel.pages.home import by_day
from streams.panel.store.activity import Hour
from streams.settings import Settings
from streams.topology import LOGINS, WORKER_INPUTS
from tests.eventually import eventually
from tests.panel.pages.house import House
from tests.panel.pages.records import (
    DAY_MS,
    FOREIGNER,
    NOW_MS,
    THIEF,
    TRAVELLER,
    block,
    review,
    taken_over,
    told,
    travelling,
)

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
    assert "1 account blocked now" in own.text
    assert FOREIGNER not in own.text
    assert "3 not reviewed" in every.text
    rows = [row for row in own.rows if "@" in row]
    assert rows[0].startswith(THIEF)


def test_an_incident_goes_on_until_its_block_is_lifted_and_the_number_leads_to_those_that_do(house: House) -> None:
    """The same ones as are counted, reviewed or not; somebody who was let in again is not among them."""
    found = taken_over()
    house.tell([*told(found), *told(travelling(NOW_MS - HOUR_MS // 2)), ("reviews", THIEF, review(found))])
    visitor = house.visitor()

    before, german = visitor.get("/"), house.visitor(language="de").get("/")
    listed = visitor.get("/incidents?status=open")
    house.tell([("blocks", THIEF, block(found, state="open", until=NOW_MS - 60_000, actor="help@example.org"))])
    after = visitor.get("/")

    assert "2 incidents going on" in before.text
    assert "2 Vorfälle im Gang" in german.text
    assert "/incidents?status=open" in before.links
    assert [row.split("@")[0] for row in listed.rows if "@" in row] == ["bob", "ann"]
    assert listed.fields["status"] == ["open"]
    assert "1 incident going on" in after.text
    assert [row.split("@")[0] for row in visitor.get("/incidents?status=open").rows if "@" in row] == ["bob"]


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


def test_a_worker_that_does_not_keep_up_is_trouble(live_house: House) -> None:
    """Whoever sees everything learns the number, others that it is late; once it has caught up all is well."""
    house = live_house
    settings, app = house.panel.settings, house.panel.settings.app
    late = GroupLag(settings, app, WORKER_INPUTS, every_s=0.05, late_s=0.05)
    house.panel.worker_lag.stop()
    house.panel.worker_lag = late
    _write_login(settings)
    late.start()

    eventually(lambda: late.overdue == 1, 30, what="the login is overdue")
    owner, own = (visitor.get("/").text for visitor in (house.visitor(), house.visitor("reader", "domain:example.org")))
    german = house.visitor(language="de").get("/").text
    _commit_all(settings, app)
    eventually(lambda: late.overdue == 0, 30, what="the group is there")
    done = house.visitor().get("/").text

    assert "trouble Worker The worker is 1 record behind: new incidents and blocks come late." in owner
    assert "look Worker The worker is late: new incidents" in own
    assert "Der Worker liegt 1 Eintrag zurück" in german
    assert "well Worker Every login is judged at once." in done


def _write_login(settings: Settings) -> None:
    producer = Producer(settings)
    producer.send(LOGINS.name, b"{}", key="ann@example.org")
    producer.flush(10)
    producer.close()


def _commit_all(settings: Settings, group: str) -> None:
    """As a worker does that has judged everything."""
    member = new_consumer(reader_config(settings, group))
    ends = [
        TopicPartition(LOGINS.name, number, member.get_watermark_offsets(TopicPartition(LOGINS.name, number))[1])
        for number in range(settings.partitions)
    ]
    member.commit(offsets=ends, asynchronous=False)
    member.close()


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
