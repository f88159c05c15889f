"""What goes between a process and Redis: one script, one round trip at a time.

Reports and calls to admit collect while a round trip is under way. The next one takes all of them along, the reports
first. So many calls at once cost Redis few round trips.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import secrets
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from importlib.resources import files
from typing import Any, Final, cast

import attrs

from wa_phone_async._optional import requires
from wa_phone_async.ratelimit.limiter import Lease, Report, Scope
from wa_phone_async.ratelimit.throttle import FairQueue
from wa_phone_async.redaction import Secret
from wa_phone_async.usage import UsageMetric

from .address import open_pool, reason_of
from .breaker import Breaker

with requires("redis"):
    from redis.asyncio import Redis
    from redis.exceptions import RedisError

_log = logging.getLogger("wa_phone_async")

SCRIPT: Final = files("wa_phone_async.ratelimit.redis").joinpath("budget.lua").read_text(encoding="utf-8")
"""The rule in Lua."""

# Callers give up sooner. But a late response says which leases nobody took, and those must go back.
_ROUND_TRIP_SECONDS: Final = 5.0
_CLOSE_SECONDS: Final = 1.0
# A report waits so long for a call that takes it along.
_FLUSH_SECONDS: Final = 0.02
_FLUSH_AGAIN_SECONDS: Final = 1.0
_LOOP_PASSES: Final = 3
# One script call blocks Redis for everybody, so each stays short.
_REPORTS_PER_ROUND_TRIP: Final = 200
_MAX_REPORTS: Final = 10_000
# While calls are in flight, Redis hears of this process so often. `budget.lua` says after which silence it is dead, and
# how long a lease lasts at most.
_BEAT_SECONDS: Final = 2.0
_LEASE_SECONDS: Final = 300.0
# Older calls have left every quota.
_KEPT_SECONDS: Final = 3660.0


@attrs.frozen
class RedisLease(Lease):
    """A lease with the name that it has in Redis."""

    id: str
    """A name that no other lease has."""
    epoch: str = ""
    """The epoch of Redis that knows the lease; empty where it was given without Redis."""


@attrs.frozen
class Wait:
    """When a call can go, on the loop's clock."""

    poll_at: float
    """When to poll next."""
    over_at: float
    """When the call can go at the latest if the processes with calls in flight are dead. Else the same as `poll_at`."""
    free_at: float
    """When the call can go at the latest, if nobody else uses the quota: see `Budget.free_at`."""
    scope: Scope
    """Whose quota or cooldown it waits for."""
    is_throttled: bool
    """Whether it is a cooldown."""

    def after(self, now: float) -> Wait:
        """The wait that has begun now, of one whose times are seconds from now."""
        return Wait(now + self.poll_at, now + self.over_at, now + self.free_at, self.scope, self.is_throttled)


@attrs.frozen
class LeaseReport:
    """A report with its lease, and when it was made."""

    lease: RedisLease
    report: Report
    at: float


@attrs.define(eq=False)
class QueuePosition:
    """Where a call waits in its queue, once it has to."""

    queue: FairQueue
    has_joined: bool = False

    def join(self) -> None:
        """Join the queue. Called at most once."""
        self.has_joined = True
        self.queue.length += 1

    def leave(self) -> None:
        """Leave the queue, if the call has joined it."""
        self.queue.length -= self.has_joined


@attrs.define(eq=False)
class _Admission:
    """A call that waits for the script to decide whether it may go."""

    lease: RedisLease
    position: QueuePosition | None
    """Where the call waits if it may not go; `None` for the call at the head of its queue, and for a probe."""
    decision: asyncio.Future[RedisLease | Wait | None]
    """A lease, or a wait, or `None` without Redis. Cancelled if nobody waits for it."""
    is_late: bool = False
    """Whether nobody waits any more since the response took too long."""

    def ahead(self) -> int | None:
        """How many calls of the account wait before this one; `None` if it does not wait behind others."""
        return None if self.position is None else self.position.queue.length


