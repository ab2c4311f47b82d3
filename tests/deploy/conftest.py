"""The command line and PostgreSQL, for tests of procedures."""

from tests.cli.conftest import loginwatch
from tests.panel.conftest import postgres

__all__ = ["loginwatch", "postgres"]
