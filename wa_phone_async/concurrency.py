"""What tasks share: slots, the values of an event loop, and work that many callers wait for.

`Slot`: work that makes many requests at once shares a number of slots. A slot is one worker's share of them. It is
taken while a request is in flight. It is free again when the response came, and while the worker waits: for quota, or
before a retry. The next free slot goes to the worker that has waited longest. So an account with many pages queues
again after each page. The slot of a task is ambient: calls find it without passing it on.

`stream_bounded`, `stream_in_order`: a call for each item of a stream, with so many in flight at most.

`LoopLocal`: one value for each event loop. `SingleFlight`: one task for all callers that want the same.
"""

from __future__ import annotations

import asyncio
import math
import os
import weakref
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Coroutine, Iterable
from contextvars import ContextVar
from typing import Any, Final, Generic, TypeVar

K = TypeVar("K")
T = TypeVar("T")

MAX_OF_A_CLIENT: Final = 100
"""Requests of one client in flight at once, but for `list_many`, which has slots of its own."""
MAX_OF_A_CACHE: Final = 32
"""Requests of one cache in flight at once."""
DEFAULT_CONCURRENCY: Final = 32
"""Requests of one `list_many` in flight at once. Default of its `concurrency=`."""

current_slot: Final[ContextVar[Slot | None]] = ContextVar("wa_phone_async_slot", default=None)
"""The slot of the running task, or `None` where it has none.

A task inherits it from the task that starts it. `unbind_slot` is for those that must not. A slot that travels with the
call would be worse: `RateLimiter.admit` has to free it too, and so every limiter would have to know of slots.
"""


class Slot:
    """One worker's share of the slots: at most one request in flight.

    Args:
        slots: The semaphore that all workers share. Its value is how many requests may be in flight at once.
    """

    def __init__(self, slots: asyncio.Semaphore) -> None:
        self._slots = slots
        self.is_taken: bool = False
        """Whether the worker has one of the slots now."""
        self.calls: int = 0
        """The number of requests sent so far."""

    async def reserve(self) -> None:
        """Take a slot before there is a request to send. Waits in order of arrival; keeps a slot that is taken."""
        if not self.is_taken:
            await self._slots.acquire()
            self.is_taken = True

    async def acquire(self) -> None:
        """Take a slot for one request, and count the request."""
        await self.reserve()
        self.calls += 1

    def release(self) -> None:
        """Free the slot, if it is taken."""
        if self.is_taken:
            self.is_taken = False
            self._slots.release()

    def bind(self) -> None:
        """Make this the slot of the running task. All its requests use it from now on."""
        current_slot.set(self)


def unbind_slot() -> None:
    """Leave the running task without a slot, since a task beside its parent must not share the parent's slot."""
    current_slot.set(None)


def release_slot() -> None:
    """Free the slot of the running task, which is about to wait. Does nothing where it has none."""
    slot = current_slot.get()
    if slot is not None:
        slot.release()


async def map_bounded(function: Callable[[K], Awaitable[T]], items: Iterable[K], limit: int) -> list[T]:
    """Await a function for each item, with at most `limit` calls at once. The results are in the order of the items.

    Raises:
        Exception: That of the first call that failed. The others are cancelled and awaited before.
    """
    slots = asyncio.Semaphore(limit)

    async def call(item: K) -> T:
        async with slots:
            return await function(item)

    tasks = [asyncio.create_task(call(item)) for item in items]
    try:
        return [await task for task in tasks]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def stream_bounded(
    function: Callable[[K], Coroutine[Any, Any, T]], items: AsyncIterable[K], limit: int
) -> AsyncGenerator[T]:
    """Await a function for each item, with at most `limit` calls at once. Yield each result when it comes.

    It reads an item when the call of the item can start, and never ahead: a bulk edit that is stopped sends nothing
    more. So while it waits for an item, the results wait too. Close it early to cancel the calls in flight, and to wait
    for them.

    Raises:
        Exception: That of the first call that failed, after the results before it.
    """
    tasks, ready = set[asyncio.Task[T]](), list[asyncio.Task[T]]()

    async def wait_for_one() -> None:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        tasks.difference_update(done)
        ready.extend(done)

    try:
        async for item in items:
            tasks.add(asyncio.create_task(function(item)))
            if len(tasks) >= limit:
                await wait_for_one()
            while ready:
                yield ready.pop().result()
        while tasks:
            await wait_for_one()
            while ready:
                yield ready.pop().result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, *ready, return_exceptions=True)


async def stream_in_order(
    function: Callable[[K], Coroutine[Any, Any, T]], items: AsyncIterable[K], limit: int
) -> AsyncGenerator[T]:
    """Await a function for each item, with at most `limit` calls at once. Yield the results in the order of the items.

    Unlike `stream_bounded`, it reads one item ahead, so no result waits for the next item: somebody may be typing it.
    Close it early to cancel the calls in flight, and to wait for them.

    Raises:
        Exception: That of the first call that failed. The others are cancelled and awaited before.
    """
    source, tasks, end = aiter(items), deque[asyncio.Task[T]](), object()

    async def read() -> Any:
        return await anext(source, end)

    reading: asyncio.Task[Any] | None = asyncio.create_task(read())
    try:
        while reading is not None or tasks:
            awaited = list[asyncio.Task[Any]](tasks)[:1]
            if reading is not None and len(tasks) < limit:
                awaited.append(reading)
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
            while tasks and tasks[0].done():
                yield tasks.popleft().result()
            if reading is not None and reading.done() and len(tasks) < limit:
                item = reading.result()
                reading = None if item is end else asyncio.create_task(read())
                if item is not end:
                    tasks.append(asyncio.create_task(function(item)))
    finally:
        left: list[asyncio.Task[Any]] = [*tasks, *([reading] if reading is not None else [])]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


class LoopLocal(Generic[T]):
    """One value for each event loop, made when the loop first needs it.

    Locks, tasks and connections belong to an event loop. An object keeps them here if it outlives its loop, or if loops
    in several threads share it.

    A loop is lost if it is closed or was garbage-collected. In a forked process, the loops of the parent are lost too.

    Args:
        make: Makes the value of the running loop.
        on_lost: Called with the value of each lost loop, in the running loop. Default: nothing is called.
    """

    def __init__(self, make: Callable[[], T], on_lost: Callable[[T], object] = lambda _: None) -> None:
        self._make = make
        self._on_lost = on_lost
        # The reference to a loop is weak, but its entry outlives the loop, since `on_lost` needs the value. Threads
        # share the dictionary, so each step on it is a single operation.
        self.by_loop: dict[tuple[weakref.ref[asyncio.AbstractEventLoop], int], T] = {}
        """The values by the loop and the process that made them, oldest first. Some of the loops may be lost."""
        self._inherited = list[T]()

    def get(self) -> T:
        """Return the value of the running loop. For a new loop, make it and forget the values of lost loops."""
        key = weakref.ref(asyncio.get_running_loop()), os.getpid()
        value = self.by_loop.get(key)
        if value is None:
            value = self.by_loop[key] = self._make()
            if len(self.by_loop) > 1:
                self.drop_lost()
        return value

    def pop(self) -> T | None:
        """Forget the value of the running loop, and return it. `None`: it has none."""
        return self.by_loop.pop((weakref.ref(asyncio.get_running_loop()), os.getpid()), None)

    def drop_lost(self) -> None:
        """Forget the values of all lost loops, and call `on_lost` with each."""
        here = os.getpid()
        for key in list(self.by_loop):
            loop, process = key[0](), key[1]
            if loop is not None and not loop.is_closed() and process == here:
                continue
            if (value := self.by_loop.pop(key, None)) is not None:  # no other thread was faster
                if process != here:
                    # It must not be freed. A connection of the parent that closes here leaves the parent's selector,
                    # since the processes share it. The parent would wait for its response forever.
                    self._inherited.append(value)
                self._on_lost(value)


class SingleFlight(Generic[T]):
    """One piece of work, and all callers that wait for it. The last caller to leave cancels it.

    The work is a task of its own. If a caller is cancelled or out of time, the others keep the work.

    Args:
        work: Starts the work.
    """

    # With eager tasks (`asyncio.eager_task_factory`), the work may run or even end within `__init__`. So a subclass
    # sets what its work needs before it calls `super().__init__`.

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self.waiters: int = 0
        """How many callers wait for the work."""
        self._ending = set[asyncio.Task[T]]()  # tasks that were replaced
        self.task: asyncio.Task[T] = asyncio.create_task(work())
        """The task that does the work."""
        self.task.add_done_callback(_mark_retrieved)

    @property
    def is_over(self) -> bool:
        """Whether the task has ended or is being cancelled. A new caller cannot join then."""
        return self.task.done() or self.task.cancelling() > 0

    async def wait(self, until: float = math.inf) -> bool:
        """Wait for the end of the work. The last caller to leave early cancels the work, and waits until it has ended.

        Args:
            until: When to leave, on the clock of the loop.

        Returns:
            Whether the work ended before that. `task` has its result or error.
        """
        loop = asyncio.get_running_loop()
        self.waiters += 1
        try:
            while not self.task.done():  # a loop, since `replace` sets another task
                timeout = None if until == math.inf else until - loop.time()
                # Unlike an `await` of the task, this neither cancels it with the caller nor raises its error.
                if not (await asyncio.wait({self.task}, timeout=timeout))[0]:
                    return False
            return True
        finally:
            self.waiters -= 1
            if not self.waiters and not self.task.done():
                # A caller must not go on before: a request of the work may still be on its way, and take effect.
                await asyncio.wait(self.cancel())

    def cancel(self) -> set[asyncio.Task[T]]:
        """Cancel the work, and return the tasks to wait for."""
        self.task.cancel()
        return {self.task, *self._ending}

    def replace(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        """Cancel the work, and let all callers wait for other work. It starts when the tasks before it have ended.

        You may call this while the loop does not run.
        """
        self.task.cancel()
        self._ending = {self.task, *(task for task in self._ending if not task.done())}
        self.task = self.task.get_loop().create_task(_run_after(self._ending, work))
        self.task.add_done_callback(_mark_retrieved)


async def _run_after(tasks: Iterable[asyncio.Task[T]], work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    await asyncio.wait(tasks)
    return await work()


def _mark_retrieved(task: asyncio.Task[Any]) -> None:
    """Retrieve the error of a task. Otherwise asyncio logs it if all callers have left."""
    if not task.cancelled():
        task.exception()
