"""Records of the tables and their keys."""

import orjson
import pytest

from streams.core.refusal import Refused
from tests.engine.feeding import NOW, POLICY, USER


@pytest.mark.parametrize(
    ("topic", "key", "record"),
    [
        ("policies", b"domain:example.org", POLICY),
        ("domains", b"example.com", {"domain": "example.org", "group": "a"}),
        (
            "safe-networks",
            b"everyone 192.0.2.0/25",
            {"scope": "everyone", "network": "192.0.2.0/24", "description": "office", "actor": "test", "time": NOW},
        ),
        ("policies", b"\xff\xfe", POLICY),
        ("policies", None, None),
    ],
)
def test_a_table_record_under_another_key_is_refused(records, topic, key, record):
    """Compaction goes by the key: such a record could never be taken back, and would hide another."""
    records.policy(allowed_ips=3)
    stamp = records.engine.book.rules(USER, NOW).stamp

    with pytest.raises(Refused) as refused:
        records.engine.apply_table(topic, key, None if record is None else orjson.dumps(record))

    assert refused.value.reason == "bad-key"
    assert records.engine.book.rules(USER, NOW).stamp == stamp


@pytest.mark.parametrize(
    ("topic", "key", "record"),
    [
        ("policies", b"Everyone", POLICY),
        ("domains", "BÜCHER.example.".encode(), {"domain": "xn--bcher-kva.example", "group": "a"}),
        (
            "safe-networks",
            b"everyone ::ffff:192.0.2.9/120",
            {"scope": "everyone", "network": "192.0.2.0/24", "description": "office", "actor": "test", "time": NOW},
        ),
    ],
)
def test_another_spelling_of_a_table_key_is_the_same_key(records, topic, key, record):
    """Only the meaning is compared; a tombstone under it takes the record back."""
    before = records.engine.book.rules("user@xn--bcher-kva.example", NOW).stamp

    records.engine.apply_table(topic, key, orjson.dumps(record))
    book = records.engine.book
    assert book.policies or book.groups or book.safe

    records.engine.apply_table(topic, key, None)
    assert book.rules("user@xn--bcher-kva.example", NOW).stamp == before
    assert not book.policies
    assert not book.groups
