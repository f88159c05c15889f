"""The rows of one fleet, in memory while they are few, and in a temporary file when they are many.

The file has buckets. A number is in the bucket that its id says, so two fleets can be compared bucket by bucket.
"""

from __future__ import annotations

import marshal
import tempfile
import zlib
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import IO, Any, Final, TypeAlias

from wa_phone_async.errors import ExportError

BUCKETS: Final = 256
"""Buckets of a fleet. One of them has about 4,000 of a million numbers."""
MAX_BUFFERED_BYTES: Final = 8 << 20
"""Bytes of encoded rows in memory. With the objects around them, rows take about twice as much."""
_ROW_BYTES: Final = 300  # of the objects around an encoded row
_COMPRESSION: Final = 1  # the fastest: it makes rows a fifth as large, and a temporary file may be in memory

SpooledRow: TypeAlias = tuple[str, tuple[str, ...], bytes]
"""The id of a number, its accounts, and its encoded members. The first account is that of the row."""


class SpooledRows:
    """Rows that are added once, and then read once."""

    def __init__(self) -> None:
        self.count: int = 0
        """How many rows there are."""
        self._rows = list[SpooledRow]()
        self._bytes = 0
        self._file: IO[bytes] | None = None
        self._places = [array("Q") for _ in range(BUCKETS)]  # of the chunks of each bucket: offset, length, offset …

    @property
    def is_spooled(self) -> bool:
        """Whether rows are in the file."""
        return self._file is not None

    def add(self, number_id: str, homes: tuple[str, ...], members: Mapping[str, Any]) -> None:
        """Add a row.

        Args:
            number_id: The id of the number.
            homes: Its accounts. The first one is that of the row.
            members: What it has, as plain JSON.

        Raises:
            ExportError: The temporary file cannot be written.
        """
        # Sorted, so rows that are the same have nearly always the same bytes. `marshal` is faster than JSON, and no
        # other version of Python reads the file. Version 2 has no references, which depend on how a value was made.
        encoded = marshal.dumps(sorted(members.items()), 2)
        self._rows.append((number_id, homes, encoded))
        self.count += 1
        self._bytes += len(encoded) + _ROW_BYTES
        if self._bytes > MAX_BUFFERED_BYTES:
            self.spool()

    def spool(self) -> None:
        """Move the rows in memory to the file.

        Raises:
            ExportError: The file cannot be written.
        """
        buckets = defaultdict[int, list[SpooledRow]](list)
        for row in self._rows:
            buckets[zlib.crc32(row[0].encode(errors="surrogatepass")) % BUCKETS].append(row)
        self._rows, self._bytes = [], 0
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 - `close` closes it
            for bucket, rows in buckets.items():
                chunk = zlib.compress(marshal.dumps(rows, 2), _COMPRESSION)
                self._places[bucket].extend((self._file.tell(), len(chunk)))
                self._file.write(chunk)
            self._file.flush()
        except OSError as error:
            where = tempfile.gettempdir()
            sentence = f"cannot keep rows in {where}: {error.strerror}; TMPDIR names another directory"
            raise ExportError(sentence, errno=error.errno, filename=where) from error

    def in_memory(self) -> Sequence[SpooledRow]:
        """Return the rows that are in memory, in the order in which they came."""
        return self._rows

    def in_bucket(self, bucket: int) -> Iterator[SpooledRow]:
        """Yield the rows of a bucket of the file, in the order in which they came."""
        places = self._places[bucket]
        for offset, length in zip(places[::2], places[1::2], strict=True):
            assert self._file is not None  # noqa: S101 - there are places only where there is a file
            self._file.seek(offset)
            yield from marshal.loads(zlib.decompress(self._file.read(length)))  # noqa: S302 - this process wrote it

    def close(self) -> None:
        """Remove the file."""
        self._rows = []
        if self._file is not None:
            with suppress(OSError):  # what a full disk did not take is not worth a second error
                self._file.close()


def members_of(encoded: bytes) -> dict[str, Any]:
    """Return the members of a row."""
    return dict(marshal.loads(encoded))  # noqa: S302 - this process wrote it


def in_buckets(old: SpooledRows, new: SpooledRows) -> Iterator[tuple[Iterable[SpooledRow], Iterable[SpooledRow]]]:
    """Yield pairs of rows of two fleets. All rows of a number are in one pair."""
    if old.is_spooled or new.is_spooled:
        for rows in (old, new):
            rows.spool()
        for bucket in range(BUCKETS):
            yield old.in_bucket(bucket), new.in_bucket(bucket)
    else:
        yield old.in_memory(), new.in_memory()
