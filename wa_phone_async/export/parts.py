"""One file of several parts."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Final

from wa_phone_async import ExportError, InvalidArgumentError
from wa_phone_async.files.thread import file_thread
from wa_phone_async.query import Fields

from .formats import FileFormat, read_format
from .homes import Homes
from .part import Part
from .paths import AnyPath, read_path
from .row_file import RowFile
from .rows import Columns, columns_of

_END: Final = object()


async def merge(
    parts: Iterable[AnyPath],
    path: AnyPath,
    *,
    fields: Fields = None,
    format: FileFormat | None = None,  # noqa: A002 - what everybody calls it
) -> None:
    """Make one file of files that `write` wrote, in their order.

    Only a piece of bounded size is in memory. The file appears under its name when it is whole. It may be one of the
    parts; the others stay. An account must be in one part only: a row of two parts is in the file twice. `also_in`
    stays as it is in the parts.

    Args:
        parts: The files, all in the format of `path`.
        path: The file.
        fields: The `fields` with which the parts were written.
        format: The format of all of them; default: that of the suffixes.

    Raises:
        InvalidArgumentError: A part is missing, not whole, has another format, or has other columns.
        ExportError: The disk is full or fails, or a part cannot be read. It is an `OSError` too.
    """
    path = read_path(path)
    files = _read_parts(parts, path, format)
    with RowFile(path, format, columns_of(fields)) as whole:
        await _fill(whole, ((file, whole.copy(file)) for file in files))


async def merge_parts(parts: Iterable[Part], path: Path, form: FileFormat, columns: Columns) -> None:
    """Make one file of the parts of an export, as `merge` does, and check that each part is what was written.

    If there is a column `also_in`, it gets the other accounts of each number that is in several. For that, the ids of
    all numbers are in memory: see `Homes`.

    Args:
        parts: The parts, all in this format and with these columns.
        path: The file.
        form: Its format.
        columns: Its columns.

    Raises:
        ExportError: A part is damaged; or the disk is full or fails.
    """
    with RowFile(path, form, columns) as whole:
        # A part is checked before it is read: the readers of Parquet do not survive every damage.
        parts, homes = list(parts), Homes() if "also_in" in columns else None
        checks = ((part.path, chain(part.check(), whole.note(part.path, homes) if homes else ())) for part in parts)
        copies = ((part.path, whole.copy(part.path, homes)) for part in parts)
        await _fill(whole, chain(checks, copies))


def _read_parts(parts: Iterable[AnyPath], path: Path, form: FileFormat | None) -> list[Path]:
    files = [read_path(part, "parts") for part in parts]
    whole = read_format(path, form)
    for file in files:
        if not os.path.isfile(file):  # noqa: PTH113 - `Path.is_file` raises for a name that is too long
            raise InvalidArgumentError("parts", "files that exist", file)
        if read_format(file, form) != whole:
            raise InvalidArgumentError("parts", f"files of the same format as {path}", file)
    return files


async def _fill(whole: RowFile, work: Iterable[tuple[Path, Iterator[None]]]) -> None:
    """Take each step of the work with each file in a thread, and close the whole one."""
    with file_thread() as run:
        for file, steps in work:
            with _explained(file):
                while await run(next, steps, _END) is not _END:
                    pass
        await run(whole.close)


@contextmanager
def _explained(file: Path) -> Generator[None]:
    try:
        yield
    except ExportError:
        raise
    except OSError as error:
        raise ExportError(f"cannot read {file}: {error.strerror}", errno=error.errno, filename=str(file)) from error
