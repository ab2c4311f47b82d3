"""The page "Compromised accounts", as people use it."""

from typing import Any

import pytest

from tests.panel.pages.house import House
from tests.panel.pages.records import domain, policy

EVERYONE = "/policies?scope=everyone"
DOMAIN = "/policies?scope=domain%3Aexample.org"
NUMBERS = (
    "time_window",
    "allowed_ips",
    "allowed_countries",
    "block_time",
    "familiar_days",
    "ipv4_prefix",
    "ipv6_prefix",
)


def rules() -> list[Any]:
    """Everyone, a group and a domain in it, each with something of its own."""
    return [
        policy("everyone", time_window=60, allowed_ips=3, block_time=1440, notify=["abuse@provider.example"]),
        policy("group:reseller-a", allowed_ips=5, familiar_days=4),
        policy("domain:example.org", allowed_ips=2, ignored_countries=["AT", "CH"], match_domain=True),
        domain("example.org", "reseller-a/customer-7"),
    ]


def beside(page: Any, label: str) -> str:
    """What stands after a field's label, up to the next field."""
    return page.text.partition(label)[2][:400]


def test_each_field_has_its_own_value_and_what_it_would_inherit_and_from_where(house: House) -> None:
    """Empty boxes inherit; the value inherited and its origin stand beside each box."""
    house.tell(rules())

    page = house.visitor().get(DOMAIN)

    assert page.fields["allowed_ips"] == ["2"]
    assert page.fields["time_window"] == [""]
    assert page.fields["ignored_countries"] == ["AT, CH"]
    assert page.fields["match_domain"] == ["yes"]
    assert "Inherited: 1 h (everyone)" in beside(page, "Time window")
    assert "Inherited: 5 (group reseller-a)" in beside(page, "Number of different IPs")
    assert "Inherited: abuse@provider.example (everyone)" in beside(page, "Mails to notify")
    assert "AT Austria" in page.text


def test_a_scope_is_chosen_by_level_and_name(house: House) -> None:
    """A group, a domain or a user, in any spelling; what is none gets its sentence."""
    house.tell(rules())
    visitor = house.visitor()

    assert visitor.get("/policies?level=everyone").leads_to == EVERYONE
    assert visitor.get("/policies?level=domain&name=EXAMPLE.org.").leads_to == DOMAIN
    assert visitor.get("/policies?level=group&name=a/b").leads_to == "/policies?scope=group%3Aa%2Fb"
    assert (
        visitor.get("/policies?level=account&name=Ann@Example.org").leads_to
        == "/policies?scope=account%3Aann%40example.org"
    )
    wrong = visitor.get("/policies?level=group&name=a//b")
    assert "is not a group" in wrong.beside("name")
    assert wrong.fields["name"] == ["a//b"]


def test_the_list_names_every_scope_with_settings_of_its_own(house: House) -> None:
    """Whoever looks for the origin of a limit finds it here; without any, the page says how to begin."""
    visitor = house.visitor()
    assert "Until one does, detection is off." in visitor.get("/policies").text

    house.tell(rules())

    rows = visitor.get("/policies").rows
    assert any(row.startswith("domain example.org Number of different IPs: 2") for row in rows)
    assert any(row.startswith("everyone Time window: 1 h") for row in rows)


def test_the_list_begins_with_the_widest_scopes_and_has_further_pages(house: House) -> None:
    """However many accounts have a policy of their own, those of everyone and of domains are on the first page."""
    house.tell([*rules(), *(policy(f"account:u{number:03}@example.org", allowed_ips=9) for number in range(120))])
    visitor = house.visitor()

    pages = [visitor.get("/policies")]
    while more := [link for link in pages[-1].links if "at=" in link][(len(pages) > 1) :]:
        pages.append(visitor.get(more[0]))
    back = visitor.get(next(link for link in pages[-1].links if "at=" in link))

    scopes = [row.split(" ")[:2] for page in pages for row in page.rows if not row.startswith("Scope")]
    assert [row[0] for row in scopes[:4]] == ["everyone", "group", "domain", "account"]
    assert len(scopes) == len({" ".join(row) for row in scopes}) == 123
    assert back.rows == pages[-2].rows
    assert visitor.get("/policies?at=nonsense").status == 400


def test_bad_input_gets_the_sentence_beside_its_field_and_what_was_typed_stays(house: House) -> None:
    """All mistakes of a form are named at once, nothing of it is lost."""
    house.tell(rules())
    typed = {
        "time_window": "-5",
        "allowed_ips": "51",
        "block_time": "a day",
        "ignored_countries": "DE, ZZ",
        "country": "Atlantis",
        "notify": ["good@example.org", "not an address"],
        "ipv4_prefix": "33",
        "mode": "sleep",
    }

    page = house.visitor().post("/policies", scope="everyone", do="update", **typed)

    assert page.status == 422
    assert page.beside("time_window") == "This must be a whole number from 0 to 43200."
    assert page.beside("allowed_ips") == "This must be a whole number from 0 to 50."
    assert page.beside("block_time") == "This must be a whole number from 0 to 43200."
    assert "'ZZ'" in page.beside("ignored_countries") or "ZZ" in page.beside("ignored_countries")
    assert "Atlantis" in page.beside("country")
    assert "is not an e-mail address" in page.beside("notify")
    assert page.beside("ipv4_prefix") == "This must be a whole number from 8 to 32."
    assert page.beside("mode") == "Choose one of those offered."
    for name in ("time_window", "allowed_ips", "block_time", "ignored_countries", "country", "ipv4_prefix", "notify"):
        assert page.fields[name] == ([typed[name]] if isinstance(typed[name], str) else typed[name])


