"""The list of incidents, as people use it."""

import asyncio
import csv
from io import StringIO
from typing import Any

from streams.panel.gate import arrive
from streams.panel.pages.incident_filters import asked_of
from streams.panel.pages.incidents import _news
from tests.panel.pages.house import House
from tests.panel.pages.records import (
    DAY_MS,
    FOREIGNER,
    HOUR_MS,
    NOW_MS,
    THIEF,
    TRAVELLER,
    block,
    domain,
    incident,
    network,
    policy,
    review,
    taken_over,
    told,
    travelling,
)


def accounts_of(rows: list[str]) -> list[str]:
    """The accounts of a table, from its rows."""
    return [row.split()[0] for row in rows if "@" in row.split()[0]]


def quiet(number: int, account: str = "x@example.org", **changed: Any) -> dict[str, Any]:
    opened = NOW_MS - number * HOUR_MS
    return incident(
        str(100 + number), account, opened, [network("192.0.2.1/32", "DE", None, opened, opened)], **changed
    )


def test_the_newest_incident_stands_first_with_its_reason_messages_countries_and_status(house: House) -> None:
    """What a help desk needs to see of each account, on one line."""
    house.tell([*told(taken_over()), *told(travelling())])

    page = house.visitor().get("/incidents")

    first, second = (row for row in page.rows if "@" in row)
    assert first.startswith("ann@example.org likely taken over")
    assert "6 networks in 1 h; 3 allowed" in first
    assert "614" in first
    assert "blocked until 2026-09-22 13:13 GMT" in first
    assert "bob" in second
    assert "not blocked" in second


def test_the_likely_taken_over_ones_come_first_on_demand_and_are_marked(house: House) -> None:
    """An old takeover stands above a new traveller."""
    house.tell([*told(travelling(NOW_MS - HOUR_MS)), *told(taken_over(NOW_MS - 5 * DAY_MS))])

    page = house.visitor().get("/incidents?sort=likeliest")

    rows = [row for row in page.rows if "@" in row]
    assert rows[0].startswith("ann")
    assert "likely taken over" in rows[0]
    assert "likely taken over" not in rows[1].replace("possibly taken over", "")


FILTERS = {
    "status=reviewed": ["bob"],
    "status=reviewed:travelling": ["bob"],
    "status=reviewed:mobile": [],
    "status=unreviewed": ["ann", "eve"],
    "status=blocked": ["ann"],
    "status=open": ["ann"],
    "rule=countries": ["eve"],
    "domain=elsewhere.example": ["eve"],
    "domain=ELSEWHERE.example.": ["eve"],
    "group=reseller-a": ["ann", "bob"],
    "group=reseller-b": [],
    "text=BOB": ["bob"],
    "text=203.0.113.5": ["ann"],
    "since=2026-09-21": ["ann", "bob"],
    "until=2026-09-20": ["eve"],
    "since=2026-09-19&until=2026-09-19&domain=elsewhere.example": ["eve"],
}


def test_filters_leave_the_incidents_that_fit(house: House) -> None:
    """By status, verdict, rule, domain, group with all below, text, address and days."""
    eve = quiet(48, FOREIGNER, rule="countries")
    house.tell([domain("example.org", "reseller-a/customer-7"), *told(taken_over()), *told(travelling()), *told(eve)])
    house.tell([("reviews", TRAVELLER, review(travelling()))])
    visitor = house.visitor()

    found = {query: accounts_of(visitor.get(f"/incidents?{query}").rows) for query in FILTERS}

    assert {query: sorted(name.partition("@")[0] for name in names) for query, names in found.items()} == FILTERS


def test_what_cannot_be_a_filter_gets_its_sentence_and_stays_as_it_was_typed(house: House) -> None:
    """A bad filter filters nothing, says why beside its field, and the others go on working."""
    house.tell(told(taken_over()))

    page = house.visitor().get("/incidents?domain=-.-&since=yesterday&status=no&until=2026-02-30")

    assert page.status == 200
    assert "is not a domain name" in page.beside("domain")
    assert page.beside("since") == page.beside("until") == "This must be a day as 2026-01-31."
    assert page.beside("status") == "Choose one of those offered."
    assert page.fields["domain"] == ["-.-"]
    assert page.fields["since"] == ["yesterday"]
    assert "ann" in page.text


def test_pages_follow_each_other_without_losing_or_repeating_an_incident(house: House) -> None:
    """120 incidents are three pages, forwards and back again."""
    house.tell([item for number in range(120) for item in told(quiet(number, f"u{number:03}@example.org"))])
    visitor = house.visitor()

    seen, path, pages = [], "/incidents?domain=example.org", []
    while path:
        page = visitor.get(path)
        pages.append(accounts_of(page.rows))
        seen += pages[-1]
        path = next((link for link in page.links if _is_next(page.html, link)), "")

    assert [len(rows) for rows in pages] == [50, 50, 20]
    assert seen == [f"u{number:03}@example.org" for number in range(120)]


def _is_next(html: str, link: str) -> bool:
    return f'href="{link.replace("&", "&amp;")}" rel="next"' in html


