"""A panel for the tests of pages: the real app over a real store, filled by the real reading of records."""

from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Self

import httpx
from pydantic import SecretStr
from starlette.testclient import TestClient

from streams.panel.app import make_app
from streams.panel.gate import csrf_of
from streams.panel.panel import Panel
from streams.panel.store import people
from streams.panel.store.progress import numbers
from streams.settings import Settings
from tests.panel.pages.records import NOW_MS
from tests.panel.store.feeding import Told, fill

INLINE = ("a", "abbr", "bdi", "code", "q", "strong", "time", "wbr")


class House:
    """A panel and whoever visits it. Nobody follows Kafka: records come by `tell`."""

    def __init__(self, folder: Path, settings: Settings | None = None, *, clock_ms: int | None = NOW_MS) -> None:
        given = settings or Settings(bootstrap_servers="127.0.0.1:1")
        database = SecretStr(str(folder / "panel.sqlite"))
        clock = None if clock_ms is None else lambda: clock_ms
        self.panel = Panel(given.model_copy(update={"panel_database": database}), clock_ms=clock)
        self._told = 0
        self._app = make_app(self.panel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.panel.close()

    def tell(self, told: Iterable[Told]) -> None:
        """Records as the follower reads them: topic, key, value."""
        some = list(told)
        fill(self.panel.store, some, first_offset=self._told)
        self._told += len(some)
        with self.panel.store.reading() as connection:
            self.panel.store.changes.publish(numbers(connection))

    def visitor(self, role: str = "owner", *scopes: str, language: str = "en") -> "Visitor":
        """Somebody of this role and these scopes, signed in."""
        name = f"{role}-{'-'.join(scopes) or 'everything'}-{language}".lower()
        now_ms = self.panel.now_ms()
        with self.panel.store.writing() as connection:
            person = people.by_name(connection, name)
            number = (
                people.create(
                    connection, name=name, role=role, scopes=scopes or ("everything",), now_ms=now_ms, locale=language
                )
                if person is None
                else person.id
            )
            number = number if isinstance(number, int) else number.id
            token = self.panel.sessions.begin(connection, number, "", now_ms, address="127.0.0.1", agent="test")
        return Visitor(self._app, token, name)


class Visitor:
    """A browser without a script."""

    def __init__(self, app: Any, token: str, name: str) -> None:
        self.name = name
        self.csrf = csrf_of(token)
        self.client = TestClient(
            app, base_url="http://localhost:8080", cookies={"loginwatch": token}, follow_redirects=False
        )

    def get(self, path: str) -> "Answer":
        """A page."""
        return Answer(self.client.get(path))

    def post(self, path: str, files: Any = None, **fields: Any) -> "Answer":
        """A form with its token."""
        return Answer(self.client.post(path, data={"csrf": self.csrf, **fields}, files=files))


class Answer:
    """What a visitor got: `text` as a person reads it, white space folded, `html` as it was sent."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.headers = response.headers
        self.html = response.text
        reading = _Reading()
        reading.feed(self.html)
        self.text = " ".join("".join(reading.words).split())
        self.links = reading.links
        self.fields = reading.fields
        self.labels = reading.labels
        self.rows = [" ".join("".join(row).split()) for row in reading.rows]

    @property
    def leads_to(self) -> str:
        """Where a redirect sends the visitor."""
        return self.headers.get("location", "")

    def beside(self, field: str) -> str:
        """The sentence that stands beside a field; empty for none."""
        return self.labels.get(f"e-{field}", "")


class _Reading(HTMLParser):
    """Words, links, the values of fields, and the rows of tables."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.links: list[str] = []
        self.fields: dict[str, list[str]] = {}
        self.labels: dict[str, str] = {}
        self.rows: list[list[str]] = []
        self._silent = 0
        self._row: list[str] | None = None
        self._id: str | None = None
        self._area: str | None = None
        self._select: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._part(tag)
        given = {name: value or "" for name, value in attrs}
        if tag in ("script", "style", "title"):
            self._silent += 1
        if tag == "a":
            self.links.append(given.get("href", ""))
        if tag == "tr":
            self._row = []
        if tag == "p" and given.get("id", "").startswith("e-"):
            self._id = given["id"]
            self.labels[self._id] = ""
        self._field(tag, given)

    def _field(self, tag: str, given: dict[str, str]) -> None:
        if tag == "input" and (given.get("type") not in ("checkbox", "radio") or "checked" in given):
            self.fields.setdefault(given.get("name", ""), []).append(given.get("value", ""))
        if tag == "textarea":
            self._area = given.get("name", "")
            self.fields[self._area] = [""]
        if tag == "select":
            self._select = given.get("name", "")
        if tag == "option" and "selected" in given and self._select is not None:
            self.fields[self._select] = [given.get("value", "")]

    def _part(self, tag: str) -> None:
        """Words of one line may be in several elements; those of different blocks stay apart."""
        if tag not in INLINE and self._area is None:
            self.handle_data(" ")

    def handle_endtag(self, tag: str) -> None:
        self._part(tag)
        if tag in ("script", "style", "title"):
            self._silent -= 1
        if tag == "tr" and self._row is not None:
            self.rows.append(self._row)
            self._row = None
        if tag == "p":
            self._id = None
        if tag == "textarea":
            self._area = None
        if tag == "select":
            self._select = None

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        if self._area is not None:
            self.fields[self._area][0] += data
            return
        self.words.append(data)
        if self._row is not None:
            self._row.append(data)
        if self._id is not None:
            self.labels[self._id] += data.strip()
