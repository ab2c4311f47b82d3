"""
`loginwatch account export` and `account erase`: what is known of one account, and its end, for data-protection requests.

Decision: what lies on topics that are not compacted cannot be deleted record by record, so it is named with the day on which
it is gone. The worker forgets an account by tombstones, and the doors by the one on `blocks`.
"""

# ruff: noqa: PLC0415 - the database is slow to import

from typing import Annotated, Any

import typer

from streams.cli import accounts, session
from streams.cli.moments import now_ms
from streams.cli.output import iso
from streams.cli.session import Session
from streams.core.accounts import canonical_account
from streams.core.refusal import Refused

KEYED = (
    "logins",
    "submissions",
    "account-commands",
    "account-views",
    "blocks",
    "incidents",
    "reviews",
    "notifications",
    "alerts",
    "dead-letters",
)
"""Topics on which records stand under the account's name."""
ACCESS_LISTS = "access-lists"
IN_THE_PANEL = ("account-commands", "blocks", "incidents", "reviews")
"""Those of them that the panel reads, all written by our own processes."""
Found = dict[str, list[dict[str, Any]]]


def export(context: typer.Context, account: accounts.Account, wait: accounts.Wait = 5) -> None:
    """Write all that is known of an account, as one JSON document: its state, its rules, every record that is kept."""
    run = session.of(context)
    name = canonical_account(account, run.settings.default_domain)
    found = records_of(run, name)
    rules = rules_of(run, name)
    view = accounts.ask(run, name, wait) if wait > 0 else None
    if view is None:
        run.out.note("No worker answered, so `state` is missing: is one running? See `loginwatch check`.")
    run.out.json = True
    run.out.done("", {"account": name, "exported": now_ms(), "state": view, **rules, "records": found})


def erase(
    context: typer.Context,
    account: accounts.Account,
    panel: Annotated[
        bool, typer.Option("--panel", help="In the panel's database (panel_database) too, its audit included.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    wait: accounts.Wait = 30,
) -> None:
    """Forget an account: its state, its block, its rules; and say what remains on which topic, until when."""
    run = session.of(context)
    name = canonical_account(account, run.settings.default_domain)
    run.confirm(f"Erase everything that is held of {name}? It cannot be brought back.", yes=yes)
    forgotten = [{"topic": topic, "key": key} for topic, key in _own_keys(run, name)]
    for record in forgotten:
        run.store.write(record["topic"], record["key"], None)
    accounts.send(run, name, "reset", reason="erased", forget=True)
    confirmed = wait > 0 and accounts.ask(run, name, wait) is not None
    found = records_of(run, name)
    rows = _erase_in_panel(run, name, _last_ms(run, found, forgotten)) if panel else None
    _say(run, name, confirmed, rows, what_remains(run, found), forgotten)


def records_of(run: Session, name: str) -> Found:
    """Every record that is kept under the account's key, by topic, oldest first."""
    import orjson

    from streams.cli.files import line_of

    found: Found = {topic: [] for topic in KEYED}
    for record in run.store.history(*KEYED, account=name):
        if record.key == name.encode():
            line = orjson.loads(line_of(run.store, record))
            found[record.topic].append({"timestamp": line["timestamp"], "value": line["value"]})
    return found


def rules_of(run: Session, name: str) -> dict[str, Any]:
    """The rules written for this account alone; what it inherits is in its state."""
    tables, scope = run.store.tables(), f"account:{name}"
    return {
        "policy": tables.policies.get(scope),
        "safe_networks": [row for row in tables.safe_networks.values() if row["scope"] == scope],
        "access_entries": list(_access_entries(run, name).values()),
    }


def what_remains(run: Session, found: Found) -> list[dict[str, Any]]:
    """Topics that still hold records of the account: how many, and when Kafka will have deleted the last."""
    from streams.topology import all_topics

    kept = {topic.name: topic for topic in all_topics(run.settings)}
    remaining = []
    for topic, records in found.items():
        here = [record for record in records if record["value"] is not None]
        if here:
            last = max(record["timestamp"] for record in here)
            until = last + (kept[topic].retention_ms or 0)
            remaining.append({"topic": topic, "records": len(here), "until": until})
    return remaining


def _own_keys(run: Session, name: str) -> list[tuple[str, str]]:
    """Records of compacted tables that are about this account alone, by the keys under which they lie there."""
    scope = f"account:{name}"
    rules = [
        (topic, key)
        for (topic, canonical), keys in run.store.tables().keys.items()
        if canonical == scope or (topic == "safe-networks" and canonical.rpartition(" ")[0] == scope)
        for key in sorted(keys)
    ]
    return [*rules, *((ACCESS_LISTS, key) for key in _access_entries(run, name))]


def _access_entries(run: Session, name: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for record in run.store.history(ACCESS_LISTS):
        key, row = (record.key or b"").decode(errors="replace"), run.store.decode(record)
        found.pop(key, None)
        if row is not None and row["account"] and _is(row["account"], name, run.settings.default_domain):
            found[key] = row
    return found


def _is(written: str, name: str, default_domain: str) -> bool:
    """Whether that is the canonical account, as the doors take it."""
    try:
        return canonical_account(written, default_domain) == name
    except Refused:
        return False


def _last_ms(run: Session, found: Found, forgotten: list[dict[str, Any]]) -> int:
    """When Kafka took the last record about the account that the panel reads."""
    times = [record["timestamp"] for topic in IN_THE_PANEL for record in found[topic]]
    keys = {(record["topic"], record["key"].encode()) for record in forgotten}
    rules = run.store.history("policies", "safe-networks") if keys else ()
    return max([*times, *(record.timestamp_ms for record in rules if (record.topic, record.key) in keys)], default=0)


def _erase_in_panel(run: Session, name: str, until_ms: int) -> int:
    from streams.panel.store import Store
    from streams.panel.store.erase import erase_account

    with Store(run.settings.panel_database.get_secret_value()) as store:
        return erase_account(store, name, until_ms)


def _say(
    run: Session,
    name: str,
    confirmed: bool,
    rows: int | None,
    remaining: list[dict[str, Any]],
    forgotten: list[dict[str, Any]],
) -> None:
    record = {
        "account": name,
        "confirmed": confirmed,
        "rules": forgotten,
        "panel_rows": rows,
        "remaining": remaining,
    }
    if run.out.json:
        run.out.done("", record)
        return
    if confirmed:
        run.out.done(f"The worker has forgotten {name}; {len(forgotten)} rule(s) of its own are gone.", record)
    else:
        run.out.done(f"The order is recorded; no worker has confirmed yet that it has forgotten {name}.", record)
    run.out.note(
        f"{rows} row(s) erased from the panel's database."
        if rows is not None
        else "The panel's database was not touched: see --panel."
    )
    if rows is not None and not confirmed:
        run.out.note(
            "What a worker still writes of the account before it forgets it comes there: erase again afterwards."
        )
    listed = [(row["topic"], row["records"], iso(row["until"])) for row in remaining]
    run.out.table(("Remains on", "Records", "Kafka deletes the last after"), listed, [], "Nothing remains on a topic.")
