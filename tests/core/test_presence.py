"""What runs say of a network's presence: never more than its logins do."""

from streams.core.presence import MOST_RUNS, add_to_runs

WINDOW_MS, PAUSE_MS = 60_000, 200_000


def test_more_runs_than_are_kept_make_a_network_present_nowhere_else() -> None:
    """A day of lateness and a window of minutes: the pauses between the oldest logins are still pauses."""
    runs: list[tuple[int, int]] = []
    for number in range(2 * MOST_RUNS):
        runs = add_to_runs(runs, number * PAUSE_MS, WINDOW_MS, number * PAUSE_MS)

    late = add_to_runs(runs, 0, WINDOW_MS, 2 * MOST_RUNS * PAUSE_MS)

    assert runs == late == [(number * PAUSE_MS,) * 2 for number in range(MOST_RUNS, 2 * MOST_RUNS)]
