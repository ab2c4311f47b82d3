"""The tests of loginwatch: the same tree and names as `streams/`."""
