"""Lists as CSV by the API, and domains taken from one."""

import csv
from io import StringIO

from streams.panel.rights import Role
from tests.panel.api.callers import Program, token
from tests.panel.store.feeding import fill
from tests.panel.store.population import Population
from tests.panel.visitors import Site


def rows(text: str) -> list[list[str]]:
    return list(csv.reader(StringIO(text.removeprefix("\ufeff"))))


async def test_a_download_has_what_the_list_has(site: Site) -> None:
    """The same filters and scopes, as a file; that it was taken is in the audit with its filters."""
    population = Population(5, domains=3, accounts=4)
    fill(site.panel.store, population.story(20))
    call = Program(site, token(site, Role.OWNER))
    listed = (await call("GET", "/incidents", rule="ips")).json()["items"]
    domain = listed[0]["account"].rpartition("@")[2]
    own = Program(site, token(site, Role.HELP_DESK, f"domain:{domain}"))

    taken = await call("GET", "/incidents.csv", rule="ips")
    mine = await own("GET", "/incidents.csv")
    [deed, *_] = [item for item in (await call("GET", "/audit")).json()["items"] if item["action"] == "panel.export"]

    assert taken.headers["content-type"] == "text/csv; charset=utf-8"
    assert 'filename="incidents.csv"' in taken.headers["content-disposition"]
    assert [row[0] for row in rows(taken.text)] == ["Incident", *(item["id"] for item in listed)]
    assert {row[1].rpartition("@")[2] for row in rows(mine.text)[1:]} == {domain}
    assert deed["subject"] == "incidents"
    for name in ("blocks", "safe-networks", "domains"):
        assert len(rows((await call("GET", f"/{name}.csv")).text)) >= 1
    assert (await call("GET", "/incidents.csv", status="nonsense")).status_code == 422
    assert (await call("GET", "/incidents.csv", domain="%")).status_code == 422


async def test_domains_go_out_and_come_in_again(live_site: Site) -> None:
    """All of the file, or none of it when a line cannot be used; what is so already is not written again."""
    call = Program(live_site, token(live_site, Role.ADMINISTRATOR, "everything"))
    text = "domain,group\na.example,shops/north\nb.example,shops/south\nc.example,\n"

    async def take(sent: str) -> tuple[int, dict[str, object]]:
        answer = await call.send_text("POST", "/domains/import", sent, "text/csv")
        return answer.status_code, answer.json()

    first, again = await take(text), await take(text)
    wrong, told = await take(text + "%,x\n")
    out = (await call("GET", "/domains.csv")).text
    moved = await take(out.replace("shops/south", "shops/west"))

    assert first == (200, {"moved": 2, "unchanged": 1})
    assert again == (200, {"moved": 0, "unchanged": 3})
    assert (wrong, "Line 5" in str(told["detail"])) == (422, True)
    assert moved == (200, {"moved": 1, "unchanged": 1})
    assert (await take(""))[0] == 422
    assert (await take('"' + "x" * 200_000))[0] == 422


async def test_a_file_is_bounded(site: Site) -> None:
    """Up to 2 MiB, where other bodies have 64 KiB; lines that cannot be used are counted out, not listed without end."""
    call = Program(site, token(site, Role.OWNER))

    large = await call.send_text("POST", "/domains/import", "%,x\n" * 20_000, "text/csv")
    larger = await call.send_text("POST", "/domains/import", "x" * (2 * 1024 * 1024 + 1), "text/csv")

    assert (large.status_code, larger.status_code) == (422, 413)
    assert len(large.json()["detail"]) < 2000


async def test_somebody_elses_domains_are_not_moved(live_site: Site) -> None:
    """One line beyond the scope, and none is."""
    own = Program(live_site, token(live_site, Role.ADMINISTRATOR, "group:shops"))

    answer = await own.send_text("POST", "/domains/import", "x.example,shops/north\n", "text/csv")

    assert answer.status_code == 404
    assert (await own("GET", "/domains")).json()["items"] == []
