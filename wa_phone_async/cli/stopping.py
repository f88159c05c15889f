"""Ctrl-C for work that has to be ended in order: the first asks it to end, the second ends it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress

from .output import tell


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
