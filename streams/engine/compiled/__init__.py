"""
The compiled hot path: the usual login, from its bytes to the patched state, without a Python object for it.

Read `kernel.py` first. Nothing here decides what the core does not: what is unusual is declined, and goes to the engine one
record at a time. Imported by the worker only: numba takes a third of a second.
"""
