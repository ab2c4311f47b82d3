"""The pure core: what is detected and decided. No I/O, no clock, no log, no Kafka. Start with `detect.py`."""
