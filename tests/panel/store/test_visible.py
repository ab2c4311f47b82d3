"""What a reader may see, as a value and as a condition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.panel.store import EVERYTHING, Visible

PATHS = st.lists(st.sampled_from("ab"), min_size=1, max_size=3).map("/".join)
SCOPES = st.one_of(
    PATHS.map(lambda path: f"group:{path}"), st.sampled_from(["domain:one.example", "domain:two.example"])
)


@given(scopes=st.lists(SCOPES, max_size=3), group=PATHS, domain=st.sampled_from(["one.example", "two.example"]))
def test_an_account_is_covered_like_its_domain_and_a_domain_like_its_group(
    scopes: list[str], group: str, domain: str
) -> None:
    """The hierarchy is a hierarchy."""
    visible = Visible.of(scopes)

    covered = visible.covers(f"domain:{domain}", lambda _: group)

    assert visible.covers(f"account:x@{domain}", lambda _: group) == covered
    assert covered == (f"domain:{domain}" in scopes or visible.covers(f"group:{group}", lambda _: None))
    assert not visible.covers("everyone", lambda _: group)
    assert EVERYTHING.covers("everyone", lambda _: None)


@pytest.mark.parametrize("scope", ["", "all", "account:a@b", "group:", "everything:x"])
def test_what_is_no_scope_of_a_person_is_refused(scope: str) -> None:
    """A defect elsewhere must not become a wider view."""
    with pytest.raises(ValueError, match="no scope"):
        Visible.of([scope])
