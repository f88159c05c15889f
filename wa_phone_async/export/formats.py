"""Which format a file has, and what writes it.

JSON Lines   json_lines.py
CSV          csv_lines.py
Parquet      parquet.py, with the extra `parquet`
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, cast, get_args

from wa_phone_async import InvalidArgumentError
from wa_phone_async._optional import requires

from .csv_lines import Csv
from .homes import Homes
from .json_lines import JsonLines
from .lines import Sink
from .rows import Batch, Columns

FileFormat: TypeAlias = Literal["jsonl", "csv", "parquet"]
"""JSON Lines, comma-separated values, or Apache Parquet."""


class Encoder(Protocol):
    """Turns rows into the bytes of one file."""

    def write(self, batch: Batch) -> None:
        """Add rows.

        Raises:
            ValueError: The format cannot hold a value. No row was added.
        """
        ...

    def note(self, part: Path, homes: Homes) -> Iterator[None]:
        """Note the account of each number in another file of this format. Each step reads a bounded piece."""
        ...

    def copy(self, part: Path, homes: Homes | None = None) -> Iterator[None]:
        """Add the rows of another file of this format. Each step adds a piece of bounded size.

        Args:
            part: The file.
            homes: The accounts of each number, for `also_in`. `None`: the rows stay as they are.

        Raises:
            InvalidArgumentError: The file is not whole, has another format, or has other columns.
        """
        ...

    def end(self) -> None:
        """Add what belongs at the end. No row may follow."""
        ...

    def abandon(self) -> None:
        """Release everything. The file will be thrown away."""
        ...


def read_format(path: Path, given: FileFormat | None) -> FileFormat:
    """The format of a file; default: that of its suffix.

    Raises:
        InvalidArgumentError: There is no such format.
    """
    form: Any = given or path.suffix.lower().removeprefix(".")
    if form not in get_args(FileFormat):
        if given:
            raise InvalidArgumentError("format", "'jsonl', 'csv' or 'parquet'", given)
        raise InvalidArgumentError("path", "a file that ends in .jsonl, .csv or .parquet", path.name)
    return cast("FileFormat", form)


def make_encoder(form: FileFormat, columns: Columns) -> Callable[[Sink], Encoder]:
    """A function that makes an encoder of this format from a sink.

    Raises:
        InvalidArgumentError: The format needs an extra that is not installed.
    """
    if form == "jsonl":
        return lambda sink: JsonLines(sink, columns)
    if form == "csv":
        return lambda sink: Csv(sink, columns)
    with requires("parquet", error=InvalidArgumentError):
        from .parquet import Parquet  # noqa: PLC0415 - an optional package

        return lambda sink: Parquet(sink, columns)
