"""The trips of a `RedisThrottle`: what is said to Redis and what it answers, one script and one round trip at a time.

All that has come together since the last trip goes with the next: the reports first, then the calls that ask.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import secrets
import weakref
from collections import deque
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Any, Final, cast

import attrs

from wa_phone_async._optional import Extra
from wa_phone_async.ratelimit.throttle import Lease, Report
from wa_phone_async.ratelimit.waiting import Queue
from wa_phone_async.redaction import Secret
from wa_phone_async.usage import UsageMetric

from .breaker import Breaker

with Extra("redis"):
    from redis.asyncio import ConnectionPool
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import NoScriptError, RedisError

SCRIPT: Final = files("wa_phone_async.ratelimit.redis").joinpath("budget.lua").read_text(encoding="utf-8")
"""The rule in Lua."""

_DIGEST: Final = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()  # how Redis names a script
# What a late answer may take until the connection is given up: it says which leases were given to nobody.
_TRIP_SECONDS: Final = 5.0
_CLOSE_SECONDS: Final = 1.0
_FLUSH_SECONDS: Final = 0.02
_FLUSH_AGAIN_SECONDS: Final = 1.0
_LOOP_TURNS: Final = 3
_REPORTS_A_TRIP: Final = 200
_MOST_REPORTS: Final = 10_000
# Older calls have left every budget.
_KEPT_SECONDS: Final = 3660.0


@attrs.frozen
class Ticket(Lease):
    """A lease with what it is called in Redis."""

    id: str
    """A name that no other lease has."""
    epoch: str = ""
    """The memory of Redis that knows the lease; empty where it was given without Redis."""


@attrs.frozen
class Told:
    """A report, and when it was made."""

    ticket: Ticket
    report: Report
    at: float


@attrs.define(eq=False)
class Place:
    """Where a call stands in its queue, if it has to wait."""

    queue: Queue
    is_taken: bool = False

    def take(self) -> None:
        """Stand in line, once."""
        self.is_taken = True
        self.queue.length += 1

    def leave(self) -> None:
        """Go, or give up."""
        self.queue.length -= self.is_taken


@attrs.define(eq=False)
class _Ask:
    """A call that asks whether it may go."""

    ticket: Ticket
    place: Place | None
    """Where it has to stand if it may not; `None` for the call at the head, and for one that goes before it."""
    answer: asyncio.Future[Ticket | float | None]
    """A ticket, or when to ask again, on the loop's clock, or `None`. Cancelled where nobody waits for it any more."""
    is_late: bool = False
    """Whether nobody waits any more because it took too long."""

    def ahead(self) -> int | None:
        """How many calls of its account wait before it, or `None` where none counts."""
        return None if self.place is None else self.place.queue.length


class Ledger:
    """The reports that Redis was not told yet, and those of the last hour that it was, should it forget them."""

    def __init__(self) -> None:
        self.untold: deque[Told] = deque(maxlen=_MOST_REPORTS)
        """What Redis was not told yet, oldest first."""
        self._told = deque[Told](maxlen=_MOST_REPORTS)
        self._epoch = ""

    def add(self, ticket: Ticket, report: Report, now: float) -> None:
        """Write down a report."""
        self.untold.append(Told(ticket, report, now))

    def take(self, now: float) -> list[Told]:
        """Take out what the next trip tells."""
        while self.untold and self.untold[0].at <= now - _KEPT_SECONDS:
            self.untold.popleft()
        return [self.untold.popleft() for _ in range(min(len(self.untold), _REPORTS_A_TRIP))]

    def put_back(self, reports: Sequence[Told]) -> None:
        """Keep for the next trip what this one may not have told; where there are too many, the newest stay."""
        room = _MOST_REPORTS - len(self.untold)
        self.untold.extendleft(reversed(reports[len(reports) - min(room, len(reports)) :]))

    def was_told(self, reports: Iterable[Told], epoch: str, now: float) -> bool:
        """Keep for an hour what was told.

        Returns:
            Whether Redis has forgotten what it was told before, and has to be told it again.
        """
        has_forgotten = epoch != self._epoch and bool(self._told)
        if has_forgotten:
            self.put_back(list(self._told))
            self._told.clear()
        self._epoch = epoch
        while self._told and self._told[0].at <= now - _KEPT_SECONDS:
            self._told.popleft()
        self._told.extend(reports)
        return has_forgotten


