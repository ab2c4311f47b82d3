"""
The demo from start to end: broker, topics, policies, processes, people, thieves, summary.

Decision: one event loop for the door's client, the mailbox and the story; what the topics say comes from a view's thread.
"""

import asyncio
import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from streams.bus.embedded import EmbeddedBroker
from streams.bus.producer import Producer
from streams.bus.view import Record, TableView
from streams.demo import rules
from streams.demo.mailbox import Mail, Mailbox
from streams.demo.processes import ChildError, Children, last_words
from streams.demo.stage import (
    FLUSH_S,
    GEO_FILE,
    child_settings,
    listens,
    publish_rules,
    sign_in_link,
    simulate_people,
    until_ready,
)
from streams.demo.story import Story
from streams.demo.tally import Tally
from streams.demo.waiting import cancel, ended_with, interrupts
from streams.records.codec import Codec
from streams.settings import Settings
from streams.simulator.door import MailServer, Outcome, visit
from streams.simulator.simulation import Event
from streams.simulator.world import write_geo
from streams.topology import BLOCKS, INCIDENTS, SUBMISSIONS

PARTITIONS = 4
APP = "loginwatch-demo"
ACCOUNTS = 300
PROBE_S = 0.01
COUNTS_S = 0.5
COUNTS_PLAIN_S = 10.0
FAILED = 1


def run_demo(
    settings: Settings,
    *,
    seconds: float | None = None,
    seed: int = 1,
    accounts: int = ACCOUNTS,
    console: Console | None = None,
) -> int:
    """
    Play the demo; the exit code.

    `seconds` counts from when people begin to log in; the demo then ends with 0 only if all thieves were caught and
    refused. None: it runs until it is interrupted, and ends with 0. Raises ChildError when one of the processes fails.
    """
    console = console or Console()
    folder = Path(tempfile.mkdtemp(prefix="loginwatch-demo-"))
    failed = True
    try:
        with (
            EmbeddedBroker(settings.model_copy(update={"app": APP, "partitions": PARTITIONS})) as broker,
            Children(folder) as children,
        ):
            demo = _Demo(broker.settings, folder, children, console, seconds=seconds, seed=seed, accounts=accounts)
            code = asyncio.run(demo.play())
            failed = code != 0
            return code
    except ChildError:
        for line in last_words(folder):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        raise
    finally:
        if failed:
            console.print(f"The logs of all processes are in {folder}", markup=False, soft_wrap=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)


