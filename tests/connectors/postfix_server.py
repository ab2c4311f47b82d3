"""A real Postfix from Debian's packages, configured in a temporary folder, on a free port, with SASL by a real Dovecot."""

import os
import shutil
import signal
import smtplib
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tests.connectors import mail_clients
from tests.connectors.doors import wait_for
from tests.connectors.dovecot import Dovecot, running_dovecot, snippet
from tests.connectors.mail_clients import HERE, PASSWORD
from tests.ended import end
from tests.ports import free_port
from tests.tools import skip_or_fail

DAEMONS = Path("/usr/lib/postfix/sbin")

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
smtpd_sasl_path = {sasl}
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_client_event_limit_exceptions = static:all
smtpd_authorized_xclient_hosts = 127.0.0.1
smtpd_error_sleep_time = 0
{restrictions}
"""

POLICY = "inet:127.0.0.1:9105"
"""What stands for the policy service in docs/mail-servers.md."""

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

QUEUE = (
    "data",
    *(f"queue/{name}" for name in ("active", "bounce", "corrupt", "defer", "deferred", "hold", "incoming", "trace")),
    *(f"queue/{name}" for name in ("maildrop", "pid", "private", "public", "saved", "flush")),
)
"""What Postfix would make at its first start, in 3 s; `quick-start` tells it that all is there."""


def require_postfix() -> None:
    """Skip where Postfix cannot run; fail instead where CI says that it must."""
    reason = None
    if not (DAEMONS / "master").exists():
        reason = "Postfix is not installed: apt-get install postfix"
    elif os.geteuid() != 0:
        reason = "Postfix needs root to start"
    if reason:
        skip_or_fail(reason)


class PostfixServer:
    """
    A Postfix that asks the policy service at `policy` (inet:host:port or unix:path) of logged-in senders, and the Dovecot
    behind the socket `sasl` for their passwords.
    """

    def __init__(self, folder: Path, policy: str, sasl: Path, port: int | None = None) -> None:
        self.folder = folder
        self.port = port or free_port()
        folder.chmod(0o755)
        (folder / "etc").mkdir()
        for name in QUEUE:
            (folder / name).mkdir(parents=True)
            shutil.chown(folder / name, "postfix")
            (folder / name).chmod(0o700)
        shutil.chown(folder / "queue" / "public", group="postdrop")
        (folder / "queue" / "public").chmod(0o710)
        (folder / "queue" / "quick-start").touch()
        restrictions = snippet("in master.cf").replace(POLICY, policy)
        main = MAIN.format(folder=folder, sasl=sasl, restrictions=restrictions)
        (folder / "etc" / "main.cf").write_text(main)
        os.utime(folder / "etc" / "main.cf", (0, 0))  # one that is new is read again and again for 2 s
        (folder / "etc" / "master.cf").write_text(MASTER.format(port=self.port))

    @contextmanager
    def running(self) -> Iterator["PostfixServer"]:
        """Started, and stopped at the end."""
        environment = {key: value for key, value in os.environ.items() if key != "MAIL_CONFIG"}
        command = ["postfix", "-c", str(self.folder / "etc"), "start-fg"]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: self._greets() or process.poll() is not None, "Postfix to answer")
            assert process.poll() is None, self.log()
            yield self
        finally:
            try:
                self._stop_master()
            finally:
                end(process)

    def _stop_master(self) -> None:
        """`postfix start-fg` passes no signal on to its master, which would go on without its folder."""
        path = self.folder / "queue" / "pid" / "master.pid"
        if not path.exists():
            return
        pid = int(path.read_text())
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not Path(f"/proc/{pid}").exists(), "Postfix to end")

    def session(self, user: str = "alice@example.org", address: str = HERE) -> smtplib.SMTP:
        """An SMTP session from an address of the loopback network, logged in."""
        smtp = smtplib.SMTP(HERE, self.port, timeout=30, source_address=(address, 0))
        smtp.login(user, PASSWORD)
        return smtp

    def login(self, user: str, password: str = PASSWORD, address: str = HERE) -> str:
        """Log in from an address of the loopback network: "" if it works, else what the client is told."""
        return mail_clients.smtp(self.port, user, password, address)

    def log(self) -> str:
        """What it wrote."""
        path = self.folder / "mail.log"
        return path.read_text(errors="replace") if path.exists() else "(no log)"

    def _greets(self) -> bool:
        try:
            with smtplib.SMTP("127.0.0.1", self.port, timeout=5) as smtp:
                return smtp.noop()[0] == 250
        except (OSError, smtplib.SMTPException):
            return False


@contextmanager
def running_postfix(policy: str, dovecot: Dovecot | None = None, *, port: int | None = None) -> Iterator[PostfixServer]:
    """A Postfix in a folder that goes with it, and beside it a Dovecot that asks nobody, unless one is given."""
    require_postfix()
    with ExitStack() as opened:
        sasl = (dovecot or opened.enter_context(running_dovecot(None))).sasl
        # not tmp_path, whose name is too long for sockets
        folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="postfix-"))
        yield opened.enter_context(PostfixServer(Path(folder), policy, sasl, port).running())


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
