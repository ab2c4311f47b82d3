"""The end of a process that a test has started: asked first, killed if it does not listen, and never waited for without end."""

import subprocess

KILLED_WITHIN_S = 20


def end(process: subprocess.Popen[bytes], within_s: float = 20) -> None:
    """Terminate it; kill it when it has not ended within this time. One that has ended already is left alone."""
    process.terminate()
    try:
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(KILLED_WITHIN_S)
