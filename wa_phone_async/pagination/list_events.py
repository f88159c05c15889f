"""`ListObserver`: counts what a list has received, and reports its end as a `ListFinished` event.

A list ends with its last page, with an error, or when its caller leaves it early. Nothing reports the last case: the
paginator is simply gone. So a finalizer of the paginator reports it. Python may run that in any thread and at any
moment. So it leaves the sending of the event to the event loop of the list.
"""

from __future__ import annotations

import asyncio
import itertools
import weakref
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from wa_phone_async.errors import PaginationError
from wa_phone_async.events import EventDispatcher, ListFinished

from .page import PageCursor, RawPage
from .paginator import AsyncPaginator

T = TypeVar("T")

_serial_numbers: Final = itertools.count(1)


class ListObserver(Generic[T]):
    """Counts the pages and rows of one list, and reports its end.

    Args:
        dispatcher: Receives the event.
        path: What is listed.
        cursor: Knows which page is the last.
    """

    def __init__(self, dispatcher: EventDispatcher, path: str, cursor: PageCursor[T]) -> None:
        self.list_id: int = next(_serial_numbers)
        """A number that no other list of this process has."""
        self._dispatcher = dispatcher
        self._path = path
        self._cursor = cursor
        # Set from the first request to the reported end. A list that goes on after an error starts a second time, and
        # reports a second end.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._began = self._seconds = 0.0
        self._pages = self._rows = 0

    def count(
        self, fetch: Callable[[dict[str, str]], Awaitable[RawPage[T]]]
    ) -> Callable[[dict[str, str]], Awaitable[RawPage[T]]]:
        """Return a function that does what `fetch` does, and counts its pages."""

        async def counted(params: dict[str, str]) -> RawPage[T]:
            loop = self._start()
            try:
                raw = await fetch(params)
            except BaseException as error:
                self._seconds = loop.time() - self._began
                self._end(type(error).__name__)
                raise
            self._seconds = loop.time() - self._began
            self._pages += 1
            self._rows += len(raw.rows)
            if self._cursor.is_last(raw):
                self._end(None, complete=True)
            return raw

        return counted

    def end_with(self, paginator: AsyncPaginator[T]) -> None:
        """Report the end also where the list still goes on, but nobody holds its paginator any more."""
        weakref.finalize(paginator, self._on_finalized).atexit = False  # at exit the event loop is closed already

    def _start(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._began = self._loop.time()
            self._pages = self._rows = 0
        return self._loop

    def _on_finalized(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end_early)

    def _end_early(self) -> None:
        """Report a list whose caller wants no more: it was enough, or its pages led nowhere."""
        try:
            self._cursor.next_params()
        except PaginationError as error:
            self._end(type(error).__name__)
        else:
            self._end(None)

    def _end(self, error: str | None, *, complete: bool = False) -> None:
        self._loop = None
        self._dispatcher.dispatch(
            ListFinished(
                list_id=self.list_id,
                path=self._path,
                node_id=self._path.partition("/")[0],
                error=error,
                complete=complete,
                pages=self._pages,
                rows=self._rows,
                seconds=self._seconds,
            )
        )
