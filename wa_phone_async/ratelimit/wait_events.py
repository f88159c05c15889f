"""Calls that wait for room in their budgets: whoever listens is told when the first begins and when the last has ended.

A client that keeps its budgets is not refused, so that nothing else would say why it stands still.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import attrs

from wa_phone_async.events import QuotaWaitEnded, QuotaWaitStarted

NOTICED: Final = 1.0
"""Seconds after which a wait is told of."""


@attrs.define(eq=False)
class Wait:
    """A call that may have to wait."""

    node_id: str
    max_wait: float
    alarm: asyncio.TimerHandle = attrs.field(init=False)


class Pacing:
    """Notices the calls that wait for longer than a moment.

    Args:
        tell: Takes what is noticed.
        is_held: Whether it was told already that calls of this id wait, since one was refused.
    """

    def __init__(
        self, tell: Callable[[QuotaWaitStarted | QuotaWaitEnded], None], is_held: Callable[[str], bool]
    ) -> None:
        self._tell = tell
        self._is_held = is_held
        self._noticed: set[Wait] = set()

    def begin(self, node_id: str, max_wait: float) -> Wait:
        """A call asks for room, and would wait for it for so many seconds at most."""
        wait = Wait(node_id, max_wait)
        wait.alarm = asyncio.get_running_loop().call_later(NOTICED, self._notice, wait)
        return wait

    def end(self, wait: Wait) -> None:
        """It has room, or does not want it any more."""
        wait.alarm.cancel()
        if wait in self._noticed:
            self._noticed.discard(wait)
            if not self._noticed:
                self._tell(QuotaWaitEnded(node_id=wait.node_id))

    def _notice(self, wait: Wait) -> None:
        if self._is_held(wait.node_id):
            return
        if not self._noticed:
            self._tell(QuotaWaitStarted(node_id=wait.node_id, seconds=wait.max_wait - NOTICED))
        self._noticed.add(wait)
