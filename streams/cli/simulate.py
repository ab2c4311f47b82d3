"""`loginwatch simulate`: people and thieves, as a replay file, on the topics, or through a gateway's door."""

# ruff: noqa: PLC0415 - the simulator and Kafka are slow to import, and not needed for --help

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli import session
from streams.cli.moments import ago, duration_ms, now_ms
from streams.cli.session import Session
from streams.errors import UsageError

if TYPE_CHECKING:
    from streams.simulator.door import Visits
    from streams.simulator.run import Recipe


def register(root: typer.Typer) -> None:
    """Add the command."""
    root.command("simulate", rich_help_panel="Files")(simulate)


def simulate(
    context: typer.Context,
    to: Annotated[
        str,
        typer.Option(metavar="FILE|-|topics|URL", help="A file, standard output, the topics, or a gateway's address."),
    ] = "-",
    seed: Annotated[int, typer.Option(help="The same seed and options, the same bytes.")] = 1,
    accounts: Annotated[int, typer.Option(help="How many people.")] = 1000,
    duration: Annotated[str, typer.Option(metavar="TIME", help="Simulated time: 6h, 2d.")] = "1d",
    start: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Its beginning. Default: a fixed Monday for files, else now.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="Honest logins per second on average. Default: as in life.")
    ] = None,
    thieves: Annotated[int | None, typer.Option(help="How many thieves. Default: the published rate.")] = None,
    guesses: Annotated[float, typer.Option(help="Share of logins that are strangers' failing guesses, 0 to 1.")] = 0.0,
    late: Annotated[float, typer.Option(help="Share of records that come up to ten minutes late, 0 to 1.")] = 0.0,
    repeats: Annotated[float, typer.Option(help="Share of records that come twice, 0 to 1.")] = 0.0,
    speed: Annotated[
        float | None, typer.Option(min=0, help="1 is real time, 60 a minute a second. Default: a file at once, else 1.")
    ] = None,
    truth: Annotated[Path | None, typer.Option(metavar="FILE", help="Where the takeovers are written.")] = None,
    geo: Annotated[
        Path | None, typer.Option(metavar="FILE.mmdb", help="Write a geo database of the simulated world.")
    ] = None,
) -> None:
    """Simulate people who log in, and thieves among them; the truth goes beside the logins, never on a topic."""
    from streams.simulator.delivery import Disorder
    from streams.simulator.run import MONDAY_MS, Recipe, write_geo

    run = session.of(context)
    live = to == "topics" or to.startswith(("http://", "https://"))
    now = now_ms()
    begin = ago("--start", start, now)
    recipe = Recipe(
        seed=seed,
        accounts=accounts,
        start_ms=begin if begin is not None else now if live else MONDAY_MS,
        duration_ms=duration_ms("--duration", duration),
        rate=rate,
        thieves=thieves,
        guesses=guesses,
        disorder=Disorder(late=late, repeats=repeats),
    )
    file = None if live or to == "-" else Path(to)
    _demand_writable(geo, file, truth)
    if geo is not None:
        write_geo(geo)
    if live:
        _feed(run, recipe, to, 1.0 if speed is None else speed or None, truth)
    else:
        _write(run, recipe, file, truth)


def _demand_writable(geo: Path | None, file: Path | None, truth: Path | None) -> None:
    """All files that are to be written, before any is and before a record is anywhere."""
    from streams.simulator.run import demand_writable, truth_beside

    for path in (geo, file):
        if path is not None:
            demand_writable(path)
    beside = truth_beside(file, truth)
    if beside is not None:
        demand_writable(beside)
    _demand_apart([path for path in (geo, file, beside) if path is not None])


def _demand_apart(paths: list[Path]) -> None:
    """Refuse a file that is named twice: what is written last would be all that is left. A device or a pipe may be."""
    files = Counter(path.resolve() for path in paths if path.is_file() or not path.exists())
    for path, times in files.items():
        if times > 1:
            raise UsageError(
                f"{path} is to hold more than one of the logins, the takeovers and the geo database: name two files"
            )


def _write(run: Session, recipe: "Recipe", path: Path | None, truth: Path | None) -> None:
    from streams.simulator.run import write_jsonl

    lines = write_jsonl(path, recipe, truth=truth)
    if path is not None:
        run.out.done(f"{lines} records in {path}, the takeovers beside it.", {"records": lines, "file": str(path)})


def _feed(run: Session, recipe: "Recipe", to: str, speed: float | None, truth: Path | None) -> None:
    import asyncio

    from streams.simulator.run import demand_gateway, feed_gateway, feed_topic, write_truth

    key = run.settings.gateway_api_key.get_secret_value()
    if to != "topics":
        asyncio.run(demand_gateway(to, key))
    simulation = recipe.simulation()
    events = recipe.events(simulation)
    try:
        if to == "topics":
            sent = feed_topic(run.settings, events, speed)
            run.out.done(f"{sent} records are on the topics.", {"records": sent})
        else:
            _say_visits(run, to, asyncio.run(feed_gateway(to, key, events, speed)))
    finally:  # Ctrl-C is how most end, and afterwards nothing else tells who the thieves were
        if truth is not None:
            write_truth(truth, simulation.takeovers)


def _say_visits(run: Session, to: str, visits: "Visits") -> None:
    outcomes = {str(outcome): number for outcome, number in visits.outcomes.items()}
    counted = ", ".join(f"{number} {outcome}" for outcome, number in sorted(outcomes.items()))
    run.out.done(f"Logins at the door: {counted or 'none'}.", {"outcomes": outcomes, "broken": visits.broken})
    if visits.broken:
        raise UsageError(f"{visits.broken} requests had no proper answer from {to}: {visits.last_error}")
