"""The worker's geo database is replaced while it runs."""

from pathlib import Path

from streams.bus.embedded import EmbeddedBroker
from streams.settings import Settings
from tests.eventually import eventually
from tests.test_geo import replace, write
from tests.worker.harness import DEPLOYED, WorkerProcess, everything, send, until_done
from tests.worker.records import CODEC, login, policy

HOME, AWAY = "192.0.2.1", "198.51.100.1"
OLD = {"192.0.2.0/24": {"country_code": "DE"}, "198.51.100.0/24": {"country_code": "DE"}}
NEW = {"192.0.2.0/24": {"country_code": "DE"}, "198.51.100.0/24": {"country_code": "IT"}}


def incidents(settings: Settings) -> list[dict[str, object]]:
    return [CODEC.decode("Incident", seen.value or b"") for seen in everything(settings, "incidents")]


def test_a_new_edition_of_the_geo_database_is_taken_without_a_restart(embedded: EmbeddedBroker, tmp_path: Path) -> None:
    """Logins after it have the country of the new file: what was one country before is an incident now."""
    settings = embedded.settings
    file = write(tmp_path / "city.mmdb", OLD)
    send(settings, [policy(allowed_ips=None, allowed_countries=1)])
    with WorkerProcess(settings, "one", command=DEPLOYED, geo_databases=(str(file),)) as worker:
        send(settings, [login("before@example.org", ip) for ip in (HOME, AWAY)])
        until_done(settings, worker)
        assert incidents(settings) == []

        replace(file, NEW)
        eventually(lambda: "geo database reloaded" in worker.log, 30, what="the worker has the new file")
        send(settings, [login("after@example.org", ip) for ip in (HOME, AWAY)])
        until_done(settings, worker)
        assert worker.terminate() == 0

    [incident] = incidents(settings)
    assert (incident["account"], incident["rule"]) == ("after@example.org", "countries")
    assert {network["address"]: network["country"] for network in incident["networks"]} == {HOME: "DE", AWAY: "IT"}  # type: ignore[attr-defined]
