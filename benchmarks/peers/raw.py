"""
The limit of a Python program: a confluent-kafka consumer, fastavro, a dictionary. Nothing is durable, nothing committed.

It prints DONE with the number of blocks when it has read COUNT logins.
"""

from confluent_kafka import Consumer

from benchmarks.peers.job import WINDOW_MS, decode, judge, mark, setting


def main() -> None:
    consumer = Consumer(
        {"bootstrap.servers": setting("KAFKA"), "group.id": setting("APP"), "auto.offset.reset": "earliest",
         "enable.auto.commit": False, "queued.min.messages": 200_000, "fetch.queue.backoff.ms": 5}
    )  # fmt: skip
    consumer.subscribe([setting("INPUT")])
    accounts: dict[str, dict[str, int]] = {}
    quiet: dict[str, int] = {}
    left, blocks, begun = int(setting("COUNT")), 0, False
    while left:
        for message in consumer.consume(500, 1):
            if not begun:
                begun = True
                mark("FIRST")
            left -= 1
            login = decode(message.value())
            if not login["success"]:
                continue
            account, time_ms = login["account"], login["time"]
            seen = accounts.get(account)
            if seen is None:
                seen = accounts[account] = {}
            if judge(seen, quiet.get(account, 0), login["ip"], time_ms):
                quiet[account] = time_ms + WINDOW_MS
                blocks += 1
    mark("DONE", blocks)
    consumer.poll(600)


if __name__ == "__main__":
    main()
