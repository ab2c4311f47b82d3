"""Quix Streams with state in RocksDB and its changelog; the state is bytes, which its manual recommends for speed."""

import json
from typing import Any

from quixstreams import Application, State

from benchmarks.peers.job import WINDOW_MS, decode, judge, mark, setting

begun: list[bool] = []


def watch(raw: bytes, state: State) -> list[bytes]:
    """The block of this login, if it leads to one."""
    if not begun:
        begun.append(True)
        mark("FIRST")
    login = decode(raw)
    if not login["success"]:
        return []
    held = state.get_bytes("seen")
    kept: dict[str, Any] = json.loads(held) if held else {"quiet": 0, "seen": {}}
    time_ms = login["time"]
    found = judge(kept["seen"], kept["quiet"], login["ip"], time_ms)
    if found:
        kept["quiet"] = time_ms + WINDOW_MS
    state.set_bytes("seen", json.dumps(kept, separators=(",", ":")).encode())
    return [str(time_ms).encode()] if found else []


def main() -> None:
    app = Application(
        broker_address=setting("KAFKA"),
        consumer_group=setting("APP"),
        auto_offset_reset="earliest",
        commit_interval=float(setting("COMMIT_S")),
        state_dir=setting("STATE_DIR"),
        loglevel="WARNING",
        consumer_extra_config={"queued.min.messages": 200_000, "fetch.queue.backoff.ms": 5},
    )
    logins = app.topic(setting("INPUT"), value_deserializer="bytes", key_deserializer="bytes")
    blocks = app.topic(setting("OUTPUT"), value_serializer="bytes", key_serializer="bytes")
    app.dataframe(logins).apply(watch, stateful=True, expand=True).to_topic(blocks)
    app.run()


if __name__ == "__main__":
    main()
