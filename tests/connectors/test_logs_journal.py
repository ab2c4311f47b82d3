"""The script of docs/mail-servers.md that feeds the journal to the log reader, with a stand-in for journalctl."""

import os
import subprocess
import sys
from pathlib import Path

from streams.bus.embedded import EmbeddedBroker
from tests.connectors.dovecot import snippet
from tests.connectors.mail_log_kit import journal_line
from tests.connectors.test_logs import logins
from tests.tools import require_tools

ROOT = Path(__file__).parents[2]
POSITION = "/var/lib/loginwatch/logs.json"
JOURNALCTL = '#!/bin/sh\nprintf "%s\\n" "$*" >> asked\ncat journal\n'
LOGINWATCH = f'#!/bin/sh\nexec {sys.executable} -m streams.cli "$@"\n'


def test_the_journal_is_read_on_from_where_it_was(embedded: EmbeddedBroker, tmp_path: Path) -> None:
    """The second start asks for what came after the last line, and passes over what it gets once more."""
    require_tools("jq")
    script = "#!/bin/sh\n" + snippet("#!/bin/sh")
    assert POSITION in script
    for name, text in (("journalctl", JOURNALCTL), ("loginwatch", LOGINWATCH), ("script", script)):
        (tmp_path / name).write_text(text.replace(POSITION, "logs.json"))
        (tmp_path / name).chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LOGINWATCH_")} | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "LOGINWATCH_BOOTSTRAP_SERVERS": embedded.bootstrap_servers,
        "LOGINWATCH_PARTITIONS": str(embedded.settings.partitions),
        "LOGINWATCH_LOG_POSITION_FILE": "logs.json",
        "LOGINWATCH_LOGS_HEALTH_LISTEN": "127.0.0.1:0",
    }

    for number in (2, 3):
        (tmp_path / "journal").write_bytes(b"".join(map(journal_line, range(1, number + 1))))
        done = subprocess.run(["./script"], cwd=tmp_path, env=environment, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr.decode()

    cursor = f"s={'a' * 32};i=2;b={'b' * 32};m=1;t=2;x=3"
    assert (tmp_path / "asked").read_text().splitlines() == [
        "-o json --all -f --no-tail --since=now SYSLOG_FACILITY=2",
        f"-o json --all -f --no-tail --after-cursor={cursor} SYSLOG_FACILITY=2",
    ]
    assert logins(embedded) == [1, 2, 3]