class Ledger:
    """The reports that Redis does not have yet, and those of the last hour that it has, in case it forgets them."""

    def __init__(self) -> None:
        self.pending: deque[LeaseReport] = deque(maxlen=_MAX_REPORTS)
        """What Redis does not have yet, oldest first."""
        self._sent = deque[LeaseReport](maxlen=_MAX_REPORTS)
        self._epoch = ""
        self._damaged = set[str]()

    def add(self, lease: RedisLease, report: Report, now: float) -> None:
        """Add a report for the next round trip."""
        self.pending.append(LeaseReport(lease, report, now))

    def take(self, now: float) -> list[LeaseReport]:
        """Take out the reports that go with the next round trip."""
        while self.pending and self.pending[0].at <= now - _KEPT_SECONDS:
            self.pending.popleft()
        return [self.pending.popleft() for _ in range(min(len(self.pending), _REPORTS_PER_ROUND_TRIP))]

    def put_back(self, reports: Sequence[LeaseReport]) -> None:
        """Put back the reports of a round trip that failed. Where there are too many, the newest stay.

        Redis may have them all the same. It counts each of them once.
        """
        free = _MAX_REPORTS - len(self.pending)
        self.pending.extendleft(reversed(reports[len(reports) - min(free, len(reports)) :]))

    def mark_sent(self, reports: Iterable[LeaseReport], epoch: str, now: float) -> bool:
        """Keep for an hour the reports that Redis has now.

        Returns:
            Whether Redis has lost its memory, as after a restart. All reports that it had are pending again then.
        """
        has_forgotten = epoch != self._epoch and bool(self._sent)
        if has_forgotten:
            self.put_back(list(self._sent))
            self._sent.clear()
        self._epoch = epoch
        while self._sent and self._sent[0].at <= now - _KEPT_SECONDS:
            self._sent.popleft()
        self._sent.extend(reports)
        return has_forgotten

    def mark_damaged(self, keys: Sequence[str], logs: Callable[[str | None], str]) -> bool:
        """Note the keys that begin again, because another program had written to them. Each gets one warning.

        Args:
            keys: The keys.
            logs: Returns the key of the log of an account.

        Returns:
            Whether reports are pending again, because a damaged log had them.
        """
        for key in keys:
            if key not in self._damaged:
                self._damaged.add(key)
                _log.warning(
                    "The key %s in Redis was damaged and begins again, which affects no other key. Another program "
                    "writes to it. Give RedisThrottle a prefix= that no other program uses.",
                    key,
                )
        if not keys:
            return False
        sent, lost = list(self._sent), list[LeaseReport]()
        self._sent.clear()
        for report in sent:
            (lost if logs(report.lease.waba_id) in keys else self._sent).append(report)
        self.put_back(lost)
        return bool(lost)


@attrs.frozen
class BatchEncoder:
    """Makes the arguments of the script, for one app."""

    prefix: str
    """What all keys begin with. It contains one hash tag for the app, so a cluster keeps them in one slot."""
    quota: int | None = None
    app_quota: int | None = None

    def message(
        self, admissions: Sequence[_Admission], reports: Sequence[LeaseReport], nonce: str, now: float
    ) -> dict[str, Any]:
        """What one round trip says: see `budget.lua`."""
        message: dict[str, Any] = {
            "prefix": self.prefix,
            "nonce": nonce,
            "reports": [_encode_report(report, now) for report in reports],
            "admissions": [_encode_admission(admission) for admission in admissions],
        }
        known = {"quota": self.quota, "app_quota": self.app_quota}
        return message | {name: value for name, value in known.items() if value is not None}

    def log_key(self, waba_id: str | None) -> str:
        """The key of the log of an account; `None` for the calls on what is no account."""
        return f"{self.prefix}{_budget_name(waba_id)}:log"

    def keys(self, message: dict[str, Any]) -> list[str]:
        """Every key that the script touches for a message."""
        calls = (*message["reports"], *message["admissions"])
        wabas = {_budget_name(call.get("waba")) for call in calls}
        names = {"app", *wabas, *(f"token:{call['token']}" for call in calls)}
        return [
            f"{self.prefix}epoch",
            f"{self.prefix}processes",
            *(f"{self.prefix}{name}{part}" for name in sorted(names) for part in ("", ":log", ":leases")),
        ]


