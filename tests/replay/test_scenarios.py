"""
The scenarios of `tests/scenarios/README.md`: its timelines, the replay files beside it, and what a replay of them writes.

The outcomes in the timelines are worked out by hand and are the truth; the files are written by `--accept-scenarios`.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from streams.replay.replay import replay_lines
from streams.settings import Settings
from tests.model.compare import difference
from tests.model.model import Model
from tests.model.places import FixedPlaces
from tests.model.stories import story
from tests.model.timelines import Line, Scenario, scenarios

FOLDER = Path(__file__).parent.parent / "scenarios"
SCENARIOS = {scenario.name: scenario for scenario in scenarios((FOLDER / "README.md").read_text(encoding="utf-8"))}
LATENESS_MS = 10 * 60_000
KNOWN_TO_THE_MODEL = {"incidents", "blocks", "notifications", "dead-letters"}


@pytest.fixture(params=sorted(SCENARIOS))
def scenario(request: pytest.FixtureRequest) -> Scenario:
    """Each scenario; with the flag its files are written first."""
    found = SCENARIOS[request.param]
    if request.config.getoption("--accept-scenarios", default=False):
        lines = replay_form(found)
        (FOLDER / f"{found.name}.jsonl").write_bytes(b"".join(lines))
        (FOLDER / f"{found.name}.expected.jsonl").write_bytes(b"".join(replayed(lines)))
    return found


def test_the_file_says_the_same_as_the_timeline(scenario: Scenario):
    """Line by line, times written as RFC 3339."""
    file = (FOLDER / f"{scenario.name}.jsonl").read_bytes()

    assert file.splitlines(keepends=True) == replay_form(scenario)


def test_a_replay_writes_what_is_expected(scenario: Scenario):
    """Every byte of it, in order."""
    expected = (FOLDER / f"{scenario.name}.expected.jsonl").read_bytes()
    lines = (FOLDER / f"{scenario.name}.jsonl").read_bytes().splitlines(keepends=True)

    actual = replayed(lines)

    assert [orjson.loads(line) for line in actual] == [orjson.loads(line) for line in expected.splitlines()]
    assert b"".join(actual) == expected


def test_the_expected_output_tells_the_outcomes_of_the_timeline(scenario: Scenario):
    """In the words of the timeline, which were written by hand."""
    assert story(expected_outputs(scenario)) == scenario.outcomes


def test_the_model_agrees_with_the_expected_output(scenario: Scenario):
    """The brute-force model, on all fields that it knows."""
    model = Model(LATENESS_MS, "", FixedPlaces().country)
    newest_ms = 0
    said = []
    for line in scenario.records:
        now_ms = line.get("timestamp", max(newest_ms, (line["value"] or {}).get("time", 0)))
        newest_ms = max(newest_ms, now_ms)
        said += model.read(line["topic"], now_ms, line["value"], line.get("key"))

    assert (
        difference(said, [output for output in expected_outputs(scenario) if output[0] in KNOWN_TO_THE_MODEL]) is None
    )


def test_every_file_belongs_to_a_timeline():
    """A file without a timeline would be checked by nobody."""
    names = {path.name for path in FOLDER.glob("*.jsonl")}

    assert len(SCENARIOS) > 50
    assert names == {f"{name}{end}" for name in SCENARIOS for end in (".jsonl", ".expected.jsonl")}


def replayed(lines: list[bytes]) -> list[bytes]:
    """What a replay with default settings writes, with countries by documentation range."""
    return list(replay_lines(lines, Settings(), FixedPlaces()))


def replay_form(scenario: Scenario) -> list[bytes]:
    """The timeline as lines of a replay file."""
    return [orjson.dumps(_readable(line)) + b"\n" for line in scenario.records]


def expected_outputs(scenario: Scenario) -> list[tuple[str, dict[str, Any]]]:
    """Topic and record of each line of the expected output."""
    lines = (FOLDER / f"{scenario.name}.expected.jsonl").read_bytes().splitlines()
    return [(line["topic"], line["value"]) for line in map(orjson.loads, lines)]


def _readable(line: Line) -> Line:
    """Times of the value as RFC 3339, so that the file can be read without a calculator."""
    value = line["value"]
    if value is None:
        return line
    times = {name: _rfc3339(value[name]) for name in ("time", "expires") if value.get(name) is not None}
    return {**line, "value": {**value, **times}}


def _rfc3339(time_ms: int) -> str:
    text = datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace(".000", "").replace("+00:00", "Z")
