"""A thread for the work on files, so the event loop stays free."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


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


async def each_in_thread(items: Generator[T], at_once: int = 256) -> AsyncGenerator[T]:
    """Yield the items of a generator that reads files. A thread of its own runs the generator."""
    with file_thread() as run:
        try:
            while chunk := await asyncio.shield(run(_take, items, at_once)):
                for item in chunk:
                    yield item
        finally:
            run(items.close)


def _take(items: Generator[T], count: int) -> list[T]:
    return list(itertools.islice(items, count))
