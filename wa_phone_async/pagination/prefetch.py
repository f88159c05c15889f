"""`Prefetcher`: requests the next pages of a list in the background, while the caller works on the current one.

A page names the cursor of the next one. So the requests are a chain, one after the other, and a bound says how many
of their pages may wait. `page.PageCursor` decides whether there is a page to request; the task is here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from wa_phone_async.concurrency import unbind_slot

P = TypeVar("P")

_OUTSIDE: Final = (
    "with read_ahead= you must use a list inside its block, 'async with client.list_phone_numbers(…) as paginator:', "
    "which ends the reading in the background; without read_ahead= it needs no block"
)


class Prefetcher(Generic[P]):
    """The pages of a list in their order, some of them requested before they are wanted.

    Its task lives between `open` and `aclose`. Where a request fails, `fetch` raises its error once, in the place of
    that page. The next `fetch` then requests the page again.

    Args:
        read: Requests the next page.
        pages_to_request: Takes how many pages wait beside the one that is wanted now, and returns how many more may be
            requested.
    """

    # The states of a page: being read by the task (`_is_reading`), waiting in `pages`, taken by the caller. At most
    # one failure stands in the queue behind `pages`, since the task ends with it: nothing can be read past a page that
    # is missing. The task also ends when enough pages wait, and each `fetch` starts it again if there is work.

    def __init__(self, read: Callable[[], Awaitable[P]], pages_to_request: Callable[[int], int]) -> None:
        self._read = read
        self._pages_to_request = pages_to_request
        self.pages: deque[P] = deque()
        """The pages that wait for the caller."""
        self._wanted = 0  # 1 while the caller waits for a page: that one does not count as waiting
        self._failure: BaseException | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_reading = False
        self._is_open = False
        self._changed = asyncio.Event()

    def check_open(self) -> None:
        """Raise a RuntimeError outside the block."""
        if not self._is_open:
            raise RuntimeError(_OUTSIDE)

    def open(self) -> None:
        """Let the first `fetch` start the task.

        Raises:
            RuntimeError: It is open already.
        """
        if self._is_open:
            raise RuntimeError("another 'async with' uses this paginator: give each block its own")
        self._is_open = True
        self._failure = None  # nobody wanted that page: if somebody does now, it is requested again
        self._changed = asyncio.Event()  # the old one may belong to another event loop

    async def aclose(self) -> None:
        """Cancel the request in flight, and wait for the task's end. The pages that have come stay."""
        self._is_open = False
        self._changed.set()
        if self._task is not None:
            await _cancel(self._task)

    async def fetch(self) -> P:
        """Return the next page. There must be one.

        Raises:
            RuntimeError: It is not open, or was closed meanwhile.
            Exception: The error of the request.
        """
        self.check_open()
        self._wanted = 1
        try:
            self._start_reading()
            if self.pages:
                # One turn of the event loop sends the next request now, even if the caller then works without a pause.
                await asyncio.sleep(0)
            while not self.pages:
                await self._wait()
            return self.pages.popleft()
        finally:
            self._wanted = 0

    async def _wait(self) -> None:
        """Wait until a page comes; raise what came instead of it."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        self._changed.clear()
        await self._changed.wait()
        self.check_open()

    def _start_reading(self) -> None:
        """Start the task if there is a page to request. Not after a failure: the caller has to learn of that first."""
        if not self._is_reading and self._failure is None and self._pages_left():
            self._is_reading = True
            self._task = asyncio.create_task(self._fill())
            self._task.add_done_callback(self._keep_failure)

    def _pages_left(self) -> int:
        return self._pages_to_request(len(self.pages) - self._wanted)

    async def _fill(self) -> None:
        """Request one page after the other, until enough of them wait."""
        unbind_slot()  # that of the caller, who may make calls of their own meanwhile
        while self._pages_left():
            self.pages.append(await self._read())
            self._changed.set()
        # Not in the done callback: it runs one turn of the event loop later. A `fetch` before that would start no task.
        self._is_reading = False

    def _keep_failure(self, task: asyncio.Task[None]) -> None:
        """Keep a failed task's error for the caller who wants the page. Somebody else may have cancelled it, too."""
        failure = asyncio.CancelledError() if task.cancelled() else task.exception()
        if failure is not None:
            self._failure = failure
            self._is_reading = False
            self._changed.set()


async def _cancel(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait for its end. A cancellation of this wait is raised only afterwards."""
    cancellation: asyncio.CancelledError | None = None
    while not task.done():
        task.cancel()
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancellation = error
    if cancellation is not None:
        raise cancellation
