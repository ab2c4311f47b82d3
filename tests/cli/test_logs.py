"""Where logs go and in which form."""

import subprocess
import sys

import orjson

PROGRAM = """
import logging, structlog
from streams.cli.logs import configure_logging
from streams.settings import Settings
log = structlog.get_logger("before")
configure_logging(Settings(log_format={form!r}, log_level={level!r}))
log.info("ready", port=1)
log.debug("detail")
logging.getLogger("library").info("chatter")
logging.getLogger("library").warning("trouble %s", 7)
secret = "hunter2"
try:
    raise ValueError("wrong")
except ValueError:
    log.exception("failed")
"""


def logged(form: str, level: str) -> subprocess.CompletedProcess[str]:
    """A process of its own, since logging is set up once for a process."""
    program = PROGRAM.format(form=form, level=level)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)


def test_json_logs_are_one_object_per_line() -> None:
    """Our own lines and those of libraries, from warning up, in one form on standard error."""
    done = logged("json", "info")

    lines = [orjson.loads(line) for line in done.stderr.splitlines()]
    assert done.stdout == ""
    assert [(line["event"], line["level"]) for line in lines] == [
        ("ready", "info"),
        ("trouble 7", "warning"),
        ("failed", "error"),
    ]
    assert lines[0]["port"] == 1
    assert "ValueError: wrong" in lines[2]["exception"]


def test_the_level_is_obeyed() -> None:
    """At error nothing less is said."""
    done = logged("json", "error")

    assert [orjson.loads(line)["event"] for line in done.stderr.splitlines()] == ["failed"]


def test_console_logs_show_no_variables() -> None:
    """Lines for people; a traceback without the values in it, since they may be secrets."""
    done = logged("console", "debug")

    assert "ready" in done.stderr
    assert "detail" in done.stderr
    assert "ValueError: wrong" in done.stderr
    assert "hunter2" not in done.stderr
