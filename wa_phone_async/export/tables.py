"""Phone numbers as an Arrow table."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from itertools import chain
from typing import Protocol

from wa_phone_async import InvalidArgumentError, PhoneNumber
from wa_phone_async._optional import requires
from wa_phone_async.workflows.bulk import WabaListing

from .rows import COLUMNS, batches, offer, rows_of


class ArrowTable(Protocol):
    """A table in Arrow's memory layout, which polars, pandas, DuckDB and pyarrow take without copying it."""

    @property
    def num_rows(self) -> int:
        """How many rows it has."""
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
    """Listings or phone numbers as an Arrow table: `polars.DataFrame(to_arrow(listings))`.

    Enums and texts are strings, times are microseconds in UTC, and `throughput` and `extra` are JSON. An account that
    failed has no rows; a phone number by itself has no `waba_id`. It needs the extra `arrow`.

    Raises:
        InvalidArgumentError: Something else is among the items, or the extra is not installed.
    """
    with requires("arrow", error=InvalidArgumentError):
        from .arrow import batch_of, table_of  # noqa: PLC0415 - an optional package

    if not isinstance(items, Iterable):
        raise InvalidArgumentError("items", "an iterable of listings or phone numbers", type(items))

    rows = batches(chain.from_iterable(map(rows_of, items)))
    return table_of(COLUMNS, [offer(batch, partial(batch_of, COLUMNS)) for batch in rows])
