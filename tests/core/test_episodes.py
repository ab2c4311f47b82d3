"""What incidents, blocks and notifications are called."""

import json
import uuid

from hypothesis import given
from hypothesis import strategies as st

from streams.core.episodes import NAMESPACE, derived_id

texts = st.text(st.characters(codec="utf-8"), max_size=60)


@given(st.lists(texts | st.integers(-(2**63), 2**63 - 1), max_size=5))
def test_an_id_is_the_uuid_of_the_json_of_what_it_came_from(parts: list[str | int]) -> None:
    """UUIDv5, whatever characters are in it: who repeats the computation elsewhere gets the same one."""
    content = json.dumps(parts, separators=(",", ":"), ensure_ascii=False)

    assert derived_id(*parts) == str(uuid.uuid5(NAMESPACE, content))
