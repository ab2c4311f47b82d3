"""
Which incidents a reader asked for, from the page's address: checked, and turned into a query and back into addresses.

Decision: filters live in the address and nowhere else, so a filtered list can be bookmarked, sent to a colleague,
exported and followed live without a second form of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from streams.core.accounts import canonical_domain, canonical_group
from streams.panel.forms import Form
from streams.panel.pages.days import day_end_ms, day_start_ms
from streams.panel.pages.verdicts import VERDICTS
from streams.panel.store.incidents import SORTS, STATUSES, Wanted
from streams.panel.web import Visit
from streams.panel.words import N_, Words

FIELDS = ("text", "status", "rule", "domain", "group", "since", "until")
"""The names of the filters, in the address and in the form."""
LONGEST_TEXT = 320
SORT_NAMES = {"newest": N_("Newest first"), "likeliest": N_("Likely taken over first")}
STATUS_NAMES = {
    "unreviewed": N_("not reviewed"),
    "open": N_("going on"),
    "blocked": N_("blocked now"),
    "observed": N_("observed only"),
    "reviewed": N_("reviewed"),
}
RULE_NAMES = {"ips": N_("IPs"), "countries": N_("Countries")}


@dataclass(frozen=True)
class Asked:
    """What was asked for: the form as it was typed (with what is wrong in it), and the query that can be made of it."""

    form: Form
    wanted: Wanted

    @property
    def filtered(self) -> bool:
        """Whether any filter was typed."""
        return any(self.form.typed(name).strip() for name in FIELDS)

    def address(self, path: str, **changed: str) -> str:
        """The address of a page with the same filters and order; `changed` replaces some, empty ones are left out."""
        fields = {name: self.form.typed(name).strip() for name in FIELDS}
        fields["sort"] = "" if self.wanted.sort == "newest" else self.wanted.sort
        given = {name: value for name, value in {**fields, **changed}.items() if value}
        return f"{path}?{urlencode(given)}" if given else path


def asked_of(visit: Visit) -> Asked:
    """What the address of a visit asks for. A filter that cannot be used has its sentence, and filters nothing."""
    form = Form(visit.words, {name: visit.asked.getlist(name)[:1] for name in (*FIELDS, "sort")})
    statuses = (*STATUSES, *(f"reviewed:{verdict}" for verdict in VERDICTS))
    text = form.text("text", longest=LONGEST_TEXT)
    status = form.choice("status", statuses, required=False)
    rule = form.choice("rule", tuple(RULE_NAMES), required=False)
    domain = form.parsed("domain", canonical_domain, required=False)
    group = form.parsed("group", lambda path: canonical_group(path.removeprefix("group:")), required=False)
    since_ms = day_start_ms(form, visit.words, "since")
    until_ms = day_end_ms(form, visit.words, "until")
    if since_ms is not None and until_ms is not None and until_ms <= since_ms:
        form.wrong("until", visit.gettext("This day is before the first one."))
        until_ms = None
    wanted = Wanted(
        domain=domain,
        group=group,
        status=status or None,
        rule=rule or None,
        since_ms=since_ms,
        until_ms=until_ms,
        text=text or None,
        sort="likeliest" if form.typed("sort") == "likeliest" else "newest",
    )
    return Asked(form, wanted)


def status_choices(words: Words) -> list[tuple[str, str]]:
    """The statuses that can be filtered by, with what they are called."""
    verdicts = [
        (f"reviewed:{verdict.name}", words.gettext("reviewed: %(verdict)s", verdict=words.gettext(verdict.title)))
        for verdict in VERDICTS.values()
    ]
    return [
        ("", words.gettext("any")),
        *((name, words.gettext(text)) for name, text in STATUS_NAMES.items()),
        *verdicts,
    ]


def rule_choices(words: Words) -> list[tuple[str, str]]:
    """The rules that can be filtered by."""
    return [("", words.gettext("any")), *((name, words.gettext(text)) for name, text in RULE_NAMES.items())]


def sort_links(words: Words, asked: Asked, path: str) -> list[tuple[str, str, bool]]:
    """The orders of the list: address, name, and whether it is the one shown."""
    link: Callable[[str], str] = lambda sort: asked.address(path, sort="" if sort == "newest" else sort)  # noqa: E731
    return [(link(sort), words.gettext(SORT_NAMES[sort]), sort == asked.wanted.sort) for sort in SORTS]
