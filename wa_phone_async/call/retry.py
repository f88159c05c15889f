"""Retries: which errors are worth one, how long a call waits before it, and the one backoff decorator.

    wait before try n+1  =  max(server's wait, min(max_wait, first_wait · 2ⁿ⁻¹ · (1 + r)))      0 ≤ r < 1, random

The server's wait is a floor. If it is longer than `max_wait`, or if a wait would overrun the `total_timeout`, the call
fails at once instead of waiting first.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Awaitable, Callable, Generator
from typing import Any, ParamSpec, TypeVar

import attrs
import backoff

from wa_phone_async.checks import check_at_least_one, check_seconds
from wa_phone_async.errors import (
    AuthenticationError,
    DecodeError,
    GraphAPIError,
    RateLimitError,
    RequestTimeoutError,
    TransportError,
    WaPhoneError,
)

from .error_codes import is_known, meaning_of

P = ParamSpec("P")
T = TypeVar("T")


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """How often a failed call is retried, and how long it waits before each retry. Every policy ends.

    Default: `max_attempts=5`, `first_wait=0.5`, `max_wait=60` and no `total_timeout`. A call then makes 5 attempts at
    most, waits 0.5 seconds before the first retry, and 60 seconds at most before a later one.

    Raises:
        InvalidArgumentError: A number is out of its range.
    """

    max_attempts: int = 5
    """Attempts in all, the first one included. 1 means no retry."""
    max_wait: float = 60.0
    """The longest wait in seconds. Our own waits are cut to it. If the server asks for more, the call fails."""
    first_wait: float = 0.5
    """Seconds before the first retry, if the server names no wait. Each further wait is twice as long. 0: at once."""
    total_timeout: float | None = None
    """Seconds for one call with all its attempts and waits. Of a list it is for each page. `None`: no limit."""

    def __attrs_post_init__(self) -> None:
        check_at_least_one("max_attempts", self.max_attempts)
        check_seconds("max_wait", self.max_wait)
        check_seconds("first_wait", self.first_wait, may_be_zero=True)
        if self.total_timeout is not None:
            check_seconds("total_timeout", self.total_timeout)

    @classmethod
    def batch(cls) -> RetryPolicy:
        """Make a policy for jobs that may run all night: it can wait until the quota of the next hour.

        It makes 10 attempts at most. It waits 1 s before the first retry, and 3,900 s (65 minutes) at most.
        """
        return cls(max_attempts=10, max_wait=3_900.0, first_wait=1.0)

    @classmethod
    def interactive(cls) -> RetryPolicy:
        """Make a policy for calls that a person waits for: it fails within seconds, and the error has the wait.

        It makes 3 attempts at most. It waits 0.2 s before the first retry and 3 s at most, and takes 20 s in all.
        """
        return cls(max_attempts=3, max_wait=3.0, first_wait=0.2, total_timeout=20.0)

    def _begin_wait(self, seconds: float) -> float:
        """Return how long to sleep where the policy waits: these seconds. The pytest plugin skips them."""
        return seconds


# --- is it retried?


def is_retryable(error: WaPhoneError, *, is_write: bool, is_counted: bool = False) -> bool:
    """Whether a retry of the same call is safe and may succeed.

    Args:
        error: The error of the last attempt.
        is_write: Whether the call changes something. It is then retried only if it did certainly not happen.
        is_counted: Whether the API counts the tries, as it counts guesses of a PIN. Such a call is retried only if its
            code names a quota of calls: after any other error the try may have been counted.
    """
    if isinstance(error, GraphAPIError):
        code = meaning_of(error.code, error.error_subcode)
        if code.retry == "never":
            return False
        if isinstance(error, RateLimitError) and (code.quota or not is_counted):
            return True
        return not is_write and _passes(error)
    if isinstance(error, TransportError):
        return not error.is_permanent and not (is_write and error.sent)
    return not is_write and isinstance(error, DecodeError) and error.garbled


def _passes(error: GraphAPIError) -> bool:
    """Whether the trouble passes by itself, if the code does not forbid a retry."""
    retry = meaning_of(error.code, error.error_subcode).retry
    if error.needs_smaller_page:
        return False
    if error.is_transient or retry == "reads":
        return True
    if error.code is None and error.is_transient is False:
        return False  # nothing but `is_transient` says what it is
    return retry == "reads if 5xx" and (error.http_status or 0) >= 500


def may_help_to_divide(error: WaPhoneError) -> bool:
    """Whether a request for fewer rows may succeed: the error may be that of one row, or of the response's size.

    It cannot help against a rejected token, a quota, or a server that cannot be reached.
    """
    if isinstance(error, GraphAPIError):
        return not isinstance(error, AuthenticationError | RateLimitError)
    return isinstance(error, DecodeError) or (isinstance(error, TransportError) and error.sent)


def unknown_outcome(error: WaPhoneError) -> str | None:
    """Say in a few words why a write may have happened although it ended in this error.

    Returns:
        `None` if it did certainly not happen.
    """
    if isinstance(error, RequestTimeoutError) and error.sent:
        return "no response in time"
    if isinstance(error, TransportError) and error.sent:
        return "the connection broke before the response"
    if isinstance(error, DecodeError):
        return f"an invalid response (HTTP {error.http_status})"
    if isinstance(error, GraphAPIError) and not is_certain_rejection(error):
        return f"an API error that does not say whether it happened: {error}"
    return None


def is_certain_rejection(error: GraphAPIError) -> bool:
    """Whether an error proves that a write did not happen: the API raised it before the effect, or nothing was sent.

    A status of 4xx says so, and so do codes that are checked first. Meta's own trouble says nothing: a 5xx or a
    transient error was seen after the effect too, even with the code of a rejected token.
    """
    if isinstance(error, RateLimitError) and not error.sent:
        return True
    code, http_status = meaning_of(error.code, error.error_subcode), error.http_status or 0
    if code.of_number or code.quota or code.error is RateLimitError or http_status == 429:
        return True
    if error.is_transient:
        return False
    if http_status >= 500 and (code.error is AuthenticationError or not is_known(error.code, error.error_subcode)):
        return False
    return 300 <= http_status < 500 or code.retry not in {"reads", "reads if 5xx"}


def is_uncounted(error: GraphAPIError) -> bool:
    """Whether the API certainly did not count an attempt as a registration.

    It did not read the request: a quota of calls was used, or the token was rejected. If such attempts counted, anybody
    could block any number. Every other API error may have been counted, since Meta's page speaks of requests (Meta's
    "Register a business phone number", read 2026-11-28).
    """
    is_of_quota = isinstance(error, RateLimitError) and meaning_of(error.code, error.error_subcode).quota is not None
    return is_of_quota or (isinstance(error, AuthenticationError) and is_certain_rejection(error))


# --- how long does it wait?


def waits(policy: RetryPolicy, *, draw: Callable[[], float] = random.random) -> Generator[float, Any, None]:
    """Decide after each error: yield the seconds to wait before the next attempt, or return to give up.

    Args:
        policy: How often to retry, and how long to wait.
        draw: Returns a number from 0 up to 1 for the jitter, which makes a wait longer and never shorter.
    """
    own_wait = policy.first_wait
    error: WaPhoneError = yield 0.0  # backoff drops the first value, and sends each error after it
    for _ in range(policy.max_attempts - 1):
        wait = max(error.retry_after or 0.0, min(policy.max_wait, own_wait * (1 + draw())))
        own_wait = min(2 * own_wait, policy.max_wait)
        out_of_time = error.seconds_left is not None and wait >= error.seconds_left
        if not error.retryable or wait > policy.max_wait or out_of_time:
            return
        error = yield policy._begin_wait(wait)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - no caller's


def retrying(
    policy: RetryPolicy, on_wait: Callable[..., None]
) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Awaitable[T]]]:
    """Decorate a coroutine function once: each of its calls is then retried by the policy.

    Args:
        policy: How often to retry, and how long to wait.
        on_wait: Called before each wait with the arguments of the call, and with `error` and `seconds`.
    """

    def tell(details: Any) -> None:
        on_wait(*details["args"], error=details["exception"], seconds=details["wait"])

    # backoff's own options stay off, as they are in 2.2.1: its jitter can shorten the server's wait, its `max_time`
    # still makes an attempt that is too late, and its logger prints the exception.
    persistent = backoff.on_exception(waits, WaPhoneError, jitter=None, logger=None, on_backoff=tell, policy=policy)

    def decorate(attempt: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        call = persistent(attempt)

        @functools.wraps(attempt)
        async def call_with_clean_context(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return await call(*args, **kwargs)
            except WaPhoneError as error:
                error.__context__ = None  # the StopIteration of `waits`, which helps no reader of a traceback
                raise

        return call_with_clean_context

    return decorate
