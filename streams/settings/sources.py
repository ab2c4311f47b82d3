"""Where the values of settings come from: files, secrets, environment, command line."""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo

from streams.errors import ConfigurationError
from streams.settings.fleet import Settings

ENVIRONMENT_PREFIX = "LOGINWATCH_"
ENVIRONMENT_ONLY = {"LOGINWATCH_CONFIG", "LOGINWATCH_SECRETS_DIR", "LOGINWATCH_CRASH_AT"}
URL_LISTS = ("_urls", "_webhooks")
"""How the names of settings end whose parts are URLs; a part that is none was to be one."""
URL = re.compile(
    r"(?P<scheme>https?://)(?:[^/?#]*@)?(?P<host>(?:\[[0-9a-f:.]+\]|[^@:/?#\[\]]+)(?::\d*)?)(?P<rest>(?:[/?#].*)?)",
    re.IGNORECASE | re.DOTALL,
)
HIDDEN = "(hidden)"


@dataclass(frozen=True)
class Origin:
    """A setting's value as text (secrets hidden) and where it came from."""

    name: str
    value: str
    origin: str


def load_settings(
    *,
    flags: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    config_file: str | None = None,
) -> Settings:
    """
    The settings in force.

    Raises ConfigurationError with the name, where it was set and what is wrong with it.
    """
    return load_with_origins(flags=flags, environment=environment, config_file=config_file)[0]


def load_with_origins(
    *,
    flags: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    config_file: str | None = None,
) -> tuple[Settings, list[Origin]]:
    """The settings in force, and for each where its value came from."""
    environment = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, source in _sources(flags or {}, environment, config_file):
        for name, value in source.items():
            values[name] = value
            origins[name] = origin
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise ConfigurationError(_sentence(error, origins)) from error
    shown = [
        Origin(name, _shown(name, getattr(settings, name)), origins.get(name, "default"))
        for name in Settings.model_fields
    ]
    return settings, shown


def _sources(
    flags: Mapping[str, str], environment: Mapping[str, str], config_file: str | None
) -> list[tuple[str, dict[str, Any]]]:
    """Every source, weakest first: what comes later overrides."""
    path = config_file or environment.get("LOGINWATCH_CONFIG")
    secrets = environment.get("LOGINWATCH_SECRETS_DIR")
    sources: list[tuple[str, dict[str, Any]]] = []
    if path:
        sources.append((f"file {path}", _from_toml(Path(path))))
    if secrets:
        sources.append((f"secrets {secrets}", _from_secrets(Path(secrets))))
    sources.append(("environment", _from_environment(environment)))
    sources.append(("command line", {name: _split(name, value) for name, value in flags.items()}))
    return sources


def _from_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"cannot read the settings file {path}: {error}") from error


def _from_secrets(directory: Path) -> dict[str, Any]:
    """One file per setting, named like the environment variable (as Docker and systemd hand out secrets)."""
    try:
        files = [file for file in directory.iterdir() if file.name.upper().startswith(ENVIRONMENT_PREFIX)]
        texts = {file.name.upper(): file.read_text(encoding="utf-8").rstrip("\r\n") for file in files if file.is_file()}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read the secrets directory {directory}: {error}") from error
    return _from_environment(texts)


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found = {}
    for variable, value in environment.items():
        if variable.startswith(ENVIRONMENT_PREFIX) and variable not in ENVIRONMENT_ONLY:
            name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
            found[name] = _split(name, value)
    return found


def _split(name: str, value: str) -> Any:
    """Lists are given as text with commas."""
    field: FieldInfo | None = Settings.model_fields.get(name)
    if field is not None and isinstance(field.default, tuple):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _shown(name: str, value: Any) -> str:
    """A value as text that may be seen by others: what is secret, or may be, is left out."""
    if isinstance(value, SecretStr):
        return "(set)" if value.get_secret_value() else ""
    if isinstance(value, tuple):
        urls = name.endswith(URL_LISTS)
        return ",".join(_only_host(part) if urls or "://" in part else part for part in map(str, value))
    return str(value).lower() if isinstance(value, bool) else _without_password(str(value))


def _only_host(text: str) -> str:
    """
    Which machine a URL names, and no more: the path of a webhook is often its password.

    >>> _only_host("https://bob:hunter2@hooks.example.org:8443/services/T0/XYZ?key=1")
    'https://hooks.example.org:8443/(hidden)'
    """
    found = URL.fullmatch(text)
    if found is None or "@" in found["rest"]:  # what stands before a slash in a password looks like a host
        return HIDDEN
    return f"{found['scheme']}{found['host']}" + (f"/{HIDDEN}" if found["rest"].strip("/") else "")


def _without_password(text: str) -> str:
    """
    A text, and if it is a URL, then without name and password.

    >>> _without_password("https://bob:hunter2@gateway.example.org/x")
    'https://(hidden)@gateway.example.org/x'
    """
    return re.sub(r"://.*@", f"://{HIDDEN}@", text, flags=re.DOTALL)


def _sentence(error: ValidationError, origins: Mapping[str, str]) -> str:
    sentences = []
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            sentences.append(
                f"there is no setting {name!r} (from {origins.get(name, 'unknown')}): see `loginwatch settings`"
            )
        elif name:
            sentences.append(f"setting {name} (from {origins.get(name, 'default')}): {_reason(problem['msg'])}")
        else:
            sentences.append(_reason(problem["msg"]))
    return "; ".join(sentences)


def _reason(message: str) -> str:
    return message.removeprefix("Value error, ")
