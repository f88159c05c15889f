"""When to do without Redis, and when to try it again."""

from __future__ import annotations

import logging
import math
from typing import Final

import attrs

_log = logging.getLogger("wa_phone_async")

_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 30.0


@attrs.define(eq=False)
class Breaker:
    """A circuit breaker: after a failure nobody tries for 1, 2, 4 … 30 seconds, and then one at a time.

    It warns once when an outage begins, and says once when it is over.
    """

    _pause: float = 0.0
    _until: float = -math.inf
    _is_being_tried: bool = False

    @property
    def is_open(self) -> bool:
        """Whether Redis is believed to be away."""
        return self._pause > 0.0

    def allows(self, now: float) -> bool:
        """Whether to ask Redis. In an outage, whoever is told so tries for all, and tells how it went."""
        if not self.is_open:
            return True
        if self._is_being_tried or now < self._until:
            return False
        self._is_being_tried = True
        return True

    def answered(self) -> None:
        """Redis answered in time."""
        if self.is_open:
            _log.info("Redis answers again: the budgets are kept there")
        self._pause = 0.0
        self._is_being_tried = False

    def failed(self, now: float, reason: str) -> None:
        """Redis did not answer, or too late."""
        if self.is_open and not self._is_being_tried:
            return  # it was asked before the outage was known
        if not self.is_open:
            _log.warning("Redis does not answer (%s): until it does, each process keeps budgets of its own", reason)
        self._pause = min(max(2.0 * self._pause, _FIRST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)
        self._until = now + self._pause
        self._is_being_tried = False

    def release(self) -> None:
        """Whoever tried for all has given up without knowing."""
        self._is_being_tried = False
