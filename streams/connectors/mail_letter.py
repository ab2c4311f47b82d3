"""
What a notification says, in words: pure, no clock, no network, no layout.

Decision: in a `Letter` every text is cleaned, translated and bounded; the templates only lay it out. So nothing that
somebody chose (an account name, a city, the owner of a network, the description of a safe network, a sender) can start a
line or hide one. A mail never lists more than 20 networks: the latest ones, in the order of their first login.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from babel import Locale
from babel.dates import format_datetime

from streams.connectors.mail_address import plain
from streams.connectors.mail_words import Plural, Words

Record = Mapping[str, Any]

LISTED = 20
"""Most networks, and most networks left out, in one mail."""
LISTED_COUNTRIES = 10
LISTED_SENDERS = 10
NAME = 120
"""Most characters of a name from outside (account, city, owner); enough for real ones, short enough for a table."""
SENTENCE = 300
"""Most characters of a description from outside."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class ListedNetwork:
    """One network of the incident in words."""

    network: str
    place: str
    owner: str
    service: str
    use: str
    first: str
    last: str
    address: str


@dataclass(frozen=True)
class Letter:
    """All texts of a mail, cleaned and bounded, not yet laid out."""

    subject: str
    opening: str
    facts: tuple[tuple[str, str], ...]
    networks: tuple[ListedNetwork, ...]
    networks_more: str
    left_out: tuple[str, ...]
    left_out_more: str
    senders: tuple[str, ...]
    senders_more: str
    steps: tuple[str, ...]
    help: str
    footer: str


def write(notification: Record, words: Words, *, own: bool, help_text: str = "") -> Letter:
    """The letter to an administrator, or (`own`) to the owner of the account, who is told nothing of safe networks."""
    incident: Record = notification["details"]
    networks = sorted(sorted(incident["networks"], key=_last)[-LISTED:], key=_first)
    left_out = [] if own else sorted(incident["left_out"], key=_last)
    shown = [_left_out(network, words) for network in left_out[-LISTED:]]
    opening = words.opening_own if own else words.opening
    return Letter(
        subject=_subject(notification, words, own=own),
        opening=opening.format(account=_name(notification["account"])),
        facts=tuple(_facts(notification, words, own=own)),
        networks=tuple(_listed(network, words) for network in networks),
        networks_more=_more(len(incident["networks"]), len(networks), words),
        left_out=tuple(shown),
        left_out_more=_more(len(left_out), len(shown), words),
        senders=tuple(_sender(sender, words) for sender in incident["foreign_senders"][:LISTED_SENDERS]),
        senders_more=_more_senders(incident, words),
        steps=_steps(notification, words, own=own),
        help=words.help.format(help=plain(help_text, 500)) if help_text.strip() else "",
        footer=words.footer.format(incident=plain(notification["incident"], 50)),
    )


def _subject(notification: Record, words: Words, *, own: bool) -> str:
    incident = notification["details"]
    blocked = notification["kind"] == "blocked"
    if own:
        sentence = words.subject_blocked_own if blocked else words.subject_reported_own
    else:
        sentence = words.subject_blocked if blocked else words.subject_reported
    return sentence.format(
        account=plain(notification["account"], 80),
        count=_number(incident["count"], _counted(incident, words)),
        window=_number(incident["window"], words.minutes),
    )


def _facts(notification: Record, words: Words, *, own: bool) -> list[tuple[str, str]]:
    """Label and value of everything that is one line, in the order in which a reader asks."""
    incident: Record = notification["details"]
    facts = [
        (words.account, _name(notification["account"])),
        (words.opened, time_in_words(incident["opened"], words)),
        (words.rule, _rule(incident, words, own=own)),
        (words.state, _state(notification, words)),
        (words.messages, _messages(incident, words)),
        (words.by_country, _by_country(incident["countries"], words)),
    ]
    familiar = incident["policy"]["familiar_days"]
    if notification["kind"] == "blocked" and familiar > 0 and not own:
        facts.insert(4, (words.familiar, words.familiar_sentence.format(days=_number(familiar, words.days))))
    if incident["ignored_logins"] > 0 and not own:
        facts.append((words.ignored, str(incident["ignored_logins"])))
    return [(label, value) for label, value in facts if value]


def _rule(incident: Record, words: Words, *, own: bool) -> str:
    sentence = words.rule_sentence.format(
        count=_number(incident["count"], _counted(incident, words)),
        limit=words.allowed.format(limit=incident["limit"]),
        window=_number(incident["window"], words.minutes),
    )
    if own:
        return sentence
    field = "allowed_ips" if incident["rule"] == "ips" else "allowed_countries"
    scope = incident["policy"]["origins"].get(field, "default")
    return words.rule_from.format(rule=sentence, scope=words.default_scope if scope == "default" else _name(scope))


