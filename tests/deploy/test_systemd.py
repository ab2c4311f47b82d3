"""The systemd units: what they start exists, and systemd takes them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.main import get_command

from streams.cli.app import make_app
from streams.settings import ENVIRONMENT_PREFIX, Settings
from streams.settings.sources import ENVIRONMENT_ONLY
from tests.tools import require_tools

UNITS = Path(__file__).parents[2] / "deploy/systemd"
SERVICES = sorted(UNITS.glob("*.service"))


def test_the_units_name_processes_that_exist() -> None:
    """The worker's unit by its command, the other's comment by its list."""
    commands = get_command(make_app()).commands  # type: ignore[attr-defined]
    text = (UNITS / "loginwatch@.service").read_text()
    named = re.search(r"One process of loginwatch: ([^\n]+)\.", text)

    assert named is not None
    assert set(re.split(r", | or ", named[1])) <= set(commands)
    assert re.search(r"^ExecStart=\S+ worker$", (UNITS / "loginwatch-worker@.service").read_text(), re.MULTILINE)


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_every_variable_of_a_unit_is_a_setting(unit: Path) -> None:
    """And the watchdog's exit code 70 leads to a restart, wrong settings (2) and topics (78) do not."""
    text = unit.read_text()

    for name in re.findall(r"^Environment=(\w+)=", text, re.MULTILINE):
        assert name in ENVIRONMENT_ONLY or name.removeprefix(ENVIRONMENT_PREFIX).lower() in Settings.model_fields, name
    assert "Restart=always" in text
    assert re.search(r"^RestartPreventExitStatus=2 78$", text, re.MULTILINE)


def test_a_worker_has_a_folder_for_its_compiled_code_and_may_make_memory_executable() -> None:
    """What it is compiled to is run from memory: with `MemoryDenyWriteExecute` it would not start."""
    text = (UNITS / "loginwatch-worker@.service").read_text()

    assert re.search(r"^CacheDirectory=loginwatch\nCacheDirectoryMode=0700$", text, re.MULTILINE)
    assert "MemoryDenyWriteExecute=" not in text


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_systemd_takes_the_unit_and_finds_it_hardened(unit: Path, tmp_path: Path) -> None:
    """`systemd-analyze verify` says nothing; `security` finds an exposure below 2."""
    require_tools("systemd-analyze")
    instance = tmp_path / unit.name.replace("@", "@1" if "worker" in unit.name else "@gateway")
    text = unit.read_text().replace("/opt/loginwatch/bin/loginwatch", str(shutil.which("true")))
    instance.write_text(text)
    shutil.copy(UNITS / "loginwatch.target", tmp_path)

    verified = subprocess.run(
        ["systemd-analyze", "verify", str(instance), str(tmp_path / "loginwatch.target")],
        check=False,
        capture_output=True,
        text=True,
    )
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=20", str(instance)],
        check=False,
        capture_output=True,
        text=True,
    )

    assert (verified.returncode, verified.stderr) == (0, "")
    assert judged.returncode == 0, judged.stdout[-2000:]
