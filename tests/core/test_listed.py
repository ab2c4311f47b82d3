"""The members of an incident in order, as they come and change."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from streams.core.addresses import Network, cut
from streams.core.listed import Listed
from streams.core.values import Part

addresses = st.one_of(st.integers(0xFFFF << 32, (0xFFFF << 32) + 50), st.integers(0, 2**128 - 1))
networks = st.builds(cut, addresses, st.integers(8, 32), st.integers(16, 128))


@given(st.sets(networks), st.lists(st.sets(networks, max_size=3), max_size=4))
def test_members_stand_in_order_however_they_come(first: set[Network], later: list[set[Network]]) -> None:
    """In the stored JSON and in the evidence, those that came at once and those that came later."""
    listed = Listed(first)
    members = set(first)
    for more in later:
        listed.add(more - members)
        members |= more
    ordered = sorted(members, key=lambda network: network.order)

    assert orjson.loads(listed.json()) == [[f"{network.number:x}", network.prefix] for network in ordered]
    assert listed.changed == members
    for network in members:
        listed.show(network, Part({"network": str(network)}))
    assert [part["network"] for part in listed.shown()] == [str(network) for network in ordered]


@given(st.sets(networks, min_size=1))
def test_a_changed_member_takes_its_own_place(members: set[Network]) -> None:
    """The others stay as they were shown, the very same parts."""
    listed = Listed(members)
    for network in members:
        listed.show(network, Part({"logins": 1}))
    before, one = listed.shown(), min(members)

    listed.changed.add(one)
    listed.show(one, Part({"logins": 2}))

    assert listed.changed == set()
    changed = [number for number, part in enumerate(listed.shown()) if part is not before[number]]
    assert changed == [sorted(members, key=lambda network: network.order).index(one)]
