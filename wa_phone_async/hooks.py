"""Who listens to events: subscribe, and dispatch to plain and async listeners."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from .events import CallFinished, Event, ListFinished

_log: Final = logging.getLogger("wa_phone_async")

Listener = Callable[[Event], Awaitable[None] | None]
"""A function that gets each `Event`; plain or async. An error that it raises is logged, and never reaches a call."""


class EventDispatcher:
    """Gives each event to all listeners, in order.

    Plain listeners run at once. Async listeners run as tasks of their own, and no call waits for them.
    """

    def __init__(self) -> None:
        self.listeners: list[Listener] = []
        """Those that get the events of calls."""
        self.list_listeners: list[Listener] = []
        """Those that get `ListFinished`, too."""
        self._tasks: set[asyncio.Task[None]] = set()

    def subscribe(self, listener: Listener, *, lists: bool = False) -> Callable[[], None]:
        """Add a listener, with `lists` for `ListFinished` too. Returns a function that unsubscribes it."""
        audiences = [self.listeners, self.list_listeners] if lists else [self.listeners]
        for audience in audiences:
            audience.append(listener)

        def unsubscribe() -> None:
            while audiences:  # empty at a second call, which then does nothing
                audiences.pop().remove(listener)

        return unsubscribe

    def dispatch(self, event: Event) -> None:
        """Log an event, and give it to its listeners. Plain listeners are done when this returns."""
        level = logging.DEBUG if isinstance(event, CallFinished | ListFinished) else logging.INFO
        _log.log(level, "%s", event)
        # A copy, since a listener may unsubscribe itself.
        for listener in tuple(self.list_listeners if isinstance(event, ListFinished) else self.listeners):
            try:
                pending = listener(event)
            except Exception:  # noqa: BLE001 - a listener may raise anything, and no call may fail for it
                _log.exception("an event listener failed")
            else:
                if inspect.isawaitable(pending):
                    task = asyncio.ensure_future(_await(pending))
                    self._tasks.add(task)  # asyncio itself keeps no reference to a task
                    task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """Wait for the async listeners of this event loop. One of them may call this: it does not wait for itself."""
        loop, closing = asyncio.get_running_loop(), asyncio.current_task()
        while tasks := {task for task in self._tasks if task.get_loop() is loop and task is not closing}:
            await asyncio.wait(tasks)


async def _await(pending: Awaitable[None]) -> None:
    try:
        await pending
    except Exception:  # noqa: BLE001 - as for a plain listener
        _log.exception("an event listener failed")
