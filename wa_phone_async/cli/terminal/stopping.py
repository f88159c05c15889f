"""Ctrl-C for work that has to be ended in order: the first asks it to end, the second ends it. A kill is a Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final

from .output import tell

_GRACE_SECONDS: Final = 10.0


class Stop:
    """Whether the work was asked to end."""

    def __init__(self) -> None:
        self.is_asked: bool = False
        """Whether it was."""
        self._actions: list[Callable[[], object]] = []

    def then(self, action: Callable[[], object]) -> None:
        """Do something at the moment when it is asked, or now where it was."""
        if self.is_asked:
            action()
        self._actions.append(action)

    def ask(self) -> None:
        """Ask it to end."""
        self.is_asked = True
        for action in self._actions:
            action()


@contextmanager
def ending_when_killed() -> Generator[Stop]:
    """Let a kill (SIGTERM) do what Ctrl-C does, so that work ends in order and a terminal is left as it was.

    Where Ctrl-C is ignored, as by what a script runs in the background, a kill ends the process at once, as ever.
    """
    stop, before = Stop(), signal.getsignal(signal.SIGTERM)

    def end(*_: object) -> None:
        if callable(signal.getsignal(signal.SIGINT)):
            stop.ask()
            signal.raise_signal(signal.SIGINT)
        else:
            signal.signal(signal.SIGTERM, before)
            signal.raise_signal(signal.SIGTERM)

    if before is not signal.SIG_DFL:  # somebody has decided otherwise
        yield stop
        return
    signal.signal(signal.SIGTERM, end)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def stopping() -> Generator[Stop]:
    """Let the first Ctrl-C ask for an end in order; the second one does what it did before."""
    loop, stop, handler = asyncio.get_running_loop(), Stop(), signal.getsignal(signal.SIGINT)

    def restore() -> None:
        if loop.remove_signal_handler(signal.SIGINT):
            signal.signal(signal.SIGINT, handler)

    def ask() -> None:
        restore()
        tell("wa-phone: finishing the calls in flight; Ctrl-C again stops at once")
        stop.ask()

    with suppress(NotImplementedError):  # on Windows, where Ctrl-C stops at once
        loop.add_signal_handler(signal.SIGINT, ask)
    try:
        yield stop
    finally:
        restore()


@asynccontextmanager
async def until_a_moment_after(stop: Stop) -> AsyncGenerator[None]:
    """Let what is in flight finish after it was asked to stop, and end the block soon."""
    loop, limit = asyncio.get_running_loop(), asyncio.timeout(None)
    try:
        async with limit:
            stop.then(lambda: limit.reschedule(loop.time() + _GRACE_SECONDS))
            yield
    except TimeoutError:
        if not limit.expired():
            raise
