"""The systemd units: what they start exists, and systemd takes them."""

import ctypes.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from streams.cli.app import make_app
from streams.errors import ConfigurationError, ListenError, TopicError
from streams.settings import ENVIRONMENT_PREFIX, Settings
from streams.settings.sources import ENVIRONMENT_ONLY
from tests.tools import require_tools, skip_or_fail

UNITS = Path(__file__).parents[2] / "deploy/systemd"
SERVICES = sorted(UNITS.glob("*.service"))
UNDER_THE_FILTER = """
import ctypes, sys
seccomp = ctypes.CDLL(sys.argv[1])
seccomp.seccomp_init.restype = ctypes.c_void_p
refuse = 0x00050000 | 1  # SCMP_ACT_ERRNO(EPERM)
rules = ctypes.c_void_p(seccomp.seccomp_init(refuse))
for name in sys.argv[2:]:
    number = seccomp.seccomp_syscall_resolve_name(name.encode())
    if number >= 0:  # one that this processor has
        assert seccomp.seccomp_rule_add(rules, 0x7FFF0000, number, 0) == 0, name
assert seccomp.seccomp_load(rules) == 0

import os
try:
    os.nice(1)  # setpriority or nice, of @resources
except PermissionError:
    print("refused")
import numba, numpy
import streams.worker.main
print(numba.njit(lambda numbers: numbers.sum())(numpy.arange(4)))
"""


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
    """And a watchdog (70) or an address that is not there yet (69) leads to a restart, wrong settings (2) and topics (78) do not."""
    text = unit.read_text()

    for name in re.findall(r"^Environment=(\w+)=", text, re.MULTILINE):
        assert name in ENVIRONMENT_ONLY or name.removeprefix(ENVIRONMENT_PREFIX).lower() in Settings.model_fields, name
    assert "Restart=always" in text
    assert re.search(r"^RestartPreventExitStatus=2 78$", text, re.MULTILINE)
    assert (ConfigurationError.exit_code, TopicError.exit_code, ListenError.exit_code) == (2, 78, 69)


def test_a_worker_has_a_folder_for_its_compiled_code_and_may_make_memory_executable() -> None:
    """What it is compiled to is run from memory: with `MemoryDenyWriteExecute` it would not start."""
    text = (UNITS / "loginwatch-worker@.service").read_text()

    assert re.search(r"^CacheDirectory=loginwatch\nCacheDirectoryMode=0700$", text, re.MULTILINE)
    assert "MemoryDenyWriteExecute=" not in text


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_call_that_the_unit_forbids_is_refused_and_not_fatal(unit: Path) -> None:
    """numpy's OpenBLAS calls mbind as it is loaded: without the error number a worker ends with status=31/SYS."""
    text = unit.read_text()

    assert "SystemCallFilter=" in text
    assert re.search(r"^SystemCallErrorNumber=EPERM$", text, re.MULTILINE)


def test_a_worker_can_do_without_the_calls_that_its_unit_forbids() -> None:
    """Its modules are loaded and a function is compiled and called under the filter that systemd makes of the unit's lines."""
    require_tools("systemd-analyze")
    library = ctypes.util.find_library("seccomp")
    if library is None:
        skip_or_fail("libseccomp is not installed (make test-deps: systemd needs it)")

    worker = subprocess.run(
        [sys.executable, "-c", UNDER_THE_FILTER, library, *sorted(_allowed(UNITS / "loginwatch-worker@.service"))],
        check=False,
        capture_output=True,
        text=True,
    )

    assert (worker.returncode, worker.stdout) == (0, "refused\n6\n"), worker.stderr[-2000:]


def _allowed(unit: Path) -> set[str]:
    """The system calls of a unit's filter: what is listed, without what is listed after ~; and what systemd always allows."""
    listed = subprocess.run(["systemd-analyze", "syscall-filter"], check=True, capture_output=True, text=True).stdout
    groups: dict[str, list[str]] = {}
    for line in listed.splitlines():
        if line.startswith("@"):
            members = groups[line] = []
        elif line.startswith("    ") and not line.lstrip().startswith("#"):
            members.append(line.strip())

    def calls(name: str) -> set[str]:
        return set().union(*map(calls, groups[name])) if name.startswith("@") else {name}

    allowed = calls("@default")
    for without, names in re.findall(r"^SystemCallFilter=(~?)(.+)$", unit.read_text(), re.MULTILINE):
        named = set().union(*map(calls, names.split()))
        allowed = allowed - named if without else allowed | named
    return allowed


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_what_is_enabled_starts_at_boot_and_with_the_target(unit: Path) -> None:
    """Not only with the target: nothing would start at boot where that is not enabled."""
    text = unit.read_text()

    assert re.search(r"^WantedBy=multi-user.target loginwatch.target$", text, re.MULTILINE)
    assert re.search(r"^Wants=network-online.target\nAfter=network-online.target$", text, re.MULTILINE)


def test_the_policy_service_may_make_its_socket_where_the_page_says() -> None:
    """With the folder of the page, which a machine need not have: without the - the unit would not start there."""
    drop_in = (UNITS / "loginwatch@postfix.service.d/socket.conf").read_text()
    page = (UNITS.parents[1] / "docs/mail-servers.md").read_text()
    folder = re.search(r"^ReadWritePaths=-(\S+)$", drop_in, re.MULTILINE)

    assert folder is not None
    assert f"install -d -o loginwatch -g postfix -m 2750 {folder[1]}`" in page


def test_the_administrators_command_has_what_the_units_have() -> None:
    """The same user, folder, settings and credentials, and a program of the same name."""
    script = (UNITS / "loginwatch-admin").read_text()
    unit = (UNITS / "loginwatch@.service").read_text()

    for name in ("User", "StateDirectory", "StateDirectoryMode", "WorkingDirectory", "UMask", "LoadCredential"):
        value = re.search(rf"^{name}=(.+)$", unit, re.MULTILINE)
        assert value is not None
        assert f"--property={name}={value[1]} " in script, name
    assert "LOGINWATCH_CONFIG=/etc/loginwatch/loginwatch.toml" in unit
    assert "--setenv=LOGINWATCH_CONFIG=/etc/loginwatch/loginwatch.toml " in script
    assert subprocess.run(["sh", "-n", UNITS / "loginwatch-admin"], check=False).returncode == 0


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
