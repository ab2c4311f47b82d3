"""One incident, as people use it."""

import pytest

from tests.panel.pages.house import House
from tests.panel.pages.records import (
    DAY_MS,
    FOREIGNER,
    HOUR_MS,
    NOW_MS,
    THIEF,
    TRAVELLER,
    incident,
    network,
    review,
    safe,
    taken_over,
    told,
    travelling,
)

TAKEN_OVER = "/incidents/00000000-0000-5000-8000-000000000001"
ON_THE_WAY = "/incidents/00000000-0000-5000-8000-000000000002"


def test_an_incident_shows_all_of_its_evidence(house: House) -> None:
    """The sentence, the networks with their places, what was left out and why, and the senders that were not the owner's."""
    house.tell(told(taken_over()))

    page = house.visitor().get(TAKEN_OVER)

    assert "Logins from 6 networks within 1 h; 3 allowed." in page.text
    assert "until 2026-09-22 13:13 GMT" in page.text
    hanoi = next(row for row in page.rows if row.startswith("203.0.113.5/32"))
    assert all(part in hanoi for part in ("VN Vietnam", "Hanoi", "Example Hosting", "SMTP", "31", "new"))
    assert "inside the safe network 100.64.7.0/24 of domain example.org" in page.text
    assert "419 messages of the last 24 hours had a MAIL FROM that is not the account's own." in page.text
    assert any(row.startswith("billing@bank.example an address of another domain 412") for row in page.rows)


def test_the_policy_it_was_judged_by_names_the_origin_of_each_field_and_leads_there(house: House) -> None:
    """Somebody who finds the limit wrong is one click from the place that set it."""
    house.tell(told(taken_over()))

    page = house.visitor().get(TAKEN_OVER)

    assert "Number of different IPs 3 domain example.org" in page.rows
    assert "Time window 1 h everyone" in page.rows
    assert "Mode enforce default" in page.rows
    assert "/policies?scope=domain%3Aexample.org" in page.links


def test_pictures_have_a_title_a_description_and_no_style_of_their_own(house: House) -> None:
    """They are read aloud, they follow the theme, and the strict content security policy holds."""
    house.tell(told(taken_over()))

    page = house.visitor().get(TAKEN_OVER)

    assert page.html.count('role="img"') == 3
    assert page.html.count("<desc") == 3
    assert "style=" not in page.html
    assert "São Paulo: 64 logins" in page.html


def test_a_takeover_and_a_journey_are_told_apart_by_what_the_page_says(house: House) -> None:
    """Mail sent and the home network in use at the same time speak for a thief; a silent home network for a traveller."""
    house.tell([*told(taken_over()), *told(travelling())])
    visitor = house.visitor()

    thief, traveller = visitor.get(TAKEN_OVER).text, visitor.get(ON_THE_WAY).text

    assert "The usual network went on being used while logins came from BR, NG, US, VN." in thief
    assert "419 messages were sent with sender addresses (MAIL FROM)" in thief
    assert "The usual network fell silent before logins came from FR." in traveller
    assert "went on being used" not in traveller


def test_every_possible_reason_is_explained_with_its_signs_and_steps(house: House) -> None:
    """Whoever reviews for the first time learns from the page what to look for and what to do."""
    house.tell(told(travelling()))

    page = house.visitor().get(ON_THE_WAY)

    for reason in ("Compromised", "Third-party application", "Travelling", "Mobile connection", "Something else"):
        assert reason in page.text
    assert page.text.count("How to recognise it") == 5
    assert "Mark the hotel's or office's network as safe, with an expiry on the day of return." in page.text


def test_a_review_needs_a_verdict_and_keeps_the_note_that_was_typed(house: House) -> None:
    """The sentence stands beside the verdicts, the note stays in its box."""
    house.tell(told(travelling()))

    page = house.visitor().post(f"{ON_THE_WAY}/review", note="called twice")

    assert page.status == 422
    assert page.beside("verdict") == "Choose one of those offered."
    assert page.fields["note"] == ["called twice"]


