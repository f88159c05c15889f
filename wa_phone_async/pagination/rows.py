"""`Rows`: a list whose rows become a table, in a notebook and for polars and pandas."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeVar, cast, overload

from wa_phone_async.models import PhoneNumber

if TYPE_CHECKING:
    import pandas as pd  # pyright: ignore[reportMissingImports, reportMissingTypeStubs] - perhaps not installed
    import polars as pl  # pyright: ignore[reportMissingImports] - perhaps not installed

T = TypeVar("T")


class Rows(list[T]):
    """A `list` that notebooks show as a table. An awaited list is one: `numbers = await client.list_phone_numbers(…)`.

    It is a list in all else: it compares, pickles and changes like one. A slice of it is one too. A comprehension
    makes a plain list of it; `Rows(…)` makes a table of that again.

    Args:
        iterable: The rows.
    """

    # The class of the rows, if it was known before they came. There is no `__init__`, since rows are made for each
    # account of a bulk. So this may be missing.
    __slots__ = ("_model",)

    _model: type[Any] | None

    def __reduce__(self) -> tuple[Any, ...]:
        return rows_of, (list(self), getattr(self, "_model", None))

    @overload
    def __getitem__(self, index: SupportsIndex, /) -> T: ...

    @overload
    def __getitem__(self, index: slice, /) -> Rows[T]: ...

    def __getitem__(self, index: Any, /) -> Any:
        found = cast("Any", super().__getitem__(index))
        return rows_of(found, getattr(self, "_model", None)) if isinstance(index, slice) else found

    @property
    def model(self) -> type[Any]:
        """The class of the rows. An empty table has its columns."""
        return getattr(self, "_model", None) or (type(self[0]) if self else PhoneNumber)

    def to_polars(self) -> pl.DataFrame:
        """Make a data frame of polars, with the columns of an export: the same ones even if there are no rows.

        Enums and texts are strings, times are microseconds in UTC, and other objects, such as `throughput` and `extra`,
        are JSON. Listings give the rows of all their numbers. You need polars: `python -m pip install polars`.

        Raises:
            InvalidArgumentError: polars is not installed, or the rows have different classes.
        """
        from wa_phone_async.export.frames import to_polars  # noqa: PLC0415 - few programs need it

        frame: pl.DataFrame = to_polars(self, self.model)
        return frame

    def to_pandas(self) -> pd.DataFrame:
        """Make a data frame of pandas, with the columns of an export: the same ones even if there are no rows.

        The types are those that take nulls: `string`, `boolean`, `Int64`, `Float64` and `datetime64[us, UTC]`. All else
        is as in `to_polars`. You need pandas: `python -m pip install pandas`. `pandas.DataFrame(rows)` has one column
        of objects instead.

        Raises:
            InvalidArgumentError: pandas is not installed, or the rows have different classes.
        """
        from wa_phone_async.export.frames import to_pandas  # noqa: PLC0415 - few programs need it

        frame: pd.DataFrame = to_pandas(self, self.model)
        return frame


def rows_of(items: Iterable[T], model: type[Any] | None) -> Rows[T]:
    """Make rows of a class that is known even if there are none; `None` for that of the first row."""
    rows = Rows(items)
    rows._model = model  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - it is ours
    return rows
