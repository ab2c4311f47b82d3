"""
The schema registry, for the Confluent wire format: ids to writers' schemas, our schemas to ids.

Decision: a subject is the full name of its record, `loginwatch.Login` (Confluent's RecordNameStrategy), because a codec
knows records and not topics; whoever reads by id does not care. What was once learned stays cached, so a registry that is
away only matters for ids not yet met. It is asked again with growing pauses for `patience_s`; after that the caller gets
RegistryUnavailableError and decides. An id that a reachable registry does not know makes its record a bad one.
"""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential, wait_random

from streams.errors import BadRecordError, ConfigurationError, RegistryUnavailableError
from streams.records import reasons
from streams.records.foreign import parse_foreign
from streams.records.schemas import NAMESPACE, Schema
from streams.settings import Settings

NOT_FOUND_CODES = frozenset({40401, 40402, 40403, 40408})
"""
The registry's own words for: no such subject, version, schema, no compatibility of the subject's own. A 404 without one of
them is some other server's.
"""
REFUSED_STATUSES = frozenset({409, 422})
"""Incompatible with the subject's earlier versions, or no schema in the registry's eyes."""
TIMEOUT_S = 5
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5
UNKNOWN_FOR_S = 60
"""An unknown id is asked for again after this long: registries have copies that lag behind."""
LARGEST_ID = (1 << 31) - 1
"""A registry's ids are Java's integers. Asked for another one it answers as a server that is no registry does."""
UNKNOWN_IDS = 10_000
"""How many unknown ids are remembered, so that a stream of garbage costs one question for each."""

Answer = TypeVar("Answer")


