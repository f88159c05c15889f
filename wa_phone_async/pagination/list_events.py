"""What a list has had so far, so that whoever wants to know is told when it is over.

Nothing says that a caller has left a list early: its paginator is no longer there, and that is all. So the end of a
list is its last page, an error, or the end of its paginator. Python may find the last one in any thread and at any
moment, so it is told a little later, by the event loop in which the list was walked.
"""

from __future__ import annotations

import asyncio
import itertools
import weakref
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from wa_phone_async.errors import PaginationError
from wa_phone_async.events import ListFinished
from wa_phone_async.hooks import Announcer

from .paginator import AsyncPaginator, Listing, Walk

T = TypeVar("T")

_numbers: Final = itertools.count(1)


class ListTally(Generic[T]):
    """Counts the pages and rows of one list, and tells when it is over.

    Args:
        announcer: Who tells it.
        path: What is listed.
        walk: Says which page is the last.
    """

    def __init__(self, announcer: Announcer, path: str, walk: Walk[T]) -> None:
        self.list_id: int = next(_numbers)
        """What tells the list from all others of this process."""
        self._announcer = announcer
        self._path = path
        self._walk = walk
        self._loop: asyncio.AbstractEventLoop | None = None  # there is one while the list is under way
        self._began = self._seconds = 0.0
        self._pages = self._rows = 0

    def counting(
        self, fetch: Callable[[dict[str, str]], Awaitable[Listing[T]]]
    ) -> Callable[[dict[str, str]], Awaitable[Listing[T]]]:
        """What asks for a page, and counts it."""

        async def counted(place: dict[str, str]) -> Listing[T]:
            loop = self._begin()
            try:
                listing = await fetch(place)
            except BaseException as error:
                self._seconds = loop.time() - self._began
                self._end(type(error).__name__)
                raise
            self._seconds = loop.time() - self._began
            self._pages += 1
            self._rows += len(listing.rows)
            if self._walk.ends_with(listing):
                self._end(None, complete=True)
            return listing

        return counted

    def tell_when_forgotten(self, paginator: AsyncPaginator[T]) -> None:
        """Take the list for left where it is under way and nobody has its paginator any more."""
        weakref.finalize(paginator, self._forget).atexit = False  # by then its loop has ended

    def _begin(self) -> asyncio.AbstractEventLoop:
        """The list is under way, from now on if it was not."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._began = self._loop.time()
            self._pages = self._rows = 0
        return self._loop

    def _forget(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._leave)

    def _leave(self) -> None:
        """Nobody asks for more: because the walk could not go on, or because it was enough."""
        try:
            self._walk.place_of_next_page()
        except PaginationError as error:
            self._end(type(error).__name__)
        else:
            self._end(None)

    def _end(self, error: str | None, *, complete: bool = False) -> None:
        self._loop = None
        self._announcer.tell(
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
