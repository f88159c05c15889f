"""Waiting for quota, in one process. `budget` decides what may be sent; here calls wait for it.

Calls of one account are sent in the order in which they came. A call that waits has no slot and no connection. A call
that would have to wait longer than `max_wait` learns so at once.

A call waits in up to two queues, one after the other:

    FairQueue     the calls of one account; the first of them waits for the account's quota
    SharedQueue   the first calls of all accounts that wait for the app's quota, or for that of a token

Nobody polls. Whatever lets a call go wakes the call that is next: the end of another call, or a timer. A call that
leaves a queue wakes the one behind it.

All times are on the clock of the running loop, so a loop with a virtual clock drives the throttle. A cooldown is a time
on that clock and outlives its loop, since all of asyncio's loops read the same monotonic clock. A queue does not.
"""

from __future__ import annotations

import asyncio
import math
import time
import weakref
from collections import OrderedDict
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from functools import partial
from typing import Final

import attrs

from wa_phone_async.checks import check_at_least_one
from wa_phone_async.concurrency import LoopLocal, release_slot
from wa_phone_async.usage import Usage

from .budget import BudgetBook
from .limiter import Lease, Report
from .long_waits import LONG_SECONDS, LongWaits

_LOST: Final = Report("lost")

# How often a call that waits checks the loops of other threads. If one of them ends, its calls never report.
_CHECK_SECONDS: Final = 1.0


class _Head(asyncio.Lock):
    """The lock of those at the head of a queue. A call of a closed loop, which Python collects, releases it quietly."""

    def release(self) -> None:
        with suppress(RuntimeError):  # the loop is closed, and cannot wake the next one
            super().release()


class FairQueue:
    """The calls of one account that wait in one event loop, in the order in which they came.

    Only the call at the head waits for the budget. All others wait for its lock.
    """

    def __init__(self) -> None:
        self.length: int = 0
        """How many calls wait."""
        self.responses: int = 0
        """How many calls of the account have ended so far, with a response or without."""
        self.head: asyncio.Lock = _Head()
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
        if self.responses == since:
            await _wait_for(self._ended, before)

    def notify(self) -> None:
        """Tell the call at the head that a call has ended, since the budget may have changed."""
        self.responses += 1
        self._ended.set()


class SharedQueue:
    """The calls of many accounts that wait for one quota. Probes come first, and then the order of arrival counts."""

    def __init__(self) -> None:
        # Ordered, since the first entry of a plain dict is slow to find where many were deleted before it.
        self._probes = OrderedDict[asyncio.Event, None]()
        self._others = OrderedDict[asyncio.Event, None]()

    def __len__(self) -> int:
        return len(self._probes) + len(self._others)

    @property
    def first(self) -> asyncio.Event | None:
        """The place of the call that goes next; `None` if nobody waits."""
        return next(iter(self._probes or self._others), None)

    @contextmanager
    def place(self, *, is_probe: bool) -> Generator[asyncio.Event]:
        """Take a place in the queue, and leave it at the end of the block. The place is set to wake the call there."""
        waiting, place = self._probes if is_probe else self._others, asyncio.Event()
        waiting[place] = None
        try:
            yield place
        finally:
            del waiting[place]
            # Where one call went, another one may have quota as well. Where it gave up, it may have been woken to go.
            with suppress(RuntimeError):  # the loop is closed, and the garbage collector ends the calls
                self.wake()

    def wake(self, *, everyone: bool = False) -> None:
        """Wake the call that goes next, or all calls: a new cooldown may make the wait of each of them too long."""
        for place in (*self._probes, *self._others) if everyone else filter(None, [self.first]):
            place.set()


async def _wait_for(event: asyncio.Event, before: float) -> None:
    """Wait until an event is set, until a time on the clock of the loop at the latest."""
    release_slot()
    event.clear()
    try:
        async with asyncio.timeout_at(None if before == math.inf else before):
            await event.wait()
    except TimeoutError:
        # The cooldown of a throttled call may end at this same instant. It goes first, as the probe.
        await asyncio.sleep(0)


