"""Completion in a real shell, as `loginwatch --install-completion` sets it up."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home directory of somebody whose bash completes loginwatch."""
    shell(tmp_path, "loginwatch --install-completion && echo installed")
    return tmp_path


def shell(home: Path, script: str) -> str:
    """What a bash says in which `loginwatch` is the installed command; a command behind it keeps bash its parent."""
    commands = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = {"HOME": str(home), "PATH": commands, "LANG": "C.UTF-8"}
    done = subprocess.run(
        ["bash", "--norc", "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def offered(home: Path, *words: str) -> list[str]:
    """What bash offers for the last of these words after the tab key."""
    line = " ".join(f"'{word}'" for word in words)
    return shell(
        home,
        f"source ~/.bashrc; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1};"
        ' $(complete -p loginwatch | sed "s/.* -F \\([^ ]*\\) .*/\\1/") loginwatch; echo "${COMPREPLY[*]}"',
    ).split()


def test_commands_are_completed(home: Path) -> None:
    """The families, and what is in one."""
    assert offered(home, "loginwatch", "pol") == ["policy"]
    assert {"set", "show", "reset", "inherit", "effective"} <= set(offered(home, "loginwatch", "policy", ""))


def test_options_are_completed(home: Path) -> None:
    """As far as they are typed."""
    assert "--time-window" in offered(home, "loginwatch", "policy", "set", "everyone", "--time")
