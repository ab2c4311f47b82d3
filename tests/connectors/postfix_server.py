"""A real Postfix with SASL by a real Dovecot, both from Debian's packages, configured in a temporary folder, on free ports."""

import os
import shutil
import signal
import smtplib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.connectors.doors import wait_for
from tests.connectors.dovecot import PASSWORD, USERS, free_port

DAEMONS = Path("/usr/lib/postfix/sbin")

SASL = """
base_dir = {folder}/dovecot
state_dir = {folder}/dovecot
instance_name = loginwatch-sasl-{port}
log_path = {folder}/dovecot.log
protocols =
ssl = no
disable_plaintext_auth = no
default_internal_user = dovecot
default_login_user = dovenull
default_internal_group = dovecot
auth_failure_delay = 0
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/users
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service auth {{
  unix_listener {folder}/sasl {{
    mode = 0666
  }}
}}
"""

MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
myhostname = mail.example.org
mydestination =
mynetworks = 192.0.2.25/32
inet_protocols = ipv4
default_transport = discard
alias_maps =
local_recipient_maps =
smtputf8_enable = yes
smtpd_client_restrictions =
smtpd_tls_security_level = none
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {folder}/sasl
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_client_event_limit_exceptions = static:all
smtpd_error_sleep_time = 0
{restrictions}
"""

RESTRICTIONS = """
smtpd_sender_restrictions =
  check_policy_service {{ {policy}, timeout=2s, {{ default_action=DUNNO }}, try_limit=2, retry_delay=1s }}
smtpd_end_of_data_restrictions =
  check_policy_service {{ {policy}, timeout=2s, {{ default_action=DUNNO }}, try_limit=2, retry_delay=1s,
    policy_context=end-of-data }}
"""
"""What an administrator writes into main.cf (or as `-o` of the submission service)."""

MASTER = """
127.0.0.1:{port} inet n - n - 2 smtpd
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
flush     unix n - n 1000? 0 flush
proxymap  unix - - n - - proxymap
error     unix - - n - - error
retry     unix - - n - - error
discard   unix - - n - - discard
anvil     unix - - n - 1 anvil
postlog   unix-dgram n - n - 1 postlogd
"""


def require_postfix() -> None:
    """Skip where Postfix with Dovecot's SASL cannot run; fail instead where CI says that it must."""
    reason = None
    if not (DAEMONS / "master").exists() or shutil.which("dovecot") is None:
        reason = "Postfix or Dovecot is not installed: apt-get install postfix dovecot-core"
    elif os.geteuid() != 0:
        reason = "Postfix needs root to start"
    if reason and os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


class PostfixServer:
    """A Postfix that asks the policy service at `policy` (inet:host:port or unix:path) of logged-in senders."""

    def __init__(self, folder: Path, policy: str) -> None:
        self.folder = folder
        self.port = free_port()
        folder.chmod(0o755)
        for name in ("dovecot", "etc", "queue", "data"):
            (folder / name).mkdir()
        shutil.chown(folder / "data", "postfix")
        (folder / "users").write_text("".join(f"{user}:{PASSWORD}\n" for user in USERS))
        (folder / "dovecot.conf").write_text(SASL.format(folder=folder, port=self.port))
        restrictions = RESTRICTIONS.format(policy=policy)
        (folder / "etc" / "main.cf").write_text(MAIN.format(folder=folder, restrictions=restrictions))
        (folder / "etc" / "master.cf").write_text(MASTER.format(port=self.port))

    @contextmanager
    def running(self) -> Iterator["PostfixServer"]:
        """Both started, and stopped at the end."""
        environment = {key: value for key, value in os.environ.items() if key != "MAIL_CONFIG"}
        commands = (
            ["dovecot", "-F", "-c", str(self.folder / "dovecot.conf")],
            ["postfix", "-c", str(self.folder / "etc"), "start-fg"],
        )
        processes = [
            subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for command in commands
        ]
        try:
            wait_for(lambda: self._greets() or any(p.poll() is not None for p in processes), "Postfix to answer")
            assert [process.poll() for process in processes] == [None, None], self.log()
            yield self
        finally:
            self._stop_master()
            for process in processes:
                process.terminate()
            for process in processes:
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def _stop_master(self) -> None:
        """`postfix start-fg` passes no signal on to its master, which would go on without its folder."""
        path = self.folder / "queue" / "pid" / "master.pid"
        if not path.exists():
            return
        pid = int(path.read_text())
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not Path(f"/proc/{pid}").exists(), "Postfix to end")

    def session(self, user: str = "alice@example.org", address: str = "127.0.0.1") -> smtplib.SMTP:
        """An SMTP session from an address of the loopback network, logged in."""
        smtp = smtplib.SMTP("127.0.0.1", self.port, timeout=30, source_address=(address, 0))
        smtp.login(user, PASSWORD)
        return smtp

    def log(self) -> str:
        """What both wrote."""
        paths = [self.folder / name for name in ("mail.log", "dovecot.log")]
        return "\n".join(path.read_text(errors="replace") for path in paths if path.exists())

    def _greets(self) -> bool:
        if not (self.folder / "sasl").exists():
            return False
        try:
            with smtplib.SMTP("127.0.0.1", self.port, timeout=5) as smtp:
                return smtp.noop()[0] == 250
        except (OSError, smtplib.SMTPException):
            return False


def send(
    smtp: smtplib.SMTP, sender: str = "alice@example.org", recipients: tuple[str, ...] = ("x@example.com",)
) -> str:
    """Send a message in a session: "" if it is taken, else the reply to the command that was refused."""
    try:
        smtp.sendmail(sender, list(recipients), "Subject: hello\r\n\r\nA line.\r\n")
    except smtplib.SMTPRecipientsRefused as refused:
        return _reply(*next(iter(refused.recipients.values())))
    except smtplib.SMTPResponseException as refused:
        return _reply(refused.smtp_code, refused.smtp_error)
    return ""


def _reply(code: int, text: bytes | str) -> str:
    return f"{code} {text.decode() if isinstance(text, bytes) else text}"