@attrs.define(eq=False)
class _LoopCalls:
    """The calls of one event loop: those that wait, and those that are in flight.

    A call in flight may never report. Its task dies if the loop is closed, and a process that forks has copies of all
    calls of its parent. So each lease is kept until its report, and the throttle reports the leases of a lost loop.
    """

    loop: weakref.ref[asyncio.AbstractEventLoop] = attrs.field(
        init=False, factory=lambda: weakref.ref(asyncio.get_running_loop())
    )
    # Futures and locks belong to a loop, so each loop has queues of its own.
    queues: dict[str | None, FairQueue] = attrs.field(init=False, factory=dict[str | None, FairQueue])
    shared: dict[str | None, SharedQueue] = attrs.field(init=False, factory=dict[str | None, SharedQueue])
    """Who waits for the quota of the app, under `None`, and of each token."""
    leases: dict[int, Lease] = attrs.field(init=False, factory=dict[int, Lease])
    """The leases that have no report yet, by their `id`."""
    app_cooldown_until: float = attrs.field(init=False, default=-math.inf)
    """The end of the app's last cooldown that the calls know of."""

    def add(self, lease: Lease) -> Lease:
        """Keep a lease until its report."""
        self.leases[id(lease)] = lease
        return lease

    def wake(self, lease: Lease, *, everyone: bool) -> None:
        """Wake the calls that may go now that a call has ended."""
        if lease.waba_id in self.queues:
            self.queues[lease.waba_id].notify()
        for name in (None, lease.token):
            if name in self.shared:
                self.shared[name].wake(everyone=everyone)


