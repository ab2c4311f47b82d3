"""Replay: the worker's engine, driven by a file instead of Kafka."""
