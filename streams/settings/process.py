"""What every process has."""

from typing import Literal

from streams.settings.declare import Group, setting


class ProcessSettings(Group):
    """What every process has."""

    log_level: Literal["debug", "info", "warning", "error"] = setting("info", "Least severity that is logged.")
    log_format: Literal["console", "json"] = setting("console", "Lines for people, or JSON for programs.")
