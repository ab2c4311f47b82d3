"""Kafka as loginwatch uses it: clients, producer, views, readers, topic administration, embedded broker, health."""
