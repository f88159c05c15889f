"""Turns on the wire, for work that makes many calls at once: whoever has to wait steps aside.

A `Turn` is one worker's place among many that share a number of seats. It has a seat while its request is on the wire,
and gives it back when its answer came, and as soon as a call has to wait: for a budget, or before it is made again. The
next seat is had in the order of asking, so that whoever has many pages goes to the end of the line after each.

The turn of a task is ambient: no call has to pass it on.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

_current: ContextVar[Turn | None] = ContextVar("wa_phone_async_turn", default=None)


class Turn:
    """A place among those that share seats.

    Args:
        seats: As many as may be on the wire at once.
    """

    def __init__(self, seats: asyncio.Semaphore) -> None:
        self._seats = seats
        self.is_seated: bool = False
        """Whether it holds a seat."""
        self.calls: int = 0
        """How many requests went on the wire by it."""

    async def take_seat(self) -> None:
        """Wait for a seat, in the order of asking; at once where it holds one."""
        if not self.is_seated:
            await self._seats.acquire()
            self.is_seated = True

    async def acquire(self) -> None:
        """Take a seat to make a call."""
        await self.take_seat()
        self.calls += 1

    def release(self) -> None:
        """Give the seat back, if it holds one."""
        if self.is_seated:
            self.is_seated = False
            self._seats.release()

    def begin(self) -> None:
        """Make it the turn of the running task: of all calls that it makes from now on."""
        _current.set(self)


def leave_turn() -> None:
    """Let the running task have no turn from now on: work beside a turn's own would use its seat at the same time."""
    _current.set(None)


def current_turn() -> Turn | None:
    """The turn of the running task, or `None` where it has none."""
    return _current.get()


def step_aside() -> None:
    """Give the running task's seat to others, since it is about to wait."""
    turn = _current.get()
    if turn is not None:
        turn.release()
