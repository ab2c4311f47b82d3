"""docker-compose.yml and the image: every command, setting, port and health check in them exists."""

import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from streams.bus.health import parse_listen
from streams.cli.app import make_app
from streams.cli.health import LISTENS
from streams.settings import ENVIRONMENT_PREFIX, Settings, load_settings
from tests.tools import require_tools

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OURS = {name: service for name, service in COMPOSE["services"].items() if service.get("image") == "loginwatch:local"}
NOT_SETTINGS = {"LOGINWATCH_SECRETS_DIR"}


def settings_of(service: dict[str, Any]) -> Settings:
    """What the process of this service runs with; secrets are files there, and a text here."""
    environment = {name: _value(value) for name, value in service.get("environment", {}).items()}
    secrets = {secret["target"]: "a secret" for secret in service.get("secrets", ())}
    given = {name: value for name, value in (environment | secrets).items() if name not in NOT_SETTINGS}
    return load_settings(environment=given)


def _value(text: Any) -> str:
    """`${NAME:-default}` as compose fills it in where NAME is not set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(text))


@pytest.mark.parametrize("name", OURS)
def test_every_service_runs_a_command_that_exists(name: str) -> None:
    """The first word is a subcommand, and the words after it are taken by its own parser."""
    root: Any = get_command(make_app())
    words = list(OURS[name]["command"])
    command = root
    while words and hasattr(command, "commands"):
        assert words[0] in command.commands, f"{name}: loginwatch has no command {words[0]!r}"
        command = command.commands[words.pop(0)]
    command.make_context(name, words)


@pytest.mark.parametrize("name", OURS)
def test_every_setting_and_secret_of_a_service_exists(name: str) -> None:
    """Settings refuses unknown names and values out of range."""
    service = OURS[name]

    settings_of(service)

    for secret in service.get("secrets", ()):
        assert secret["target"].startswith(ENVIRONMENT_PREFIX)
        assert secret["source"] in COMPOSE["secrets"]


@pytest.mark.parametrize("name", OURS)
def test_every_health_check_asks_the_process_that_runs(name: str) -> None:
    """The one-shot has none; every other has one that `loginwatch health` knows."""
    check = OURS[name]["healthcheck"]

    if OURS[name]["restart"] == "no":
        assert check["disable"]
    else:
        assert check["test"][:3] == ["CMD", "loginwatch", "health"]
        assert check["test"][3] == OURS[name]["command"][0]
        assert check["test"][3] in LISTENS


@pytest.mark.parametrize("name", [name for name in OURS if name in LISTENS])
def test_a_service_listens_where_prometheus_and_its_ports_look(name: str) -> None:
    """On all addresses of its container; published on loopback only."""
    settings = settings_of(OURS[name])
    listens = [value for field, value in settings if field.startswith(name) and field.endswith("listen") and value]
    ports = {parse_listen(value)[1] for value in listens}

    assert {parse_listen(getattr(settings, LISTENS[name]))[0]} == {"0.0.0.0"}
    for published in OURS[name].get("ports", ()):
        host, outside, inside = published.split(":")
        assert host == "127.0.0.1"
        assert int(inside) in ports | {8025}, f"{name} publishes {outside}, and does not listen on {inside}"


def test_every_service_waits_for_what_it_needs() -> None:
    """`depends_on` names services, by a condition."""
    for name, service in COMPOSE["services"].items():
        needs = service.get("depends_on", {})
        for other in needs:
            assert other in COMPOSE["services"], f"{name} waits for {other}"
    for name in OURS:
        assert OURS[name]["depends_on"], f"{name} starts before Kafka"


def test_every_container_is_bounded_and_ours_can_do_nothing_special() -> None:
    """Memory and processor limits everywhere; read-only, no capabilities, no new privileges for ours."""
    for name, service in COMPOSE["services"].items():
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}, name
    for name, service in OURS.items():
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"]), name
        assert service["security_opt"] == ["no-new-privileges:true"], name


def test_the_log_reader_may_read_the_log_and_can_be_told_its_zone() -> None:
    """Debian's is root:adm, mode 0640, as for the unit; and in a container "this machine's zone" is UTC."""
    logs = OURS["logs"]

    assert logs["group_add"] == ["4"]
    assert logs["environment"]["LOGINWATCH_LOG_TIMEZONE"] == "${LOG_TIMEZONE:-}"