@attrs.frozen
class _Waiter:
    """A call that waits for a lease."""

    waba_id: str | None
    token: str
    is_probe: bool
    end: float  # when its longest wait is over
    calls: _LoopCalls  # the others of its loop


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
        self._long_waits = LongWaits()  # of all clients of this limiter
        self._book = BudgetBook(quota, app_quota)
        self._loops = LoopLocal(_LoopCalls, self._report_lost)
        self._recent: _LoopCalls | None = None  # those of the loop that called last: mostly there is no other one

    def __repr__(self) -> str:
        quota, app_quota = vars(self).get("_quotas", (None, None))  # missing if a traceback shows it while it is made
        return f"{type(self).__name__}(quota={quota}, app_quota={app_quota})"

    def try_admit(self, waba_id: str | None, token: str) -> Lease | None:
        """Admit a call at once, if nobody waits and quota is left: see `RateLimiter`. Most calls need no more."""
        loop = asyncio.get_running_loop()
        calls, now = self._recent, loop.time()
        if calls is None or calls.loop() is not loop:
            calls = self._recent = self._loops.get()
        if waba_id in calls.queues or calls.shared or self._book.admit(waba_id, now, token) > now:
            return None
        lease = Lease(waba_id, token, now)
        calls.leases[id(lease)] = lease
        return lease

    async def admit(self, waba_id: str | None, token: str, *, max_wait: float, is_probe: bool = False) -> Lease | float:
        """Wait until a call may be sent: see `RateLimiter.admit`."""
        if (lease := self.try_admit(waba_id, token)) is not None:
            return lease
        loop = asyncio.get_running_loop()
        calls, now = self._loops.get(), loop.time()
        queue, end = calls.queues.setdefault(waba_id, FairQueue()), now + max_wait
        try:
            self._loops.drop_lost()
            # Those ahead in the queue use quota first. Nobody is ahead of a probe.
            wait = self._book.peek(waba_id, now, token, ahead=0 if is_probe else queue.length) - now
            if wait > max_wait:
                return wait
            if wait > LONG_SECONDS:
                self._tell(waba_id, token, now, end, ahead=0 if is_probe else queue.length)
            async with queue.at_head(is_probe=is_probe):
                return await self._wait_at_head(queue, _Waiter(waba_id, token, is_probe, end, calls))
        finally:
            if not queue.length:
                calls.queues.pop(waba_id, None)

    async def _wait_at_head(self, queue: FairQueue, waiter: _Waiter) -> Lease | float:
        """Wait at the head of an account's queue: for the account's own quota, and then for those that it shares."""
        loop, shared = asyncio.get_running_loop(), waiter.calls.shared
        decision: Lease | float | None = None
        while decision is None:
            now = loop.time()
            scope, opens_at = self._book.blocker(waiter.waba_id, now, waiter.token)
            if scope != "waba":
                # Where nothing stops this call, it still goes behind those that wait for a shared quota.
                is_for_token = scope == "token" or (scope is None and None not in shared)
                decision = await self._wait_for_shared(waiter.token if is_for_token else None, waiter)
            elif (decision := self._too_long(waiter, now)) is None:
                await queue.wait_for_response(since=queue.responses, before=self._wake_at(waiter, opens_at, now))
                self._loops.drop_lost()
        return decision

    async def _wait_for_shared(self, name: str | None, waiter: _Waiter) -> Lease | float | None:
        """Wait for the quota of the app, or of a token.

        Args:
            name: The token; `None` for the app.
            waiter: The call.

        Returns:
            A lease; or the wait, if it is too long; or `None` if another quota stops the call now.
        """
        loop, shared = asyncio.get_running_loop(), waiter.calls.shared
        queue = shared.setdefault(name, SharedQueue())
        try:
            with queue.place(is_probe=waiter.is_probe) as place:
                while True:
                    now, opens_at = loop.time(), math.inf
                    if queue.first is place or now >= waiter.end:
                        if self._book.admit(waiter.waba_id, now, waiter.token) <= now:
                            return waiter.calls.add(Lease(waiter.waba_id, waiter.token, now))
                        scope, opens_at = self._book.blocker(waiter.waba_id, now, waiter.token)
                        if scope != ("app" if name is None else "token"):
                            return None
                    if (wait := self._too_long(waiter, now)) is not None:
                        return wait
                    await _wait_for(place, self._wake_at(waiter, opens_at, now))
                    self._loops.drop_lost()
        finally:
            if not queue:
                shared.pop(name, None)

    def _too_long(self, waiter: _Waiter, now: float) -> float | None:
        """How long a call would have to wait, if that is longer than it may; else `None`."""
        when = self._book.peek(waiter.waba_id, now, waiter.token)
        if when > waiter.end:
            return when - now
        if when - now > LONG_SECONDS:
            self._tell(waiter.waba_id, waiter.token, now, waiter.end, ahead=0)
        return None

    def _tell(self, waba_id: str | None, token: str, now: float, end: float, *, ahead: int) -> None:
        """Log that a call waits long, until its longest wait is over at most."""
        cause = self._book.cause(waba_id, now, token, ahead)
        seconds = min(cause.free_at, end) - now
        self._long_waits.tell(seconds, cause.scope, waba_id, token, is_throttled=cause.is_throttled)

    def _wake_at(self, waiter: _Waiter, opens_at: float, now: float) -> float:
        """When a call that waits has to wake without being woken."""
        has_others = any(calls.leases for calls in list(self._loops.by_loop.values()) if calls is not waiter.calls)
        return min(opens_at, waiter.end, now + _CHECK_SECONDS if has_others else math.inf)

    def report(self, lease: Lease, report: Report) -> float:
        """Report what happened to a call: see `RateLimiter.report`."""
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:  # the garbage collector ends the task of a lost loop
            running = None
        calls = self._recent
        if calls is None or calls.leases.pop(id(lease), None) is None:
            all_calls = list(self._loops.by_loop.values())
            calls = next((calls for calls in all_calls if calls.leases.pop(id(lease), None) is not None), None)
            if calls is None:
                return 0.0  # the call was reported as lost already
        loop = calls.loop()
        now = time.monotonic() if loop is None else loop.time()
        when = self._book.report(lease, report, now)
        for calls in list(self._loops.by_loop.values()):
            if calls.queues:
                self._wake(calls, lease, report, running)
        return max(0.0, when - now)

    def _report_lost(self, calls: _LoopCalls) -> None:
        """Report the calls of a lost loop. They may have been sent, and nobody else reports them."""
        loop = asyncio.get_running_loop()
        while calls.leases:
            _, lease = calls.leases.popitem()
            self._book.report(lease, _LOST, loop.time())
            for others in list(self._loops.by_loop.values()):
                self._wake(others, lease, _LOST, loop)

    def _wake(self, calls: _LoopCalls, lease: Lease, report: Report, running: asyncio.AbstractEventLoop | None) -> None:
        """Wake the calls of a loop that may go after a report."""
        loop = calls.loop()
        if loop is None:
            return
        # After a new cooldown, everyone checks the own `max_wait`. Otherwise the calls go one after the other.
        is_new = calls.app_cooldown_until != self._book.app.cooldown_until
        calls.app_cooldown_until = self._book.app.cooldown_until
        wake = partial(calls.wake, lease, everyone=is_new or report.result == "throttled")
        if loop is running:
            wake()
        else:
            with suppress(RuntimeError):  # it is closed
                loop.call_soon_threadsafe(wake)

    def last_usage(self, waba_id: str | None) -> Usage | None:
        """The usage in the last response for an account: see `RateLimiter.last_usage`."""
        return self._book.last_usage(waba_id)

    async def aclose(self) -> None:
        """Do nothing: this limiter opens no connections."""