def test_a_review_that_kafka_does_not_take_keeps_what_was_typed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Notes take long to write; the page says what is wrong."""
    monkeypatch.setattr("streams.panel.outbox.ACKNOWLEDGED_WITHIN_S", 0.3)
    house.tell(told(travelling()))
    house.panel.outbox.start()

    page = house.visitor().post(f"{ON_THE_WAY}/review", verdict="other", note="called twice")

    assert page.status == 422
    assert page.fields["note"] == ["called twice"]
    assert page.fields["verdict"] == ["other"]
    assert 'role="alert"' in page.html


def test_a_review_reaches_the_topic_and_is_shown_with_its_note(live_house: House) -> None:
    """After the answer of Kafka the page shows the verdict, the note line by line, and who it was."""
    from tests.panel.store.feeding import produce

    produce(_broker(live_house), told(travelling()))
    visitor = live_house.visitor()
    _until_shown(live_house, ON_THE_WAY)

    answer = visitor.post(f"{ON_THE_WAY}/review", verdict="travelling", note="in Paris\n<b>until Monday</b>")
    page = visitor.get(answer.leads_to)

    assert answer.status == 303
    assert "The incident is reviewed as: Travelling." in page.text
    assert "in Paris <b>until Monday</b>" in page.text
    assert visitor.name in page.text
    assert "bob" not in visitor.get("/incidents?status=unreviewed").text


def _broker(house: House) -> object:
    """What `produce` needs of a broker: its settings."""
    from types import SimpleNamespace

    return SimpleNamespace(settings=house.panel.settings)


def _until_shown(house: House, path: str) -> None:
    from tests.eventually import eventually

    eventually(lambda: house.visitor().get(path).status == 200, what=f"{path} is in the read model")


def test_a_reader_may_look_but_not_review_or_order(house: House) -> None:
    """Neither the form nor the buttons are there, and a forged form is refused."""
    house.tell(told(taken_over()))
    visitor = house.visitor("reader", "domain:example.org")

    page = visitor.get(TAKEN_OVER)

    assert page.status == 200
    assert "Save the review" not in page.text
    assert not any("/block?" in link or "/safe?" in link for link in page.links)
    assert visitor.post(f"{TAKEN_OVER}/review", verdict="other").status == 403


def test_a_foreign_incident_is_as_if_it_were_not_there(house: House) -> None:
    """Nobody learns that it exists: the same answer as for an id that is none."""
    house.tell(told(taken_over()))
    visitor = house.visitor("administrator", "domain:elsewhere.example")

    foreign, nothing = visitor.get(TAKEN_OVER), visitor.get("/incidents/nothing")

    assert foreign.status == nothing.status == 404
    assert foreign.text == nothing.text
    assert visitor.post(f"{TAKEN_OVER}/review", verdict="other", note="").status == 404


def test_the_history_has_earlier_incidents_reviews_and_blocks_of_the_account(house: House) -> None:
    """Whoever reads it sees that it happened before, and what was found then."""
    earlier = travelling(NOW_MS - 20 * DAY_MS, THIEF, "7")
    house.tell(
        [
            *told(earlier),
            *told(taken_over()),
            ("reviews", THIEF, review(earlier)),
            safe(f"account:{THIEF}", "192.0.2.10/32"),
        ]
    )

    page = house.visitor().get(TAKEN_OVER)

    history = page.text.partition("History of the account")[2]
    assert "2026-09-01 14:13 GMT Logins from 4 networks within 1 h; 3 allowed. Travelling" in history
    assert "in force" in history
    assert "help@example.org: reviewed an incident" in history
    assert "chief@example.org: marked a network as safe" in history


def test_the_text_for_the_owner_names_places_and_asks_for_no_password(house: House) -> None:
    """It can be copied as it is: plain text, no link."""
    house.tell(told(taken_over()))

    text = house.visitor().get(TAKEN_OVER).html.partition('id="contact"')[2].partition("</pre>")[0]

    assert "ann@example.org" in text
    assert "- São Paulo, Brazil (198.51.100.23, SMTP)" in text
    assert "We will never ask for your password." in text
    assert "http" not in text


def test_an_observed_incident_and_one_by_countries_are_worded_as_such(house: House) -> None:
    """Nobody was blocked, and the limit is one of countries."""
    opened = NOW_MS - HOUR_MS
    places = [network(f"192.0.2.{n}/32", code, None, opened, opened) for n, code in enumerate(("DE", "FR", None))]
    house.tell(told(incident("3", FOREIGNER, opened, places, rule="countries", limit=1, count=2, mode="observe")))

    page = house.visitor().get("/incidents/00000000-0000-5000-8000-000000000003")

    assert "Logins from 2 countries within 1 h; 1 allowed." in page.text
    assert "no: the policy only observes" in page.text
    assert "limit: 1 country" in page.text


def test_strings_that_strangers_choose_stay_text_everywhere_on_the_page(house: House) -> None:
    """Account, city, owner, MAIL FROM, descriptions and notes cannot become markup, in the pictures neither."""
    evil = '"><img src=x onerror=alert(1)>'
    opened = NOW_MS - HOUR_MS
    account = '"><script>alert(2)</script>@example.org'
    senders = [{"sender": evil, "relation": "malformed", "messages": 3, "first": opened, "last": opened}]
    left = taken_over()["left_out"][0] | {"description": evil}
    found = taken_over(account=account, foreign_senders=senders, left_out=[left])
    found["networks"][1] |= {"city": evil, "owner": evil}
    house.tell([*told(found), ("reviews", account, review(found, note=evil))])

    html = house.visitor().get(TAKEN_OVER).html

    assert "<img" not in html.replace('<img src="/static', "")
    assert "<script>alert" not in html
    assert html.count("&lt;img src=x onerror=alert(1)&gt;") >= 5


def test_a_german_reader_gets_a_german_page(house: House) -> None:
    """Headings, reasons, services and the text for the owner."""
    house.tell(told(taken_over()))

    text = house.visitor(language="de").get(TAKEN_OVER).text

    for word in ("Was geschehen ist", "Kompromittiert", "Betreiber", "Nicht gezählt", "Guten Tag,", "Vietnam"):
        assert word in text


def test_an_incident_whose_networks_were_let_go_is_still_shown(house: House) -> None:
    """An old incident has a page even when nothing of its evidence is kept."""
    house.tell(told(incident("4", TRAVELLER, NOW_MS - DAY_MS, [])))

    page = house.visitor().get("/incidents/00000000-0000-5000-8000-000000000004")

    assert page.status == 200
    assert "have been let go since" in page.text
