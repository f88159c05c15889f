"""Phone numbers as an Arrow table, for polars, pandas, DuckDB and pyarrow."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Protocol

from wa_phone_async import InvalidArgumentError, PhoneNumber, WabaListing
from wa_phone_async._optional import requires

from .rows import COLUMNS, batches, offer


class ArrowTable(Protocol):
    """A table in Arrow's memory layout. polars, pandas, DuckDB and pyarrow take it without a copy."""

    @property
    def num_rows(self) -> int:
        """The number of its rows."""
        ...

    @property
    def column_names(self) -> list[str]:
        """The names of its columns."""
        ...

    def __arrow_c_schema__(self) -> object:
        """Arrow's C data interface: the columns."""
        ...

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Arrow's C data interface: the rows."""
        ...


def to_arrow(items: Iterable[WabaListing | PhoneNumber]) -> ArrowTable:
    """Make an Arrow table of listings or phone numbers: `polars.DataFrame(to_arrow(listings))`.

    Enums and texts are strings, times are microseconds in UTC, and `throughput` and `extra` are JSON. A failed account
    has no rows. The `waba_id` of a phone number by itself is null. You need the extra `arrow`.

    Raises:
        InvalidArgumentError: Something else is among the items, or the extra is not installed.
    """
    with requires("arrow", error=InvalidArgumentError):
        from .record_batches import record_batch_of, table_of  # noqa: PLC0415 - an optional package

    if not isinstance(items, Iterable):
        raise InvalidArgumentError("items", "an iterable of listings or phone numbers", type(items))

    return table_of(COLUMNS, [offer(batch, partial(record_batch_of, COLUMNS)) for batch in batches(items)])
