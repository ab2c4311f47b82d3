"""
Real Dovecots with a configuration of their own in a temporary folder, on free ports.

2.3 is the one of this machine, from Debian's packages; 2.4 one in a Debian tree of its own, which `tests/dovecot24` builds
and the variable DOVECOT24_ROOT names. What docs/mail-servers.md tells an administrator to write is taken from there.
"""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from tests.connectors import mail_clients
from tests.connectors.doors import wait_for
from tests.connectors.mail_clients import PASSWORD
from tests.ended import end
from tests.ports import free_port
from tests.tools import skip_or_fail

USERS = tuple(f"{name}@example.org" for name in ("alice", "bob", "carol", "dave", "erin", "frank", "grace"))
LONGEST_SOCKET_PATH = 100
NOBODY = 65534

PAGE = Path(__file__).parents[2] / "docs" / "mail-servers.md"
GATEWAY_URL = "http://127.0.0.1:9102/"
TLS_URL = "https://gateway.example.org:9102/"
CA_FILE = "/etc/ssl/certs/ca-certificates.crt"
PROXIES = "192.0.2.0/24"
"""What stands in the page where the tests have values of their own."""
LOGIN_PROGRAMS = ("imap-login", "pop3-login", "submission-login", "managesieve-login")

SERVICES = """
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service submission-login {{
  inet_listener submission {{
    port = {submission}
  }}
}}
service managesieve-login {{
  inet_listener sieve {{
    port = {sieve}
  }}
}}
service auth {{
  unix_listener {folder}/sasl {{
    mode = 0666
  }}
}}
service anvil {{
  # no 2 to 15 s of penalty after a denial: the test does not wait for it
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"""
COMMON = """
base_dir = {folder}/run
state_dir = {folder}/state
instance_name = loginwatch-test-{imap}
log_path = {folder}/dovecot.log
auth_verbose = yes
protocols = imap pop3 submission sieve
listen = {address}
ssl = no
mail_privileged_group =
first_valid_uid = 1
default_internal_user = dovecot
default_login_user = dovenull
default_internal_group = dovecot
auth_failure_delay = 0
submission_relay_host = 127.0.0.1
submission_relay_port = {relay}
submission_relay_trusted = yes
"""
OLD = (
    COMMON
    + """
disable_plaintext_auth = no
mail_location = maildir:{folder}/mail/%u
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/users
}}
userdb {{
  driver = static
  args = uid={nobody} gid={nobody} home={folder}/mail/%u
}}
# the submission service knows what its relay can without asking it
submission_backend_capabilities = 8bitmime
"""
    + SERVICES
)
NEW = (
    "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\n"
    + COMMON
    + """
auth_allow_cleartext = yes
mail_driver = maildir
mail_path = {folder}/mail/%{{user}}
passdb passwd-file {{
  passwd_file_path = {folder}/users
  default_password_scheme = PLAIN
}}
userdb static {{
  fields {{
    uid = {nobody}
    gid = {nobody}
    home = {folder}/mail/%{{user}}
  }}
}}
submission_backend_capabilities {{
  8bitmime = yes
}}
"""
    + SERVICES
)

DIRECTOR = """
director_servers = 127.0.0.1:{ring}
director_mail_servers = {backends}
service director {{
  inet_listener {{
    address = 127.0.0.1
    port = {ring}
  }}
  unix_listener login/director {{
    mode = 0666
  }}
  fifo_listener login/proxy-notify {{
    mode = 0666
  }}
}}
service imap-login {{
  executable = imap-login director
}}
"""
"""A ring of one: 2.3 only, 2.4 has none."""


@dataclass(frozen=True)
class Release:
    """A Dovecot of one release, which sees the files below `root` only. `patience` is written after the documented settings."""

    name: str
    configuration: str
    patience: str
    """A busy test machine is slower than a mail server may be."""
    root: Path | None

    def missing(self) -> str | None:
        """What is missing to run it here; None if nothing."""
        if self.root is None:
            return f"{self.name} needs a Debian tree of its own (make dovecot24, or DOVECOT24_ROOT)"
        programs = [name for name in LOGIN_PROGRAMS if not (self.root / "usr/lib/dovecot" / name).exists()]
        if programs or not (self.root / "usr/sbin/dovecot").exists():
            return (
                f"{self.name} is not installed (no {', '.join(programs) or 'dovecot'}): apt-get install dovecot-imapd"
                " dovecot-pop3d dovecot-submissiond dovecot-managesieved"
            )
        return "Dovecot needs root to start" if os.geteuid() != 0 else None

    def require(self) -> None:
        """Skip where it cannot run; fail instead where CI says that it must: 2.3 always, 2.4 where its tree is named."""
        reason = self.missing()
        if reason and self.root is None:
            pytest.skip(reason)
        if reason:
            skip_or_fail(reason)

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """A folder of its own, with a name that is short enough for sockets in it, unlike tmp_path."""
        self.require()
        place = None if self.root in (None, Path("/")) else self.root / "tmp"
        with tempfile.TemporaryDirectory(prefix="dovecot-", dir=place) as name:
            yield Path(name)


DOVECOT_23 = Release("Dovecot 2.3", OLD, "auth_policy_server_timeout_msecs = 2000\n", Path("/"))
DOVECOT_24 = Release(
    "Dovecot 2.4",
    NEW,
    "auth_policy {\n  http_client_request_absolute_timeout = 2000ms\n}\n",
    Path(os.environ["DOVECOT24_ROOT"]).resolve() if os.environ.get("DOVECOT24_ROOT") else None,
)
RELEASES = (DOVECOT_23, DOVECOT_24)


