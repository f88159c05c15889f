"""CSV as RFC 4180 has it, in UTF-8, under a line of the columns' names.

    nothing    the value did not come
    `""`       an empty text
    JSON       a boolean, a number or a structure

Data stays as it came: a name that begins with `=` keeps it, like the `+` of a phone number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from .json_lines import Sink, copy_lines, to_json
from .rows import Columns, Row


class Csv:
    """Writes rows as comma-separated values.

    Args:
        sink: Takes the bytes.
        columns: The columns, which the first line names.
    """

    def __init__(self, sink: Sink, columns: Columns) -> None:
        self._sink = sink
        self._header = f"{','.join(columns)}\r\n".encode()
        sink(self._header)  # now, so a file without rows has its columns too

    def write(self, rows: Iterable[Row]) -> None:
        """Add rows."""
        self._sink("".join(f"{','.join(map(_cell, row.values()))}\r\n" for row in rows).encode())

    def copy(self, part: Path) -> Iterator[None]:
        """Add the lines of another file, without its line of names."""
        return copy_lines(part, self._header, self._sink)

    def end(self) -> None:
        """Do nothing: CSV has no end mark."""

    def abandon(self) -> None:
        """Do nothing: there is nothing to release."""


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        text = value
    elif isinstance(value, datetime):
        text = value.isoformat()
    else:
        text = to_json(value)
    # Quotes stand where RFC 4180 needs them, and around an empty text: without them it would be nothing.
    return f'"{text.replace(_QUOTE, _QUOTE * 2)}"' if not text or _has_special(text) else text


_QUOTE: Final = '"'
_has_special: Final = re.compile('[",\r\n]').search
