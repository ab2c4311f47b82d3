"""What `loginwatch simulate` writes and sends: replay files with their truth, and records on the topics."""

from collections import Counter
from pathlib import Path

import orjson
import pytest

from streams.bus.embedded import EmbeddedBroker
from streams.bus.view import Record, TableView
from streams.errors import UsageError
from streams.records.codec import Codec
from streams.settings import Settings
from streams.simulator.delivery import Disorder
from streams.simulator.run import Recipe, feed_topic, write_jsonl
from streams.topology import LOGINS, SUBMISSIONS

RECIPE = Recipe(seed=3, accounts=100, duration_ms=7_200_000, start_ms=1_767_693_600_000, thieves=4)


def lines(path: Path) -> list[dict]:
    """A JSONL file."""
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def test_a_replay_file_and_its_truth_are_written(tmp_path: Path) -> None:
    """Each line has topic, timestamp and value; the truth lies beside it and fits."""
    path = tmp_path / "logins.jsonl"

    number = write_jsonl(path, RECIPE)

    records = lines(path)
    truth = lines(tmp_path / "logins.truth.jsonl")
    assert len(records) == number
    assert {tuple(record) for record in records} == {("topic", "timestamp", "value")}
    assert {record["topic"] for record in records} == {"logins", "submissions"}
    assert [takeover["kind"] for takeover in truth] == ["abroad", "botnet", "home", "slow"]
    for takeover in truth:
        addresses = {record["value"]["ip"] for record in records if record["value"]["account"] == takeover["account"]}
        assert set(takeover["networks"]) <= addresses


def test_the_same_recipe_writes_the_same_file(tmp_path: Path) -> None:
    """File and truth are equal to the last byte, disorder included."""
    recipe = Recipe(
        seed=9, accounts=50, duration_ms=3_600_000, thieves=2, guesses=0.1, disorder=Disorder(100, 0.1, 60_000, 0.1)
    )
    for name in ("first", "second"):
        write_jsonl(tmp_path / f"{name}.jsonl", recipe, truth=tmp_path / f"{name}.truth")

    for end in ("jsonl", "truth"):
        assert (tmp_path / f"first.{end}").read_bytes() == (tmp_path / f"second.{end}").read_bytes()


def test_standard_output_gets_the_lines_only(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Without a file the lines go to standard output, and no truth is written."""
    seen: list[int] = []

    number = write_jsonl(None, RECIPE, progress=seen.append)

    assert len(capfdbinary.readouterr().out.splitlines()) == number
    assert seen[-1] == number


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """The sentence names the file and the reason."""
    with pytest.raises(UsageError, match=r"cannot write .*nowhere.*No such file"):
        write_jsonl(tmp_path / "nowhere" / "x.jsonl", RECIPE)


@pytest.mark.parametrize(
    "wrong",
    [
        {"accounts": 0},
        {"accounts": 10**8},
        {"duration_ms": 0},
        {"rate": 0.0},
        {"rate": -1.0},
        {"guesses": 1.0},
        {"guesses": -0.1},
        {"thieves": 1001},
        {"thieves": -1},
        {"disorder": Disorder(late=1.5)},
        {"disorder": Disorder(repeats=-0.5)},
    ],
)
def test_a_recipe_without_sense_is_refused(wrong: dict) -> None:
    """Impossible numbers are refused before anything is simulated."""
    with pytest.raises(UsageError):
        Recipe(**wrong)


def test_the_rate_decides_the_number_of_logins() -> None:
    """A recipe with a rate makes about so many honest logins per second over a day."""
    recipe = Recipe(seed=1, accounts=200, rate=1.0, thieves=0, submissions=False)
    simulation = recipe.simulation()

    assert 0.92 < sum(1 for _ in recipe.events(simulation)) / 86_400 < 1.08


def test_records_on_the_topics_are_those_of_the_simulation() -> None:
    """Everything arrives on its topic, under its account, with its timestamp, in a form that the worker reads."""
    codec = Codec()
    found: list[tuple[str, str, int, dict]] = []

    def heard(record: Record) -> None:
        kind = {"logins": "Login", "submissions": "Submission"}[record.topic]
        value = codec.decode(kind, record.value or b"")
        found.append((record.topic, (record.key or b"").decode(), record.timestamp_ms, value))

    with EmbeddedBroker(Settings(partitions=2)) as broker:
        events = list(RECIPE.events(RECIPE.simulation()))
        sent = feed_topic(broker.settings, events)
        view = TableView(broker.settings, [LOGINS, SUBMISSIONS], heard)
        view.start()
        assert view.caught_up.wait(30)
        view.stop()

    assert sent == len(events) == len(found)
    assert all(key == value["account"] for _, key, _, value in found)
    wanted = Counter((event.topic, event.timestamp_ms, event.value["id"]) for event in events)
    assert Counter((topic, time_ms, value["id"]) for topic, _, time_ms, value in found) == wanted
