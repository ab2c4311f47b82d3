"""Faust as its documentation shows it: one event at a time, a table in memory with its changelog, a topic of blocks."""

import sys
from typing import Any

import faust

from benchmarks.peers.job import WINDOW_MS, decode, judge, mark, setting

app = faust.App(
    setting("APP"),
    broker=f"kafka://{setting('KAFKA')}",
    store="memory://",
    datadir=setting("STATE_DIR"),
    topic_partitions=4,
    topic_replication_factor=1,
    web_enabled=False,
)
logins = app.topic(setting("INPUT"), value_serializer="raw", key_serializer="raw")
blocks = app.topic(setting("OUTPUT"), value_serializer="raw", key_serializer="raw")
accounts = app.Table("accounts", default=dict, partitions=4, key_type=str)
begun: list[bool] = []


@app.agent(logins)
async def watch(stream: Any) -> None:
    async for raw in stream:
        if not begun:
            begun.append(True)
            mark("FIRST")
        login = decode(raw)
        if not login["success"]:
            continue
        account, time_ms = login["account"], login["time"]
        state = accounts[account]
        seen = state.setdefault("seen", {})
        if judge(seen, state.get("quiet", 0), login["ip"], time_ms):
            state["quiet"] = time_ms + WINDOW_MS
            await blocks.send(key=account.encode(), value=str(time_ms).encode())
        accounts[account] = state


if __name__ == "__main__":
    sys.argv = ["faust", "worker", "--loglevel", "warn", "--without-web"]
    app.main()