def test_a_list_can_be_set_and_yet_empty_but_not_both_ways_at_once(house: House) -> None:
    """Clearing a box inherits; ignoring no country is a tick of its own."""
    house.tell(rules())

    page = house.visitor().post("/policies", scope="everyone", ignored_countries="DE", none_ignored_countries="1")

    assert page.beside("ignored_countries") == "Either name some, or tick that there are none here."


def test_further_mails_and_countries_are_added_and_removed_without_a_script(house: House) -> None:
    """ "+ Email" gives another box, the bin takes one away, a picked country joins the codes; nothing is saved by that."""
    visitor = house.visitor()
    typed = {"scope": "everyone", "notify": ["a@example.org", "b@example.org"], "allowed_ips": "7"}

    more = visitor.post("/policies", do="add-mail", **typed)
    fewer = visitor.post("/policies", drop="0", **typed)
    picked = visitor.post("/policies", do="add-country", ignored_countries="ro", country="Germany (DE)", **typed)
    german = house.visitor(language="de").post("/policies", do="add-country", country="Frankreich", **typed)

    assert more.fields["notify"] == ["a@example.org", "b@example.org", ""]
    assert fewer.fields["notify"] == ["b@example.org"]
    assert picked.fields["ignored_countries"] == ["RO, DE"]
    assert picked.fields["allowed_ips"] == ["7"]
    assert german.fields["ignored_countries"] == ["FR"]
    assert "Nothing is set here" in visitor.get(EVERYONE).text


def test_a_policy_is_saved_as_it_was_typed_and_empty_fields_inherit(live_house: House) -> None:
    """The topic has what was typed and nothing else; the form shows it again."""
    visitor = live_house.visitor()

    answer = visitor.post(
        "/policies",
        scope="domain:example.org",
        seen="",
        do="update",
        allowed_ips="4",
        time_window="",
        ignored_countries="ro, fr",
        country="Germany",
        notify=["", "it@example.org", ""],
        notify_sender="yes",
        mode="observe",
    )
    page = visitor.get(answer.leads_to)

    assert answer.status == 303, answer.text
    assert "The policy of domain example.org is saved." in page.text
    assert page.fields["allowed_ips"] == ["4"]
    assert page.fields["time_window"] == [""]
    assert page.fields["ignored_countries"] == ["DE, FR, RO"]
    assert page.fields["notify"] == ["it@example.org"]
    assert page.fields["mode"] == ["observe"]


def test_somebody_who_saved_in_between_is_not_overwritten_unseen(live_house: House) -> None:
    """The second one learns who saved what, keeps what was typed, and can then replace it."""
    first, second = live_house.visitor(), live_house.visitor("administrator")
    form = second.get(EVERYONE).fields
    first.post("/policies", scope="everyone", seen=form["seen"][0], do="update", allowed_ips="9")

    late = second.post("/policies", scope="everyone", seen=form["seen"][0], do="update", allowed_ips="2")
    again = second.post("/policies", scope="everyone", seen=late.fields["seen"][0], do="update", allowed_ips="2")

    assert late.status == 409
    assert "Somebody has saved this policy in between" in late.text
    assert first.name in late.text
    assert "Number of different IPs: 9" in late.text
    assert late.fields["allowed_ips"] == ["2"]
    assert again.status == 303
    assert second.get(EVERYONE).fields["allowed_ips"] == ["2"]


def test_a_policy_that_was_removed_in_between_can_be_saved_all_the_same(live_house: House) -> None:
    """The second one learns that it is gone, not of a nobody in 1970, and the next press saves."""
    first, second = live_house.visitor(), live_house.visitor("administrator")
    first.post("/policies", scope="everyone", seen="", do="update", allowed_ips="9")
    seen = second.get(EVERYONE).fields["seen"][0]
    first.post("/policies/inherit", scope="everyone", seen=seen)

    late = second.post("/policies", scope="everyone", seen=seen, do="update", allowed_ips="2")
    again = second.post("/policies", scope="everyone", seen=late.fields["seen"][0], do="update", allowed_ips="2")

    assert late.status == 409
    assert "Somebody has removed this policy in between." in late.text
    assert "1970" not in late.text
    assert late.fields["seen"] == [""]
    assert again.status == 303, again.text


