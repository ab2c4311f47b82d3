"""What a page or an API call answers when it cannot do what was asked: a status and a sentence for the reader."""

from collections.abc import Mapping

from streams.panel.words import N_, Words


class Problem(Exception):  # noqa: N818 - it is an answer, not a fault
    """Ends a request with an error page (or its JSON form): `sentence` is in the reader's language."""

    status = 400

    def __init__(self, sentence: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence


class NotFound(Problem):
    """There is no such thing, or it lies outside the reader's scopes: nobody learns which."""

    status = 404


class Forbidden(Problem):
    """The reader's role has no right to this."""

    status = 403


class SignInNeeded(Problem):
    """Nobody is signed in."""

    status = 401


class TooLarge(Problem):
    """A body beyond its bound."""

    status = 413


class NoForm(Problem):
    """What was sent is no form."""


class Unusable(Problem):
    """A value of a field cannot be used: the sentence says why, `field` which."""

    status = 422

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


class Conflict(Problem):
    """Somebody saved in between: `by` whom and `at_ms` when; None when what is stored now is nothing."""

    status = 409

    def __init__(self, sentence: str, by: str | None, at_ms: int | None) -> None:
        super().__init__(sentence)
        self.by = by
        self.at_ms = at_ms


class DecisionError(Problem):
    """A decision could not be recorded, since Kafka did not take it: nothing has changed."""

    status = 503


OTHER_TITLE = N_("This did not work")
OTHER_SENTENCE = N_("Go back, and try again.")
TITLES: Mapping[int, str] = {
    401: N_("Please sign in"),
    403: N_("This is not allowed"),
    404: N_("Not found"),
    405: N_("Not found"),
    409: N_("Somebody was quicker"),
    413: N_("This is too much"),
    500: N_("This is our fault"),
    503: N_("This does not work just now"),
}
SENTENCES: Mapping[int, str] = {
    401: N_("Your session has ended. Sign in again."),
    403: N_("Your role does not allow this."),
    404: N_("There is nothing here, or it is not in your scope."),
    405: N_("There is nothing here, or it is not in your scope."),
    400: N_("What was sent is no form of this panel. Go back, and try again."),
    413: N_("The form has more than it may carry. Send less of it at once."),
    500: N_("The page failed. Its operator finds the reason in the log of the panel."),
    503: N_("The panel's database does not answer. Try again in a moment."),
}


def problem_text(words: Words, problem: Problem) -> tuple[str, str]:
    """Title and sentence of a problem in the reader's language."""
    title = TITLES.get(problem.status, OTHER_TITLE)
    sentence = problem.sentence or words.gettext(SENTENCES.get(problem.status, OTHER_SENTENCE))
    return words.gettext(title), sentence
