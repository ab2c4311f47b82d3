"""
The worker: Faust as the shell, our own hot path. The only package that imports Faust.

Read it in the order of a batch: `transport` (fetch) → `rounds` (wait) → `agent` (decide, deliver) → `delivery` (wait for
Kafka) → `transport` again (commit). `table` and `changelog` are how the state of accounts survives; `lease` and `watchdog` are
how a worker notices that it should not go on; `main` starts and stops all of it.
"""
