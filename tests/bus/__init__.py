"""Tests of Kafka as loginwatch uses it."""
