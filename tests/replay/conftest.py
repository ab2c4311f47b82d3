"""The flag that writes the scenario files anew."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest tests/replay --accept-scenarios`; without it golden files are only read."""
    parser.addoption(
        "--accept-scenarios",
        action="store_true",
        help="write tests/scenarios/*.jsonl as the timelines and the replay say",
    )
