"""When to do without Redis, and when to try it again."""

from __future__ import annotations

import logging
import math
from typing import Final

import attrs

_log = logging.getLogger("wa_phone_async")

_FIRST_DELAY_SECONDS: Final = 1.0
_LONGEST_DELAY_SECONDS: Final = 30.0


@attrs.define(eq=False)
class Breaker:
    """A circuit breaker: after a failure nobody uses Redis for 1, 2, 4 … 30 seconds. Then one call tries it for all.

    It logs a warning when an outage begins, and one more line when it ends.
    """

    _delay: float = 0.0  # 0 while Redis works
    _next_try: float = -math.inf
    # In an outage, one try at a time: each costs its caller the whole time limit.
    _is_trying: bool = False

    @property
    def is_open(self) -> bool:
        """Whether Redis is believed to be away."""
        return self._delay > 0.0

    def allows(self, now: float) -> bool:
        """Whether to use Redis now. In an outage, `True` makes the caller the one who tries, and who has to report."""
        if not self.is_open:
            return True
        if self._is_trying or now < self._next_try:
            return False
        self._is_trying = True
        return True

    def succeeded(self) -> None:
        """Report that Redis responded in time."""
        if self.is_open:
            _log.info("Redis responds again. Your processes share their quotas there again.")
        self._delay = 0.0
        self._is_trying = False

    def failed(self, now: float, reason: str) -> None:
        """Report that Redis did not respond, or too late."""
        if self.is_open and not self._is_trying:
            return  # this call began before the outage was known, so it is no news and must not double the delay
        if not self.is_open:
            _log.warning("Redis does not respond (%s). Until it does, each process keeps quotas of its own.", reason)
        self._delay = min(max(2.0 * self._delay, _FIRST_DELAY_SECONDS), _LONGEST_DELAY_SECONDS)
        self._next_try = now + self._delay
        self._is_trying = False

    def release(self) -> None:
        """Let another call try. The one that tried was cancelled, and knows nothing."""
        self._is_trying = False
