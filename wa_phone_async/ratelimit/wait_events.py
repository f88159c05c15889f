"""Quota waits as events: listeners learn when the first begins and when the last has ended.

A client that keeps its quotas is never throttled. Without these events nothing would say why it stands still.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import attrs

from wa_phone_async.events import QuotaWaitEnded, QuotaWaitStarted

NOTICE_SECONDS: Final = 1.0
"""A wait is noticed after so many seconds. Shorter ones are the normal pace, and would be noise."""


@attrs.define(eq=False)
class QuotaWait:
    """A call that may have to wait."""

    node_id: str
    max_wait: float
    alarm: asyncio.TimerHandle = attrs.field(init=False)


class QuotaWaitNotifier:
    """Makes one event when calls begin to wait, and one when the last of them has stopped.

    Args:
        emit: Called with each event.
        is_throttled: Whether calls of an id wait for the end of a cooldown, which has an event of its own.
    """

    def __init__(
        self, emit: Callable[[QuotaWaitStarted | QuotaWaitEnded], None], is_throttled: Callable[[str], bool]
    ) -> None:
        self._emit = emit
        self._is_throttled = is_throttled
        self._noticed: set[QuotaWait] = set()

    def begin(self, node_id: str, max_wait: float) -> QuotaWait:
        """Start to watch a call. It waits for its lease, for `max_wait` seconds at most."""
        wait = QuotaWait(node_id, max_wait)
        wait.alarm = asyncio.get_running_loop().call_later(NOTICE_SECONDS, self._notice, wait)
        return wait

    def end(self, wait: QuotaWait) -> None:
        """Stop to watch a call. It has its lease, or has given up."""
        wait.alarm.cancel()
        if wait in self._noticed:
            self._noticed.discard(wait)
            if not self._noticed:
                self._emit(QuotaWaitEnded(node_id=wait.node_id))

    def _notice(self, wait: QuotaWait) -> None:
        if self._is_throttled(wait.node_id):
            return
        if not self._noticed:
            self._emit(QuotaWaitStarted(node_id=wait.node_id, seconds=wait.max_wait - NOTICE_SECONDS))
        self._noticed.add(wait)