class Registry:
    """One registry and what it has told so far. Safe to share between threads."""

    def __init__(self, url: str, *, username: str = "", password: str = "", patience_s: float = 0) -> None:
        self.url = url
        self._client, self._error = connect(url, username, password)
        self._retrying = Retrying(
            retry=retry_if_exception_type(RegistryUnavailableError),
            stop=stop_after_delay(patience_s),
            wait=wait_exponential(multiplier=FIRST_PAUSE_S, max=LONGEST_PAUSE_S) + wait_random(0, FIRST_PAUSE_S),
            reraise=True,
        )
        self._writers: dict[int, Any] = {}
        self._unknown: dict[int, float] = {}
        self._ids: dict[bytes, int] = {}

    def writer_schema(self, schema_id: int) -> Any:
        """
        The schema with this id, parsed for fastavro.

        Raises BadRecordError when nobody knows the id or its schema is no Avro, RegistryUnavailableError when the
        registry does not answer.
        """
        if schema_id not in self._writers:
            self._writers[schema_id] = self._learn(schema_id)
        found = self._writers[schema_id]
        if found is None:
            raise BadRecordError(
                reasons.SCHEMA_MISMATCH, f"Schema id {schema_id} of {self.url} is no Avro schema by itself"
            )
        return found

    def schema_id(self, schema: Schema) -> int:
        """
        The registry's id of one of our schemas, which is registered if it is not yet.

        Raises ConfigurationError when the registry refuses it, RegistryUnavailableError when it does not answer.
        """
        if not self.knows(schema):
            self._ids[schema.header] = self._register(self.subject(schema), self._avro(schema.text))
        return self._ids[schema.header]

    def knows(self, schema: Schema) -> bool:
        """Whether one of our schemas is registered; its id is remembered. Raises RegistryUnavailableError."""
        if schema.header not in self._ids:
            wanted = self._avro(schema.text)
            known = self._ask(lambda: self._client.lookup_schema(self.subject(schema), wanted).schema_id)
            if known is None:
                return False
            self._ids[schema.header] = known
        return True

    def has_subject(self, schema: Schema) -> bool:
        """Whether any schema is registered under the name of this one's record. Raises RegistryUnavailableError."""
        return self._ask(lambda: self._client.get_versions(self.subject(schema))) is not None

    def compatibility(self, schema: Schema) -> str | None:
        """The rule for new versions of this record; None where the subject has none of its own. Raises as `has_subject`."""
        return self._ask(lambda: str(self._client.get_compatibility(self.subject(schema))))

    def set_compatibility(self, schema: Schema, level: str) -> None:
        """Set that rule. Raises ConfigurationError when the registry refuses it, RegistryUnavailableError."""
        if self._ask(lambda: self._client.set_compatibility(self.subject(schema), level)) is None:
            raise ConfigurationError(
                f"{self.url} does not let the compatibility of {self.subject(schema)} be set: set it to {level} by hand"
            )

    def close(self) -> None:
        """Close its connections; it can be asked again."""
        self._client.close()

    @staticmethod
    def subject(schema: Schema) -> str:
        """The name under which a record's versions are registered."""
        return f"{NAMESPACE}.{schema.record}"

    def _learn(self, schema_id: int) -> Any:
        if schema_id > LARGEST_ID or time.monotonic() < self._unknown.get(schema_id, 0):
            raise self._unknown_id(schema_id)
        schema = self._ask(lambda: self._client.get_schema(schema_id))
        if schema is None:
            if len(self._unknown) >= UNKNOWN_IDS:
                self._unknown.clear()
            self._unknown[schema_id] = time.monotonic() + UNKNOWN_FOR_S
            raise self._unknown_id(schema_id)
        return parse_foreign(schema)

    def _register(self, subject: str, wanted: Any) -> int:
        answer = self._ask(lambda: int(self._client.register_schema(subject, wanted)))
        if answer is None:
            raise ConfigurationError(
                f"{self.url} does not let subject {subject} be written: register its schema by hand"
            )
        return answer

    def _unknown_id(self, schema_id: int) -> BadRecordError:
        return BadRecordError(reasons.UNKNOWN_SCHEMA, f"Schema id {schema_id} is not known at {self.url}")

    def _avro(self, text: str) -> Any:
        from confluent_kafka.schema_registry import Schema as Registered  # noqa: PLC0415 - see connect

        return Registered(text, "AVRO")

    def _ask(self, question: Callable[[], Answer]) -> Answer | None:
        """The registry's answer, None when it does not know what it was asked for; with retries when it is away."""
        return self._retrying(self._ask_once, question)

    def _ask_once(self, question: Callable[[], Answer]) -> Answer | None:
        try:
            return question()
        except self._error as error:
            if error.http_status_code == 404 and error.error_code in NOT_FOUND_CODES:
                return None
            if error.http_status_code in REFUSED_STATUSES:
                raise ConfigurationError(f"The schema registry {self.url} refuses our schema: {error}") from error
            raise RegistryUnavailableError(
                f"The schema registry {self.url} answers {error}: check schema_registry_url and its user"
            ) from error
        except Exception as error:  # the client's HTTP library, and so its errors, differ between its versions
            raise RegistryUnavailableError(
                f"The schema registry {self.url} does not answer ({type(error).__name__}: {error}): "
                "check schema_registry_url and the network"
            ) from error


def from_settings(settings: Settings, *, patience_s: float = 10) -> Registry | None:
    """The registry of the settings; None when there is none. It is not asked for anything yet."""
    if not settings.schema_registry_url:
        return None
    return Registry(
        settings.schema_registry_url,
        username=settings.schema_registry_username,
        password=settings.schema_registry_password.get_secret_value(),
        patience_s=patience_s,
    )


def connect(url: str, username: str, password: str) -> tuple[Any, Any]:
    """A client for the registry, and the class of its errors. Its import takes half a second, and few need it."""
    from confluent_kafka.schema_registry import SchemaRegistryClient, SchemaRegistryError  # noqa: PLC0415

    config: dict[str, Any] = {"url": url, "timeout": TIMEOUT_S, "max.retries": 0}
    if username:
        config["basic.auth.user.info"] = f"{username}:{password}"
    try:
        return SchemaRegistryClient(config), SchemaRegistryError
    except ValueError as error:
        raise ConfigurationError(f"schema_registry_url: {error}") from error
