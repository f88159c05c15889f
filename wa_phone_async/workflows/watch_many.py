"""Watch the numbers of many accounts: polls are spread, and take a quarter of each quota at most.

`QuotaShare` and `gap_between_starts` decide, without a clock. `Watches` is the shell: one task starts polls when they
are due, and each poll is a task of its own. They run only inside `async with`.

The first lists are read as fast as one a second, or faster where that is needed to read all within one interval. Each
account then gets its own place in the interval, and keeps it. After an outage all accounts are due at once. Their polls
then start with a gap, and need a quarter of the interval.

How many calls a quota has is not documented for every account and app. But the API sends which percentage is used, by
all programs together. So a quota has at least as many calls as this watch made, divided by that percentage. A quarter
of this lower bound is never more than a quarter of the quota. The bound grows with each poll that does not change the
percentage.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from types import MappingProxyType
from typing import Final, NoReturn, Self

from wa_phone_async.checks import check_at_least_one, check_seconds
from wa_phone_async.concurrency import Slot
from wa_phone_async.errors import InvalidArgumentError, WaPhoneError, concerns_all
from wa_phone_async.models import PhoneNumber
from wa_phone_async.usage import Usage

from .bulk import Accounts, each_id
from .watch import Change, Poller, WatchedWaba

_HOUR_SECONDS: Final = 3600.0
_BUCKET_SECONDS: Final = 60.0
_SMALLEST_QUOTA: Final = 200.0
"""Calls an hour, the documented quota of an account without a registered number."""
_SHARE: Final = 0.25
_FIRST_GAP_SECONDS: Final = 1.0


class QuotaShare:
    """The quarter of one quota that polls may take. Its memory is bounded: it counts calls by the minute."""

    def __init__(self) -> None:
        self.quota: float = _SMALLEST_QUOTA
        """The calls an hour that the quota has at least."""
        self.recent: int = 0
        """The calls of the last hour."""
        self._minutes = deque[tuple[float, int]]()  # when each minute began, and its calls

    @property
    def calls_per_hour(self) -> float:
        """The calls that polls may make within an hour."""
        return _SHARE * self.quota

    def spend(self, now: float, calls: int) -> None:
        """Count calls that are about to be made."""
        self._forget(now)
        minute = now - now % _BUCKET_SECONDS
        before = self._minutes.pop()[1] if self._minutes and self._minutes[-1][0] == minute else 0
        self._minutes.append((minute, before + calls))
        self.recent += calls

    def learn(self, now: float, percent: float, in_flight: int = 0) -> None:
        """Learn from what the API says is used.

        Args:
            now: The time on the clock of `spend`.
            percent: How much of the quota all programs have used. Rounding may have taken up to 1 from it.
            in_flight: The counted calls that the API may not have counted.
        """
        # The API may have forgotten the first minute already.
        certain = sum(calls for minute, calls in self._minutes if minute > now - _HOUR_SECONDS) - in_flight
        self.quota = max(self.quota, 100.0 * certain / (percent + 1.0))

    def delay(self, now: float, calls: int) -> float:
        """Return the seconds until so many calls fit into the share. One poll with more than that needs all of it."""
        self._forget(now)
        excess = self.recent + min(calls, self.calls_per_hour) - self.calls_per_hour
        for minute, spent in self._minutes:
            if excess <= 0:
                break
            excess -= spent
            end = minute + _BUCKET_SECONDS + _HOUR_SECONDS
            if excess <= 0:
                return end - now
        return 0.0

    def _forget(self, now: float) -> None:
        while self._minutes and self._minutes[0][0] + _BUCKET_SECONDS + _HOUR_SECONDS <= now:
            self.recent -= self._minutes.popleft()[1]


def gap_between_starts(interval: float, accounts: int) -> float:
    """Return the least seconds between the starts of two polls: a quarter of what spreads them evenly, at most one.

    An account that changes is polled four times as often, and all may change at once.
    """
    return min(interval / (4 * accounts), _FIRST_GAP_SECONDS)


def first_polls(interval: float, accounts: int, index: int) -> tuple[float, float]:
    """Return when an account is polled first, and how much later than `interval` it is polled the second time.

    From the second time on, the polls of all accounts are spread evenly.

    Args:
        interval: The seconds between two polls of an account.
        accounts: How many accounts there are.
        index: The place of the account among them, from 0.
    """
    place = interval / accounts
    first = min(place, _FIRST_GAP_SECONDS)
    return index * first, index * (place - first)


class Watches(AsyncIterator[Change]):
    """The changes of the numbers of many accounts. Iterate inside `async with`.

        async with client.watch(waba_ids) as watches:
            async for change in watches:
                print(change.waba_id, change.phone_number_id, change.field, change.old, change.new)

    Accounts are polled in the background, but only inside the block. When you leave it, polls are cancelled and
    awaited. An account is polled again when you have read its changes, so memory is bounded by the numbers.

    An account that the API rejects is no longer polled, and the others are: see `rejected`. Throttling, outages and
    invalid responses are in `errors`, and the next poll follows. The iteration ends after `total_timeout`, or when
    every account was rejected. You can use it once.

    Raises:
        AuthenticationError: The API rejected the token that all accounts share. This ends the watch.
        RuntimeError: You iterate outside `async with`, or enter it twice.
    """

    def __init__(
        self,
        accounts: Accounts,
        read_list: Callable[[str], Awaitable[Sequence[PhoneNumber]]],
        *,
        interval: float,
        total_timeout: float | None,
        known: Mapping[str, Iterable[PhoneNumber]] | None,
        usage: Callable[[str], Usage | None],
        concurrency: int,
    ) -> None:
        check_at_least_one("concurrency", concurrency)
        check_seconds("interval", interval)
        if total_timeout is not None:
            check_seconds("total_timeout", total_timeout)
        if known is not None and not isinstance(known, Mapping):
            raise InvalidArgumentError("known", "the known of an earlier watch, lists by the account's id", type(known))
        self._given = accounts
        self._read_list = read_list
        self._interval = interval
        self._total_timeout = math.inf if total_timeout is None else total_timeout
        self._bases = known or {}
        self._usage = usage
        self._slots = asyncio.Semaphore(concurrency)
        self._accounts = dict[str, WatchedWaba]()
        self._pollers = dict[str, Poller]()
        self._shares = dict[str, QuotaShare]()
        self._app = QuotaShare()
        self._is_app_known = False  # an app whose usage the API does not send has the quotas of its accounts alone
        self._places = dict[str, float]()  # how much later each account is polled the second time
        self._due = list[tuple[float, str]]()  # a heap: the accounts that wait for their next poll
        self._polls = set[asyncio.Task[None]]()
        self._in_flight = 0  # the calls that running polls are expected to make
        self._ready = deque[WatchedWaba]()  # the accounts with unread changes
        self._failure: Exception | None = None  # what ends the watch
        self._runner: asyncio.Task[None] | None = None
        self._is_used = False
        self._is_open = False
        self._is_waiting = False
        self._progress = asyncio.Event()  # there is something to read, or the end
        self._wake = asyncio.Event()  # an account has become due, or a poll has ended

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: iterate over it inside 'async with'>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a watch holds a client with its token and cannot be pickled or copied: pass known= to another")

    @property
    def accounts(self) -> Mapping[str, WatchedWaba]:
        """The accounts by their ids, as the watch sees them now. Empty before `async with` has read the ids."""
        return MappingProxyType(self._accounts)

    @property
    def known(self) -> dict[str, tuple[PhoneNumber, ...]]:
        """For each account, the last complete list whose changes you have all read. Pass it to a later watch."""
        return {waba_id: known for waba_id, account in self._accounts.items() if (known := account.known) is not None}

    @property
    def errors(self) -> dict[str, WaPhoneError]:
        """Why the last polls failed, for each account whose last poll did. They are polled again."""
        return {waba_id: error for waba_id, account in self._accounts.items() if (error := account.error) is not None}

    @property
    def rejected(self) -> dict[str, WaPhoneError]:
        """Why accounts are no longer polled, for each account that the API has rejected."""
        accounts = self._accounts.items()
        return {waba_id: error for waba_id, account in accounts if (error := account.rejection) is not None}

    async def __aenter__(self) -> Self:
        if self._is_used:
            raise RuntimeError("this watch was used already: call watch() again")
        self._is_used = True
        await self._read_accounts()
        self._is_open = True
        self._runner = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_open = False
        self._progress.set()
        tasks = {task for task in (self._runner, *self._polls) if task is not None}
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    def __aiter__(self) -> Self:
        """Return the watch itself."""
        self._check_open()
        return self

    async def __anext__(self) -> Change:
        """Return the next change. An error that ends the watch comes after the changes that were seen."""
        self._check_open()
        if self._is_waiting:
            raise RuntimeError("two consumers wait for the next change of this watch at once")
        self._is_waiting = True
        try:
            while not self._ready:
                if self._failure is not None:
                    raise self._failure
                if self._runner is None or self._runner.done():
                    raise StopAsyncIteration
                # Nothing is awaited between the conditions and `clear`, so no event is lost.
                self._progress.clear()
                await self._progress.wait()
                self._check_open()
        finally:
            self._is_waiting = False
        account = self._ready[0]
        change = account.take()
        if not account.unread:
            self._ready.popleft()
            self._plan(account)
        return change

    def _check_open(self) -> None:
        if not self._is_open:
            raise RuntimeError("iterate inside 'async with client.watch(…) as watches'")

    async def _read_accounts(self) -> None:
        """Read all ids. An invalid one is rejected when its list is read."""
        async with aclosing(each_id(self._given)) as ids:
            async for given in ids:
                waba_id = str(given)
                if waba_id not in self._accounts:
                    poller = self._pollers[waba_id] = Poller(self._interval, None, partial(self._usage, waba_id))
                    read_list = partial(self._read_list, given)
                    self._accounts[waba_id] = WatchedWaba(waba_id, read_list, poller, self._bases.get(waba_id))
                    self._shares[waba_id] = QuotaShare()

    async def _run(self) -> None:
        """Start polls when they are due, until the time is over or no account is left."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._total_timeout
        limit = asyncio.timeout_at(None if until == math.inf else until)
        try:
            async with limit:
                await self._start_polls(until)
        except TimeoutError:  # ours: nothing else in the block raises one
            if self._polls:
                await asyncio.wait(self._polls)  # they have the same limit
        finally:
            for task in self._polls:
                task.cancel()
            loop.call_soon(self._progress.set)  # later, since this task is not done here

    async def _start_polls(self, until: float) -> None:
        loop, count = asyncio.get_running_loop(), len(self._accounts)
        next_start = now = loop.time()
        for index, (waba_id, poller) in enumerate(self._pollers.items()):
            first, self._places[waba_id] = first_polls(self._interval, count, index)
            poller.begin(now + first, until)
            heapq.heappush(self._due, (now + first, waba_id))
        while self._failure is None and (self._due or self._polls or self._ready):
            self._wake.clear()
            if not self._due:
                await self._wake.wait()
                continue
            due, waba_id = self._due[0]
            account, now = self._accounts[waba_id], loop.time()
            start = max(due, next_start, now + (self._app.delay(now, account.calls) if self._is_app_known else 0.0))
            if start > now:
                timer = loop.call_at(start, self._wake.set)
                await self._wake.wait()  # another account may become due sooner
                timer.cancel()
                continue
            heapq.heappop(self._due)
            slot = Slot(self._slots)
            await slot.reserve()
            next_start = loop.time() + gap_between_starts(self._interval, count)
            self._app.spend(loop.time(), account.calls)
            self._in_flight += account.calls
            task = asyncio.create_task(self._poll(account, slot))
            self._polls.add(task)
            task.add_done_callback(self._on_poll_done)

    async def _poll(self, account: WatchedWaba, slot: Slot) -> None:
        """Poll an account once, and plan its next poll or let its changes be read."""
        loop, expected = asyncio.get_running_loop(), account.calls
        slot.bind()
        try:
            await account.poll()
        except WaPhoneError as error:
            if concerns_all(error):
                raise  # every other account would fail with the same token
            account.rejection = error.with_traceback(None)  # its frames would live as long as the account
        finally:
            slot.release()
            self._in_flight -= expected
        now, share, usage = loop.time(), self._shares[account.waba_id], self._usage(account.waba_id)
        self._app.spend(now, max(0, slot.calls - expected))
        share.spend(now, slot.calls)
        if usage is not None and usage.app is not None:
            self._is_app_known = True
            self._app.learn(now, usage.app.percent, self._in_flight)
        if usage is not None and usage.waba is not None:
            share.learn(now, usage.waba.percent)
        if account.rejection is not None:
            return
        self._pollers[account.waba_id].postpone(now + share.delay(now, account.calls))
        if account.unread:
            self._ready.append(account)
            self._progress.set()
        else:
            self._plan(account)

    def _plan(self, account: WatchedWaba) -> None:
        """Let an account wait for its next poll. All its changes were read."""
        poller, waba_id = self._pollers[account.waba_id], account.waba_id
        due = poller.postpone(-math.inf)
        due = poller.postpone(due + self._places.pop(waba_id, 0.0))
        heapq.heappush(self._due, (due, waba_id))
        self._wake.set()

    def _on_poll_done(self, task: asyncio.Task[None]) -> None:
        self._polls.discard(task)
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            self._fail(error)
        self._wake.set()

    def _fail(self, error: Exception) -> None:
        """Note the first failure that ends the watch."""
        self._failure = self._failure or error
        self._progress.set()
