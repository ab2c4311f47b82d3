"""What the tests of the engine share."""

import pytest

from tests.engine.feeding import Records


@pytest.fixture
def records() -> Records:
    """An engine that has read nothing yet."""
    return Records()
