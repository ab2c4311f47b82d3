"""Every text that the panel shows, as its sources have them."""

import io
from collections.abc import Iterator
from pathlib import Path

from babel.messages.extract import extract
from jinja2.ext import babel_extract

import streams.panel

ROOT = Path(streams.panel.__file__).parent
KEYWORDS = {"_": None, "gettext": None, "N_": None, "ngettext": (1, 2), "NN_": (1, 2)}
Message = str | tuple[str, ...]


def extracted() -> Iterator[tuple[str, Message]]:
    """Where a text stands, and the text, or both forms of one for a number."""
    for path in sorted(ROOT.rglob("*.py")):
        yield from _found(path, extract("python", io.BytesIO(path.read_bytes()), KEYWORDS))
    for path in sorted((ROOT / "templates").rglob("*.html")):
        options = {"trimmed": "false", "silent": "false", "extensions": "jinja2.ext.do"}
        yield from _found(path, babel_extract(io.BytesIO(path.read_bytes()), ("_", "ngettext"), (), options))


def _found(path: Path, messages: Iterator[tuple[object, ...]]) -> Iterator[tuple[str, Message]]:
    for line, *rest in messages:
        message = rest[0] if not isinstance(rest[0], str) or path.suffix == ".py" else rest[1]
        if isinstance(message, tuple):
            kept = tuple(part for part in message if part)
            message = kept if len(kept) > 1 else kept[0]
        if message:
            yield f"{path.relative_to(ROOT)}:{line}", message  # type: ignore[misc]
