"""Arrow tables and Parquet files, as polars, pandas, DuckDB and pyarrow read them."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from exports import ACME, ANY_LISTINGS, BARE, LISTINGS, from_arrow, listings, rows_of
from hypothesis import given

from wa_phone_async import InvalidArgumentError, PhoneNumber, QualityRating, WabaListing
from wa_phone_async.export import COLUMNS, ArrowTable, Writer, row_of, rows, to_arrow

pytestmark = pytest.mark.heavy  # processes and disks, for many seconds

pytest.importorskip("arro3.core")

SAMPLES: list[WabaListing | PhoneNumber] = [
    *LISTINGS,
    PhoneNumber("7", quality_rating=QualityRating.GREEN, is_official_business_account=True),
]
ROWS = rows_of(*SAMPLES)

Rows = list[dict[str, Any]]


def by_pyarrow(table: ArrowTable) -> Rows:
    rows: Rows = pytest.importorskip("pyarrow").table(table).to_pylist()
    return rows


def by_polars(table: ArrowTable) -> Rows:
    rows: Rows = pytest.importorskip("polars").DataFrame(table).to_dicts()
    return rows


def by_pandas(table: ArrowTable) -> Rows:
    frame = pytest.importorskip("pandas").DataFrame.from_arrow(table)
    return _without_nan(frame)


def by_duckdb(table: ArrowTable) -> Rows:
    connection = pytest.importorskip("duckdb").connect()
    return _from_duckdb(connection.register("numbers", table), "numbers")


def parquet_by_pyarrow(path: Path) -> Rows:
    rows: Rows = pytest.importorskip("pyarrow.parquet").read_table(path).to_pylist()
    return rows


def parquet_by_polars(path: Path) -> Rows:
    rows: Rows = pytest.importorskip("polars").read_parquet(path).to_dicts()
    return rows


def parquet_by_pandas(path: Path) -> Rows:
    pytest.importorskip("pyarrow")
    return _without_nan(pytest.importorskip("pandas").read_parquet(path))


def parquet_by_duckdb(path: Path) -> Rows:
    return _from_duckdb(pytest.importorskip("duckdb").connect(), f"'{path}'")


def _without_nan(frame: Any) -> Rows:
    missing = frame.isna()
    return [
        {
            name: None if missing.at[place, name] else getattr(value, "to_pydatetime", lambda value=value: value)()
            for name, value in row.items()
        }
        for place, row in enumerate(frame.to_dict("records"))
    ]


def _from_duckdb(connection: Any, source: str) -> Rows:
    """DuckDB needs one more package to make a `datetime`, so its times come as microseconds."""
    time = "last_onboarded_time"
    connection.execute(f"SELECT * REPLACE (epoch_us({time}) AS {time}) FROM {source}")
    names = [column[0] for column in connection.description]
    rows = [dict(zip(names, row, strict=True)) for row in connection.fetchall()]
    zones = connection.execute(f"SELECT DISTINCT typeof({time}) FROM {source}").fetchall()
    assert zones == [("TIMESTAMP WITH TIME ZONE",)]
    return [{**row, time: row[time] and datetime.fromtimestamp(row[time] / 1e6, UTC)} for row in rows]


@pytest.mark.parametrize("reader", [by_pyarrow, by_polars, by_pandas, by_duckdb])
def test_a_table_goes_into(reader: Callable[[ArrowTable], Rows]) -> None:
    assert [from_arrow(row) for row in reader(to_arrow(SAMPLES))] == ROWS


@pytest.mark.parametrize("reader", [parquet_by_pyarrow, parquet_by_polars, parquet_by_pandas, parquet_by_duckdb])
def test_a_parquet_file_is_read_by(reader: Callable[[Path], Rows], tmp_path: Path) -> None:
    pytest.importorskip("arro3.io")
    with Writer(tmp_path / "numbers.parquet") as writer:
        writer.write(SAMPLES)
    assert [from_arrow(row) for row in reader(tmp_path / "numbers.parquet")] == ROWS


def test_columns_are_strings_booleans_and_times_with_their_zone() -> None:
    schema = pytest.importorskip("pyarrow").table(to_arrow(SAMPLES)).schema
    kinds = {str: "string", dict: "string", bool: "bool", datetime: "timestamp[us, tz=UTC]"}
    assert {field.name: str(field.type) for field in schema} == {name: kinds[kind] for name, kind in COLUMNS.items()}


def test_bare_numbers_have_no_account() -> None:
    table: Any = to_arrow([ACME, BARE])
    assert table.column("waba_id").to_pylist() == [None, None]
    assert table.column("last_onboarded_time").to_pylist() == [datetime(2026, 3, 1, 10, tzinfo=UTC), None]


def test_a_table_without_rows_has_its_columns() -> None:
    table = to_arrow([])
    assert (table.num_rows, table.column_names) == (0, list(COLUMNS))


def test_a_large_table_is_whole() -> None:
    many = listings(accounts=25, each=100)
    table: Any = to_arrow(iter(many))
    ids = [number.id for listing in many for number in listing.phone_numbers]
    assert table.column("id").to_pylist() == ids


@given(items=ANY_LISTINGS)
def test_every_row_is_in_the_table_as_it_was(items: list[WabaListing]) -> None:
    table: Any = to_arrow(items)
    columns = {name: table.column(name).to_pylist() for name in table.column_names}
    found = [from_arrow(dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]
    assert found == [rows.writable(row) for row in rows_of(*items)]


@pytest.mark.parametrize("items", [LISTINGS[0], ["106540352242922"], 7])
def test_only_listings_and_numbers_make_a_table(items: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"WabaListing|int"):
        to_arrow(items)


def test_without_the_extra_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "wa_phone_async.export.record_batches", raising=False)
    monkeypatch.setitem(sys.modules, "arro3.core", None)
    with pytest.raises(InvalidArgumentError) as caught:
        to_arrow([])
    assert str(caught.value).endswith('python -m pip install "wa_phone_async[arrow]"')
    assert row_of(None, BARE)["id"] == BARE.id
