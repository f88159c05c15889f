"""JSON Lines: each row is a JSON object on a line of its own, with every column in it.

`null` stands for a value that did not come. `extra` and other structures stay JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

from wa_phone_async import InvalidArgumentError

from .rows import Row

Sink: TypeAlias = Callable[[bytes], object]
"""Takes the bytes of a file."""

_COPIED_BYTES: Final = 1 << 20
_JOINER: Final = "\N{ZERO WIDTH JOINER}"  # one emoji of several needs it


class JsonLines:
    """Writes rows as JSON Lines.

    Args:
        sink: Takes the bytes.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def write(self, rows: Iterable[Row]) -> None:
        """Add rows."""
        self._sink("".join(f"{to_json(row)}\n" for row in rows).encode())

    def copy(self, part: Path) -> Iterator[None]:
        """Add the lines of another file."""
        return copy_lines(part, b"", self._sink)

    def end(self) -> None:
        """Do nothing: JSON Lines have no end mark."""

    def abandon(self) -> None:
        """Do nothing: there is nothing to release."""


def to_json(value: Any) -> str:
    r"""A plain value as JSON on one line, with times in ISO 8601.

    What could move a cursor or turn the direction of text is an escape such as `\u202e`. It is the same JSON, and a
    terminal may show it.

    Raises:
        ValueError: A number is infinite or not a number, or a text has half of a surrogate pair. See `rows.offer`.
    """
    text = _encode(value)
    return text if text.isprintable() else _UNUSUAL.sub(_escape, text)


def copy_lines(part: Path, header: bytes, sink: Sink) -> Iterator[None]:
    """Copy the lines of a file behind its header. Each step copies at most a mebibyte.

    Raises:
        InvalidArgumentError: The file begins with another header, or its last line has no end.
    """
    with part.open("rb") as file:
        if file.read(len(header)) != header:
            raise InvalidArgumentError(
                "parts", "files of the same columns", part, hint="write all with the same fields and version"
            )
        chunk = b"\n"
        while more := file.read(_COPIED_BYTES):
            chunk = more
            sink(chunk)
            yield
    if not chunk.endswith(b"\n"):
        raise InvalidArgumentError("parts", "whole files", part, hint="its last line has no end")


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    if character.isprintable() or character == _JOINER:
        return character
    character.encode()  # half of a surrogate pair raises: strict readers take it neither in UTF-8 nor as an escape
    return json.dumps(character)[1:-1]


_encode: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=datetime.isoformat).encode
_UNUSUAL: Final = re.compile("[^ -~]")
