"""Lists: where a page says that the list goes on, the walk from page to page, and the iterator around it.

`read_paging` and `Walk` decide and know no socket; `AsyncPaginator` is the thin shell that awaits the pages.

What holds was read in Meta's Graph guide to paging and in published captures, 2026-11-22: the end is the absence of
`paging.next`, never a short or an empty page; the last page has cursors too; `next` holds the access token and can
name another host, so only its cursor is taken and it is never followed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from copy import deepcopy
from functools import partial
from typing import Any, Final, Generic, Literal, NoReturn, Self, TypeVar, cast
from urllib.parse import parse_qs, urlsplit

import attrs

from wa_phone_async.checks import MAX_PAGE_SIZE
from wa_phone_async.decoding.converter import Json, read_model, read_plain_page
from wa_phone_async.errors import DecodeError, InvalidArgumentError, PaginationError
from wa_phone_async.models import NO_EXTRA, Cursors, Extra, Page
from wa_phone_async.query import DEFAULT_PAGE_SIZE

from .prefetch import ReadAhead

T = TypeVar("T")

Follow = Literal["next", "after"]
"""What says that there is more: the `next` link, or a cursor on a page with rows."""

MAX_EMPTY_PAGES: Final = 100
"""Empty pages in a row after which a list is taken for one that never ends; of a filtered one, pages of 100 rows."""


@attrs.define(on_setattr=attrs.setters.NO_OP)  # made for each page, in a third of the time of a frozen one
class Paging:
    """What a page says about its neighbours."""

    cursors: Cursors = attrs.field(factory=Cursors)
    """Where the page begins and ends; read from the links where `cursors` lacks one."""
    has_next: bool = False
    """Whether there is a page after it."""
    has_previous: bool = False
    """Whether there is a page before it."""


@attrs.define(kw_only=True, on_setattr=attrs.setters.NO_OP)  # the same
class Listing(Generic[T]):
    """One answer of a list, as it came."""

    rows: list[T]
    paging: Paging
    extra: Extra


def read_listing(payload: Json, model: type[T], *, http_status: int) -> Listing[T]:
    """The JSON of a list: `{"data": […], "paging": {…}}`.

    Raises:
        DecodeError: It has another shape. The text says where.
    """
    if not (isinstance(payload, dict) and isinstance(payload.get("data"), list)):
        raise DecodeError("expected an array @ $.data", http_status=http_status)
    extra = {name: value for name, value in payload.items() if name not in {"data", "paging"}}
    return Listing(
        rows=read_model(payload["data"], list[model], http_status=http_status, path="$.data"),  # type: ignore[valid-type]  # a type at run time
        paging=read_paging(payload.get("paging"), http_status=http_status),
        extra=read_model(extra, Extra, http_status=http_status),
    )


def read_plain_listing(body: bytes, model: type[T], *, http_status: int) -> Listing[T] | None:
    """The same of the bytes of an answer, by the fast path; `None` where there is none, or it leaves them alone.

    Raises:
        DecodeError: `paging` has another shape, as in `read_listing`.
    """
    page = read_plain_page(body, model)
    if page is None:
        return None
    return Listing(rows=page.rows, paging=read_paging(page.paging, http_status=http_status), extra=NO_EXTRA)


def read_paging(paging: object, *, http_status: int | None = None) -> Paging:
    """The `paging` of a page, of which every part may be missing, null or empty.

    Raises:
        DecodeError: A part has another type.
    """
    members = _read_object(paging, "$.paging", http_status)
    cursors = _read_object(members.get("cursors"), "$.paging.cursors", http_status)
    following = _read_text(members.get("next"), "$.paging.next", http_status)
    previous = _read_text(members.get("previous"), "$.paging.previous", http_status)
    before = _read_text(cursors.get("before"), "$.paging.cursors.before", http_status)
    after = _read_text(cursors.get("after"), "$.paging.cursors.after", http_status)
    return Paging(
        Cursors(before or _cursor_in(previous, "before"), after or _cursor_in(following, "after")),
        has_next=bool(following),
        has_previous=bool(previous),
    )


def _read_object(value: Any, place: str, http_status: int | None) -> dict[str, Any]:
    if value and type(value) is not dict:
        raise DecodeError(f"expected an object @ {place}", http_status=http_status)
    return cast("dict[str, Any]", value) or {}


def _read_text(value: Any, place: str, http_status: int | None) -> str:
    if value and type(value) is not str:
        raise DecodeError(f"expected a string @ {place}", http_status=http_status)
    return value or ""


def _cursor_in(link: str, name: str) -> str | None:
    try:
        return parse_qs(urlsplit(link).query).get(name, [None])[0]
    except ValueError:  # a link that is no URL has no cursor
        return None


class Walk(Generic[T]):
    """A walk over the pages of a list: decides where to ask next, and when to stop. It does no I/O.

    Args:
        limit: Rows to ask for in a page, or `None` to leave it to the API.
        after: The cursor to begin after.
        before: The cursor to begin before; the walk then goes back.
        max_items: Rows wanted in all, or `None` for all there are.
        follow: What says that there is more.
        is_filtered: Whether pages lose rows to a filter after they were cut, so that a small page may well be empty.
    """

    def __init__(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        before: str | None = None,
        max_items: int | None = None,
        follow: Follow = "next",
        is_filtered: bool = False,
    ) -> None:
        if follow not in ("next", "after"):
            raise InvalidArgumentError(f"follow must be 'next' or 'after', not {follow!r}")
        self.cursor = before or after
        self.limit = limit
        self._backwards = before is not None
        self._wanted = max_items
        self._follow = follow
        self._is_filtered = is_filtered
        self._in_hand: Page[T] | None = None
        self._has_more = True
        self._was_cut = False
        self._seen = {self.cursor}
        self._empty_pages = 0

    @property
    def at_end(self) -> bool:
        """Whether there is no page to ask for any more."""
        return self._wanted == 0 or not self._has_more

    @property
    def _most_empty_pages(self) -> int:
        return MAX_EMPTY_PAGES * (MAX_PAGE_SIZE // (self.limit or DEFAULT_PAGE_SIZE) if self._is_filtered else 1)

    def pages_to_ask(self, waiting: int, *, most: int) -> int:
        """How many pages may be asked for, where some that it has taken wait to be wanted, and so many may at most.

        None may at the end: a page that waits counts for `max_items`, as any that it took.
        """
        return 0 if self.at_end else max(0, most - waiting)

    def place_of_next_page(self) -> dict[str, str] | None:
        """The parameters that ask for the next page, now that the one in hand is used up; `None` at the end.

        Raises:
            PaginationError: The page in hand leads nowhere, or back. It does so each time.
        """
        if self._in_hand is not None:
            self._move_past(self._in_hand)
        if self.at_end:
            return None
        place = {} if self.limit is None else {"limit": str(self.limit)}
        if not self._is_filtered and self._wanted is not None and self._wanted < (self.limit or DEFAULT_PAGE_SIZE):
            place["limit"] = str(self._wanted)
        if self.cursor is not None:
            place["before" if self._backwards else "after"] = self.cursor
        return place

    def take(self, listing: Listing[T]) -> Page[T]:
        """The page that came, with no more rows than are wanted."""
        rows = listing.rows if self._wanted is None else listing.rows[: self._wanted]
        self._was_cut = len(rows) < len(listing.rows)
        self._empty_pages = 0 if listing.rows else self._empty_pages + 1
        if self._wanted is not None:
            self._wanted -= len(rows)
        self._has_more = self._goes_on(listing)
        self._in_hand = Page(
            data=tuple(rows),
            cursors=listing.paging.cursors,
            has_next=listing.paging.has_next if self._backwards else self._has_more,
            has_previous=self._has_more if self._backwards else listing.paging.has_previous,
            extra=listing.extra,
        )
        return self._in_hand

    def ends_with(self, listing: Listing[T]) -> bool:
        """Whether a page that has come, and is still to be taken, is the last."""
        is_enough = self._wanted is not None and len(listing.rows) >= self._wanted
        return is_enough or not self._goes_on(listing)

    def _goes_on(self, listing: Listing[T]) -> bool:
        if self._follow == "after":
            return bool(listing.rows) and self._cursor_past(listing.paging.cursors) is not None
        return listing.paging.has_previous if self._backwards else listing.paging.has_next

    def _cursor_past(self, cursors: Cursors) -> str | None:
        return cursors.before if self._backwards else cursors.after

    def _move_past(self, page: Page[T]) -> None:
        cursor = self._cursor_past(page.cursors)
        if not self.at_end:
            if cursor is None:
                raise PaginationError("the list goes on, and no cursor says where: start it anew")
            if cursor in self._seen:
                raise PaginationError(f"the list goes in a circle: cursor {cursor!r} came twice", cursor=cursor)
            if self._empty_pages >= self._most_empty_pages:
                raise PaginationError(
                    f"{self._empty_pages} empty pages in a row, up to cursor {cursor!r}", cursor=cursor
                )
        if cursor is not None and not self._was_cut:
            self.cursor = cursor
            self._seen.add(cursor)
        self._in_hand = None


class AsyncPaginator(Generic[T]):
    """The rows of a list, page by page as they are wanted: iterate over it, or await it for all as a `list`.

    It is used once. Rows and pages share one position, so awaiting it after a part gives the rest. After an error the
    same iterator goes on with the page that failed. It starts no task: leaving a loop early leaves nothing open.

    With `read_ahead` a task asks for the next pages while the caller works on this one. So it is used inside its block,
    which cancels that task and waits for its end; entered again, it goes on where it was:

        async with client.list_phone_numbers(waba_id, read_ahead=1) as paginator:
            async for number in paginator:
                await store(number)

    The first call is made when the first row or page is wanted. A page's error is raised when that page is wanted; one
    that is never wanted may have cost a call all the same, and its error is told as that of its `CallFinished` only.

    Args:
        fetch: Asks for the page at a place.
        walk: Decides on the places.
        read_ahead: How many pages may wait to be wanted. With 0 a block is allowed and changes nothing.

    Raises:
        WaPhoneError: A page could not be had; see the method that gave the paginator.
        PaginationError: The list leads nowhere, or in a circle; raised after the rows that came before.
        RuntimeError: Two consumers asked for the next page at once, or it reads ahead and is used outside of a block.
    """

    def __init__(
        self, fetch: Callable[[dict[str, str]], Awaitable[Listing[T]]], walk: Walk[T], *, read_ahead: int = 0
    ) -> None:
        self._fetch = fetch
        self._walk = walk
        self._ahead: ReadAhead[Listing[T]] | None = None
        if read_ahead:  # two walks over the same pages: one where the task is, and one where the caller is
            ahead = ReadAhead(partial(_read_on, fetch, walk), partial(walk.pages_to_ask, most=read_ahead))
            self._ahead, self._walk, self._fetch = ahead, deepcopy(walk), ahead.fetch
        self._cursor = walk.cursor
        self._page_of: Callable[..., Page[T]] = Page  # of rows, with what else the page in hand says
        self._unread: deque[T] = deque()
        self._laid_aside: deque[T] = deque()  # what was unread when the block was left
        self._is_started = False
        self._is_fetching = False

    def __repr__(self) -> str:  # what a notebook shows where the `await` was forgotten
        return f"<{type(self).__name__}: await it for all rows that are left, or iterate over it with 'async for'>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a paginator has a client's token and is not pickled: send its cursor, to go on with after=")

    @property
    def cursor(self) -> str | None:
        """Where a later run can go on, as its `after=` (or `before=`); `None` is the beginning.

        It moves when the consumer asks past the last row of a page, so resuming may repeat part of a page and never
        skips a row. Meta may invalidate it when the row that it points at is removed.
        """
        return self._cursor

    @property
    def exhausted(self) -> bool:
        """Whether nothing is left: no unread row, and no page to ask for (the end, or `max_items`)."""
        return not self._unread and not self._laid_aside and self._walk.at_end

    async def __aenter__(self) -> Self:
        if self._ahead is not None:
            self._ahead.open()
            self._unread, self._laid_aside = self._laid_aside + self._unread, deque()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._ahead is not None:
            self._unread, self._laid_aside = deque(), self._unread
            await self._ahead.aclose()

    def __aiter__(self) -> AsyncPaginator[T]:
        """The paginator itself."""
        return self

    async def __anext__(self) -> T:
        """The next row."""
        while not self._unread:
            if not await self._turn_page():
                raise StopAsyncIteration
        return self._unread.popleft()

    def __await__(self) -> Generator[Any, None, list[T]]:
        """All remaining rows: `rows = await paginator`."""
        return self.collect().__await__()

    async def collect(self) -> list[T]:
        """All remaining rows. After an error they are all still there, to be asked for again."""
        cursor, rows = self._cursor, list[T]()
        try:
            while True:
                rows.extend(self._unread)
                self._unread.clear()
                if not await self._turn_page():
                    return rows
        except BaseException:
            self._cursor, self._unread = cursor, deque(rows)
            raise

    async def first_page(self) -> Page[T]:
        """The first page, by one request: a page of its own for a web page, with the cursor of the next.

        With a filter it may have fewer rows than were asked for, or none, and more behind it: `has_next` tells.

        Raises:
            RuntimeError: The paginator has been used already.
        """
        if self._is_started:
            raise RuntimeError("first_page() wants a paginator that was not used yet; pages() goes on from here")
        return await anext(self.pages(), Page[T]())

    def pages(self) -> AsyncIterator[Page[T]]:
        """The remaining pages. After some rows, the first is the rest of their page."""
        return _Pages(self)

    async def next_page(self) -> Page[T] | None:
        """The next page, or what is unread of this one; `None` at the end."""
        if not self._unread and not await self._turn_page():
            return None
        page = self._page_of(data=tuple(self._unread))
        self._unread.clear()
        return page

    async def _turn_page(self) -> bool:
        """Ask for the next page, and say whether there was one."""
        if self._ahead is not None:
            self._ahead.check_open()
        if self._is_fetching:
            raise RuntimeError("two consumers ask this paginator for its next page at once: give each one its own")
        self._is_fetching = True
        try:
            place = self._walk.place_of_next_page()
            self._cursor = self._walk.cursor
            if place is None:
                return False
            listing = await self._fetch(place)
        finally:
            self._is_fetching = False
        self._is_started = True
        page = self._walk.take(listing)
        # Not the page itself: its rows would live on while the next page is waited for, and of many lists at once the
        # garbage collector would go through them all, again and again.
        self._page_of = partial(
            Page, cursors=page.cursors, has_next=page.has_next, has_previous=page.has_previous, extra=page.extra
        )
        self._unread.extend(page.data)
        return True


async def _read_on(fetch: Callable[[dict[str, str]], Awaitable[Listing[T]]], walk: Walk[T]) -> Listing[T]:
    """Ask for the next page of a walk that is not at its end, and take it."""
    listing = await fetch(walk.place_of_next_page() or {})  # None, the end, is ruled out by pages_to_ask
    walk.take(listing)
    return listing


class _Pages(AsyncIterator[Page[T]]):
    """The pages of a paginator: a class and no generator, so that it goes on after an error."""

    def __init__(self, paginator: AsyncPaginator[T]) -> None:
        self._paginator = paginator

    async def __anext__(self) -> Page[T]:
        page = await self._paginator.next_page()
        if page is None:
            raise StopAsyncIteration
        return page
