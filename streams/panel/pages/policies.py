"""The page "Compromised accounts": what each scope demands, what it inherits, and what follows for an account."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from streams.core.accounts import EVERYONE, canonical_account, canonical_domain, canonical_group
from streams.core.book import RuleBook
from streams.core.policy import FIELDS, EffectivePolicy, parse_policy
from streams.core.refusal import Refused
from streams.panel.forms import Form
from streams.panel.pages import policy_fields as fields
from streams.panel.pages.paging import page_asked_for
from streams.panel.pages.sentences import scope_name
from streams.panel.problems import Conflict, DecisionError, NotFound
from streams.panel.rights import Right
from streams.panel.store import rules
from streams.panel.templating import country_name
from streams.panel.web import Pages, Visit
from streams.panel.words import N_

PATH = "/policies"
WRONG, CONFLICT = 422, 409
SUGGESTED = 500
LONGEST_SEEN = 18
"""Digits of a time that fit the database."""
LEVELS: Mapping[str, str] = {
    "everyone": N_("Everyone"),
    "group": N_("Hierarchy level (group)"),
    "domain": N_("Domain"),
    "account": N_("Single user"),
}
UNSAVED = ("add-mail", "add-country", "preview")
"""Buttons of the form that save nothing."""

pages = Pages()


@pages.get(PATH, right=Right.READ)
def show(visit: Visit) -> Response:
    """The policy of the scope that was chosen, or what can be chosen."""
    chooser = Form(visit.words, {name: visit.asked.getlist(name)[:1] for name in ("level", "name")})
    scope = visit.asked.get("scope", "").strip()
    if not scope and "level" in visit.asked:
        scope = _chosen(visit, chooser) or ""
        if scope:
            return visit.go(address(scope))
    if not scope:
        return _choices(visit, chooser, WRONG if chooser.errors else 200)
    scope = _canonical(visit, scope)
    row = _stored(visit, scope)
    form = fields.form_of(visit.words, None if row is None else row.policy.to_record())
    if visit.asked.get("account"):
        form = _with_account(visit, form, visit.asked["account"])
    return _page(visit, scope, form, row, seen=_seen(row))


@pages.post(PATH, right=Right.CHANGE_RULES)
def change(visit: Visit) -> Response:
    """Update a scope's policy, or one of the form's other buttons."""
    scope = _canonical(visit, visit.form.typed("scope"))
    form, words = visit.form, visit.words
    row = _stored(visit, scope)
    seen = form.typed("seen")
    do = form.typed("do", "update")
    if do in UNSAVED or form.typed("drop"):
        return _page(visit, scope, _edited(visit, form, do), row, seen=seen)
    values = fields.fields_of(form, words)
    if not form.ok:
        return _page(visit, scope, form, row, seen=seen, status=WRONG)
    try:
        visit.decide.set_policy(scope, values, _seen_ms(seen))
    except Conflict:
        row = _stored(visit, scope)
        return _page(visit, scope, form, row, seen=_seen(row), status=CONFLICT, conflict=True)
    except Refused as refusal:
        form.refused("", refusal)
        return _page(visit, scope, form, row, seen=seen, status=WRONG)
    except DecisionError as error:
        form.wrong("", error.sentence)
        return _page(visit, scope, form, row, seen=seen, status=error.status)
    return visit.go(address(scope), visit.gettext("The policy of %(scope)s is saved.", scope=scope_name(words, scope)))


@pages.get(f"{PATH}/inherit", right=Right.CHANGE_RULES)
def ask_inherit(visit: Visit) -> Response:
    """Ask before all fields of a scope inherit."""
    return _confirm(visit, "inherit")


@pages.post(f"{PATH}/inherit", right=Right.CHANGE_RULES)
def inherit(visit: Visit) -> Response:
    """Superior level settings: all fields of a scope inherit."""
    scope = _canonical(visit, visit.form.typed("scope"))
    try:
        visit.decide.inherit(scope, _seen_ms(visit.form.typed("seen")))
    except Conflict:
        return _asked(visit, "inherit", scope, conflict=True)
    name = scope_name(visit.words, scope)
    return visit.go(address(scope), visit.gettext("Every field of %(scope)s inherits now.", scope=name))


@pages.get(f"{PATH}/reset", right=Right.CHANGE_RULES)
def ask_reset(visit: Visit) -> Response:
    """Ask before a scope is switched off."""
    return _confirm(visit, "reset")


@pages.post(f"{PATH}/reset", right=Right.CHANGE_RULES)
def reset(visit: Visit) -> Response:
    """Reset: zeros, so that the feature is off in a scope."""
    scope = _canonical(visit, visit.form.typed("scope"))
    try:
        visit.decide.reset_policy(scope, _seen_ms(visit.form.typed("seen")))
    except Conflict:
        return _asked(visit, "reset", scope, conflict=True)
    name = scope_name(visit.words, scope)
    return visit.go(address(scope), visit.gettext("Detection is off for %(scope)s now.", scope=name))


def address(scope: str) -> str:
    """The address of a scope's policy."""
    return f"{PATH}?{urlencode({'scope': scope})}"


