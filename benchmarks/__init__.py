"""Benchmarks: `python -m benchmarks` or `make bench`. Results go to standard output, as a table or as JSON."""
