"""Listings to a file, and the failed ones to another: `write` in an async program, `Writer` in any other."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from contextlib import ExitStack
from os.path import realpath
from typing import Final, Self

import attrs

from wa_phone_async import InvalidArgumentError, PhoneNumber, WabaListing
from wa_phone_async.files.thread import file_thread
from wa_phone_async.query import Fields
from wa_phone_async.workflows.bulk import as_async

from .formats import FileFormat
from .paths import AnyPath
from .row_file import RowFile
from .rows import BATCH_ROWS, ERROR_COLUMNS, Exportable, batches, columns_of, error_batches
from .whole_file import check_is_file

MOST_FAILURES: Final = 100
"""How many failed listings a `Summary` keeps. A file of errors has all of them."""


@attrs.frozen(kw_only=True)
class Summary:
    """What was exported."""

    accounts: int = 0
    """Accounts that are in the file. One without numbers counts too."""
    phone_numbers: int = 0
    """Rows of the file."""
    failed: int = 0
    """Accounts that could not be listed. The file has nothing of them."""
    failures: tuple[WabaListing, ...] = attrs.field(default=(), eq=False)
    """Those that could not be listed this time, each with its `error`; the first `MOST_FAILURES` of them."""


async def write(
    listings: AsyncIterable[WabaListing | PhoneNumber] | Iterable[WabaListing | PhoneNumber],
    path: AnyPath,
    *,
    fields: Fields = None,
    errors: AnyPath | None = None,
    format: FileFormat | None = None,  # noqa: A002 - what everybody calls it
) -> Summary:
    """Write listings to a file as they come.

    The file appears under its name when it is whole. If something goes wrong, or you cancel the task, nothing is left
    of it, and the file that was there stays. About 1,000 rows are in memory; for Parquet, a row group of 65,536 rows.
    A thread does the work, so the event loop stays free. A cancelled task waits for the rows under way.

    Args:
        listings: The listings. A phone number by itself is a row without a `waba_id`. The iterator is yours: it is
            not closed here.
        path: The file, in the format of its suffix: `.jsonl`, `.csv` or `.parquet` (extra `parquet`).
        fields: The fields that you requested. The columns are then `waba_id`, `id`, these fields, and `extra`.
            Default: every field of `PhoneNumber` is a column.
        errors: A file for the accounts that failed, in JSON Lines: see `errors_row`. It is written even if it is empty.
        format: The format; default: that of the suffix.

    Returns:
        How much was written.

    Raises:
        InvalidArgumentError: An argument is invalid, or the extra is not installed. No listing was read then.
        ExportError: The disk is full or fails. It is an `OSError` too.
    """
    if not isinstance(listings, AsyncIterable | Iterable):
        raise InvalidArgumentError("listings", "iterable", type(listings))
    with Writer(path, fields=fields, errors=errors, format=format) as writer, file_thread() as run:
        batch: list[Exportable] = []
        size = 0
        async for item in as_async(listings):
            batch.append(item)
            size += 1 + (len(item.phone_numbers) if isinstance(item, WabaListing) else 0)
            if size >= BATCH_ROWS:
                await run(writer.write, batch)
                batch, size = [], 0
        await run(writer.write, batch)
        summary: Summary = await run(writer.close)
    return summary


class Writer:
    """Writes listings to a file, without an event loop. `write` does the same in one call of an async program.

        with Writer("numbers.csv", errors="failed.jsonl") as writer:
            writer.write(listings)

    The files appear under their names when the block ends well. After an exception nothing is left of them, and the
    files that were there stay.

    Args:
        path: The file, in the format of its suffix: `.jsonl`, `.csv` or `.parquet` (extra `parquet`).
        fields: The fields that you requested. The columns are then `waba_id`, `id`, these fields, and `extra`.
            Default: every field of `PhoneNumber` is a column.
        errors: A file for the accounts that failed, in JSON Lines: see `errors_row`. It is written even if it is empty.
        format: The format; default: that of the suffix.

    Raises:
        InvalidArgumentError: There is no such format, it needs an extra, `fields` holds no names of fields, or a path
            is not that of a file.
        ExportError: A file cannot be made.
    """

    def __init__(
        self,
        path: AnyPath,
        *,
        fields: Fields = None,
        errors: AnyPath | None = None,
        format: FileFormat | None = None,  # noqa: A002 - what everybody calls it
    ) -> None:
        path = check_is_file(path)
        if errors is not None and realpath(check_is_file(errors, "errors")) == realpath(path):
            raise InvalidArgumentError("errors", f"another file than {path}")
        self._columns = columns_of(fields)
        with ExitStack() as stack:
            self._errors = None if errors is None else stack.enter_context(RowFile(errors, "jsonl", ERROR_COLUMNS))
            self._numbers = stack.enter_context(RowFile(path, format, self._columns))
            self._files = stack.pop_all()
        self._summary = Summary()

    def write(self, items: Iterable[WabaListing | PhoneNumber]) -> None:
        """Add listings. A phone number by itself is a row without a `waba_id`.

        Raises:
            InvalidArgumentError: Something else is among them, or the file is closed.
            ExportError: The disk is full or fails.
        """
        items = list(items)
        rows = self._numbers.write(batches(items, self._columns))
        if self._errors is not None:
            self._errors.write(error_batches(items))
        listings = [item for item in items if isinstance(item, WabaListing)]
        failures = [listing for listing in listings if listing.error is not None]
        self._summary = Summary(
            accounts=self._summary.accounts + len(listings) - len(failures),
            phone_numbers=self._summary.phone_numbers + rows,
            failed=self._summary.failed + len(failures),
            failures=(*self._summary.failures, *failures)[:MOST_FAILURES],
        )

    def close(self) -> Summary:
        """Give the files their names.

        Raises:
            ExportError: The disk is full or fails.
        """
        # The numbers come last: where their file is, the errors are too.
        if self._errors is not None:
            self._errors.close()
        self._numbers.close()
        return self._summary

    def abandon(self) -> None:
        """Remove the files, unless you closed them."""
        self._files.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._files:
            if kind is None:
                self.close()
