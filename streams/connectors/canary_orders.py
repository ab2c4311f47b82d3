"""What the canary orders of the worker, and asks it: one account, as the command line would."""

from contextlib import suppress
from time import time_ns
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from streams.bus.answers import Answers
from streams.bus.producer import Producer
from streams.connectors.canary_door import SetbackError
from streams.connectors.canary_rules import View
from streams.errors import DeliveryError
from streams.records.codec import Codec
from streams.settings import Settings
from streams.topology import COMMANDS

ACTOR = "canary"
CLOSE_S = 1.0


class Orders:
    """
    Commands about the canary's account, between `with` and its end.

    Opening raises BrokerUnavailableError or TopicError, sending DeliveryError or RegistryUnavailableError.
    """

    def __init__(self, settings: Settings, codec: Codec) -> None:
        self._account = settings.canary_account
        self._timeout_s = settings.canary_timeout
        self._codec = codec
        self._answers = Answers(settings, codec)
        self._producer = Producer(settings, delivery_timeout_ms=1000 * self._timeout_s, linger_ms=0)

    def __enter__(self) -> Self:
        try:
            self._answers.__enter__()
        except BaseException:  # then there will be no `__exit__`
            self._producer.close(0)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._answers.stop()
        with suppress(DeliveryError):
            self._producer.close(CLOSE_S)

    def ask(self) -> View:
        """What the worker holds of the account now. Raises SetbackError when none says so in time."""
        question = self._command("describe")
        view = self._answers.ask(question["id"], lambda: self._send(question), self._timeout_s)
        if view is None:
            if self._answers.last_error is not None:
                raise SetbackError("kafka", self._answers.last_error)
            raise SetbackError(
                "no_worker",
                f"no worker answered about {self._account} within {self._timeout_s} s: is one running, and not far behind?",
            )
        return view

    def reset(self) -> None:
        """Have the account's activity deleted and its block lifted; Kafka has the order, the worker may not."""
        self._send(self._command("reset"))

    def _command(self, action: str) -> dict[str, Any]:
        return {
            "time": time_ns() // 1_000_000,
            "id": str(uuid4()),
            "account": self._account,
            "action": action,
            "actor": ACTOR,
            "reason": "canary",
            "minutes": None,
            "forget": False,
        }

    def _send(self, command: dict[str, Any]) -> None:
        self._producer.send(COMMANDS.name, self._codec.encode(COMMANDS.record, command), key=self._account)
        self._producer.flush(self._timeout_s + CLOSE_S)
