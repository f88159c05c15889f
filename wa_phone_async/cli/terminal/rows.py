"""Rows, written as they come: lines for people, and JSON, JSON Lines or CSV for programs."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, Literal, Protocol, TypeAlias, TypeVar

from wa_phone_async.export.formats import Encoder, make_encoder
from wa_phone_async.export.rows import Batch, Columns, offer
from wa_phone_async.redaction import printable

from .formats import to_json
from .output import broken, spell_out_unknown, terminal_width, use_utf8, write
from .writers import Format

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

RowOf: TypeAlias = Callable[[T], Mapping[str, Any]]
"""Makes the members of a row."""

INDENT: Final = " " * 8
"""What the lines after the first one begin with, where a text is broken for a terminal."""

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


class RowView(Protocol[T_contra]):
    """Writes values as they come."""

    def show(self, value: T_contra, /) -> None:
        """Write a value."""
        ...

    def end(self) -> None:
        """Write what ends a complete run."""
        ...


def rows_in(form: Literal["json", "jsonl", "csv"], columns: Columns, row_of: RowOf[T]) -> RowView[T]:
    """Make what writes rows for programs in a format.

    Args:
        form: The format.
        columns: The members of a row, and their types.
        row_of: Makes a row of a value.
    """
    return JsonRows(row_of) if form == "json" else EncodedRows(form, columns, row_of)


def view_in(form: Format, columns: Columns, row_of: RowOf[T], text_of: Callable[[T], str]) -> RowView[T]:
    """Make what writes values in a format.

    Args:
        form: The format.
        columns: The members of a row, and their types.
        row_of: Makes a row of a value.
        text_of: Makes the text that a table has for a value.
    """
    return TextRows(text_of) if form == "table" else rows_in(form, columns, row_of)


class TextRows(Generic[T]):
    """Values for people: a line each in a pipe, and lines that fit the width on a terminal.

    Args:
        text_of: Makes the text of a value. It may have any characters.
    """

    def __init__(self, text_of: Callable[[T], str]) -> None:
        self._text_of = text_of
        self._width = terminal_width(sys.stdout)
        spell_out_unknown()

    def show(self, value: T) -> None:
        """Write a value."""
        text = printable(self._text_of(value))
        lines = [text] if self._width is None else broken(text, self._width, later=INDENT)
        write("".join(f"{line}\n" for line in lines))

    def end(self) -> None:
        """Do nothing: lines have no end."""


class JsonRows(Generic[T]):
    """One JSON array of all rows, closed only when the run is complete.

    Args:
        row_of: Makes a row of a value. What is `None` is left out.
    """

    def __init__(self, row_of: RowOf[T]) -> None:
        self._row_of = row_of
        self._before = "[\n"
        use_utf8()

    def show(self, value: T) -> None:
        """Write a value."""
        members = {name: each for name, each in self._row_of(value).items() if each is not None}
        write(f"{self._before}{to_json(members)}")
        self._before = ",\n"

    def end(self) -> None:
        """Close the array."""
        write("[]\n" if self._before == "[\n" else "\n]\n")


class EncodedRows(Generic[T]):
    """JSON Lines or CSV. A text that a spreadsheet would take for a formula begins with an apostrophe in CSV.

    Args:
        form: The format.
        columns: The members of a row, and their types.
        row_of: Makes a row of a value.
    """

    def __init__(self, form: Literal["jsonl", "csv"], columns: Columns, row_of: RowOf[T]) -> None:
        self._make_encoder = make_encoder(form, columns)
        self._row_of = row_of
        self._is_csv = form == "csv"
        use_utf8()

    @functools.cached_property
    def _encoder(self) -> Encoder:
        # Made with the first row, since CSV writes its header then: an API error leaves stdout empty.
        return self._make_encoder(lambda data: write(data.decode()))

    def show(self, value: T) -> None:
        """Write a value."""
        row = self._row_of(value)
        if self._is_csv:
            row = {name: _inert(each) for name, each in row.items()}
        batch: Batch = {name: [each] for name, each in row.items()}
        offer(batch, self._encoder.write)

    def end(self) -> None:
        """Write the header of a CSV that has no rows."""
        _ = self._encoder


def _inert(value: Any) -> Any:
    """A text that no spreadsheet takes for a formula, and no terminal for a command."""
    if not isinstance(value, str):
        return value
    return printable(f"'{value}" if value.startswith(_FORMULA) else value)
