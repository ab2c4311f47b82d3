"""
Invented records for the read model: incidents with revisions and networks, blocks, reviews, rules. Seeded.

The records are those that a worker and a panel write; only the numbers are drawn. Benchmarks use it as tests do.
"""

import random
import uuid
from collections.abc import Iterator
from typing import Any

from streams.core.policy import EffectivePolicy

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
START_MS = 1_790_000_000_000
COUNTRIES = ("DE", "DE", "DE", "AT", "CH", "FR", "BR", "VN", "NG", "US", None)
SERVICES = ("imap", "smtp", "http", "pop3")
VERDICTS = ("compromised", "third_party", "travelling", "mobile", "other")
Record = dict[str, Any]


class Population:
    """Draws records. Accounts are spread over domains unevenly: the first domains have most."""

    def __init__(self, seed: int, *, domains: int = 10, accounts: int = 50, days: int = 30) -> None:
        self.random = random.Random(seed)
        self.domains = [f"d{number:04}.example" for number in range(domains)]
        self.groups = [f"reseller-{number % 5}/customer-{number}" for number in range(max(1, domains // 4))]
        self.accounts = [self._account(number) for number in range(accounts)]
        self.days = days

    def _account(self, number: int) -> str:
        domain = self.domains[int(len(self.domains) * self.random.random() ** 2)]
        return f"{self.random.choice(('anna', 'bert', 'info', 'x.y'))}{number}@{domain}"

    def group_of(self, number: int) -> str | None:
        """The group of the n-th domain; every fifth has none."""
        return None if number % 5 == 4 else self.groups[number % len(self.groups)]

    def network(self, at_ms: int, account: str = "") -> Record:
        """One network of an incident."""
        draw = self.random
        low = draw.randrange(256)
        v6 = draw.random() < 0.2
        address = f"2001:db8:{draw.randrange(4096):x}:{low:x}::7" if v6 else f"198.51.{draw.randrange(100, 120)}.{low}"
        network = f"{address.removesuffix('7')}/64" if v6 else f"{address}/32"
        country = draw.choice(COUNTRIES)
        first = at_ms - draw.randrange(20 * DAY_MS)
        return {
            "network": network,
            "country": country,
            "first": first,
            "last": at_ms,
            "address": address,
            "service": draw.choice(SERVICES),
            "logins": draw.randrange(1, 400),
            "days": draw.randrange(1, 20),
            "city": None if country is None else draw.choice(("Aachen", "Wien", "Recife", "Lagos")),
            "latitude": None if country is None else 50.0,
            "longitude": None if country is None else 6.0,
            "owner": draw.choice(("Example Telecom", "Example Hosting", None)),
        }

    def incident(self, *, account: str | None = None, opened_ms: int | None = None, revisions: int = 1) -> list[Record]:
        """The revisions of one incident."""
        draw = self.random
        account = account or draw.choice(self.accounts)
        opened = START_MS + draw.randrange(self.days * DAY_MS) if opened_ms is None else opened_ms
        incident = str(uuid.UUID(int=draw.getrandbits(128), version=4))
        rule = "countries" if draw.random() < 0.1 else "ips"
        mode = "observe" if draw.random() < 0.1 else "enforce"
        blocks = mode == "enforce" and draw.random() < 0.7
        limit = draw.randrange(1, 5)
        networks = [self.network(opened, account) for _ in range(limit + 1)]
        sent = int(draw.random() ** 4 * 2000)
        found = []
        for revision in range(1, revisions + 1):
            if revision > 1:
                networks = [*networks, self.network(opened + revision * 60_000, account)]
            count = limit + revision
            found.append(
                {
                    "id": incident,
                    "revision": revision,
                    "account": account,
                    "opened": opened,
                    "rule": rule,
                    "count": count,
                    "limit": limit,
                    "window": 60,
                    "blocked_until": opened + 24 * HOUR_MS if blocks else None,
                    "mode": mode,
                    "networks": networks,
                    "countries": [{"country": "DE", "logins": 5}],
                    "messages_24h": sent + revision,
                    "foreign_messages_24h": 0,
                    "foreign_senders": [],
                    "summary": f"{count} {'networks' if rule == 'ips' else rule} > {limit} allowed within 60 minutes",
                    "policy": EffectivePolicy(time_window=60, allowed_ips=limit).to_record(),
                    "revised": opened + (revision - 1) * 60_000,
                    "distinct_countries": len({network["country"] for network in networks} - {None}),
                    "ignored_logins": 0,
                    "networks_ever": len(networks),
                    "left_out": [],
                }
            )
        return found

    def block(self, incident: Record) -> Record:
        """The block that an incident causes."""
        return {
            "id": str(uuid.uuid5(uuid.UUID(incident["id"]), "block")),
            "account": incident["account"],
            "state": "blocked",
            "from": incident["opened"],
            "until": incident["blocked_until"],
            "reason": incident["summary"],
            "incident": incident["id"],
            "actor": "loginwatch",
            "except_networks": ["192.0.2.0/24"],
        }

    def lifted(self, block: Record, at_ms: int) -> Record:
        """The order that lifts a block."""
        return {**block, "state": "open", "until": at_ms, "reason": "the owner called", "actor": "help@example.org"}

    def block_by_hand(self, account: str, at_ms: int, minutes: int = 60) -> Record:
        """A block that a person ordered."""
        return {
            "id": str(uuid.UUID(int=self.random.getrandbits(128), version=4)),
            "account": account,
            "state": "blocked",
            "from": at_ms,
            "until": at_ms + minutes * 60_000,
            "reason": "strange mails",
            "incident": None,
            "actor": "help@example.org",
            "except_networks": [],
        }

    def review(self, incident: Record, verdict: str | None = None) -> Record:
        """What somebody found about an incident."""
        return {
            "id": str(uuid.UUID(int=self.random.getrandbits(128), version=4)),
            "incident": incident["id"],
            "account": incident["account"],
            "time": incident["revised"] + HOUR_MS,
            "verdict": verdict or self.random.choice(VERDICTS),
            "note": "asked the owner",
            "actor": "help@example.org",
        }

    def story(self, incidents: int) -> Iterator[tuple[str, str, Record | None]]:
        """
        Topic, key and record of everything that `incidents` incidents bring, in an order in which it may be read: each
        topic in its own order, topics mixed.
        """
        draw = self.random
        for number, domain in enumerate(self.domains):
            group = self.group_of(number)
            yield "domains", domain, {"domain": domain, "group": group}
            yield "policies", f"domain:{domain}", self.policy(f"domain:{domain}")
        opened = sorted(START_MS + draw.randrange(self.days * DAY_MS) for _ in range(incidents))
        for opened_ms in opened:
            revisions = self.incident(opened_ms=opened_ms, revisions=draw.randrange(1, 4))
            account = revisions[0]["account"]
            found = [("incidents", account, revision) for revision in revisions]
            if revisions[0]["blocked_until"] is not None:
                block = self.block(revisions[0])
                found.insert(draw.randrange(len(found) + 1), ("blocks", account, block))
                if draw.random() < 0.3:
                    found.append(("blocks", account, self.lifted(block, block["from"] + HOUR_MS)))
            if draw.random() < 0.1:
                found.append(("blocks", account, self.block_by_hand(account, revisions[0]["opened"] + 2 * HOUR_MS)))
            if draw.random() < 0.5:
                found.insert(draw.randrange(len(found) + 1), ("reviews", account, self.review(revisions[-1])))
            yield from found

    def policy(self, scope: str) -> Record:
        """A policy that sets little."""
        unset = dict.fromkeys(EffectivePolicy().to_record())
        del unset["origins"]
        return {
            **unset,
            "scope": scope,
            "time_window": 60,
            "allowed_ips": 3,
            "actor": "owner@example.org",
            "time": START_MS,
        }
