"""How the core says that something from outside cannot be used."""


class Refused(ValueError):  # noqa: N818 - it is an answer, not a fault
    """
    A value from outside that is refused: `reason` is a short stable word for metrics, the text a sentence for people.

    Nothing is lost by it: whoever called sends the record to `dead-letters`, or shows the sentence beside the field.
    """

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason
