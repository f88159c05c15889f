"""List many accounts at once. Memory is bounded, no account blocks another, and each has its own error.

One task lists one account. All tasks share `concurrency` slots. The reader of the accounts needs a slot too before it
starts one. So it reads accounts as fast as slots become free, and an account with many pages shares the slots with the
accounts after it. Listings that are complete already, as those of a nested call, need no task and no slot.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Sequence,
)
from contextlib import aclosing
from typing import Any, Final, NamedTuple, NoReturn, Self, TypeAlias, TypeVar, cast

import attrs

from wa_phone_async.checks import check_at_least_one, plain_id
from wa_phone_async.concurrency import Slot
from wa_phone_async.errors import InvalidArgumentError, WaPhoneError, concerns_all
from wa_phone_async.models import BusinessAccount, PhoneNumber
from wa_phone_async.pagination.rows import Rows, rows_of

from .id_set import IdSet
from .listing import WabaListing

T = TypeVar("T")

OPEN_PER_SLOT: Final = 10
"""How many accounts may be open for each slot before no more ids are read. Nearly all of them wait, without a slot."""

Lister = Callable[[str], Awaitable[list[PhoneNumber]]]
"""A function that lists the phone numbers of one account. It may raise before its result is awaited."""

Accounts: TypeAlias = Iterable[str | int | BusinessAccount] | AsyncIterable[str | int | BusinessAccount]
"""Any number of accounts, or of their ids."""


class Unlisted(NamedTuple):  # made for each account; an attrs class takes more calls
    """An account that is still to be listed, by calls of its own."""

    waba_id: str
    lister: Lister


Entries: TypeAlias = Callable[[Slot], AsyncGenerator[Unlisted | Sequence[WabaListing]]]
"""A function that yields accounts to list, and listings that are complete. It makes its own calls with the slot."""


class Listings:
    """The listings of many accounts. Iterate inside `async with`, or await it for a `list` of all.

        async with client.list_many(waba_ids) as listings:
            async for listing in listings:
                print(listing.waba_id, len(listing.phone_numbers), listing.error)

    Accounts are listed in the background, but only inside the block. When you leave it, the remaining work is cancelled
    and awaited. You can use it once.

    Raises:
        AuthenticationError: The API rejected the token that all accounts share. This ends the run.
        RuntimeError: You iterate outside `async with`, or enter it twice.
    """

    def __init__(
        self, entries: Entries, *, concurrency: int, ordered: bool, unique: bool = False, max_unread: int = 0
    ) -> None:
        check_at_least_one("concurrency", concurrency)
        self._entries = entries
        self._ordered = ordered
        self._seen = IdSet() if unique else None  # the ids of the numbers that were returned
        self._slots = asyncio.Semaphore(concurrency)
        self._shared_slot = Slot(self._slots)
        self._max_open = OPEN_PER_SLOT * concurrency
        # With `ordered`, one slow account keeps the finished ones after it unread. They must not stop the others.
        self._max_unread = max(max_unread, self._max_open if ordered else concurrency)
        self._tasks = set[asyncio.Task[None]]()  # one for each open account
        self._reader: asyncio.Task[None] | None = None
        # Finished listings by their position among all results. With `ordered`, an account gets its position when it
        # starts. Otherwise a listing gets the next one when it is finished.
        self._finished: dict[int, WabaListing] = {}
        self._next_in = 0  # the next position to give to an account or a listing
        self._next_out = 0  # the position that the next `anext` returns
        self._failure: BaseException | None = None  # what ends the run
        self._is_open = False
        self._is_stopped = False
        self._changed = asyncio.Event()

    def __repr__(self) -> str:  # seen in a notebook after a forgotten `await`
        return f"<{type(self).__name__}: await it for a list of all, or iterate over it inside 'async with'>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("listings hold a client with its token and cannot be pickled or copied: call list_many() again")

    def __await__(self) -> Generator[Any, None, Rows[WabaListing]]:
        """Return all listings: `listings = await client.list_many(waba_ids)`."""
        return self._collect().__await__()

    @property
    def is_open(self) -> bool:
        """Whether you are inside its `async with`."""
        return self._is_open

    async def _collect(self) -> Rows[WabaListing]:
        async with self:
            return rows_of([listing async for listing in self], WabaListing)

    async def __aenter__(self) -> Self:
        if self._reader is not None:
            raise RuntimeError("these listings were used already: call list_many() again")
        self._is_open = True
        self._reader = asyncio.create_task(self._read_entries())
        self._reader.add_done_callback(self._on_task_done)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_open = False  # first, or `_on_task_done` would take the cancellations for failures
        if tasks := self._cancel():
            await asyncio.wait(tasks)

    def _cancel(self) -> set[asyncio.Task[None]]:
        """Cancel all running tasks, and return them."""
        cancelled = set[asyncio.Task[None]]()
        for task in (self._reader, *self._tasks):
            if task is not None and task.cancel():  # which does nothing to a task that is done
                cancelled.add(task)
        return cancelled

    def __aiter__(self) -> Self:
        """Return the listings themselves."""
        self._check_open()
        return self

    async def __anext__(self) -> WabaListing:
        """Return the next listing. An error that ends the run comes after the listings that are finished."""
        self._check_open()
        while (listing := self._finished.pop(self._next_out, None)) is None:
            if self._failure is not None:
                raise self._failure
            if self._reader is not None and self._reader.done() and not self._tasks:
                raise StopAsyncIteration
            await self._wait_for_change()
        self._next_out += 1
        self._changed.set()  # the reader of the accounts may wait for this space
        return listing if self._seen is None else _without(self._seen, listing)

    @property
    def shared_calls(self) -> int:
        """How many requests were sent for many accounts at once. Those for one account are in its listing."""
        return self._shared_slot.calls

    def stop(self) -> None:
        """Read no more accounts. Iterating goes on with those that are under way, and then ends.

        A call for many accounts that is in flight is under way too: those that come whole are listed.
        """
        self._is_stopped = True
        self._changed.set()  # the reader of the accounts may wait

    def _check_open(self) -> None:
        if not self._is_open:
            raise RuntimeError("iterate inside 'async with client.list_many(…) as listings', or await list_many(…)")

    async def _wait_for_change(self) -> None:
        """Wait until a listing is finished or read, or a task has ended."""
        # The caller and the reader of the accounts both wait here. `clear` loses no event: each of them checks its
        # condition just before, without an `await` in between, and a task that `set` has woken runs even after a
        # `clear`.
        self._changed.clear()
        await self._changed.wait()

    async def _read_entries(self) -> None:
        """Start a task for each account, as soon as a slot is free for it. Store the listings that are complete."""
        if self._is_stopped:
            return
        async with aclosing(self._entries(self._shared_slot)) as entries:
            async for entry in entries:
                if isinstance(entry, Unlisted):
                    # The slot is taken before the task exists. Otherwise all accounts would be read at once, and new
                    # ones could not queue behind the further pages of open ones.
                    slot = Slot(self._slots)
                    await slot.reserve()
                    if self._is_stopped:
                        slot.release()
                        return
                    task = asyncio.create_task(self._list_account(entry, slot, self._next_in))
                    self._next_in += self._ordered
                    self._tasks.add(task)
                    task.add_done_callback(self._on_task_done)
                else:
                    self._finished.update(enumerate(entry, self._next_in))
                    self._next_in += len(entry)
                    self._changed.set()
                # Slots alone bound nothing: a throttled account keeps none, and a finished one neither.
                while self._is_full() and not self._is_stopped:
                    await self._wait_for_change()
                if self._is_stopped:  # now, since reading on may send a call
                    return

    def _is_full(self) -> bool:
        """Whether no more ids are read now, since too many accounts are open or too many listings are unread."""
        unread = self._next_in - self._next_out if self._ordered else len(self._finished)
        return unread >= self._max_unread or len(self._tasks) >= self._max_open

    async def _list_account(self, account: Unlisted, slot: Slot, position: int) -> None:
        """List one account, and store its listing for `anext`."""
        loop, waba_id = asyncio.get_running_loop(), account.waba_id
        slot.bind()
        started_at = loop.time()
        numbers, error = list[PhoneNumber](), None
        try:
            numbers = await account.lister(waba_id)
        except WaPhoneError as caught:
            error = caught.with_traceback(None)  # its frames would live as long as the listing
        finally:
            slot.release()
        if error is not None and concerns_all(error):
            raise error  # every other account would fail with the same token
        if not self._ordered:
            position, self._next_in = self._next_in, self._next_in + 1
        self._finished[position] = WabaListing(
            waba_id=str(waba_id),  # it may be anything: a value that is no id fails in its own listing
            phone_numbers=tuple(numbers),
            error=error,
            calls=slot.calls,
            elapsed_seconds=loop.time() - started_at,
        )

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        """Note the end of a task. The first failure inside the block ends the run: a bug, or a foreign cancellation."""
        self._tasks.discard(task)
        failure = asyncio.CancelledError() if task.cancelled() else task.exception()
        if failure is not None and self._failure is None and self._is_open:
            self._failure = failure
            self._cancel()
        self._changed.set()


def each_to_list(accounts: Accounts, lister: Lister) -> Entries:
    """Return a function that yields each account, to be listed by calls of its own.

    Raises:
        InvalidArgumentError: The accounts are no iterable of ids.
    """
    if isinstance(accounts, str) or not isinstance(accounts, Iterable | AsyncIterable):
        raise InvalidArgumentError("waba_ids", "an iterable of ids", type(accounts))

    async def entries(_: Slot) -> AsyncGenerator[Unlisted]:
        async with aclosing(each_id(accounts)) as ids:
            async for waba_id in ids:
                yield Unlisted(waba_id, lister)

    return entries


def _without(seen: IdSet, listing: WabaListing) -> WabaListing:
    """Return a listing without the numbers that were seen. They are all seen then."""
    found = {number.id: number for number in listing.phone_numbers}
    new = {number_id: number for number_id, number in found.items() if seen.add(number_id)}
    return attrs.evolve(listing, phone_numbers=tuple(new.values()))


async def each_id(accounts: Accounts) -> AsyncGenerator[str]:
    """Yield the id of each account. The next account is read only when its id is needed."""
    if isinstance(accounts, AsyncIterable):
        async for account in accounts:
            yield _id_of(account)
    else:  # not by `as_async`, which would take one more call for each account
        for account in accounts:
            yield _id_of(account)


def _id_of(account: str | int | BusinessAccount) -> str:
    # It may be anything: a value that is no id fails in its own listing.
    return account.id if isinstance(account, BusinessAccount) else cast("str", plain_id(account))


def as_async(items: Iterable[T] | AsyncIterable[T]) -> AsyncIterable[T]:
    """Return what `async for` takes, for an iterable of either kind. The next item is read only when it is needed."""
    return items if isinstance(items, AsyncIterable) else _Each(items)


class _Each(AsyncIterator[T]):
    """A plain iterable, for `async for`. An async generator would do too, but somebody would have to close it."""

    def __init__(self, items: Iterable[T]) -> None:
        self._items = iter(items)

    async def __anext__(self) -> T:
        for item in self._items:
            return item
        raise StopAsyncIteration
