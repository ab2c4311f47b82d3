"""
Deployed settings: each is declared once, with type, default, unit and help, in the file of the process that it belongs to.

Decision: one flat list for all processes, so that one file or one environment serves a whole fleet. Precedence, first
wins: `--set name=value` on the command line, environment `LOGINWATCH_NAME`, a file `LOGINWATCH_NAME` in the secrets
directory (`LOGINWATCH_SECRETS_DIR`), the TOML file (`--config` or `LOGINWATCH_CONFIG`), the default. Policies, which
change while running, are no settings: they live on a topic.

A new process gets a file beside these and its group a line in `fleet.py`; `sources.py` reads the values.
"""

from streams.settings.fleet import Settings
from streams.settings.sources import ENVIRONMENT_PREFIX, Origin, load_settings, load_with_origins

__all__ = ["ENVIRONMENT_PREFIX", "Origin", "Settings", "load_settings", "load_with_origins"]
