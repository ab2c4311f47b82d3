"""Sentences about records in the reader's language: why an incident opened, what a scope is, how an account stands."""

from collections.abc import Mapping
from typing import Any

from streams.core.accounts import EVERYONE
from streams.core.policy import DEFAULT
from streams.panel.templating import minutes_text
from streams.panel.words import N_, Words

SERVICES: Mapping[str, str] = {
    "imap": "IMAP",
    "pop3": "POP3",
    "smtp": "SMTP",
    "http": N_("Webmail"),
    "sieve": "Sieve",
    "other": N_("other"),
}
"""What people call the protocols of the Avro enum `Service`."""


def why(words: Words, rule: str, count: int, limit: int, window: int) -> str:
    """Why an incident opened: how many there were at once, within how many minutes, and how many are allowed."""
    text = N_("Logins from %(found)s within %(span)s; %(limit)s allowed.")
    return words.gettext(text, found=_found(words, rule, count), span=minutes_text(words, window), limit=limit)


def briefly(words: Words, rule: str, count: int, limit: int, window: int) -> str:
    """The same for a list, whose heading asks why."""
    text = N_("%(found)s in %(span)s; %(limit)s allowed")
    return words.gettext(text, found=_found(words, rule, count), span=minutes_text(words, window), limit=limit)


def _found(words: Words, rule: str, count: int) -> str:
    if rule == "countries":
        return words.ngettext("%(number)s country", "%(number)s countries", count)
    return words.ngettext("%(number)s network", "%(number)s networks", count)


def scope_name(words: Words, scope: str) -> str:
    """A scope as people say it."""
    kind, _, name = scope.partition(":")
    match kind:
        case "account":
            return words.gettext("account %(name)s", name=name)
        case "domain":
            return words.gettext("domain %(name)s", name=name)
        case "group":
            return words.gettext("group %(name)s", name=name)
        case _ if scope == EVERYONE:
            return words.gettext("everyone")
        case _ if scope == DEFAULT:
            return words.gettext("default")
    return scope


def service_name(words: Words, service: str) -> str:
    """A protocol as people call it."""
    return words.gettext(SERVICES.get(service, service))


def contact_text(words: Words, incident: Mapping[str, Any], times: Mapping[str, str]) -> str:
    """
    A message to the owner of an account, to be copied and sent by whatever way is safe.

    `times` are the incident's times as text: `opened`, and `blocked_until` where it is blocked. Nothing in it asks for a
    password, and nothing in it is a link.
    """
    lines = [
        words.gettext("Hello,"),
        "",
        words.gettext(
            "your mailbox %(account)s was used from unusually many places on %(opened)s.",
            account=incident["account"],
            opened=times["opened"],
        ),
        why(words, incident["rule"], incident["count"], incident["limit"], incident["window"]),
        "",
        *[_place_line(words, network) for network in incident["networks"][:10]],
        "",
    ]
    if "blocked_until" in times:
        lines += [words.gettext("To protect you, it is blocked until %(until)s.", until=times["blocked_until"]), ""]
    lines += [
        words.gettext("Were all of these logins yours, for instance on a journey, over a VPN or by an app?"),
        words.gettext("If not, somebody knows your password: please choose a new one, on a device that you trust."),
        words.gettext("Please call us. We will never ask for your password."),
    ]
    return "\n".join(lines)


def _place_line(words: Words, network: Mapping[str, Any]) -> str:
    code = network["country"]
    country = words.locale.territories.get(code, code) if code else words.gettext("unknown country")
    place = ", ".join(part for part in (network["city"], country) if part)
    return f"- {place} ({network['address']}, {service_name(words, network['service'])})"
