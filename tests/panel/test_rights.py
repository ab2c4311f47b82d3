"""Roles, rights and scopes."""

from itertools import pairwise

import pytest

from streams.core.refusal import Refused
from streams.panel.rights import ROLE_RIGHTS, Reader, Right, Role, parse_person_scope

GROUPS = {"shop.example": "reseller-a/customer-7", "alone.example": None}


def reader(role: Role, *scopes: str) -> Reader:
    return Reader(1, "anna@example.org", role, scopes)


@pytest.mark.parametrize(
    ("own", "scope", "covered"),
    [
        (("everything",), "everyone", True),
        (("everything",), "account:a@b.example", True),
        (("group:reseller-a",), "everyone", False),
        (("group:reseller-a",), "group:reseller-a", True),
        (("group:reseller-a",), "group:reseller-a/customer-7", True),
        (("group:reseller-a",), "group:reseller-ab", False),
        (("group:reseller-a/customer-7",), "group:reseller-a", False),
        (("group:reseller-a",), "domain:shop.example", True),
        (("group:reseller-a",), "account:a@shop.example", True),
        (("group:reseller-a",), "domain:alone.example", False),
        (("domain:alone.example",), "account:a@alone.example", True),
        (("domain:alone.example",), "account:a@notalone.example", False),
        (("domain:alone.example",), "domain:sub.alone.example", False),
        (("domain:alone.example", "group:x"), "group:x/y", True),
        ((), "domain:alone.example", False),
    ],
)
def test_a_scope_covers_what_lies_within_it(own: tuple[str, ...], scope: str, covered: bool) -> None:
    """A group has its domains and all groups below it, a domain its accounts, and nobody but everything has everyone."""
    found = reader(Role.ADMINISTRATOR, *own).covers(scope, GROUPS.get)

    assert found is covered


def test_an_owner_sees_everything_whatever_is_written() -> None:
    """The role says so; an owner with a domain as scope is no smaller."""
    owner = reader(Role.OWNER, "domain:alone.example")

    assert owner.covers("everyone", GROUPS.get)
    assert owner.visible.everything


def test_a_higher_role_may_all_that_a_lower_one_may() -> None:
    """Roles are a ladder, so that "not above one's own" means something."""
    ladder = [ROLE_RIGHTS[role] for role in (Role.READER, Role.HELP_DESK, Role.ADMINISTRATOR, Role.OWNER)]

    assert all(lower <= higher for lower, higher in pairwise(ladder))
    assert ROLE_RIGHTS[Role.READER] == {Right.READ}
    assert ROLE_RIGHTS[Role.OWNER] == set(Right)


def test_nobody_outranks_a_higher_role() -> None:
    """An administrator is no owner; everybody is at least what they are."""
    administrator = reader(Role.ADMINISTRATOR, "everything")

    assert administrator.outranks(Role.ADMINISTRATOR)
    assert not administrator.outranks(Role.OWNER)


def test_only_who_sees_everything_can_give_everything() -> None:
    """A person's scope `everything` lies within no group."""
    assert reader(Role.ADMINISTRATOR, "everything").covers_all(["everything", "domain:a.example"], GROUPS.get)
    assert not reader(Role.ADMINISTRATOR, "group:reseller-a").covers_all(["everything"], GROUPS.get)


@pytest.mark.parametrize(
    "text", ["", "everyone", "account:a@b.example", "domain:", "group:a//b", "everything:x", "shop"]
)
def test_what_is_no_scope_of_a_person_is_refused(text: str) -> None:
    """Accounts and everyone are scopes of rules, not of people."""
    with pytest.raises(Refused):
        parse_person_scope(text)


def test_a_persons_scope_has_one_form() -> None:
    """Domains are compared in their canonical form."""
    assert parse_person_scope(" domain:Bücher.Example ") == "domain:xn--bcher-kva.example"
