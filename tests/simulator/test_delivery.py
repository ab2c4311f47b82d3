"""How simulated records arrive: delayed, late, repeated, and always in the order of their arrival."""

from itertools import pairwise

from streams.simulator.delivery import Disorder, deliver
from streams.simulator.people import Population
from streams.simulator.simulation import Event, Options, simulate

OPTIONS = Options(1_767_693_600_000, 3_600_000, takeovers=())


def events() -> list[Event]:
    """An hour in order."""
    return list(simulate(Population(1, 100), OPTIONS))


def test_without_disorder_nothing_changes() -> None:
    """The default delivery is immediate and complete."""
    assert list(deliver(events(), Disorder(), 1)) == events()


def test_arrivals_are_in_order_and_never_early() -> None:
    """Records arrive by time of arrival, none before it was made, none lost."""
    arrived = list(deliver(events(), Disorder(delay_ms=300, late=0.1, late_ms=60_000), 1))

    assert all(first.timestamp_ms <= second.timestamp_ms for first, second in pairwise(arrived))
    assert all(event.timestamp_ms >= event.value["time"] for event in arrived)
    assert sorted(event.value["id"] for event in arrived) == sorted(event.value["id"] for event in events())
    assert [event.value["id"] for event in arrived] != [event.value["id"] for event in events()]


def test_late_and_repeated_ones_have_their_shares() -> None:
    """A fifth comes late, at most by the bound; a tenth comes twice, with the same record."""
    arrived = list(deliver(events(), Disorder(late=0.2, late_ms=600_000, repeats=0.1), 1))
    original = {event.value["id"]: event for event in events()}
    late = [event for event in arrived if event.timestamp_ms > event.value["time"]]

    assert 1.05 < len(arrived) / len(original) < 1.15
    assert 0.2 < len(late) / len(original) < 0.4
    assert max(event.timestamp_ms - event.value["time"] for event in arrived) <= 1_200_000
    assert all(event.value == original[event.value["id"]].value for event in arrived)


def test_the_same_seed_gives_the_same_disorder() -> None:
    """Disorder is part of what a seed decides."""
    disorder = Disorder(delay_ms=100, late=0.1, repeats=0.1)

    assert list(deliver(events(), disorder, 5)) == list(deliver(events(), disorder, 5))
    assert list(deliver(events(), disorder, 5)) != list(deliver(events(), disorder, 6))
