"""Everything that is compiled is compiled before the worker takes its first record, and found again."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from streams.engine.compiled import folder
from streams.settings import load_settings
from tests.eventually import eventually
from tests.worker.harness import DEPLOYED, WorkerProcess

READS_LOGS = """
from numba.core import event
from streams.worker import ahead
ahead.compile_all()
with event.install_recorder("numba:compile") as recorder:
    from streams.worker.batch_writer import Origin, by_partition, write_batch
    from streams.worker.changelog_records import changelog_records
    from streams.worker.fetches import AnswerRecords
    from tests.engine.compiled import twins
    import numpy as np
    for seed in range(12):
        assert twins.compare(seed)
    accounts = twins.UsualLogins(twins.CODEC, partitions=1, lateness_ms=0, largest=1, seed=1).new_accounts()
    accounts.keep("user@example.org", b"a state")
    accounts.forget("other@example.org")
    data, records = changelog_records({0: accounts.take_touched()})
    data.flags.writeable = False  # as `state_delivery.Stage` has it
    rows, _, _ = by_partition(records, len(data), 1)
    out = np.zeros(4096, np.uint8)
    end, count = write_batch(data, records, rows, out, 0, len(out), 0, Origin(1, 0, 0))
    answer = AnswerRecords(out[:end].tobytes())
    assert [len(fetched) for fetched in answer.next_batch()] == [count] == [2]
print("compiled:", [each.data["dispatcher"] for _, each in recorder.buffer if each.is_start])
"""


def run(*command: str, may_write_everywhere: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """A Python of its own: what other tests have had compiled is not there."""
    without = () if may_write_everywhere or os.geteuid() else ("setpriv", "--bounding-set", "-dac_override")
    return subprocess.run(
        [*without, sys.executable, *command],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an installation in which somebody has compiled; nothing is in it that a test would load."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    monkeypatch.delenv("CACHE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = folder.of_installation()
    made.mkdir(parents=True)
    (made / "kernel.nbc").write_bytes(b"machine code")
    folder.mark_complete(made)
    return made


def test_nothing_is_left_to_compile_when_records_come() -> None:
    """Logs with every kind of record, their states written and read: numba compiles nothing any more."""
    done = run("-c", READS_LOGS)

    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "compiled: []"


def test_the_command_line_does_not_load_the_compiler() -> None:
    """Numba takes a third of a second: only a worker waits for it."""
    script = (
        "import sys; sys.argv = ['loginwatch', 'worker', '--help']\n"
        "from streams.cli import main\n"
        "try: main()\n"
        "finally: print({'numba', 'llvmlite', 'numpy'} & sys.modules.keys() or 'none of them')"
    )

    assert run("-c", script).stdout.splitlines()[-1] == "none of them"


def test_a_full_disk_is_told_in_a_sentence(tmp_path: Path) -> None:
    """With the folder's name: a traceback out of numba's files helps nobody."""
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "from streams.errors import LoginwatchError\n"
        "from streams.worker import ahead\n"
        "try: ahead.compile_all()\n"
        "except LoginwatchError as error: print(error)"
    )

    done = run("-c", script, NUMBA_CACHE_DIR=str(tmp_path / "cache"))

    place = tmp_path / "cache" / folder.digest()
    assert f"cannot be kept in {place}: File too large. Make room there" in done.stdout, done.stderr


def test_compiling_for_all_users_needs_the_right_to_write_there(tmp_path: Path) -> None:
    """One sentence with the folder, and code 2."""
    (tmp_path / "file").touch()

    done = run("-m", "streams.cli", "worker", "--compile", NUMBA_CACHE_DIR=str(tmp_path / "file/folder"))

    assert done.returncode == 2
    assert done.stderr.startswith(
        f"loginwatch: nothing can be kept in {tmp_path / 'file/folder' / folder.digest()}: it cannot be written. Run this as"
    )


def test_what_whoever_installed_has_compiled_is_used(installation: Path) -> None:
    """By those who may write there as it is."""
    assert folder.chosen() == installation


def test_what_was_compiled_of_other_sources_is_removed_from_the_installation(installation: Path) -> None:
    """Upgrades leave nothing behind there."""
    (installation.parent / "before").mkdir()

    folder.forget_others()

    assert list(installation.parent.iterdir()) == [installation]


def test_what_may_not_be_written_is_copied(installation: Path) -> None:
    """A service's user, or a container with a read-only root: into its own cache folder, once."""
    script = (
        f"import sys; sys.prefix = {sys.prefix!r}\n"
        "from streams.engine.compiled import folder\n"
        "print(folder.problem(folder.of_installation()).replace(' ', '-'), folder.chosen() == folder.of_user())"
    )
    installation.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        done = run("-c", script, may_write_everywhere=False)
    finally:
        installation.chmod(stat.S_IRWXU)

    assert done.stdout.split() == ["it-cannot-be-written", "True"], done.stderr
    assert folder.is_complete(folder.of_user())
    assert (folder.of_user() / "kernel.nbc").read_bytes() == b"machine code"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a folder to somebody else")
@pytest.mark.parametrize("part", ["", "cache", "cache/loginwatch/compiled", "somebody/kernel.nbc"])
def test_machine_code_that_somebody_else_may_have_written_is_not_run(
    installation: Path, tmp_path: Path, part: str
) -> None:
    """Numba reads its folders as pickles: who writes there runs as the worker's user."""
    own = folder.of_user()
    (own / "somebody").mkdir(parents=True)
    (own / "somebody/kernel.nbc").touch()
    folder.mark_complete(own)
    assert folder.problem(own) == ""
    given = own / part if part.startswith("somebody") or not part else tmp_path / part
    os.chown(given, 12_345, -1)

    assert "somebody else" in folder.problem(own)
    assert not folder.problem(installation)


def test_a_folder_that_others_may_write_is_not_used_until_they_may_not(tmp_path: Path) -> None:
    """One made with a generous umask, say; what is compiled into a folder of ours is closed to them at the end."""
    for mode in (0o775, 0o757):
        tmp_path.chmod(mode)
        assert "somebody else" in folder.problem(tmp_path)
    tmp_path.chmod(0o755)
    (tmp_path / "kernel.nbc").touch()
    (tmp_path / "kernel.nbc").chmod(0o664)
    folder.mark_complete(tmp_path)

    assert folder.problem(tmp_path) == ""


def test_a_folder_of_another_processor_is_not_taken_for_complete(
    installation: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image that was built elsewhere: this processor's code is compiled into the user's folder."""
    monkeypatch.setattr(folder.config, "CPU_NAME", "another")

    assert not folder.is_complete(installation)
    assert folder.chosen() == folder.of_user()


def test_a_worker_says_that_it_compiles_and_is_not_ready_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lives, and a supervisor that asks hears what it waits for."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    with WorkerProcess(load_settings(environment={}), "one", command=DEPLOYED) as worker:
        eventually(lambda: "compiles its hot path" in worker.page("/health/ready")[1], 30, what="its health tells")

        status = worker.page("/health/ready")[0], worker.page("/health/live")[0]
        worker.assert_running()

        assert status == (503, 200)
        assert f"kept_in={tmp_path / folder.digest()}" in worker.log


def test_a_worker_warns_that_it_will_compile_at_every_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where its folder cannot be written, with the folder's name."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file/folder"))
    with WorkerProcess(load_settings(environment={}), "one", command=DEPLOYED) as worker:
        eventually(lambda: "at every start: it cannot be kept" in worker.log, 30, what="its log tells")

        assert f"folder={tmp_path / 'file/folder'}" in worker.log
