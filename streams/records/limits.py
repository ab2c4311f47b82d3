"""
What a value from outside may look like, beyond its type: length of text, control characters, ranges, length of lists.

Decision: these limits hold for the records that come from outside (`OUTSIDE`), whatever their form, on reading and on
writing; the core checks meaning (addresses, account names, country codes). Records that loginwatch derives itself are
only checked for their types.
"""

import re
from collections.abc import Mapping

from streams.errors import BadRecordError
from streams.records.reasons import BAD_UTF8, CONTROL_CHARACTER, OUT_OF_RANGE, TOO_LONG, shown

OUTSIDE = frozenset(
    {"Login", "Submission", "AccountCommand", "Policy", "SafeNetwork", "Domain", "Review", "AccessEntry"}
)

TEXT_CHARACTERS = 1024
"""The longest ordinary text. RFC 5321 allows 320 for an address, RFC 2616 servers take user agents up to some hundreds."""
LONG_TEXT: Mapping[str, int] = {"Review.note": 10_000}
MULTILINE = frozenset({"Review.note"})
"""Fields in which line breaks and tabs are ordinary."""
LIST_MEMBERS = 1000

INT_RANGE = (-(2**31), 2**31 - 1)
LONG_RANGE = (-(2**63), 2**63 - 1)
NUMBER_RANGES: Mapping[str, tuple[int, int]] = {
    "Submission.recipients": (0, INT_RANGE[1]),
    "Submission.size": (0, LONG_RANGE[1]),
}
"""Narrower than the Avro type, where nothing later in the house looks at the number."""

SURROGATE = re.compile("[\ud800-\udfff]")
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
CONTROL_BUT_LINES = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def check_text(text: str, field: str) -> str:
    """The text itself, if it is short enough and free of control characters and lone surrogates."""
    if len(text) > (limit := LONG_TEXT.get(field, TEXT_CHARACTERS)):
        raise BadRecordError(TOO_LONG, f"{field} has {len(text)} characters, more than {limit}: {shown(text)}")
    if text.isprintable():  # no control character or surrogate is printable
        return text
    if SURROGATE.search(text):
        raise BadRecordError(BAD_UTF8, f"{field} contains half of a surrogate pair: {shown(text)}")
    pattern = CONTROL_BUT_LINES if field in MULTILINE else CONTROL
    if found := pattern.search(text):
        raise BadRecordError(
            CONTROL_CHARACTER, f"{field} contains the control character U+{ord(found[0]):04X}: {shown(text)}"
        )
    return text


def check_number(number: int, field: str, bounds: tuple[int, int]) -> int:
    """The number itself, if it lies inside the bounds."""
    lowest, highest = bounds
    if not lowest <= number <= highest:
        raise BadRecordError(OUT_OF_RANGE, f"{field} is {shown(number)}, outside {lowest} to {highest}")
    return number
