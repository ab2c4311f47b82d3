"""Logins read by compiled code are those that `records.login.from_single_object` reads."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from streams.core.state import SERVICES
from streams.engine.compiled.login import read_login
from streams.records.codec import Codec
from streams.records.login import from_single_object

CODEC = Codec()
NOW = 1_767_700_000_000
OPTIONAL = ("id", "session", "server", "client", "failure")
LOGIN: dict[str, Any] = {
    "time": NOW,
    "account": "user@example.org",
    "ip": "192.0.2.1",
    "success": True,
    "service": "imap",
    **dict.fromkeys(OPTIONAL),
}
Fields = tuple[int, str, str, bool, str]


def read(raw: bytes, before: bytes = b"", behind: bytes = b"") -> Fields | None:
    """The fields of a record between other bytes; None where it was declined."""
    data = np.frombuffer(before + raw + behind, np.uint8)
    at, end = len(before), len(before) + len(raw)
    known, time_ms, account_at, account_end, ip_at, ip_end, success, service = read_login(data, at, end)
    if not known:
        return None
    assert at <= account_at <= account_end < ip_at <= ip_end < end
    account, ip = data[account_at:account_end].tobytes(), data[ip_at:ip_end].tobytes()
    return time_ms, account.decode("ascii"), ip.decode("ascii"), success, SERVICES[service]


def reference(raw: bytes) -> Fields | None:
    """What the fast reader in Python reads."""
    login = from_single_object(raw)
    return None if login is None else login[:5]


plain = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=63)
usual = st.fixed_dictionaries(
    {
        "time": st.integers(1_100_000_000_000, 2_190_000_000_000),
        "account": plain,
        "ip": plain,
        "success": st.booleans(),
        "service": st.sampled_from(SERVICES),
        **dict.fromkeys(
            OPTIONAL,
            st.none() | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=70) | st.just("x" * 1024),
        ),
    }
)
texts = st.text(st.characters(categories=("L", "N", "P", "S")), max_size=200)
unusual = st.one_of(
    st.fixed_dictionaries({"time": st.integers(0, 2**41 - 1)}),
    st.fixed_dictionaries(dict.fromkeys(("account", "ip"), texts)),
    *(st.fixed_dictionaries({name: texts}) for name in OPTIONAL),
)


@given(usual)
@settings(deadline=None, max_examples=500)
def test_the_usual_form_is_read_and_never_declined(value: dict[str, Any]) -> None:
    """Else every login would go the slow way."""
    raw = CODEC.encode("Login", value)

    assert read(raw) == reference(raw) == tuple(value[name] for name in ("time", "account", "ip", "success", "service"))


@st.composite
def spoiled(draw: st.DrawFn) -> bytes:
    """A record with some bytes changed, taken out, put in, or cut off."""
    raw = bytearray(CODEC.encode("Login", {**LOGIN, **draw(usual), **draw(unusual | st.just({}))}))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(raw) - 1))
        change = draw(st.sampled_from(["bit", "byte", "out", "in"]))
        if change == "bit":
            raw[at] ^= 1 << draw(st.integers(0, 7))
        elif change == "byte":
            raw[at] = draw(st.sampled_from([0, 1, 2, 3, 12, 127, 128, 129, 255]))
        elif change == "out" and len(raw) > 1:
            del raw[at]
        else:
            raw.insert(at, draw(st.integers(0, 255)))
    return bytes(raw[: draw(st.just(len(raw)) | st.integers(0, len(raw)))])


@given(raw=spoiled() | st.binary(max_size=60), before=st.binary(max_size=3), data=st.data())
@settings(deadline=None, max_examples=1000)
def test_what_is_read_is_what_the_reader_in_python_reads(raw: bytes, before: bytes, data: st.DataObject) -> None:
    """And nothing behind its end has a say in it: other bytes there change nothing."""
    fields = read(raw, before)

    assert fields is None or fields == reference(raw)
    for behind in (bytes(2000), b"\x02\x02a" * 600, data.draw(st.binary(max_size=20))):
        assert read(raw, before, behind) == fields
    event(f"read: {fields is not None}")


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("long", OPTIONAL)
def test_a_record_cut_anywhere_is_declined(service: str, long: str) -> None:
    """Though what was cut off still stands behind it."""
    raw = CODEC.encode("Login", {**LOGIN, "service": service, long: "y" * 200})

    assert read(raw) is not None
    assert [end for end in range(len(raw)) if read(raw[:end], behind=raw[end:]) is not None] == []


@pytest.mark.parametrize(
    "fields",
    [{"account": "üser@example.org"}, {"account": "x" * 64}, {"ip": "1" * 64}, {"time": 1}, {"id": "\u00e9"}],
)  # fmt: skip
def test_what_is_rare_is_declined(fields: dict[str, Any]) -> None:
    """The general readers have it."""
    assert read(CODEC.encode("Login", {**LOGIN, **fields})) is None


@pytest.mark.parametrize("character", [b"\x00", b"\n", b"\x1f", b"\x7f", b"\x80", b"\xff"])
@pytest.mark.parametrize("name", ["account", "ip", *OPTIONAL])
def test_a_control_character_is_never_taken(name: str, character: bytes) -> None:
    """Wherever it stands: the engine refuses such a record."""
    raw = CODEC.encode("Login", {**LOGIN, name: "a#b"})

    assert read(raw) is not None
    assert read(raw.replace(b"a#b", b"a" + character + b"b")) is None


CHECKED = """
from tests.engine.compiled.test_login import CODEC, LOGIN, OPTIONAL, read, reference
raw = CODEC.encode("Login", {**LOGIN, **dict.fromkeys(OPTIONAL, "y" * 70)})
assert read(raw) is not None
for end in range(len(raw)):
    for more in (b"", b"\\x7e", b"\\x02\\x7e", b"\\x02\\xfe\\x07"):
        assert read(raw[:end] + more) in (None, reference(raw[:end] + more))
"""


def test_nothing_is_read_behind_the_last_byte(tmp_path: Path) -> None:
    """Compiled with checks of every index, which otherwise there are none: a record may be the last in its array."""
    variables = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", CHECKED], env=variables, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr
