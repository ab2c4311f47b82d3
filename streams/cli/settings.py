"""`loginwatch settings`: what is in force, and where each value came from."""

import typer

from streams.cli import session


def register(root: typer.Typer) -> None:
    """Add the command."""
    root.command("settings", rich_help_panel="Set-up")(show)


def show(context: typer.Context) -> None:
    """Show every setting with its value, unit and origin; secrets are hidden."""
    run = session.of(context)
    from streams.settings import Settings  # noqa: PLC0415 - slow, and not needed for --help

    units = {name: (field.json_schema_extra or {}) for name, field in Settings.model_fields.items()}
    rows = []
    for origin in run.origins:
        extra = units[origin.name]
        unit = str(extra.get("unit", "")) if isinstance(extra, dict) else ""
        rows.append((origin.name, origin.value, origin.origin, unit))
    records = [dict(zip(("name", "value", "origin", "unit"), row, strict=True)) for row in rows]
    run.out.table(("Setting", "Value", "Origin", "Unit"), rows, records, "There are no settings.")
