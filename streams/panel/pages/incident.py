"""One incident: what happened, why it counts, what it may have been, and what to do about it."""

from typing import Any

from starlette.responses import Response

from streams.core.policy import DEFAULT, FIELDS
from streams.core.refusal import Refused
from streams.panel.decisions import LONGEST_NOTE
from streams.panel.forms import Form
from streams.panel.pages.likely import likelihood
from streams.panel.pages.policy_fields import BY_NAME, shown
from streams.panel.pages.sentences import contact_text, scope_name, service_name, why
from streams.panel.pages.signals import signals
from streams.panel.pages.verdicts import VERDICTS
from streams.panel.paths import segment
from streams.panel.people.deeds import deed_text
from streams.panel.pictures import timeline as lanes
from streams.panel.pictures.world import world
from streams.panel.problems import DecisionError, NotFound
from streams.panel.rights import Right
from streams.panel.store import audit, blocks, incidents
from streams.panel.store.incidents import Incident
from streams.panel.templating import gmt_text
from streams.panel.web import Pages, Visit

HISTORY = 10
"""Earlier incidents and blocks that the page shows; the account's page has all."""
WRONG = 422

pages = Pages()


@pages.get("/incidents/{incident}", right=Right.READ)
def show(visit: Visit) -> Response:
    """Everything in one incident."""
    incident = _visible(visit)
    review = incident.reviews[0] if incident.reviews else None
    form = Form.filled(visit.words, verdict=review.verdict if review else None)
    return _page(visit, incident, form)


@pages.post("/incidents/{incident}/review", right=Right.REVIEW)
def review(visit: Visit) -> Response:
    """Say what it was."""
    incident = _visible(visit)
    form = visit.form
    verdict = form.choice("verdict", VERDICTS)
    note = form.text("note", longest=LONGEST_NOTE)
    if form.ok:
        try:
            visit.decide.review(incident.row.id, verdict, note)
        except Refused as refusal:
            form.refused("note", refusal)
        except DecisionError as error:
            form.wrong("", error.sentence)
    if not form.ok:
        return _page(visit, incident, form, WRONG)
    title = visit.gettext(VERDICTS[verdict].title)
    return visit.go(_path(incident), visit.gettext("The incident is reviewed as: %(verdict)s.", verdict=title))


def _visible(visit: Visit) -> Incident:
    with visit.panel.store.reading() as connection:
        found = incidents.one(connection, visit.reader.visible, visit.path["incident"])
    if found is None:
        raise NotFound(visit.gettext("There is no such incident, or it is not in your scope."))
    return found


def _page(visit: Visit, incident: Incident, form: Form, status: int = 200) -> Response:
    record, row = incident.record, incident.row
    visible = visit.reader.visible
    with visit.panel.store.reading() as connection:
        earlier = incidents.of_account(connection, visible, row.account, most=HISTORY + 1)
        account_blocks = blocks.of_account(connection, visible, row.account, most=HISTORY)
        deeds = audit.of_account(connection, visible, row.account, most=HISTORY)
    since_ms = row.opened_ms - row.window * 60_000
    return visit.page(
        "pages/incident.html",
        status,
        incident=incident,
        record=record,
        row=row,
        form=form,
        path=_path(incident),
        account_path=f"/accounts/{segment(row.account)}",
        sentence=why(visit.words, row.rule, row.count, row.limit, row.window),
        chance=likelihood(row.score),
        pictures=[("wide", lanes.timeline(record, lanes.WIDE)), ("narrow", lanes.timeline(record, lanes.NARROW))],
        map=world(record["networks"]),
        networks=lanes.ordered_networks(record["networks"], since_ms),
        since_ms=since_ms,
        policy=_policy_rows(visit, record),
        signals=signals(record),
        verdicts=VERDICTS,
        others=[other for other in earlier if other.id != row.id][:HISTORY],
        blocks=account_blocks,
        block=next((block for block in account_blocks if block.holds(visit.now_ms)), None),
        deeds=deeds,
        contact=contact_text(visit.words, record, _times(incident, visit.now_ms)),
        why=why,
        scope_name=scope_name,
        service_name=service_name,
        deed_text=deed_text,
    )


def _policy_rows(visit: Visit, record: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Label, value and origin of each field of the policy that the incident was judged by."""
    policy = record["policy"]
    return [
        (
            visit.gettext(BY_NAME[name].label),
            shown(visit.words, name, policy[name]),
            policy["origins"].get(name, DEFAULT),
        )
        for name in FIELDS
        if name in policy
    ]


def _times(incident: Incident, now_ms: int) -> dict[str, str]:
    times = {"opened": gmt_text(incident.row.opened_ms)}
    if incident.row.is_blocked(now_ms) and incident.row.blocked_until_ms is not None:
        times["blocked_until"] = gmt_text(incident.row.blocked_until_ms)
    return times


def _path(incident: Incident) -> str:
    return f"/incidents/{segment(incident.row.id)}"
