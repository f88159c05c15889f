"""Who may be in flight: work that makes many requests at once shares a number of slots.

A `Slot` is one worker's share of them. It is taken while a request is in flight. It is free again when the response
came, and while the worker waits: for quota, or before a retry. The next free slot goes to the worker that has waited
longest. So an account with many pages queues again after each page.

The slot of a task is ambient: calls find it without passing it on.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Final

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
