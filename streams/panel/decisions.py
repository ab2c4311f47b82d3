"""
What people decide, as records on the topics.

Decision: this is the only place of the panel that writes to topics, and every method demands the right and the scope
itself, whatever its caller has checked. A decision is done when Kafka has acknowledged it; then the read model is waited
for, so that the next page shows it. Values are judged by the core's own parsers; a Refused leaves before anything is
written.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal
from uuid import uuid4

from streams.core.accounts import canonical_account, canonical_domain, canonical_group, parse_scope
from streams.core.addresses import parse_network
from streams.core.book import parse_safe_network, safe_key
from streams.core.policy import FIELDS, LONGEST_MINUTES, RESET, parse_policy
from streams.core.refusal import Refused
from streams.engine.tables import in_place_of
from streams.metrics import PANEL_DECISIONS
from streams.panel.outbox import Placed
from streams.panel.problems import Conflict, DecisionError, Forbidden, NotFound
from streams.panel.rights import Reader, Right
from streams.panel.words import Words

if TYPE_CHECKING:
    from streams.panel.panel import Panel

ANSWERED_WITHIN_S = 2.0
VERDICTS = ("compromised", "third_party", "travelling", "mobile", "other")
LONGEST_NOTE = 2000
LONGEST_REASON = 500
Row = dict[str, Any]
WHATEVER: Final = "whatever"
Seen = int | None | Literal["whatever"]
"""The time of the policy that a reader saw, in ms; None = saw none; WHATEVER = means whatever is stored."""


class Decisions:
    """
    Decisions in one reader's name.

    Every method raises NotFound for what lies outside the reader's scopes, Forbidden for a missing right, Refused for a
    value that cannot be used, and DecisionError when Kafka did not take the record.
    """

    def __init__(self, panel: "Panel", reader: Reader, words: Words) -> None:
        self._panel = panel
        self._reader = reader
        self._words = words

    def set_policy(self, scope: str, fields: Mapping[str, Any], seen: Seen) -> None:
        """
        Let a scope demand these fields and no others (None or absent = inherits).

        Raises Conflict when another one than the reader saw is stored by now.
        """
        canonical, policy = parse_policy({**{name: fields.get(name) for name in FIELDS}, "scope": scope}, self._default)
        self._change_policy(canonical, policy.to_record(), seen)

    def inherit(self, scope: str, seen: Seen) -> None:
        """Superior level settings: let every field of a scope inherit. Raises Conflict as `set_policy` does."""
        self._change_policy(parse_scope(scope, self._default), {}, seen)

    def reset_policy(self, scope: str, seen: Seen) -> None:
        """Reset: switch everything off in a scope, whatever is set above it. Raises Conflict as `set_policy` does."""
        self._change_policy(parse_scope(scope, self._default), RESET.to_record(), seen)

    def add_safe(self, scope: str, network: str, description: str, expires_ms: int | None) -> None:
        """Trust a network for a scope until `expires_ms`; again = with this description and expiry."""
        given = {"scope": scope, "network": network, "description": description, "expires": expires_ms}
        trusted = parse_safe_network(given, self._default)
        self._demand(trusted.scope, _right_of_safe(trusted.scope))
        now_ms = self._panel.now_ms()
        if expires_ms is not None and expires_ms <= now_ms:
            raise Refused("bad-expiry", "the expiry is over already")
        record = {
            "scope": trusted.scope,
            "network": str(trusted.network),
            "description": trusted.description,
            "actor": self._reader.name,
            "time": now_ms,
            "expires": expires_ms,
        }
        self._write_rules("safe-networks", (trusted.key, record))

    def remove_safe(self, scope: str, network: str) -> None:
        """Trust a network no longer. Raises NotFound when it is not trusted."""
        canonical, parsed = parse_scope(scope, self._default), parse_network(network)
        self._demand(canonical, _right_of_safe(canonical))
        if not self._panel.has_safe_network(canonical, parsed):
            raise NotFound(self._words.gettext("This network is not marked safe there."))
        self._write_rules("safe-networks", (safe_key(canonical, parsed), None))

    def block(self, account: str, minutes: int | None, reason: str) -> None:
        """Deny an account all logins for so many minutes (None = its policy's block time, else the longest)."""
        if minutes is not None and not 1 <= minutes <= LONGEST_MINUTES:
            raise Refused(
                "bad-minutes", f"minutes is {minutes}, but must be a whole number from 1 to {LONGEST_MINUTES}"
            )
        self._order(account, "block", reason, minutes)

    def unblock(self, account: str, reason: str) -> None:
        """Let an account in again."""
        self._order(account, "unblock", reason)

    def reset(self, account: str, reason: str) -> None:
        """Delete an account's activity, lift its block, and count from now."""
        self._order(account, "reset", reason)

    def describe(self, account: str) -> Row | None:
        """What a worker holds of an account, as an AccountView; None when none answered in time."""
        name = canonical_account(account, self._default)
        self._demand(f"account:{name}", Right.READ)
        command = self._command(name, "describe", None, None)
        return self._panel.outbox.ask(name, command, ANSWERED_WITHIN_S)

    def review(self, incident: str, verdict: str, note: str) -> None:
        """Say what an incident turned out to be. Raises NotFound for an incident that the reader cannot see."""
        account = self._panel.account_of_incident(incident)
        if account is None:
            raise NotFound(self._words.gettext("There is nothing here, or it is not in your scope."))
        self._demand(f"account:{account}", Right.REVIEW)
        if verdict not in VERDICTS:
            raise Refused("bad-verdict", f"verdict must be one of {', '.join(VERDICTS)}")
        record = {
            "id": str(uuid4()),
            "incident": incident,
            "account": account,
            "time": self._panel.now_ms(),
            "verdict": verdict,
            "note": _bounded(note, LONGEST_NOTE),
            "actor": self._reader.name,
        }
        self._write("reviews", (account, record))

    def set_group(self, domain: str, group: str | None) -> None:
        """Put a domain under a group, or (None) under none. The reader needs the domain and both groups."""
        self.set_groups([(domain, group)])

    def set_groups(self, pairs: Sequence[tuple[str, str | None]]) -> None:
        """The same for many domains at once, all or (before anything is written) none."""
        records = []
        for domain, group in pairs:
            name = canonical_domain(domain)
            path = canonical_group(group.removeprefix("group:")) if group else None
            self._demand_move(name, path)
            records.append((name, None if path is None else {"domain": name, "group": path}))
        if records:
            self._write_rules("domains", *records)

    @property
    def _default(self) -> str:
        return self._panel.settings.default_domain

    def _demand(self, scope: str, right: Right) -> None:
        if not self._reader.covers(scope, self._panel.group_of):
            raise NotFound(self._words.gettext("There is nothing here, or it is not in your scope."))
        if not self._reader.may(right):
            raise Forbidden(self._words.gettext("Your role does not allow this."))

    def _demand_move(self, domain: str, group: str | None) -> None:
        """
        From and to groups of one's own: who has a domain alone cannot take it from those who have its group.

        A domain that no group has yet belongs to nobody below `everything`, or anybody could take it.
        """
        self._demand(f"domain:{domain}", Right.CHANGE_DOMAINS)
        current = self._panel.group_of(domain)
        if current and current != group:
            self._demand(f"group:{current}", Right.CHANGE_DOMAINS)
        if group is not None:
            self._demand(f"group:{group}", Right.CHANGE_DOMAINS)
        elif not self._reader.sees_everything:
            raise Forbidden(
                self._words.gettext("Only somebody who sees everything can take a domain out of its group.")
            )

    def _change_policy(self, scope: str, fields: Mapping[str, Any], seen: Seen) -> None:
        self._demand(scope, Right.CHANGE_RULES)
        with self._panel.turns.take() as turn:
            if turn is None:
                raise DecisionError(
                    self._words.gettext("Another change of a policy is not finished yet. Try again in a moment.")
                )
            self._unchanged(scope, seen)
            turn.written = self._write_policy(scope, fields)

    def _unchanged(self, scope: str, seen: Seen) -> None:
        stored = self._panel.stored_policy(scope)
        if seen in (WHATEVER, None if stored is None else stored.time_ms):
            return
        if stored is None:
            raise Conflict(self._words.gettext("Somebody has removed this policy since you opened it."), None, None)
        sentence = self._words.gettext("Somebody has changed this policy since you opened it.")
        raise Conflict(sentence, stored.actor, stored.time_ms)

    def _write_policy(self, scope: str, fields: Mapping[str, Any]) -> Sequence[Placed]:
        sets_any = any(value is not None for value in fields.values())
        whole = {name: fields.get(name) for name in FIELDS}
        record = {"scope": scope, **whole, "actor": self._reader.name, "time": self._panel.now_ms()}
        return self._write_rules("policies", (scope, record if sets_any else None))

    def _order(self, account: str, action: str, reason: str, minutes: int | None = None) -> None:
        name = canonical_account(account, self._default)
        self._demand(f"account:{name}", Right.ORDER)
        command = self._command(name, action, _bounded(reason, LONGEST_REASON), minutes)
        self._write("account-commands", (name, command))

    def _command(self, account: str, action: str, reason: str | None, minutes: int | None) -> Row:
        return {
            "time": self._panel.now_ms(),
            "id": str(uuid4()),
            "account": account,
            "action": action,
            "actor": self._reader.name,
            "reason": reason or None,
            "minutes": minutes,
        }

    def _write_rules(self, topic: str, *records: tuple[str, Row | None]) -> Sequence[Placed]:
        """Write rules under their canonical keys, in place of what other tools wrote of them under others."""
        others = self._panel.spellings(topic, (key for key, _ in records))
        return self._write(
            topic, *(each for key, row in records for each in in_place_of(others.get(key, ()), key, row))
        )

    def _write(self, topic: str, *records: tuple[str, Row | None]) -> Sequence[Placed]:
        """Write, and wait until pages show it."""
        count = self._panel.metrics.of
        try:
            placed = self._panel.outbox.write(topic, self._reader.name, *records)
        except DecisionError:
            count(PANEL_DECISIONS, topic=topic, outcome="failed").inc(len(records))
            raise
        count(PANEL_DECISIONS, topic=topic, outcome="done").inc(len(records))
        self._panel.wait_until_read(placed)
        return placed


def _right_of_safe(scope: str) -> Right:
    return Right.MARK_SAFE if scope.startswith("account:") else Right.CHANGE_RULES


def _bounded(text: str, longest: int) -> str:
    trimmed = text.strip()
    if len(trimmed) > longest:
        raise Refused("too-long", f"the text is too long: at most {longest} characters")
    return trimmed
