"""Where machine code is kept, and that everything works where it cannot be."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import streams
from streams.engine.compiled.folder import SOURCES, chosen, digest

READ = """
import numpy as np
from streams.engine.compiled import jit
from streams.engine.compiled.numbers import read_4
print(read_4(np.arange(8, dtype=np.uint8), 1), jit.KEPT, sum(1 for _ in jit.FOLDER.rglob("*.nbi")))
"""
CHANGES = """
from streams.engine.compiled.folder import SOURCES, digest
print(digest(), digest.__wrapped__())
for package in SOURCES:
    with open(f"streams/{package}/__init__.py", "a") as file:
        file.write("# another line")
    print(digest.__wrapped__())
"""


def run(code: str, *, root: Path | None = None, **variables: str) -> list[str]:
    """The words that a process prints; `root` has the sources."""
    root = Path(streams.__file__).parents[1] if root is None else root
    inherited = {
        name: value for name, value in os.environ.items() if name not in {"NUMBA_CACHE_DIR", "CACHE_DIRECTORY"}
    }
    variables = {**inherited, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1", **variables}
    done = subprocess.run(
        [sys.executable, "-c", code], env=variables, cwd=root, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_functions_work_where_nothing_can_be_kept(tmp_path: Path) -> None:
    """A read-only image, say: each start compiles anew, and nothing is kept beside the sources, where it would grow old."""
    (tmp_path / "file").touch()

    assert run(READ, NUMBA_CACHE_DIR=str(tmp_path / "file" / "folder")) == [str(0x04030201), "False", "0"]


def test_what_was_compiled_is_kept(tmp_path: Path) -> None:
    """In the folder that systemd gives, or the user's."""
    number, kept, files = run(READ, CACHE_DIRECTORY=str(tmp_path), XDG_CACHE_HOME=str(tmp_path / "other"))

    assert (number, kept) == (str(0x04030201), "True")
    assert int(files) >= 1
    assert not (tmp_path / "other").exists()


def test_a_folder_that_is_named_has_one_for_each_version_of_the_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numba itself compares the one file that a function is written in, and not what it calls."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))

    assert chosen() == tmp_path / digest()


def test_machine_code_of_other_sources_is_never_used(tmp_path: Path) -> None:
    """A constant that was compiled in may be written in any file of these packages."""
    shutil.copytree(Path(streams.__file__).parent, tmp_path / "streams", ignore=shutil.ignore_patterns("__pycache__"))

    digests = run(CHANGES, root=tmp_path)

    assert len(digests) == 2 + len(SOURCES)
    assert digests[0] == digests[1]
    assert len(set(digests)) == 1 + len(SOURCES)


def test_what_compiles_nothing_does_not_load_the_compiler() -> None:
    """It takes a second and 100 MB that a tool, a replay or a door does not have to spend."""
    modules = "streams.cli.app, streams.replay.replay, streams.engine.engine, streams.connectors.http_door"

    assert run(f"import sys, {modules}; print('numba' in sys.modules, 'numpy' in sys.modules)") == ["False", "False"]
