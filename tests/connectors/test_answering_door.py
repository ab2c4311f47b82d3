"""How a door's process is tuned: in one place, for both doors, and only where the process is a door alone."""

import gc
import re
import subprocess
import sys
from pathlib import Path

import pytest

from streams.bus.embedded import EmbeddedBroker
from streams.connectors import answering_door
from streams.settings import Settings
from tests.connectors.doors import gateway_settings, open_door
from tests.connectors.policy_clients import open_service, postfix_settings

ROOT = Path(__file__).parents[2]
ALONE = """
import gc, sys
from streams.connectors import {module}
from streams.settings import Settings

def ready(door):
    sys.stdout.write(f"TUNED {{sys.getswitchinterval():.6f}} {{gc.get_freeze_count()}}\\n")
    door.request_stop()

sys.exit({module}.serve(Settings(bootstrap_servers=sys.argv[1], gateway_listen="127.0.0.1:0", gateway_api_key="k",
                                 postfix_listen="127.0.0.1:0", postfix_health_listen="127.0.0.1:0"), ready=ready))
"""


@pytest.fixture
def broker():
    with EmbeddedBroker(Settings(partitions=2)) as broker:
        yield broker


@pytest.mark.parametrize("module", ["gateway", "postfix"])
def test_a_process_that_is_a_door_is_tuned_once_it_is_ready(broker, module):
    """Views give way soon, and the collector passes over what they loaded."""
    done = subprocess.run(
        [sys.executable, "-c", ALONE.format(module=module), broker.bootstrap_servers],
        capture_output=True, text=True, cwd=ROOT, timeout=60, check=True,
    )  # fmt: skip

    tuned = re.search(r"TUNED ([\d.]+) (\d+)$", done.stdout, re.MULTILINE)
    assert tuned is not None
    assert float(tuned[1]) == answering_door.SWITCH_S
    assert int(tuned[2]) > 10_000


def test_a_door_in_a_thread_leaves_the_process_as_it_is(broker):
    """The demo and tests are more than a door."""
    before = sys.getswitchinterval(), gc.get_freeze_count()

    with open_door(gateway_settings(broker.settings)), open_service(postfix_settings(broker.settings)):
        assert (sys.getswitchinterval(), gc.get_freeze_count()) == before


def test_doors_are_tuned_in_one_place():
    """Two places would drift apart, or undo each other."""
    words = ("setswitchinterval", "gc.freeze", "gc.set_threshold", "gc.disable")
    found = {
        path.name
        for path in (ROOT / "streams" / "connectors").glob("*.py")
        if any(word in path.read_text(encoding="utf-8") for word in words)
    }

    assert found == {"answering_door.py"}
