"""`FleetPlan`: how many accounts the next call asks for, with or without their numbers. Nothing here does I/O.

A *nested* call asks for accounts with their numbers. It may fail for two reasons:

- The response would be too large, or take too long. Then the next calls ask for fewer accounts.
- One account cannot be read. Then the plan searches for it as in a binary search: if the next `window` accounts hold
  one that fails, it asks for half of them. An account that is found so is left to a call of its own.

How many accounts are worth asking for depends on how many of them fail. Where one in `n` fails, a call for `0.69 n` of
them succeeds every second time, and then each call tells the most. Where more than one in seven fails, the search costs
more than a call for each account. Then the plan asks for ids alone, and later tries a nested call again.
"""

from __future__ import annotations

from typing import Final, Literal

import attrs

from wa_phone_async.checks import MAX_PAGE_SIZE
from wa_phone_async.query import DEFAULT_PAGE_SIZE

FIRST_ACCOUNTS: Final = 10
"""Accounts of the first nested call. With 100 numbers each, the response has at most 1,000."""
TARGET_BYTES: Final = 1_000_000
"""Bytes that a response may have, decompressed. Graph rejects large ones (public bug reports, read 2026-11-22). No
source says from which size on."""
TARGET_SECONDS: Final = 5.0
"""Seconds that a response may take. Calls have a time-out of 30 s by default."""

_GROWTH: Final = 4.0
_LATER_GROWTH: Final = 1.25  # after a response that was too large or too slow
_BELOW_REJECTED: Final = 0.75  # of the bytes that a rejected response probably had
_RECOVERY: Final = 1.01  # after each response; one large account may have been the reason
_MOST_FAILING: Final = 0.15  # the share of accounts from which on searching for them costs more than it saves
_PRIOR: Final = 0.5, 100.0  # failed accounts, and accounts in all, before any was seen
_MEMORY: Final = 2_000.0  # accounts after which half of what was seen is forgotten
_WITHOUT_NESTING: Final = 1_000  # accounts that are asked for without their numbers before nesting is tried again


@attrs.define
class FleetLimits:
    """What calls for one list of accounts have taught. A client keeps it for its life."""

    accounts: float = FIRST_ACCOUNTS
    """Accounts that a nested call can have for its size and its duration."""
    account_bytes: float = 0.0
    """Bytes of an account in the last nested call; 0: unknown."""
    target_bytes: float = TARGET_BYTES
    """Bytes that a response may have. Less than usual where larger ones were rejected."""
    numbers: int = MAX_PAGE_SIZE
    """Numbers of each account in a nested call."""
    growth: float = _GROWTH
    """How fast `accounts` may grow."""
    has_worked: bool = False
    """Whether a nested call has ever succeeded."""
    failed: float = _PRIOR[0]
    """Accounts that failed nested calls."""
    seen: float = _PRIOR[1]
    """Accounts in all."""
    without_nesting: int = 0
    """Accounts to ask for without their numbers, before a nested call is tried again."""


@attrs.frozen
class FleetRequest:
    """What the next call asks for."""

    limit: int
    """Accounts."""
    is_nested: bool
    """Whether it asks for their numbers."""


class FleetPlan:
    """Decides what the next call of a walk over the accounts of a business asks for.

    Make the call of `next_request()`, and report its result with `took` or `failed`.

    Args:
        limits: What is known of the list. It is updated.
        seconds: How long a response may take.
    """

    def __init__(self, limits: FleetLimits, *, seconds: float = TARGET_SECONDS) -> None:
        self._limits = limits
        self._seconds = seconds
        self._window = 0  # so many of the next accounts hold one that fails a nested call; 0: none is known to
        self._is_probe = False

    def next_request(self) -> FleetRequest:
        """Return what to ask for next."""
        limits = self._limits
        if limits.without_nesting > 0:
            self._is_probe = True
            return FleetRequest(min(MAX_PAGE_SIZE, limits.without_nesting), is_nested=False)
        if self._window == 1:
            return FleetRequest(1, is_nested=False)
        if self._window:
            return FleetRequest(self._window // 2, is_nested=True)
        return FleetRequest(self._best_limit(), is_nested=True)

    def _best_limit(self) -> int:
        limits = self._limits
        most = limits.accounts if limits.has_worked else min(limits.accounts, FIRST_ACCOUNTS)
        return max(1, min(MAX_PAGE_SIZE, int(most), int(0.69 * limits.seen / limits.failed)))

    def took(self, request: FleetRequest, accounts: int, *, size: int, seconds: float) -> None:
        """Note that a call succeeded.

        Args:
            request: What it asked for.
            accounts: How many accounts came.
            size: Bytes of the response.
            seconds: How long it took.
        """
        limits = self._limits
        limits.seen += accounts
        if not request.is_nested:
            if self._window == 1:  # the account that was searched for
                limits.failed += accounts
                self._give_up_if_most_fail()
            self._window = max(0, self._window - max(1, accounts))
            limits.without_nesting = max(0, limits.without_nesting - accounts)
        else:
            limits.has_worked, self._is_probe = True, False
            if size * 4 < TARGET_BYTES:
                limits.numbers = min(MAX_PAGE_SIZE, 2 * limits.numbers)
            self._window = max(0, self._window - accounts)
            if accounts:
                limits.account_bytes = size / accounts
                limits.target_bytes = min(TARGET_BYTES, limits.target_bytes * _RECOVERY)
                fitting = accounts * min(limits.target_bytes / max(size, 1), self._seconds / max(seconds, 1e-6))
                grown = max(limits.accounts, accounts) * limits.growth
                limits.accounts = max(1.0, min(MAX_PAGE_SIZE, fitting, grown))
        if limits.seen > _MEMORY:
            limits.seen, limits.failed = limits.seen / 2, limits.failed / 2

    def _give_up_if_most_fail(self) -> None:
        limits = self._limits
        never = not limits.has_worked and limits.failed >= _PRIOR[0] + 2
        if never or limits.failed > _MOST_FAILING * limits.seen:
            limits.without_nesting = _WITHOUT_NESTING
            limits.failed = min(limits.failed, _MOST_FAILING * limits.seen)

    def failed(self, request: FleetRequest, cause: Literal["size", "time", "account", "id"]) -> None:
        """Note that a nested call failed.

        Args:
            request: What it asked for.
            cause: `"size"`: the response would be too large. `"time"`: there was no response in time, for its size or
                for one account. `"account"`: an account cannot be read. `"id"`: the id in the path may be wrong. Then
                a call without numbers tells.
        """
        limits = self._limits
        if self._is_probe:  # one call tells enough
            self._is_probe, limits.without_nesting = False, _WITHOUT_NESTING
            return
        if cause == "size" and limits.account_bytes:
            limits.target_bytes = min(limits.target_bytes, _BELOW_REJECTED * request.limit * limits.account_bytes)
        if cause in {"size", "time"}:
            limits.accounts, limits.growth = max(1.0, request.limit / 2), _LATER_GROWTH
        if cause != "size":
            self._window = 1 if cause == "id" else request.limit
        elif request.limit == 1 and limits.numbers > DEFAULT_PAGE_SIZE:
            limits.numbers = max(DEFAULT_PAGE_SIZE, limits.numbers // 2)
        else:
            self._window = 0 if request.limit > 1 else 1
