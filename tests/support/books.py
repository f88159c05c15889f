"""A fake list of numbers behind pages, for tests that need no socket."""

import asyncio
from collections.abc import AsyncIterator, Iterable

from wa_phone_async.models import NO_EXTRA, Cursors
from wa_phone_async.pagination.page import Paging, RawPage

Params = dict[str, str]
Rows = list[int]


class Book:
    """The list 0, 1, 2, …, paged as an honest server pages it. The cursor of a row is its text.

    Args:
        size: How many rows it has.
        default_limit: Rows of a page where no limit is requested.
        hidden: Rows that a filter removes from their page.
    """

    def __init__(self, size: int, *, default_limit: int = 25, hidden: Iterable[int] = ()) -> None:
        self.requests: list[Params] = []
        self.failures: list[BaseException | None] = []
        self._rows = list(range(size))
        self._default_limit = default_limit
        self._hidden = frozenset(hidden)

    async def fetch(self, params: Params) -> RawPage[int]:
        """Send a page, or fail with the next of `failures`."""
        self.requests.append(params)
        if self.failures and (failure := self.failures.pop(0)) is not None:
            raise failure
        await asyncio.sleep(0)
        return self.page(params)

    def page(self, params: Params) -> RawPage[int]:
        limit = int(params.get("limit", self._default_limit))
        if "before" in params:
            end = int(params["before"])
            start = max(0, end - limit)
        else:
            start = int(params["after"]) + 1 if "after" in params else 0
            end = min(start + limit, len(self._rows))
        rows = self._rows[start:end]
        cursors = Cursors(str(rows[0]), str(rows[-1])) if rows else Cursors()
        shown = [row for row in rows if row not in self._hidden]
        return raw_page(shown, cursors=cursors, has_next=end < len(self._rows), has_previous=start > 0)

    @property
    def limits(self) -> list[str]:
        """The limit of each request."""
        return [params["limit"] for params in self.requests]


def raw_page(
    rows: Rows,
    *,
    cursors: Cursors | None = None,
    after: str | None = None,
    has_next: bool = False,
    has_previous: bool = False,
) -> RawPage[int]:
    paging = Paging(cursors or Cursors(after=after), has_next=has_next, has_previous=has_previous)
    return RawPage(rows=rows, paging=paging, extra=NO_EXTRA)


async def drain(paginator: AsyncIterator[int]) -> Rows:
    return [row async for row in paginator]
