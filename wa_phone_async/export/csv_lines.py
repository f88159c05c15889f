"""CSV as RFC 4180 has it, in UTF-8, under a line of the columns' names.

    nothing    the value did not come
    `""`       an empty text
    JSON       a boolean, a number or a structure

Data stays as it came: a name that begins with `=` keeps it, like the `+` of a phone number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final

from .homes import Homes
from .lines import LineFormat, Sink
from .plain_json import to_json
from .rows import Batch, Columns


class Csv:
    """Writes rows as comma-separated values.

    Args:
        sink: Takes the bytes.
        columns: The columns, which the first line names.
    """

    def __init__(self, sink: Sink, columns: Columns) -> None:
        self._sink = sink
        self._columns = columns
        self._header = f"{','.join(columns)}\r\n".encode()
        sink(self._header)  # now, so a file without rows has its columns too

    def write(self, batch: Batch) -> None:
        """Add rows."""
        columns = [_cells(kind, batch[name]) for name, kind in self._columns.items()]
        lines = map(",".join, zip(*columns, strict=True))
        self._sink("".join(f"{line}\r\n" for line in lines).encode())

    def note(self, part: Path, homes: Homes) -> Iterator[None]:
        """Note the account of each number in another file."""
        return _LINES.note(part, homes)

    def copy(self, part: Path, homes: Homes | None = None) -> Iterator[None]:
        """Add the lines of another file, without its line of names."""
        return _LINES.copy(part, self._header, self._sink, homes)

    def end(self) -> None:
        """Do nothing: CSV has no end mark."""

    def abandon(self) -> None:
        """Do nothing: there is nothing to release."""


def _cells(kind: type[Any], column: Sequence[Any]) -> Iterable[str]:
    """The cell of each value of a column."""
    if kind is bool:
        return map(_BOOLEANS.__getitem__, column)
    if kind is str and not _has_special("".join(text for text in column if text)):
        return ["" if text is None else text or _EMPTY for text in column]
    return ["" if value is None else _cell(value) for value in column]


def _cell(value: Any) -> str:
    if isinstance(value, str):
        text = value
    elif isinstance(value, datetime):
        text = value.isoformat()
    else:
        text = to_json(value)
    # Quotes stand where RFC 4180 needs them, and around an empty text: without them it would be nothing.
    return f'"{text.replace(_QUOTE, _QUOTE * 2)}"' if not text or _has_special(text) else text


def _rows(file: IO[bytes]) -> Iterator[bytes]:
    """Yield each row. A quoted cell may have line breaks, which a name must not use to look like another row."""
    row, is_quoted = b"", False
    for line in file:
        row += line
        is_quoted ^= line.count(b'"') % 2 == 1
        if not is_quoted:
            yield row
            row = b""
    yield row  # nothing, unless the file was cut


def _has_special(text: str) -> bool:
    return any(special in text for special in _SPECIAL)


_QUOTE: Final = '"'
_EMPTY: Final = '""'
_SPECIAL: Final = (_QUOTE, ",", "\r", "\n")
_BOOLEANS: Final = {None: "", False: "false", True: "true"}
_LINES: Final = LineFormat(re.compile(rb'(?P<waba_id>[^,"\r\n]+),(?P<id>[^,"\r\n]+),(?P<also_in>),'), _rows, _cell)
