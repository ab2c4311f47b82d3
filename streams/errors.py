"""
The error tree: what can go wrong, and what the operator does about it.

Every text says what happened, on what, and what to do. Foreign errors are turned into these at one border each.
`exit_code` is the code with which the command ends when the error reaches its outermost loop.
"""

from streams.core.refusal import Refused


class LoginwatchError(Exception):
    """Anything that loginwatch itself reports."""

    exit_code = 1


class ConfigurationError(LoginwatchError):
    """A setting is missing, malformed or contradicts another: correct it and start again."""

    exit_code = 2


class ListenError(LoginwatchError):
    """An address cannot be listened on now: something else does, or this machine does not have it yet. Start again."""

    exit_code = 69


class FileChangingError(LoginwatchError):
    """A file was written while it was read, and half a file must not be used. Start again."""

    exit_code = 69


class UsageError(LoginwatchError):
    """What was typed or sent cannot be carried out: the sentence says which part and why."""

    exit_code = 2


class BadRecordError(Refused, LoginwatchError):
    """Bytes from outside that are no record: they go to `dead-letters` with `reason` and the sentence."""


class BrokerUnavailableError(LoginwatchError):
    """Kafka does not answer: check `bootstrap_servers`, the network and the broker's listeners."""

    exit_code = 69


class DeliveryError(LoginwatchError):
    """Kafka refused or did not acknowledge a record: the process must stop rather than commit past it."""

    exit_code = 70


class TopicError(LoginwatchError):
    """A topic is missing or differs from what `streams/topology.py` demands: run `loginwatch topics create`."""

    exit_code = 78


class RegistryUnavailableError(LoginwatchError):
    """The schema registry does not answer; records whose schema is cached go on, others wait."""

    exit_code = 69


class StalledError(LoginwatchError):
    """The worker's watchdog saw no progress: the supervisor restarts the process."""

    exit_code = 70


class NotFoundError(LoginwatchError):
    """What was asked for does not exist (account, incident, safe network)."""

    exit_code = 4
