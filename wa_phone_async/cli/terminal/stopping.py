"""Ctrl-C for work that must end in order. The first Ctrl-C ends it in order, the second one at once.

A kill (SIGTERM) counts as a Ctrl-C, also where Ctrl-C is ignored. On Windows, Ctrl-Break and the closing of the console
window (SIGBREAK) take its place, since no process can send another one a SIGTERM there.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from .output import tell

_KILL: Final = getattr(signal, "SIGBREAK", signal.SIGTERM)
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
    stop, before = Stop(), signal.getsignal(_KILL)
    with _keeping_ctrl_c_ignored() as interrupt:
        if before is not signal.SIG_DFL:  # the caller has decided what a kill does
            yield stop
            return

        def end(*_: object) -> None:
            stop.set()
            interrupt()

        signal.signal(_KILL, end)
        try:
            yield stop
        finally:
            signal.signal(_KILL, before)


@contextmanager
def _keeping_ctrl_c_ignored() -> Generator[Callable[[], object]]:
    """Keep Ctrl-C (SIGINT) ignored if it was ignored at the start. Give what interrupts the work nevertheless.

    A shell ignores SIGINT for what a script runs in the background, since Ctrl-C is meant for the foreground.
    """
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN or not hasattr(signal, "pthread_sigmask"):
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

    def first(*_: object) -> None:
        signal.signal(signal.SIGINT, handler)  # at once: a second Ctrl-C may come while the message is written
        loop.call_soon_threadsafe(stop_in_order)

    def stop_in_order() -> None:
        tell("wa-phone: finishing the requests in flight; Ctrl-C again stops at once")
        stop.set()

    # Not by `loop.add_signal_handler`, which Windows does not have. A signal wakes the loop there too.
    signal.signal(signal.SIGINT, first)
    try:
        yield stop
    finally:
        # asyncio.run has a handler of its own, which cancels the main task and lets every `finally` run.
        signal.signal(signal.SIGINT, handler)


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
