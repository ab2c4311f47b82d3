"""A real Kafka for the tests: started, stopped, killed and paused by the test that needs it."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from confluent_kafka import KafkaException

from streams.bus.admin import ensure_topics, wait_for_broker
from streams.bus.clients import new_admin
from streams.errors import BrokerUnavailableError
from streams.settings import Settings
from tests.eventually import eventually
from tests.ports import Port

RUN = Path(__file__).parent.parent / "deploy" / "kafka" / "run"
START_TIMEOUT_S = 90
STOP_TIMEOUT_S = 30
PARTITIONS = 4
JVM_OPTIONS = "-Xms64m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1"
"""Without the second compiler a broker that lives for seconds costs 40 % less."""


def missing_tools() -> list[str]:
    """What a real Kafka needs and this machine lacks."""
    return [tool for tool in ("java", "mvn", "flock") if shutil.which(tool) is None]


class KafkaBroker:
    """
    One Kafka broker on ports and data of its own; `settings` reach it.

    The ports and data stay the same over `stop`, `kill` and `start`; `close` deletes them. `extra` are further lines of
    server.properties, with {port}, {controller_port} and the spare {second_port} and {third_port} filled in;
    `format_arguments` go to Kafka's storage tool.
    """

    def __init__(
        self,
        *,
        settings: Settings | None = None,
        extra: str = "",
        format_arguments: Sequence[str] = (),
        cluster_id: str = "",
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="loginwatch-kafka-"))
        self._ports = [Port() for _ in range(4)]
        self.port, self._controller_port, self.second_port, self.third_port = (port.number for port in self._ports)
        self._format_arguments = list(format_arguments)
        self._cluster = ["--cluster-id", cluster_id] if cluster_id else []
        self._extra = self.folder / "extra.properties"
        filled = extra.format(
            port=self.port,
            controller_port=self._controller_port,
            second_port=self.second_port,
            third_port=self.third_port,
        )
        self._extra.write_text(filled)
        self._process: subprocess.Popen[bytes] | None = None
        base = settings or Settings(partitions=PARTITIONS)
        self.settings = base.model_copy(update={"bootstrap_servers": f"127.0.0.1:{self.port}"})

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def log(self) -> str:
        """What the broker has said so far."""
        path = self.folder / "broker.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def voter(self) -> str:
        """Where the other controllers of a cluster find this one."""
        return f"127.0.0.1:{self._controller_port}"

    def configure(self, lines: str) -> None:
        """Further lines of server.properties, for the next start; they win."""
        with self._extra.open("a") as extra:
            extra.write(f"\n{lines}\n")

    def start(self) -> None:
        """Start and wait until it answers; AssertionError with its log when it does not."""
        self.launch()
        self.until_it_answers()

    def launch(self) -> None:
        """Start without waiting: one broker of several cannot answer alone."""
        command = [str(RUN), "--port", str(self.port), "--controller-port", str(self._controller_port)]
        command += [
            "--data",
            str(self.folder / "data"),
            "--extra",
            str(self._extra),
            *self._cluster,
            "--",
            *self._format_arguments,
        ]
        options = {"KAFKA_JVM_OPTIONS": JVM_OPTIONS, **os.environ}
        with (self.folder / "broker.log").open("ab") as log:
            # a session of its own: Ctrl-C in the terminal is the tests' to handle
            self._process = subprocess.Popen(command, env=options, stdout=log, stderr=log, start_new_session=True)

    def until_it_answers(self) -> None:
        """Wait for that; AssertionError with its log when it ended."""
        eventually(self._answers, START_TIMEOUT_S, what="the broker answers")

    def stop(self) -> None:
        """End it as an operator would (SIGTERM)."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL)."""
        self._end(signal.SIGKILL)

    def lose_everything(self) -> None:
        """Its disk is gone; an empty new one starts at the same address."""
        self.kill()
        shutil.rmtree(self.folder / "data")
        self.start()

    def restart(self) -> None:
        """Stop and start on the same ports and data."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing is answered."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._running().send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it and delete its data."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self.kill()
        for port in self._ports:
            port.release()
        shutil.rmtree(self.folder, ignore_errors=True)

    def wipe(self) -> None:
        """Delete every topic but Kafka's own, with the positions of the groups that read them."""
        admin = new_admin(self.settings)
        names = [name for name in admin.list_topics(timeout=10).topics if not name.startswith("__")]
        if not names:
            return
        for future in admin.delete_topics(names, operation_timeout=30).values():
            future.result(30)
        eventually(lambda: not set(names) & set(admin.list_topics(timeout=10).topics), what="the topics are gone")

    def with_topics(self, **changes: object) -> Settings:
        """Settings for this broker, changed as given, with all topics there."""
        settings = self.settings.model_copy(update=changes)
        ensure_topics(settings)
        return settings

    def _answers(self) -> bool:
        process = self._running()
        if process.poll() is not None:
            raise AssertionError(f"the broker ended with code {process.returncode}:\n{self.log[-4000:]}")
        try:
            return wait_for_broker(self.settings, 1) > 0
        except (BrokerUnavailableError, KafkaException):
            return False

    def _running(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None, "the broker is not running"
        return self._process

    def _end(self, how: signal.Signals) -> None:
        process = self._running()
        process.send_signal(how)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_TIMEOUT_S)
        self._process = None
