"""Blocks, safe networks, and domains with their groups, as people use them."""

import csv
from io import StringIO

from streams.panel.api.answers import LATEST_MS
from streams.panel.store import people
from tests.panel.pages.house import House
from tests.panel.pages.records import DAY_MS, FOREIGNER, HOUR_MS, NOW_MS, THIEF, block, domain, safe, taken_over, told

SAFE = "/safe-networks"


def read_csv(text: str) -> list[list[str]]:
    return list(csv.reader(StringIO(text.removeprefix("\ufeff"), newline="")))


# --- blocks


def test_blocks_in_force_are_listed_with_until_when_why_and_what_stays_open(house: House) -> None:
    """Those that are over stand among all, with who lifted them."""
    lifted = taken_over(NOW_MS - DAY_MS, FOREIGNER, "8")
    house.tell([*told(taken_over()), *told(lifted)])
    house.tell(
        [
            (
                "blocks",
                FOREIGNER,
                block(lifted, state="open", until=NOW_MS - HOUR_MS, actor="help@example.org", reason="called"),
            )
        ]
    )
    visitor = house.visitor()

    now, every = visitor.get("/blocks"), visitor.get("/blocks?past=1")

    row = next(row for row in now.rows if row.startswith(THIEF))
    assert "2026-09-22 13:13 GMT" in row
    assert "6 networks > 3 allowed within 60 minutes" in row
    assert "open for: 192.0.2.10/32" in row
    assert FOREIGNER not in now.text
    assert "lifted by help@example.org: called" in next(row for row in every.rows if row.startswith(FOREIGNER))


def test_blocks_are_filtered_and_exported_within_the_readers_scope(house: House) -> None:
    """By account, domain and group; a foreign account is in no list and no file."""
    house.tell(
        [domain("example.org", "reseller-a"), *told(taken_over()), *told(taken_over(NOW_MS - HOUR_MS, FOREIGNER, "8"))]
    )
    visitor, foreign = house.visitor(), house.visitor("help_desk", "domain:elsewhere.example")

    assert FOREIGNER not in visitor.get("/blocks?group=reseller-a").text
    assert "No block fits" in visitor.get("/blocks?text=zzz").text
    assert "is not a domain name" in visitor.get("/blocks?domain=-.-").beside("domain")
    assert [row[0] for row in read_csv(visitor.get("/blocks.csv?text=ann").html)[1:]] == [THIEF]
    assert THIEF not in foreign.get("/blocks?past=1").text
    assert THIEF not in foreign.get("/blocks.csv").html


def test_empty_lists_say_what_will_appear_there(house: House) -> None:
    """Nobody wonders whether the page is broken."""
    visitor = house.visitor()

    assert "Nobody is blocked" in visitor.get("/blocks").text
    assert "No network is marked safe" in visitor.get(SAFE).text
    assert "No domain is known yet" in visitor.get("/domains").text


# --- safe networks


def test_safe_networks_say_who_trusts_them_for_whom_why_and_until_when(house: House) -> None:
    """Expired ones stay listed, marked as over."""
    house.tell(
        [safe("everyone", "203.0.113.0/24", "Google"), safe("domain:example.org", "192.0.2.0/28", "fair", NOW_MS - 1)]
    )

    rows = house.visitor().get(SAFE).rows

    assert any(row.startswith("203.0.113.0/24 everyone Google chief@example.org") and "for ever" in row for row in rows)
    assert any(row.startswith("192.0.2.0/28 domain example.org fair") and "over" in row for row in rows)


def test_safe_networks_are_found_by_an_address_inside_a_word_or_a_scope(house: House) -> None:
    """Somebody asks why an address is not counted."""
    house.tell([safe("everyone", "203.0.113.0/24", "Google"), safe("domain:example.org", "192.0.2.0/28", "fair")])
    visitor = house.visitor()

    assert "192.0.2.0/28" not in visitor.get(f"{SAFE}?text=203.0.113.77").text
    assert "203.0.113.0/24" not in visitor.get(f"{SAFE}?text=FAIR").text
    assert "203.0.113.0/24" not in visitor.get(f"{SAFE}?scope=domain:example.org").text
    assert "is no scope" in visitor.get(f"{SAFE}?scope=nonsense").beside("scope")


