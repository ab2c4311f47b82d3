"""
A policy as a form: every field with its words, what was typed into it, and what it would inherit.

Decision: an empty box inherits. What a list needs besides, to be set and yet empty, is a box of its own ("none here"), so
that clearing a text never changes its meaning unseen. Everything is judged by the core's own parser, field by field, so
that each sentence stands beside the field it is about.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from streams.core.countries import CODES
from streams.core.policy import FIELDS, LIMITS, LONGEST_MAIL, MODES, MOST_RECIPIENTS, SWITCHES, parse_policy
from streams.core.refusal import Refused
from streams.panel.forms import Form
from streams.panel.templating import country_name, minutes_text
from streams.panel.words import N_, Words

LISTS = ("ignored_countries", "notify")
NONE = "none_"
"""Prefix of the boxes that set a list to empty."""


@dataclass(frozen=True)
class Field:
    """One field in words, English, translated where it is shown. `unit` stands behind a number."""

    name: str
    label: str
    hint: str
    unit: str = ""


DETECTION = (
    Field(
        "time_window",
        N_("Time window"),
        N_("Different IPs and countries are counted over this time. 0 = detection is off; at most 43200 (30 days)."),
        N_("minutes"),
    ),
    Field(
        "allowed_ips",
        N_("Number of different IPs"),
        N_("So many are allowed inside the window; one more opens an incident. 0 = do not count IPs."),
    ),
    Field(
        "allowed_countries",
        N_("Number of different countries"),
        N_("So many are allowed inside the window. 0 = do not count countries."),
    ),
    Field(
        "ignored_countries",
        N_("Countries to be ignored"),
        N_("Logins from there are neither counted nor listed. Codes with commas, for instance RO, FR."),
    ),
)
REACTION = (
    Field(
        "block_time",
        N_("Block time"),
        N_("So long the account cannot log in after an incident. 0 = only report; at most 43200 (30 days)."),
        N_("minutes"),
    ),
    Field("notify", N_("Mails to notify"), N_("Each gets a mail of its own when an incident opens.")),
    Field("notify_sender", N_("Notify sender"), N_("Tell the account itself too.")),
)
SENDER = (
    Field(
        "match_username",
        N_("MAIL FROM must equal the login name"),
        N_("A message with another sender address is refused."),
    ),
    Field(
        "match_domain",
        N_("MAIL FROM must have the login name's domain"),
        N_("A message with a sender address of another domain is refused."),
    ),
)
ADVANCED = (
    Field(
        "familiar_days",
        N_("Familiar networks stay open"),
        N_(
            "Networks used on at least this many different days stay open during a block, so that a thief cannot lock "
            "the owner out. 0 = a block closes everything."
        ),
        N_("days"),
    ),
    Field("ipv4_prefix", N_("IPv4 prefix"), N_("What counts as one IP: 32 is a single address, 24 a network of 256.")),
    Field("ipv6_prefix", N_("IPv6 prefix"), N_("What counts as one IP: 64 is usual for one connection.")),
    Field(
        "mode",
        N_("Mode"),
        N_(
            "With observe, incidents are recorded and marked, and nobody is blocked or mailed: for trying out a policy."
        ),
    ),
)
BY_NAME: Mapping[str, Field] = {field.name: field for field in (*DETECTION, *REACTION, *SENDER, *ADVANCED)}
MODE_NAMES: Mapping[str, str] = {"enforce": N_("enforce"), "observe": N_("observe")}


def fields_of(form: Form, words: Words) -> dict[str, Any]:
    """The fields that were typed, None where one inherits; what cannot be used is said in the form's errors."""
    values: dict[str, Any] = dict.fromkeys(FIELDS)
    for name, (least, most) in LIMITS.items():
        values[name] = form.number(name, least, most)
    for name in SWITCHES:
        values[name] = {"yes": True, "no": False}.get(form.choice(name, ("yes", "no"), required=False))
    values["mode"] = form.choice("mode", MODES, required=False) or None
    values["ignored_countries"] = _list(form, words, "ignored_countries", countries_typed(form, words))
    values["notify"] = _list(form, words, "notify", form.lines("notify", longest=LONGEST_MAIL, most=MOST_RECIPIENTS))
    return values


