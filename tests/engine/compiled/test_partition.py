"""The compiled hash is the one that everybody partitions by."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.bus.murmur2 import partition_for
from streams.engine.compiled.partition import partition_of


@given(
    key=st.binary(max_size=80),
    before=st.binary(max_size=9),
    behind=st.binary(max_size=9),
    partitions=st.integers(1, 5000),
)
@settings(deadline=None, max_examples=1000)
def test_a_key_has_the_partition_that_bus_gives_it(key: bytes, before: bytes, behind: bytes, partitions: int) -> None:
    """Wherever it lies among other bytes."""
    data = np.frombuffer(before + key + behind, np.uint8)

    assert partition_of(data, len(before), len(before) + len(key), partitions) == partition_for(key, partitions)
