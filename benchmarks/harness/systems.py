"""Every program that the worker benchmark compares: how it is started, and where its traces are on Kafka."""

import compileall
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.harness.kafka import Kafka
from benchmarks.harness.process import Process
from streams.settings import Settings

ROOT = Path(__file__).parents[2]
PEERS = ROOT / "benchmarks" / "peers"
JAVA = PEERS / "kafka-streams"
QUIX = PEERS / ".venv"
JAVA_MEMORY = ("-Xms512m", "-Xmx1g", "-XX:+UseParallelGC")
COMMIT_S = 0.5
"""How often every durable system commits, as the worker does."""


@dataclass(frozen=True)
class System:
    """
    One row of the comparison. `most` cuts the log for slow ones; `outputs` are the topics it writes blocks to.

    `job` is `common`, `full` or `nothing durable`; the reference that its blocks are checked against follows from it.
    """

    name: str
    kind: str
    job: str = "common"
    most: int = 1 << 40
    changes: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def is_worker(self) -> bool:
        return self.kind == "worker"

    def start(self, kafka: Kafka, app: str, topic: str, count: int, geo: Path | None) -> Process:
        """Started on a log of `count` logins in `topic`; blocks of peers go to the topic `<app>-blocks`."""
        if self.is_worker:
            databases = (str(geo),) if self.job == "full" and geo is not None else ()
            return worker(kafka.for_app(app, geo_databases=databases), kafka.folder)
        state = kafka.folder / f"{app}-state"
        state.mkdir(exist_ok=True)
        environment = {
            "KAFKA": kafka.settings.bootstrap_servers, "APP": app, "INPUT": topic, "OUTPUT": f"{app}-blocks",
            "COUNT": str(count), "STATE_DIR": str(state), "COMMIT_S": str(COMMIT_S), "COMMIT_MS": str(int(COMMIT_S * 1000)),
            "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **self.changes,
        }  # fmt: skip
        return Process(_command(self.kind), environment, kafka.folder, app)


def worker(settings: Settings, folder: Path, name: str = "", **changes: str) -> Process:
    """The worker of these settings, changed as given. It has its bytecode, as an installed one: pip compiles what it installs."""
    compileall.compile_dir(ROOT / "streams", quiet=1)
    settings = settings.model_copy(update={"worker_health_listen": "127.0.0.1:0", **changes})
    environment = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    defaults = Settings()
    for each in Settings.model_fields:
        value = getattr(settings, each)
        if value != getattr(defaults, each):
            environment[f"LOGINWATCH_{each.upper()}"] = ",".join(value) if isinstance(value, tuple) else str(value)
    command = [sys.executable, "-m", "benchmarks.worker_process"]
    return Process(command, environment, folder, name or settings.app)


def prepare(kinds: set[str]) -> None:
    """Build the Java peer and install the Python one, each once. Raises RuntimeError for a tool that is missing."""
    if "kafka-streams" in kinds:
        _build_java()
    if "quix" in kinds:
        _install_quix()


def _command(kind: str) -> list[str]:
    if kind == "kafka-streams":
        path = os.pathsep.join((str(JAVA / "target" / "peer.jar"), str(JAVA / "target" / "lib" / "*")))
        log = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        return ["java", *JAVA_MEMORY, log, "-cp", path, "loginwatch.Peer"]
    python = str(QUIX / "bin" / "python") if kind == "quix" else sys.executable
    return [python, "-m", f"benchmarks.peers.{kind.replace('-', '_')}"]


def _build_java() -> None:
    for tool in ("java", "javac", "mvn"):
        if shutil.which(tool) is None:
            raise RuntimeError(
                f"{tool} is missing: the Java peer needs a JDK 17 and Maven (Debian: default-jdk-headless maven)"
            )
    sources = [*JAVA.glob("src/**/*.java"), JAVA / "pom.xml"]
    jar = JAVA / "target" / "peer.jar"
    if not jar.exists() or jar.stat().st_mtime < max(source.stat().st_mtime for source in sources):
        subprocess.run(["mvn", "-q", "-B", "-f", str(JAVA / "pom.xml"), "package"], check=True)


def _install_quix() -> None:
    lock = PEERS / "requirements.lock"
    stamp, want = (
        QUIX / ".from",
        f"{sys.version}\n{lock.read_text()}",
    )  # the same Python as ours, or the figures say little
    if stamp.exists() and stamp.read_text() == want:
        return
    venv.create(QUIX, with_pip=True, clear=True)
    install = [str(QUIX / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "--require-hashes", "-r", str(lock)], check=True)
    stamp.write_text(want)
