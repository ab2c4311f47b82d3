"""`loginwatch topics`: made and verified as `streams/topology.py` states them; with a registry, its subjects too."""

# ruff: noqa: PLC0415 - Kafka's client is slow to import, and not needed for --help

import typer

from streams.cli import session
from streams.errors import TopicError


def register(root: typer.Typer) -> None:
    """Add the family."""
    family = typer.Typer(no_args_is_help=True, help="Topics on the broker.")
    family.command("create")(create)
    family.command("check")(check)
    root.add_typer(family, name="topics", rich_help_panel="Set-up")


def create(context: typer.Context) -> None:
    """Make the topics that are missing, and the registry's subjects; those that exist are left as they are."""
    from streams.bus.admin import ensure_topics
    from streams.records.subjects import ensure_subjects
    from streams.topology import all_topics

    run = session.of(context)
    created = ensure_topics(run.settings)
    run.store.wait_until_usable()
    registry = run.store.codec.registry
    subjects = ensure_subjects(registry) if registry is not None else []
    names = [topic.name for topic in all_topics(run.settings)]
    there = [name for name in names if name not in created]
    sentence = f"Created: {', '.join(created)}." if created else "Nothing to create."
    more = f" {len(there)} topics were there already; `loginwatch topics check` compares them." if there else ""
    named = f" Registered: {', '.join(subjects)}." if subjects else ""
    run.out.done(sentence + more + named, {"created": created, "existing": there, "registered": subjects})


def check(context: typer.Context) -> None:
    """Compare topics and the registry's subjects with what is needed; ends with code 78 if something differs."""
    from streams.bus.admin import check_topics
    from streams.records.subjects import check_subjects
    from streams.topology import all_topics

    run = session.of(context)
    registry = run.store.codec.registry
    problems = check_topics(run.settings) + (check_subjects(registry) if registry is not None else [])
    record = {"ok": not problems, "problems": problems}
    if not problems:
        run.out.done(f"All {len(all_topics(run.settings))} topics are as they should be.", record)
        return
    run.out.table(("Differs",), [(problem,) for problem in problems], record, "")
    raise typer.Exit(TopicError.exit_code)
