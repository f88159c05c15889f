"""An export that can be killed at any moment and goes on where it was."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import Any, Self

from wa_phone_async import InvalidArgumentError, WabaListing
from wa_phone_async.workflows.bulk import Accounts, each_id

from .formats import FileFormat, make_encoder, read_format
from .ids import IdSet
from .journal import Journal, Options
from .rows import error_rows_of
from .whole_file import WholeFile, check_is_file, remove_partials
from .writer import AnyPath, RowFile, Summary
from .writing import merge


class Job:
    """Writes listings to a file by way of parts, so that it can be resumed: every number once, whatever happens.

        with Job("numbers.parquet", resume=True) as job:
            async with client.list_many(job.remaining(waba_ids)) as listings:
                async for listing in listings:
                    await job.add(listing)
            summary = await job.finish()

    The parts and the journal are in a directory beside the file, `numbers.parquet.parts`. An account is complete when
    it is in the journal, after its part is on the disk; one that is added again is left out. At the end the parts are
    merged into the file, which appears under its name only when it is whole, and the directory is removed. It stays
    while accounts have failed, so that resuming asks for these alone.

    Args:
        path: The file, in the format of its suffix: `.jsonl`, `.csv` or `.parquet` (extra `parquet`).
        errors: A file for the accounts that failed this time, in JSON Lines: see `errors_row`.
        format: The format, where the suffix does not say it.
        options: What the listings were asked for, as plain JSON: other ones are refused when it is resumed.
        resume: Whether to go on with an export that was not finished, if there is one.
        part_accounts: A part is written when so many accounts have come together,
        part_numbers: or so many numbers,
        part_seconds: or when the first of them is so many seconds old and another one comes.

    Raises:
        InvalidArgumentError: An argument is wrong; or there is an export that was not finished, and `resume` is false,
            or it had other options, or another process is at it.
        ExportError: A file cannot be made.
    """

    def __init__(
        self,
        path: AnyPath,
        *,
        errors: AnyPath | None = None,
        format: FileFormat | None = None,  # noqa: A002 - what everybody calls it
        options: Options | None = None,
        resume: bool = False,
        part_accounts: int = 2_000,
        part_numbers: int = 20_000,
        part_seconds: float = 15.0,
    ) -> None:
        for name, file in (("path", path), ("errors", errors)):
            if file is not None:
                check_is_file(Path(file), name)
        self._path = Path(os.path.realpath(path))
        self._errors = None if errors is None else Path(os.path.realpath(errors))
        self.format: FileFormat = read_format(self._path, format)
        """The format of the file, and of its parts."""
        make_encoder(self.format)  # whether its extra is there
        if self._errors == self._path:
            raise InvalidArgumentError("errors", f"another file than {path}")
        files = [whole for whole in (self._path, self._errors) if whole is not None]
        for whole in files:
            WholeFile(whole).drop()  # whether it can be written is better known now than after hours
        self._bounds = (part_accounts, part_numbers, part_seconds)
        self.directory: Path = self._path.with_name(f"{self._path.name}.parts")
        """Where the parts and the journal are."""
        self._journal = Journal(self.directory, {**(options or {}), "format": self.format}, resume=resume)
        for whole in (*files, self.directory):
            remove_partials(whole)  # of a process that was killed: whoever has the journal is alone
        self._open = set[str]()  # ids that are neither complete nor failed yet
        self._failed = IdSet()
        self._failed_parts: list[Path] = []
        self._batch: list[WabaListing] = []
        self._batch_numbers = 0
        self._batch_began = 0.0
        self._is_done = False
        self._failure: Exception | None = None
        # One thread writes: the event loop goes on, and what was begun is ended before the journal is closed.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="export")
        self.resumed: Summary = self.so_far
        """What was complete when it began."""

    @property
    def so_far(self) -> Summary:
        """What is complete, and how many accounts failed this time."""
        journal = self._journal
        return Summary(accounts=len(journal.complete), phone_numbers=journal.phone_numbers, failed=len(self._failed))

    async def remaining(self, waba_ids: Accounts) -> AsyncGenerator[str]:
        """Those of the ids, or of the ids of the accounts, that are not complete, each once."""
        async with aclosing(each_id(waba_ids)) as ids:
            async for waba_id in ids:
                if self._is_new(waba_id):
                    yield waba_id

    def _is_new(self, waba_id: str) -> bool:
        # In this order: an id goes from `_open` to one of the others, in the thread.
        if waba_id in self._open or waba_id in self._journal.complete or waba_id in self._failed:
            return False
        self._open.add(waba_id)
        return True

    async def add(self, listing: WabaListing) -> None:
        """Take a listing, and write what has come together when that is much, or old.

        Raises:
            InvalidArgumentError: The job is finished or closed.
            ExportError: The disk is full, or fails. Nothing more is written then: resume it with another `Job`.
        """
        if self._is_done:
            raise InvalidArgumentError("the job", "open", hint="it has ended, and nothing can be added")
        now = asyncio.get_running_loop().time()
        self._batch_began = self._batch_began if self._batch else now
        self._batch.append(listing)
        self._batch_numbers += len(listing.phone_numbers)
        size = (len(self._batch), self._batch_numbers, now - self._batch_began)
        if any(much >= bound for much, bound in zip(size, self._bounds, strict=True)):
            await self.flush()

    async def adopt(self, part: Path | None, waba_ids: Sequence[str], phone_numbers: int) -> None:
        """Take a part that others wrote into the job's `directory`, whole, and note its accounts as complete.

        Args:
            part: The file; `None` where the accounts have no numbers.
            waba_ids: The accounts in it.
            phone_numbers: How many numbers they have.

        Raises:
            ExportError: The disk is full, or fails.
        """
        if waba_ids:
            await self._in_thread(self._journal.add, part, waba_ids, phone_numbers)
            self._open.difference_update(waba_ids)

    async def flush(self) -> None:
        """Write what has come together, and note it as complete.

        Raises:
            ExportError: The disk is full, or fails.
        """
        batch, self._batch, self._batch_numbers = self._batch, [], 0
        await self._in_thread(self._write, batch)
        self._open.difference_update(listing.waba_id for listing in batch)

    async def finish(self) -> Summary:
        """Merge the parts into the file.

        Returns:
            What is in it, with what was complete when the job began, and how many accounts failed this time.

        Raises:
            ExportError: The disk is full, or fails; what is complete stays so.
        """
        await self.pause()
        await merge(self._journal.parts, self._path, format=self.format)
        summary, self._is_done = self.so_far, True
        await self._in_thread(self._journal.finish if summary.failed else self._journal.remove)
        return summary

    async def pause(self) -> None:
        """Write what has come together, and the file of errors so far, to go on another time.

        Raises:
            ExportError: The disk is full, or fails; what is complete stays so.
        """
        await self.flush()
        if self._errors is not None:
            await merge(self._failed_parts, self._errors, format="jsonl")

    async def _in_thread(self, work: Callable[..., None], *arguments: Any) -> None:
        """Do something in the thread: whole, even where whoever waits for it is cancelled."""
        loop = asyncio.get_running_loop()
        await asyncio.shield(loop.run_in_executor(self._thread, self._attempt, work, *arguments))
        if self._failure is not None:
            raise self._failure

    def _attempt(self, work: Callable[..., None], *arguments: Any) -> None:
        """Do something, unless something went wrong before: nothing may be written after a line that was cut."""
        if self._failure is None:
            try:
                work(*arguments)
            except Exception as error:  # noqa: BLE001 - whoever waits is told, or else the next one
                self._failure = error

    def _write(self, batch: list[WabaListing]) -> None:
        complete, failed = self._journal.complete, self._failed
        new = [listing for listing in batch if listing.waba_id not in complete]
        bad = {each.waba_id: each for each in new if each.error is not None and each.waba_id not in failed}
        good = {each.waba_id: each for each in new if each.error is None}
        if bad:
            self._write_failed(bad)
        if good:
            self._write_part(good)

    def _write_failed(self, listings: dict[str, WabaListing]) -> None:
        if self._errors is not None:
            part = self.directory / f"failed-{len(self._failed_parts) + 1:06}.jsonl"
            with RowFile(part, read_rows=error_rows_of) as file:
                file.write(listings.values())
                file.close()
            self._failed_parts.append(part)
        for waba_id in listings:
            self._failed.add(waba_id)

    def _write_part(self, listings: dict[str, WabaListing]) -> None:
        numbers = sum(len(listing.phone_numbers) for listing in listings.values())
        part = None
        if numbers:
            part = self._journal.next_part(f".{self.format}")
            with RowFile(part) as file:
                file.write(listings.values())
                file.close()
        self._journal.add(part, list(listings), numbers)

    def close(self) -> None:
        """Wait for what is being written, and let others at the journal. What was not flushed is asked for again."""
        self._is_done = True
        self._thread.shutdown()
        if not len(self._journal.complete):
            self._journal.remove()  # nothing is lost with it
        self._journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
