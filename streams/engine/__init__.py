"""The engine: from a record on an input topic to the records that follow. Worker and replay drive this very code."""
