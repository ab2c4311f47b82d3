"""Three real Kafka brokers that keep three copies of everything: for tests that lose one of them."""

from typing import Self

from streams.bus.clients import new_admin
from streams.settings import Settings
from tests.kafka_broker import KafkaBroker

BROKERS = 3
CLUSTER_ID = "bG9naW53YXRjaC10ZXN0cw"
SPREAD = """
offsets.topic.replication.factor=3
min.insync.replicas=2
default.replication.factor=3
"""


class KafkaCluster:
    """
    Broker N (from 0) has node id N + 1 and is a controller too; `settings` name all three.

    The group coordinator's topic has three copies, as in production: `__consumer_offsets` outlives a broker.
    """

    def __init__(self, settings: Settings) -> None:
        self.brokers = [KafkaBroker(settings=settings, extra=SPREAD, cluster_id=CLUSTER_ID) for _ in range(BROKERS)]
        voters = ",".join(f"{number}@{broker.voter}" for number, broker in enumerate(self.brokers, 1))
        for number, broker in enumerate(self.brokers, 1):
            broker.configure(f"node.id={number}\ncontroller.quorum.voters={voters}")
        servers = ",".join(broker.settings.bootstrap_servers for broker in self.brokers)
        self.settings = settings.model_copy(update={"bootstrap_servers": servers})

    def __enter__(self) -> Self:
        try:
            for broker in self.brokers:
                broker.launch()
            for broker in self.brokers:
                broker.until_it_answers()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all and delete their data."""
        for broker in self.brokers:
            broker.close()

    def leader(self, topic: str, partition: int) -> KafkaBroker:
        """The broker that takes writes of this partition now."""
        found = new_admin(self.settings).list_topics(topic, timeout=10).topics[topic].partitions[partition].leader
        return self.brokers[found - 1]

    def in_sync(self, topic: str) -> set[int]:
        """How many copies of its partitions are up to date."""
        partitions = new_admin(self.settings).list_topics(topic, timeout=10).topics[topic].partitions
        return {len(partition.isrs) for partition in partitions.values()}
