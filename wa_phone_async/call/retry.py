"""The one rate-limit-aware backoff decorator around every call, and the pure generator that decides for it.

    wait before try n+1  =  max(server's wait, min(max_wait, first_wait · 2ⁿ⁻¹ · (1 + r)))      0 ≤ r < 1, random

A server's wait is a floor. One beyond `max_wait` gives up at once, and so does a wait that would overrun the call's
`total_timeout`: both are decided before the wait, on facts that ride on the error.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Awaitable, Callable, Generator
from typing import Any, ParamSpec, TypeVar

import attrs
import backoff

from wa_phone_async.checks import check_at_least_one, check_seconds
from wa_phone_async.errors import WaPhoneError

P = ParamSpec("P")
T = TypeVar("T")


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """How often, and how patiently, a call is made again. Every policy ends.

    Unless told, there are `max_attempts=5` tries in all, with `first_wait=0.5` seconds and at most `max_wait=60` s
    between two of them, and no `total_timeout`, which would be the seconds of the whole call.

    Raises:
        InvalidArgumentError: A number is out of its range.
    """

    max_attempts: int = 5
    """Tries in all, the first one included; 1 never repeats."""
    max_wait: float = 60.0
    """The longest single wait in seconds. Our own waits are cut at it; a longer one that the server asks for raises."""
    first_wait: float = 0.5
    """Seconds before the second try, without any hint of the server's; each further wait is twice as long."""
    total_timeout: float | None = None
    """Seconds that one call may take with all its attempts and waits, on a list each page; `None` sets no bound."""

    def __attrs_post_init__(self) -> None:
        check_at_least_one("max_attempts", self.max_attempts)
        check_seconds("max_wait", self.max_wait)
        check_seconds("first_wait", self.first_wait)
        if self.total_timeout is not None:
            check_seconds("total_timeout", self.total_timeout)

    @classmethod
    def batch(cls) -> RetryPolicy:
        """For jobs that have all night: waits for the next hour's budget, a little over an hour at a time.

        It tries 10 times, and waits 1 s first and 3,900 s (65 minutes) at most.
        """
        return cls(max_attempts=10, max_wait=3_900.0, first_wait=1.0)

    @classmethod
    def interactive(cls) -> RetryPolicy:
        """For somebody who waits for the answer: gives up within seconds, and says how long it would have taken.

        It tries 3 times, waits 0.2 s first and 3 s at most, and takes 20 s in all.
        """
        return cls(max_attempts=3, max_wait=3.0, first_wait=0.2, total_timeout=20.0)


def waits(policy: RetryPolicy, *, draw: Callable[[], float] = random.random) -> Generator[float, Any, None]:
    """Decide, error by error: yield the seconds to wait before the next try, or return to give up.

    Args:
        policy: How patient to be.
        draw: Gives a number from 0 up to 1, of which the jitter is made. It only ever adds.
    """
    own_wait = policy.first_wait
    error: WaPhoneError = yield 0.0  # backoff's own set-up takes the first value, and waits for the rest
    for _ in range(policy.max_attempts - 1):
        wait = max(error.retry_after or 0.0, min(policy.max_wait, own_wait * (1 + draw())))
        own_wait = min(2 * own_wait, policy.max_wait)
        out_of_time = error.seconds_left is not None and wait >= error.seconds_left
        if not error.retryable or wait > policy.max_wait or out_of_time:
            return
        error = yield wait


def retrying(
    policy: RetryPolicy, on_wait: Callable[..., None]
) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Awaitable[T]]]:
    """Decorate a coroutine function, once and for all its calls, so that failed attempts are repeated.

    Args:
        policy: How patient to be.
        on_wait: Told before each wait: what the call was given, and as `error` and `seconds` why and how long.
    """

    def tell(details: Any) -> None:
        on_wait(*details["args"], error=details["exception"], seconds=details["wait"])

    persistent = backoff.on_exception(waits, WaPhoneError, jitter=None, logger=None, on_backoff=tell, policy=policy)

    def decorate(attempt: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        call = persistent(attempt)

        @functools.wraps(attempt)
        async def call_with_clean_context(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return await call(*args, **kwargs)
            except WaPhoneError as error:
                error.__context__ = None  # the StopIteration by which the generator gave up
                raise

        return call_with_clean_context

    return decorate
