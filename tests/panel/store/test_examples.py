"""The examples in docstrings are true."""

import doctest
from types import ModuleType

import pytest

from streams.panel.store import cursors, hierarchy, likelihood, login_counts, packing, policies, rows, visible


@pytest.mark.parametrize(
    "module", [cursors, hierarchy, likelihood, login_counts, packing, policies, rows, visible], ids=lambda m: m.__name__
)
def test_examples_in_docstrings_are_true(module: ModuleType) -> None:
    """Each of these modules has some."""
    ran = doctest.testmod(module)

    assert ran.attempted > 0
    assert ran.failed == 0