@attrs.frozen
class Account:
    """Whose budgets they are, and what is known of them."""

    base: str
    """What all keys begin with, one hash tag for the app in it."""
    quota: int | None = None
    app_quota: int | None = None

    def message(self, asks: Sequence[_Ask], reports: Sequence[Told], nonce: str, now: float) -> dict[str, Any]:
        """What one trip says: see `budget.lua`."""
        message: dict[str, Any] = {
            "base": self.base,
            "nonce": nonce,
            "reports": [_report(told, now) for told in reports],
            "asks": [_ask(ask) for ask in asks],
        }
        known = {"quota": self.quota, "app_quota": self.app_quota}
        return message | {name: value for name, value in known.items() if value is not None}

    def keys(self, message: dict[str, Any]) -> list[str]:
        """Every key that the script touches for a message."""
        calls = (*message["reports"], *message["asks"])
        wabas = {f"waba:{call['waba']}" if "waba" in call else "unassigned" for call in calls}
        names = {"app", *wabas, *(f"token:{call['token']}" for call in calls)}
        return [
            f"{self.base}epoch",
            *(f"{self.base}{name}{part}" for name in sorted(names) for part in ("", ":log", ":leases")),
        ]


def _ask(ask: _Ask) -> dict[str, Any]:
    call = _call(ask.ticket)
    ahead = ask.ahead()
    return call if ahead is None else call | {"ahead": ahead}


def _call(ticket: Ticket) -> dict[str, Any]:
    call = {"token": ticket.token, "lease": ticket.id}
    return call if ticket.waba_id is None else call | {"waba": ticket.waba_id}


def _report(told: Told, now: float) -> dict[str, Any]:
    ticket, report = told.ticket, told.report
    call = _call(ticket) | {
        "epoch": ticket.epoch,
        "result": report.result,
        "scope": report.scope or "waba",
        "age": now - told.at,
        "sent_age": now - ticket.since,
    }
    if report.usage is not None:
        if report.usage.retry_after_seconds is not None:
            call["retry_after"] = report.usage.retry_after_seconds
        for name, reading in (("waba", report.usage.waba), ("app", report.usage.app)):
            if reading is not None:
                call[f"{name}_reading"] = _reading(reading)
    return call


def _reading(reading: UsageMetric) -> dict[str, float]:
    known = {"load": reading.load_percent, "regain": reading.regain_seconds}
    return known if reading.calls_percent is None else known | {"calls": reading.calls_percent}


