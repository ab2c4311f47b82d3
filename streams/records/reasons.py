"""
Why bytes are no record: the stable words that metrics, dead letters and tests use, all in one place.

Each reason is a word for machines; the sentence beside it, written where it is found, tells the operator what and where.
"""

EMPTY = "empty"  # no bytes at all, where a record was expected
UNKNOWN_FORM = "unknown-form"  # the first byte is of none of the three forms
UNKNOWN_SCHEMA = "unknown-schema"  # fingerprint or registry id that nobody knows
SCHEMA_MISMATCH = "schema-mismatch"  # written with a schema that this record cannot be read from
TRUNCATED = "truncated"  # the bytes end before the record does
TRAILING_BYTES = "trailing-bytes"  # the record ends before the bytes do
BAD_AVRO = "bad-avro"  # lengths, enum or union numbers that no writer produces
BAD_UTF8 = "bad-utf8"  # text that is not UTF-8, lone surrogates included
BAD_JSON = "bad-json"  # no JSON, or NaN, Infinity, or nested too deeply
NOT_AN_OBJECT = "not-an-object"  # JSON, but not {...}
MISSING_FIELD = "missing-field"
NULL_FIELD = "null-field"  # null where a value is required
WRONG_TYPE = "wrong-type"
UNKNOWN_SYMBOL = "unknown-symbol"  # a word that the field does not know
OUT_OF_RANGE = "out-of-range"  # a number, or a list's length, beyond its limits
BAD_TIME = "bad-time"  # a text that is no RFC 3339 time with offset
TIME_OUT_OF_RANGE = "time-out-of-range"  # before 1970 or after 9999
TOO_LONG = "too-long"
CONTROL_CHARACTER = "control-character"
BAD_BASE64 = "bad-base64"
UNENCODABLE = "unencodable"  # a value of our own that its schema does not allow

REASONS = frozenset(value for name, value in list(globals().items()) if name.isupper() and isinstance(value, str))

SHOWN_CHARACTERS = 60


def shown(value: object) -> str:
    """
    How a refused value appears in a sentence: on one line, printable, cut to 60 characters.

    Of a list or an object only what it is: it may lie deeper in others than Python can write it.
    """
    if isinstance(value, list | tuple | dict):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    text = ascii(value[: SHOWN_CHARACTERS + 1] if isinstance(value, str | bytes) else value)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "..."
