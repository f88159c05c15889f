"""Pages of a list: what a page says, and where the next one begins. Nothing here does I/O.

`read_page` reads a response, and `PageCursor` decides which page to request next. `paginator` does the requests.

The rules are from Meta's Graph guide to paging and from published captures, read 2026-11-22:

- A list ends where `paging.next` is absent. A short or an empty page does not end it. The last page has cursors too.
- The `next` link holds the access token and may name another host. So only its cursor is used, and the client never
  follows the link.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final, Generic, TypeVar, cast
from urllib.parse import parse_qs, urlsplit

import attrs

from wa_phone_async.call.response import Reader
from wa_phone_async.checks import MAX_PAGE_SIZE
from wa_phone_async.decoding.converter import Json, plain_page_reader, read_model, read_rows
from wa_phone_async.decoding.large_page import read_large_page
from wa_phone_async.decoding.plain_page import LARGE_PAGE, LONGEST_LINK, once_for_each_model
from wa_phone_async.errors import DecodeError, PaginationError
from wa_phone_async.models import NO_EXTRA, Cursors, Extra, Page
from wa_phone_async.query import DEFAULT_PAGE_SIZE, ListQuery

T = TypeVar("T")

MAX_EMPTY_PAGES: Final = 100
"""Empty pages in a row that end a list with an error. For a filtered list, the limit counts pages of 100 rows."""


@attrs.define(on_setattr=attrs.setters.NO_OP)  # made for each page; frozen takes three times as long
class Paging:
    """What a page says about the pages before and after it."""

    cursors: Cursors = attrs.field(factory=Cursors)
    """Where the page begins and ends. A cursor that `cursors` lacks is taken from the links."""
    has_next: bool = False
    """Whether there is a page after it."""
    has_previous: bool = False
    """Whether there is a page before it."""


@attrs.define(kw_only=True, on_setattr=attrs.setters.NO_OP)  # made for each page; frozen takes three times as long
class RawPage(Generic[T]):
    """One response of a list, before `max_items` cuts it."""

    rows: list[T]
    paging: Paging
    extra: Extra
    cursor: str | None = attrs.field(default=None, eq=False)
    """The cursor that it was requested with; `None` for the start of the list."""
    limit: int | None = attrs.field(default=None, eq=False)
    """The rows that it was requested with, as the API accepted them; `None` if the API chose."""


def read_page(payload: Json, model: type[T], *, http_status: int) -> RawPage[T]:
    """Read the JSON of a page: `{"data": […], "paging": {…}}`.

    Raises:
        DecodeError: The JSON is no page. The text says what does not fit, and where.
    """
    if not (isinstance(payload, dict) and isinstance(payload.get("data"), list)):
        raise DecodeError("expected an array @ $.data", http_status=http_status)
    rows = read_model(payload["data"], list[model], http_status=http_status, path="$.data")  # type: ignore[valid-type]  # a type at run time
    return _page_of(rows, payload, http_status)


def _page_of(rows: list[T], members: dict[str, Any], http_status: int) -> RawPage[T]:
    extra = {name: value for name, value in members.items() if name not in {"data", "paging"}}
    return RawPage(
        rows=rows,
        paging=read_paging(members.get("paging"), http_status=http_status),
        extra=read_model(extra, Extra, http_status=http_status),
    )


@once_for_each_model
def page_reader(model: type[T]) -> Reader[RawPage[T]]:
    """Return the reader of the pages of a model: by the fast path where it can, and else by the core path.

    The core path reads a large page row by row.
    """
    read_fast = plain_page_reader(model)

    def read(payload: Any, http_status: int) -> RawPage[T]:
        return read_page(payload, model, http_status=http_status)

    def read_bytes(body: bytes, http_status: int) -> RawPage[T] | None:
        page = None if read_fast is None else read_fast(body)
        if page is not None:
            paging = paging_of(page.before, page.after, page.next, page.previous)
            return RawPage(rows=page.rows, paging=paging, extra=NO_EXTRA)
        if len(body) <= LARGE_PAGE:
            return None
        rows_reader = partial(read_rows, model=model, http_status=http_status, path="$.data")
        members = read_large_page(body, rows_reader, http_status=http_status)
        return None if members is None else _page_of(members["data"], members, http_status)

    return Reader(read, read_bytes)


def read_paging(paging: object, *, http_status: int | None = None) -> Paging:
    """Read the `paging` of a page. Each part may be missing, null or empty.

    Raises:
        DecodeError: A part has another type.
    """
    members = _read_object(paging, "$.paging", http_status)
    cursors = _read_object(members.get("cursors"), "$.paging.cursors", http_status)
    following = _read_text(members.get("next"), "$.paging.next", http_status)
    previous = _read_text(members.get("previous"), "$.paging.previous", http_status)
    before = _read_text(cursors.get("before"), "$.paging.cursors.before", http_status)
    after = _read_text(cursors.get("after"), "$.paging.cursors.after", http_status)
    return paging_of(before, after, following, previous)


def paging_of(before: str | None, after: str | None, following: str | None, previous: str | None) -> Paging:
    """Return what two cursors and two links say. A cursor may stand in its link alone."""
    if not before and previous:
        before = _cursor_in(previous, "before")
    if not after and following:
        after = _cursor_in(following, "after")
    return Paging(Cursors(before or None, after or None), bool(following), bool(previous))


def _read_object(value: Any, path: str, http_status: int | None) -> dict[str, Any]:
    if value and type(value) is not dict:
        raise DecodeError(f"expected an object @ {path}", http_status=http_status)
    return cast("dict[str, Any]", value) or {}


def _read_text(value: Any, path: str, http_status: int | None) -> str:
    if value and type(value) is not str:
        raise DecodeError(f"expected a string @ {path}", http_status=http_status)
    if value and len(value) > LONGEST_LINK:
        raise DecodeError(f"expected at most {LONGEST_LINK} characters @ {path}", http_status=http_status)
    return value or ""


def _cursor_in(link: str, name: str) -> str | None:
    try:
        return parse_qs(urlsplit(link).query).get(name, [None])[0]
    except ValueError:  # a link that is no URL has no cursor
        return None


class PageCursor(Generic[T]):
    """The position in one list: decides which page comes next, and when the list ends.

    Request the page of `next_params()` and give it to `take()`, until `next_params()` is `None`. A request that fails
    changes nothing: `next_params()` then gives the same page again.

    Args:
        query: What the list is asked for. The API applies a filter to each page after it has cut the pages. So a page
            of a filtered list may have fewer rows than its limit, or none, and the list goes on.
    """

    def __init__(self, query: ListQuery) -> None:
        self.cursor: str | None = query.before or query.after
        self.limit: int | None = query.limit
        self.at_end: bool = query.max_items == 0
        """Whether no page is left to request."""
        self._backwards = query.before is not None
        self._wanted = query.max_items
        self._follow = query.follow
        self._is_filtered = "filtering" in query.params
        # The page taken last. `cursor` moves past it only when the next page is wanted: until then the caller may
        # still have unread rows of it, and a later run must get them again.
        self._page: Page[T] | None = None
        self._was_cut = False
        self._seen = {self.cursor}
        self._empty_pages = 0

    @property
    def _max_empty_pages(self) -> int:
        # A filter empties small pages more often than large ones. So the limit grows as pages shrink.
        return MAX_EMPTY_PAGES * (MAX_PAGE_SIZE // (self.limit or DEFAULT_PAGE_SIZE) if self._is_filtered else 1)

    def pages_to_prefetch(self, waiting: int, *, most: int) -> int:
        """Count the pages that may be requested ahead.

        At the end it is 0. Rows count for `max_items` as soon as their page is taken, read or not.

        Args:
            waiting: Pages that were taken, and that the caller has not read yet.
            most: How many may wait.
        """
        return 0 if self.at_end else max(0, most - waiting)

    def next_params(self) -> dict[str, str] | None:
        """Leave the page taken last, and give the query parameters of the next one; `None` at the end.

        Raises:
            PaginationError: The page taken last has no cursor, or leads back. Each further call raises it again.
        """
        if self._page is not None:
            self._leave(self._page)
        if self.at_end:
            return None
        params = {} if self.limit is None else {"limit": str(self.limit)}
        # The last page needs no more rows than are still wanted. With a filter that would not hold: a page of 5 rows
        # may lose all 5, so a small limit would only cost more requests.
        if self._wanted is not None and not self._is_filtered and self._wanted < (self.limit or DEFAULT_PAGE_SIZE):
            params["limit"] = str(self._wanted)
        if self.cursor is not None:
            params["before" if self._backwards else "after"] = self.cursor
        return params

    def take(self, raw: RawPage[T]) -> Page[T]:
        """Take the page that was requested, and give it with no more rows than are wanted."""
        rows, paging, goes_on = raw.rows, raw.paging, self._goes_on(raw)
        self._empty_pages = 0 if rows else self._empty_pages + 1
        if self._wanted is not None:
            rows = rows[: self._wanted]
            self._wanted -= len(rows)
            self._was_cut = len(rows) < len(raw.rows)
        self.at_end = not goes_on or self._wanted == 0
        self._page = Page(
            data=tuple(rows),
            cursors=paging.cursors,
            has_next=paging.has_next if self._backwards else goes_on,
            has_previous=goes_on if self._backwards else paging.has_previous,
            extra=raw.extra,
        )
        return self._page

    def is_last(self, raw: RawPage[T]) -> bool:
        """Whether the list ends with a page. The page is not taken yet."""
        is_enough = self._wanted is not None and len(raw.rows) >= self._wanted
        return is_enough or not self._goes_on(raw)

    def _goes_on(self, raw: RawPage[T]) -> bool:
        if self._follow == "after":
            cursors = raw.paging.cursors
            return bool(raw.rows) and (cursors.before if self._backwards else cursors.after) is not None
        return raw.paging.has_previous if self._backwards else raw.paging.has_next

    def _leave(self, page: Page[T]) -> None:
        """Move the cursor past a page."""
        cursor = page.cursors.before if self._backwards else page.cursors.after
        if not self.at_end:
            if cursor is None:
                raise PaginationError(
                    "the list goes on, but its page has no cursor for the next page: start the list again"
                )
            if cursor in self._seen:
                raise PaginationError(
                    f"the list goes in a circle, since cursor {cursor!r} came twice: start the list again",
                    cursor=cursor,
                )
            if self._empty_pages and self._empty_pages >= self._max_empty_pages:
                raise PaginationError(
                    f"the list seems endless: {self._empty_pages} empty pages in a row, up to cursor {cursor!r}. "
                    "Start it again, with another filter if it has one",
                    cursor=cursor,
                )
        # A page that `max_items` cut stays the position: moving past it would skip the rows that were cut off.
        if cursor is not None and not self._was_cut:
            self.cursor = cursor
            self._seen.add(cursor)
        self._page = None
