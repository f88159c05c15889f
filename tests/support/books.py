"""A list of numbers behind pages, kept as an honest server keeps it, for tests that need no socket."""

import asyncio
from collections.abc import AsyncIterator, Iterable

from wa_phone_async.models import NO_EXTRA, Cursors
from wa_phone_async.pagination.paginator import Listing, Paging

Place = dict[str, str]
Rows = list[int]


class Book:
    """A list of 0, 1, 2, … behind pages, as an honest server keeps it: cursors are the rows' own texts."""

    def __init__(self, size: int, *, default_limit: int = 25, blanks: Iterable[int] = ()) -> None:
        self.asked: list[Place] = []
        self.failures: list[BaseException | None] = []
        self._rows = list(range(size))
        self._default_limit = default_limit
        self._blanks = frozenset(blanks)

    async def fetch(self, place: Place) -> Listing[int]:
        self.asked.append(place)
        if self.failures and (failure := self.failures.pop(0)) is not None:
            raise failure
        await asyncio.sleep(0)
        return self.page(place)

    def page(self, place: Place) -> Listing[int]:
        limit = int(place.get("limit", self._default_limit))
        if "before" in place:
            end = int(place["before"])
            start = max(0, end - limit)
        else:
            start = int(place["after"]) + 1 if "after" in place else 0
            end = min(start + limit, len(self._rows))
        rows = self._rows[start:end]
        cursors = Cursors(str(rows[0]), str(rows[-1])) if rows else Cursors()
        shown = [row for row in rows if row not in self._blanks]
        return listing(shown, cursors=cursors, has_next=end < len(self._rows), has_previous=start > 0)

    @property
    def limits(self) -> list[str]:
        return [place["limit"] for place in self.asked]


def listing(
    rows: Rows,
    *,
    cursors: Cursors | None = None,
    after: str | None = None,
    has_next: bool = False,
    has_previous: bool = False,
) -> Listing[int]:
    paging = Paging(cursors or Cursors(after=after), has_next=has_next, has_previous=has_previous)
    return Listing(rows=rows, paging=paging, extra=NO_EXTRA)


async def drain(paginator: AsyncIterator[int]) -> Rows:
    return [row async for row in paginator]
