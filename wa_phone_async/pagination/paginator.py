"""`AsyncPaginator`: the iterator over a list. It awaits the pages that `page.PageCursor` decides on."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from functools import partial
from types import EllipsisType
from typing import Any, Generic, NoReturn, Self, TypeVar

from wa_phone_async.call.attempt import CallRunner
from wa_phone_async.call.request import GraphRequest
from wa_phone_async.call.response import Reader
from wa_phone_async.errors import PaginationError
from wa_phone_async.models import Page
from wa_phone_async.query import ListQuery, optional_fields

from .page import PageCursor, RawPage
from .prefetch import Prefetcher
from .rows import Rows

T = TypeVar("T")


class PageFetcher(Generic[T]):
    """Requests the pages of one list.

    Args:
        calls: Makes the calls.
        path: The path of the list, below the API's version.
        query: What the list is asked for.
        reader: Reads the response of a page.
        cursor: The position in the list. Its limit becomes smaller if the API wants a smaller page.
        waba_id: The account whose token and quota each page uses; see `GraphRequest.waba_id`.
        list_id: The number of the list, for the events of its calls; `None` if nobody gets them.
        optional: The fields that may be left out; default: those of the query. See `GraphRequest`.
        is_divisible: Whether the caller requests fewer rows where a page fails; see `GraphRequest`.
    """

    def __init__(
        self,
        calls: CallRunner,
        path: str,
        query: ListQuery,
        reader: Reader[RawPage[T]],
        cursor: PageCursor[T],
        *,
        waba_id: str | EllipsisType | None = ...,
        list_id: int | None = None,
        optional: frozenset[str] | None = None,
        is_divisible: bool = False,
    ) -> None:
        self._calls = calls
        self._path = path
        self._query = query
        self._reader = reader
        self._cursor = cursor
        self._waba_id = waba_id
        self._list_id = list_id
        self.seconds: float = 0.0
        """Seconds of the last divisible call, without its waits for the quota and before retries."""
        self._is_divisible = is_divisible
        if optional is None:
            optional = optional_fields(path, query.params.get("fields"))
        self._optional_fields = optional

    async def __call__(self, params: dict[str, str]) -> RawPage[T]:
        """Request a page by its limit and its cursor."""
        request = GraphRequest(
            path=self._path,
            params={**self._query.params, **params},
            waba_id=self._waba_id,
            dialect=self._calls.dialect,
            optional_fields=self._optional_fields,
            is_divisible=self._is_divisible,
        )
        call = self._calls.new_call(request, self._reader, self._query.total_timeout, list_id=self._list_id)
        try:
            return await self._calls.run(call)
        finally:
            if self._is_divisible:
                self.seconds = asyncio.get_running_loop().time() - call.started - call.seconds_waited
            # the next pages begin with the limit that the API accepts, even if this page failed
            if call.request is not request and call.request.params.get("limit") != params.get("limit"):
                self._cursor.limit = int(call.request.params["limit"])


class AsyncPaginator(Generic[T]):
    """The rows of a list: iterate over them, or await them all as a list. It requests pages as you need them.

    Awaited, they are `Rows`: a `list` that notebooks show as a table, with `to_polars()` and `to_pandas()`.

    Use it once. Rows and pages share one position: await it after a part, and you get the rest. After an error it
    goes on with the page that failed. It starts no task, so leaving a loop early leaves nothing open.

    With `read_ahead` a task requests the next pages while you work on one. So use it inside its block. Leaving the
    block cancels that task and waits for its end. Enter it again to go on where you were:

        async with client.list_phone_numbers(waba_id, read_ahead=1) as paginator:
            async for number in paginator:
                await store(number)

    It sends the first request when you want the first row or page. It raises the error of a page when you want that
    page. Stopping early may waste up to `read_ahead` requests. Their errors are only in their `CallFinished`.

    Raises:
        WaPhoneError: A page failed; see `PhoneNumberClient.list_phone_numbers`.
        PaginationError: The list goes on without a cursor, goes in a circle, or seems endless. First you get all rows
            that came before.
        RuntimeError: Two tasks wanted the next page at once, or you used it with `read_ahead` outside its block.
    """

    def __init__(
        self,
        fetch: Callable[[dict[str, str]], Awaitable[RawPage[T]]],
        cursor: PageCursor[T],
        *,
        read_ahead: int = 0,
        model: type[T] | None = None,
    ) -> None:
        self._fetch = fetch
        self._model = model
        self._page_cursor = cursor  # of the next page to request, which with `read_ahead` the caller may be far behind
        self._prefetcher: Prefetcher[tuple[str | None, Page[T]]] | None = None
        if read_ahead:
            # Both are no methods: the task must not keep a paginator alive that nobody holds any more.
            self._prefetcher = Prefetcher(
                partial(_fetch_ahead, fetch, cursor), partial(cursor.pages_to_prefetch, most=read_ahead)
            )
        self._cursor = cursor.cursor
        self._page_of: Callable[..., Page[T]] = Page  # makes a page of rows, with all else that the current page says
        self._unread: deque[T] = deque()
        self._set_aside: deque[T] = deque()  # rows that were unread when the block was left
        self._is_started = False
        self._is_fetching = False

    def __repr__(self) -> str:  # a notebook shows it where the `await` is missing
        return f"<{type(self).__name__}: await it for all rows that are left, or iterate over it with 'async for'>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a paginator holds a token, so you cannot pickle it: send its cursor, and go on with after=")

    @property
    def cursor(self) -> str | None:
        """Where a later run can go on: pass it as `after=` (or `before=`). `None` is the start of the list.

        It moves when you go past the last row of a page. So a later run may repeat part of a page, and never skips a
        row. Meta may invalidate a cursor when its row is removed.
        """
        return self._cursor

    @property
    def exhausted(self) -> bool:
        """Whether nothing is left: no unread row, and no page to request (the end of the list, or `max_items`)."""
        waits = self._prefetcher is not None and bool(self._prefetcher.pages)
        return not self._unread and not self._set_aside and not waits and self._page_cursor.at_end

    async def __aenter__(self) -> Self:
        if self._prefetcher is not None:
            self._prefetcher.open()
            self._unread, self._set_aside = self._set_aside + self._unread, deque()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._prefetcher is not None:
            # Out of reach: outside the block each row is an error, also where unread rows are left.
            self._unread, self._set_aside = deque(), self._unread
            await self._prefetcher.aclose()

    def __aiter__(self) -> AsyncPaginator[T]:
        """Return the paginator itself."""
        return self

    async def __anext__(self) -> T:
        """Return the next row."""
        while not self._unread:
            if not await self._load_page():
                raise StopAsyncIteration
        return self._unread.popleft()

    def __await__(self) -> Generator[Any, None, Rows[T]]:
        """Return all rows that are left: `rows = await paginator`."""
        return self.collect().__await__()

    async def collect(self) -> Rows[T]:
        """Return all rows that are left. After an error you can call it again and lose none of them."""
        cursor = self._cursor
        rows: Rows[T] = Rows()
        rows._model = self._model  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - `rows_of` would be two calls
        try:
            while True:
                rows.extend(self._unread)
                self._unread.clear()
                if not await self._load_page():
                    return rows
        except BaseException:
            self._cursor, self._unread = cursor, deque(rows)
            raise

    async def first_page(self) -> Page[T]:
        """Return the first page, by one request: for a web page of your own, with the cursor of the next one.

        With a filter it may have fewer rows than `limit`, or none, although the list goes on: see `has_next`.

        Raises:
            RuntimeError: You have used the paginator already.
        """
        if self._is_started:
            raise RuntimeError(
                "first_page() needs a paginator that was not used yet: make a new one, or go on here with pages()"
            )
        return await anext(self.pages(), Page[T]())

    def pages(self) -> AsyncIterator[Page[T]]:
        """Iterate over the pages that are left. After some rows, the first page is the rest of theirs."""
        return _PageIterator(self)

    async def next_page(self) -> Page[T] | None:
        """Return the unread rest of the current page, or else the next page; `None` at the end."""
        if not self._unread and not await self._load_page():
            return None
        page = self._page_of(data=tuple(self._unread))
        self._unread.clear()
        return page

    async def _load_page(self) -> bool:
        """Request the next page; `False` where there is none."""
        if self._prefetcher is not None:
            self._prefetcher.check_open()
        if self._is_fetching:
            raise RuntimeError("two consumers want the next page of this paginator at once: give each its own")
        self._is_fetching = True
        try:
            if self._prefetcher is not None:
                page = await self._next_ahead(self._prefetcher)
            else:
                cursor = self._page_cursor
                params = cursor.next_params()
                self._cursor = cursor.cursor
                page = None if params is None else cursor.take(await self._fetch(params))
        finally:
            self._is_fetching = False
        if page is None:
            return False
        self._is_started = True
        # Keep what the page says, but not the page: its rows would live on while the next page is requested. With many
        # lists at once, the garbage collector would go through all of them again and again.
        self._page_of = partial(
            Page, cursors=page.cursors, has_next=page.has_next, has_previous=page.has_previous, extra=page.extra
        )
        self._unread.extend(page.data)
        return True

    async def _next_ahead(self, prefetcher: Prefetcher[tuple[str | None, Page[T]]]) -> Page[T] | None:
        """Take the next page from the task that reads ahead; `None` at the end."""
        cursor = self._page_cursor
        if not prefetcher.pages and cursor.at_end:
            cursor.next_params()  # leaves the last page
            self._cursor = cursor.cursor
            return None
        try:
            self._cursor, page = await prefetcher.fetch()
        except PaginationError:  # there is no next page to go on with
            raise
        except BaseException:
            # The caller has left the page before. So a later run begins with the page that failed, or still comes.
            self._cursor = prefetcher.pages[0][0] if prefetcher.pages else cursor.cursor
            raise
        return page


async def _fetch_ahead(
    fetch: Callable[[dict[str, str]], Awaitable[RawPage[T]]], cursor: PageCursor[T]
) -> tuple[str | None, Page[T]]:
    """Request the next page. Returns it with the cursor that it was requested with. The list must not be at its end."""
    params = cursor.next_params() or {}  # never None here, since pages_to_prefetch is 0 at the end
    begin = cursor.cursor
    return begin, cursor.take(await fetch(params))


class _PageIterator(AsyncIterator[Page[T]]):
    """Iterates over the pages of a paginator. It is no generator, since a generator ends at its first error."""

    def __init__(self, paginator: AsyncPaginator[T]) -> None:
        self._paginator = paginator

    async def __anext__(self) -> Page[T]:
        page = await self._paginator.next_page()
        if page is None:
            raise StopAsyncIteration
        return page
