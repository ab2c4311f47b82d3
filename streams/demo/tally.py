"""
What happened in the demo, set against the truth: who was taken over, caught, refused, and how fast the door closed.

Pure bookkeeping; it is told what happens and answers with figures.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from streams.simulator.door import Outcome
from streams.simulator.simulation import Event
from streams.simulator.thieves import Takeover


@dataclass
class Raid:
    """One takeover as the demo sees it."""

    takeover: Takeover
    came_in: int = 0
    """Logins with which the thief got in."""
    refused: int = 0
    incident: dict[str, Any] | None = None
    closed_ms: int | None = None
    """When the door was seen to refuse the account."""

    @property
    def begun(self) -> bool:
        """Did the thief log in at all?"""
        return self.came_in + self.refused > 0

    @property
    def over(self) -> bool:
        """Was the thief caught and then refused?"""
        return self.incident is not None and self.refused > 0

    @property
    def closing_ms(self) -> int | None:
        """Milliseconds from the login that was one too many to the closed door."""
        if self.incident is None or self.closed_ms is None:
            return None
        return max(0, self.closed_ms - int(self.incident["revised"]))


@dataclass
class Tally:
    """Everything that is counted."""

    raids: dict[str, Raid] = field(default_factory=dict)
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    incidents: dict[str, dict[str, Any]] = field(default_factory=dict)
    blocked: set[str] = field(default_factory=set)
    mails: int = 0
    owners_refused: int = 0
    """Logins of owners refused while their own account was blocked because of a thief."""

    @staticmethod
    def of(takeovers: Sequence[Takeover]) -> "Tally":
        """An empty tally for these takeovers."""
        return Tally({takeover.account: Raid(takeover) for takeover in takeovers})

    def login(self, event: Event, outcome: Outcome) -> None:
        """Somebody tried to log in."""
        self.outcomes[outcome] += 1
        raid = self.raids.get(event.value["account"])
        if raid is None:
            return
        if event.takeover is None:
            self.owners_refused += outcome is Outcome.REFUSED
        else:
            raid.came_in += outcome is Outcome.IN
            raid.refused += outcome is Outcome.REFUSED
            if raid.incident is None and outcome is Outcome.REFUSED:
                raid.incident = self._incident_of(raid.takeover.account)

    def incident(self, record: dict[str, Any]) -> bool:
        """An Incident was written; True if it is a new one, False for a further revision."""
        if record["id"] in self.incidents:
            return False
        self.incidents[record["id"]] = record
        raid = self.raids.get(record["account"])
        if raid is not None and raid.begun and raid.incident is None:
            raid.incident = record
        return True

    def block(self, record: dict[str, Any]) -> None:
        """A Block was written."""
        if record["state"] == "blocked":
            self.blocked.add(record["account"])

    def has_incident(self, account: str) -> bool:
        """Was an incident of this account heard of?"""
        return self._incident_of(account) is not None

    def _incident_of(self, account: str) -> dict[str, Any] | None:
        return next((record for record in self.incidents.values() if record["account"] == account), None)

    @property
    def begun(self) -> list[Raid]:
        """The takeovers that have begun."""
        return [raid for raid in self.raids.values() if raid.begun]

    @property
    def honest_blocked(self) -> list[str]:
        """Accounts that were blocked although nobody took them over."""
        return sorted(account for account in self.blocked if account not in self.raids or not self.raids[account].begun)

    @property
    def all_over(self) -> bool:
        """Has every thief come, been caught and been refused?"""
        return bool(self.raids) and all(raid.over for raid in self.raids.values())

    def closing_times(self) -> list[int]:
        """From login to closed door, in milliseconds, shortest first."""
        return sorted(raid.closing_ms for raid in self.raids.values() if raid.closing_ms is not None)


def middle_and_tail(times: Sequence[int]) -> tuple[float, int] | None:
    """Median and 99th percentile (nearest rank) of sorted times; None of none."""
    if not times:
        return None
    return median(times), times[-(-len(times) * 99 // 100) - 1]
