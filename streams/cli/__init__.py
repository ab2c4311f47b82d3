"""The command line: one subcommand per process and per thing an operator asks. Builds objects, owns no logic."""

import os
import sys


def main() -> None:
    """Run `loginwatch` with the arguments of this process; always ends it with SystemExit."""
    _open_what_is_closed()
    try:
        from streams.cli.app import app  # noqa: PLC0415 - tests and type checkers import this package without the tree
    except KeyboardInterrupt:  # later ones are the tree's
        sys.exit(130)
    app(prog_name="loginwatch")


def _open_what_is_closed() -> None:
    """
    Output that the caller has closed (`>&-`) goes nowhere, and no connection gets its number: libraries write there.

    Closed input stays without a stream: nothing to read is not the same as an empty file.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w")
