"""A thread for the work on files, so the event loop stays free."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Protocol


class Run(Protocol):
    """Runs a function in the thread."""

    def __call__(self, work: Callable[..., Any], *arguments: Any) -> Awaitable[Any]:
        """Run it, and return what it returns."""
        ...


@contextmanager
def file_thread() -> Generator[Run]:
    """A thread of your own while the block runs.

    Leaving the block waits for the function under way. Only then is a file at rest, and may be removed.
    """
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1, "export") as thread:
        yield lambda work, *arguments: loop.run_in_executor(thread, work, *arguments)