@pytest.mark.parametrize("what", ["inherit", "reset"])
def test_a_question_opened_earlier_does_not_take_away_what_was_saved_since(live_house: House, what: str) -> None:
    """It says what is stored now, and asks again."""
    first, second = live_house.visitor(), live_house.visitor("administrator")
    [link] = [link for link in second.get(EVERYONE).links if link.startswith(f"/policies/{what}")]
    first.post("/policies", scope="everyone", seen="", do="update", allowed_ips="9")

    asked = second.get(link)
    late = second.post(f"/policies/{what}", scope="everyone", seen=asked.fields["seen"][0])
    kept = first.get(EVERYONE)
    again = second.post(f"/policies/{what}", scope="everyone", seen=late.fields["seen"][0])

    assert asked.fields["seen"] == [""]
    assert late.status == 409
    assert "Somebody has saved this policy in between" in late.text
    assert first.name in late.text
    assert "Number of different IPs: 9" in late.text
    assert kept.fields["allowed_ips"] == ["9"]
    assert again.status == 303


def test_a_time_that_no_form_of_ours_carries_is_none(live_house: House) -> None:
    """Digits without end are no fault of the panel."""
    visitor = live_house.visitor()
    visitor.post("/policies", scope="everyone", seen="", do="update", allowed_ips="9")

    assert visitor.post("/policies", scope="everyone", seen="9" * 5000, do="update").status == 409
    assert visitor.post("/policies/reset", scope="everyone", seen="9" * 5000).status == 409


def test_superior_level_settings_and_reset_ask_first_and_then_do_what_they_say(live_house: House) -> None:
    """Inherit everything, or switch everything off, whatever is set above."""
    visitor = live_house.visitor()
    visitor.post("/policies", scope="everyone", seen="", do="update", allowed_ips="3", time_window="60")

    asked = visitor.get("/policies/reset?scope=domain:example.org")
    reset = visitor.get(visitor.post("/policies/reset", scope="domain:example.org").leads_to)
    seen = visitor.get("/policies/inherit?scope=domain:example.org").fields["seen"][0]
    inherits = visitor.get(visitor.post("/policies/inherit", scope="domain:example.org", seen=seen).leads_to)

    assert "Every number here becomes 0" in asked.text
    assert [reset.fields[name][0] for name in NUMBERS] == ["0", "0", "0", "0", "0", "", ""]
    assert reset.fields["none_notify"] == ["1"]
    assert "Nothing is set here: every field inherits." in inherits.text
    assert "Inherited: 3 (everyone)" in beside(inherits, "Number of different IPs")


def test_the_preview_names_what_would_hold_for_an_account_with_the_fields_as_they_stand(house: House) -> None:
    """Typed and not yet saved values count, each with its origin; an account elsewhere has its sentence."""
    house.tell(rules())
    visitor = house.visitor()

    page = visitor.post(
        "/policies", scope="domain:example.org", do="preview", account="Ann@example.org", allowed_ips="8"
    )
    elsewhere = visitor.post("/policies", scope="domain:example.org", do="preview", account="x@example.net")

    assert "Number of different IPs 8 domain example.org" in page.rows
    assert "Familiar networks stay open 4 days group reseller-a" in page.rows
    assert "Time window 1 h everyone" in page.rows
    assert "does not apply to this account" in elsewhere.beside("account")


def test_foreign_scopes_are_not_there_and_those_above_are_only_shown_as_inherited(house: House) -> None:
    """A domain's administrator changes the own domain and sees what comes from above, without a page for it."""
    house.tell(rules())
    visitor = house.visitor("administrator", "domain:example.org")

    page = visitor.get(DOMAIN)

    assert "Inherited: 1 h (everyone)" in page.text
    assert EVERYONE not in page.links
    for scope in ("everyone", "group:reseller-a", "domain:example.net", "account:x@example.net", "nonsense"):
        assert visitor.get(f"/policies?scope={scope}").status == 404
        assert visitor.post("/policies", scope=scope, do="update").status == 404
        assert visitor.post("/policies/reset", scope=scope).status == 404
        assert visitor.get(f"/policies/inherit?scope={scope}").status == 404
    assert visitor.get("/policies?level=domain&name=example.net").beside("name") == "This is not in your scope."
    assert "everyone Time window" not in visitor.get("/policies").text


def test_a_help_desk_reads_policies_and_cannot_change_them(house: House) -> None:
    """The form is there to be read; no button is, and a forged form is refused."""
    house.tell(rules())
    visitor = house.visitor("help_desk", "domain:example.org")

    page = visitor.get(DOMAIN)

    assert "Your role may read this policy, not change it." in page.text
    assert page.fields["allowed_ips"] == ["2"]
    assert visitor.post("/policies", scope="domain:example.org", do="update").status == 403


def test_every_field_of_a_policy_is_on_the_form(house: House) -> None:
    """A field that is added to the core is not forgotten here."""
    from streams.core.policy import FIELDS

    html = house.visitor().get(EVERYONE).html

    assert [name for name in FIELDS if f'name="{name}"' not in html] == []
