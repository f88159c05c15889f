"""Waiting for the budget: who goes when, in one process. What may go is decided in `budget`; here it is waited for.

Calls of one account go in the order in which they came; accounts do not wait for each other. Nothing is held while a
call waits, and a call that would wait longer than its caller allows is told so before it waits.

All time is the running loop's, so a loop with a virtual clock drives it. Holds are numbers on that clock and outlive a
loop, since all of asyncio's loops read one monotonic clock; waiters belong to theirs.
"""

from __future__ import annotations

import asyncio
import weakref
from typing import Literal, Protocol, runtime_checkable

import attrs

from wa_phone_async.checks import check_at_least_one
from wa_phone_async.usage import Usage

from .budget import BudgetBook, Scope
from .waiting import Queue

CallResult = Literal["accepted", "throttled", "lost", "unsent"]
"""What became of a call: answered, refused as throttled, sent without an answer, or provably never sent."""


@attrs.frozen
class Lease:
    """The right to send one call now. Whoever has it owes one report."""

    waba_id: str | None
    """The account whose budget it takes beside the app's; `None` where only the app's counts."""
    token: str
    """A digest that stands for the access token."""
    since: float
    """When it was given, in seconds on the loop's clock."""


@attrs.frozen
class Report:
    """What became of a call that had a lease."""

    result: CallResult
    """What happened to it."""
    usage: Usage | None = None
    """What its answer's headers said of the budgets."""
    scope: Scope | None = None
    """Whose rate limit a throttled call met; `None` for every other result."""


@runtime_checkable
class RateLimiter(Protocol):
    """What a client asks before each call: `Throttle` is one for a process, `RedisThrottle` one for many."""

    async def admit(self, waba_id: str | None, token: str, *, max_wait: float, is_probe: bool = False) -> Lease | float:
        """Wait until a call may be sent.

        Args:
            waba_id: The account that is called; `None` where it is none, so that only the app's budget counts.
            token: A digest that stands for the access token.
            max_wait: Seconds that the call would wait at most.
            is_probe: Whether the call was refused and has waited for the end of that hold: it goes before the others.

        Returns:
            A lease; or, at once, the seconds that the call would have to wait, if they are more than `max_wait`.
        """
        ...

    def report(self, lease: Lease, report: Report) -> float:
        """Tell what became of a call, without waiting.

        Returns:
            The seconds until a call for the same account may be sent again: how long a refused call has to wait.
        """
        ...

    def last_usage(self, waba_id: str | None) -> Usage | None:
        """What the last answer for an account said about its budget and the app's, or `None`.

        Of `None`, the last answer of all calls for which only the app's budget counts.
        """
        ...

    async def aclose(self) -> None:
        """Close what it opened itself. It can be used again."""
        ...


def tell(book: BudgetBook, lease: Lease, report: Report, now: float) -> float:
    """Write into a book what became of a call; gives the time until which a call that was refused has to wait."""
    key, token, sent = lease.waba_id, lease.token, lease.since
    match report.result:
        case "throttled":
            return book.refused(key, now, report.usage, scope=report.scope, sent=sent, token=token)
        case "accepted":
            book.answered(key, now, report.usage, sent=sent, token=token)
        case "lost":
            book.abandoned(key, now, token=token)
        case _:  # unsent
            book.unsent(key, now, token=token)
    return now


class Throttle:
    """The budgets of one app, for this process. Clients of one app may share it.

    Args:
        quota: Calls an hour of each account, where you know it; `None` finds out (200, or 5,000).
        app_quota: Calls an hour of the app as a whole, where you know it; `None` finds out.

    Raises:
        InvalidArgumentError: A quota is no whole number from 1 up.
    """

    def __init__(self, *, quota: int | None = None, app_quota: int | None = None) -> None:
        for name, value in (("quota", quota), ("app_quota", app_quota)):
            if value is not None:
                check_at_least_one(name, value)
        self._quotas = quota, app_quota
        self._book = BudgetBook(quota, app_quota)
        self._queues: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str | None, Queue]] = (
            weakref.WeakKeyDictionary()
        )

    def __repr__(self) -> str:
        return "{}(quota={}, app_quota={})".format(type(self).__name__, *self._quotas)

    async def admit(self, waba_id: str | None, token: str, *, max_wait: float, is_probe: bool = False) -> Lease | float:
        """Wait until a call may be sent: see `RateLimiter.admit`."""
        loop = asyncio.get_running_loop()
        queues, now = self._queues.get(loop), loop.time()
        if queues is None:
            queues = self._queues[loop] = {}
        if waba_id not in queues and self._book.admit(waba_id, now, token) <= now:
            return Lease(waba_id, token, now)  # nobody waits, and there is room
        queue = queues.setdefault(waba_id, Queue())
        try:
            wait = self._book.peek(waba_id, now, token, ahead=0 if is_probe else queue.length) - now
            if wait > max_wait:
                return wait
            async with queue.turn(is_probe=is_probe):
                return await self._wait_at_head(queue, waba_id, token, now + max_wait)
        finally:
            if not queue.length:
                queues.pop(waba_id, None)

    async def _wait_at_head(self, queue: Queue, waba_id: str | None, token: str, until: float) -> Lease | float:
        """Ask again at the time that the budget names, or as soon as an answer came."""
        loop = asyncio.get_running_loop()
        while (when := self._book.admit(waba_id, now := loop.time(), token)) > now:
            if when > until:
                return when - now
            await queue.answer(since=queue.answers, before=when)
        return Lease(waba_id, token, now)

    def report(self, lease: Lease, report: Report) -> float:
        """Tell what became of a call: see `RateLimiter.report`."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        when = tell(self._book, lease, report, now)
        queues = self._queues.get(loop)
        if queues and lease.waba_id in queues:
            queues[lease.waba_id].wake()
        return max(0.0, when - now)

    def last_usage(self, waba_id: str | None) -> Usage | None:
        """The last reading: see `RateLimiter.last_usage`."""
        return self._book.last_usage(waba_id)

    async def aclose(self) -> None:
        """There is nothing to close."""