def _confirm(visit: Visit, what: str) -> Response:
    return _asked(visit, what, _canonical(visit, visit.asked.get("scope", "")), seen=visit.asked.get("seen"))


def _asked(visit: Visit, what: str, scope: str, *, seen: str | None = None, conflict: bool = False) -> Response:
    """The question; `seen` as the policy's page had it, so that what was saved since that page is not lost either."""
    row = _stored(visit, scope)
    return visit.page(
        "pages/policy_confirm.html",
        CONFLICT if conflict else 200,
        what=what,
        scope=scope,
        name=scope_name(visit.words, scope),
        back=address(scope),
        path=PATH,
        row=row,
        seen=_seen(row) if seen is None else seen,
        conflict=conflict,
        values=[] if row is None else _set(visit, row),
    )


def _canonical(visit: Visit, text: str) -> str:
    """A scope within the reader's. Raises NotFound for any other text."""
    try:
        scope, _ = parse_policy({"scope": text}, visit.panel.settings.default_domain)
    except Refused as refusal:
        raise NotFound(visit.gettext("There is nothing here, or it is not in your scope.")) from refusal
    visit.demand(scope)
    return scope


def _chosen(visit: Visit, form: Form) -> str | None:
    """The scope of the chooser, or a sentence beside its field."""
    level = form.choice("level", LEVELS)
    if not level:
        return None
    if level == EVERYONE:
        scope: str | None = EVERYONE
    else:
        default = visit.panel.settings.default_domain
        parsers: Mapping[str, Callable[[str], str]] = {
            "group": lambda text: canonical_group(text.removeprefix("group:")),
            "domain": canonical_domain,
            "account": lambda text: canonical_account(text, default),
        }
        name = form.parsed("name", parsers[level])
        scope = None if name is None else f"{level}:{name}"
    if scope is not None and not visit.covers(scope):
        form.wrong("level" if scope == EVERYONE else "name", visit.gettext("This is not in your scope."))
        return None
    return scope


def _choices(visit: Visit, chooser: Form, status: int) -> Response:
    visible = visit.reader.visible
    with visit.panel.store.reading() as connection:
        page = page_asked_for(visit, lambda at: rules.listed_policies(connection, visible, cursor=at))
        names = [*rules.groups(connection, visible)[:SUGGESTED]]
        names += [row.domain for row in rules.domains(connection, visible, most=SUGGESTED)]
    return visit.page(
        "pages/policies.html",
        status,
        chooser=chooser,
        levels=[
            (level, visit.gettext(text))
            for level, text in LEVELS.items()
            if level != EVERYONE or visit.covers(EVERYONE)
        ],
        names=names,
        rows=[(row, _set(visit, row)) for row in page.rows],
        next=f"{PATH}?{urlencode({'at': page.next})}" if page.next else "",
        previous=f"{PATH}?{urlencode({'at': page.previous})}" if page.previous else "",
        address=address,
        scope_name=scope_name,
    )


def _set(visit: Visit, row: rules.PolicyRow) -> list[tuple[str, str]]:
    """What a scope sets itself: label and value."""
    record = row.policy.to_record()
    return [
        (visit.gettext(fields.BY_NAME[name].label), fields.shown(visit.words, name, record[name]))
        for name in FIELDS
        if record[name] is not None
    ]


