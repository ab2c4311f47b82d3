"""Many rows at once: what comes out of the database is what went in."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select
from sqlalchemy.exc import DataError

from streams.core.addresses import parse_network
from streams.panel.store import Store, rows
from streams.panel.store.ranges import number_bytes
from streams.panel.store.tables import ACCOUNT, NETWORK
from streams.panel.store.writes import add, insert_new, matching, upsert
from tests.panel.store.postgres_server import PostgresServer

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
ROW = st.fixed_dictionaries(
    {
        "last_ms": st.integers(-(1 << 63), (1 << 63) - 1),  # in another order than the table's
        "start": st.binary(max_size=16),
        "prefix": st.integers(0, 128),
        "account": TEXT,
        "domain": TEXT,
        "address": TEXT,
        "country": st.none() | TEXT,
        "city": st.none() | TEXT,
        "owner": st.none() | st.sampled_from(["NULL", "null", "{}", "a,b", '"', "\\", "\\x00", " "]),
    }
)
KEY = ("start", "prefix", "account")


def test_every_value_comes_back_as_it_went_in(store: Store) -> None:
    """Quotes, backslashes, NULL as a word and as nothing, the largest numbers: no value is read as something else."""

    @settings(max_examples=40, deadline=None)
    @given(st.lists(ROW, min_size=1, max_size=5, unique_by=lambda row: tuple(row[name] for name in KEY)))
    def same(given_rows: list[dict[str, object]]) -> None:
        with store.writing() as connection:
            connection.execute(delete(NETWORK))
            upsert(connection, NETWORK, given_rows)
            found = [row._asdict() for row in connection.execute(select(NETWORK))]
        assert sorted(found, key=repr) == sorted(
            ({column.name: row[column.name] for column in NETWORK.c} for row in given_rows), key=repr
        )

    same()


def test_rows_that_are_there_are_replaced_left_or_added_to(store: Store) -> None:
    """The three ways of writing a row whose key is known."""
    with store.writing() as connection:
        upsert(connection, ACCOUNT, [{"account": "a", "incidents": 1, "blocks": 1}])
        upsert(connection, ACCOUNT, [{"account": "a", "incidents": 5, "blocks": 5}], keep=("blocks",))
        insert_new(connection, ACCOUNT, [{"account": name, "incidents": 9, "blocks": 9} for name in "ab"])
        add(connection, ACCOUNT, [{"account": "b", "incidents": 2, "blocks": 2}], numbers=("incidents",))

        found = sorted(map(tuple, connection.execute(select(ACCOUNT))))
    assert found == [("a", 5, 1), ("b", 11, 9)]


def test_any_number_of_values_is_looked_up_at_once(store: Store) -> None:
    """More than either database takes as parameters of one statement."""
    names = [f"user{number}'\"{{" for number in range(70_000)]
    with store.writing() as connection:
        insert_new(connection, ACCOUNT, [{"account": name, "incidents": 1, "blocks": 0} for name in names[:3]])
        found = [row.account for row in matching(connection, select(ACCOUNT), ACCOUNT.c.account, names)]
        assert list(matching(connection, select(ACCOUNT), ACCOUNT.c.account, [])) == []
    assert sorted(found) == names[:3]


@pytest.mark.postgres
def test_text_that_postgresql_cannot_hold_is_an_error(postgres: PostgresServer) -> None:
    """A zero byte: the follower refuses that one record instead of writing half of the name."""
    with Store(postgres.database()) as store, pytest.raises(DataError), store.writing() as connection:
        insert_new(connection, ACCOUNT, [{"account": "a\0b", "incidents": 1, "blocks": 0}])


@given(st.ip_addresses(), st.integers(0, 128))
def test_a_network_has_the_place_that_its_text_says(address: object, prefix: int) -> None:
    """The quick reader of what workers write agrees with the one for what people type."""
    text = f"{address}/{prefix if ':' in str(address) else prefix % 33}"
    network = {"network": text, "address": "", "country": None, "city": None, "owner": None, "last": 0}

    row = rows.network_row("a@b.example", network)

    parsed = parse_network(text)
    assert (row["start"], row["prefix"]) == (number_bytes(parsed.number), parsed.prefix)
