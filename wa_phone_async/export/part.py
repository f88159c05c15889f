"""A part of an export: a whole file, with a checksum that was made as it was written.

The checksum notices damage by accident: a flipped bit, a lost row, a file in the place of another. It is a CRC-32,
since it makes writing JSON Lines only 2 % slower. It is no protection against somebody who damages a file on purpose.
"""

from __future__ import annotations

import stat
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Self

import attrs

from wa_phone_async import ExportError

from .row_file import RowFile
from .rows import Batch, Columns

_READ_BYTES: Final = 1 << 20


class Checksum:
    """The size and the CRC-32 of bytes that come in pieces."""

    def __init__(self) -> None:
        self.size: int = 0
        """How many bytes came."""
        self._crc = 0

    def add(self, data: bytes) -> None:
        """Count a piece."""
        self.size += len(data)
        self._crc = zlib.crc32(data, self._crc)

    def __str__(self) -> str:
        return f"{self._crc:08x}"


@attrs.frozen
class Part:
    """A whole file with some rows of an export."""

    path: Path
    """The file."""
    rows: int
    """How many rows it has."""
    size: int
    """How many bytes it has."""
    checksum: str
    """The CRC-32 of these bytes, in 8 hexadecimal digits."""

    @classmethod
    def of(cls, path: Path, rows: int) -> Self:
        """A file as it is now. This reads it once.

        Args:
            path: The file. It must be whole.
            rows: How many rows it has.

        Raises:
            OSError: The file cannot be read.
        """
        checksum = Checksum()
        for _ in _read(path, checksum):
            pass
        return cls(path, rows, checksum.size, str(checksum))

    def check_size(self) -> None:
        """Check that the file is there and has its size. This reads none of its bytes.

        Raises:
            ExportError: It is missing or has another size.
        """
        try:
            found = self.path.stat()
        except FileNotFoundError:
            raise self._damaged("is missing") from None
        if not stat.S_ISREG(found.st_mode):
            raise self._damaged("is no file")
        if found.st_size != self.size:
            raise self._damaged(f"has {found.st_size} bytes, and {self.size} were written")

    def check(self) -> Iterator[None]:
        """Check each byte of the file. Each step reads a piece of bounded size.

        Raises:
            ExportError: The file is not what was written.
        """
        self.check_size()
        checksum = Checksum()
        yield from _read(self.path, checksum)
        if str(checksum) != self.checksum:
            raise self._damaged("has other bytes than were written")

    def _damaged(self, what: str) -> ExportError:
        return damaged(self.path, what)


def damaged(file: Path, what: str) -> ExportError:
    """The error for a file of an export that is not what was written.

    Args:
        file: The part or the journal.
        what: What is wrong with it, in words that follow its name.
    """
    sentence = f"the export is damaged: {file} {what}; restore it from a copy, or remove {file.parent} to begin again"
    return ExportError(sentence, filename=str(file))


def write_part(path: Path, batches: Iterable[Batch], columns: Columns) -> Part:
    """Write rows to a file in the format of its suffix. It is on the disk when this returns.

    Raises:
        ExportError: The disk is full or fails.
    """
    checksum = Checksum()
    with RowFile(path, columns=columns, observer=checksum.add) as file:
        count = file.write(batches)
        file.close()
    return Part(path, count, checksum.size, str(checksum))


def _read(path: Path, checksum: Checksum) -> Iterator[None]:
    with path.open("rb") as file:
        while piece := file.read(_READ_BYTES):
            checksum.add(piece)
            yield