def _budget_name(waba_id: str | None) -> str:
    return "unassigned" if waba_id is None else f"waba:{waba_id}"


def _encode_admission(admission: _Admission) -> dict[str, Any]:
    call = _encode_call(admission.lease)
    ahead = admission.ahead()
    return call if ahead is None else call | {"ahead": ahead}


def _encode_call(lease: RedisLease) -> dict[str, Any]:
    call = {"token": lease.token, "lease": lease.id}
    return call if lease.waba_id is None else call | {"waba": lease.waba_id}


def _encode_report(sent: LeaseReport, now: float) -> dict[str, Any]:
    lease, report = sent.lease, sent.report
    # Ages instead of times: the clocks of this process and of Redis have nothing in common.
    call = _encode_call(lease) | {
        "epoch": lease.epoch,
        "result": report.result,
        "scope": report.scope or "waba",
        "age": now - sent.at,
        "sent_age": now - lease.since,
    }
    if report.usage is not None:
        if report.usage.retry_after_seconds is not None:
            call["retry_after"] = report.usage.retry_after_seconds
        for name, metric in (("waba", report.usage.waba), ("app", report.usage.app)):
            if metric is not None:
                call[f"{name}_usage"] = _encode_metric(metric)
    return call


def _encode_metric(metric: UsageMetric) -> dict[str, float]:
    known = {"load": metric.load_percent, "regain": metric.regain_seconds}
    return known if metric.calls_percent is None else known | {"calls": metric.calls_percent}


