"""What the worker demands of the engine it drives; `streams.engine.Engine` has it, and so have stand-ins in tests."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from streams.core.refusal import Refused


class Batch(Protocol):
    """What follows from the records processed since the last `take`; see `streams.engine.Batch`."""

    @property
    def outputs(self) -> Sequence[Any]:
        """Records to publish, each with topic, key, value and the `now` of the login it follows from."""

    @property
    def forwards(self) -> Sequence[Any]:
        """Records that came under a wrong key, to be written once more under the right one."""

    @property
    def touched(self) -> Mapping[str, bytes]:
        """The packed state of every account whose changelog record must be written."""

    @property
    def counts(self) -> Mapping[tuple[str, ...], int]:
        """What happened how often."""

    @property
    def decisions(self) -> Sequence[Any]:
        """Incidents opened, with `now_ms` and `blocked`."""


class Engine(Protocol):
    """Decides; no I/O."""

    accounts: dict[int, dict[str, bytes]]

    def use_places(self, places: Any) -> None:
        """Another edition of the geo database, from the next record on."""

    def apply_table(self, topic: str, key: bytes | None, raw: bytes | None) -> None:
        """Take one record of a compacted table; raises Refused for one that is invalid."""

    def process(
        self,
        topic: str,
        partition: int,
        offset: int,
        now_ms: int,
        key: bytes | None,
        raw: bytes | None,
        headers: Any = (),
    ) -> None:
        """Take one input record."""

    def refuse(
        self,
        refusal: Refused,
        topic: str,
        partition: int,
        offset: int,
        now_ms: int,
        key: bytes | None,
        raw: bytes | None,
    ) -> None:
        """Write a dead letter for an input record."""

    def take(self) -> Batch:
        """What followed, once."""
