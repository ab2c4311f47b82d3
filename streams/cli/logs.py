"""
Logging of the processes: structured lines to standard error, for people or for programs.

Decision: the command line decides where logs go, since only the outermost part of a process may; all others just log.
Libraries that use Python's own logging come through at warning and above, in the same form.
"""

import logging
import sys

import structlog

from streams.settings import Settings


def configure_logging(settings: Settings, *, least: int = logging.DEBUG) -> None:
    """
    Send all logs to standard error, in the form and from the severity that the settings state, but at least `least`.

    Commands that answer a question say the rest themselves, and set `least` to warning.
    """
    level = max(least, logging.getLevelNamesMapping()[settings.log_level.upper()])
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render = _json() if settings.log_format == "json" else _console()
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.WriteLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    _route_libraries(shared, render, max(level, logging.WARNING))


def _json() -> list[structlog.typing.Processor]:
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


def _console() -> list[structlog.typing.Processor]:
    # without rich tracebacks: they show local variables, secrets among them
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]


def _route_libraries(
    shared: list[structlog.typing.Processor], render: list[structlog.typing.Processor], level: int
) -> None:
    handler = logging.StreamHandler(sys.stderr)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
    )
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