def _page(
    visit: Visit,
    scope: str,
    form: Form,
    row: rules.PolicyRow | None,
    *,
    seen: str,
    status: int = 200,
    conflict: bool = False,
) -> Response:
    words = visit.words
    with visit.panel.store.reading() as connection:
        book = visit.panel.book.book(connection)
    above = rules.inherited(book, scope)
    return visit.page(
        "pages/policy.html",
        status,
        scope=scope,
        name=scope_name(words, scope),
        address=address(scope),
        form=form,
        row=row,
        seen=seen,
        conflict=conflict,
        values=[] if row is None else _set(visit, row),
        may=visit.may(Right.CHANGE_RULES, scope),
        boxes=fields,
        inherited={
            name: (fields.shown(words, name, above[name]), above["origins"][name], above[name]) for name in FIELDS
        },
        countries=fields.country_choices(words),
        named=[(code, country_name(words, code)) for code in fields.typed_codes(form)],
        modes={mode: visit.gettext(text) for mode, text in fields.MODE_NAMES.items()},
        preview=_preview(visit, book, scope, form),
        scope_name=scope_name,
    )


def _preview(visit: Visit, book: RuleBook, scope: str, form: Form) -> list[tuple[str, str, str]] | None:
    """What would hold for the account that was typed, with the form's fields as they stand; None without an account."""
    typed = form.typed("account").strip()
    if not typed:
        return None
    try:
        account = canonical_account(typed, visit.panel.settings.default_domain)
    except Refused as refusal:
        form.refused("account", refusal)
        return None
    if not visit.covers(f"account:{account}"):
        form.wrong("account", visit.gettext("This is not in your scope."))
        return None
    if scope not in book.scopes(account):
        text = N_("The policy of %(scope)s does not apply to this account.")
        form.wrong("account", visit.gettext(text, scope=scope_name(visit.words, scope)))
        return None
    effective = _effective(visit, book, scope, form, account)
    return [
        (
            visit.gettext(fields.BY_NAME[name].label),
            fields.shown(visit.words, name, effective[name]),
            effective["origins"][name],
        )
        for name in FIELDS
    ]


def _effective(visit: Visit, book: RuleBook, scope: str, form: Form, account: str) -> dict[str, Any]:
    typed = fields.fields_of(form, visit.words)
    levels = []
    for level in book.scopes(account):
        if level == scope:
            # fields that cannot be used have their sentence, and inherit here
            levels.append((level, parse_policy({"scope": scope, **typed})[1]))
        elif level in book.policies:
            levels.append((level, book.policies[level]))
    return EffectivePolicy.from_levels(levels).to_record()


def _edited(visit: Visit, form: Form, do: str) -> Form:
    """The form after one of the buttons that save nothing: a further or one fewer box for mails, a picked country."""
    mails = form.every("notify")
    dropped = form.typed("drop")
    if dropped.isascii() and dropped.isdigit() and int(dropped[:4]) < len(mails):
        del mails[int(dropped[:4])]
    if do == "add-mail":
        mails = [*mails, ""]
    changed: dict[str, list[str]] = {"notify": mails}
    if do == "add-country":
        codes = fields.countries_typed(form, visit.words)
        if form.ok:
            changed |= {"ignored_countries": [", ".join(codes)], "country": [""]}
    edited = fields.changed(form, visit.words, changed)
    edited.errors |= form.errors
    return edited


def _with_account(visit: Visit, form: Form, account: str) -> Form:
    return fields.changed(form, visit.words, {"account": [account[:320]]})


def _stored(visit: Visit, scope: str) -> rules.PolicyRow | None:
    with visit.panel.store.reading() as connection:
        return rules.policy(connection, visit.reader.visible, scope)


def _seen(row: rules.PolicyRow | None) -> str:
    return "" if row is None else str(row.time_ms)


def _seen_ms(text: str) -> int | None:
    """The time that a form carries, in ms; None for a policy that was not there, and for what no page of ours sends."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= LONGEST_SEEN else None