def test_every_image_names_its_version() -> None:
    """No `latest`, in the compose file or the Containerfile."""
    images = [service["image"] for service in COMPOSE["services"].values()]
    images += re.findall(r"^ARG PYTHON=(\S+)", (ROOT / "deploy/Containerfile").read_text(), re.MULTILINE)

    for image in images:
        assert re.search(r":(?!latest)[^:/]+$", image), image


def test_the_image_has_the_workers_hot_path_compiled_and_the_worker_finds_it() -> None:
    """Compiled for the same kind of processor as it runs for; and where it is copied to, the worker's user may write."""
    built, run = (ROOT / "deploy/Containerfile").read_text().split("\nFROM ")[1:]
    processor = "NUMBA_CPU_NAME=x86-64-v2 NUMBA_CPU_FEATURES="
    [caches] = re.findall(r"XDG_CACHE_HOME=(\S+)", run)
    folder = f"{caches}/loginwatch"

    assert f"ENV {processor}\nRUN /opt/loginwatch/bin/loginwatch worker --compile\n" in built
    assert processor in run
    assert re.search(rf"install --directory --owner loginwatch .*{folder}$", run, re.MULTILINE)
    assert any(mount.startswith(f"{folder}:uid=10001,") for mount in OURS["worker"]["tmpfs"])


def test_the_image_has_the_bytecode_of_pythons_library() -> None:
    """It may not be written at run time, and would be compiled anew by every health check."""
    run = (ROOT / "deploy/Containerfile").read_text().split("\nFROM ")[2]
    command = "RUN python -m compileall -q "

    assert "PYTHONDONTWRITEBYTECODE=1" in run
    assert run.index("pip uninstall") < run.index(command) < run.index("USER ")


def make_secrets(root: Path) -> Path:
    """Run the script in a copy of its folder below `root`; the folder of the secrets."""
    folder = root / "deploy/compose"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "make-secrets").write_bytes((ROOT / "deploy/compose/make-secrets").read_bytes())
    subprocess.run(["sh", str(folder / "make-secrets")], check=True, capture_output=True)
    return folder / "secrets"


def test_secrets_are_read_by_the_containers_user_and_by_nobody_else_here(tmp_path: Path) -> None:
    """Each file is mounted alone, so the folder may be closed; those that an operator fills are filled by their owner."""
    folder = make_secrets(tmp_path)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sorted(modes) == sorted(Path(secret["file"]).name for secret in COMPOSE["secrets"].values())
    for name, mode in modes.items():
        empty = not (folder / name).read_bytes()
        assert mode == (0o644 if empty else 0o444), name


def test_secrets_that_are_there_stay(tmp_path: Path) -> None:
    """Also one that was written by hand."""
    folder = make_secrets(tmp_path)
    (folder / "doveadm_api_key").write_text("from dovecot.conf")
    before = {file.name: file.read_bytes() for file in folder.iterdir()}

    make_secrets(tmp_path)

    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_compose_itself_takes_the_file(tmp_path: Path) -> None:
    """By `docker-compose config`, with the secrets that make-secrets writes."""
    require_tools("docker-compose")
    (tmp_path / "docker-compose.yml").write_bytes((ROOT / "docker-compose.yml").read_bytes())
    make_secrets(tmp_path)

    done = subprocess.run(
        ["docker-compose", "-f", str(tmp_path / "docker-compose.yml"), "config", "--quiet"],
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    for secret in COMPOSE["secrets"].values():
        assert (tmp_path / secret["file"]).exists()
