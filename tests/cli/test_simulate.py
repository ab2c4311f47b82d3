"""`loginwatch simulate`."""

import os
import select
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import pytest

from streams.cli.store import Store
from tests.cli.conftest import Loginwatch
from tests.eventually import eventually

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


def test_a_simulation_that_is_interrupted_leaves_the_truth_of_what_it_sent(store: Store, tmp_path: Path) -> None:
    """Most of those onto the topics end with Ctrl-C, and nothing else tells who the thieves were."""
    truth, settings = tmp_path / "truth", store.settings
    reached = ("--set", f"bootstrap_servers={settings.bootstrap_servers}", "--set", f"partitions={settings.partitions}")
    options = ("--accounts", "20", "--thieves", "1", "--duration", "9d", "--speed", "60")
    command = (sys.executable, "-m", "streams.cli", "simulate", *options, "--to", "topics", "--truth", str(truth))

    with subprocess.Popen([*command, *reached], stderr=subprocess.PIPE) as simulation:
        try:
            eventually(lambda: any(store.rows("logins")))
            simulation.send_signal(signal.SIGINT)
            _, said = simulation.communicate(timeout=60)
        finally:
            simulation.kill()

    assert (simulation.returncode, said) == (130, b"")
    assert orjson.loads(truth.read_bytes())["truth"] == "takeover"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--accounts", "0"], "accounts must be 1 to"),
        (["--duration", "1"], "--duration '1' is no duration"),
        (["--guesses", "1"], "the share of guesses"),
        (["--thieves", "21", "--accounts", "20"], "at most one thief per account"),
        (["--start", "soon"], "--start 'soon' is no time"),
        (["--to", "nowhere/sim.jsonl"], "cannot write nowhere/sim.jsonl: No such file or directory"),
        (["--geo", "nowhere/sim.mmdb"], "cannot write nowhere/sim.mmdb: No such file or directory"),
        (["--geo", "/dev/full"], "cannot write /dev/full: No space left on device"),
        (["--truth", "nowhere/sim.truth"], "cannot write nowhere/sim.truth: No such file or directory"),
        (["--to", "."], "cannot write .: Is a directory"),
    ],
)
def test_what_makes_no_sense_is_refused(loginwatch: Loginwatch, arguments: list[str], sentence: str) -> None:
    """Each refusal says what and why, with code 2."""
    answer = loginwatch("simulate", *arguments)

    assert answer.code == 2
    assert sentence in answer.err


def test_a_truth_that_cannot_be_written_is_refused_before_anything_is_on_the_topics(
    on_kafka: Loginwatch, store: Store, tmp_path: Path
) -> None:
    """A simulation may take hours, and it cannot be told afterwards who the thieves were."""
    answer = on_kafka(
        "simulate", *SMALL, "--to", "topics", "--speed", "0", "--truth", str(tmp_path), "--geo", str(tmp_path / "geo")
    )

    assert answer.code == 2
    assert f"cannot write {tmp_path}: Is a directory" in answer.err
    assert list(store.history("logins", "submissions")) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bad", ["--to", "--geo", "--truth"])
def test_one_file_that_cannot_be_written_leaves_the_others_as_they_were(
    loginwatch: Loginwatch, tmp_path: Path, bad: str
) -> None:
    """Neither made, nor emptied where there was one; a link that points nowhere stays one."""
    files = {option: tmp_path / option.strip("-") for option in ("--to", "--geo", "--truth")}
    files["--geo"].write_text("of yesterday")
    files["--to"].symlink_to(tmp_path / "elsewhere")
    files[bad] = tmp_path / "nowhere" / "file"

    answer = loginwatch("simulate", *SMALL, *(str(part) for item in files.items() for part in item))

    assert answer.code == 2
    assert f"cannot write {files[bad]}: No such file or directory" in answer.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["geo", "to"]
    assert (tmp_path / "geo").read_text() == "of yesterday"
    assert (tmp_path / "to").is_symlink()


@pytest.mark.parametrize(
    ("first", "second"), [("--to", "--truth"), ("--to", "--geo"), ("--geo", "--truth"), ("--truth", "--to")]
)
def test_one_file_is_not_given_two_contents(loginwatch: Loginwatch, tmp_path: Path, first: str, second: str) -> None:
    """Under another name neither: the one written last would be all that is left. Devices keep nothing anyway."""
    file, link = tmp_path / "one.jsonl", tmp_path / "link.jsonl"
    file.write_text("of yesterday")
    link.symlink_to(file)

    answer = loginwatch("simulate", *SMALL, first, str(file), second, str(link))
    nowhere = loginwatch("simulate", *SMALL, "--to", "/dev/null", "--truth", "/dev/null")

    assert answer.code == 2
    assert f"{file} is to hold more than one of the logins, the takeovers and the geo database" in answer.err
    assert file.read_text() == "of yesterday"
    assert nowhere.code == 0


def test_the_truth_beside_the_file_is_not_overwritten_by_the_geo_database(
    loginwatch: Loginwatch, tmp_path: Path
) -> None:
    """Nor the other way round, where neither is there yet."""
    answer = loginwatch("simulate", *SMALL, "--to", str(tmp_path / "s.jsonl"), "--geo", str(tmp_path / "s.truth.jsonl"))

    assert answer.code == 2
    assert f"{tmp_path / 's.truth.jsonl'} is to hold more than one" in answer.err
    assert list(tmp_path.iterdir()) == []


def test_a_gateway_that_is_not_there_is_told_before_the_first_login(loginwatch: Loginwatch, tmp_path: Path) -> None:
    """A simulation may take hours; nobody has logged in anywhere."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        answer = loginwatch("simulate", "--to", url, "--truth", str(tmp_path / "truth"))

    assert answer.code == 2
    assert answer.out == ""
    assert f"there is no gateway at {url}: ClientConnectorError" in answer.err
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_gets_the_truth_although_files_are_looked_at_before(loginwatch: Loginwatch, tmp_path: Path) -> None:
    """Whoever reads it sees the takeovers first, not an end."""
    pipe, poll = tmp_path / "truth", select.poll()
    os.mkfifo(pipe)
    with os.fdopen(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), "rb") as reader, ThreadPoolExecutor(1) as pool:
        poll.register(reader, select.POLLIN)
        first = pool.submit(poll.poll, 20_000)
        answer = loginwatch("simulate", *SMALL, "--to", str(tmp_path / "sim.jsonl"), "--truth", str(pipe))

        assert answer.code == 0
        [(_, event)] = first.result()
        assert event & select.POLLIN
        assert orjson.loads(reader.read())["truth"] == "takeover"
