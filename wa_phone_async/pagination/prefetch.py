"""Read-ahead: the next pages are asked for in the background, while the caller works on the one that it has.

A page's cursor is known when the page before it is there, so this is a chain of single calls, with a bound on how many
of its pages may wait. Whether there is a page to ask for is decided by the walk (`paginator.Walk`); the task is here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from wa_phone_async.concurrency import leave_turn

P = TypeVar("P")

_OUTSIDE: Final = (
    "with read_ahead= a list is used inside its block, 'async with client.list_phone_numbers(…) as paginator:', "
    "where the reading in the background ends; without read_ahead= it needs none"
)


class ReadAhead(Generic[P]):
    """The pages of a list in their order, of which some are asked for before they are wanted.

    Its task lives between `open` and `aclose`. An error is raised where the page that it took the place of is wanted,
    and once: the page is asked for again then.

    Args:
        read: Asks for the page after those that it gave.
        pages_to_ask: How many more may be asked for, where so many wait beside the one that is wanted now.
    """

    def __init__(self, read: Callable[[], Awaitable[P]], pages_to_ask: Callable[[int], int]) -> None:
        self._read = read
        self._pages_to_ask = pages_to_ask
        self._pages = deque[P]()
        self._wanted = 0  # 1 while the caller waits for a page
        self._failure: BaseException | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_reading = False
        self._is_open = False
        self._changed = asyncio.Event()

    def check_open(self) -> None:
        """Raise a RuntimeError outside of the block."""
        if not self._is_open:
            raise RuntimeError(_OUTSIDE)

    def open(self) -> None:
        """Let it read, from the first `fetch` on.

        Raises:
            RuntimeError: It is open already.
        """
        if self._is_open:
            raise RuntimeError("this paginator is in use by another 'async with': give each block its own")
        self._is_open = True
        self._failure = None
        self._changed = asyncio.Event()  # the old one may belong to another event loop

    async def aclose(self) -> None:
        """Cancel what is under way and wait for its end. The pages that have come are kept."""
        self._is_open = False
        self._changed.set()
        if self._task is not None:
            await _end(self._task)

    async def fetch(self, _place: object) -> P:
        """The next page, of which there must be one. Its place is known here already.

        Raises:
            RuntimeError: It is not open, or was closed meanwhile.
            Exception: What asking for this page ended with.
        """
        self.check_open()
        self._wanted = 1
        try:
            self._go_on()
            if self._pages:
                await asyncio.sleep(0)  # the next request leaves now, should the caller work without awaiting anything
            while not self._pages:
                await self._wait()
            return self._pages.popleft()
        finally:
            self._wanted = 0

    async def _wait(self) -> None:
        """Wait for a page, or raise what came instead."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        self._changed.clear()
        await self._changed.wait()
        self.check_open()

    def _go_on(self) -> None:
        """Read on in the background, unless that is under way, or has failed and nobody knows of it yet."""
        if not self._is_reading and self._failure is None and self._room():
            self._is_reading = True
            self._task = asyncio.create_task(self._fill())
            self._task.add_done_callback(self._stop)

    def _room(self) -> int:
        return self._pages_to_ask(len(self._pages) - self._wanted)

    async def _fill(self) -> None:
        """Ask for one page after the other, as long as there is room."""
        leave_turn()  # of the caller's, who may make calls meanwhile
        while self._room():
            self._pages.append(await self._read())
            self._changed.set()
        self._is_reading = False  # here, since the caller may come for a page before anybody is told of the task's end

    def _stop(self, task: asyncio.Task[None]) -> None:
        """A task has ended: keep what went wrong for whoever wants the page, a cancellation that was not ours too."""
        failure = asyncio.CancelledError() if task.cancelled() else task.exception()
        if failure is not None:
            self._failure = failure
            self._is_reading = False
            self._changed.set()


async def _end(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait for its end, although the waiting itself be cancelled: that is raised afterwards."""
    cancellation: asyncio.CancelledError | None = None
    while not task.done():
        task.cancel()
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancellation = error
    if cancellation is not None:
        raise cancellation
