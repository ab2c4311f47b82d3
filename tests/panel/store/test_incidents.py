"""The list of incidents against a plain recount of the records: every filter, both orders, page by page, for any reader."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.core.addresses import contains, parse_network
from streams.errors import UsageError
from streams.panel.store import EVERYTHING, Store, Visible, incidents, search
from streams.panel.store.cursors import MOST
from streams.panel.store.incidents import SORTS, IncidentRow, Wanted
from streams.panel.store.likelihood import likelihood
from tests.panel.store.feeding import fill
from tests.panel.store.population import DAY_MS, HOUR_MS, START_MS, VERDICTS, Population, Record

NOW_MS = START_MS + 15 * DAY_MS
MINUTE_MS = 60_000
POPULATION = Population(11, domains=12, accounts=40)
TOLD = list(POPULATION.story(400))
GROUP_OF = {domain: POPULATION.group_of(number) or "" for number, domain in enumerate(POPULATION.domains)}


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with 400 incidents, for tests that only read."""
    path = str(tmp_path_factory.mktemp("store") / "panel.sqlite")
    database = path if request.param == "sqlite" else request.getfixturevalue("postgres").database()
    with Store(database) as store:
        fill(store, TOLD, batch=97)
        yield store


@pytest.fixture(params=["collect", "walk", "short walk"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of finding a page, and walks that are broken off."""
    if request.param != "collect":
        monkeypatch.setattr(search, "FEW", 3)
        monkeypatch.setattr("streams.panel.store.wanted.MOST_SEEN", -1)  # always each account's own networks
    if request.param == "short walk":
        monkeypatch.setattr(search, "FURTHEST", 25)
    return str(request.param)


class Recount:
    """What the list must say, found by looking at every record."""

    def __init__(self) -> None:
        self.last: dict[str, Record] = {}
        self.verdict: dict[str, str] = {}
        self.networks: dict[str, set[str]] = {}
        self.blocked: dict[str, int] = {}
        self.over: dict[str, int] = {}
        blocks: dict[str, Record] = {}
        for topic, account, value in TOLD:
            assert value is not None
            if topic == "incidents":
                self.last[value["id"]] = value
                self.networks.setdefault(account, set()).update(n["network"] for n in value["networks"])
            elif topic == "reviews":
                self.verdict[value["incident"]] = value["verdict"]
            elif topic == "blocks":
                before = blocks.get(account)
                if before is not None and before["id"] != value["id"] and before["until"] > value["from"]:
                    self._end(before, value["from"])
                    self.over[before["incident"]] = value["from"]
                blocks[account] = value
                self._end(value, value["until"])
                if value["state"] == "open":
                    self.over[value["incident"]] = value["until"]
                self._without_own(account, value)

    def _end(self, block: Record, end_ms: int) -> None:
        if block["incident"] is not None:
            self.blocked[block["incident"]] = end_ms

    def _without_own(self, account: str, block: Record) -> None:
        """A block ends what goes on without one."""
        for incident in self.last.values():
            if incident["account"] == account and not incident["blocked_until"] and incident["opened"] <= block["from"]:
                self.over.setdefault(incident["id"], block["from"])

    def lasts_until(self, record: Record) -> int:
        """When an episode ended, or will."""
        others = [other["opened"] for other in self.last.values() if other["account"] == record["account"]]
        ends: list[int] = [opened for opened in others if opened > record["opened"]]
        ends += [self.over[record["id"]]] if record["id"] in self.over else []
        return min([max(self.blocked.get(record["id"], 0), record["revised"] + HOUR_MS), *ends])

    def listed(self, visible: Visible, wanted: Wanted) -> list[str]:
        found = [record for record in self.last.values() if self._fits(record, visible, wanted)]

        def newest(record: Record) -> Any:
            return record["opened"], record["id"]

        def likeliest(record: Record) -> Any:
            return likelihood(record), *newest(record)

        order = newest if wanted.sort == "newest" else likeliest
        return [record["id"] for record in sorted(found, key=order, reverse=True)]

    def _fits(self, record: Record, visible: Visible, wanted: Wanted) -> bool:
        account, domain = record["account"], record["account"].rpartition("@")[2]
        group = GROUP_OF.get(domain, "")
        return (
            visible.covers(f"domain:{domain}", GROUP_OF.get)
            and wanted.domain in (None, domain)
            and wanted.account in (None, account)
            and wanted.rule in (None, record["rule"])
            and (wanted.group is None or group == wanted.group or group.startswith(f"{wanted.group}/"))
            and (wanted.since_ms is None or record["opened"] >= wanted.since_ms)
            and (wanted.until_ms is None or record["opened"] < wanted.until_ms)
            and self._has_status(record, wanted.status)
            and self._has_text(record, wanted.text)
        )

    def _has_status(self, record: Record, status: str | None) -> bool:
        verdict = self.verdict.get(record["id"])
        return {
            None: True,
            "unreviewed": verdict is None,
            "reviewed": verdict is not None,
            "observed": record["mode"] == "observe",
            "blocked": self.blocked.get(record["id"], 0) > NOW_MS,
            "open": self.lasts_until(record) > NOW_MS,
        }.get(status, status == f"reviewed:{verdict}")

    def _has_text(self, record: Record, text: str | None) -> bool:
        if text is None or text in record["account"] or text in record["summary"]:
            return True
        try:
            asked = parse_network(text)
        except ValueError:
            return False
        networks = map(parse_network, self.networks[record["account"]])
        return any(contains(asked, network) or contains(network, asked) for network in networks)


RECOUNT = Recount()

SCOPES = ["everything", *(f"domain:{name}" for name in POPULATION.domains), *(f"group:{g}" for g in POPULATION.groups)]
SCOPES += ["group:reseller-0", "group:reseller-1", "group:reseller", "domain:nowhere.example"]
VISIBLE = st.lists(st.sampled_from(SCOPES), max_size=3).map(Visible.of)
STATUSES = [None, "unreviewed", "open", "blocked", "observed", "reviewed", *(f"reviewed:{name}" for name in VERDICTS)]
WITHIN_A_64 = next(
    network["address"]
    for topic, _, value in TOLD
    if topic == "incidents" and value is not None
    for network in value["networks"]
    if ":" in network["address"]
)
TEXTS = [
    WITHIN_A_64,
    None,
    None,
    None,
    "anna",
    "d0003",
    "5 networks",
    "%",
    "198.51.103.0/24",
    "198.51.103.7",
    "2001:db8::/36",
    "nobody",
]
WANTED = st.builds(
    Wanted,
    domain=st.sampled_from([None, None, *POPULATION.domains]),
    group=st.sampled_from([None, None, "reseller-0", "reseller-1/customer-1", "reseller"]),
    account=st.sampled_from([None, None, None, *POPULATION.accounts[:4]]),
    status=st.sampled_from(STATUSES),
    rule=st.sampled_from([None, None, "ips", "countries"]),
    since_ms=st.sampled_from([None, None, START_MS + 5 * DAY_MS]),
    until_ms=st.sampled_from([None, None, START_MS + 20 * DAY_MS]),
    text=st.sampled_from(TEXTS),
    sort=st.sampled_from(SORTS),
)


def ids(store: Store, visible: Visible, wanted: Wanted, size: int = 500) -> list[str]:
    with store.reading() as connection:
        rows = pages(lambda cursor: incidents.listed(
            connection, visible, wanted, now_ms=NOW_MS, cursor=cursor, size=size
        ))  # fmt: skip
        return [row.id for row in rows]


def pages(page: Callable[[str | None], incidents.Page[IncidentRow]]) -> list[IncidentRow]:
    """All rows, page by page, and back again: both ways must show the same."""
    found, cursor, last = [], None, None
    while True:
        here = page(cursor)
        assert not found or here.rows[:1] != tuple(found[:1]), "the pages go round in a circle"
        found.extend(here.rows)
        last = here
        if here.next is None:
            break
        cursor = here.next
    back: list[IncidentRow] = list(last.rows)
    while last.previous is not None:
        last = page(last.previous)
        back[:0] = last.rows
    assert back == found
    return found


@given(visible=VISIBLE, wanted=WANTED, size=st.sampled_from([3, 50]))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_list_has_what_a_recount_finds_and_nothing_of_others(
    filled: Store, way: str, visible: Visible, wanted: Wanted, size: int
) -> None:
    """Any filter for any reader, in both directions, whichever way the page is found."""
    expected = RECOUNT.listed(visible, wanted)

    assert ids(filled, visible, wanted, size) == expected


@given(visible=VISIBLE)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_query_shows_an_incident_of_somebody_else(filled: Store, visible: Visible) -> None:
    """One incident, an account's incidents and reviews, and the counts: only of what the reader may see."""
    seen = set(RECOUNT.listed(visible, Wanted()))
    with filled.reading() as connection:
        for incident, record in list(RECOUNT.last.items())[::40]:
            found = incidents.one(connection, visible, incident)
            assert (found is not None) == (incident in seen)
            own = incidents.of_account(connection, visible, record["account"])
            assert {row.id for row in own} <= seen
            assert bool(own) == (incident in seen)
            reviews = incidents.reviews_of_account(connection, visible, record["account"])
            assert {review.incident for review in reviews} <= seen
        counts = incidents.counts(connection, visible, now_ms=NOW_MS, today_ms=NOW_MS - DAY_MS)

    records = [RECOUNT.last[incident] for incident in seen]
    assert counts.unreviewed == sum(record["id"] not in RECOUNT.verdict for record in records)
    assert counts.today == sum(record["opened"] >= NOW_MS - DAY_MS for record in records)
    assert counts.open == sum(RECOUNT.lasts_until(record) > NOW_MS for record in records)


def test_incidents_end_when_their_episodes_do(filled: Store) -> None:
    """By time, or when the block was lifted or replaced, or another incident of the account began."""
    with filled.reading() as connection:
        rows = incidents.listed(connection, EVERYTHING, Wanted(), now_ms=NOW_MS, size=MOST).rows

    assert {row.id: row.lasts_until_ms for row in rows} == {
        incident: RECOUNT.lasts_until(record) for incident, record in RECOUNT.last.items()
    }
    ended = [row for row in rows if row.lasts_until_ms < row.revised_ms + HOUR_MS]
    assert {row.blocked_until_ms is None for row in ended} == {True, False}


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_one_without_a_block_ends_when_another_incident_or_a_block_of_the_account_begins(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    """Observed, then enforced, then blocked by hand, a minute apart, in whichever order that is read."""
    drawn = Population(1)
    first, second = (
        {**drawn.incident(account="a@example.org", opened_ms=NOW_MS + at)[0], "mode": "observe", "blocked_until": None}
        for at in (0, MINUTE_MS)
    )
    by_hand = drawn.block_by_hand("a@example.org", NOW_MS + 2 * MINUTE_MS)
    told = [("incidents", first), ("incidents", second), ("blocks", by_hand)]
    with Store(str(tmp_path / "panel.sqlite")) as store:
        fill(store, [(told[place][0], "a@example.org", told[place][1]) for place in order], batch=1)
        with store.reading() as connection:
            rows = incidents.listed(connection, EVERYTHING, Wanted(), now_ms=NOW_MS).rows

    ends = {row.id: row.lasts_until_ms - NOW_MS for row in rows}
    assert ends == {first["id"]: MINUTE_MS, second["id"]: 2 * MINUTE_MS}


def test_an_incident_is_shown_with_all_its_evidence(filled: Store) -> None:
    """The record as the worker wrote it, its reviews with the newest first, and its block with the real end."""
    reviewed = next(iter(RECOUNT.verdict))
    lifted = next(value for topic, _, value in TOLD if topic == "blocks" and value and value["state"] == "open")
    with filled.reading() as connection:
        found = incidents.one(connection, EVERYTHING, reviewed)
        blocked = incidents.one(connection, EVERYTHING, lifted["incident"])

    assert found is not None
    assert found.record == RECOUNT.last[reviewed]
    assert [review.verdict for review in found.reviews] == [RECOUNT.verdict[reviewed]]
    assert found.row.status(NOW_MS) == "reviewed"
    assert blocked is not None
    assert blocked.block is not None
    assert (blocked.block.ends_ms, blocked.block.lifted_by) == (lifted["until"], "help@example.org")
    assert blocked.row.blocked_until_ms == lifted["until"]
    assert not blocked.row.is_blocked(lifted["until"])


@pytest.mark.parametrize("size", [1, 7])
def test_the_order_of_topics_and_batches_makes_no_difference(tmp_path: Path, filled: Store, size: int) -> None:
    """Blocks and reviews may be read long before or after their incident."""
    by_topic: dict[str, list[Any]] = {}
    for told in TOLD[:300]:
        by_topic.setdefault(told[0], []).append(told)
    draw = Random(size)
    with Store(str(tmp_path / "one")) as one, Store(str(tmp_path / "other")) as other:
        fill(one, TOLD[:300], batch=50)
        topics = draw.sample(sorted(by_topic), len(by_topic))
        fill(other, (told for topic in topics for told in by_topic[topic]), batch=size)
        with one.reading() as first, other.reading() as second:
            every = [incidents.listed(c, EVERYTHING, Wanted(), now_ms=NOW_MS, size=MOST).rows for c in (first, second)]

    assert every[0] == every[1]
    assert len(every[0]) > 50


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (Wanted(status="reviewed:guilty"), "no status"),
        (Wanted(rule="cities"), "sorted by"),
        (Wanted(sort="oldest"), "sorted by"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_asked_for_is_refused(filled: Store, wanted: Wanted, why: str) -> None:
    """An address that somebody typed says what was wrong with it."""
    with filled.reading() as connection, pytest.raises(UsageError, match=why):
        incidents.listed(connection, EVERYTHING, wanted, now_ms=NOW_MS)


@pytest.mark.parametrize(
    "cursor",
    [
        *("x", "WyJuZXdlc3QiXQ", "é", "A" * 3000, "bnVsbA", "WyJuZXdlc3QiLGZhbHNlLDEuNSwiYSJd"),
        "WyJuZXdlc3QiLGZhbHNlLDUsImFcdTAwMDAiXQ",  # with a NUL
    ],
)
def test_a_cursor_that_is_none_is_refused(filled: Store, cursor: str) -> None:
    """Anything may stand in an address."""
    with filled.reading() as connection, pytest.raises(UsageError, match="first page"):
        incidents.listed(connection, EVERYTHING, Wanted(), now_ms=NOW_MS, cursor=cursor)


def test_a_cursor_of_another_order_is_refused(filled: Store) -> None:
    """The link to the next page is of the order in which the list was."""
    with filled.reading() as connection:
        page = incidents.listed(connection, EVERYTHING, Wanted(), now_ms=NOW_MS, size=3)
        with pytest.raises(UsageError, match="another list"):
            incidents.listed(
                connection, EVERYTHING, replace(Wanted(), sort="likeliest"), now_ms=NOW_MS, cursor=page.next
            )
