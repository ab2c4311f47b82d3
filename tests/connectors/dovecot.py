"""A real Dovecot 2.3 from Debian's packages, with a configuration of its own in a temporary folder, on a free port."""

import imaplib
import os
import shutil
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.connectors.doors import wait_for

PASSWORD = "right-password"
USERS = ("alice@example.org", "bob@example.org", "carol@example.org")
LONGEST_SOCKET_PATH = 100
NOBODY = 65534

PAGE = Path(__file__).parents[2] / "docs" / "mail-servers.md"
GATEWAY_URL = "http://127.0.0.1:9102/"

CONFIGURATION = """
base_dir = {folder}/run
state_dir = {folder}/state
instance_name = loginwatch-test-{port}
log_path = {folder}/dovecot.log
auth_verbose = yes
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
mail_location = maildir:{folder}/mail/%u
mail_privileged_group =
first_valid_uid = 1
default_internal_user = {internal}
default_login_user = {login}
default_internal_group = {group}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/mail/%u
}}
service imap-login {{
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  # no 2 to 15 s of penalty after a denial: the test does not wait for it
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
auth_failure_delay = 0
"""
PATIENCE = "auth_policy_server_timeout_msecs = 2000\n"
"""After the documented settings: a busy test machine is slower than a mail server may be."""

DOVEADM = """
doveadm_api_key = {key}
service doveadm {{
  inet_listener http {{
    address = 127.0.0.1
    port = {port}
  }}
}}
"""


def snippet(title: str) -> str:
    """The configuration in docs/mail-servers.md whose first line is a comment that ends so, without that line."""
    for block in PAGE.read_text().split("```\n")[1::2]:
        first, _, rest = block.partition("\n")
        if first.startswith("#") and first.endswith(title):
            return rest
    raise AssertionError(f"docs/mail-servers.md has no snippet for {title}")


def missing() -> str | None:
    """What is missing to run Dovecot here; None if nothing."""
    if shutil.which("dovecot") is None:
        return "Dovecot is not installed: apt-get install dovecot-core dovecot-imapd"
    if os.geteuid() != 0:
        return "Dovecot needs root to start"
    return None


def require_dovecot() -> None:
    """Skip where Dovecot cannot run; fail instead where CI says that it must."""
    reason = missing()
    if reason and os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


class Dovecot:
    """
    Runs inside the `with` block and asks the door at `url`. `port` is its IMAP port.

    With a `doveadm_key` it also serves doveadm's HTTP API, at `doveadm_port`.
    """

    def __init__(self, folder: Path, url: str, key: str, *, doveadm_key: str | None = None) -> None:
        assert len(str(folder)) < LONGEST_SOCKET_PATH - 30, "the folder is too long for sockets in it"
        self._folder = folder
        self.port = free_port()
        for name in ("run", "state", "mail"):
            (folder / name).mkdir()
        shutil.chown(folder / "mail", NOBODY, NOBODY)
        folder.chmod(0o755)
        (folder / "users").write_text("".join(f"{user}:{PASSWORD}\n" for user in USERS))
        (folder / "dovecot.conf").write_text(
            CONFIGURATION.format(
                folder=folder, port=self.port, uid=NOBODY, gid=NOBODY,
                internal="dovecot", login="dovenull", group="dovecot",
            )
            + snippet("Dovecot 2.3").replace(GATEWAY_URL, url).replace("SECRET", key)
            + PATIENCE
        )  # fmt: skip
        self.doveadm_port = free_port()
        if doveadm_key is not None:
            with (folder / "dovecot.conf").open("a") as configuration:
                configuration.write(DOVEADM.format(key=doveadm_key, port=self.doveadm_port))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            ["dovecot", "-F", "-c", self._folder / "dovecot.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(lambda: self._listens() or self._process.poll() is not None, "Dovecot to listen")
        assert self._process.poll() is None, self.log()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def login(self, user: str, password: str = PASSWORD, address: str = "127.0.0.1") -> str:
        """Log in by IMAP from an address of the loopback network: "" if it works, else what the client is told."""
        client = _Imap(self.port, address)
        try:
            client.login(user, password)
        except imaplib.IMAP4.error as refused:
            return str(refused)
        finally:
            client.shutdown()
        return ""

    def session(self, user: str, address: str = "127.0.0.1") -> imaplib.IMAP4:
        """A session that is logged in by IMAP and stays open."""
        client = _Imap(self.port, address)
        client.login(user, PASSWORD)
        return client

    def log(self) -> str:
        """What Dovecot wrote."""
        path = self._folder / "dovecot.log"
        return path.read_text(errors="replace") if path.exists() else "(no log)"

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class _Imap(imaplib.IMAP4):
    def __init__(self, port: int, address: str) -> None:
        self._address = address
        super().__init__("127.0.0.1", port, timeout=30)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout, source_address=(self._address, 0))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
