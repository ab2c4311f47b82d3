"""Panels for the tests of pages: one that only reads, one on the embedded broker with a worker."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.bus.embedded import EmbeddedBroker
from tests.cli.small_worker import SmallWorker
from tests.panel.pages.house import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A panel with an empty store, that follows nothing; its clock stands still."""
    with House(tmp_path) as made:
        yield made


@pytest.fixture
def live_house(embedded: EmbeddedBroker, tmp_path: Path) -> Iterator[House]:
    """A panel that follows the embedded broker and decides on it, by the real clock; no worker runs."""
    with House(tmp_path, embedded.settings, clock_ms=None) as made:
        made.panel.start()
        assert made.panel.follower.caught_up.wait(30)
        yield made


@pytest.fixture
def worked_house(live_house: House, embedded: EmbeddedBroker) -> Iterator[House]:
    """The same with a worker that judges and answers."""
    with SmallWorker(embedded.settings):
        yield live_house
