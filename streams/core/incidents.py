"""What is kept of an incident with its account, and its form in the tail of a packed state (`state.py`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from streams.core.addresses import Network
from streams.core.listed import Listed, network_from_json
from streams.core.values import Part


@dataclass(slots=True)
class Incident:
    """
    The incident of an episode as far as later revisions need it.

    `last_ms` is the episode's last instant; `listed` has the members in order, None = not put in order yet.
    """

    id: str
    opened_ms: int
    rule: str
    limit: int
    window: int
    mode: str
    policy: dict[str, Any]
    last_ms: int
    count: int = 0
    blocked_until_ms: int | None = None
    revision: int = 0
    ever: int = 0
    members: set[Network] = field(default_factory=set)
    listed: Listed | None = field(default=None, compare=False, repr=False)


def to_json(incident: Incident) -> dict[str, Any]:
    """An incident in the tail of a packed state."""
    if incident.listed is None:
        incident.listed = Listed(incident.members)
    value = {name: getattr(incident, name) for name in _PLAIN}
    value["members"] = orjson.Fragment(incident.listed.json())
    return value


_PLAIN = tuple(name for name in Incident.__dataclass_fields__ if name not in {"members", "listed"})


def from_json(value: Mapping[str, Any] | None) -> Incident | None:
    """The incident of such a tail, None if there is none."""
    if value is None:
        return None
    members = {network_from_json(item) for item in value["members"]}
    return Incident(**{name: value[name] for name in _PLAIN} | {"policy": Part(value["policy"])}, members=members)