class RedisBatcher:
    """One event loop's connection to Redis, and what waits for its next round trip.

    Args:
        url: The address of Redis.
        timeout: The longest that a call waits for a response, in seconds.
        encoder: Knows the app.
        ledger: The reports, with those of earlier loops.
        breaker: Learns how each round trip ended.
    """

    def __init__(self, url: Secret, timeout: float, encoder: BatchEncoder, ledger: Ledger, breaker: Breaker) -> None:
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        """The loop that it belongs to."""
        # Weak: a queue lives as long as a call that waits in it.
        self._queues = weakref.WeakValueDictionary[str | None, FairQueue]()
        self._timeout = timeout
        self._encoder = encoder
        self._ledger = ledger
        self._breaker = breaker
        self._pool = open_pool(url)
        self._script = Redis(connection_pool=self._pool).register_script(SCRIPT)
        # Made here and no earlier: a process that forks would give its own name to all of its children.
        self._name = secrets.token_hex(5)
        self._numbers = itertools.count()
        self._admissions = list[_Admission]()
        # Reports alone make no round trip until this is set. They wait for a call that takes them along.
        self._is_flush_due = False
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        # The leases that Redis gave and that are not reported yet, with the times since when, oldest first.
        self._leases = dict[str, float]()
        self._beat_timer: asyncio.TimerHandle | None = None
        self._responded_at = self.loop.time()

    def new_id(self) -> str:
        """Make a name that nothing else has."""
        return f"{self._name}-{next(self._numbers):x}"

    def queue(self, waba_id: str | None) -> FairQueue:
        """The queue of the calls of an account that wait in this loop."""
        queue = self._queues.get(waba_id)
        if queue is None:
            queue = self._queues[waba_id] = FairQueue()
        return queue

    async def admit(self, waba_id: str | None, token: str, position: QueuePosition | None) -> RedisLease | Wait | None:
        """Let Redis decide whether a call may go.

        Args:
            waba_id: The account that is called, or `None` where it is none.
            token: A digest that stands for the access token.
            position: Where the call waits if it may not go; `None` if it waits at the head already, or is a probe.

        Returns:
            A lease, or a wait, or `None` if Redis did not respond in time.
        """
        lease = RedisLease(waba_id, token, self.loop.time(), self.new_id())
        admission = _Admission(lease, position, self.loop.create_future())
        self._admissions.append(admission)
        self._start()
        try:
            await asyncio.wait([admission.decision], timeout=self._timeout)
            for _ in range(_LOOP_PASSES):  # where this loop itself was busy, the response is there but not read yet
                if not admission.decision.done():
                    await asyncio.sleep(0)
        except asyncio.CancelledError:
            if not admission.decision.cancel() and isinstance(lost := admission.decision.result(), RedisLease):
                self.report(lost, Report("unsent"))  # the lease came just before the cancellation
            raise
        if not admission.decision.done():
            admission.is_late = True
            admission.decision.cancel()
            self._breaker.failed(self.loop.time(), f"no response within {self._timeout:g} s")
            return None
        return admission.decision.result()

    def report(self, lease: RedisLease, report: Report) -> None:
        """Send a report with the next round trip, or in a moment by itself. A throttled call is reported at once."""
        self._leases.pop(lease.id, None)
        self._ledger.add(lease, report, self.loop.time())
        if report.result == "throttled":
            self._flush()  # other processes would be throttled meanwhile
        elif self._timer is None:
            self._timer = self.loop.call_later(_FLUSH_SECONDS, self._flush)
        if queue := self._queues.get(lease.waba_id):
            queue.notify()

    def _flush(self) -> None:
        self._stop_timer()
        if not self._ledger.pending:
            return
        if self._task is not None or self._breaker.allows(self.loop.time()):
            self._is_flush_due = True
            self._start()
        else:
            self._timer = self.loop.call_later(_FLUSH_AGAIN_SECONDS, self._flush)

    def _beat(self) -> None:
        """Let Redis know that the calls in flight have a live process. Any other message in time does the same."""
        now = self.loop.time()
        self._leases = {name: since for name, since in self._leases.items() if since > now - _LEASE_SECONDS}
        self._beat_timer = self.loop.call_later(_BEAT_SECONDS, self._beat) if self._leases else None
        is_silent = bool(self._leases) and self._task is None and now >= self._responded_at + _BEAT_SECONDS / 2
        if is_silent and self._breaker.allows(now):
            self._is_flush_due = True
            self._start()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def aclose(self) -> None:
        """Send the pending reports, for a second at most, and close the connection."""
        end = self.loop.time() + _CLOSE_SECONDS
        try:
            if self._ledger.pending:  # even if Redis was away a moment ago: nobody sends them later
                self._is_flush_due = True
                self._start()
            while self._task is not None and (left := end - self.loop.time()) > 0:
                await asyncio.wait([self._task], timeout=left)
                self._flush()  # the round trip may have given leases that nobody took, and those are reported now
        finally:
            self._stop_timer()
            if self._beat_timer is not None:
                self._beat_timer.cancel()
            if self._task is not None:
                self._task.cancel()
                await asyncio.wait([self._task])
            await self._pool.aclose()

    def _start(self) -> None:
        if self._task is None:
            task = self.loop.create_task(self._run())
            # An eager task may have ended already, and a task that is kept here must still be able to start the next.
            self._task = None if task.done() else task

    async def _run(self) -> None:
        """Make round trips as long as there is something to admit or to report."""
        try:
            while self._admissions or self._is_flush_due:
                self._is_flush_due = False
                await self._round_trip()
        finally:
            self._task = None
            self._breaker.release()

    async def _round_trip(self) -> None:
        admissions, self._admissions = self._admissions, []
        began = self.loop.time()
        reports = self._ledger.take(began)
        try:
            async with asyncio.timeout(_ROUND_TRIP_SECONDS):
                response = await self._exchange(admissions, reports)
            epoch, damaged, waits = _read_response(response, len(admissions))
        except (RedisError, OSError, ValueError) as error:
            self._fail(admissions, reports, type(error).__name__)
            return
        except BaseException:
            self._ledger.put_back(reports)
            raise
        now = self._responded_at = self.loop.time()
        has_lost = self._ledger.mark_sent(reports, epoch, now)
        has_lost = self._ledger.mark_damaged(damaged, self._encoder.log_key) or has_lost
        self._is_flush_due = self._is_flush_due or has_lost or len(reports) == _REPORTS_PER_ROUND_TRIP
        for admission, wait in zip(admissions, waits, strict=True):
            self._settle(admission, wait, epoch, now)
        is_slow = now - began > self._timeout or any(admission.is_late for admission in admissions)
        if is_slow and self._breaker.is_open:
            # A late response proves that Redis is there, and not that it is of use.
            self._breaker.failed(now, "it is slow")
        else:
            self._breaker.succeeded()

    async def _exchange(self, admissions: list[_Admission], reports: list[LeaseReport]) -> object:
        """Run the script once. Drops the admissions that were given up while the connection was made."""
        # A call that nobody waits for must get no lease, and making a connection may take longer than the callers wait.
        await self._pool.release(await self._pool.get_connection())  # type: ignore[no-untyped-call]  # no types there
        admissions[:] = [admission for admission in admissions if not admission.decision.done()]
        message = self._encoder.message(admissions, reports, self.new_id(), self.loop.time())
        return cast("object", await self._script(self._encoder.keys(message), [json.dumps(message)]))

    def _fail(self, admissions: list[_Admission], reports: list[LeaseReport], reason: str) -> None:
        """Go on without Redis: the callers decide by the book of this process, and the reports wait."""
        self._ledger.put_back(reports)
        self._is_flush_due = False
        self._breaker.failed(self.loop.time(), reason)
        for admission in admissions:
            if not admission.decision.done():
                admission.decision.set_result(None)
        if self._timer is None:
            self._timer = self.loop.call_later(_FLUSH_AGAIN_SECONDS, self._flush)

    def _settle(self, admission: _Admission, wait: Wait | None, epoch: str, now: float) -> None:
        """Tell one caller what Redis decided. A lease that nobody waits for goes back to Redis."""
        if wait is None:
            lease = attrs.evolve(admission.lease, since=now, epoch=epoch)
            if admission.decision.done():
                self.report(lease, Report("unsent"))
            else:
                self._leases[lease.id] = now
                if self._beat_timer is None:
                    self._beat_timer = self.loop.call_later(_BEAT_SECONDS, self._beat)
                admission.decision.set_result(lease)
        elif not admission.decision.done():
            if admission.position is not None:
                # Joined here and not when the caller wakes: calls that are encoded before that must count it as ahead.
                admission.position.join()
            admission.decision.set_result(wait.after(now))


