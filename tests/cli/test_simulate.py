"""`loginwatch simulate`."""

import orjson
import pytest

from streams.cli.store import Store
from tests.cli.conftest import Loginwatch

SMALL = ("--accounts", "20", "--duration", "2h", "--thieves", "1")


def test_a_simulation_is_a_file_that_can_be_replayed(loginwatch: Loginwatch, tmp_path) -> None:
    """With the truth beside it and a geo database of its world; the same seed gives the same bytes."""
    file, geo = tmp_path / "sim.jsonl", tmp_path / "sim.mmdb"

    written = loginwatch("simulate", *SMALL, "--to", str(file), "--geo", str(geo))
    again = loginwatch("simulate", *SMALL, "--to", "-")
    replayed = loginwatch("replay", str(file), "--geo", str(geo))

    assert written.code == 0
    assert file.read_text() == again.out
    [takeover] = [orjson.loads(line) for line in (tmp_path / "sim.truth.jsonl").read_bytes().splitlines()]
    assert takeover["truth"] == "takeover"
    assert replayed.code == 0


def test_a_simulation_goes_onto_the_topics(on_kafka: Loginwatch, store: Store) -> None:
    """Everything is acknowledged when the command says how much it was."""
    answer = on_kafka("simulate", *SMALL, "--to", "topics", "--speed", "0", "--json")

    assert answer.json["records"] == len(list(store.history("logins", "submissions")))
    assert answer.json["records"] > 20


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--accounts", "0"], "accounts must be 1 to"),
        (["--duration", "1"], "--duration '1' is no duration"),
        (["--guesses", "1"], "the share of guesses"),
        (["--thieves", "21", "--accounts", "20"], "at most one thief per account"),
        (["--start", "soon"], "--start 'soon' is no time"),
        (["--to", "nowhere/sim.jsonl"], "cannot write"),
    ],
)
def test_what_makes_no_sense_is_refused(loginwatch: Loginwatch, arguments: list[str], sentence: str) -> None:
    """Each refusal says what and why, with code 2."""
    answer = loginwatch("simulate", *arguments)

    assert answer.code == 2
    assert sentence in answer.err
