"""Waiting for changes, in threads and coroutines."""

import asyncio
import threading

from streams.panel.store.changes import Changes


async def test_coroutines_wake_when_something_of_their_kind_changes() -> None:
    """A page that waits for blocks sleeps through a change of rules."""
    changes = Changes()
    waiting = asyncio.create_task(changes.wait_async(0, 30, ["blocks"]))
    await asyncio.to_thread(changes.publish, {"change": 1, "rules": 1})
    assert await changes.wait_async(0, 30) == 1
    assert not waiting.done()

    await asyncio.to_thread(changes.publish, {"change": 2, "blocks": 2})

    assert await waiting == 2
    assert (changes.number, changes.of(["rules"]), changes.of(["rules", "blocks"])) == (2, 1, 2)


async def test_waiting_ends_with_its_timeout_and_leaves_nothing_behind() -> None:
    """Whoever saw the last change waits for the next one, but not longer than it said."""
    changes = Changes()
    changes.publish({"change": 5})

    assert await changes.wait_async(5, 0.01) == 5
    assert changes.wait(5, 0.01) == 5
    assert await changes.wait_async(4, 30) == 5
    assert not changes._waiting


async def test_everybody_is_woken_when_the_panel_stops() -> None:
    """No open page holds up the stop."""
    changes = Changes()
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(changes.wait(0, 30)), daemon=True)
    thread.start()
    waiting = asyncio.create_task(changes.wait_async(0, 30))
    await asyncio.sleep(0)

    changes.close()

    assert await waiting == 0
    thread.join(60)
    assert found == [0]
    assert changes.closed


def test_numbers_never_fall() -> None:
    """What a panel that stands by reads late does not undo what it knows."""
    changes = Changes()
    changes.publish({"change": 5})
    changes.publish({"change": 3})

    assert changes.number == 5
