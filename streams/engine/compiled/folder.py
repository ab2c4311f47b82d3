"""
Where the machine code of the compiled functions is kept, apart for every content of the sources.

A folder may be *complete* for this processor, Python and numba: `streams.worker.ahead` has compiled everything into it. Looked
for it is where the user of this process may write, then in the installation, where `loginwatch worker --compile` puts it
for all users. What lies there and may not be written is copied: numba takes no folder in which it may not write.
"""

import hashlib
import os
import shutil
import stat
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite  # type: ignore[import-untyped,unused-ignore]
import numba
from llvmlite import binding
from numba import config as untyped_config

config: Any = untyped_config

SOURCES = ("core", "engine", "records", "worker")
"""Packages whose content decides what is compiled: their constants go into it."""
OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


@cache
def digest() -> str:
    """Of these very sources."""
    root = Path(__file__).parents[2]
    found = hashlib.blake2b(digest_size=12)
    for package in SOURCES:
        for file in sorted((root / package).rglob("*.py")):
            found.update(file.read_bytes())
    return found.hexdigest()


def of_user() -> Path:
    """In `CACHE_DIRECTORY` (of systemd), else in the user's cache folder; a user without a home has that of the installation."""
    given = os.environ.get("CACHE_DIRECTORY", "").partition(":")[0]
    if given:
        return Path(given, "compiled", digest())
    try:
        caches = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    except RuntimeError:
        return of_installation()
    return Path(caches, "loginwatch", "compiled", digest())


def of_installation() -> Path:
    """Beside the installed packages."""
    return Path(sys.prefix, "share", "loginwatch", "compiled", digest())


def problem(folder: Path) -> str:
    """Why machine code cannot be kept there, or must not be read from there; "" = it can. The folder is made if it is not there."""
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return "it cannot be written"
    if not is_trusted(folder):
        return "somebody else may write there, and what lies there is run"
    if not all(os.access(each, os.W_OK) for each in folder.rglob("*")):
        return "it has parts that cannot be written"
    return ""


def is_trusted(folder: Path) -> bool:
    """
    Whether nobody may have put machine code there but this user, root, and whoever owns the program itself.

    Folders that hold it may be open to others, as /tmp is and a volume of Kubernetes; they must not be somebody else's.
    """
    owners = {0, os.geteuid(), Path(__file__).stat().st_uid}
    try:
        parts = [each.stat() for each in (folder, *folder.rglob("*"))]
        return {each.stat().st_uid for each in folder.resolve().parents} <= owners and all(
            part.st_uid in owners and part.st_mode & OTHERS_MAY_WRITE == 0 for part in parts
        )
    except OSError:
        return False


def chosen() -> Path:
    """The folder for this process. It may have a `problem`: then everything is compiled anew."""
    given = os.environ.get("NUMBA_CACHE_DIR")
    if given:
        return Path(given, digest())
    own, installed = of_user(), of_installation()
    if is_complete(own) or not is_complete(installed) or not is_trusted(installed):
        return own
    if not problem(installed):
        return installed
    with suppress(OSError):
        _copy(installed, own)
    return own


def forget_others() -> None:
    """Remove from the installation what was compiled of other sources: of a version before, or before a change."""
    own = of_installation()
    for other in own.parent.glob("*"):
        if other != own:
            shutil.rmtree(other, ignore_errors=True)


def is_complete(folder: Path) -> bool:
    """Whether everything is there, for this processor."""
    return os.path.exists(_mark(folder))  # noqa: PTH110 - Path raises for a folder in which one may not look


def mark_complete(folder: Path) -> None:
    """Everything is there now, and nobody else may write it, whatever the umask was."""
    for each in folder.rglob("*"):
        each.chmod(each.stat().st_mode & ~OTHERS_MAY_WRITE)
    _mark(folder).touch(mode=0o644)


def _mark(folder: Path) -> Path:
    """A file whose name says what the machine code depends on besides the sources."""
    name, features = config.CPU_NAME, config.CPU_FEATURES  # of NUMBA_CPU_NAME and NUMBA_CPU_FEATURES
    processor = (
        binding.get_host_cpu_name() if name is None else name,
        binding.get_host_cpu_features().flatten() if features is None else features,
    )
    told = (digest(), sys.implementation.cache_tag, numba.__version__, llvmlite.__version__, processor)
    return folder / f"complete-{hashlib.blake2b(repr(told).encode(), digest_size=12).hexdigest()}"


def _copy(source: Path, target: Path) -> None:
    """At once or not at all: another process may do the same. Raises OSError where that cannot be, or something is there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as beside:
        whole = Path(beside, "whole")
        for file in source.rglob("*"):
            if file.is_file():
                place = whole / file.relative_to(source)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, place)
        whole.rename(target)
