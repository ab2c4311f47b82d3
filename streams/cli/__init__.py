"""The command line: one subcommand per process and per thing an operator asks. Builds objects, owns no logic."""


def main() -> None:
    """Run `loginwatch` with the arguments of this process; always ends it with SystemExit."""
    from streams.cli.app import app  # noqa: PLC0415 - tests and type checkers import this package without the tree

    app(prog_name="loginwatch")
