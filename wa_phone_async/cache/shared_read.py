"""`Fetch`: one listing, on its way to all who wait for it, which can be begun anew."""

from __future__ import annotations

import asyncio
import copy
import math
from collections.abc import Callable
from types import TracebackType
from typing import Final

from wa_phone_async.concurrency import Slot
from wa_phone_async.errors import StaleListingError, WaPhoneError
from wa_phone_async.models import PhoneNumber
from wa_phone_async.pagination.paginator import AsyncPaginator
from wa_phone_async.phone_digits import read_digits

PAUSES: Final = (0.0, 0.0, 0.25, 0.5, 1.0, 2.0)
"""Seconds before a listing is asked for, and then before each time that it is begun anew. There is no further time."""


class _Sends(Slot):
    """The slot of a fetch, which notes when its last request was sent."""

    last_at: float = 0.0

    def bind(self) -> None:
        super().bind()
        self.last_at = asyncio.get_running_loop().time()

    async def acquire(self) -> None:
        await super().acquire()
        self.last_at = asyncio.get_running_loop().time()


class Fetch:
    """A listing on its way to all who wait for it, and what came of it. Each beginning is a task of its own.

    Args:
        waba_id: The account.
        ask: Begins to list it, each time that it is called.
        lifetime: For how many seconds the numbers that came are of use.
        slots: Bounds how many requests are in flight at once.
    """

    def __init__(
        self,
        waba_id: str,
        ask: Callable[[], AsyncPaginator[PhoneNumber]],
        lifetime: Callable[[list[PhoneNumber]], float],
        slots: asyncio.Semaphore,
    ) -> None:
        self._waba_id = waba_id
        self._ask = ask
        self._lifetime = lifetime
        self._slots = slots
        self._restarts = 0
        self._before: asyncio.Task[None] | None = None
        self.waiters: int = 0
        """How many wait for it."""
        self.is_counted: bool = False
        """Whether its weight is part of the size of the cache."""
        self._begin(asyncio.get_running_loop())

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self.numbers: tuple[PhoneNumber, ...] = ()
        """What came; nothing as long as it is on its way."""
        self._digits: frozenset[str] | None = None
        self._expires = -math.inf
        self._error: Exception | None = None
        self._traceback: TracebackType | None = None
        self._has_begun = False
        self._sends = _Sends(self._slots)
        self.task: asyncio.Task[None] = loop.create_task(self._run(self._sends))
        """What fetches it. It ends without an error, and another takes its place when it is begun anew."""

    @property
    def weight(self) -> int:
        """What it counts for in the size of the cache."""
        return 1 + len(self.numbers)

    @property
    def digits(self) -> frozenset[str]:
        """The numbers that came, as digits alone: worked out once, since each webhook asks for them."""
        if self._digits is None:
            self._digits = frozenset(read_digits(number.display_phone_number or "") for number in self.numbers)
        return self._digits

    def serves(self, asked: float) -> bool:
        """Whether somebody who asked at that time may have it, or has to wait for it."""
        return not self.task.done() or asked < self._expires

    def result(self) -> tuple[PhoneNumber, ...]:
        """The numbers, when the task is done.

        Raises:
            Exception: It has failed. All who wait get an error of their own, so that no traceback grows with others.
        """
        if isinstance(self._error, WaPhoneError):
            raise copy.copy(self._error).with_traceback(None)
        if self._error is not None:  # somebody else's, of which there may be no copy
            raise self._error.with_traceback(self._traceback)
        self.task.result()  # it is cancelled where somebody else has cancelled it
        return self.numbers

    def begin_anew(self) -> None:
        """Leave what was fetched so far, and fetch it again; one that has not asked yet is right as it is."""
        if self._has_begun:
            self._restarts += self._sends.calls > 0  # one that only waits for its budget may do so for long
            self.task.cancel()
            self._before = self.task
            self._begin(self.task.get_loop())

    def stop(self) -> set[asyncio.Task[None]]:
        """Cancel it, and give what is to be waited for then."""
        self.task.cancel()
        return {self.task} if self._before is None else {self.task, self._before}

    async def _run(self, sends: _Sends) -> None:
        """Fetch the listing once, unless it was begun anew too often."""
        if self._before is not None:
            await asyncio.wait({self._before})  # one call is in flight at a time
        if self._restarts == len(PAUSES):
            text = f"{self._waba_id} was invalidated each of the {len(PAUSES)} times that it was read: ask again later"
            self._error = StaleListingError(text, waba_id=self._waba_id)
            self._error.retryable = True
            return
        await asyncio.sleep(PAUSES[self._restarts])  # invalidations come in swarms
        self._has_begun = True
        try:
            numbers, sent_at = await self._list(sends)
            error = None
        except Exception as caught:  # noqa: BLE001 - those who wait raise it
            numbers, sent_at, error = [], -math.inf, caught
        if self._sends is not sends:
            return  # begun anew, and something on the way has swallowed the cancellation
        if error is None:
            self.numbers, self._digits = tuple(numbers), None
            self._expires = sent_at + self._lifetime(numbers)
        else:
            self._error, self._traceback = error, error.__traceback__

    async def _list(self, sends: _Sends) -> tuple[list[PhoneNumber], float]:
        """All numbers, and when the first page was sent for: they may be as old as that."""
        sends.bind()
        numbers, sent_at = list[PhoneNumber](), math.inf
        async for page in self._ask().pages():
            sent_at = min(sent_at, sends.last_at)
            numbers.extend(page)
        return numbers, sent_at
