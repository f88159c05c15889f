"""`RedisThrottle`: Redis decides when each call may go, or the book of this process while Redis is away."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from functools import partial
from typing import Final, NoReturn, Self, cast

from wa_phone_async.checks import check_at_least_one, check_seconds, read_node_id
from wa_phone_async.concurrency import LoopLocal, release_slot
from wa_phone_async.ratelimit.budget import BudgetBook
from wa_phone_async.ratelimit.limiter import Lease, Report
from wa_phone_async.ratelimit.long_waits import LONG_SECONDS, LongWaits
from wa_phone_async.redaction import conceal
from wa_phone_async.usage import Usage

from .address import check_address, check_prefix
from .batches import BatchEncoder, Ledger, QueuePosition, RedisBatcher, RedisLease, Wait, ping
from .breaker import Breaker

FIRST_POLL_SECONDS: Final = 0.02
_SOON_SECONDS: Final = 1.0
# A cooldown ends for all calls at the same instant by the clock of this process. The others let the probe go first.
_PROBE_FIRST_SECONDS: Final = 0.01


def next_poll(when: float, now: float, wait: float) -> tuple[float, float]:
    """When to poll Redis next, and the longest wait after that.

    Args:
        when: When Redis said to try again.
        now: The present time.
        wait: The longest wait this time, in seconds; `FIRST_POLL_SECONDS` at first.
    """
    # What is due within a second depends on a call in flight. That may end at any moment, and in another process.
    return (min(when, now + wait), 2 * wait) if when - now <= _SOON_SECONDS else (when, FIRST_POLL_SECONDS)


class RedisThrottle:
    """Keeps the quotas of one app, for all processes that share a Redis. You can use it in any event loop.

    While Redis does not respond, each process keeps quotas of its own, and logs one warning. If a process dies, its
    calls in flight count as used after ten seconds. `aclose`, or the end of `async with`, closes the connection.

    Args:
        url: The address of Redis: `redis://`, `rediss://` or `unix://`. No log and no error shows its password.
        app_id: The id of your Meta app.
        quota: Calls an hour of each account; `None` finds out whether it is 200 or 5,000.
        app_quota: Calls an hour of the app as a whole; `None` finds out.
        timeout: The longest that a call waits for Redis, in seconds above 0.
        prefix: What the keys in Redis begin with: a word without spaces and braces.

    Raises:
        InvalidArgumentError: A setting is invalid. The text says which one, and what is valid.
    """

    def __init__(
        self,
        url: str,
        *,
        app_id: str,
        quota: int | None = None,
        app_quota: int | None = None,
        timeout: float = 0.05,
        prefix: str = "wa_phone_async",
    ) -> None:
        url = conceal(url)
        check_address(url)
        app_id = read_node_id("app_id", app_id)
        for name, value in (("quota", quota), ("app_quota", app_quota)):
            if value is not None:
                check_at_least_one(name, value)
        check_seconds("timeout", timeout)
        check_prefix(prefix)
        self._app_id = app_id
        self._url = url
        self._encoder = BatchEncoder(f"{prefix}:{{{app_id}}}:", quota, app_quota)
        self._long_waits = LongWaits()  # of all clients of this limiter
        self._book = BudgetBook(quota, app_quota)
        self._ledger = Ledger()
        self._breaker = Breaker()
        # Connections belong to a loop, so each loop has a batcher. Book, ledger and breaker outlive it.
        self._batchers = LoopLocal(partial(RedisBatcher, url, timeout, self._encoder, self._ledger, self._breaker))

    def __repr__(self) -> str:
        app_id = vars(self).get("_app_id")  # missing if a traceback shows the limiter while it is made
        return f"{type(self).__name__}(app_id={app_id!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a RedisThrottle holds the password of Redis and cannot be pickled or copied: make one in each process"
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Send the reports that Redis does not have yet, and close the connection of the running loop.

        This takes a second at most. You can use the limiter again afterwards.
        """
        batcher = self._batchers.pop()
        if batcher is not None:
            await batcher.aclose()

    async def ping(self, seconds: float = 2.0) -> str | None:
        """Find out if Redis responds. It opens a connection of its own, and changes nothing.

        Args:
            seconds: The longest wait.

        Returns:
            `None` if Redis responds. If not, the reason in a few words, without the password.
        """
        return await ping(self._url, seconds)

    def last_usage(self, waba_id: str | None) -> Usage | None:
        """The usage in the last response that this process got: see `RateLimiter.last_usage`."""
        return self._book.last_usage(waba_id)

    async def admit(self, waba_id: str | None, token: str, *, max_wait: float, is_probe: bool = False) -> Lease | float:
        """Wait until a call may be sent: see `RateLimiter.admit`."""
        loop = asyncio.get_running_loop()
        end = loop.time() + max_wait
        queue = self._batchers.get().queue(waba_id)
        position = QueuePosition(queue)
        responses = queue.responses
        try:
            decision = await self._decide(waba_id, token, position, is_behind=not is_probe)
            if isinstance(decision, Wait) and decision.poll_at <= end:
                self._tell(decision, waba_id, token, end)
                release_slot()
                is_first = is_probe or not queue.head.locked()
                async with nullcontext() if is_probe else queue.head:
                    if not is_first:
                        responses = -1  # those ahead have gone since the decision: get another one at once
                    poll, grace = FIRST_POLL_SECONDS, 0.0 if is_probe else _PROBE_FIRST_SECONDS
                    while isinstance(decision, Wait) and decision.poll_at <= end:
                        before, poll = next_poll(decision.poll_at, loop.time(), poll)
                        await queue.wait_for_response(since=responses, before=before + grace)
                        # Read before the decision: a call that ends during the round trip may not be part of it.
                        responses = queue.responses
                        decision = await self._decide(waba_id, token, position, is_behind=False)
                        if isinstance(decision, Wait) and decision.poll_at <= end:
                            self._tell(decision, waba_id, token, end)
        finally:
            position.leave()
        return decision if isinstance(decision, Lease) else decision.over_at - loop.time()

    async def _decide(
        self, waba_id: str | None, token: str, position: QueuePosition, *, is_behind: bool
    ) -> Lease | Wait:
        """A lease, or a wait: from Redis, or from the book of this process.

        Args:
            waba_id: The account that is called, or `None` where it is none.
            token: A digest that stands for the access token.
            position: Where the call waits.
            is_behind: Whether the call goes behind those that wait, and joins them if it may not go.
        """
        batcher = self._batchers.get()
        if self._breaker.allows(batcher.loop.time()):
            decision = await batcher.admit(waba_id, token, position if is_behind else None)
            if isinstance(decision, RedisLease):
                self._book.take(waba_id, decision.since, token)  # the book must be right when Redis fails
            if decision is not None:
                return decision
        now = batcher.loop.time()
        ahead = position.queue.length if is_behind else 0
        cause = self._book.cause(waba_id, now, token, ahead)
        if not ahead and cause.until <= now:
            self._book.take(waba_id, now, token)
            return RedisLease(waba_id, token, now, batcher.new_id())
        if is_behind:
            position.join()
        return Wait(cause.until, cause.until, cause.free_at, cause.scope, cause.is_throttled)

    def _tell(self, wait: Wait, waba_id: str | None, token: str, end: float) -> None:
        """Log a wait if it is long. It lasts until `end` at most."""
        now = asyncio.get_running_loop().time()
        if wait.poll_at - now > LONG_SECONDS:
            seconds = min(wait.free_at, end) - now
            self._long_waits.tell(seconds, wait.scope, waba_id, token, is_throttled=wait.is_throttled)

    def report(self, lease: Lease, report: Report) -> float:
        """Report what happened to a call: see `RateLimiter.report`. Redis gets it with the next call, or soon."""
        batcher = self._batchers.get()
        now = batcher.loop.time()
        when = self._book.report(lease, report, now)
        batcher.report(cast("RedisLease", lease), report)
        return max(0.0, when - now)