def test_a_network_that_ends_with_the_calendar_is_shown_in_every_zone(house: House) -> None:
    """East of GMT the year 9999 is over earlier: its last hours are shown in GMT."""
    house.tell([safe("everyone", "203.0.113.0/24", expires=LATEST_MS)])
    for zone in ("Europe/Berlin", "America/New_York", ""):
        visitor = house.visitor()
        with house.panel.store.writing() as connection:
            person = people.by_name(connection, visitor.name)
            assert person is not None
            people.change(connection, person.id, zone=zone)

        page = visitor.get(SAFE)

        assert page.status == 200
        assert "9999-12-31" in page.text


def test_a_network_is_added_by_hand_with_all_mistakes_named_at_once(house: House) -> None:
    """Network, scope, description and day each have their sentence; what was typed stays."""
    typed = {"network": "192.0.2.0/99", "scope": "nobody", "description": " ", "expires": "2020-01-01"}

    page = house.visitor().post(f"{SAFE}/add", do="mark", **typed)

    assert page.status == 422
    assert "is not a network" in page.beside("network")
    assert "is no scope" in page.beside("scope")
    assert page.beside("description") == "This is needed."
    assert page.beside("expires") == "This day is over already."
    assert page.fields["network"] == ["192.0.2.0/99"]


def test_a_network_is_added_shown_and_removed_again(live_house: House) -> None:
    """Masked to what it is, until the end of the chosen day; removing asks first."""
    visitor = live_house.visitor()

    added = visitor.post(
        f"{SAFE}/add",
        do="mark",
        network="192.0.2.77/24",
        scope="domain:Example.org",
        description="head office",
        expires="2900-01-01",
    )
    listed = visitor.get(added.leads_to)
    asked = visitor.get(f"{SAFE}/remove?scope=domain:example.org&network=192.0.2.0/24")
    removed = visitor.get(visitor.post(f"{SAFE}/remove", scope="domain:example.org", network="192.0.2.0/24").leads_to)

    assert "192.0.2.0/24 is safe for domain example.org." in listed.text
    assert any(
        row.startswith("192.0.2.0/24 domain example.org head office") and "2900-01-02" in row for row in listed.rows
    )
    assert "Logins from it count again from now on" in asked.text
    assert "192.0.2.0/24 is no longer safe for domain example.org." in removed.text
    assert "No network is marked safe" in removed.text


def test_nobody_changes_safe_networks_beyond_rights_and_scope(house: House) -> None:
    """A help desk changes those of accounts only; foreign ones are not there."""
    house.tell(
        [
            safe("domain:example.org", "192.0.2.0/28"),
            safe("account:ann@example.org", "192.0.2.9/32"),
            safe("everyone", "203.0.113.0/24"),
        ]
    )
    help_desk = house.visitor("help_desk", "domain:example.org")
    foreign = house.visitor("administrator", "domain:elsewhere.example")

    page = help_desk.get(SAFE)

    assert [link for link in page.links if "/remove?" in link] == [
        "/safe-networks/remove?scope=account%3Aann%40example.org&network=192.0.2.9%2F32"
    ]
    assert help_desk.post(f"{SAFE}/remove", scope="domain:example.org", network="192.0.2.0/28").status == 403
    assert help_desk.post(f"{SAFE}/add", scope="domain:example.org", network="192.0.2.1", description="x").beside(
        "scope"
    )
    assert "192.0.2." not in foreign.get(SAFE).text
    assert foreign.post(f"{SAFE}/remove", scope="domain:example.org", network="192.0.2.0/28").status == 404
    assert foreign.get(f"{SAFE}/remove?scope=nonsense&network=x").status == 404


def test_descriptions_are_disarmed_in_the_export_and_escaped_on_the_page(house: House) -> None:
    """Whoever wrote them may be somebody's help desk, or somebody in its account."""
    house.tell([safe("everyone", "203.0.113.0/24", "=1+1<script>")])
    visitor = house.visitor()

    assert read_csv(visitor.get("/safe-networks.csv").html)[1][:3] == ["everyone", "203.0.113.0/24", "'=1+1<script>"]
    assert "=1+1<script>" not in visitor.get(SAFE).html