def _read_response(response: object, admissions: int) -> tuple[str, list[str], list[Wait | None]]:
    """The epoch, the damaged keys, and for each admission `None` to go, or a `Wait` with seconds from now.

    Raises:
        ValueError: This is no response of the script.
    """
    parts = cast("list[object]", response) if isinstance(response, list) else []
    if len(parts) != 2 + admissions or not isinstance(parts[1], list):
        raise ValueError("this is no response of the script")
    epoch, damaged, *waits = parts
    keys = [str(key) for key in cast("list[object]", damaged)]
    return str(epoch), keys, [None if wait == "go" else _read_wait(str(wait)) for wait in waits]


def _read_wait(text: str) -> Wait:
    poll, *more = text.split(" ")
    words = dict(zip(more[::2], more[1::2], strict=True))
    over, free, scope, state = (words.get(name) for name in ("over", "free", "of", "is"))
    of = cast("Scope", scope or "waba")
    return Wait(float(poll), float(over or poll), float(free or poll), of, is_throttled=state == "throttled")


async def ping(url: Secret, seconds: float) -> str | None:
    """Find out if a Redis responds. Returns why it does not, without its address, or `None`."""
    pool = open_pool(url)
    try:
        async with asyncio.timeout(seconds), Redis(connection_pool=pool) as redis:
            await cast("Any", redis).ping()
    except TimeoutError:
        return f"no response within {seconds:g} s"
    except Exception as error:  # noqa: BLE001 - redis-py raises errors of Python if the server is no Redis
        return reason_of(error)
    finally:
        await pool.aclose()
    return None
