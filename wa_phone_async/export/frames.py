"""Rows as data frames of polars and pandas, with the columns of an export."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, Final

import attrs

from wa_phone_async._optional import requires_package
from wa_phone_async.errors import InvalidArgumentError
from wa_phone_async.workflows.listing import WabaListing

from .plain_json import to_json
from .rows import COLUMNS, Batch, Columns, batch_of, batches, kinds_of, offer

_PANDAS_TYPES: Final[Mapping[str, str]] = {
    "str": "string",
    "dict": "string",
    "bool": "boolean",
    "int": "Int64",
    "float": "Float64",
    "datetime": "datetime64[us, UTC]",
}


def to_polars(rows: Sequence[Any], model: type[Any]) -> Any:
    """Make a data frame of polars: see `Rows.to_polars`."""
    with requires_package("polars", "to_polars()"):
        import polars as pl  # noqa: PLC0415 # pyright: ignore[reportMissingImports] - an optional package

    if model is dict:  # they have no columns that are known before
        return pl.DataFrame(list(rows), infer_schema_length=None)
    types: Mapping[str, Any] = {
        "str": pl.String,
        "dict": pl.String,
        "bool": pl.Boolean,
        "int": pl.Int64,
        "float": pl.Float64,
        "datetime": pl.Datetime("us", "UTC"),
    }
    columns, batch = _columns_of(rows, model)
    schema = {name: types[kind.__name__] for name, kind in columns.items()}
    return offer(batch, lambda values: pl.DataFrame(_stored(columns, values), schema=schema))


def to_pandas(rows: Sequence[Any], model: type[Any]) -> Any:
    """Make a data frame of pandas: see `Rows.to_pandas`."""
    with requires_package("pandas", "to_pandas()"):
        import pandas as pd  # noqa: PLC0415 # pyright: ignore[reportMissingImports, reportMissingTypeStubs] - optional

    if model is dict:
        return pd.DataFrame(list(rows))
    columns, batch = _columns_of(rows, model)

    def make(values: Batch) -> Any:
        stored = _stored(columns, values)
        series = {name: pd.Series(stored[name], dtype=_PANDAS_TYPES[kind.__name__]) for name, kind in columns.items()}
        return pd.DataFrame(series)

    return offer(batch, make)


def _columns_of(rows: Sequence[Any], model: type[Any]) -> tuple[Columns, Batch]:
    """The columns of rows of a model, and their values."""
    if any(type(row) is not model for row in rows) or not attrs.has(model):
        raise InvalidArgumentError("the rows", f"all of one class of models, such as {model.__name__}")
    if model is not WabaListing:
        columns = kinds_of(model)
        return columns, batch_of(rows, columns)
    found = list(batches(rows))
    return COLUMNS, {name: list(chain.from_iterable(batch[name] for batch in found)) for name in COLUMNS}


def _stored(columns: Columns, batch: Batch) -> Batch:
    """The values as a frame holds them: members of enums as their strings, and other objects as JSON."""
    store: Mapping[type[Any], Callable[[Any], str]] = {str: str, dict: to_json}
    return {
        name: [None if value is None else store[kind](value) for value in batch[name]] if kind in store else batch[name]
        for name, kind in columns.items()
    }
