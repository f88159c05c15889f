"""Long waits in the log: one sentence an hour for each account, and one for the app.

A job that may wait for the quota of the next hour would stand still without a word. So the log says why, at a level
that Python shows by default.
"""

from __future__ import annotations

import asyncio
import logging
import math
from typing import Final

from .limiter import Scope

SENTENCE: Final = "Waiting %s s %s; cancelling is safe."
"""The message of each record, with the seconds and the cause still to be filled in."""

LONG_SECONDS: Final = 30.0
"""Waits of more than so many seconds are logged."""
_AGAIN_SECONDS: Final = 3600.0
_MAX_REMEMBERED: Final = 10_000

_log = logging.getLogger("wa_phone_async")


class LongWaits:
    """Logs waits of more than 30 seconds. All clients of a limiter share its instance, so none tells a wait again.

    It remembers 10,000 accounts. If more of them wait within an hour, it is silent about the others.
    """

    def __init__(self) -> None:
        self._told: dict[str, float] = {}  # when, by whose limit it was, oldest first

    def tell(self, seconds: float, scope: Scope, waba_id: str | None, token: str, *, is_throttled: bool) -> None:
        """Log a wait, if it is long and nothing was logged about the same limit in the last hour.

        Args:
            seconds: The longest that the call waits, in seconds.
            scope: Whose limit it is.
            waba_id: The account of the call; `None` where it belongs to none.
            token: A digest that stands for the access token.
            is_throttled: Whether the API has throttled a call. Otherwise the quota is used, and nothing was sent.
        """
        if seconds <= LONG_SECONDS:
            return
        account = "calls without an account" if waba_id is None else f"WABA {waba_id}"
        match scope:
            case "app":
                name = owner = "the app"
            case "token":
                name, owner = f"token {token}", f"the token of {account}"
            case _:
                name = owner = account
        if self._is_news(name):
            cause = f"because Meta throttles {owner}" if is_throttled else f"for the hourly quota of {owner}"
            _log.warning(SENTENCE, f"{math.ceil(round(seconds, 3)):,}", cause)

    def _is_news(self, name: str) -> bool:
        now = asyncio.get_running_loop().time()
        # A time that lies ahead is of another loop, with a clock of its own.
        while self._told and not 0 <= now - self._told[oldest := next(iter(self._told))] < _AGAIN_SECONDS:
            del self._told[oldest]
        if name in self._told or len(self._told) >= _MAX_REMEMBERED:
            return False
        self._told[name] = now
        return True
