"""Exports in an async program: the work on files is done in a thread, a batch at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

from wa_phone_async import InvalidArgumentError, PhoneNumber
from wa_phone_async.workflows.bulk import WabaListing

from .formats import FileFormat, read_format
from .rows import BATCH_ROWS, Exportable
from .writer import AnyPath, RowFile, Summary, Writer

_END: Final = object()


async def write(
    listings: AsyncIterable[WabaListing | PhoneNumber] | Iterable[WabaListing | PhoneNumber],
    path: AnyPath,
    *,
    errors: AnyPath | None = None,
    format: FileFormat | None = None,  # noqa: A002 - what everybody calls it
) -> Summary:
    """Write listings to a file as they come.

    The file appears under its name when it is whole. When something goes wrong, or the task is cancelled, nothing is
    left of it, and a file that was there before stays. Only a batch of about 1,000 rows is in memory, and for Parquet a
    row group of 65,536 rows. The event loop is free meanwhile; a cancelled task waits for the batch under way.

    Args:
        listings: What is to be written. A phone number by itself is a row without a `waba_id`. The iterator is yours:
            it is not closed here.
        path: The file, in the format of its suffix: `.jsonl`, `.csv` or `.parquet` (extra `parquet`).
        errors: A file for the accounts that failed, in JSON Lines: see `errors_row`. It is written even if it is empty.
        format: The format, where the suffix does not say it.

    Returns:
        How much was written.

    Raises:
        InvalidArgumentError: An argument is wrong, or the extra is not installed: nothing was asked of `listings` yet.
        ExportError: The disk is full, or fails. It is an `OSError` as well.
    """
    if not isinstance(listings, AsyncIterable | Iterable):
        raise InvalidArgumentError("listings", "iterable", type(listings))
    items = listings if isinstance(listings, AsyncIterable) else _Each(listings)
    with Writer(path, errors=errors, format=format) as writer, _thread() as run:
        batch: list[Exportable] = []
        size = 0
        async for item in items:
            batch.append(item)
            size += 1 + (len(item.phone_numbers) if isinstance(item, WabaListing) else 0)
            if size >= BATCH_ROWS:
                await run(writer.write, batch)
                batch, size = [], 0
        await run(writer.write, batch)
        summary: Summary = await run(writer.close)
    return summary


async def merge(parts: Iterable[AnyPath], path: AnyPath, *, format: FileFormat | None = None) -> None:  # noqa: A002 - what everybody calls it
    """Make one file of files that `write` wrote, in their order, a piece of bounded size at a time.

    The accounts of the parts must be different ones: a row that is in two parts is in the file twice. The parts stay.
    The file appears under its name when it is whole, as in `write`; it may be one of the parts.

    Args:
        parts: The files, all in the format of `path`.
        path: The file.
        format: The format of all of them, where the suffixes do not say it.

    Raises:
        InvalidArgumentError: A part is missing, of another format, not whole, or has the columns of another version.
        ExportError: The disk is full, or fails. It is an `OSError` as well.
    """
    files = [Path(part) for part in parts]
    form = read_format(Path(path), format)
    for file in files:
        if not file.is_file():
            raise InvalidArgumentError("parts", "files that exist", file)
        if read_format(file, format) != form:
            raise InvalidArgumentError("parts", f"files of the same format as {path}", file)
    with RowFile(path, format) as whole, _thread() as run:
        for file in files:
            pieces = whole.copy(file)
            while await run(next, pieces, _END) is not _END:
                pass
        await run(whole.close)


class _Run(Protocol):
    """Does something in the thread."""

    def __call__(self, work: Callable[..., Any], *arguments: Any) -> Awaitable[Any]: ...


@contextmanager
def _thread() -> Generator[_Run]:
    """A thread of our own. Leaving waits for what is under way in it, so that a file is at rest when it is removed."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1, "export") as thread:
        yield lambda work, *arguments: loop.run_in_executor(thread, work, *arguments)


class _Each(AsyncIterator[Exportable]):
    """A plain iterable, for `async for`. It is no async generator, which would have to be closed."""

    def __init__(self, items: Iterable[Exportable]) -> None:
        self._items = iter(items)

    async def __anext__(self) -> Exportable:
        for item in self._items:
            return item
        raise StopAsyncIteration