class _Demo:
    """One showing."""

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        children: Children,
        console: Console,
        *,
        seconds: float | None,
        seed: int,
        accounts: int,
    ) -> None:
        self._children = children
        self._console = console
        self._folder = folder
        self._seconds = seconds
        self._settings = settings
        self._codec = Codec()
        self._story = Story(console)
        self._simulation = simulate_people(seed, accounts, seconds)
        self._tally = Tally.of(self._simulation.takeovers)
        self._mailbox = Mailbox(folder / "mailbox", self._on_mail)
        self._probes: set[asyncio.Task[None]] = set()
        self._unanswered = 0
        self._held: dict[str, list[Callable[[], None]]] = {}
        self._stop: asyncio.Event

    async def play(self) -> int:
        """Start everything, let people log in until the end, tell how it went."""
        self._stop = asyncio.Event()
        with interrupts(self._stop):
            async with self._mailbox:
                self._settings = child_settings(self._settings, self._children, self._mailbox.port)
                await asyncio.to_thread(self._prepare)
                with self._console.status("Starting the worker, the gateway, the mailer and the panel"):
                    ready = await until_ready(self._settings, self._children, self._stop)
                if not ready:
                    return 0
                self._introduce(await asyncio.to_thread(sign_in_link, self._settings))
                with self._watching():
                    await self._people_log_in()
        self._story.summary(self._tally, self._unanswered)
        return 0 if self._seconds is None or self._tally.all_over else FAILED

    def _prepare(self) -> None:
        """The geo database, the rules, the processes."""
        write_geo(self._folder / GEO_FILE)
        publish_rules(self._settings, self._codec, _now_ms())
        for name in ("worker", "gateway", "mailer", "panel"):
            self._children.start(name, self._settings)

    def _introduce(self, panel_link: str) -> None:
        self._story.running(self._addresses())
        self._story.panel(panel_link)
        self._story.setting(len(self._simulation.people), len(self._simulation.takeovers), rules.in_words())

    def _addresses(self) -> list[tuple[str, str]]:
        rows = [("broker", f"{self._settings.bootstrap_servers} (embedded)")]
        rows += [(name, f"http://{listen}/metrics  /health/ready") for name, listen in listens(self._settings).items()]
        rows += [("mailbox", f"{self._mailbox.folder} (SMTP on 127.0.0.1:{self._mailbox.port})")]
        return [*rows, ("logs", str(self._folder))]

    @contextlib.contextmanager
    def _watching(self) -> Iterator[None]:
        """Hear of every incident and block."""
        loop = asyncio.get_running_loop()

        def heard(record: Record) -> None:
            if record.value is not None:
                name = {INCIDENTS.name: "Incident", BLOCKS.name: "Block"}[record.topic]
                value = self._codec.decode(name, record.value)
                with contextlib.suppress(RuntimeError):  # the loop has ended
                    loop.call_soon_threadsafe(self._on_record, name, value)

        view = TableView(self._settings, [INCIDENTS, BLOCKS], heard, name="story")
        view.start()
        try:
            yield
        finally:
            view.stop()

    async def _people_log_in(self) -> None:
        """Let the simulated people and thieves in until the end, or until interrupted."""
        gateway, key = f"http://{self._settings.gateway_listen}", self._settings.gateway_api_key.get_secret_value()
        producer = Producer(self._settings)
        try:
            async with MailServer(gateway, key) as self._door, MailServer(gateway, key) as self._probe_door:
                self._story.begin()
                self._story.note(f"People log in. {'Ctrl-C ends the demo.' if self._seconds is None else ''}")
                async with ended_with(self._tell_counts(), self._messages_leave(producer)):
                    people = asyncio.create_task(self._visit(producer))
                    stopped = asyncio.create_task(self._stop.wait())
                    await asyncio.wait({people, stopped}, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
                    await cancel(people, stopped, *self._probes)
        finally:
            self._unanswered = self._door.visits.broken
            for tell in (tell for held in self._held.values() for tell in held):
                tell()
            producer.close(FLUSH_S)

    async def _visit(self, producer: Producer) -> None:
        def on_submission(event: Event) -> None:
            account = event.value["account"]
            if account in self._tally.blocked:
                return  # whoever cannot log in cannot send
            now_ms = _now_ms()
            message = self._codec.encode("Submission", {**event.value, "time": now_ms})
            producer.send(SUBMISSIONS.name, message, key=account, timestamp_ms=now_ms)

        try:
            await visit(self._door, self._simulation.events(), on_outcome=self._on_outcome, on_submission=on_submission)
        except Exception:
            self._stop.set()
            raise
        await self._stop.wait()

    def _on_outcome(self, event: Event, outcome: Outcome) -> None:
        self._tally.login(event, outcome)
        if event.takeover is None:
            return
        raid = self._tally.raids[event.takeover.account]
        if outcome is Outcome.IN and raid.came_in == 1:
            self._story.thief(event.takeover, event.value["ip"])
            task = asyncio.create_task(self._watch_door(event.takeover.account, event.value["ip"]))
            self._probes.add(task)
            task.add_done_callback(self._probes.discard)
        elif outcome is Outcome.REFUSED and raid.refused == 1:
            takeover, address = event.takeover, event.value["ip"]
            self._tell_after_incident(takeover.account, lambda: self._story.refused(takeover, address))

    async def _watch_door(self, account: str, address: str) -> None:
        """Ask the door until it refuses the account: that moment is what the summary measures."""
        while not await self._probe_door.refused(account, address):  # noqa: ASYNC110 - it is in another process
            await asyncio.sleep(PROBE_S)
        raid = self._tally.raids[account]
        raid.closed_ms = _now_ms()
        self._tell_after_incident(account, lambda: self._story.closed(raid))

    def _on_record(self, name: str, record: dict[str, Any]) -> None:
        account = record["account"]
        if name == "Block":
            self._tally.block(record)
            self._tell_after_incident(account, lambda: self._story.block(record))
        elif self._tally.incident(record):
            self._story.incident(record, self._tally.raids.get(account))
            for tell in self._held.pop(account, []):
                tell()

    def _on_mail(self, mail: Mail) -> None:
        self._tally.mails += 1
        about = next((word for word in mail.subject.split() if "@" in word), "")
        self._tell_after_incident(about, lambda: self._story.mail(mail))

    def _tell_after_incident(self, account: str, tell: Callable[[], None]) -> None:
        """In a story the cause comes first, but mails, blocks and incidents are heard of in any order."""
        if self._tally.has_incident(account):
            tell()
        else:
            self._held.setdefault(account, []).append(tell)

    async def _tell_counts(self) -> None:
        """A live line on a terminal; elsewhere a line now and then. Also notices a process that ended."""
        live = self._console.is_terminal
        with self._console.status("") as status:
            while True:
                await asyncio.sleep(COUNTS_S if live else COUNTS_PLAIN_S)
                if live:
                    status.update(self._story.counts(self._tally))
                else:
                    self._story.note(self._story.counts(self._tally))
                try:
                    self._children.check()
                except ChildError:
                    self._stop.set()
                    raise

    async def _messages_leave(self, producer: Producer) -> None:
        await producer.poll_forever()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
