"""
Passwords: Argon2id (RFC 9106), and what a new one must be.

Decision: a new one is judged by how many guesses it takes (zxcvbn: lists of common passwords, names and words, their usual
spellings, patterns of keyboards and dates), not by kinds of characters; nothing is asked of other hosts.

Decision: a name that nobody has costs the same time as a wrong password, so that nobody learns who has an account. Only a
few hashes are made at once, since each takes 64 MiB: a flood of sign-ins waits instead of taking the memory.
"""

import threading

from argon2 import Parameters, PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY
from zxcvbn import zxcvbn  # type: ignore[import-untyped]

from streams.panel.forms import Form
from streams.panel.words import Words

SHORTEST = 12
"""Characters, as OWASP ASVS 2.1.1 demands."""
LONGEST = 128
AT_ONCE = 4
LEAST_SCORE = 3
"""Of zxcvbn's 0 to 4: over 10^8 guesses, which the hash makes too many for whoever has it."""
JUDGED = 32
"""Characters that are judged: what takes longest with more of them is made to be slow. A good beginning makes all good."""
_JUDGING = threading.Lock()


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
    elif is_easy(password, name):
        sentence = words.gettext(
            "This is too easy to guess: take several words, none of them common and none your name."
        )
        form.wrong("password", sentence)
    elif form.typed("again") != password:
        form.wrong("again", words.gettext("This is not the same password."))
    return password if form.ok else ""


def is_easy(password: str, name: str) -> bool:
    """Whether somebody who knows the name guesses a password soon: common ones, and what is made of them, the name or ours."""
    local = name.partition("@")[0].lower()
    if "loginwatch" in password.lower() or (len(local) >= 4 and local in password.lower()):
        return True
    with _JUDGING:  # one at a time, since some take a third of a second
        found = zxcvbn(password[:JUDGED], user_inputs=[name, *name.replace("@", ".").split(".")])
    return bool(found["score"] < LEAST_SCORE)
