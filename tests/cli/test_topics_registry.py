"""`loginwatch topics` and `check` where a schema registry is configured."""

from streams.cli.store import Store
from tests.cli.conftest import Loginwatch
from tests.records.registry_stand_in import RegistryStandIn


def test_subjects_are_made_checked_and_written_with(on_kafka: Loginwatch, store: Store) -> None:
    """`create` registers them, `topics check` and `check` compare them, and the next command writes the Confluent form."""
    with RegistryStandIn() as registry:
        env = {"schema_registry_url": registry.url}
        missing = on_kafka("topics", "check", env=env)
        created = on_kafka("topics", "create", "--json", env=env).json
        checked = on_kafka("topics", "check", env=env)
        registry.rules["loginwatch.Login"] = "BACKWARD"
        differing = on_kafka("check", "worker", "--json", env=env).json
        on_kafka("domain", "set", "example.org", "--group", "reseller-a", env=env)

    assert missing.code == 78
    assert "subject loginwatch.Login is missing" in missing.out
    assert "loginwatch.Incident" in created["registered"]
    assert checked.code == 0
    assert [row["sentence"].split(",")[0] for row in differing if row["subject"] == "registry"] == [
        "subject loginwatch.Login has compatibility BACKWARD"
    ]
    assert [(record.value or b"?")[:1] for record in store.history("domains")] == [b"\0"]
