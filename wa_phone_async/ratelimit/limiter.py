"""What a client needs of a rate limiter: a lease before each request, and a report after it.

`Throttle` is the limiter of one process. `RedisThrottle` is one for all processes that share a Redis. Implement
`RateLimiter` to bring your own.
"""

from __future__ import annotations

from typing import Literal, Protocol, runtime_checkable

import attrs

from wa_phone_async.usage import Usage

CallResult = Literal["accepted", "throttled", "lost", "unsent"]
"""What happened to a call.

- `"accepted"`: A response came, and the API did not throttle. It may be an API error of another kind.
- `"throttled"`: The API rejected the call for a rate limit. Meta counts such a call as well.
- `"lost"`: The call was sent, and no response was read. Meta may have counted it.
- `"unsent"`: The call provably never reached Meta, and used no quota.
"""

Scope = Literal["app", "token", "waba"]
"""Whose rate limit throttled a call: that of the app, of the access token, or of the WABA. The cooldown is theirs."""


@attrs.frozen
class Lease:
    """The right to send one call now. Its owner owes exactly one report."""

    waba_id: str | None
    """The account whose quota the call uses; `None` where it uses only the quota of the app."""
    token: str
    """A digest that stands for the access token."""
    since: float
    """When the lease was given, in seconds on the clock of the event loop."""


@attrs.frozen
class Report:
    """What happened to a call that had a lease."""

    result: CallResult
    """What happened to the call."""
    usage: Usage | None = None
    """What the headers of its response say of the quotas; `None` without a response, or without such headers."""
    scope: Scope | None = None
    """Whose rate limit throttled the call; `None` for every other result."""


@runtime_checkable
class RateLimiter(Protocol):
    """Decides when each call of a client may be sent.

    A client awaits `admit` before each attempt of a call, and calls `report` exactly once for each lease. It never
    closes the limiter. So clients of one app can share it.

    A limiter may also have a plain method `try_admit(waba_id, token) -> Lease | None`. It admits a call that need not
    wait, as `admit` would, or returns `None`. Then the client awaits `admit`. This saves the cost of a wait.

    And it may have an async method `ping(seconds) -> str | None`, for `client.diagnose()`. It returns why the store of
    the limiter does not respond within these seconds, or `None` if it does.
    """

    async def admit(self, waba_id: str | None, token: str, *, max_wait: float, is_probe: bool = False) -> Lease | float:
        """Wait until a call may be sent.

        A cancelled wait must leave no lease behind.

        Args:
            waba_id: The account that is called; `None` where only the quota of the app counts.
            token: A digest that stands for the access token.
            max_wait: The longest wait, in seconds from 0 up.
            is_probe: Whether this call was throttled and its cooldown is over. It goes before all calls that wait: its
                response shows whether the API accepts calls again.

        Returns:
            A lease. If the wait would be longer than `max_wait`: the seconds that it would take, as soon as that is
            known.
        """
        ...

    def report(self, lease: Lease, report: Report) -> float:
        """Report what happened to a call. It must neither wait nor raise.

        Returns:
            For a throttled call, the seconds until it may be retried; 0 for all others.
        """
        ...

    def last_usage(self, waba_id: str | None) -> Usage | None:
        """The usage in the last response for an account; `None` if no response had any.

        Args:
            waba_id: The account; `None` for the calls that use only the quota of the app.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections that the limiter opened. It can be used again, and then opens them again."""
        ...
