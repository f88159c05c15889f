"""Rows to a file, and listings to a file and the failed ones to another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import chain
from os import PathLike
from os.path import realpath
from pathlib import Path
from typing import Self, TypeAlias

import attrs

from wa_phone_async import InvalidArgumentError, PhoneNumber
from wa_phone_async.workflows.bulk import WabaListing

from .formats import FileFormat, make_encoder, read_format
from .rows import Exportable, Row, batches, error_rows_of, offer, rows_of
from .whole_file import WholeFile, check_is_file

AnyPath: TypeAlias = str | PathLike[str]


@attrs.frozen(kw_only=True)
class Summary:
    """What was exported."""

    accounts: int = 0
    """Accounts whose numbers are in the file."""
    phone_numbers: int = 0
    """Rows of the file."""
    failed: int = 0
    """Accounts that could not be listed, of which nothing is in the file."""


class RowFile:
    """One file of rows, which appears under its name when it is closed.

    Args:
        path: The file.
        form: Its format; `None` goes by the suffix.
        read_rows: Gives the rows of an item.

    Raises:
        InvalidArgumentError: There is no such format, it needs an extra, or the name is not a file's.
        ExportError: The file cannot be made.
    """

    def __init__(
        self,
        path: AnyPath,
        form: FileFormat | None = None,
        read_rows: Callable[[Exportable], Iterable[Row]] = rows_of,
    ) -> None:
        where = Path(path)
        check_is_file(where)  # which the suffix of a device would hide
        encoder = make_encoder(read_format(where, form))
        self._read_rows = read_rows
        self._is_open = True
        self._file = WholeFile(where)
        try:
            self._encoder = encoder(self._file.write)
        except BaseException:
            self._file.drop()
            raise

    def write(self, items: Iterable[Exportable]) -> int:
        """Add the rows of items, and say how many they are."""
        if not self._is_open:
            raise InvalidArgumentError("the file", "open", hint="it was closed, and nothing can be added")
        count = 0
        for batch in batches(chain.from_iterable(map(self._read_rows, items))):
            offer(batch, self._encoder.write)
            count += len(batch)
        return count

    def copy(self, part: Path) -> Iterator[None]:
        """Add the rows of another file of the same format, at each step a piece of bounded size."""
        return self._encoder.copy(part)

    def close(self) -> None:
        """Give the file its name, once."""
        if self._is_open:
            self._encoder.end()
            self._file.keep()
            self._is_open = False

    def abandon(self) -> None:
        """Remove the file, unless it was closed before."""
        if self._is_open:
            self._is_open = False
            self._encoder.abandon()
            self._file.drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abandon()


class Writer:
    """Writes listings to a file, for programs without an event loop: `write` is the same in one call.

    It is a context manager. The files appear under their names when the block has ended well; otherwise nothing is left
    of them, and what was there before stays.

        with Writer("numbers.csv", errors="failed.jsonl") as writer:
            writer.write(listings)

    Args:
        path: The file, in the format of its suffix: `.jsonl`, `.csv` or `.parquet`.
        errors: A file for the accounts that failed, in JSON Lines: see `errors_row`. It is written even if it is empty.
        format: The format, where the suffix does not say it.

    Raises:
        InvalidArgumentError: There is no such format, it needs an extra, or a name is not a file's.
        ExportError: A file cannot be made.
    """

    def __init__(
        self,
        path: AnyPath,
        *,
        errors: AnyPath | None = None,
        format: FileFormat | None = None,  # noqa: A002 - what everybody calls it
    ) -> None:
        if errors is not None:
            check_is_file(Path(errors), "errors")
            if realpath(errors) == realpath(path):
                raise InvalidArgumentError("errors", f"another file than {path}")
        with ExitStack() as stack:
            self._errors = None if errors is None else stack.enter_context(RowFile(errors, "jsonl", error_rows_of))
            self._numbers = stack.enter_context(RowFile(path, format))
            self._files = stack.pop_all()
        self._summary = Summary()

    def write(self, items: Iterable[WabaListing | PhoneNumber]) -> None:
        """Add listings; a phone number by itself is a row without a `waba_id`.

        Raises:
            InvalidArgumentError: Something else is among them, or the file is closed.
            ExportError: The disk is full, or fails.
        """
        items = list(items)
        rows = self._numbers.write(items)
        if self._errors is not None:
            self._errors.write(items)
        listings = [item for item in items if isinstance(item, WabaListing)]
        failed = sum(listing.error is not None for listing in listings)
        self._summary = Summary(
            accounts=self._summary.accounts + len(listings) - failed,
            phone_numbers=self._summary.phone_numbers + rows,
            failed=self._summary.failed + failed,
        )

    def close(self) -> Summary:
        """Give the files their names: that of the numbers last, so that where it is, all is.

        Raises:
            ExportError: The disk is full, or fails.
        """
        if self._errors is not None:
            self._errors.close()
        self._numbers.close()
        return self._summary

    def abandon(self) -> None:
        """Remove the files, unless they were closed before."""
        self._files.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._files:
            if kind is None:
                self.close()
