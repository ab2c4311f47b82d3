"""
What a running panel consists of, and the few questions that its parts ask of each other.

Decision: one object, made once by `serve` (tests make their own), reaches everything; nothing is made at import.
"""

import time
from collections.abc import Callable, Iterable, Sequence

from streams.bus.group_lag import GroupLag
from streams.core.addresses import Network
from streams.metrics import KAFKA_UP, PANEL_FOLLOWER_LAG, Metrics
from streams.panel.decisions import Decisions
from streams.panel.outbox import Outbox, Placed
from streams.panel.people.oidc import SingleSignOn
from streams.panel.people.passwords import Passwords
from streams.panel.people.sealing import Sealer, reseal
from streams.panel.people.sessions import Sessions
from streams.panel.rights import ROLE_NAMES, Reader, Role
from streams.panel.security import own_address
from streams.panel.store import Store, incidents, rules
from streams.panel.store.engine import StoreUnavailableError
from streams.panel.store.follower import Follower
from streams.panel.store.rules import PolicyRow
from streams.panel.store.spellings import Found, spellings
from streams.panel.store.visible import EVERYTHING
from streams.panel.streams import Streams
from streams.panel.templating import Templates
from streams.panel.turns import Turns
from streams.panel.words import Words
from streams.records import registry
from streams.records.codec import Codec
from streams.settings import Settings
from streams.topology import WORKER_INPUTS

READ_WITHIN_S = 2.0
REGISTRY_PATIENCE_S = 2.0


class Panel:
    """
    One panel: its database, its way to Kafka, its people and its templates.

    `start` begins to follow the topics, `close` ends everything. Raises ConfigurationError or StoreUnavailableError.
    """

    def __init__(
        self, settings: Settings, *, clock_ms: Callable[[], int] | None = None, passwords: Passwords | None = None
    ) -> None:
        self.settings = settings
        self.metrics = Metrics("panel")
        codec = Codec(registry.from_settings(settings, patience_s=REGISTRY_PATIENCE_S))
        self.store = Store(settings.panel_database.get_secret_value())
        self.follower = Follower(settings, codec, self.store, self.metrics)
        self.worker_lag = GroupLag(settings, settings.app, WORKER_INPUTS)
        """Of the workers: their group has the name of the app."""
        self.outbox = Outbox(settings, codec)
        self.book = rules.Book(settings.default_domain)
        self.sessions = Sessions(self.store, settings)
        self.sealer = Sealer(settings.panel_secret_keys)
        self.streams = Streams(settings.panel_streams, settings.panel_streams_each)
        self.passwords = passwords or Passwords()
        self.templates = Templates()
        self.single_sign_on = SingleSignOn(settings) if settings.panel_oidc_issuer else None
        self.attribution = settings.panel_attribution
        self.turns = Turns(self.store.engine, self.follower.wait_for)
        """Of changes of policies: each is compared with what its reader saw, and written, before the next."""
        self.now_ms = clock_ms or _now_ms
        """Milliseconds since the epoch."""
        self.metrics.on_scrape(PANEL_FOLLOWER_LAG, self.follower.lag)
        self.metrics.on_scrape(KAFKA_UP, lambda: self._kafka_problem() is None)

    def start(self) -> None:
        """Follow the topics from now on; returns at once. Raises ConfigurationError for keys that are not the database's."""
        reseal(self.store, self.sealer)
        self.follower.start()
        self.worker_lag.start()
        self.outbox.start()

    def close(self) -> None:
        """Let go of Kafka and the database."""
        self.outbox.close()
        self.follower.stop()
        self.worker_lag.stop()
        self.turns.close()
        self.store.close()

    def decisions(self, reader: Reader, words: Words) -> Decisions:
        """Decisions in somebody's name."""
        return Decisions(self, reader, words)

    def role_name(self, words: Words, role: str) -> str:
        """A role in the reader's language."""
        return words.gettext(ROLE_NAMES[Role(role)])

    @property
    def address(self) -> str:
        """The address of the panel as browsers see it, without a slash at its end."""
        return self.settings.panel_url.rstrip("/") or own_address(self.settings)

    # --- what decisions ask

    def group_of(self, domain: str) -> str | None:
        """The group of a canonical domain; None when it belongs to none."""
        with self.store.reading() as connection:
            return self.book.book(connection).groups.get(domain)

    def stored_policy(self, scope: str) -> PolicyRow | None:
        """What a canonical scope itself demands."""
        with self.store.reading() as connection:
            return rules.policy(connection, EVERYTHING, scope)

    def has_safe_network(self, scope: str, network: Network) -> bool:
        """Whether a network is marked safe for just this scope."""
        with self.store.reading() as connection:
            return rules.safe_network(connection, EVERYTHING, scope, str(network)) is not None

    def spellings(self, topic: str, keys: Iterable[str]) -> Found:
        """Under which other keys rules with these canonical keys lie on their topic."""
        with self.store.reading() as connection:
            return spellings(connection, topic, keys)

    def account_of_incident(self, incident: str) -> str | None:
        """Whose incident it is; None when there is none of that id."""
        with self.store.reading() as connection:
            found = incidents.one(connection, EVERYTHING, incident)
        return None if found is None else found.row.account

    def wait_until_read(self, placed: Sequence[Placed]) -> None:
        """Wait until the store has what was just written, so that the next page shows it; not longer than a person would."""
        self.follower.wait_for(placed, READ_WITHIN_S)

    # --- health

    def faults(self) -> list[str]:
        """What does not mend itself: a supervisor starts the panel again."""
        return [str(self.follower.failure)] if self.follower.failure is not None else []

    def troubles(self) -> list[str]:
        """Why pages should not be relied on now, a sentence each."""
        found = [self.follower.problem(), self.outbox.problem(), self._database_problem()]
        return [sentence for sentence in found if sentence]

    def _kafka_problem(self) -> str | None:
        return self.follower.last_error or self.outbox.problem()

    def _database_problem(self) -> str | None:
        try:
            with self.store.reading() as connection:
                connection.exec_driver_sql("SELECT 1")
        except StoreUnavailableError as error:
            return str(error)
        return None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
