"""States that belong to another `logins` topic than the one that is there, on a real Kafka."""

import pytest

from streams.bus.murmur2 import partition_for
from streams.engine.accounts import PlainAccounts
from streams.errors import ConfigurationError
from streams.settings import Settings
from streams.topology import LOGINS
from streams.worker.changelog import States
from streams.worker.offsets import refuse_foreign_states
from tests.worker.harness import send
from tests.worker.stand_in import STATE, StandInForm

pytestmark = pytest.mark.kafka

ACCOUNT = "user@example.org"


def states(applied: int) -> States:
    accounts = PlainAccounts()
    accounts.put(ACCOUNT, STATE.pack(applied, -1, -1, 1, b""))
    return {partition_for(ACCOUNT.encode(), 4): accounts}


def test_states_of_a_topic_that_was_made_anew_are_refused(kafka_settings: Settings) -> None:
    """Else its logins would be skipped as repetitions; the sentence names both offsets and the way out."""
    send(kafka_settings, [(LOGINS.name, ACCOUNT.encode(), b"x")] * 3)

    with pytest.raises(ConfigurationError, match="ends at offset 3, but accounts have applied logins up to offset 3"):
        refuse_foreign_states(kafka_settings, states(3), StandInForm().newest_login)


def test_states_of_the_topic_that_is_there_are_taken(kafka_settings: Settings) -> None:
    """Also when everything was applied, or nothing is held."""
    send(kafka_settings, [(LOGINS.name, ACCOUNT.encode(), b"x")] * 3)

    refuse_foreign_states(kafka_settings, states(2), StandInForm().newest_login)
    refuse_foreign_states(kafka_settings, {0: PlainAccounts(), 1: PlainAccounts()}, StandInForm().newest_login)
