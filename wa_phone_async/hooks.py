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
"""Takes an `Event`; plain or async. What it raises is logged and never reaches a call."""


class Announcer:
    """Tells events to all who listen, at once and in order; what an async listener does goes on beside the calls."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self._list_listeners: list[Listener] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_heard(self) -> bool:
        """Whether it is worth making an event."""
        return bool(self._listeners) or _log.isEnabledFor(logging.INFO)

    @property
    def hears_lists(self) -> bool:
        """Whether anybody wants to know when lists are over."""
        return bool(self._list_listeners)

    def subscribe(self, listener: Listener, *, lists: bool = False) -> Callable[[], None]:
        """Add a listener, of `ListFinished` too if it wants `lists`; gives what removes it."""
        audiences = [self._listeners, self._list_listeners] if lists else [self._listeners]
        for audience in audiences:
            audience.append(listener)

        def unsubscribe() -> None:
            while audiences:
                audiences.pop().remove(listener)

        return unsubscribe

    def tell(self, event: Event) -> None:
        """Tell an event to everybody that it concerns. Plain listeners have heard it when this returns."""
        level = logging.DEBUG if isinstance(event, CallFinished | ListFinished) else logging.INFO
        _log.log(level, "%s", event)
        for listener in tuple(self._list_listeners if isinstance(event, ListFinished) else self._listeners):
            try:
                answer = listener(event)
            except Exception:  # noqa: BLE001 - a listener may raise anything, and nothing of it may reach a call
                _log.exception("a listener has failed")
            else:
                if inspect.isawaitable(answer):
                    task = asyncio.ensure_future(_await(answer))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """Wait for what async listeners have begun in this loop; one of them may be who closes."""
        loop, closing = asyncio.get_running_loop(), asyncio.current_task()
        while tasks := {task for task in self._tasks if task.get_loop() is loop and task is not closing}:
            await asyncio.wait(tasks)


async def _await(answer: Awaitable[None]) -> None:
    try:
        await answer
    except Exception:  # noqa: BLE001 - the same
        _log.exception("a listener has failed")
