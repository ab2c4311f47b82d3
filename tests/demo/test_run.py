"""The demo from end to end, as somebody at a terminal sees it."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.ended import end
from tests.eventually import eventually
from tests.panel.visitors import token_of

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "streams.cli", "demo"]


class Showing:
    """A running demo: what it has printed so far, and its exit code."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def output(self) -> str:
        """Everything printed so far."""
        return self._log.read_text(encoding="utf-8")

    def until(self, text: str, timeout_s: float = 90) -> None:
        """Wait until this is printed."""
        eventually(lambda: text in self.output or self.process.poll() is not None, timeout_s, what=f"{text!r} printed")
        assert text in self.output, self.output

    def end(self, timeout_s: float = 60) -> int:
        """Wait for the end; the exit code."""
        return self.process.wait(timeout_s)

    def addresses(self) -> list[tuple[str, int]]:
        """Where it says that its processes listen."""
        return [(host, int(port)) for host, port in re.findall(r"http://([\d.]+):(\d+)/metrics", self.output)]

    def child(self, name: str) -> int:
        """The id of one of its processes."""
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except (OSError, ValueError):
                continue
            if parent == self.process.pid and name.encode() in words:
                return int(entry.name)
        raise AssertionError(f"no process {name}")


@contextmanager
def demo(folder: Path, *arguments: str) -> Iterator[Showing]:
    """A demo in a process of its own, ended in any case."""
    log = folder / "output.txt"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LOGINWATCH_")}
    environment |= {"TMPDIR": str(folder), "COLUMNS": "200"}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*COMMAND, *arguments], cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT
        )
        try:
            yield Showing(process, log)
        finally:
            end(process, 60)


def listening(address: tuple[str, int]) -> bool:
    """Does somebody accept connections there?"""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(address) == 0


@pytest.mark.timeout(240)
def test_every_takeover_is_caught_and_refused(tmp_path: Path) -> None:
    """In forty seconds each kind of thief ends in an incident, a block, a mail and a refused login; nothing stays behind."""
    with demo(tmp_path, "--for", "40") as showing:
        assert showing.end(200) == 0, showing.output

    output = showing.output
    for word in ("THIEF", "INCIDENT", "BLOCK", "DOOR", "MAIL", "REFUSED"):
        assert output.count(f" {word} ") >= 5, output
    assert re.search(r"thieves caught +5 of 5", output)
    assert re.search(r"thieves refused +5 of 5", output)
    assert re.search(r"honest people blocked +0\b", output)
    assert re.search(r"from login to closed door +median \d+ ms, 99th percentile \d+ ms \(5 blocks\)", output)
    assert len(showing.addresses()) == 4
    assert not any(listening(address) for address in showing.addresses())
    assert list(tmp_path.glob("loginwatch-demo-*")) == []


def assert_the_panel_opens(showing: Showing) -> None:
    """The printed link signs in, once, and the panel shows the account of the first incident."""
    link = re.search(r"http://[\d.]+:\d+/welcome/\S+", showing.output)
    incident = re.search(r" INCIDENT (\S+): ", showing.output)
    assert link is not None, showing.output
    assert incident is not None
    with httpx.Client(timeout=30) as browser:
        page = browser.get(link[0])
        assert browser.post(link[0], data={"csrf": token_of(page.text)}).status_code == 303
        incidents = httpx.URL(link[0]).join("/incidents")
        eventually(lambda: incident[1] in browser.get(incidents).text, 30, what="the incident is in the panel")
    assert httpx.get(link[0], timeout=30).status_code == 404


@pytest.mark.timeout(240)
def test_ctrl_c_ends_the_demo_with_a_summary(tmp_path: Path) -> None:
    """Without an end it runs until interrupted; then it sums up, ends all processes and says that all is well."""
    with demo(tmp_path) as showing:
        showing.until("INCIDENT")
        assert_the_panel_opens(showing)
        addresses = showing.addresses()
        assert len(addresses) == 4
        assert all(listening(address) for address in addresses)
        assert list(tmp_path.glob("loginwatch-demo-*/mailbox"))

        showing.process.send_signal(signal.SIGINT)

        assert showing.end() == 0, showing.output
    assert "Summary" in showing.output
    assert not any(listening(address) for address in addresses)


@pytest.mark.timeout(240)
def test_a_process_that_dies_ends_the_demo_with_its_log(tmp_path: Path) -> None:
    """If one of the processes is killed, the demo ends with an error, shows the logs and leaves no process behind."""
    with demo(tmp_path) as showing:
        showing.until("People log in")
        addresses = showing.addresses()

        os.kill(showing.child("gateway"), signal.SIGKILL)

        assert showing.end() == 1, showing.output
    assert "the gateway ended with exit code -9" in showing.output
    assert "gateway listens" in showing.output
    assert list(tmp_path.glob("loginwatch-demo-*/gateway.log"))
    assert not any(listening(address) for address in addresses)
