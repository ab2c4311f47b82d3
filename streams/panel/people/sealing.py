"""
The secrets of second factors as they are stored: encrypted, so that who reads the database cannot make codes.

Decision: Fernet (AES-128-CBC with HMAC-SHA256) with keys from a setting that is no part of the database. The first key
encrypts, all decrypt. At start everything is brought to the first key, so a new key is put in front, and an old one taken out
after the next start. Without a key secrets are stored as they are, and the log says so.
"""

import structlog
from cryptography.fernet import Fernet, InvalidToken
from pydantic import SecretStr
from sqlalchemy import Connection

from streams.errors import ConfigurationError
from streams.panel.store import Store, people
from streams.panel.store.people import Person

LOG = structlog.get_logger(__name__)
SEALED = "fernet:"
"""What an encrypted secret begins with; base32 has no colon."""


class Sealer:
    """Encrypts and decrypts with the keys of a setting. Raises ConfigurationError for one that is none."""

    def __init__(self, keys: SecretStr) -> None:
        written = keys.get_secret_value().replace(",", " ").split()
        try:
            self._keys = [Fernet(key) for key in written]
        except ValueError as error:
            raise ConfigurationError(
                "setting panel_secret_keys: a key is not 32 bytes in URL-safe base64 (44 characters): make one with"
                " `head -c 32 /dev/urandom | basenc --base64url`"
            ) from error

    def seal(self, secret: str) -> str:
        """What is stored."""
        return SEALED + self._keys[0].encrypt(secret.encode()).decode() if self._keys else secret

    def unseal(self, stored: str | None) -> str | None:
        """The secret; None for none, and for one of another key."""
        if stored is None or not stored.startswith(SEALED):
            return stored
        for key in self._keys:
            try:
                return key.decrypt(stored.removeprefix(SEALED)).decode()
            except InvalidToken:
                continue
        return None

    def is_current(self, stored: str) -> bool:
        """Whether a secret is stored as `seal` would store it now."""
        if not self._keys or not stored.startswith(SEALED):
            return not self._keys and not stored.startswith(SEALED)
        try:
            self._keys[0].decrypt(stored.removeprefix(SEALED))
        except InvalidToken:
            return False
        return True


def reseal(store: Store, sealer: Sealer) -> None:
    """
    Store every second factor with the first key of now.

    Raises ConfigurationError when one cannot be read: its person could not sign in, and nobody would know why.
    """
    with store.reading() as connection:
        found = [person for person in people.everybody(connection) if person.totp_secret is not None]
    if all(sealer.is_current(person.totp_secret or "") for person in found):
        _warn(found)
        return
    with store.writing() as connection:
        for person in people.everybody(connection):
            _reseal_one(connection, sealer, person)


def _reseal_one(connection: Connection, sealer: Sealer, person: Person) -> None:
    if person.totp_secret is None or sealer.is_current(person.totp_secret):
        return
    secret = sealer.unseal(person.totp_secret)
    if secret is None:
        raise ConfigurationError(
            f"setting panel_secret_keys: none of its keys opens the second factor of {person.name}. Add the key that it was"
            f" stored with, behind the new one; if it is lost: `loginwatch panel reset-second-factor {person.name}`"
        )
    people.change(connection, person.id, totp_secret=sealer.seal(secret))


def _warn(found: list[Person]) -> None:
    if any(not (person.totp_secret or "").startswith(SEALED) for person in found):
        LOG.warning("second factors are stored unencrypted", people=len(found), advice="set panel_secret_keys")