def snippet(title: str) -> str:
    """The configuration in docs/mail-servers.md whose first line is a comment that ends so, without that line."""
    for block in PAGE.read_text().split("```\n")[1::2]:
        first, _, rest = block.partition("\n")
        if first.startswith("#") and first.endswith(title):
            return rest
    raise AssertionError(f"docs/mail-servers.md has no snippet for {title}")


class Dovecot:
    """
    Runs inside the `with` block with what the page tells, and asks the door at `url` (None: nobody).

    `ports` are those of its services, `sasl` is the socket at which it authenticates for Postfix. With a `doveadm_key` it
    also serves doveadm's HTTP API, at `doveadm_port`. Its submission service hands messages to the SMTP port `relay`.
    With `proxy_to` it passes IMAP sessions on to the Dovecot at that port; with `backends` as a director, which chooses one of
    these addresses for each user. Behind such a one it `trusts_proxies` for the clients' addresses. With `ca` it trusts that
    authority, for an https URL.
    """

    def __init__(
        self,
        folder: Path,
        url: str | None,
        key: str = "none",
        *,
        doveadm_key: str | None = None,
        doveadm_port: int | None = None,
        relay: int | None = None,
        address: str = mail_clients.HERE,
        imap_port: int | None = None,
        proxy_to: int | None = None,
        backends: Sequence[str] = (),
        trusts_proxies: bool = False,
        ca: Path | None = None,
        release: Release = DOVECOT_23,
    ) -> None:
        assert release.root is not None, release.missing()
        self._folder = folder
        self._release = release
        self._inside = "/" / folder.relative_to(release.root)
        assert len(str(self._inside)) < LONGEST_SOCKET_PATH - 30, "the folder is too long for sockets in it"
        self._address = address
        self.ports = {name: free_port() for name in ("imap", "pop3", "submission", "sieve")}
        self.ports["imap"] = imap_port or self.ports["imap"]
        self.doveadm_port = doveadm_port or free_port()
        self.sasl = folder / "sasl"
        self.log_file = folder / "dovecot.log"
        host = "" if backends else "host=127.0.0.1 "
        self._make_folders(f"proxy=y {host}port={proxy_to}" if proxy_to else "")
        configuration = release.configuration.format(
            folder=self._inside, nobody=NOBODY, relay=relay or free_port(), address=address, **self.ports
        )
        if backends:
            configuration += DIRECTOR.format(ring=free_port(), backends=" ".join(backends))
        if trusts_proxies:
            configuration += snippet("behind proxies or directors").replace(PROXIES, "127.0.0.0/8")
        if url is not None:
            policy = snippet(f"95-loginwatch.conf, {release.name}").replace(GATEWAY_URL, url).replace("SECRET", key)
            configuration += policy + release.patience
        if ca is not None:
            shutil.copy(ca, folder / "ca.pem")
            (folder / "ca.pem").chmod(0o644)
            configuration += snippet("TLS to the gateway").replace(CA_FILE, str(self._inside / "ca.pem"))
            configuration = configuration.replace(TLS_URL, url or "")
        if doveadm_key is not None:
            doveadm = snippet(f"96-loginwatch.conf, {release.name}").replace("SECRET", doveadm_key)
            configuration += doveadm.replace("8081", str(self.doveadm_port))
        (folder / "dovecot.conf").write_text(configuration)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """The port of IMAP."""
        return self.ports["imap"]

    def _make_folders(self, extra_fields: str) -> None:
        for name in ("run", "state", "mail"):
            (self._folder / name).mkdir()
        shutil.chown(self._folder / "mail", NOBODY, NOBODY)
        self._folder.chmod(0o755)
        users = "".join(f"{user}:{PASSWORD}::::::{extra_fields}\n" for user in USERS)
        (self._folder / "users").write_text(users)

    def __enter__(self) -> Self:
        command = [*self._chroot(), "dovecot", "-F", "-c", self._inside / "dovecot.conf"]
        with (self._folder / "stderr").open("wb") as errors:
            self._process = subprocess.Popen(command, stdout=errors, stderr=errors)
        wait_for(lambda: self._listens() or self._process.poll() is not None, "Dovecot to listen")
        assert self._process.poll() is None, self.log() + (self._folder / "stderr").read_text()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        end(self._process)

    def login(
        self, user: str, password: str = PASSWORD, address: str = mail_clients.HERE, *, service: str = "imap"
    ) -> str:
        """Log in from an address of the loopback network: "" if it works, else what the client is told."""
        return mail_clients.CLIENTS[service](self.ports[service], user, password, address)

    def reload(self) -> None:
        """As docs/mail-servers.md advises after the gateway was away."""
        command = [*self._chroot(), "doveadm", "-c", self._inside / "dovecot.conf", "reload"]
        subprocess.run(command, check=True, capture_output=True, timeout=20)

    def log(self) -> str:
        """What Dovecot wrote."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else "(no log)"

    def _chroot(self) -> list[str | Path]:
        root = self._release.root
        return [] if root in (None, Path("/")) else ["chroot", root]

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((self._address, self.port)) == 0


@contextmanager
def running_dovecot(
    url: str | None, key: str = "none", *, release: Release = DOVECOT_23, **more: Any
) -> Iterator[Dovecot]:
    """A Dovecot in a folder that goes with it; skipped where that release cannot run."""
    with release.folder() as folder, Dovecot(folder, url, key, release=release, **more) as dovecot:
        yield dovecot
