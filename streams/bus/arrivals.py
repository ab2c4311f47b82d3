"""Messages as soon as there are any."""

from confluent_kafka import Consumer, Message


def arrived(consumer: Consumer, most: int, timeout_s: float) -> list[Message]:
    """
    At most so many messages; waits for the first only. Empty when none came in time.

    Asked for many at once, librdkafka waits all of the time for the last of them: with 0.1 s a block reached a door 55 ms
    after it was written (median, Kafka on the same machine), so 3.
    """
    first = consumer.consume(1, timeout_s)
    return first + consumer.consume(most - 1, 0) if first and most > 1 else first
