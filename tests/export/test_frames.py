"""Rows as data frames: the columns, types and values of an export."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from exports import ACME, BARE, LISTINGS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wa_phone_async import (
    ALL_FIELDS,
    BusinessAccount,
    Extra,
    InvalidArgumentError,
    PhoneNumber,
    Rows,
    Throughput,
    WabaListing,
)
from wa_phone_async.export import row_of, write
from wa_phone_async.pagination.rows import rows_of

pl = pytest.importorskip("polars", reason="polars is not installed")
pd = pytest.importorskip("pandas", reason="pandas is not installed")


def test_polars_has_typed_columns() -> None:
    frame = Rows([ACME, BARE]).to_polars()
    assert frame.columns == [*ALL_FIELDS, "extra"]
    assert frame.schema["status"] == pl.String
    assert frame.schema["last_onboarded_time"] == pl.Datetime("us", "UTC")
    assert frame.schema["is_pin_enabled"] == pl.Boolean
    assert frame["status"].to_list() == ["CONNECTED", None]
    assert frame["throughput"].to_list() == ['{"level": "HIGH"}', None]
    assert frame["last_onboarded_time"].to_list() == [datetime(2026, 3, 1, 10, tzinfo=UTC), None]


def test_pandas_has_typed_columns() -> None:
    frame = Rows([ACME, BARE]).to_pandas()
    types = {name: str(kind) for name, kind in frame.dtypes.items()}
    assert (types["status"], types["is_pin_enabled"]) == ("string", "boolean")
    assert types["last_onboarded_time"] == "datetime64[us, UTC]"
    assert frame["is_pin_enabled"].isna().tolist() == [False, True]
    assert frame["throughput"][0] == '{"level": "HIGH"}'
    assert frame["last_onboarded_time"][0] == pd.Timestamp("2026-03-01T10:00Z")


@pytest.mark.parametrize("model", [PhoneNumber, WabaListing, BusinessAccount])
def test_an_empty_table_has_the_same_columns(model: Any) -> None:
    full: Rows[Any] = Rows([model(id="1")] if model is not WabaListing else LISTINGS)
    empty: Rows[Any] = rows_of((), model)
    assert empty.to_polars().schema == full.to_polars().schema
    assert empty.to_pandas().dtypes.equals(full.to_pandas().dtypes)


async def test_listings_give_the_table_of_their_export(tmp_path: Path) -> None:
    pytest.importorskip("arro3.io", reason="the extra `parquet` is not installed")
    await write(LISTINGS, tmp_path / "numbers.parquet")
    assert Rows(LISTINGS).to_polars().equals(pl.read_parquet(tmp_path / "numbers.parquet"))
    assert list(Rows(LISTINGS).to_pandas()["waba_id"]) == ["100200300400003"] * 2


def test_rows_that_are_plain_json_have_the_columns_that_came() -> None:
    rows: Rows[Any] = Rows([{"id": "1"}, {"id": "2", "size": 4}])
    assert rows.to_polars().to_dicts() == [{"id": "1", "size": None}, {"id": "2", "size": 4}]
    assert list(rows.to_pandas().columns) == ["id", "size"]


@given(name=st.text(st.characters(codec=None, exclude_categories=())), seconds=st.floats())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_every_value_fits(name: str, seconds: float) -> None:
    number = PhoneNumber("1", verified_name=name, extra=Extra({name: seconds}), throughput=Throughput(name))
    for shown in (Rows([number]).to_polars()["verified_name"][0], Rows([number]).to_pandas()["verified_name"][0]):
        assert shown.isascii() == name.isascii()
        assert len(shown) == len(str(row_of(None, number)["verified_name"]))


@pytest.mark.parametrize("rows", [Rows[Any]([ACME, LISTINGS[0]]), Rows[Any](["a"]), Rows[Any]([1])])
def test_other_rows_make_no_table(rows: Rows[Any]) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^the rows must be all of one class of models, such as"):
        rows.to_polars()
    with pytest.raises(InvalidArgumentError, match=r"^the rows must be all of one class of models, such as"):
        rows.to_pandas()


@pytest.mark.parametrize("package", ["polars", "pandas"])
def test_without_the_package_it_says_what_to_install(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InvalidArgumentError) as caught:
        getattr(Rows([ACME]), f"to_{package}")()
    sentence = f"{package}, which to_{package}() needs, must be installed: python -m pip install {package}"
    assert str(caught.value) == sentence