# --- domains and groups


def test_the_tree_shows_groups_domains_and_how_many_incidents_wait(house: House) -> None:
    """Counts stand at each domain and add up along the groups."""
    house.tell(
        [
            domain("example.org", "reseller-a/customer-7"),
            domain("example.net", "reseller-a/customer-8"),
            *told(taken_over()),
            *told(taken_over(NOW_MS - DAY_MS, FOREIGNER, "8")),
        ]
    )

    text = house.visitor().get("/domains").text

    assert "reseller-a 1 incident 1 not reviewed" in text
    assert text.index("reseller-a") < text.index("customer-7") < text.index("customer-8")
    assert "Without a group elsewhere.example" in text


def test_a_domain_moves_to_a_group_and_out_of_it(live_house: House) -> None:
    """What was decided is in the tree on the next page."""
    visitor = live_house.visitor()

    moved = visitor.get(visitor.post("/domains", domain="Example.ORG", group="group:reseller-a/customer-7").leads_to)
    taken_out = visitor.get(visitor.post("/domains", domain="example.org", group="").leads_to)

    assert "example.org belongs to the group reseller-a/customer-7." in moved.text
    assert (
        "/policies?scope=group%3Areseller-a/customer-7" in moved.links
        or "/policies?scope=group%3Areseller-a%2Fcustomer-7" in moved.links
    )
    assert "example.org belongs to no group." in taken_out.text


def test_what_cannot_be_a_domain_or_group_gets_its_sentence(house: House) -> None:
    """Beside its field, and what was typed stays."""
    page = house.visitor().post("/domains", domain="-.-", group="a//b")

    assert page.status == 422
    assert "is not a domain name" in page.beside("domain")
    assert "is not a group" in page.beside("group")
    assert page.fields["group"] == ["a//b"]


def test_the_export_is_what_the_import_takes_groups_that_look_like_formulas_included(live_house: House) -> None:
    """Out and in again changes nothing."""
    visitor = live_house.visitor()
    text = "domain,group\nexample.org,reseller-a/customer-7\nexample.net,=odd\n"
    visitor.post("/domains/import", files={"file": ("domains.csv", text, "text/csv")})

    out = visitor.get("/domains.csv").html
    again = visitor.get(visitor.post("/domains/import", files={"file": ("domains.csv", out, "text/csv")}).leads_to)

    assert read_csv(out) == [["domain", "group"], ["example.net", "'=odd"], ["example.org", "reseller-a/customer-7"]]
    assert "0 domains were moved, 2 were as they are." in again.text


def test_an_import_with_a_bad_line_changes_nothing_and_names_the_line(house: House) -> None:
    """All of the file or none of it; semicolons, as some spreadsheets write them, are taken too."""
    visitor = house.visitor()

    page = visitor.post("/domains/import", text="domain;group\nexample.org;a\n-.-;b\nexample.net;a//b\n")
    empty = visitor.post("/domains/import", text="")

    assert page.status == empty.status == 422
    assert "Nothing was changed." in page.text
    assert "Line 3:" in page.text
    assert "Line 4:" in page.text
    assert page.fields["text"][0].startswith("domain;group")
    assert empty.beside("file") == "There is no line with a domain in it."


def test_domains_of_others_are_neither_shown_nor_moved(house: House) -> None:
    """Nor can a foreign group be joined."""
    house.tell([domain("example.org", "reseller-a"), domain("elsewhere.example", "reseller-b")])
    visitor = house.visitor("administrator", "group:reseller-a")

    page = visitor.get("/domains")

    assert "example.org" in page.text
    assert "elsewhere.example" not in page.text
    assert visitor.post("/domains", domain="elsewhere.example", group="reseller-a").status == 422
    assert visitor.post("/domains", domain="example.org", group="reseller-b").status == 422
    assert visitor.post("/domains/import", text="elsewhere.example,reseller-a").status == 422
    assert "elsewhere.example" not in visitor.get("/domains.csv").html
