"""Subjects of the schema registry: made, compared; against the stand-in, and against a real registry where one can run."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from streams.records.codec import Codec
from streams.records.registry import Registry
from streams.records.schemas import latest, released, version
from streams.records.subjects import COMPATIBILITY, check_subjects, ensure_subjects
from tests.eventually import eventually
from tests.ports import Port
from tests.records.registry_stand_in import RegistryStandIn
from tests.records.values import LOGIN

RUN = Path(__file__).parents[2] / "deploy" / "registry" / "run"


@pytest.fixture
def stand_in() -> Iterator[RegistryStandIn]:
    with RegistryStandIn() as stand_in:
        yield stand_in


def require_registry() -> None:
    """Skip where it cannot run; it needs a newer Java than Kafka does."""
    if shutil.which("mvn") is None or subprocess.run([RUN, "--java"], capture_output=True, check=False).returncode:
        pytest.skip("a real registry needs Maven and Java 21 (deploy/registry/README.md)")


@pytest.fixture(scope="module")
def real_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a registry that holds nothing yet."""
    require_registry()
    port = Port()
    url = f"http://127.0.0.1:{port.number}/apis/ccompat/v7"
    path = tmp_path_factory.mktemp("registry") / "log"
    with path.open("wb") as log:
        command = [str(RUN), "--port", str(port.number)]
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def answers() -> bool:
        assert process.poll() is None, path.read_text(errors="replace")[-3000:]
        try:
            return httpx.get(f"{url}/subjects", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    try:
        eventually(answers, 150, what="the registry answers")
        yield url
    finally:
        os.killpg(process.pid, 9)
        process.wait()
        port.release()


def test_all_versions_are_registered_with_the_rule_of_our_own_evolution(stand_in: RegistryStandIn) -> None:
    """Lower versions first, under the names of the records; a second time there is nothing to do."""
    registry = Registry(stand_in.url)

    assert sorted(ensure_subjects(registry)) == sorted(f"loginwatch.{record}" for record in released())
    assert ensure_subjects(Registry(stand_in.url)) == []
    assert check_subjects(Registry(stand_in.url)) == []
    assert {subject: len(ids) for subject, ids in stand_in.subjects.items()} == {
        f"loginwatch.{record}": len(versions) for record, versions in released().items()
    }
    assert set(stand_in.rules.values()) == {COMPATIBILITY}


def test_every_difference_is_told_with_what_to_do(stand_in: RegistryStandIn) -> None:
    """A subject that is missing, one without our schema, one with another rule or none; and what exists is left."""
    ensure_subjects(Registry(stand_in.url))
    stand_in.subjects["loginwatch.Incident"] = stand_in.subjects["loginwatch.Incident"][:1]
    stand_in.rules["loginwatch.Login"] = "BACKWARD"
    del stand_in.subjects["loginwatch.Review"], stand_in.rules["loginwatch.Block"]

    problems = check_subjects(Registry(stand_in.url))

    assert [problem.split(": ")[0].replace(stand_in.url, "URL") for problem in problems] == [
        "subject loginwatch.Block has no compatibility of its own",
        "subject loginwatch.Incident lacks Incident.2.avsc, which this version of loginwatch writes",
        "subject loginwatch.Login has compatibility BACKWARD, not FULL_TRANSITIVE",
        "subject loginwatch.Review is missing at URL",
    ]
    assert all("run `loginwatch topics create`" in problem or "curl -X PUT" in problem for problem in problems)
    assert ensure_subjects(Registry(stand_in.url)) == ["loginwatch.Block", "loginwatch.Incident", "loginwatch.Review"]
    assert [problem.split(",")[0] for problem in check_subjects(Registry(stand_in.url))] == [
        "subject loginwatch.Login has compatibility BACKWARD"
    ]


@pytest.mark.kafka
@pytest.mark.timeout(300)
def test_a_real_registry_takes_our_schemas_and_gives_them_back(real_registry: str) -> None:
    """Registered, compared, written in the Confluent form and read by another process; a breaking schema is refused."""
    first, other = Registry(real_registry), Registry(real_registry)
    with closing(first), closing(other):
        missing = check_subjects(first)
        assert f"subject loginwatch.Login is missing at {real_registry}: run `loginwatch topics create`" in missing

        assert len(ensure_subjects(first)) == len(released())

        assert check_subjects(other) == []
        assert ensure_subjects(other) == []
        raw = Codec(first).encode("Login", LOGIN)
        assert raw[0] == 0
        assert Codec(other).decode("Login", raw) == LOGIN
        assert first.schema_id(latest("Incident")) != first.schema_id(version("Incident", 1))
        breaking = latest("Login").text.replace('"name": "ip"', '"name": "address"')
        url = f"{real_registry}/subjects/loginwatch.Login/versions"
        assert httpx.post(url, json={"schema": breaking}, timeout=30).status_code == 409
        httpx.put(f"{real_registry}/config/loginwatch.Login", json={"compatibility": "BACKWARD"}, timeout=30)
        [problem] = check_subjects(other)
    assert problem.startswith("subject loginwatch.Login has compatibility BACKWARD, not FULL_TRANSITIVE: set it with")
