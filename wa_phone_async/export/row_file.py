"""One file of rows, in any format. It appears under its name when it is closed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self

from wa_phone_async import InvalidArgumentError

from .formats import FileFormat, make_encoder, read_format
from .homes import Homes
from .lines import Sink
from .paths import AnyPath
from .rows import COLUMNS, Batch, Columns, offer
from .whole_file import WholeFile, check_is_file


class RowFile:
    """A new file of rows.

    Args:
        path: The file.
        form: Its format; default: that of the suffix.
        columns: The columns of its rows; default: all.
        observer: Called with each piece of the file as it is written.

    Raises:
        InvalidArgumentError: There is no such format, it needs an extra, or the path is not that of a file.
        ExportError: The file cannot be made.
    """

    def __init__(
        self,
        path: AnyPath,
        form: FileFormat | None = None,
        columns: Columns = COLUMNS,
        *,
        observer: Sink | None = None,
    ) -> None:
        where = check_is_file(path)  # before the suffix is read: a device has none
        encoder = make_encoder(read_format(where, form), columns)
        self._is_open = True
        self._file = WholeFile(where)
        try:
            self._encoder = encoder(self._file.write if observer is None else _both(self._file.write, observer))
        except BaseException:  # a CSV writes its header here, and the disk may be full
            self._file.drop()
            raise

    def write(self, batches: Iterable[Batch]) -> int:
        """Add rows, and return how many they are."""
        if not self._is_open:
            raise InvalidArgumentError("the file", "open", hint="it was closed, and nothing can be added")
        count = 0
        for batch in batches:
            offer(batch, self._encoder.write)
            count += len(batch["waba_id"])
        return count

    def note(self, part: Path, homes: Homes) -> Iterator[None]:
        """Note the account of each number in another file of the same format. Each step reads a bounded piece."""
        return self._encoder.note(part, homes)

    def copy(self, part: Path, homes: Homes | None = None) -> Iterator[None]:
        """Add the rows of another file of the same format. Each step adds a piece of bounded size.

        Args:
            part: The file.
            homes: The accounts of each number, for `also_in`. `None`: the rows stay as they are.
        """
        return self._encoder.copy(part, homes)

    def close(self) -> None:
        """Give the file its name. You may call it again."""
        if self._is_open:
            self._encoder.end()
            self._file.keep()
            self._is_open = False

    def abandon(self) -> None:
        """Remove the file, unless you closed it."""
        if self._is_open:
            self._is_open = False
            self._encoder.abandon()
            self._file.drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abandon()


def _both(first: Sink, second: Sink) -> Sink:
    def take(data: bytes) -> None:
        first(data)
        second(data)

    return take
