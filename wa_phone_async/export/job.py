"""An export that you can kill at any moment and resume."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import Any, Self

from wa_phone_async import InvalidArgumentError, WabaListing
from wa_phone_async.query import Fields
from wa_phone_async.workflows.bulk import Accounts, each_id
from wa_phone_async.workflows.id_set import IdSet

from .formats import FileFormat, make_encoder, read_format
from .journal import Journal, Options
from .part import Part, write_part
from .parts import merge_parts
from .paths import AnyPath
from .rows import ERROR_COLUMNS, batches, columns_of, each_number_once, error_batches
from .whole_file import WholeFile, check_is_file, directory_mode, remove_partials
from .writer import MOST_FAILURES, Summary


class Job:
    """Writes listings to a file by way of parts. You can kill it at any moment and resume it.

        with Job("numbers.parquet", resume=True) as job:
            async with client.list_many(job.remaining(waba_ids)) as listings:
                async for listing in listings:
                    await job.add(listing)
            summary = await job.finish()

    The parts and the journal are in a directory beside the file, `numbers.parquet.parts`. An account is complete when
    its part is on the disk and its id in the journal. `finish` merges the parts into the file, which appears under its
    name when it is whole. Then it removes the directory. If accounts have failed, the directory stays, and resuming
    lists only these.

    The file has one row for each account and id. An account that you add again is left out. If pages shift while an
    account is listed, a number can come on two pages: the row that was read last is kept.

    Args:
        path: The file, in the format of its suffix: `.jsonl`, `.csv` or `.parquet` (extra `parquet`).
        fields: The fields that you requested. The columns are then `waba_id`, `id`, these fields, and `extra`.
            Default: every field of `PhoneNumber` is a column.
        errors: A file for the accounts that failed this time, in JSON Lines: see `errors_row`.
        format: The format; default: that of the suffix.
        options: The options of your listings, as plain JSON. Resuming with other options or other columns is an error.
        resume: Whether to go on with an unfinished export, if there is one. If accounts failed, a finished one
            is unfinished until it is half a day old. Then it begins again.
        part_accounts: Accounts of a part. It is written when it has as many, or reaches another of these limits.
        part_numbers: Numbers of a part.
        part_seconds: Age of a part in seconds. It is checked when an account comes.

    Raises:
        InvalidArgumentError: An argument is invalid; or there is an unfinished export and `resume` is `False`; or it
            has other options, or another version of this library began it; or another process writes to it.
        ExportError: A file cannot be made. Or the unfinished export is damaged: then its `errno` is `None`.
    """

    def __init__(
        self,
        path: AnyPath,
        *,
        fields: Fields = None,
        errors: AnyPath | None = None,
        format: FileFormat | None = None,  # noqa: A002 - what everybody calls it
        options: Options | None = None,
        resume: bool = False,
        part_accounts: int = 2_000,
        part_numbers: int = 20_000,
        part_seconds: float = 15.0,
    ) -> None:
        self._path = Path(os.path.realpath(check_is_file(path)))
        self._errors = None if errors is None else Path(os.path.realpath(check_is_file(errors, "errors")))
        self.format: FileFormat = read_format(self._path, format)
        """The format of the file, and of its parts."""
        self._columns = columns_of(fields)
        # Whatever can be known to fail is tried now, and not after hours of listing: an extra that is missing here,
        # and below a file that cannot be written.
        make_encoder(self.format, self._columns)
        if self._errors == self._path:
            raise InvalidArgumentError("errors", f"another file than {path}")
        files = [whole for whole in (self._path, self._errors) if whole is not None]
        for whole in files:
            WholeFile(whole).drop()
        self._bounds = (part_accounts, part_numbers, part_seconds)
        self.directory: Path = self._path.with_name(f"{self._path.name}.parts")
        """The directory of the parts and the journal."""
        bound = {**(options or {}), "format": self.format, "columns": list(self._columns)}
        self._journal = Journal(self.directory, bound, mode=directory_mode(self._path), resume=resume)
        for whole in (*files, self.directory):
            remove_partials(whole)
        # `remaining` yields an id and it is open. Then it is complete, which the journal knows, or it has failed.
        self._open = set[str]()
        self._failed = IdSet()
        self._failures: list[WabaListing] = []  # the first of those
        self._failed_parts: list[Part] = []
        self._batch: list[WabaListing] = []
        self._batch_numbers = 0
        self._batch_began = 0.0
        self._is_done = False
        self._failure: Exception | None = None
        # One thread does all work on files, in its order: the event loop stays free, and `close` can wait for it.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="export")
        self.resumed: Summary = self.so_far
        """What was complete when this job began."""

    @property
    def so_far(self) -> Summary:
        """What is complete now, and how many accounts failed this time."""
        journal = self._journal
        return Summary(
            accounts=len(journal.complete),
            phone_numbers=journal.phone_numbers,
            failed=len(self._failed),
            failures=tuple(self._failures),
        )

    async def remaining(self, waba_ids: Accounts) -> AsyncGenerator[str]:
        """Yield each account id that still has to be listed."""
        async with aclosing(each_id(waba_ids)) as ids:
            async for waba_id in ids:
                # What is no id fails in its own listing, as it does in `list_many`.
                if not isinstance(waba_id, str) or self.needs(waba_id):
                    yield waba_id

    def needs(self, waba_id: str) -> bool:
        """Whether an account still has to be listed. Ask once: then the caller has to list it.

        `client.list_fleet(business_id, wanted=job.needs)` lists the accounts that a resumed export still needs.
        """
        # The thread adds an id to the complete or failed ones first. Only then does the event loop take it out of
        # `_open`, so at every moment it is in one of the three.
        if waba_id in self._open or waba_id in self._journal.complete or waba_id in self._failed:
            return False
        self._open.add(waba_id)
        return True

    async def add(self, listing: WabaListing) -> None:
        """Take a listing. When the next part is large or old enough, write it.

        Raises:
            InvalidArgumentError: The job is finished or closed.
            ExportError: The disk is full or fails. This job writes nothing more: resume the export with another `Job`.
        """
        if self._is_done:
            raise InvalidArgumentError("the job", "open", hint="it has ended, and nothing can be added")
        now = asyncio.get_running_loop().time()
        self._batch_began = self._batch_began if self._batch else now
        listing = each_number_once(listing)
        self._batch.append(listing)
        self._batch_numbers += len(listing.phone_numbers)
        # Each part costs syncs of the disk, so it should be large. But a kill loses it, so it should not be old.
        size = (len(self._batch), self._batch_numbers, now - self._batch_began)
        if any(much >= bound for much, bound in zip(size, self._bounds, strict=True)):
            await self.flush()

    async def adopt(self, part: Part | None, waba_ids: Sequence[str]) -> None:
        """Take a part that another process wrote whole into `directory`. Its accounts are complete then.

        Args:
            part: The part, or `None` if the accounts have no numbers. No process may write to its file again.
            waba_ids: The accounts in it.

        Raises:
            ExportError: The disk is full or fails.
        """
        if waba_ids:
            await self._in_thread(self._journal.add, part, waba_ids)
            self._open.difference_update(waba_ids)

    async def flush(self) -> None:
        """Write the listings so far as a part. Their accounts are complete then.

        Raises:
            ExportError: The disk is full or fails.
        """
        batch, self._batch, self._batch_numbers = self._batch, [], 0
        await self._in_thread(self._write, batch)
        self._open.difference_update(listing.waba_id for listing in batch)

    async def finish(self) -> Summary:
        """Merge the parts into the file. Each part is checked: its bytes must be those that were written.

        Returns:
            What is in the file, and how many accounts failed this time.

        Raises:
            ExportError: The disk is full or fails. What is complete stays complete. Or a part is damaged: then its
                `errno` is `None`.
        """
        await self.pause()
        await merge_parts(self._journal.parts, self._path, self.format, self._columns)
        summary, self._is_done = self.so_far, True
        # With failed accounts the parts stay. Resuming merges them again, with those accounts that are listed then.
        await self._in_thread(self._journal.finish if summary.failed else self._journal.remove)
        return summary

    async def pause(self) -> None:
        """Write the listings so far as a part, and the file of errors. You can resume the export later.

        Raises:
            ExportError: The disk is full or fails. What is complete stays complete.
        """
        await self.flush()
        if self._errors is not None:
            await merge_parts(self._failed_parts, self._errors, "jsonl", ERROR_COLUMNS)

    async def _in_thread(self, work: Callable[..., None], *arguments: Any) -> None:
        """Run a function in the thread, to its end even if the caller is cancelled."""
        loop = asyncio.get_running_loop()
        await asyncio.shield(loop.run_in_executor(self._thread, self._attempt, work, *arguments))
        if self._failure is not None:
            raise self._failure

    def _attempt(self, work: Callable[..., None], *arguments: Any) -> None:
        """Run a function, unless an earlier one failed.

        A failure may leave half a line in the journal. A line behind it could not be read.
        """
        if self._failure is None:
            try:
                work(*arguments)
            except Exception as error:  # noqa: BLE001 - its caller gets it, or the next one if this one was cancelled
                self._failure = error

    def _write(self, batch: list[WabaListing]) -> None:
        complete, failed = self._journal.complete, self._failed
        # An account may come twice, in this batch or after another one. Only one of its good listings is written.
        new = [listing for listing in batch if listing.waba_id not in complete]
        bad = {each.waba_id: each for each in new if each.error is not None and each.waba_id not in failed}
        good = {each.waba_id: each for each in new if each.error is None}
        if bad:
            self._write_failed(bad)
        if good:
            self._write_part(good)

    def _write_failed(self, listings: dict[str, WabaListing]) -> None:
        if self._errors is not None:
            path = self.directory / f"failed-{len(self._failed_parts) + 1:06}.jsonl"
            self._failed_parts.append(write_part(path, error_batches(listings.values()), ERROR_COLUMNS))
        self._failures.extend(list(listings.values())[: MOST_FAILURES - len(self._failures)])
        for waba_id in listings:
            self._failed.add(waba_id)

    def _write_part(self, listings: dict[str, WabaListing]) -> None:
        part = None
        if any(listing.phone_numbers for listing in listings.values()):
            rows = batches(listings.values(), self._columns)
            part = write_part(self._journal.next_part(f".{self.format}"), rows, self._columns)
        self._journal.add(part, list(listings))

    def close(self) -> None:
        """Wait for what is being written, and unlock the directory.

        Listings that were not written are lost; `remaining` yields their accounts when you resume.
        """
        self._is_done = True
        self._thread.shutdown()
        if not len(self._journal.complete):
            self._journal.remove()  # nothing is lost with it, and no directory is left of a job that never began
        self._journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
