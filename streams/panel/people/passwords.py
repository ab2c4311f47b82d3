"""
Passwords: Argon2id (RFC 9106), and what a new one must be.

Decision: a name that nobody has costs the same time as a wrong password, so that nobody learns who has an account. Only a
few hashes are made at once, since each takes 64 MiB: a flood of sign-ins waits instead of taking the memory.
"""

import threading

from argon2 import Parameters, PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from streams.panel.forms import Form
from streams.panel.words import Words

SHORTEST = 12
"""Characters, as OWASP ASVS 2.1.1 demands."""
LONGEST = 128
AT_ONCE = 4
FEWEST_KINDS = 5
"""Different characters that a password has at least."""


class Passwords:
    """Makes and checks password hashes."""

    def __init__(self, parameters: Parameters = RFC_9106_LOW_MEMORY) -> None:
        self._hasher = PasswordHasher.from_parameters(parameters)
        self._free = threading.BoundedSemaphore(AT_ONCE)
        self._nobody = self._hasher.hash("the password of nobody")

    def hash(self, password: str) -> str:
        """What is stored."""
        with self._free:
            return self._hasher.hash(password)

    def fits(self, stored: str | None, password: str) -> bool:
        """Whether a password is the stored one. None (nobody, or nobody with a password) takes as long and never fits."""
        try:
            with self._free:
                self._hasher.verify(stored or self._nobody, password)
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None

    def is_old(self, stored: str) -> bool:
        """Whether a hash was made with weaker parameters than today's and should be made anew."""
        return self._hasher.check_needs_rehash(stored)


def new_password(form: Form, words: Words, name: str) -> str:
    """A new password, typed twice in the fields `password` and `again`; empty when the form has errors about it."""
    password = form.secret("password", longest=LONGEST)
    if not password:
        return ""
    if len(password) < SHORTEST:
        form.wrong("password", words.gettext("Take at least %(least)s characters.", least=SHORTEST))
    elif len(set(password)) < FEWEST_KINDS or _has_name(password, name):
        form.wrong("password", words.gettext("This is too easy to guess: take other words, and not your name."))
    elif form.typed("again") != password:
        form.wrong("again", words.gettext("This is not the same password."))
    return password if form.ok else ""


def _has_name(password: str, name: str) -> bool:
    local = name.partition("@")[0]
    return "loginwatch" in password.lower() or (len(local) >= 4 and local in password.lower())
