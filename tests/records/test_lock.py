"""Released schemas are never edited."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from streams.records.lock import LOCK, add_lines, problems, read_lock
from streams.records.schemas import folder, load_all


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The schemas and their lock, free to be spoilt."""
    return Path(shutil.copytree(folder(), tmp_path / "schemas"))


def edit(path: Path, change: dict[str, Any], *, to: Path | None = None) -> None:
    """Write the schema with its last field changed."""
    schema = json.loads(path.read_text())
    schema["fields"][-1] |= change
    (to or path).write_text(json.dumps(schema))


def wrong(directory: Path) -> list[str]:
    return problems(list(load_all(directory)), read_lock(directory))


def test_the_schemas_of_this_tree_are_locked_and_compatible() -> None:
    """This is the test that refuses an edited file, a missing line or a version that cannot be read."""
    assert wrong(folder()) == []


@pytest.mark.parametrize(
    "change",
    [
        {"name": "groups"},
        {"type": "string", "default": ""},
        {"default": "x", "type": ["string", "null"]},
        {"type": ["null", "bytes"]},
    ],
    ids=["a name", "a type", "a default", "a type in a union"],
)
def test_an_edited_file_is_refused(copy: Path, change: dict[str, Any]) -> None:
    """Whatever has a meaning for bytes or readers is seen."""
    edit(copy / "Domain.1.avsc", change)

    assert wrong(copy) == ["Domain.1.avsc was released and is edited: restore it and make version 2"]


def test_a_changed_default_is_refused_though_its_fingerprint_is_the_same(copy: Path) -> None:
    """Defaults and logical types are not part of a fingerprint, but of the second sum."""
    path = copy / "Login.1.avsc"
    path.write_text(path.read_text().replace('"default": "other"}, "default"', '"default": "http"}, "default"'))

    assert len(wrong(copy)) == 1


def test_mended_words_are_allowed(copy: Path) -> None:
    """A better doc changes nothing for anybody's bytes."""
    edit(copy / "Domain.1.avsc", {"doc": "Better words."})

    assert wrong(copy) == []


def test_a_deleted_file_is_refused(copy: Path) -> None:
    """Old bytes may be on a topic for months."""
    (copy / "Domain.1.avsc").unlink()

    assert wrong(copy) == ["Domain.1.avsc was released and is gone"]


def test_a_new_version_needs_its_line(copy: Path) -> None:
    """It is not locked until the command has run, which locks it."""
    edit(copy / "Domain.1.avsc", {"default": None}, to=copy / "Domain.2.avsc")

    assert wrong(copy) == ["Domain.2.avsc is not locked: run python -m streams.records.lock"]
    assert add_lines(copy) == []
    assert wrong(copy) == []


def test_a_version_that_cannot_be_read_is_not_locked(copy: Path) -> None:
    """The lock stays as it was, and the sentence says what is wrong."""
    before = (copy / LOCK).read_text()
    edit(copy / "Domain.1.avsc", {"name": "reseller", "type": "string"}, to=copy / "Domain.2.avsc")
    text = (copy / "Domain.2.avsc").read_text().replace('"default": null, ', "")
    (copy / "Domain.2.avsc").write_text(text)

    assert any("Domain.2 cannot read Domain.1" in sentence for sentence in add_lines(copy))
    assert (copy / LOCK).read_text() == before


def test_a_version_number_is_not_skipped(copy: Path) -> None:
    """Version 3 without 2 is a mistake in a name."""
    shutil.copy(copy / "Domain.1.avsc", copy / "Domain.3.avsc")

    assert "Domain.3.avsc has no version before it" in wrong(copy)


def test_the_command_is_silent_when_all_is_well() -> None:
    """Run on this tree, it changes nothing and exits with 0."""
    before = (folder() / LOCK).read_text()

    done = subprocess.run([sys.executable, "-m", "streams.records.lock"], capture_output=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert (folder() / LOCK).read_text() == before
