"""`Stepwise`: results that are found in steps. You iterate over them as they come, or await all of them.

A task of its own takes each step. A consumer that stops waiting does not stop that task, so nothing is lost: the next
one goes on with it.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Generator
from contextlib import AsyncExitStack
from typing import Any, Generic, Self, TypeVar

ItemT = TypeVar("ItemT")
AllT_co = TypeVar("AllT_co", covariant=True)


class Stepwise(ABC, Generic[ItemT, AllT_co]):
    """Results that are found in steps. A subclass says how a run begins, what a step is, and what `await` returns."""

    _call: str
    """The call that makes one, for errors: `client.check_health`."""

    def __init__(self) -> None:
        self._ready = deque[ItemT]()  # found, and not yet consumed
        self._step: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None
        self._is_open = self._is_over = self._is_used = False
        self._stack = AsyncExitStack()  # what the end of the block closes

    @abstractmethod
    async def _begin(self) -> None:
        """Open what the steps need, on `self._stack`."""

    @abstractmethod
    async def _take_step(self) -> bool:
        """Add results to `self._ready`. Return whether there may be another step."""

    @abstractmethod
    async def _collect(self) -> AllT_co:
        """Return what `await` returns."""

    def __await__(self) -> Generator[Any, None, AllT_co]:
        """Run to the end, and return all results. They are all in memory."""
        return self._collect().__await__()

    async def __aenter__(self) -> Self:
        if self._is_used:
            name = self._call.rpartition(".")[2]
            raise RuntimeError(f"this result of {name}() was used already: call {name}() again")
        self._is_used = True
        await self._begin()
        self._is_open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_open = False
        try:
            if self._step is not None:
                self._step.cancel()
                await asyncio.wait({self._step})
        finally:
            await self._stack.aclose()

    def __aiter__(self) -> Self:
        """Return the object itself."""
        self._check_open()
        return self

    async def __anext__(self) -> ItemT:
        """Return the next result. An error that ends the run comes after the results before it."""
        while not self._ready:
            self._check_open()  # also after a wait, in which the block may have ended
            if self._failure is not None:
                raise self._failure
            if self._is_over:
                raise StopAsyncIteration
            if self._step is None or self._step.done():
                self._step = asyncio.create_task(self._run_step())
            await asyncio.wait({self._step})
        self._check_open()
        return self._ready.popleft()

    def _check_open(self) -> None:
        if not self._is_open:
            raise RuntimeError(f"iterate inside 'async with {self._call}(…) as found', or await {self._call}(…)")

    async def _run_step(self) -> None:
        try:
            self._is_over = not await self._take_step()
        except BaseException as error:  # noqa: BLE001 - the consumer gets it, also after it was cancelled meanwhile
            self._failure = error