def countries_typed(form: Form, words: Words) -> list[str]:
    """The codes in the box, and the country picked by name beside it, which need not be added first."""
    typed = form.text("ignored_countries", longest=2000)
    codes = [code.upper() for code in typed.replace(",", " ").replace(";", " ").split()]
    picked = form.text("country")
    if picked:
        code = country_code(picked, words)
        if code is None:
            form.wrong("country", words.gettext("%(name)s is no country that is known here.", name=picked[:60]))
        else:
            codes.append(code)
    return list(dict.fromkeys(codes))


def country_code(text: str, words: Words) -> str | None:
    """The code of a country by its code, or its name in the reader's language or in English."""
    wanted = text.strip().casefold()
    if wanted.upper() in CODES:
        return wanted.upper()
    for code, name in country_choices(words):
        if wanted in (name.casefold(), f"{name} ({code})".casefold()):
            return code
    return None


def country_choices(words: Words) -> list[tuple[str, str]]:
    """All countries as code and name, by name."""
    return sorted(((code, country_name(words, code)) for code in CODES), key=lambda pair: pair[1].casefold())


def form_of(words: Words, record: Mapping[str, Any] | None) -> Form:
    """The form as a scope's policy fills it; empty for None."""
    given = record or {}
    filled: dict[str, Any] = {name: given.get(name) for name in LIMITS}
    for name in SWITCHES:
        value = given.get(name)
        filled[name] = None if value is None else "yes" if value else "no"
    filled["mode"] = given.get("mode")
    for name in LISTS:
        filled[NONE + name] = given.get(name) == []
    countries = given.get("ignored_countries")
    filled["ignored_countries"] = ", ".join(countries) if countries else None
    filled["notify"] = given.get("notify")
    return Form.filled(words, **filled)


def changed(form: Form, words: Words, values: Mapping[str, Sequence[str]]) -> Form:
    """The same form with some of its fields replaced."""
    names = ("scope", "seen", "account", "country", *FIELDS, *(NONE + name for name in LISTS))
    return Form(words, {name: form.every(name) for name in names if form.every(name)} | dict(values))


def typed_codes(form: Form) -> list[str]:
    """The country codes in the box that exist, to be named beside it."""
    codes = form.typed("ignored_countries").upper().replace(",", " ").replace(";", " ").split()
    return [code for code in dict.fromkeys(codes) if code in CODES]


def shown(words: Words, name: str, value: Any) -> str:
    """A field's value as a reader sees it."""
    if name in SWITCHES:
        return words.gettext("yes") if value else words.gettext("no")
    if name in ("time_window", "block_time"):
        return (
            minutes_text(words, value)
            if value
            else words.gettext("off")
            if name == "time_window"
            else words.gettext("only report")
        )
    if name in ("allowed_ips", "allowed_countries"):
        return str(value) if value else words.gettext("not counted")
    if name == "familiar_days":
        return words.ngettext("%(number)s day", "%(number)s days", value) if value else words.gettext("none stay open")
    if name in ("ipv4_prefix", "ipv6_prefix"):
        return f"/{value}"
    if name == "mode":
        return words.gettext(MODE_NAMES.get(value, value))
    if name == "ignored_countries":
        return ", ".join(f"{country_name(words, code)} ({code})" for code in value) or words.gettext("none")
    return ", ".join(value) or words.gettext("nobody")


def _list(form: Form, words: Words, name: str, typed: Sequence[str]) -> list[str] | None:
    none = form.ticked(NONE + name)
    if typed and none:
        form.wrong(name, words.gettext("Either name some, or tick that there are none here."))
        return None
    if not typed:
        return [] if none else None
    try:
        _, policy = parse_policy({"scope": "everyone", name: list(typed)})
    except Refused as refusal:
        form.refused(name, refusal)
        return None
    value: Any = policy.to_record()[name]
    return list(value)
