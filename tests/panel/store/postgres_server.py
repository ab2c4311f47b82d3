"""A real PostgreSQL for the tests: a cluster of its own on a free port, made in a temporary folder, thrown away after."""

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import psycopg

from tests.ports import Port

INSTALLED = Path("/usr/lib/postgresql")
USER = "postgres"
FAST = ("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")
"""Tests kill no machine; benchmarks start it without these."""


def binaries() -> Path | None:
    """Where the newest installed PostgreSQL has its programs; None where there is none."""
    on_path = shutil.which("initdb")
    if on_path is not None:
        return Path(on_path).parent
    found = sorted(INSTALLED.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


class PostgresServer:
    """A running server; `database()` makes an empty database and returns its URL."""

    def __init__(self, options: Sequence[str] = FAST) -> None:
        programs = binaries()
        assert programs is not None
        self._programs = programs
        self._folder = Path(tempfile.mkdtemp(prefix="loginwatch-postgres-"))
        self._port = Port()
        self._user = USER if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        if os.geteuid() == 0:  # it refuses to run as root
            shutil.chown(self._folder, USER, USER)
        data = str(self._folder / "data")
        # an ordinary language, so that a column that forgets its collation is found out
        self._run("initdb", "-D", data, "-A", "trust", "-U", USER, "--locale=C.UTF-8", "-E", "UTF8")
        addresses = ("-c listen_addresses=127.0.0.1", f"-p {self._port.number}", f"-k {self._folder}")
        self._options = " ".join([*addresses, *_joined(options)])
        self.resume()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = f"panel_{secrets.token_hex(6)}"
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self._address(name)

    def stop(self) -> None:
        """End the server and delete everything."""
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-m", "immediate", "-w", "stop")
        shutil.rmtree(self._folder)
        self._port.release()

    def pause(self) -> None:
        """Stop the server hard, as a machine does that falls over."""
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-m", "immediate", "-w", "stop")

    def resume(self) -> None:
        """Start it again, at the same address."""
        data = str(self._folder / "data")
        self._run("pg_ctl", "-D", data, "-w", "-t", "60", "-l", str(self._folder / "log"), "-o", self._options, "start")

    def _address(self, database: str) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self._port.number}/{database}"

    def _run(self, program: str, *arguments: str) -> None:
        ran = subprocess.run(
            [str(self._programs / program), *arguments],
            user=self._user if os.geteuid() == 0 else None,
            cwd=self._folder,
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=120,
        )
        if ran.returncode:
            raise RuntimeError(f"{program} failed: {ran.stderr.decode(errors='replace')}")


def _joined(options: Sequence[str]) -> list[str]:
    return [f"{flag} {value}" for flag, value in zip(options[::2], options[1::2], strict=True)]
