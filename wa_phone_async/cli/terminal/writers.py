"""Which writer a command uses for rows of its own columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from .formats import ColumnRows, JsonArray, PageWriter

Format: TypeAlias = Literal["table", "json", "jsonl", "csv"]


def writer_of(form: Format, columns: Sequence[str]) -> PageWriter[Any]:
    """Make what writes rows with exactly these columns in a format."""
    if form == "json":
        return JsonArray(with_waba_id=False, first=columns)
    if form == "table":
        from .table import PlainTable  # noqa: PLC0415 - rich, which few commands need

        return PlainTable(columns, with_waba_id=False, may_drop=False)
    return ColumnRows(form, columns)
