"""JSON Lines: each row is a JSON object on a line of its own, with every column in it.

`null` stands for a value that did not come. `extra` and other structures stay JSON.

A line is joined from the JSON of its members. To encode a dictionary of each row with `json` takes three times as long.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from .homes import Homes
from .lines import LineFormat, Sink
from .plain_json import to_json
from .rows import Batch, Columns


class JsonLines:
    """Writes rows as JSON Lines.

    Args:
        sink: Takes the bytes.
        columns: The columns of the rows.
    """

    def __init__(self, sink: Sink, columns: Columns) -> None:
        self._sink = sink
        self._columns = columns

    def write(self, batch: Batch) -> None:
        """Add rows."""
        columns = [_members(name, kind, batch[name]) for name, kind in self._columns.items()]
        lines = map(", ".join, zip(*columns, strict=True))
        self._sink("".join(f"{{{line}}}\n" for line in lines).encode())

    def note(self, part: Path, homes: Homes) -> Iterator[None]:
        """Note the account of each number in another file."""
        return _LINES.note(part, homes)

    def copy(self, part: Path, homes: Homes | None = None) -> Iterator[None]:
        """Add the lines of another file."""
        return _LINES.copy(part, b"", self._sink, homes)

    def end(self) -> None:
        """Do nothing: JSON Lines have no end mark."""

    def abandon(self) -> None:
        """Do nothing: there is nothing to release."""


def _members(name: str, kind: type[Any], column: Sequence[Any]) -> Iterable[str]:
    """The member of each row for a column: its name, and the JSON of its value."""
    before = f"{to_json(name)}: "
    null = f"{before}null"
    if kind is bool:
        return map({None: null, False: f"{before}false", True: f"{before}true"}.__getitem__, column)
    # Nearly always a terminal may show all texts of a column: one check of all of them is cheaper than one of each.
    is_shown = kind is str and "".join(text for text in column if text).isprintable()
    encode = _quoted if is_shown else to_json
    return [null if value is None else before + encode(value) for value in column]


_quoted: Final = json.encoder.encode_basestring
_LINES: Final = LineFormat(
    re.compile(rb'\{"waba_id": "(?P<waba_id>[^"\\]+)", "id": "(?P<id>[^"\\]+)", "also_in": (?P<also_in>null)'),
    iter,
    to_json,
)
