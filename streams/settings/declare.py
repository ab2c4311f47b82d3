"""How one setting is declared, and what all groups of settings have in common."""

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Some = TypeVar("Some", bound="Group")


class Group(BaseModel):
    """The settings of one process, or of one thing that several share. Unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def setting(default: Any, help_text: str, *, unit: str = "", **limits: Any) -> Any:
    """Declare one setting: its default, what it does, and the unit of its value."""
    return Field(default=default, description=help_text, json_schema_extra={"unit": unit} if unit else None, **limits)


def key_needs_certificate(settings: Some, name: str) -> Some:
    """Raises ValueError when `<name>_key_file` is set and `<name>_cert_file` is not."""
    if getattr(settings, f"{name}_key_file") and not getattr(settings, f"{name}_cert_file"):
        raise ValueError(f"{name}_key_file is set without {name}_cert_file: without a certificate it is not used")
    return settings