def test_an_address_of_a_page_that_is_none_is_refused_with_a_sentence(house: House) -> None:
    """A cut-off link does not become an error of the server."""
    page = house.visitor().get("/incidents?at=abc")

    assert page.status == 400
    assert "Begin with the first page" in page.text


def test_a_reader_sees_the_own_domains_only(house: House) -> None:
    """A domain's administrator sees nothing of others, in the list as in the export."""
    house.tell([*told(taken_over()), *told(quiet(1, FOREIGNER))])
    visitor = house.visitor("help_desk", "domain:elsewhere.example")

    assert accounts_of(visitor.get("/incidents").rows) == [FOREIGNER]
    assert THIEF not in visitor.get("/incidents.csv").html


def test_an_empty_list_says_what_will_appear_and_an_empty_filter_how_to_widen_it(house: House) -> None:
    """Nobody stands before a blank page."""
    visitor = house.visitor()

    assert "No incidents yet" in visitor.get("/incidents").text
    assert "No incident fits" in visitor.get("/incidents?text=nobody").text


def test_the_export_has_the_filtered_incidents_and_disarms_names_that_are_formulas(house: House) -> None:
    """A thief may have chosen the account's name; a spreadsheet does not compute it."""
    formula = "=cmd|'/c calc'!a1@example.org"
    house.tell([*told(taken_over()), *told(quiet(5, formula))])

    answer = house.visitor().get("/incidents.csv?domain=example.org")
    rows = list(csv.reader(StringIO(answer.html.removeprefix("\ufeff"), newline="")))

    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    assert [row[1] for row in rows] == ["Account", THIEF, f"'{formula}"]
    assert rows[1][3] == "Logins from 6 networks within 1 h; 3 allowed."


def test_an_export_is_kept_in_the_audit_and_a_reader_may_not_export(house: House) -> None:
    """Whoever takes the list away is known afterwards; reading alone is no right to it."""
    assert house.visitor("reader", "domain:example.org").get("/incidents.csv").status == 403

    house.visitor().get("/incidents.csv?text=ann")

    assert "exported" in house.visitor().get("/audit").text


def test_asking_for_the_head_of_an_export_alone_takes_nothing_away(house: House) -> None:
    """No list is read for it and none is noted; who may not export is refused as ever."""
    house.tell(told(taken_over()))

    answers = [house.visitor(role).client.head("/incidents.csv") for role in ("owner", "reader")]

    assert [answer.status_code for answer in answers] == [200, 403]
    assert "content-length" not in answers[0].headers
    assert "exported" not in house.visitor().get("/audit").text


def test_names_that_strangers_choose_are_shown_as_text(house: House) -> None:
    """No account name becomes markup, or turns the direction of the line that it stands in."""
    name = '<script>alert(1)</script>"onmouseover=x@example.org'
    house.tell(told(quiet(1, name)))

    html = house.visitor().get("/incidents").html

    assert "<script>alert" not in html
    assert "<bdi>&lt;script&gt;" in html


async def test_an_open_page_hears_of_incidents_that_come_in_later(house: House) -> None:
    """The bar counts what fits the page's filters and has opened since, and nothing else."""
    house.tell(told(travelling()))
    visitor = house.visitor()
    page = visitor.get("/incidents?domain=example.org")
    address = page.html.partition('data-news="')[2].partition('"')[0].replace("&amp;", "&")
    visit = await asyncio.to_thread(_visit, house, visitor.client.cookies["loginwatch"], address)
    asked = asked_of(visit)
    events = _news(visit, asked, int(visit.asked["seen"]), int(visit.asked["newest"]))

    waiting = asyncio.ensure_future(anext(events))
    await asyncio.to_thread(house.tell, [*told(taken_over()), *told(incident("9", FOREIGNER, NOW_MS, []))])

    event = await asyncio.wait_for(waiting, 20)
    assert event.data == "1 new incident"
    await events.aclose()


def _visit(house: House, cookie: str, address: str) -> Any:
    from starlette.requests import Request

    path, _, query = address.partition("?")
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": query.encode(),
        "headers": [(b"cookie", f"loginwatch={cookie}".encode())],
        "scheme": "http",
        "server": ("localhost", 8080),
    }
    return arrive(house.panel, Request(scope))


def test_a_block_that_was_lifted_is_no_longer_shown_as_running(house: House) -> None:
    """What the topic of blocks says holds, not what the incident was written with."""
    found = taken_over()
    lifted = block(found, state="open", until=NOW_MS - 60_000, actor="help@example.org", reason="the owner called")
    house.tell([*told(found), ("blocks", THIEF, lifted)])

    page = house.visitor().get("/incidents")

    assert "block ended" in page.text
    assert "blocked until" not in page.text


def test_the_page_is_german_for_a_german_reader(house: House) -> None:
    """Every word of it, the sentence why included."""
    house.tell([policy("everyone", time_window=60), *told(taken_over())])

    page = house.visitor(language="de").get("/incidents")

    assert "; 3 erlaubt" in page.text
    assert "wahrscheinlich übernommen" in page.text