class Line:
    """One loop's connection to Redis, and what is about to go over it.

    Args:
        url: The address of Redis.
        timeout: Seconds that a call waits for an answer.
        account: Whose budgets they are.
        ledger: The reports, those of earlier loops among them.
        breaker: Told how each trip went.
    """

    def __init__(self, url: Secret, timeout: float, account: Account, ledger: Ledger, breaker: Breaker) -> None:
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        """The loop that it belongs to."""
        self._queues = weakref.WeakValueDictionary[str | None, Queue]()
        self._timeout = timeout
        self._account = account
        self._ledger = ledger
        self._breaker = breaker
        self._pool = open_pool(url)
        # Made here and no earlier, since a process that forks would give its own to all of its children.
        self._name = secrets.token_hex(5)
        self._numbers = itertools.count()
        self._asks = list[_Ask]()
        self._is_due = False
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def name(self) -> str:
        """Give a name that nothing else has."""
        return f"{self._name}{next(self._numbers):x}"

    def queue(self, waba_id: str | None) -> Queue:
        """The calls of an account that wait here. It is forgotten when nobody has it any more."""
        queue = self._queues.get(waba_id)
        if queue is None:
            queue = self._queues[waba_id] = Queue()
        return queue

    async def ask(self, waba_id: str | None, token: str, place: Place | None) -> Ticket | float | None:
        """Ask Redis whether a call may go.

        Args:
            waba_id: The account that is called, or `None` where it is none.
            token: A digest that stands for the access token.
            place: Where the call has to stand if it may not go; `None` if that is decided.

        Returns:
            A ticket; or when to ask again, on the loop's clock; or `None` where Redis did not answer in time.
        """
        ask = _Ask(Ticket(waba_id, token, self.loop.time(), self.name()), place, self.loop.create_future())
        self._asks.append(ask)
        self._start()
        try:
            await asyncio.wait([ask.answer], timeout=self._timeout)
            for _ in range(_LOOP_TURNS):  # where this loop itself was busy, the answer is there, but not read yet
                if not ask.answer.done():
                    await asyncio.sleep(0)
        except asyncio.CancelledError:
            self._withdraw(ask)
            raise
        if not ask.answer.done():
            ask.is_late = True
            ask.answer.cancel()
            self._breaker.failed(self.loop.time(), f"no answer within {self._timeout:g} s")
            return None
        return ask.answer.result()

    def _withdraw(self, ask: _Ask) -> None:
        """A call was cancelled: the ticket that it may have got is given back."""
        if not ask.answer.cancel() and isinstance(ticket := ask.answer.result(), Ticket):
            self.report(ticket, Report("unsent"))

    def report(self, ticket: Ticket, report: Report) -> None:
        """Tell Redis with the next trip, or in a moment by itself; of a refusal at once."""
        self._ledger.add(ticket, report, self.loop.time())
        if report.result == "throttled":
            self._flush()
        elif self._timer is None:
            self._timer = self.loop.call_later(_FLUSH_SECONDS, self._flush)
        if queue := self._queues.get(ticket.waba_id):
            queue.wake()

    def _flush(self) -> None:
        self._stop_timer()
        if not self._ledger.untold:
            return
        if self._task is not None or self._breaker.allows(self.loop.time()):
            self._is_due = True
            self._start()
        else:
            self._timer = self.loop.call_later(_FLUSH_AGAIN_SECONDS, self._flush)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def aclose(self) -> None:
        """Tell Redis what it was not told yet, for a second at most, and close the connection."""
        end = self.loop.time() + _CLOSE_SECONDS
        try:
            if self._ledger.untold:  # also where Redis was away a moment ago: nobody tells it later
                self._is_due = True
                self._start()
            while self._task is not None and (left := end - self.loop.time()) > 0:
                await asyncio.wait([self._task], timeout=left)
                self._flush()  # the trip may have given tickets to nobody, which are to be given back
        finally:
            self._stop_timer()
            if self._task is not None:
                self._task.cancel()
                await asyncio.wait([self._task])
            await self._pool.aclose()

    def _start(self) -> None:
        if self._task is None:
            self._task = self.loop.create_task(self._run())

    async def _run(self) -> None:
        """Make trips while there is something to ask or to tell."""
        try:
            while self._asks or self._is_due:
                self._is_due = False
                await self._trip()
        finally:
            self._task = None
            self._breaker.release()

    async def _trip(self) -> None:
        asks, self._asks = self._asks, []
        began = self.loop.time()
        reports = self._ledger.take(began)
        try:
            async with asyncio.timeout(_TRIP_SECONDS):
                answer = await self._exchange(asks, reports)
            epoch, waits = _read(answer, len(asks))
        except (RedisError, OSError, ValueError) as error:
            self._fail(asks, reports, type(error).__name__)
            return
        except BaseException:
            self._ledger.put_back(reports)
            raise
        now = self.loop.time()
        has_forgotten = self._ledger.was_told(reports, epoch, now)
        self._is_due = self._is_due or has_forgotten or len(reports) == _REPORTS_A_TRIP
        for ask, wait in zip(asks, waits, strict=True):
            self._settle(ask, wait, epoch, now)
        is_slow = now - began > self._timeout or any(ask.is_late for ask in asks)
        if is_slow and self._breaker.is_open:
            self._breaker.failed(now, "it is slow")
        else:
            self._breaker.answered()

    async def _exchange(self, asks: list[_Ask], reports: list[Told]) -> object:
        """Say it and hear the answer, over a connection that is made if need be; leaves out who has gone away."""
        connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
        try:
            asks[:] = [ask for ask in asks if not ask.answer.done()]
            message = self._account.message(asks, reports, self.name(), self.loop.time())
            keys = self._account.keys(message)
            arguments = (len(keys), *keys, json.dumps(message))
            try:
                await connection.send_command("EVALSHA", _DIGEST, *arguments)
                return cast("object", await connection.read_response())
            except NoScriptError:  # a Redis that has just been started
                await connection.send_command("EVAL", SCRIPT, *arguments)
                return cast("object", await connection.read_response())
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        finally:
            await self._pool.release(connection)

    def _fail(self, asks: list[_Ask], reports: list[Told], reason: str) -> None:
        self._ledger.put_back(reports)
        self._is_due = False
        self._breaker.failed(self.loop.time(), reason)
        for ask in asks:
            if not ask.answer.done():
                ask.answer.set_result(None)
        if self._timer is None:
            self._timer = self.loop.call_later(_FLUSH_AGAIN_SECONDS, self._flush)

    def _settle(self, ask: _Ask, wait: float | None, epoch: str, now: float) -> None:
        """Give a call its answer, or its ticket back to Redis where it has gone away."""
        if wait is None:
            ticket = attrs.evolve(ask.ticket, since=now, epoch=epoch)
            if ask.answer.done():
                self.report(ticket, Report("unsent"))
            else:
                ask.answer.set_result(ticket)
        elif not ask.answer.done():
            if ask.place is not None:
                ask.place.take()
            ask.answer.set_result(now + wait)


def _read(answer: object, asks: int) -> tuple[str, list[float | None]]:
    """The epoch, and for each ask the seconds after which to ask again, or `None` to go.

    Raises:
        ValueError: It is no answer of the script's.
    """
    said = cast("list[object]", answer) if isinstance(answer, list) else []
    if len(said) != 1 + asks:
        raise ValueError("it is no answer to the script")
    epoch, *waits = map(str, said)
    return epoch, [None if wait == "go" else float(wait) for wait in waits]


def open_pool(url: Secret) -> ConnectionPool:
    """Make the connections of one loop; none is opened yet."""
    # Its options have no types. It must not try again by itself: that is for the breaker to say.
    return ConnectionPool.from_url(url, decode_responses=True, retry=Retry(NoBackoff(), 0))  # pyright: ignore[reportUnknownMemberType]
