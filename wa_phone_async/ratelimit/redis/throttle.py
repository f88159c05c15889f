"""`RedisThrottle`: who goes when, by Redis, or by the book of this process while Redis is away."""

from __future__ import annotations

import asyncio
import re
from contextlib import nullcontext
from typing import Self, cast

from wa_phone_async.checks import check_at_least_one, check_node_id, check_seconds
from wa_phone_async.concurrency import release_slot
from wa_phone_async.errors import InvalidArgumentError
from wa_phone_async.ratelimit.budget import BudgetBook
from wa_phone_async.ratelimit.throttle import Lease, Report, tell
from wa_phone_async.ratelimit.waiting import FIRST_LOOK_SECONDS, next_look
from wa_phone_async.redaction import Secret, conceal
from wa_phone_async.usage import Usage

from .batches import Account, Ledger, Line, Place, Ticket, open_pool
from .breaker import Breaker

# A refused call, whose wait ends at the same instant by the clock of this process, goes first.
_PROBE_FIRST_SECONDS = 0.01


class RedisThrottle:
    """The budgets of one app, for all processes that share a Redis. It can be used in any event loop.

    While Redis does not answer, calls go on with a budget of this process alone, with one warning. A call that nobody
    reported within five minutes, since its process died, counts as used. `aclose`, or the end of `async with`, closes
    the connection.

    Args:
        url: The address of Redis: `redis://`, `rediss://` or `unix://`. A password in it is shown nowhere.
        app_id: The id of Meta's app, whose budgets they are.
        quota: Calls an hour of each account, where you know it; `None` finds out (200, or 5,000).
        app_quota: Calls an hour of the app as a whole, where you know it; `None` finds out.
        timeout: Seconds that a call waits for Redis.
        prefix: What the keys in Redis begin with.

    Raises:
        InvalidArgumentError: A setting is wrong; the text says which, and what would be right.
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
        self._url = url = conceal(url)
        if not _is_address(url):
            raise InvalidArgumentError("url must be the address of a Redis, such as 'redis://127.0.0.1:6379/0'")
        check_node_id("app_id", app_id)
        for name, value in (("quota", quota), ("app_quota", app_quota)):
            if value is not None:
                check_at_least_one(name, value)
        check_seconds("timeout", timeout)
        if not isinstance(prefix, str) or not re.fullmatch(r"[^\s{}]+", prefix):
            raise InvalidArgumentError(
                f"prefix must be a word without braces, such as 'wa_phone_async', not {prefix!r}"
            )
        self._app_id, self._timeout = app_id, timeout
        self._account = Account(f"{prefix}:{{{app_id}}}:", quota, app_quota)
        self._book = BudgetBook(quota, app_quota)
        self._ledger = Ledger()
        self._breaker = Breaker()
        self._lines = dict[asyncio.AbstractEventLoop, Line]()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(app_id={self._app_id!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Tell Redis what it was not told yet, for a second at most, and close the connection of the running loop.

        It can be used again.
        """
        line = self._lines.pop(asyncio.get_running_loop(), None)
        if line is not None:
            await line.aclose()

    def last_usage(self, waba_id: str | None) -> Usage | None:
        """The last reading of this process: see `RateLimiter.last_usage`."""
        return self._book.last_usage(waba_id)

    async def admit(self, waba_id: str | None, token: str, *, max_wait: float, is_probe: bool = False) -> Lease | float:
        """Wait until a call may be sent: see `RateLimiter.admit`."""
        loop = asyncio.get_running_loop()
        until = loop.time() + max_wait
        queue = self._line().queue(waba_id)
        place = Place(queue)
        answers = queue.answers
        try:
            answer = await self._ask(waba_id, token, place, is_behind=not is_probe)
            if not isinstance(answer, Lease) and answer <= until:
                release_slot()
                is_first = is_probe or not queue.head.locked()
                async with nullcontext() if is_probe else queue.head:
                    answers = answers if is_first else -1  # the others have gone since: ask at once
                    look = FIRST_LOOK_SECONDS
                    while not isinstance(answer, Lease) and answer <= until:
                        before, look = next_look(answer, loop.time(), look)
                        await queue.answer(since=answers, before=before + (not is_probe) * _PROBE_FIRST_SECONDS)
                        answers = queue.answers
                        answer = await self._ask(waba_id, token, place, is_behind=False)
        finally:
            place.leave()
        return answer if isinstance(answer, Lease) else answer - loop.time()

    async def _ask(self, waba_id: str | None, token: str, place: Place, *, is_behind: bool) -> Lease | float:
        """A lease, or when to ask again, on the loop's clock: by Redis, or by the book of this process."""
        line = self._line()
        if self._breaker.allows(line.loop.time()):
            answer = await line.ask(waba_id, token, place if is_behind else None)
            if isinstance(answer, Ticket):
                self._book.take(waba_id, answer.since, token)
            if answer is not None:
                return answer
        now = line.loop.time()
        ahead = place.queue.length if is_behind else 0
        when = self._book.peek(waba_id, now, token, ahead)
        if not ahead and when <= now:
            self._book.take(waba_id, now, token)
            return Ticket(waba_id, token, now, line.name())
        if is_behind:
            place.take()
        return when

    def report(self, lease: Lease, report: Report) -> float:
        """Tell what became of a call: see `RateLimiter.report`. Redis is told with the next call, or in a moment."""
        line = self._line()
        now = line.loop.time()
        when = tell(self._book, lease, report, now)
        line.report(cast("Ticket", lease), report)
        return max(0.0, when - now)

    def _line(self) -> Line:
        """The connection of the running loop, opened if need be."""
        loop = asyncio.get_running_loop()
        line = self._lines.get(loop)
        if line is None:
            self._lines = {other: line for other, line in self._lines.items() if not other.is_closed()}
            line = self._lines[loop] = Line(self._url, self._timeout, self._account, self._ledger, self._breaker)
        return line


def _is_address(url: Secret) -> bool:
    try:
        open_pool(url).make_connection()  # type: ignore[no-untyped-call]
    except (TypeError, ValueError):  # their texts may have the password in them
        return False
    return True
