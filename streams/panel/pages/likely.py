"""How likely it is that an account was taken over, in words: the store's score from 0 to 100 as three steps."""

from dataclasses import dataclass

from streams.panel.words import N_

LIKELY = 50
POSSIBLE = 30


@dataclass(frozen=True, slots=True)
class Likelihood:
    """A step: its text (English, translated where it is shown) and the class of its badge."""

    text: str
    tone: str


def likelihood(score: int) -> Likelihood:
    """
    The step of a score.

    >>> likelihood(80).tone, likelihood(10).tone
    ('danger', 'quiet')
    """
    if score >= LIKELY:
        return Likelihood(N_("likely taken over"), "danger")
    if score >= POSSIBLE:
        return Likelihood(N_("possibly taken over"), "warning")
    return Likelihood(N_("less likely"), "quiet")
