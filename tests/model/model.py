"""
The brute-force reference model of detection.

It keeps every login of every account as read, and recounts from the beginning at each login. It is slow and plain on
purpose: its only merit is to say the same as the text. What it writes: see `Model.read`.
"""

from collections.abc import Callable

from tests.model.account import Account, Block, Incident
from tests.model.judge import Instant, exceeding_instants, is_within
from tests.model.records import Record, block_record, incident_record, notification_record
from tests.model.tables import Policy, Tables, inside_any
from tests.model.values import (
    MINUTE_MS,
    SKEW_MS,
    Network,
    Seen,
    Wrong,
    canonical_account,
    canonical_address,
    derived_id,
    network_of,
)

Output = tuple[str, Record]
TABLE_TOPICS = {"policies", "safe-networks", "domains"}


class Model:
    """Reads records in order and says what the worker would write for each."""

    def __init__(self, lateness_ms: int, default_domain: str, country: Callable[[str], str | None]) -> None:
        self.lateness_ms = lateness_ms
        self.default_domain = default_domain
        self.country = country
        self.tables = Tables()
        self.accounts: dict[str, Account] = {}

    def read(self, topic: str, now_ms: int, value: Record | None, key: str | None = None) -> list[Output]:
        """
        One record of an input topic, at its `now`; what is written because of it, in order.

        Incidents, blocks and notifications without the words made for people; dead letters with a reason only.
        """
        try:
            if topic in TABLE_TOPICS:
                self.tables.read(topic, value, key)
                return []
            account = self._account(value)
            read = {"logins": self._login, "submissions": self._submission, "account-commands": self._command}[topic]
            return read(account, value or {}, now_ms)
        except Wrong as error:
            return [("dead-letters", {"reason": str(error)})]

    def _account(self, value: Record | None) -> Account:
        if value is None:
            raise Wrong("no value")
        name = canonical_account(value.get("account"), self.default_domain)
        return self.accounts.setdefault(name, Account(name))

    # --- submissions and commands

    def _submission(self, account: Account, value: Record, now_ms: int) -> list[Output]:
        if value["accepted"]:
            account.messages.read(value, judged_time(value["time"], now_ms), now_ms)
        return []

    def _command(self, account: Account, value: Record, now_ms: int) -> list[Output]:
        action, minutes = value["action"], value.get("minutes")
        if action not in {"reset", "block", "unblock", "describe"}:
            raise Wrong("no such action")
        if action == "describe" or value["id"] == account.last_command:
            return []
        if action == "block" and minutes is not None and not 1 <= minutes <= 43_200:
            raise Wrong("minutes out of bounds")
        account.last_command = value["id"]
        if action == "block":
            return self._block_by_hand(account, value, now_ms)
        if action == "unblock":
            return self._unblock(account, value, now_ms)
        return self._reset(account, value, now_ms)

    def _block_by_hand(self, account: Account, value: Record, now_ms: int) -> list[Output]:
        policy = self.tables.policy(account.name)
        minutes = value.get("minutes") or policy.block_time or 43_200
        block = Block(derived_id("block", value["id"]), now_ms, now_ms + minutes * MINUTE_MS, None, [])
        _replace_block(account, block, now_ms)
        return [("blocks", block_record(account, block, "blocked", value["actor"]))]

    def _unblock(self, account: Account, value: Record, now_ms: int) -> list[Output]:
        if account.block is None or not account.block.runs(now_ms):
            return []
        account.episode = None
        account.cut_at(now_ms)
        return _lift(account, value, now_ms)

    def _reset(self, account: Account, value: Record, now_ms: int) -> list[Output]:
        account.listed = []
        account.newest = None
        account.ignored = 0
        account.episode = None
        account.cut_at(now_ms)
        if account.block is None:
            return []
        blocked = account.block.runs(now_ms)
        outputs = _lift(account, value, now_ms) if blocked else []
        account.block.closed = True
        return outputs

    # --- logins

    def _login(self, account: Account, value: Record, now_ms: int) -> list[Output]:
        address = canonical_address(value.get("ip"))
        if not value["success"]:
            return []
        policy = self.tables.policy(account.name)
        _restart_if_counting_changed(account, policy)
        country = self.country(str(address))
        if country in policy.ignored_countries:
            account.ignored += 1
            return []
        time = judged_time(value["time"], now_ms)
        late = account.newest is not None and time < account.newest - self.lateness_ms
        safe = self.tables.safe_cidrs(account.name, now_ms)
        may_count = not late and not inside_any(address, safe) and policy.time_window > 0
        login = Seen(
            number=account.read,
            time=time,
            address=address,
            network=network_of(address, policy.ipv4_prefix, policy.ipv6_prefix),
            country=country,
            service=value.get("service") or "other",
            counted=may_count and not account.cut(time),
            in_block=account.made_during_a_block(time),
        )
        known = account.is_known(login.network, time)
        within = is_within(account, login, policy)
        self._list(account, login, policy, now_ms)
        if login not in account.listed or not may_count:
            return []
        if login.counted:
            return [] if within else self._judge(account, login, policy, safe, value, now_ms)
        return [] if known else self._add_during_block(account, login, now_ms)

    def _list(self, account: Account, login: Seen, policy: Policy, now_ms: int) -> None:
        """Letting go comes before judging: a login whose own network was let go is not judged."""
        account.read += 1
        newest = min(login.time, now_ms)
        if account.newest is None or not account.is_known(login.network, login.time):
            account.newest = newest if account.newest is None else max(account.newest, newest)
        account.let_go_of_old()
        account.listed.append(login)
        account.let_go_of_many(policy, self.lateness_ms)

    def _judge(
        self, account: Account, login: Seen, policy: Policy, safe: list[Network], value: Record, now_ms: int
    ) -> list[Output]:
        exceeding = exceeding_instants(account, login, policy, safe)
        if not exceeding:
            return []
        incident = account.episode
        if incident is None or _must_close(incident, policy, account.name) or not _belongs(exceeding, incident, policy):
            return self._open(account, login, policy, exceeding, value, now_ms)
        incident.last_instant = max(incident.last_instant, exceeding[-1].time)
        incident.count = max(incident.count, *(instant.count(incident.rule) for instant in exceeding))
        if not incident.add(_present(exceeding)):
            return []
        return [("incidents", self._revise(account, incident, now_ms))]

    def _open(
        self, account: Account, login: Seen, policy: Policy, exceeding: list[Instant], value: Record, now_ms: int
    ) -> list[Output]:
        opened = exceeding[0]
        rule = opened.rule_exceeded(policy)
        assert rule is not None
        incident = Incident(
            id=derived_id(account.name, rule, *_login_name(login, value)),
            opened=opened.time,
            rule=rule,
            limit=policy.allowed_ips if rule == "ips" else policy.allowed_countries,
            window=policy.time_window,
            mode=policy.mode,
            policy=policy,
            count=max(instant.count(rule) for instant in exceeding),
            last_instant=exceeding[-1].time,
        )
        incident.add(_present(exceeding))
        account.episode = incident
        block = self._block(account, incident, policy, now_ms)
        outputs = [("incidents", self._revise(account, incident, now_ms))]
        if block is not None:
            outputs.append(("blocks", block_record(account, block, "blocked", "loginwatch")))
        if policy.can_mail(account.name):
            outputs.append(("notifications", notification_record(account, incident, policy)))
        return outputs

    def _block(self, account: Account, incident: Incident, policy: Policy, now_ms: int) -> Block | None:
        if not policy.can_block:
            return None
        begins = max(now_ms, incident.opened)
        until = begins + policy.block_time * MINUTE_MS
        open_ones = _familiar(account, incident, policy)
        block = Block(derived_id("block", incident.id), begins, until, incident, open_ones)
        incident.blocked_until = until
        _replace_block(account, block, now_ms)
        return block

    def _add_during_block(self, account: Account, login: Seen, now_ms: int) -> list[Output]:
        """A login that would count but for the block adds its network without changing `count`."""
        block = account.block
        if block is None or block.incident is None or block.lifted is not None or block.closed:
            return []
        if not block.made_during(login.time) or account.cut_before_block(login.time):
            return []
        if inside_any(login.address, block.except_networks) or not block.incident.add([login.network]):
            return []
        return [("incidents", self._revise(account, block.incident, now_ms))]

    def _revise(self, account: Account, incident: Incident, now_ms: int) -> Record:
        """The next revision."""
        incident.revision += 1
        return incident_record(account, incident, now_ms)


