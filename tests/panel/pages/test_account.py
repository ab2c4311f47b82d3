"""Recent login activity, orders and the dialog "Mark as safe", with a worker that answers."""

from typing import Any
from urllib.parse import quote

from tests.eventually import eventually
from tests.panel.pages.house import House
from tests.panel.pages.records import DAY_MS, FOREIGNER, HOUR_MS, NOW_MS, THIEF, policy, safe, taken_over, told

PATH = f"/accounts/{THIEF}"


def login(ip: str, time_ms: int, account: str = THIEF, service: str = "imap") -> tuple[str, str, dict[str, Any]]:
    record = {"time": time_ms, "account": account, "ip": ip, "success": True, "service": service}
    return "logins", account, {**record, **dict.fromkeys(("id", "session", "server", "client", "failure"))}


def put(house: House, *records: Any) -> None:
    """Write records to the broker of a live house, as of now."""
    from streams.bus.producer import Producer
    from tests.panel.store.feeding import BY_NAME, CODEC

    producer = Producer(house.panel.settings)
    for topic, key, value in records:
        producer.send(topic, CODEC.encode(BY_NAME[topic].record, value), key=key, timestamp_ms=house.panel.now_ms())
    producer.flush(30)
    producer.close()


def test_the_page_lists_what_the_worker_holds_with_what_is_marked_safe_and_by_whom(worked_house: House) -> None:
    """Last login, address, service, logins, and the safe network that takes one out of the count."""
    now = worked_house.panel.now_ms()
    visitor = worked_house.visitor()
    put(worked_house, policy("everyone", time_window=60, allowed_ips=3), safe("domain:example.org", "100.64.7.0/24"))
    # logins that are read before there is a window never count
    eventually(lambda: "Number of different IPs 3 everyone" in visitor.get(PATH).rows)
    home, office = login("192.0.2.10", now - 60_000), login("100.64.7.7", now - 30_000, service="smtp")
    put(worked_house, login("192.0.2.10", now - 61_000), home, office)
    eventually(lambda: len([row for row in visitor.get(PATH).rows if "192.0.2.10" in row or "100.64.7.7" in row]) == 2)

    page = visitor.get(PATH)

    at_home = next(row for row in page.rows if "192.0.2.10" in row)
    at_work = next(row for row in page.rows if "100.64.7.7" in row)
    assert "IMAP" in at_home
    assert "counted" in at_home
    assert "SMTP" in at_work
    assert "safe 100.64.7.0/24 domain example.org: head office" in at_work
    assert "not blocked" in page.text
    assert "Number of different IPs 3 everyone" in page.rows


def test_without_an_answer_the_page_says_so_offers_to_retry_and_shows_what_is_known(live_house: House) -> None:
    """No worker runs: block, incident and the networks of the incident come from the read model."""
    opened = live_house.panel.now_ms() - HOUR_MS
    put(live_house, *told(taken_over(opened)))
    visitor = live_house.visitor()
    eventually(lambda: all(THIEF in visitor.get(path).text for path in ("/incidents", "/blocks")))

    page = visitor.get(PATH)

    assert page.status == 200
    assert "No worker has answered within 2 s." in page.text
    assert PATH in page.links
    assert "Ask again" in page.text
    assert any("203.0.113.5" in row and "Hanoi" in row for row in page.rows)
    assert "blocked until" in page.text


def test_without_kafka_the_page_says_so_and_shows_what_is_known(house: House) -> None:
    """The database alone is enough to see incidents and blocks."""
    house.tell(told(taken_over()))

    page = house.visitor().get(PATH)

    assert page.status == 200
    assert "Shown are the networks of its latest incident" in page.text
    assert "blocked until 2026-09-22 13:13 GMT" in page.text


def test_an_account_is_found_by_its_address_or_a_part_of_its_name(house: House) -> None:
    """In any case; a whole address leads to its page also without an incident."""
    house.tell(told(taken_over()))
    visitor = house.visitor()

    assert visitor.get("/accounts?q=Unknown@Example.ORG").leads_to == "/accounts/unknown@example.org"
    assert PATH in visitor.get("/accounts?q=AN").links
    assert "No account found" in visitor.get("/accounts?q=zzz").text
    assert "Which account?" in visitor.get("/accounts").text


