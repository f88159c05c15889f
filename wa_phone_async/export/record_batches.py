"""Rows as Arrow record batches, by arro3. Arrow tables and Parquet files are made of them.

Texts and JSON are strings, times are microseconds in UTC. Every column may hold nulls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from wa_phone_async._optional import requires

from .plain_json import to_json
from .rows import Batch, Columns

with requires("arrow"):
    from arro3.core import Array, DataType, Field, RecordBatch, Schema, Table

_TYPES: Final[Mapping[type[Any], DataType]] = {
    str: DataType.utf8(),
    dict: DataType.utf8(),
    bool: DataType.bool(),
    int: DataType.int64(),
    float: DataType.float64(),
    datetime: DataType.timestamp("us", tz="UTC"),
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def schema_of(columns: Columns) -> Schema:
    """The Arrow schema of columns."""
    return Schema([Field(name, _TYPES[kind], nullable=True) for name, kind in columns.items()])


def record_batch_of(columns: Columns, batch: Batch) -> RecordBatch:
    """Rows as a record batch.

    Raises:
        ValueError: A text is not Unicode, or a number is not JSON.
    """
    arrays = [_array(kind, batch[name]) for name, kind in columns.items()]
    return RecordBatch.from_arrays(arrays, schema=schema_of(columns))  # pyright: ignore[reportUnknownMemberType]  # arro3's own hints name numpy


def with_column(batch: RecordBatch, columns: Columns, name: str, values: Sequence[Any]) -> RecordBatch:
    """The same rows with other values in a column."""
    place = list(columns).index(name)
    rows: Any = batch  # arro3's own hints name numpy
    changed: RecordBatch = rows.set_column(place, schema_of(columns).field(place), _array(columns[name], values))
    return changed


def table_of(columns: Columns, batches: Sequence[RecordBatch]) -> Table:
    """Record batches as one table."""
    return Table.from_batches(batches, schema=schema_of(columns))


def _array(kind: type[Any], values: Sequence[Any]) -> Array:
    if kind in _STORED:
        store = _STORED[kind]
        values = [None if value is None else store(value) for value in values]
    if kind is datetime:  # arro3 0.9 makes no array of times
        return Array(values, DataType.int64()).cast(_TYPES[kind])
    return Array(values, _TYPES[kind])


def _microseconds(time: datetime) -> int:
    return (time - _EPOCH) // _MICROSECOND


_STORED: Final[Mapping[type[Any], Callable[[Any], Any]]] = {dict: to_json, datetime: _microseconds}
