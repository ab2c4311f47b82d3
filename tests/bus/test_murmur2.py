"""Keys and partitions."""

from hypothesis import given
from hypothesis import strategies as st

from streams.bus.embedded import EmbeddedBroker
from streams.bus.murmur2 import murmur2, partition_for
from streams.bus.producer import Producer
from streams.bus.tail import Tail
from streams.topology import LOGINS

JAVA = {  # org.apache.kafka.common.utils.UtilsTest.testMurmur2
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


def test_hashes_are_those_of_javas_own_test() -> None:
    """The values in Kafka's UtilsTest."""
    assert {key: murmur2(key) for key in JAVA} == {key: value % 2**32 for key, value in JAVA.items()}


def test_every_key_lands_where_the_real_partitioner_puts_it(embedded: EmbeddedBroker) -> None:
    """Five thousand keys of all lengths and bytes, sent by our producer and read back."""
    keys = [bytes((number * 7 + index * number) % 256 for index in range(number % 61 + 1)) for number in range(2_500)]
    keys += [f"Üser{number}@example.org".encode() for number in range(2_500)]
    producer = Producer(embedded.settings)
    for key in keys:
        producer.send(LOGINS.name, b"", key=key)
    producer.close()

    with Tail(embedded.settings, [LOGINS]) as reader:
        landed = {record.key: record.partition for record in reader.until_end()}

    assert landed == {key: partition_for(key, embedded.settings.partitions) for key in keys}


@given(key=st.binary(max_size=100), partitions=st.integers(1, 1000))
def test_a_key_always_has_one_of_the_partitions(key: bytes, partitions: int) -> None:
    """In range, and the same again."""
    assert 0 <= partition_for(key, partitions) < partitions
    assert partition_for(key, partitions) == partition_for(key, partitions)
