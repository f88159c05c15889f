"""Ctrl-C for work that must end in order. The first Ctrl-C ends it in order, the second one at once.

A kill (SIGTERM) counts as a Ctrl-C, also where Ctrl-C is ignored.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final

from .output import tell

_GRACE_SECONDS: Final = 10.0  # a request takes less, and people wait that long


class Stop:
    """A flag that asks work to end, as `asyncio.Event` without waiting."""

    def __init__(self) -> None:
        self.is_set: bool = False
        """Whether the work should end."""
        self._actions: list[Callable[[], object]] = []

    def then(self, action: Callable[[], object]) -> None:
        """Call the action when the flag is set; at once if it is set."""
        if self.is_set:
            action()
        self._actions.append(action)

    def set(self) -> None:
        """Ask the work to end."""
        self.is_set = True
        for action in self._actions:
            action()


@contextmanager
def ending_when_killed() -> Generator[Stop]:
    """Let a kill (SIGTERM) do what Ctrl-C does: work ends in order, and a terminal gets its settings back.

    The flag says that it was a kill, since the exit status is another one then.
    """
    stop, before = Stop(), signal.getsignal(signal.SIGTERM)
    with _keeping_ctrl_c_ignored() as interrupt:
        if before is not signal.SIG_DFL:  # the caller has decided what a kill does
            yield stop
            return

        def end(*_: object) -> None:
            stop.set()
            interrupt()

        signal.signal(signal.SIGTERM, end)
        try:
            yield stop
        finally:
            signal.signal(signal.SIGTERM, before)


@contextmanager
def _keeping_ctrl_c_ignored() -> Generator[Callable[[], object]]:
    """Keep Ctrl-C (SIGINT) ignored if it was ignored at the start. Give what interrupts the work nevertheless.

    A shell ignores SIGINT for what a script runs in the background, since Ctrl-C is meant for the foreground.
    """
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        yield lambda: signal.raise_signal(signal.SIGINT)
        return

    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGINT)  # it is blocked, and becomes one with those from outside
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        finally:  # the handler has raised KeyboardInterrupt, where no event loop runs
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})

    # asyncio cancels the work at a SIGINT only if it finds Python's own handler. So that handler is set, and the signal
    # is blocked: those from outside are never delivered. Threads that start later inherit this.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # this drops those that were not delivered
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextmanager
def stopping() -> Generator[Stop]:
    """Let the first Ctrl-C set the flag. The second one does what Ctrl-C did before the block."""
    loop, stop, handler = asyncio.get_running_loop(), Stop(), signal.getsignal(signal.SIGINT)

    def restore() -> None:
        # remove_signal_handler sets Python's default. asyncio.run has a handler of its own, which cancels the main
        # task and lets every `finally` run, so that one must come back.
        if loop.remove_signal_handler(signal.SIGINT):
            signal.signal(signal.SIGINT, handler)

    def stop_in_order() -> None:
        restore()  # first: a second Ctrl-C may come while the message is written
        tell("wa-phone: finishing the requests in flight; Ctrl-C again stops at once")
        stop.set()

    with suppress(NotImplementedError):  # on Windows there are no such handlers: there, Ctrl-C stops at once
        loop.add_signal_handler(signal.SIGINT, stop_in_order)
    try:
        yield stop
    finally:
        restore()


@asynccontextmanager
async def until_a_moment_after(stop: Stop) -> AsyncGenerator[None]:
    """End the block 10 seconds after the flag is set, if it is not done by itself then."""
    # Until the flag is set, there is no timeout. Then a request gets some time to finish, since what it costs would be
    # spent again with --resume; but one that hangs must not keep a person waiting.
    loop, limit = asyncio.get_running_loop(), asyncio.timeout(None)
    try:
        async with limit:
            stop.then(lambda: limit.reschedule(loop.time() + _GRACE_SECONDS))
            yield
    except TimeoutError:
        if not limit.expired():  # a timeout of the work itself
            raise
