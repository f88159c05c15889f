"""`SharedRead`: one read of a listing that many callers wait for, and that can be restarted (single-flight)."""

from __future__ import annotations

import asyncio
import copy
import math
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Final

from wa_phone_async.concurrency import SingleFlight, Slot
from wa_phone_async.errors import StaleListingError, WaPhoneError
from wa_phone_async.models import PhoneNumber
from wa_phone_async.pagination.paginator import AsyncPaginator
from wa_phone_async.phone_digits import read_digits, shortest_form

START_DELAYS: Final = (0.0, 0.0, 0.25, 0.5, 1.0, 2.0)
"""Seconds before the first request of a read, and then before the first request after each restart. After that many
restarts, the read fails."""


class _TimedSlot(Slot):
    """The slot of a read. It notes when the last request was sent."""

    last_at: float = 0.0

    def bind(self) -> None:
        super().bind()
        self.last_at = asyncio.get_running_loop().time()

    async def acquire(self) -> None:
        await super().acquire()
        self.last_at = asyncio.get_running_loop().time()


class SharedRead(SingleFlight[None]):
    """One read of a listing for all callers that wait for it, and its result. Each start is a task of its own.

    The tasks end without an error: `result` raises it.

    Args:
        waba_id: Meta's id of the account.
        start_list: A function that starts to list the account. It is called again after each restart.
        lifetime: A function that returns for how many seconds a listing is of use.
        slots: Bounds how many requests are in flight at once.
    """

    def __init__(
        self,
        waba_id: str,
        start_list: Callable[[], AsyncPaginator[PhoneNumber]],
        lifetime: Callable[[list[PhoneNumber]], float],
        slots: asyncio.Semaphore,
    ) -> None:
        self._waba_id = waba_id
        self._start_list = start_list
        self._lifetime = lifetime
        self._slots = slots
        self._restarts = 0
        self.is_counted: bool = False
        """Whether its weight is part of the size of the cache."""
        self._reset()
        super().__init__(partial(self._run, self._slot))

    def _reset(self) -> None:
        self.numbers: tuple[PhoneNumber, ...] = ()
        """The listing. Empty while it is in flight."""
        self._names: frozenset[str] | None = None
        self._expires = -math.inf
        self._error: Exception | None = None
        self._traceback: TracebackType | None = None
        self._has_begun = False  # to read, after its delay
        self._slot = _TimedSlot(self._slots)

    @property
    def weight(self) -> int:
        """How much it adds to the size of the cache."""
        return 1 + len(self.numbers)

    @property
    def names(self) -> frozenset[str]:
        """By what a webhook may name the phone numbers: their ids, and their digits in the shortest form.

        They are computed once, since each webhook needs them.
        """
        if self._names is None:
            displayed = (number.display_phone_number or "" for number in self.numbers)
            digits = (shortest_form(read_digits(text)) for text in displayed)
            self._names = frozenset((*digits, *(number.id for number in self.numbers)))
        return self._names

    def serves(self, requested_at: float) -> bool:
        """Whether a caller from that time can use the listing, or has to wait for it.

        `False`: it is too old, or the read is being cancelled.
        """
        return not self.is_over or requested_at < self._expires

    def result(self) -> tuple[PhoneNumber, ...]:
        """Return the numbers. Call it only when the task is done.

        Raises:
            Exception: The read has failed. Each caller gets an error of its own, since a traceback grows each time that
                one error is raised.
        """
        if isinstance(self._error, WaPhoneError):
            raise copy.copy(self._error).with_traceback(None)
        if self._error is not None:  # of a token provider, for example: it may not support copies
            raise self._error.with_traceback(self._traceback)
        self.task.result()  # raises if somebody else has cancelled the task
        return self.numbers

    def restart(self) -> None:
        """Discard what was read, and read again. A task that has not begun yet stays: it will read the new state."""
        if self._has_begun:
            # A read that sent nothing yet, because it waits for quota, may wait for long. Its restarts do not count.
            self._restarts += self._slot.calls > 0
            self._reset()
            self.replace(partial(self._run, self._slot))

    async def _run(self, slot: _TimedSlot) -> None:
        """Read the listing once, unless there were too many restarts."""
        if self._restarts == len(START_DELAYS):
            text = f"account {self._waba_id} was invalidated during each of {len(START_DELAYS)} reads: try again later"
            self._error = StaleListingError(text, waba_id=self._waba_id)
            self._error.retryable = True
            return
        await asyncio.sleep(START_DELAYS[self._restarts])  # invalidations often come in groups: wait for the rest
        self._has_begun = True
        try:
            numbers, sent_at = await self._list(slot)
            error = None
        except Exception as caught:  # noqa: BLE001 - raised to those who wait
            numbers, sent_at, error = [], -math.inf, caught
        # After a restart, this task is cancelled. But the code that it runs may swallow a cancellation, and what it
        # read is older than the invalidation.
        if self._slot is not slot:
            return
        if error is None:
            self.numbers, self._names = tuple(numbers), None
            self._expires = sent_at + self._lifetime(numbers)
        else:
            self._error, self._traceback = error, error.__traceback__

    async def _list(self, slot: _TimedSlot) -> tuple[list[PhoneNumber], float]:
        """Return all numbers, and when the first page was requested: the numbers may be as old as that."""
        slot.bind()
        numbers, sent_at = list[PhoneNumber](), math.inf
        async for page in self._start_list().pages():
            sent_at = min(sent_at, slot.last_at)
            numbers.extend(page)
        return numbers, sent_at
