"""Programs of the system that a test needs: skip where one is missing, fail where CI says that it must be there."""

import os
import shutil
from typing import NoReturn

import pytest


def require_tools(*names: str) -> None:
    """Skip with the reason, or fail with it when `CI` is set."""
    missing = [name for name in names if shutil.which(name) is None]
    if not missing:
        return
    skip_or_fail(f"{', '.join(missing)} is not installed (make test-deps)")


def skip_or_fail(reason: str) -> NoReturn:
    """Skip with the reason, or fail with it when `CI` is set: there every part must be."""
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(reason)
    pytest.skip(reason)
