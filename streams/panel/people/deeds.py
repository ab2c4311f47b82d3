"""The lines of the audit in words."""

from collections.abc import Mapping
from typing import Any

from streams.panel.store.audit import Deed
from streams.panel.templating import DASH, gmt_text
from streams.panel.words import N_, Words

FAMILIES: Mapping[str, str] = {
    "": N_("Everything"),
    "policy.": N_("Policies"),
    "safe.": N_("Safe networks"),
    "domain.": N_("Domains"),
    "account.": N_("Orders about accounts"),
    "incident.": N_("Reviews"),
    "panel.": N_("People and sign-ins"),
}
"""What the list can be narrowed down to: the beginnings of actions."""

TEXTS: Mapping[str, str] = {
    "policy.set": N_("changed the policy"),
    "policy.inherit": N_("let the policy inherit"),
    "safe.add": N_("marked a network as safe"),
    "safe.remove": N_("removed a safe network"),
    "domain.set": N_("put a domain into a group"),
    "domain.remove": N_("took a domain out of its group"),
    "account.block": N_("blocked the account"),
    "account.unblock": N_("unblocked the account"),
    "account.reset": N_("reset the activity"),
    "incident.review": N_("reviewed an incident"),
    "panel.sign_in": N_("signed in"),
    "panel.sign_in_failed": N_("could not sign in"),
    "panel.sign_out": N_("signed out"),
    "panel.invited": N_("invited"),
    "panel.invitation_withdrawn": N_("withdrew the invitation"),
    "panel.joined": N_("joined the panel"),
    "panel.person_made": N_("was added by single sign-on"),
    "panel.single_sign_on_bound": N_("was connected with single sign-on"),
    "panel.person_changed": N_("changed role or scopes"),
    "panel.person_disabled": N_("kept from signing in"),
    "panel.person_enabled": N_("let in again"),
    "panel.person_removed": N_("removed from the panel"),
    "panel.password_set": N_("set a new password by a link"),
    "panel.password_changed": N_("changed the password"),
    "panel.password_link_made": N_("made a link for a new password"),
    "panel.second_factor_set": N_("set up a second factor"),
    "panel.second_factor_removed": N_("removed the second factor"),
    "panel.second_factor_reset": N_("reset the second factor"),
    "panel.recovery_codes_made": N_("made new recovery codes"),
    "panel.session_ended": N_("ended a session"),
    "panel.sessions_ended": N_("ended sessions"),
    "panel.token_made": N_("made an API token"),
    "panel.token_removed": N_("removed an API token"),
    "panel.owner_made": N_("made an owner on the command line"),
    "panel.export": N_("exported a list"),
}
"""What each action is called. `tests/panel/people/test_deeds.py` looks for actions without a text."""

QUIET = ("actor", "time", "scope", "domain", "network")
"""Fields of records that the line says already."""
TIMES = ("expires",)
"""Fields that are times in ms."""
LONGEST_VALUE = 200


def deed_text(words: Words, deed: Deed) -> str:
    """What somebody did, without the object; an action of a newer version as it is called."""
    text = TEXTS.get(deed.action)
    return deed.action if text is None else words.gettext(text)


def details(words: Words, deed: Deed) -> list[tuple[str, str]]:
    """What changed, field by field: name, and "before → after" or the one that there is."""
    before, after = deed.before or {}, deed.after or {}
    found = []
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name), after.get(name)
        if name in QUIET or old == new:
            continue
        shown = _shown(words, name, new)
        found.append((name.replace("_", " "), f"{_shown(words, name, old)} → {shown}" if name in before else shown))
    return found


def _shown(words: Words, name: str, value: Any) -> str:
    if value is None or value in ([], ""):
        return DASH
    if isinstance(value, bool):
        return words.gettext("yes") if value else words.gettext("no")
    if name in TIMES:
        return gmt_text(value)
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"
