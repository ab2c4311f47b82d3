"""
The account table: a Faust table whose data is the engine's own dictionary of packed states.

Faust knows it as table `accounts` with its changelog, so the assignor gives a worker the same partitions of all inputs
and of the changelog. Writing is ours (`agent`: one record per touched account and batch, by librdkafka), and so is
recovery (`changelog`): Faust's recovery service is told that there is nothing to recover, and before it resumes the
streams it waits for ours.

A partition that this worker held in the generation right before keeps its states: nobody else can have written them.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, cast

import faust
import structlog
from faust.stores.base import Store
from faust.tables import TableManager
from faust.tables.recovery import Recovery
from faust.types import TP

from streams.engine.engine import Engine
from streams.errors import LoginwatchError
from streams.settings import Settings
from streams.topology import ACCOUNTS_TABLE, changelog
from streams.worker.changelog import Cancelled, ChangelogReader, StateForm, States
from streams.worker.offsets import refuse_foreign_states
from streams.worker.progress import Progress
from streams.worker.transport import BATCH_TOPICS

log = structlog.get_logger(__name__)

SHOW_EVERY_S = 1.0
READY_POLL_S = 0.02


class AccountStore(Store[str, bytes]):  # type: ignore[misc,unused-ignore]
    """Faust's view of the engine's states, for reading; nothing is written through it."""

    def __init__(self, *args: Any, engine: Engine, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._engine = engine

    def __getitem__(self, account: str) -> bytes:
        for accounts in self._engine.accounts.values():
            if account in accounts:
                return accounts[account]
        raise KeyError(account)

    def __iter__(self) -> Iterator[str]:
        for accounts in self._engine.accounts.values():
            yield from accounts

    def __len__(self) -> int:
        return sum(map(len, self._engine.accounts.values()))

    def __setitem__(self, account: str, packed: bytes) -> None:
        raise NotImplementedError("states are written by the agent, with their changelog record")

    def __delitem__(self, account: str) -> None:
        raise NotImplementedError("states are written by the agent, with their changelog record")

    def persisted_offset(self, tp: TP) -> int | None:  # noqa: ARG002 - Faust's signature, as below
        """Nothing is on disk."""
        return None

    async def need_active_standby_for(self, tp: TP) -> bool:  # noqa: ARG002
        """No standby copies are kept."""
        return False

    def reset_state(self) -> None:
        """Nothing is on disk."""

    def apply_changelog_batch(self, batch: Any, to_key: Any, to_value: Any) -> None:  # noqa: ARG002
        """Faust's recovery has nothing to apply; it calls this with empty buffers."""
        if any(True for _ in batch):
            raise AssertionError("Faust read the changelog itself")

    async def backup_partition(self, tp: Any, flush: bool = True, purge: bool = False, keep: int = 1) -> None:
        """Nothing is on disk."""

    def restore_backup(self, tp: Any, latest: bool = True, backup_id: int = 0) -> None:
        """Nothing is on disk."""


class AccountTable(faust.Table[str, bytes]):
    """Table `accounts`, for the assignor and for Faust's recovery."""

    def __init__(self, app: faust.App, *, engine: Engine, partitions: int) -> None:
        super().__init__(app, name=ACCOUNTS_TABLE, partitions=partitions, key_type=bytes, value_type=bytes)
        self._engine = engine

    def _new_store(self) -> AccountStore:
        return AccountStore("memory://", self.app, self, table_name=self.name, loop=self.loop, engine=self._engine)


