"""Standing in line: the calls of one account that wait, in one loop, in the order in which they came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext
from typing import Final

from wa_phone_async.concurrency import release_slot

FIRST_LOOK_SECONDS: Final = 0.02
_SOON_SECONDS: Final = 1.0


def next_look(when: float, now: float, look: float) -> tuple[float, float]:
    """When to ask again a budget that others use too, and how many seconds after that.

    What is due within a second hangs on a call in flight, whose answer may come to another process, at any moment.

    Args:
        when: When it is due.
        now: The present time.
        look: Seconds to wait for it at most this time; `FIRST_LOOK_SECONDS` at first.
    """
    return (min(when, now + look), 2 * look) if when - now <= _SOON_SECONDS else (when, FIRST_LOOK_SECONDS)


class Queue:
    """The calls of one account that wait. Whoever is at its head asks whether it may go."""

    def __init__(self) -> None:
        self.length: int = 0
        """How many wait."""
        self.answers: int = 0
        """How many calls of the account were answered so far."""
        self.head: asyncio.Lock = asyncio.Lock()
        """Held by the call at the head; the others get it in the order in which they came."""
        self._answered = asyncio.Event()

    @asynccontextmanager
    async def turn(self, *, is_probe: bool) -> AsyncGenerator[None]:
        """The head of the queue. A call that has waited for the end of a hold stands beside it at once."""
        if self.length and not is_probe:
            release_slot()
        self.length += 1
        try:
            async with nullcontext() if is_probe else self.head:
                yield
        finally:
            self.length -= 1

    async def answer(self, *, since: int, before: float) -> None:
        """Wait until more than `since` calls of the account were answered, or until `before` on the loop's clock."""
        if self.answers != since:
            return
        release_slot()
        self._answered.clear()
        try:
            async with asyncio.timeout_at(before):
                await self._answered.wait()
        except TimeoutError:
            await asyncio.sleep(0)  # a refused call, whose wait ends at the same instant, goes first

    def wake(self) -> None:
        """Tell that an answer came, which may have changed what may be sent."""
        self.answers += 1
        self._answered.set()
