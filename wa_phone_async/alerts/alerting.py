"""From the changes of a watch to the outboxes of the receivers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, Self

from wa_phone_async.workflows.watch import Change

from .alert import alert_of
from .flapping import FlapFilter
from .outbox import Outbox, Receiver

_SECONDS_PER_LOOK: Final = 60.0
_GRACE_SECONDS: Final = 5.0


class Alerting:
    """Sends an alert for each change, but for values that flap. Use it inside `async with`.

    Args:
        receivers: Who gets the alerts. They are closed at the end.
        tell: Shows a message.
    """

    def __init__(self, receivers: Iterable[Receiver], tell: Callable[[str], None]) -> None:
        self._receivers = list(receivers)
        self._tell = tell
        self._flaps = FlapFilter()
        self._outboxes = list[Outbox]()
        self._tasks = set[asyncio.Task[None]]()

    async def __aenter__(self) -> Self:
        self._outboxes = [Outbox(receiver, self._tell) for receiver in self._receivers]
        self._tasks.add(asyncio.create_task(self._tell_settled()))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        await asyncio.gather(*(outbox.close(_GRACE_SECONDS) for outbox in self._outboxes))

    async def take(self, change: Change) -> None:
        """Send an alert for a change, now or when the value has come to rest. It never waits for a receiver."""
        if self._outboxes and (told := self._flaps.take(change, asyncio.get_running_loop().time())):
            await self._send(told)

    async def _send(self, change: Change) -> None:
        alert = alert_of(change)
        for outbox in self._outboxes:
            await outbox.put(alert)

    async def _tell_settled(self) -> None:
        while True:
            await asyncio.sleep(_SECONDS_PER_LOOK)
            for change in self._flaps.due(asyncio.get_running_loop().time()):
                await self._send(change)
