"""Files whose rows are lines: how parts of them are joined, and get the accounts that share a number."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any, Final, TypeAlias

import attrs

from wa_phone_async import InvalidArgumentError

from .homes import Homes

Sink: TypeAlias = Callable[[bytes], object]
"""Takes the bytes of a file."""

_COPIED_BYTES: Final = 1 << 20
_NOTED_ROWS: Final = 10_000


@attrs.frozen
class LineFormat:
    """A format whose rows are lines."""

    head: re.Pattern[bytes]
    """Matches the begin of a row with an empty `also_in`. Its groups are `waba_id`, `also_in` and `id`.

    It matches no id with a character that the format escapes. Meta's ids are digits.
    """
    rows: Callable[[IO[bytes]], Iterable[bytes]]
    """Yields each row of a file, with the header, if there is one. A row may have several lines."""
    cell: Callable[[Any], str]
    """Encodes a value of `also_in`."""

    def note(self, part: Path, homes: Homes) -> Iterator[None]:
        """Note the account of each number in a file. Each step reads a bounded number of rows."""
        with part.open("rb") as file:
            for count, row in enumerate(self.rows(file)):
                if found := self.head.match(row):
                    homes.add(found["waba_id"].decode(), found["id"].decode())
                if count % _NOTED_ROWS == 0:
                    yield

    def copy(self, part: Path, header: bytes, sink: Sink, homes: Homes | None) -> Iterator[None]:
        """Copy the rows of a file behind its header. Each step copies about a mebibyte.

        Args:
            part: The file.
            header: The bytes with which it must begin.
            sink: Takes the rows.
            homes: The accounts of each number, for `also_in`. `None`: the rows stay as they are.

        Raises:
            InvalidArgumentError: The file begins with another header, or its last line has no end.
        """
        with part.open("rb") as file:
            if file.read(len(header)) != header:
                raise InvalidArgumentError(
                    "parts", "files of the same columns", part, hint="write all with the same fields and version"
                )
            chunk = b"\n"
            chunks = iter(partial(file.read, _COPIED_BYTES), b"")
            for chunk in self._filled(file, homes) if homes and homes.has_shared else chunks:
                sink(chunk)
                yield
        if not chunk.endswith(b"\n"):
            raise InvalidArgumentError("parts", "whole files", part, hint="its last line has no end")

    def _filled(self, file: IO[bytes], homes: Homes) -> Iterator[bytes]:
        """Yield the rows in chunks, with the other accounts of each number."""
        chunk = bytearray()
        for row in self.rows(file):
            found = self.head.match(row)
            others = found and homes.others(found["waba_id"].decode(), found["id"].decode())
            if found and others:
                chunk += row[: found.start("also_in")] + self.cell(others).encode() + row[found.end("also_in") :]
            else:
                chunk += row
            if len(chunk) >= _COPIED_BYTES:
                yield bytes(chunk)
                chunk.clear()
        if chunk:
            yield bytes(chunk)
