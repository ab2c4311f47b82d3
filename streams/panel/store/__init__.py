"""
What the panel knows: a read model of the topics, and the panel's own people.

Decision: pages read one database that a thread fills from Kafka (`follower.py`), with offsets and rows in the same
transaction, so each record counts once. The tables of the read model can be wiped and come again from the topics; people,
their sessions and the audit stay. Core tables and frozen rows instead of mapped objects: a page reads, it never edits.
Every query takes a `Visible`, so none can forget whose domains the reader may see.
"""

from streams.panel.store.cursors import Page
from streams.panel.store.store import Store
from streams.panel.store.visible import EVERYTHING, Visible

__all__ = ["EVERYTHING", "Page", "Store", "Visible"]
