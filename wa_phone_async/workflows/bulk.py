"""Lists of many accounts at once: bounded, fair, and none of them able to spoil the others.

A task of its own lists each account. All share `concurrency` slots (`concurrency.Slot`), and the reader of the ids
waits for a slot like everybody else before it begins another account: so ids are read as fast as slots come free, no
faster, and long lists take turns with what comes after them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Generator, Iterable
from contextlib import aclosing
from typing import Any, Final, Self, TypeAlias

import attrs

from wa_phone_async.checks import check_at_least_one
from wa_phone_async.concurrency import Slot
from wa_phone_async.errors import AuthenticationError, InvalidArgumentError, WaPhoneError
from wa_phone_async.models import BusinessAccount, PhoneNumber

OPEN_PER_SLOT: Final = 10
"""How many accounts may be open for each slot, nearly all of them waiting, before ids are read no further."""

Lister = Callable[[str], Awaitable[list[PhoneNumber]]]
"""Lists the phone numbers of one account. It may raise before it is awaited."""


Accounts: TypeAlias = Iterable[str | BusinessAccount] | AsyncIterable[str | BusinessAccount]
"""Accounts, or their ids, of any number."""


@attrs.frozen(kw_only=True)
class WabaListing:
    """The phone numbers of one account, or why they could not be had."""

    waba_id: str
    """The account, as its id was given."""
    phone_numbers: tuple[PhoneNumber, ...] = ()
    """All its numbers; none where there is an error."""
    error: WaPhoneError | None = None
    """What went wrong, or `None`: then the listing is complete."""
    calls: int = 0
    """How many requests were sent for it."""
    elapsed_seconds: float = 0.0
    """How long it took, with all its waits."""


class Listings:
    """The listings of many accounts as they finish: `async with` it and iterate, or await it for all as a `list`.

        async with client.list_many(waba_ids) as listings:
            async for listing in listings:
                print(listing.waba_id, len(listing.phone_numbers), listing.error)

    Its work goes on in the background, only inside the block; leaving the block cancels what is left and waits for it.
    It is used once.

    Raises:
        AuthenticationError: The token that all accounts share was rejected, which ends the run.
        RuntimeError: It is iterated over outside of `async with`, or entered twice.
    """

    def __init__(
        self,
        lister: Lister,
        waba_ids: Accounts,
        *,
        concurrency: int,
        ordered: bool,
    ) -> None:
        check_at_least_one("concurrency", concurrency)
        if isinstance(waba_ids, str) or not isinstance(waba_ids, Iterable | AsyncIterable):
            raise InvalidArgumentError("waba_ids", "an iterable of ids", type(waba_ids))
        self._lister = lister
        self._ids = waba_ids
        self._ordered = ordered
        self._slots = asyncio.Semaphore(concurrency)
        self._most_open = OPEN_PER_SLOT * concurrency
        self._most_unread = self._most_open if ordered else concurrency
        self._tasks = set[asyncio.Task[None]]()  # one for each account that is open
        self._reader: asyncio.Task[None] | None = None
        self._finished: dict[int, WabaListing] = {}  # by the place at which they are given out
        self._next_in = 0
        self._next_out = 0
        self._failure: BaseException | None = None
        self._is_open = False
        self._changed = asyncio.Event()

    def __repr__(self) -> str:  # what a notebook shows where the `await` was forgotten
        return f"<{type(self).__name__}: await it for all, or iterate over it inside its 'async with'>"

    def __await__(self) -> Generator[Any, None, list[WabaListing]]:
        """All listings: `listings = await client.list_many(waba_ids)`."""
        return self._collect().__await__()

    async def _collect(self) -> list[WabaListing]:
        async with self:
            return [listing async for listing in self]

    async def __aenter__(self) -> Self:
        if self._reader is not None:
            raise RuntimeError("these listings were used already: call list_many() again")
        self._is_open = True
        self._reader = asyncio.create_task(self._read_ids())
        self._reader.add_done_callback(self._end)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_open = False
        if tasks := self._cancel():
            await asyncio.wait(tasks)

    def _cancel(self) -> set[asyncio.Task[None]]:
        """Cancel what is under way, and give it to be waited for."""
        tasks = {task for task in (self._reader, *self._tasks) if task is not None and not task.done()}
        for task in tasks:
            task.cancel()
        return tasks

    def __aiter__(self) -> Self:
        """The listings themselves."""
        self._check_open()
        return self

    async def __anext__(self) -> WabaListing:
        """The next listing; what is finished comes before an error that ends the run."""
        self._check_open()
        while (listing := self._finished.pop(self._next_out, None)) is None:
            if self._failure is not None:
                raise self._failure
            if self._is_done():
                raise StopAsyncIteration
            await self._change()
        self._next_out += 1
        self._changed.set()
        return listing

    def _check_open(self) -> None:
        if not self._is_open:
            raise RuntimeError("iterate inside 'async with client.list_many(…) as listings', or await it for all")

    def _is_done(self) -> bool:
        return self._reader is not None and self._reader.done() and not self._tasks

    async def _change(self) -> None:
        """Wait until a listing is finished or given out, or the run has ended."""
        self._changed.clear()
        await self._changed.wait()

    async def _read_ids(self) -> None:
        """Begin one account after the other, each with a slot."""
        async with aclosing(each_id(self._ids)) as ids:
            async for waba_id in ids:
                slot = Slot(self._slots)
                await slot.reserve()
                task = asyncio.create_task(self._list(waba_id, slot, self._next_in))
                self._next_in += self._ordered
                self._tasks.add(task)
                task.add_done_callback(self._end)
                while self._is_full():
                    await self._change()

    def _is_full(self) -> bool:
        """Whether so many accounts are open, or listings unread, that no more ids are read for now."""
        unread = self._next_in - self._next_out if self._ordered else len(self._finished)
        return unread >= self._most_unread or len(self._tasks) >= self._most_open

    async def _list(self, waba_id: str, slot: Slot, place: int) -> None:
        """List one account, and lay its listing where it is given out."""
        loop = asyncio.get_running_loop()
        slot.bind()
        began = loop.time()
        numbers, error = list[PhoneNumber](), None
        try:
            numbers = await self._lister(waba_id)
        except WaPhoneError as caught:
            error = caught.with_traceback(None)  # its frames would be kept as long as the listing
        finally:
            slot.release()
        if isinstance(error, AuthenticationError) and error.is_shared:
            raise error
        if not self._ordered:
            place, self._next_in = self._next_in, self._next_in + 1
        self._finished[place] = WabaListing(
            waba_id=str(waba_id),  # what is no id at all is listed as the error that it is
            phone_numbers=tuple(numbers),
            error=error,
            calls=slot.calls,
            elapsed_seconds=loop.time() - began,
        )

    def _end(self, task: asyncio.Task[None]) -> None:
        """A task of ours has ended: its bug, or a cancellation that was not ours, ends the run as itself."""
        self._tasks.discard(task)
        failure = asyncio.CancelledError() if task.cancelled() else task.exception()
        if failure is not None and self._failure is None and self._is_open:
            self._failure = failure
            self._cancel()
        self._changed.set()


async def each_id(accounts: Accounts) -> AsyncGenerator[str]:
    """The ids of accounts, one after the other, as they are wanted."""
    if isinstance(accounts, AsyncIterable):
        async for account in accounts:
            yield _id_of(account)
    else:
        for account in accounts:
            yield _id_of(account)


def _id_of(account: str | BusinessAccount) -> str:
    return account.id if isinstance(account, BusinessAccount) else account