def judged_time(time: int, now_ms: int) -> int:
    """A time more than 5 minutes after `now` is judged at `now`."""
    return now_ms if time > now_ms + SKEW_MS else time


def _restart_if_counting_changed(account: Account, policy: Policy) -> None:
    """When the window or a prefix changes, counting restarts with the login read next; an open episode ends."""
    if account.counting is not None and account.counting != policy.counting:
        account.counting_from = account.read
        account.episode = None
    account.counting = policy.counting


def _must_close(incident: Incident, policy: Policy, account: str) -> bool:
    """Would the policy of now block or mail where the incident's own could not?"""
    own = incident.policy
    more_blocks = policy.can_block and not own.can_block
    more_mails = policy.can_mail(account) and not own.can_mail(account)
    return more_blocks or more_mails


def _belongs(exceeding: list[Instant], incident: Incident, policy: Policy) -> bool:
    """Less than one window after the episode's last instant, or before it; exactly one window later is a new one."""
    window_ms = policy.time_window * MINUTE_MS
    return any(instant.time < incident.last_instant + window_ms for instant in exceeding)


def _present(exceeding: list[Instant]) -> set[Network]:
    """All that are present at the instants at which the policy is exceeded."""
    return set().union(*(instant.networks for instant in exceeding))


def _login_name(login: Seen, value: Record) -> list[object]:
    """What an incident's id says of the login whose reading opened it."""
    return [value["id"]] if value.get("id") else [login.time, str(login.address), login.service]


def _familiar(account: Account, incident: Incident, policy: Policy) -> list[Network]:
    """The kept networks that were used on enough different days before that of `opened`."""
    if not policy.familiar_days:
        return []
    opened = incident.opened // (24 * 60 * MINUTE_MS)
    return [
        network
        for network, activity in account.networks().items()
        if sum(day < opened for day in activity.days) >= policy.familiar_days
    ]


def _replace_block(account: Account, block: Block, now_ms: int) -> None:
    """The new block is the last one; the end of one that is over stays a cut-off. A block ends the episode."""
    last = account.block
    if last is not None and (last.lifted is not None or block.incident is not None or last.until < now_ms):
        account.cut_at(last.end)
    if last is not None:
        account.past_blocks.append((last.begins, min(last.end, block.begins)))
    account.block = block
    account.episode = None


def _lift(account: Account, value: Record, now_ms: int) -> list[Output]:
    block = account.block
    assert block is not None
    block.lifted = now_ms
    record = block_record(account, block, "open", value["actor"])
    return [("blocks", {**record, "until": now_ms, "except_networks": []})]
