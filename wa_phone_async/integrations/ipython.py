"""What this library changes in IPython, if it is imported there: interrupts come at once, and tracebacks are short.

It changes nothing in other programs, and imports no IPython: without one that runs, there is none in `sys.modules`.

An interrupted cell. ipykernel turns a SIGINT into the cancellation of the cell, by a callback on the event loop. But a
signal handler does not wake a loop that waits, so the cell ends when its next timer is due: after an hour, if it waits
an hour for a quota (ipython/ipykernel#881, seen in 7.4.0 on 2026-11-28). So while a cell runs, a timer wakes the loop
ten times a second. It touches no signal handler, and helps whatever the cell waits for.

A traceback. A call has ten frames of this library and of those that it uses. None of them says what the cell did wrong.
IPython lets an exception render its traceback itself, by `_render_traceback_`, and the frames of the caller are enough.
Cancellations and time-outs are no classes of ours: IPython calls our handler for them, unless it has another one. A
traceback without a frame of this library stays as it is.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, Final

from wa_phone_async.errors import WaPhoneError

_WAKE_SECONDS: Final = 0.1
_INTERNAL: Final = frozenset({"aiohttp", "asyncio", "backoff", "wa_phone_async"})
_USED: Final = sys.stdlib_module_names | {"", "attr", "cattrs", "msgspec", "multidict", "yarl"}
"""Packages whose frames are internal too, if an internal one calls them. Code that attrs has written has no name."""


def adapt_ipython() -> None:
    """Adapt the IPython that runs in this process, if there is one."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is None:
        return
    WaPhoneError._render_traceback_ = lambda error: _render(shell, error)  # type: ignore[attr-defined]  # IPython calls it
    if not shell.custom_exceptions:
        shell.set_custom_exc((asyncio.CancelledError, TimeoutError), _show)
    if hasattr(shell, "kernel"):
        waker = _Waker()
        shell.events.register("pre_run_cell", waker.start)
        shell.events.register("post_run_cell", waker.stop)
        waker.start()  # for the cell that imports this


class _Waker:
    """Wakes the event loop of a kernel while a cell runs."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None

    def start(self, *_: object) -> None:
        """Begin to wake the running loop. Signals come to the main thread, so no other one needs it."""
        self.stop()
        if threading.current_thread() is threading.main_thread():
            with suppress(RuntimeError):  # there is no loop of asyncio, but perhaps one of trio
                self._wake(asyncio.get_running_loop())

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(_WAKE_SECONDS, self._wake, loop)

    def stop(self, *_: object) -> None:
        """Let the loop sleep."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _show(shell: Any, kind: type[BaseException], error: BaseException, *_: object, **__: object) -> list[str]:
    """Show the error of a cell. `sys.last_value` keeps it, as after any other one."""
    sys.last_type, sys.last_value, sys.last_traceback = kind, error, error.__traceback__
    traceback = _render(shell, error)
    shell._showtraceback(kind, error, traceback)  # noqa: SLF001 - as IPython's own handlers do
    return traceback


def _render(shell: Any, error: BaseException) -> list[str]:
    """Render an error as IPython would, without the internal frames of it and of its causes."""
    chain = list(_chain(error))
    whole = [each.__traceback__ for each in chain]
    is_ours = any(_package(traceback) == "wa_phone_async" for each in whole for traceback in _entries(each))
    try:
        for each in chain if is_ours else ():
            each.__traceback__ = _without_internal(each.__traceback__)
        lines: list[str] = shell.InteractiveTB.structured_traceback(
            type(error), error, error.__traceback__, tb_offset=1
        )
        return lines
    finally:
        for each, traceback in zip(chain, whole, strict=True):
            each.__traceback__ = traceback


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, and each one that a traceback shows with it."""
    seen = set[int]()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _without_internal(traceback: TracebackType | None) -> TracebackType | None:
    """A traceback without the frames of this library and of those that it uses."""
    kept, is_internal = list[TracebackType](), False
    for entry in _entries(traceback):
        package = _package(entry)
        is_internal = package in _INTERNAL or (is_internal and package in _USED)
        if not is_internal:
            kept.append(entry)
    rest: TracebackType | None = None
    for entry in reversed(kept):
        rest = TracebackType(rest, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return rest


def _entries(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _package(traceback: TracebackType) -> str:
    """The package of the code of a traceback's first frame."""
    name: str = traceback.tb_frame.f_globals.get("__name__", "")
    return name.partition(".")[0]
