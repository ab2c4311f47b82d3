"""What the model knows of one account: every login as read, its last block, its incidents, its cut-offs."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.model.messages import Messages
from tests.model.tables import Policy
from tests.model.values import KEPT_MS, Network, Seen, by_version_and_number

MOST_NETWORKS = 64
MOST_FAMILIAR = 8
DAYS_TOLD_APART = 31


@dataclass
class Incident:
    """An incident, and what is fixed at its revision 1."""

    id: str
    opened: int
    rule: str
    limit: int
    window: int
    mode: str
    policy: Policy
    blocked_until: int | None = None
    revision: int = 0
    count: int = 0
    last_instant: int = 0
    """The greatest exceeding instant found in a judged login's presence."""
    members: set[Network] = field(default_factory=set)
    """The kept networks that took part."""
    ever: int = 0
    """How many networks were ever added; one that was let go and returns is new."""

    def add(self, networks: Iterable[Network]) -> bool:
        """Add networks; is a revision due? For every new network up to 64, then each time the number doubles."""
        added = set(networks) - self.members
        before, after = self.ever, self.ever + len(added)
        self.members |= added
        self.ever = after
        doubled = (after // MOST_NETWORKS).bit_length() > (before // MOST_NETWORKS).bit_length()
        return bool(added) and (before < MOST_NETWORKS or doubled)


@dataclass
class Block:
    """A block. `until` stays as it was written; `lifted` says when an unblock or a reset ended it."""

    id: str
    begins: int
    until: int
    incident: Incident | None
    except_networks: list[Network]
    lifted: int | None = None
    closed: bool = False
    """A reset came after it: its incident takes no further networks in."""

    @property
    def end(self) -> int:
        """Until when logins do not count: its end, or the moment it was lifted."""
        return self.until if self.lifted is None else self.lifted

    def made_during(self, time: int) -> bool:
        """Was a login of this judged time made during the block? Both ends belong to it."""
        return self.begins <= time <= self.end

    def runs(self, now_ms: int) -> bool:
        """Is the account blocked now?"""
        return self.lifted is None and now_ms <= self.until


@dataclass
class Activity:
    """What is listed of one kept network, recounted from its logins."""

    network: Network
    logins: list[Seen]

    @property
    def first(self) -> int:
        """Its earliest login."""
        return min(login.time for login in self.logins)

    @property
    def last(self) -> Seen:
        """Its latest login; of those at the same time the one read first."""
        return min(self.logins, key=lambda login: (-login.time, login.number))

    @property
    def days(self) -> list[int]:
        """The different UTC days of its logins not made during a block. A day too far back cannot be told apart."""
        days: list[int] = []
        for login in self.logins:
            told_apart = not days or max(days) - login.day <= DAYS_TOLD_APART
            if not login.in_block and login.day not in days and told_apart:
                days.append(login.day)
        return days

    @property
    def record(self) -> dict[str, Any]:
        """The record IncidentNetwork, without what a geo database adds to the country."""
        last = self.last
        return {
            "network": str(self.network),
            "country": last.country,
            "first": self.first,
            "last": last.time,
            "address": str(last.address),
            "service": last.service,
            "logins": len(self.logins),
            "days": len(self.days),
        }


@dataclass
class Account:
    """One account."""

    name: str
    listed: list[Seen] = field(default_factory=list)
    """Every listed login of the kept networks, in the order read."""
    newest: int | None = None
    """The greatest judged time, at most its `now`, of the listed logins."""
    ignored: int = 0
    counting: tuple[int, int, int] | None = None
    """Window and prefixes at the last successful login read."""
    counting_from: int = 0
    """Logins read before this one are no evidence: counting restarted."""
    cutoff: int | None = None
    """Logins up to here never count: the last reset or unblock, or the end of a block before the last one."""
    block: Block | None = None
    past_blocks: list[tuple[int, int]] = field(default_factory=list)
    """From when until when it was blocked before the last block."""
    episode: Incident | None = None
    messages: Messages = field(init=False)
    last_command: str | None = None
    read: int = 0

    def __post_init__(self) -> None:
        """Nothing sent yet."""
        self.messages = Messages(self.name)

    def networks(self) -> dict[Network, Activity]:
        """The kept networks, sorted by version and number."""
        kept: dict[Network, Activity] = {}
        for login in self.listed:
            kept.setdefault(login.network, Activity(login.network, [])).logins.append(login)
        return dict(sorted(kept.items(), key=lambda item: by_version_and_number(item[0])))

    def made_during_a_block(self, time: int) -> bool:
        """Was a login of this judged time made during any block?"""
        last = self.block is not None and self.block.made_during(time)
        return last or any(begins <= time <= end for begins, end in self.past_blocks)

    def is_known(self, network: Network, time: int) -> bool:
        """Is a login of this network and judged time among those that counted since counting restarted, or its last one?"""
        logins = [one for one in self.listed if one.network == network]
        counted = [one.time for one in logins if one.counted and one.number >= self.counting_from]
        return time in counted or time == max((one.time for one in logins), default=None)

    def cut(self, time: int) -> bool:
        """Is this judged time not later than a cut-off, or the end of the last block?"""
        return self.cut_before_block(time) or (self.block is not None and time <= self.block.end)

    def cut_before_block(self, time: int) -> bool:
        """Would this judged time not count even if the last block had not been?"""
        return self.cutoff is not None and time <= self.cutoff

    def cut_at(self, time: int) -> None:
        """Logins up to this time never count again."""
        self.cutoff = time if self.cutoff is None else max(self.cutoff, time)

    def evidence(self) -> list[Seen]:
        """The counted logins that still count, whatever their networks."""
        return [
            login
            for login in self.listed
            if login.counted and login.number >= self.counting_from and not self.cut(login.time)
        ]

    def incidents(self) -> list[Incident]:
        """The incidents to which networks may still be added."""
        of_block = self.block.incident if self.block and not self.block.closed else None
        return [incident for incident in (self.episode, of_block) if incident is not None]

    def let_go(self, networks: Iterable[Network]) -> None:
        """Forget networks with all their logins; earlier revisions of incidents keep what they said."""
        gone = set(networks)
        self.listed = [login for login in self.listed if login.network not in gone]
        for incident in self.incidents():
            incident.members -= gone

    def let_go_of_old(self) -> None:
        """A network is let go 30 days after its own last login, measured at the account's next login."""
        assert self.newest is not None
        kept = self.networks().values()
        self.let_go([activity.network for activity in kept if activity.last.time + KEPT_MS <= self.newest])

    def let_go_of_many(self, policy: Policy, lateness_ms: int) -> None:
        """
        Over 64 networks, the eight with the most different days (at least two) stay.

        Of the others go first those without counted presence, then those with the oldest last login.
        """
        assert self.newest is not None
        kept = self.networks()
        if len(kept) <= MOST_NETWORKS:
            return
        horizon = self.newest - lateness_ms
        window_ms = policy.time_window * 60_000
        present = {login.network for login in self.evidence() if login.time + window_ms > horizon}
        familiar = sorted(
            (activity for activity in kept.values() if len(activity.days) >= 2),
            key=lambda one: (-len(one.days), -one.last.time, by_version_and_number(one.network)),
        )[:MOST_FAMILIAR]
        stay = {activity.network for activity in familiar}
        others = sorted(
            (activity for activity in kept.values() if activity.network not in stay),
            key=lambda one: (one.network in present, one.last.time, by_version_and_number(one.network)),
        )
        self.let_go(activity.network for activity in others[: len(kept) - MOST_NETWORKS])
