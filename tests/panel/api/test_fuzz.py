"""Whatever a program sends: no call fails, and every answer is as its description says."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from streams.bus.embedded import EmbeddedBroker
from streams.panel.api import API, OPENAPI, PREFIX
from streams.panel.panel import Panel
from streams.panel.rights import Role
from streams.settings import Settings
from tests.cli.small_worker import SmallWorker
from tests.kafka_broker import PARTITIONS
from tests.panel.api.callers import token
from tests.panel.store.feeding import fill
from tests.panel.store.population import Population
from tests.panel.visitors import Clock, Site, quick_passwords

EXAMPLES = 24
OPERATIONS = [(method, path.replace(":path", "")) for calls in API for method, path in calls.rights]
CHECKED = ("response_schema_conformance", "status_code_conformance", "content_type_conformance")
AWAY = 503


class Described:
    """The API of a running panel as its own description says it, and a token for everything."""

    def __init__(self, site: Site) -> None:
        self.schema = schemathesis.openapi.from_asgi(OPENAPI, site.app)
        self.headers = {"Authorization": f"Bearer {token(site, Role.OWNER, 'everything')}"}
        load_all_checks()
        self.checks = [CHECKS.get_one(name) for name in CHECKED]

    def cases(self, method: str, path: str) -> st.SearchStrategy[Any]:
        """Calls of one operation: such as its description allows, and others."""
        operation = self.schema[PREFIX + path][method]
        allowed: st.SearchStrategy[Any] = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
        if not (operation.query or operation.body or operation.path_parameters):
            return allowed
        return allowed | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Described]:
    """A panel with some incidents, on a broker, with a worker that answers."""
    folder: Path = tmp_path_factory.mktemp("fuzz")
    with EmbeddedBroker(Settings(partitions=PARTITIONS)) as broker:
        given_settings = {"panel_database": SecretStr(str(folder / "panel.sqlite")), "panel_hosts": ("testserver",)}
        panel = Panel(broker.settings.model_copy(update=given_settings), passwords=quick_passwords())
        fill(panel.store, Population(5, domains=3, accounts=4).story(20))
        panel.start()
        assert panel.follower.caught_up.wait(30)
        with SmallWorker(broker.settings):
            yield Described(Site(panel, Clock()))
        panel.close()


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_no_call_fails_and_every_answer_is_as_described(described: Described, method: str, path: str) -> None:
    """Values of every shape that the description allows, and bodies beyond it; a worker that is slow counts as away."""

    answered: set[int] = set()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=described.cases(method, path))
    def call(case: Any) -> None:
        response = case.call(headers=described.headers)
        assert response.status_code < 500 or response.status_code == AWAY, response.text
        answered.add(response.status_code)
        case.validate_response(response, checks=described.checks, headers=described.headers)

    call()
    assert answered - {401}, "the token was never taken"
