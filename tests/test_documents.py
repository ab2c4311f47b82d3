"""The pages link to what exists, and name no machine."""

import re
import subprocess
from pathlib import Path

import pytest

from streams.cli.health import LISTENS

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md"), *ROOT.glob("benchmarks/*.md")]
)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def blocks(page: Path) -> list[str]:
    """A page's blocks of code."""
    return re.findall(r"^ *```\w*\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[str]:
    """The lines of a page's blocks of code."""
    return "".join(blocks(page)).splitlines()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    """A reader who follows a relative link finds the file."""
    links = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]

    missing = [link for link in links if not (page.parent / link).exists()]

    assert missing == []


def test_the_files_named_in_the_architecture_exist() -> None:
    """The page is a way through the house: every path on it can be opened."""
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    paths = re.findall(r"`((?:streams|tests|schemas|deploy)/[\w./-]+)`", text)

    assert len(paths) > 15
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_lock_file_names_no_registry() -> None:
    """Names, versions and hashes are enough."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")

    assert not re.search(r"^\s*(--(extra-)?index-url|.*https?://)", lock, re.MULTILINE)
    assert "--hash=sha256:" in lock


def test_the_version_stands_in_the_changelog() -> None:
    """A release without a note is none."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.+)"$', project, re.MULTILINE)

    assert version is not None
    assert f"## [{version[1]}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_an_example_that_blocks_tells_somebody(page: Path) -> None:
    """What is typed as it stands blocks nobody unseen."""
    blocking = [line for line in commands(page) if " policy set " in line and "--block-time" in line]

    assert [line for line in blocking if "--notify" not in line] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_does_not_return_is_the_last_command_of_its_block(page: Path) -> None:
    """What stands below it would never be run."""
    processes = re.compile(rf"^ *loginwatch ({'|'.join(LISTENS)}) *(#.*)?\n(?=.)", re.MULTILINE)

    assert [found[0] for block in blocks(page) if (found := processes.search(block))] == []


@pytest.mark.parametrize("page", ["docs/install.md", "docs/operations.md"])
def test_an_installation_takes_no_development_tools(page: str) -> None:
    """The lock file has them; as in the image all of it is fetched by hash, and what loginwatch needs is installed from that."""
    steps = [line.split("pip ", 1)[1] for line in commands(ROOT / page) if "/opt/loginwatch/bin/pip " in line]

    assert [step.split()[0] for step in steps] == ["download", "install"]
    assert "--require-hashes -r requirements.lock" in steps[0]
    assert "--no-index --find-links" in steps[1]


def test_the_makefile_has_the_commands_of_the_readme() -> None:
    """What the README tells people to type is there."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"^make ([a-z-]+)", readme, re.MULTILINE))

    assert {"demo", "test"} <= targets
    for target in targets:
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)