def _state(notification: Record, words: Words) -> str:
    until = notification["details"]["blocked_until"]
    if notification["kind"] != "blocked":
        return words.not_blocked
    return words.blocked if until is None else words.blocked_until.format(until=time_in_words(until, words))


def _steps(notification: Record, words: Words, *, own: bool) -> tuple[str, ...]:
    if own:
        return words.steps_own
    return words.steps_blocked if notification["kind"] == "blocked" else words.steps_reported


def _listed(network: Record, words: Words) -> ListedNetwork:
    country = country_in_words(network["country"], words)
    city = _name(network["city"] or "")
    return ListedNetwork(
        network=_single(network["network"]),
        place=f"{city}, {country}" if city else country,
        owner=_name(network["owner"] or ""),
        service=plain(network["service"], 20).upper(),
        use=words.use_sentence.format(
            logins=_number(network["logins"], words.logins), days=_number(network["days"], words.days)
        ),
        first=time_in_words(network["first"], words),
        last=time_in_words(network["last"], words),
        address=_other_address(network),
    )


def _left_out(network: Record, words: Words) -> str:
    return words.left_out_sentence.format(
        network=_single(network["network"]),
        country=country_in_words(network["country"], words),
        logins=_number(network["logins"], words.logins),
        safe=plain(network["safe_network"], 50),
        scope=_name(network["scope"]),
        description=plain(network["description"], SENTENCE),
    )


def _messages(incident: Record, words: Words) -> str:
    messages, foreign = incident["messages_24h"], incident["foreign_messages_24h"]
    return words.messages_sentence.format(messages=messages, foreign=foreign) if foreign else str(messages)


def _sender(sender: Record, words: Words) -> str:
    relations = {"domain": words.sender_domain, "malformed": words.sender_malformed}
    return words.sender_sentence.format(
        sender=_name(sender["sender"]),
        relation=relations.get(sender["relation"], words.sender_foreign),
        messages=_number(sender["messages"], words.mails),
        first=time_in_words(sender["first"], words),
        last=time_in_words(sender["last"], words),
    )


def _more_senders(incident: Record, words: Words) -> str:
    listed = sum(sender["messages"] for sender in incident["foreign_senders"][:LISTED_SENDERS])
    more = incident["foreign_messages_24h"] - listed
    return words.senders_more.format(messages=_number(more, words.mails)) if more > 0 else ""


def _by_country(countries: Sequence[Record], words: Words) -> str:
    ordered = sorted(countries, key=lambda entry: (-entry["logins"], entry["country"] or "~"))
    shown = [f"{country_in_words(entry['country'], words)} {entry['logins']}" for entry in ordered[:LISTED_COUNTRIES]]
    more = _more(len(ordered), len(shown), words)
    return ", ".join([*shown, more] if more else shown)


def country_in_words(code: str | None, words: Words) -> str:
    """The country's name in the language of the mail; the code itself when it has no name."""
    if not code:
        return words.unknown_country
    name = Locale.parse(words.language).territories.get(code.upper())
    return str(name) if name else plain(code, 20)


def time_in_words(time_ms: int, words: Words) -> str:
    """The time in UTC to the second, as readable as in a mail's Date header."""
    moment = moment_of(time_ms)
    if moment is None:
        return words.unknown_time
    return format_datetime(moment, words.time_pattern, locale=words.language)


def moment_of(time_ms: int) -> datetime | None:
    """The time; None when it is outside the calendar (years 1 to 9999)."""
    try:
        return EPOCH + timedelta(milliseconds=time_ms)
    except OverflowError:
        return None


def _number(number: int, noun: Plural) -> str:
    return f"{number} {noun[0] if number == 1 else noun[1]}"


def _counted(incident: Record, words: Words) -> Plural:
    return words.networks if incident["rule"] == "ips" else words.countries


def _more(total: int, shown: int, words: Words) -> str:
    return words.more.format(number=total - shown) if total > shown else ""


def _name(text: object) -> str:
    return plain(text, NAME)


def _single(network: str) -> str:
    """A network of one address reads better as that address."""
    return plain(network.removesuffix("/32").removesuffix("/128") if network.count("/") == 1 else network, 50)


def _other_address(network: Record) -> str:
    """The last address used, unless the network already says it."""
    address = plain(network["address"], 50)
    return "" if address == _single(network["network"]) else address


def _first(network: Record) -> int:
    return int(network["first"])


def _last(network: Record) -> int:
    return int(network["last"])
