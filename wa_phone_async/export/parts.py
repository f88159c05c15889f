"""One file of several parts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from wa_phone_async import InvalidArgumentError

from .file_thread import file_thread
from .formats import FileFormat, read_format
from .row_file import AnyPath, RowFile
from .rows import columns_of

_END: Final = object()


async def merge(
    parts: Iterable[AnyPath],
    path: AnyPath,
    *,
    fields: Iterable[str] | str | None = None,
    format: FileFormat | None = None,  # noqa: A002 - what everybody calls it
) -> None:
    """Make one file of files that `write` wrote, in their order.

    Only a piece of bounded size is in memory. The file appears under its name when it is whole. It may be one of the
    parts; the others stay. An account must be in one part only: a row of two parts is in the file twice.

    Args:
        parts: The files, all in the format of `path`.
        path: The file.
        fields: The `fields` with which the parts were written.
        format: The format of all of them; default: that of the suffixes.

    Raises:
        InvalidArgumentError: A part is missing, not whole, has another format, or has other columns.
        ExportError: The disk is full or fails. It is an `OSError` too.
    """
    files = [Path(part) for part in parts]
    form = read_format(Path(path), format)
    for file in files:
        if not file.is_file():
            raise InvalidArgumentError("parts", "files that exist", file)
        if read_format(file, format) != form:
            raise InvalidArgumentError("parts", f"files of the same format as {path}", file)
    with RowFile(path, format, columns_of(fields)) as whole, file_thread() as run:
        for file in files:
            pieces = whole.copy(file)
            while await run(next, pieces, _END) is not _END:
                pass
        await run(whole.close)
