"""
What the benchmarks on a real Kafka share.

`kafka` starts the broker and fills and reads topics, `log` makes the logins, `process` runs and measures one process,
`systems` knows every program that is compared, `check` compares outputs with a replay, `results` writes the JSON, and
`table` writes the tables of the documentation from it.
"""
