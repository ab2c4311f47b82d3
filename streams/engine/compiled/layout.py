"""Where what stands: in a table of fetched records, in a state's header and in an entry of a network."""

from streams.core.state import ENTRY, HEADER

OFFSET, TIMESTAMP, KEY, KEY_END, VALUE, VALUE_END = range(6)
"""Columns of a table. Ends are -1 for null; the starts are right even then, as the positions where the bytes would be."""
COLUMNS = 6
NULL = -1

HEADER_SIZE, ENTRY_SIZE = HEADER.size, ENTRY.size
NUMBER_AT, APPLIED_AT, NEWEST_AT, COUNTS_FROM_AT, STAMP_AT, WINDOW_AT, PREFIXES_AT = 2, 4, 12, 20, 28, 36, 38
"""In the header of a state (`core.state.HEADER`)."""
COUNTRY_AT, FIRST_AT, DAYS_AT, BEFORE_AT, START_AT, BACK_AT, LAST_AT, LOGINS_AT, SERVICE_AT, ADDRESS_AT = (
    1, 3, 9, 13, 15, 23, 27, 35, 39, 40,
)  # fmt: skip
"""In an entry (`core.state.ENTRY`)."""
