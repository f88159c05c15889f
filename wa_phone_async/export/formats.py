"""Rows as the bytes of a file, and which format a file has.

    JSON Lines   an object for each row, with every column in it; `null` for what did not come; JSON as JSON
    CSV          RFC 4180 in UTF-8 under a line of names; nothing for what did not come, `""` for an empty text
    Parquet      in `extras/parquet.py`

Data is written as it came, in CSV too: a name that begins with `=` stays as it is, like the `+` of a phone number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeAlias, cast, get_args

from wa_phone_async import InvalidArgumentError
from wa_phone_async._optional import requires

from .rows import COLUMNS, Row

FileFormat: TypeAlias = Literal["jsonl", "csv", "parquet"]
"""JSON Lines, comma-separated values, or Apache Parquet."""

Sink: TypeAlias = Callable[[bytes], object]
"""Takes the bytes of a file."""

_CHUNK_BYTES: Final = 1 << 20


class Encoder(Protocol):
    """Turns rows into the bytes of one file."""

    def write(self, rows: Iterable[Row]) -> None:
        """Add rows.

        Raises:
            ValueError: A row holds what the format cannot; nothing was added.
        """
        ...

    def copy(self, part: Path) -> Iterator[None]:
        """Add the rows of another file of this format, at each step a piece of bounded size.

        Raises:
            InvalidArgumentError: It is no whole file of this format, or has other columns.
        """
        ...

    def end(self) -> None:
        """Add what belongs at the end; there is nothing more to come."""
        ...

    def abandon(self) -> None:
        """Let go of everything; what was added is thrown away."""
        ...


class JsonLines:
    """Rows as JSON Lines.

    Args:
        sink: What takes the bytes.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def write(self, rows: Iterable[Row]) -> None:
        """Add rows."""
        self._sink("".join(f"{to_json(row)}\n" for row in rows).encode())

    def copy(self, part: Path) -> Iterator[None]:
        """Add the lines of another file."""
        return _copy_lines(part, b"", self._sink)

    def end(self) -> None:
        """Nothing ends JSON Lines."""

    def abandon(self) -> None:
        """There is nothing to let go of."""


class Csv:
    """Rows as comma-separated values under a line of names.

    Args:
        sink: What takes the bytes.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        sink(_HEADER)

    def write(self, rows: Iterable[Row]) -> None:
        """Add rows."""
        self._sink("".join(f"{','.join(map(_cell, row.values()))}\r\n" for row in rows).encode())

    def copy(self, part: Path) -> Iterator[None]:
        """Add the lines of another file, without its line of names."""
        return _copy_lines(part, _HEADER, self._sink)

    def end(self) -> None:
        """Nothing ends CSV."""

    def abandon(self) -> None:
        """There is nothing to let go of."""


def read_format(path: Path, given: FileFormat | None) -> FileFormat:
    """The format of a file, by its suffix where none is given.

    Raises:
        InvalidArgumentError: There is no such format.
    """
    form: Any = given or path.suffix.lower().removeprefix(".")
    if form not in get_args(FileFormat):
        if given:
            raise InvalidArgumentError("format", "'jsonl', 'csv' or 'parquet'", given)
        raise InvalidArgumentError("path", "a file that ends in .jsonl, .csv or .parquet", path.name)
    return cast("FileFormat", form)


def make_encoder(form: FileFormat) -> Callable[[Sink], Encoder]:
    """What makes the encoder of a format for a sink.

    Raises:
        InvalidArgumentError: The format needs an extra that is not installed.
    """
    if form == "jsonl":
        return JsonLines
    if form == "csv":
        return Csv
    with requires("parquet", error=InvalidArgumentError):
        from .parquet import Parquet  # noqa: PLC0415 - an optional package

        return lambda sink: Parquet(sink, COLUMNS)


def to_json(value: Any) -> str:
    """A plain value as JSON on one line, times in ISO 8601."""
    return _encode(value)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        text = value
    elif isinstance(value, datetime):
        text = value.isoformat()
    else:
        text = to_json(value)
    return f'"{text.replace(_QUOTE, _QUOTE * 2)}"' if not text or _has_special(text) else text


_encode: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=datetime.isoformat).encode
_QUOTE: Final = '"'
_has_special: Final = re.compile('[",\r\n]').search
_HEADER: Final = f"{','.join(COLUMNS)}\r\n".encode()


def _copy_lines(part: Path, header: bytes, sink: Sink) -> Iterator[None]:
    with part.open("rb") as file:
        if file.read(len(header)) != header:
            raise InvalidArgumentError("parts", "files of the same version", part, hint="it has other columns")
        chunk = b"\n"
        while more := file.read(_CHUNK_BYTES):
            chunk = more
            sink(chunk)
            yield
    if not chunk.endswith(b"\n"):
        raise InvalidArgumentError("parts", "whole files", part, hint="its last line has no end")