class Accounts:
    """Fills the engine's states for the partitions of a new assignment."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        form: StateForm,
        progress: Progress,
        ready: Callable[[], bool] = lambda: True,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._form = form
        self._progress = progress
        self._ready = ready
        self._generation: int | None = None
        self._lock = asyncio.Lock()

    def distrust(self) -> None:
        """What is in memory may not be what the changelog has (a batch was given up): read all of it next time."""
        self._generation = None

    async def recover(self, partitions: set[int], generation: int) -> None:
        """
        Hold exactly the states of `partitions` as of now, and wait for the tables of policies.

        Raises as `ChangelogReader.read`; cancelling it leaves no trace.
        """
        async with self._lock:
            kept = self._kept(partitions, generation)
            self._generation = None
            self._progress.recovering = True
            for partition in [held for held in self._engine.accounts if held not in kept]:
                del self._engine.accounts[partition]
            missing = partitions - kept
            if missing:
                self._engine.accounts.update(await self._read(missing))
            while not self._ready():  # noqa: ASYNC110 - it also takes in what has come
                await asyncio.sleep(READY_POLL_S)
            self._generation = generation
            self._progress.recovering = False

    def _kept(self, partitions: set[int], generation: int) -> set[int]:
        if self._generation is None or generation != self._generation + 1:
            return set()
        return partitions & set(self._engine.accounts)

    async def _read(self, partitions: set[int]) -> States:
        topic, new_accounts = changelog(self._settings).name, self._engine.new_accounts
        reader = ChangelogReader(self._settings, topic, self._form, self._report, new_accounts=new_accounts)
        reading = asyncio.ensure_future(asyncio.to_thread(reader.read, partitions))
        showing = asyncio.ensure_future(self._show())
        try:
            states = await asyncio.shield(reading)
            await asyncio.to_thread(refuse_foreign_states, self._settings, states, self._form.newest_login)
            return states  # noqa: TRY300 - the finally must see it too
        except asyncio.CancelledError:
            reader.cancel()
            await asyncio.wait([reading])
            if not reading.cancelled() and isinstance(reading.exception(), Cancelled):
                log.debug("recovery cut off by a rebalance")
            raise
        finally:
            showing.cancel()

    def _report(self, done: int, total: int) -> None:
        self._progress.recovery_done = done
        self._progress.recovery_total = total

    async def _show(self) -> None:
        """A line a second on the terminal, for as long as it takes."""
        before = 0
        while True:
            await asyncio.sleep(SHOW_EVERY_S)
            done, total = self._progress.recovery_done, self._progress.recovery_total
            rate = f"{(done - before) / SHOW_EVERY_S:,.0f}/s"
            log.info("reading accounts from the changelog", records=f"{done:,} of {total:,}", rate=rate)
            before = done


class BulkRecovery(Recovery):
    """Faust's recovery with the reading taken out: `Accounts` does it, before the streams resume."""

    def need_recovery(self) -> bool:
        """Never by Faust itself."""
        return False

    async def _build_highwaters(self, *args: Any, **kwargs: Any) -> None:
        """Not needed: the reader asks the broker."""

    async def _build_offsets(self, *args: Any, **kwargs: Any) -> None:
        """Not needed: every recovery reads from the start."""

    async def _seek_offsets(self, *args: Any, **kwargs: Any) -> None:
        """Not needed: Faust's consumer never reads the changelog."""

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        """
        Read the states, then let Faust resume the streams, or end the worker without resuming them.

        An error that loginwatch knows does not go through Faust, which would log it as a crash of its own with a traceback.
        """
        app = cast("Any", self.app)
        try:
            await app.accounts.recover(self._partitions(), generation_id)
        except LoginwatchError as error:
            app.on_failure(error)
            await self.wait_until_stopped()
        else:
            app.consumer.recovered()
            await super().on_recovery_completed(generation_id)

    def _partitions(self) -> set[int]:
        """The partitions of this worker; raises AssertionError should Faust not assign the same of every topic."""
        held: dict[str, set[int]] = {name: set() for name in BATCH_TOPICS}
        for tp in self.app.consumer.assignment():
            if tp.topic in held:
                held[tp.topic].add(tp.partition)
        first, *others = held.values()
        if any(other != first for other in others):
            raise AssertionError(f"the inputs were not assigned alike: {held}")
        return first


class BulkTableManager(TableManager):
    """Faust's table manager with the recovery above."""

    async def on_start(self) -> None:
        """As stock Faust, without its wait of a second for tables that register late: ours is there before the start."""
        await self._update_channels()
        await self.recovery.start()

    @property
    def recovery(self) -> Recovery:
        """The recovery service, made when first asked for."""
        if self._recovery is None:
            self._recovery = BulkRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery
