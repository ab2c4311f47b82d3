"""
The subjects of the schema registry: made by `loginwatch topics create`, compared by `topics check` and `check`.

Decision: a subject is compatible in full and with all its versions (`FULL_TRANSITIVE`), since processes of several versions share the topics
while a fleet is renewed; it is the rule by which `evolution` judges our own files. All versions are registered, lower ones
first, so that the registry judges the next one too. What exists is left as it is: whoever set another rule had a reason,
and a sentence says what to do.
"""

from streams.records.registry import Registry
from streams.records.schemas import Schema, released

COMPATIBILITY = "FULL_TRANSITIVE"
UNSET = (None, "NONE")
"""How registries say that a subject has no rule: Confluent's has no answer, Apicurio says NONE."""


def ensure_subjects(registry: Registry) -> list[str]:
    """
    Register what is missing of our schemas, and set the rule of subjects that have none; returns the subjects changed.

    Raises ConfigurationError when the registry refuses a schema, RegistryUnavailableError when it does not answer.
    """
    return [registry.subject(versions[-1]) for versions in released().values() if _ensure(registry, versions)]


def check_subjects(registry: Registry) -> list[str]:
    """Every difference between the registry and what loginwatch needs, a sentence each. Raises as `ensure_subjects`."""
    return [problem for versions in released().values() for problem in _problems(registry, versions[-1])]


def _ensure(registry: Registry, versions: tuple[Schema, ...]) -> bool:
    missing = [schema for schema in versions if not registry.knows(schema)]
    for schema in missing:
        registry.schema_id(schema)
    unset = registry.compatibility(versions[-1]) in UNSET
    if unset:
        registry.set_compatibility(versions[-1], COMPATIBILITY)
    return bool(missing) or unset


def _problems(registry: Registry, schema: Schema) -> list[str]:
    subject = registry.subject(schema)
    if not registry.has_subject(schema):
        return [f"subject {subject} is missing at {registry.url}: run `loginwatch topics create`"]
    problems = []
    if not registry.knows(schema):
        problems.append(
            f"subject {subject} lacks {schema.record}.{schema.version}.avsc, which this version of loginwatch writes:"
            " run `loginwatch topics create`"
        )
    rule = registry.compatibility(schema)
    if rule in UNSET:
        problems.append(f"subject {subject} has no compatibility of its own: run `loginwatch topics create`")
    elif rule != COMPATIBILITY:
        problems.append(
            f"subject {subject} has compatibility {rule}, not {COMPATIBILITY}: set it with `curl -X PUT"
            f" -H 'Content-Type: application/json' -d '{{\"compatibility\": \"{COMPATIBILITY}\"}}' {registry.url}/config/{subject}`"
        )
    return problems
