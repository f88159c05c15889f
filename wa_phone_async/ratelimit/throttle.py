"""Waiting for quota, in one process. `budget` decides what may be sent; here calls wait for it.

Calls of one account are sent in the order in which they came. Accounts do not wait for each other. A call that waits
has no slot and no connection. A call that would have to wait longer than `max_wait` learns so at once.

All times are on the clock of the running loop, so a loop with a virtual clock drives the throttle. A cooldown is a time
on that clock and outlives its loop, since all of asyncio's loops read the same monotonic clock. A queue does not.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext

from wa_phone_async.checks import check_at_least_one
from wa_phone_async.concurrency import release_slot
from wa_phone_async.usage import Usage

from .budget import BudgetBook
from .limiter import Lease, Report


class FairQueue:
    """The calls of one account that wait in one event loop, in the order in which they came.

    Only the call at the head polls the budget. All others wait for its lock.
    """

    def __init__(self) -> None:
        self.length: int = 0
        """How many calls wait."""
        self.responses: int = 0
        """How many calls of the account have ended so far, with a response or without."""
        self.head: asyncio.Lock = asyncio.Lock()
        """Held by the call at the head. It passes on in the order of arrival."""
        self._ended = asyncio.Event()

    @asynccontextmanager
    async def at_head(self, *, is_probe: bool) -> AsyncGenerator[None]:
        """Wait for the head of the queue, and leave it at the end of the block.

        Args:
            is_probe: Whether the call was throttled and its cooldown is over: then it stands beside the head at once.
        """
        if self.length and not is_probe:
            release_slot()
        self.length += 1
        try:
            # A probe must not wait for the lock: the call at the head waits for the response to this very probe.
            async with nullcontext() if is_probe else self.head:
                yield
        finally:
            self.length -= 1

    async def wait_for_response(self, *, since: int, before: float) -> None:
        """Wait until another call of the account ends.

        Args:
            since: The value of `responses` before the budget last decided. If a call ended since, it returns at once.
            before: When to stop waiting, on the clock of the loop.
        """
        if self.responses != since:
            return
        release_slot()
        self._ended.clear()
        try:
            async with asyncio.timeout_at(before):
                await self._ended.wait()
        except TimeoutError:
            # The cooldown of a throttled call may end at this same instant. It goes first, as the probe.
            await asyncio.sleep(0)

    def notify(self) -> None:
        """Tell the call at the head that a call has ended, since the budget may have changed."""
        self.responses += 1
        self._ended.set()


class Throttle:
    """Keeps the quotas of one app, for the clients of one process. All clients of an app may share it.

    Args:
        quota: Calls an hour of each account; `None` finds out whether it is 200 or 5,000.
        app_quota: Calls an hour of the app as a whole; `None` finds out.

    Raises:
        InvalidArgumentError: A quota is no whole number from 1 up.
    """

    def __init__(self, *, quota: int | None = None, app_quota: int | None = None) -> None:
        for name, value in (("quota", quota), ("app_quota", app_quota)):
            if value is not None:
                check_at_least_one(name, value)
        self._quotas = quota, app_quota
        self._book = BudgetBook(quota, app_quota)
        # Futures and locks belong to a loop, so each loop has queues of its own and takes them with it.
        self._queues: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str | None, FairQueue]] = (
            weakref.WeakKeyDictionary()
        )

    def __repr__(self) -> str:
        return "{}(quota={}, app_quota={})".format(type(self).__name__, *self._quotas)

    def try_admit(self, waba_id: str | None, token: str) -> Lease | None:
        """Admit a call at once, if nobody waits and quota is left: see `RateLimiter`. Most calls need no more."""
        loop = asyncio.get_running_loop()
        queues, now = self._queues.get(loop), loop.time()
        if queues is None:
            queues = self._queues[loop] = {}
        if waba_id not in queues and self._book.admit(waba_id, now, token) <= now:
            return Lease(waba_id, token, now)
        return None

    async def admit(self, waba_id: str | None, token: str, *, max_wait: float, is_probe: bool = False) -> Lease | float:
        """Wait until a call may be sent: see `RateLimiter.admit`."""
        if (lease := self.try_admit(waba_id, token)) is not None:
            return lease
        loop = asyncio.get_running_loop()
        queues, now = self._queues[loop], loop.time()
        queue, end = queues.setdefault(waba_id, FairQueue()), now + max_wait
        try:
            # Those ahead in the queue use quota first. Nobody is ahead of a probe.
            wait = self._book.peek(waba_id, now, token, ahead=0 if is_probe else queue.length) - now
            if wait > max_wait:
                return wait
            async with queue.at_head(is_probe=is_probe):
                while (when := self._book.admit(waba_id, now := loop.time(), token)) > now:
                    if when > end:  # a cooldown began meanwhile
                        return when - now
                    await queue.wait_for_response(since=queue.responses, before=when)
                return Lease(waba_id, token, now)
        finally:
            if not queue.length:
                queues.pop(waba_id, None)

    def report(self, lease: Lease, report: Report) -> float:
        """Report what happened to a call: see `RateLimiter.report`."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        when = self._book.report(lease, report, now)
        queues = self._queues.get(loop)
        if queues and lease.waba_id in queues:
            queues[lease.waba_id].notify()
        return max(0.0, when - now)

    def last_usage(self, waba_id: str | None) -> Usage | None:
        """The usage in the last response for an account: see `RateLimiter.last_usage`."""
        return self._book.last_usage(waba_id)

    async def aclose(self) -> None:
        """Do nothing: this limiter opens no connections."""
