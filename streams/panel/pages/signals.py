"""
What in an incident speaks for which reason: plain observations on its record, never a verdict.

Decision: only what a person would point at in the table of networks is said, each as one sentence with its number, so
that whoever reviews can check it with their own eyes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from streams.core.policy import MINUTE_MS
from streams.panel.words import N_, NN_, Words

MANY_MESSAGES = 100
"""Nobody but a newsletter writes so many by hand in a day."""
USUAL_DAYS = 3
"""A network used on so many different days is one of the owner's."""
Record = Mapping[str, Any]


@dataclass(frozen=True)
class Signal:
    """
    One observation: the verdict it speaks for, and its sentence (English) with the values in it. One that counts has its
    `number`, and as `many` the sentence for other numbers than one.
    """

    verdict: str
    text: str
    values: Mapping[str, object] = field(default_factory=dict)
    many: str = ""
    number: int = 0

    def sentence(self, words: Words) -> str:
        """The observation in the reader's language."""
        if self.many:
            return words.ngettext(self.text, self.many, self.number)
        return words.gettext(self.text, **self.values)


def signals(record: Record) -> list[Signal]:
    """What speaks for which reason in an Incident record, the worst first."""
    since_ms = record["opened"] - record["window"] * MINUTE_MS
    usual = [network for network in record["networks"] if network["days"] >= USUAL_DAYS]
    new = [network for network in record["networks"] if network["first"] > since_ms]
    return [*_sending(record), *_places(record, usual, new), *_owners(usual, new)]


def _sending(record: Record) -> Iterator[Signal]:
    foreign = record.get("foreign_messages_24h", 0)
    if foreign:
        one, many = NN_(
            "%(number)s message was sent with a sender address (MAIL FROM) that is not the account's own.",
            "%(number)s messages were sent with sender addresses (MAIL FROM) that are not the account's own.",
        )
        yield Signal("compromised", one, many=many, number=foreign)
    if record["messages_24h"] >= MANY_MESSAGES:
        text = N_("%(count)s messages were sent in 24 hours.")
        yield Signal("compromised", text, {"count": record["messages_24h"]})


def _places(record: Record, usual: Sequence[Record], new: Sequence[Record]) -> Iterator[Signal]:
    at_home = {network["country"] for network in usual} - {None}
    abroad = [network for network in new if network["country"] not in (None, *at_home)]
    countries = sorted({network["country"] for network in abroad})
    if at_home and any(network["service"] == "smtp" for network in abroad):
        text = N_("New networks in other countries than the usual one log in over SMTP: %(countries)s.")
        yield Signal("compromised", text, {"countries": ", ".join(countries)})
    if usual and abroad:
        began = min(network["first"] for network in abroad)
        if max(network["last"] for network in usual) > began:
            text = N_("The usual network went on being used while logins came from %(countries)s.")
            yield Signal("compromised", text, {"countries": ", ".join(countries)})
        else:
            text = N_("The usual network fell silent before logins came from %(countries)s.")
            yield Signal("travelling", text, {"countries": ", ".join(countries)})
    if record["distinct_countries"] == 1 and len(record["networks"]) > 1:
        [country] = {network["country"] for network in record["networks"]} - {None} or {None}
        if country is not None:
            yield Signal("mobile", N_("All logins came from one country: %(country)s."), {"country": country})


def _owners(usual: Sequence[Record], new: Sequence[Record]) -> Iterator[Signal]:
    owners = {network["owner"] for network in new}
    if len(new) < 2 or len(owners) != 1 or None in owners:
        return
    [owner] = owners
    at_home = {network["country"] for network in usual} - {None}
    same = at_home and {network["country"] for network in new} <= at_home
    text = N_("All new networks belong to one owner: %(owner)s.")
    yield Signal("mobile" if same else "third_party", text, {"owner": owner})