def test_an_account_with_many_incidents_hides_no_other(house: House) -> None:
    """Accounts are counted, not incidents looked through; a reader of one domain finds those of that domain."""
    for number in range(105):
        opened = NOW_MS - HOUR_MS - number
        house.tell(told(taken_over(opened, account="info@example.org", number=str(number + 1))))
    house.tell(told(taken_over(NOW_MS - 5 * DAY_MS, account="info-shop@example.org", number="500")))
    house.tell(told(taken_over(NOW_MS - 6 * DAY_MS, account="info@other.example", number="501")))

    rows = house.visitor().get("/accounts?q=INFO").rows
    own = house.visitor("reader", "domain:other.example").get("/accounts?q=info").rows

    assert [row.split()[0] for row in rows[1:]] == ["info@example.org", "info-shop@example.org", "info@other.example"]
    assert [row.split()[-1] for row in rows[1:]] == ["105", "1", "1"]
    assert [row.split()[0] for row in own[1:]] == ["info@other.example"]


def test_more_accounts_than_are_listed_are_said_to_be_there(house: House) -> None:
    """Or nobody would know that there is more to find."""
    for number in range(101):
        house.tell(told(taken_over(NOW_MS - HOUR_MS - number, account=f"u{number}@example.org", number=str(number))))
    visitor = house.visitor()

    assert "More accounts have this in their name" in visitor.get("/accounts?q=u").text
    assert "More accounts" not in visitor.get("/accounts?q=u10").text


def test_a_name_of_any_length_has_an_address(house: House) -> None:
    """A letter may be twelve characters there."""
    name = "\U00020000" * 308 + "@example.org"

    assert house.visitor().get(f"/accounts?q={quote(name)}").leads_to == f"/accounts/{quote(name, safe='@')}"


def test_the_dialog_says_how_long_a_block_is_that_names_no_time(house: House) -> None:
    """As the policy says where it says something, else the longest."""
    house.tell([policy("everyone", block_time=0)])
    asked = house.visitor().get(f"{PATH}/block").text
    house.tell([policy("everyone", block_time=90)])

    assert "Empty: 30 days, since the policy names no time." in asked
    assert "Empty: 1 h 30 min, as the policy says." in house.visitor().get(f"{PATH}/block").text


def test_a_foreign_account_is_as_if_it_were_not_there(house: House) -> None:
    """Its page and every action on it answer 404, and a search does not find it."""
    house.tell(told(taken_over()))
    visitor = house.visitor("help_desk", "domain:elsewhere.example")

    assert visitor.get(PATH).status == 404
    for action in ("block", "unblock", "reset", "safe?address=192.0.2.1"):
        assert visitor.get(f"{PATH}/{action}").status == 404
        assert visitor.post(f"{PATH}/{action.partition('?')[0]}", address="192.0.2.1").status == 404
    assert THIEF not in visitor.get("/accounts?q=ann").links
    assert "No account found" in visitor.get(f"/accounts?q={THIEF}").text


def test_block_and_unblock_take_effect_at_the_worker_and_are_shown_at_once(worked_house: House) -> None:
    """The next page says until when, the list of blocks names who and why; after unblocking it says so."""
    visitor = worked_house.visitor()

    blocked = visitor.post(f"{PATH}/block", minutes="90", reason="spam reported")
    page = visitor.get(blocked.leads_to)
    listed = visitor.get("/blocks")
    unblocked = visitor.post(f"{PATH}/unblock", reason="new password", back="/blocks")

    assert blocked.leads_to == PATH
    assert "ann@example.org is blocked until" in page.text
    assert any(row.startswith(THIEF) and visitor.name in row for row in listed.rows)
    assert unblocked.leads_to == "/blocks"
    assert "ann@example.org is not blocked." in visitor.get("/blocks").text
    assert "Nobody is blocked" in visitor.get("/blocks").text
    assert f"{visitor.name}: new password" in visitor.get("/blocks?past=1").text


def test_what_cannot_be_a_duration_gets_its_sentence_and_the_reason_stays(house: House) -> None:
    """Nothing is ordered before the whole form can be used."""
    page = house.visitor().post(f"{PATH}/block", minutes="soon", reason="spam")

    assert page.status == 422
    assert page.beside("minutes") == "This must be a whole number from 1 to 43200."
    assert page.fields["minutes"] == ["soon"]
    assert page.fields["reason"] == ["spam"]


def test_reset_asks_first_and_says_what_is_deleted(worked_house: House) -> None:
    """The confirmation names what cannot be brought back; afterwards the activity is gone."""
    now = worked_house.panel.now_ms()
    put(worked_house, login("192.0.2.10", now - 60_000))
    visitor = worked_house.visitor()
    eventually(lambda: "192.0.2.10" in visitor.get(PATH).text)

    asked = visitor.get(f"{PATH}/reset")
    done = visitor.post(f"{PATH}/reset")
    page = visitor.get(done.leads_to)

    assert "its counters start again at this moment" in asked.text
    assert "The activity of ann@example.org is deleted" in page.text
    assert "No logins are known" in page.text


def test_actions_lead_back_inside_the_panel_only(house: House) -> None:
    """An address of another site in a link becomes the account's page."""
    for back in ("https://evil.example/", "//evil.example", "/\\evil.example"):
        page = house.visitor().get(f"{PATH}/block?back={back}")

        assert page.fields["back"] == [PATH]


def test_marking_safe_needs_a_reason_and_keeps_what_was_chosen(house: House) -> None:
    """The description is mandatory; range, scope and day stay as they were chosen."""
    page = house.visitor().post(
        f"{PATH}/safe",
        do="mark",
        address="198.51.100.23",
        prefix="22",
        scope="domain:example.org",
        expires="2026-10-01",
    )

    assert page.status == 422
    assert page.beside("description") == "This is needed."
    assert page.fields["prefix"] == ["22"]
    assert page.fields["scope"] == ["domain:example.org"]
    assert page.fields["expires"] == ["2026-10-01"]


def test_the_dialog_offers_ranges_with_hints_and_scopes_as_far_as_rights_go(house: House) -> None:
    """A help desk marks for the account only; the owner for its domain and for everyone too."""
    path = f"{PATH}/safe?address=198.51.100.23"
    help_desk = house.visitor("help_desk", "domain:example.org").get(path)
    owner = house.visitor().get(path)

    offered = owner.text.split("/")
    assert any(
        part.startswith("17 ") and "32,768 addresses" in part and "needed for Google" in part for part in offered
    )
    assert any(part.startswith("22 ") and "1,024 addresses" in part and "needed for myMail" in part for part in offered)
    assert 'value="domain:example.org"' not in help_desk.html
    assert 'value="domain:example.org"' in owner.html
    assert 'value="everyone"' in owner.html


def test_a_forged_scope_or_range_is_refused(house: House) -> None:
    """What the dialog does not offer cannot be sent either."""
    visitor = house.visitor("help_desk", "domain:example.org")

    page = visitor.post(
        f"{PATH}/safe", do="mark", address="198.51.100.23", prefix="8", scope="everyone", description="x"
    )

    assert page.status == 422
    assert page.beside("prefix") == page.beside("scope") == "Choose one of those offered."


def test_the_dialog_shows_what_else_in_view_a_range_would_cover(house: House) -> None:
    """Networks of other accounts that were seen in incidents, as far as the reader sees them."""
    house.tell([*told(taken_over()), *told(taken_over(NOW_MS - DAY_MS, FOREIGNER, "8"))])
    fields = {"do": "preview", "address": "203.0.113.5", "prefix": "25", "scope": "everyone"}

    owner = house.visitor().post(f"{PATH}/safe", **fields)
    domain_only = house.visitor("administrator", "domain:example.org").post(
        f"{PATH}/safe", **{**fields, "scope": "domain:example.org"}
    )

    assert "203.0.113.0/25 covers" in owner.text
    assert "4 networks seen in incidents, of 2 accounts" in owner.text
    assert FOREIGNER in owner.text
    assert FOREIGNER not in domain_only.text


def test_a_marked_network_is_safe_from_then_on_until_the_end_of_the_chosen_day(worked_house: House) -> None:
    """The traveller's hotel: written to its topic, shown in the list, and out of the worker's count."""
    now = worked_house.panel.now_ms()
    put(worked_house, policy("everyone", time_window=60, allowed_ips=3), login("198.51.100.7", now - 60_000))
    visitor = worked_house.visitor("help_desk", "domain:example.org")
    eventually(lambda: "198.51.100.7" in visitor.get(PATH).text)

    answer = visitor.post(
        f"{PATH}/safe",
        do="mark",
        address="198.51.100.7",
        prefix="32",
        scope=f"account:{THIEF}",
        description="Hotel Example",
        expires="2900-01-31",
    )
    page = visitor.get(answer.leads_to)

    assert "198.51.100.7/32 is safe for account ann@example.org." in page.text
    eventually(lambda: any("198.51.100.7" in row and "Hotel Example" in row for row in visitor.get(PATH).rows))
    row = next(row for row in visitor.get("/safe-networks").rows if "198.51.100.7/32" in row)
    assert "2900-02-01 00:00 GMT" in row
    assert visitor.name in row


def test_a_page_without_a_usable_address_is_not_there(house: House) -> None:
    """The address comes from a link that somebody may have cut."""
    for address in ("", "example.org", "192.0.2.1/24", "%00"):
        assert house.visitor().get(f"{PATH}/safe?address={address}").status == 404


def test_names_with_slashes_and_signs_have_their_page(house: House) -> None:
    """A local part may have nearly anything in it."""
    account = "a/b+c?d#e%f@example.org"
    house.tell(told(taken_over(account=account)))
    visitor = house.visitor()

    link = next(link for link in visitor.get("/accounts?q=b%2Bc").links if link.startswith("/accounts/a"))

    assert account in visitor.get(link).text
