"""What waits for a receiver. A receiver that is down loses no alert within an hour, and stops nobody."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from .alert import Alert

MAX_WAITING: Final = 10_000
"""Alerts that wait for one receiver. When there are more, the oldest is lost."""
KEPT_SECONDS: Final = 7200.0
"""How long an alert is sent again and again."""
_LONGEST_DELAY: Final = 300.0
_SECONDS_PER_ALERT: Final = 30.0


class DeliveryError(Exception):
    """An alert was not delivered. The text says why, and holds no secret."""


class Receiver(Protocol):
    """What gets alerts."""

    name: str
    """What it is, without secrets."""
    workers: int
    """How many alerts it gets at once."""
    retries: bool
    """Whether an alert that was not delivered is sent again."""

    async def deliver(self, alert: Alert) -> None:
        """Deliver an alert, or raise `DeliveryError`. It is cancelled after 30 seconds."""
        ...

    async def close(self) -> None:
        """Release what it holds."""
        ...


def retry_delay(failures: int) -> float:
    """Return the seconds after so many failures in a row: 1, 2, 4 … 300."""
    return min(2.0 ** min(failures - 1, 20), _LONGEST_DELAY)


class Outbox:
    """The alerts that wait for a receiver.

    Args:
        receiver: The receiver.
        tell: Shows a message.
    """

    def __init__(self, receiver: Receiver, tell: Callable[[str], None]) -> None:
        self._receiver = receiver
        self._tell = tell
        self._waiting = deque[tuple[float, Alert]]()
        self._changed = asyncio.Condition()
        self._under_way = 0
        self._failures = 0
        self._lost = 0
        self._tasks = [asyncio.create_task(self._work()) for _ in range(receiver.workers)]

    async def put(self, alert: Alert) -> None:
        """Add an alert. It never waits for the receiver."""
        async with self._changed:
            self._waiting.append((asyncio.get_running_loop().time(), alert))
            if len(self._waiting) > MAX_WAITING:
                self._waiting.popleft()
                self._lose(f"more than {MAX_WAITING:,} wait")
            self._changed.notify()

    async def close(self, seconds: float) -> None:
        """Wait until all alerts are delivered, but not longer than so many seconds. Then end."""
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: not self._waiting and not self._under_way)
        except TimeoutError:
            left = len(self._waiting) + self._under_way
            self._tell(f"{self._receiver.name}: {left:,} alerts were not delivered")
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)
            await self._receiver.close()

    async def _work(self) -> None:
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._waiting)
                since, alert = self._waiting.popleft()
                self._under_way += 1
            await self._deliver(since, alert)
            async with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    async def _deliver(self, since: float, alert: Alert) -> None:
        loop = asyncio.get_running_loop()
        while (why := await self._failure(alert)) is not None:
            self._failures += 1
            if not self._receiver.retries:
                self._tell(f"{self._receiver.name}: {why}")
                return
            if self._failures == 1:
                self._tell(f"{self._receiver.name}: {why}; alerts are kept and sent again")
            delay = retry_delay(self._failures)
            if loop.time() + delay > since + KEPT_SECONDS:
                self._lose(f"{why}, for two hours")
                return
            await asyncio.sleep(delay)
        if self._failures and self._receiver.retries:
            self._tell(f"{self._receiver.name}: alerts are delivered again")
        self._failures = self._lost = 0

    async def _failure(self, alert: Alert) -> str | None:
        try:
            async with asyncio.timeout(_SECONDS_PER_ALERT):
                await self._receiver.deliver(alert)
        except TimeoutError:
            return f"it took more than {_SECONDS_PER_ALERT:g} seconds"
        except DeliveryError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - a plugin of apprise may raise anything, with secrets in its text
            return type(error).__name__
        return None

    def _lose(self, why: str) -> None:
        self._lost += 1
        if self._lost == 1:
            self._tell(f"{self._receiver.name}: alerts are lost: {why}")
