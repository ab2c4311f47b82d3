"""
Do the states of the changelog belong to the topic `logins` as it is now?

A state carries the offset of the last login it has applied, and logins up to that offset are skipped as repetitions. If
the topic was deleted and made anew, its offsets begin at 0 again, and every login would be skipped in silence until they
have caught up. So the worker does not start when an account has applied more than the topic has.
"""

from collections.abc import Callable

from confluent_kafka import KafkaException, TopicPartition

from streams.bus.clients import Heard, new_consumer, unavailable
from streams.bus.partitions import bulk_config
from streams.engine.accounts import Accounts
from streams.errors import ConfigurationError
from streams.settings import Settings
from streams.topology import LOGINS
from streams.worker.changelog import States

ASK_S = 10.0


def refuse_foreign_states(settings: Settings, states: States, newest_login: Callable[[Accounts], int]) -> None:
    """
    Raises ConfigurationError when some account has applied logins that the topic does not have (yet).

    Raises BrokerUnavailableError when Kafka does not answer.
    """
    consumer = new_consumer(bulk_config(settings, f"{settings.app}-recovery", Heard()))
    try:
        for partition, accounts in states.items():
            applied = newest_login(accounts)
            if applied >= 0:
                _, end = consumer.get_watermark_offsets(TopicPartition(LOGINS.name, partition), timeout=ASK_S)
                if applied >= end:
                    raise ConfigurationError(_sentence(settings, partition, end, applied))
    except KafkaException as error:
        raise unavailable(settings, error) from error
    finally:
        consumer.close()


def _sentence(settings: Settings, partition: int, end: int, applied: int) -> str:
    return (
        f"topic {LOGINS.name} [{partition}] ends at offset {end}, but accounts have applied logins up to offset {applied}:"
        " the topic was deleted and made anew, or has lost records, and its logins would be taken for repetitions."
        f" If that is so, start with another `app` than {settings.app!r} (accounts then begin without history),"
        " or delete and make its changelog anew"
    )
