"""The iterator over a list: complete, in order, and ending. A fake fetch stands for the requests."""

import asyncio
import itertools
import pickle
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator

import attrs
import pytest
from books import Book, Params, Rows, drain, raw_page
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async import (
    AsyncPaginator,
    Page,
    PaginationError,
    PhoneNumber,
    TransportError,
)
from wa_phone_async.models import NO_EXTRA, Cursors
from wa_phone_async.pagination.page import PageCursor, Paging, RawPage
from wa_phone_async.query import Follow, ListQuery


def over(
    fetch: Callable[[Params], Awaitable[RawPage[int]]],
    *,
    limit: int | None = None,
    after: str | None = None,
    before: str | None = None,
    max_items: int | None = None,
    follow: Follow = "next",
    is_filtered: bool = False,
) -> AsyncPaginator[int]:
    query = ListQuery(
        params={"filtering": "[]"} if is_filtered else {},
        limit=limit,
        after=after,
        before=before,
        max_items=max_items,
        follow=follow,
    )
    return AsyncPaginator(fetch, PageCursor[int](query))


def script(pages: Iterable[RawPage[int]]) -> Callable[[Params], Awaitable[RawPage[int]]]:
    """A fetch that sends these pages one after the other, whatever is requested."""
    script = iter(pages)

    async def fetch(_: Params) -> RawPage[int]:
        return next(script)

    return fetch


# Complete, in order, and ending


sizes = st.integers(0, 60)
limits = st.integers(1, 30)


@given(size=sizes, limit=limits)
def test_every_row_comes_once_and_in_order_whatever_the_page_size(size: int, limit: int) -> None:
    book = Book(size)
    assert asyncio.run(drain(over(book.fetch, limit=limit))) == list(range(size))
    assert len(book.requests) == max(1, -(-size // limit))  # no request is spent on finding the end


@given(size=sizes, limit=limits, start=st.integers(0, 59))
def test_backwards_each_page_comes_as_sent_and_the_list_ends_where_previous_is_absent(
    size: int, limit: int, start: int
) -> None:
    start = min(start, size)

    async def backwards() -> list[Rows]:
        return [list(page) async for page in over(Book(size).fetch, limit=limit, before=str(start)).pages()]

    pages = asyncio.run(backwards())
    assert [row for page in reversed(pages) for row in page] == list(range(start))
    assert all(page == sorted(page) for page in pages)


@given(size=sizes, limit=limits, hidden=st.sets(st.integers(0, 59)))
def test_short_and_empty_pages_end_nothing(size: int, limit: int, hidden: set[int]) -> None:
    book = Book(size, hidden=hidden)
    assert asyncio.run(drain(over(book.fetch, limit=limit))) == [row for row in range(size) if row not in hidden]


@given(size=sizes, limit=limits, max_items=st.integers(0, 70))
def test_max_items_is_kept_and_the_last_request_has_no_larger_limit_than_is_wanted(
    size: int, limit: int, max_items: int
) -> None:
    book = Book(size)
    paginator = over(book.fetch, limit=limit, max_items=max_items)
    assert asyncio.run(paginator.collect()) == list(range(min(size, max_items)))
    wanted = max_items
    for requested in book.limits:
        assert int(requested) == min(limit, wanted)
        wanted -= limit
    assert paginator.exhausted


@given(size=sizes, limit=limits, follow=st.sampled_from(["next", "after"]), data=st.data())
def test_after_failures_the_same_iterator_goes_on_with_the_page_that_failed(
    size: int, limit: int, follow: Follow, data: st.DataObject
) -> None:
    book = Book(size)
    book.failures = [
        TransportError("gone") if fails else None for fails in data.draw(st.lists(st.booleans(), max_size=20))
    ]
    paginator = over(book.fetch, limit=limit, follow=follow)
    steps = data.draw(st.lists(st.sampled_from(["row", "page", "rest"]), max_size=40))

    async def take() -> Rows:
        rows: Rows = []
        for step in [*steps, *["rest"] * 21]:
            try:
                rows += await one(step, paginator)
            except TransportError:
                assert not paginator.exhausted
        return rows

    assert asyncio.run(take()) == list(range(size))
    assert paginator.exhausted


async def one(step: str, paginator: AsyncPaginator[int]) -> Rows:
    if step == "row":
        row = await anext(paginator, None)
        return [] if row is None else [row]
    if step == "page":
        return list(await anext(paginator.pages(), Page[int]()))
    return await paginator


@given(size=sizes, limit=limits, eaten=st.integers(0, 70), max_items=st.none() | st.integers(0, 70))
def test_a_cursor_never_skips(size: int, limit: int, eaten: int, max_items: int | None) -> None:
    async def resumed() -> tuple[Rows, Rows]:
        first = over(Book(size).fetch, limit=limit, max_items=max_items)
        rows = [row for _ in range(eaten) if (row := await anext(first, None)) is not None]
        return rows, await over(Book(size).fetch, limit=limit, after=first.cursor)

    begun, rest = asyncio.run(resumed())
    overlap = len(begun) + len(rest) - size
    assert 0 <= overlap <= limit  # part of a page may come again
    assert [*begun, *rest[overlap:]] == list(range(size))


@given(size=sizes, limit=limits)
def test_following_cursors_alone_gives_the_same_rows(size: int, limit: int) -> None:
    class Linkless(Book):
        def page(self, params: Params) -> RawPage[int]:
            page = super().page(params)
            return attrs.evolve(page, paging=Paging(page.paging.cursors))

    book = Linkless(size)
    assert asyncio.run(over(book.fetch, limit=limit, follow="after").collect()) == list(range(size))
    assert asyncio.run(over(Linkless(size).fetch, limit=limit, before=str(size), follow="after").collect()) == [
        row for start in range(size, 0, -limit) for row in range(max(0, start - limit), start)
    ]


def test_its_repr_says_that_an_await_is_missing() -> None:
    assert repr(AsyncPaginator(Book(1).fetch, PageCursor[int](ListQuery()))) == (
        "<AsyncPaginator: await it for all rows that are left, or iterate over it with 'async for'>"
    )


def test_a_paginator_is_not_pickled() -> None:
    with pytest.raises(TypeError, match="holds a token, so you cannot pickle it: send its cursor"):
        pickle.dumps(AsyncPaginator(Book(1).fetch, PageCursor[int](ListQuery())))


async def test_following_cursors_alone_ends_at_a_page_without_one() -> None:
    fetch = script([raw_page([1], after="A"), raw_page([2], after=None)])
    assert await over(fetch, follow="after") == [1, 2]


async def test_following_cursors_alone_ends_at_an_empty_page_with_one() -> None:
    fetch = script([raw_page([1], after="A"), raw_page([], after="B", has_next=True)])
    assert await over(fetch, follow="after") == [1]


async def test_without_a_limit_none_is_sent_until_fewer_than_a_default_page_are_wanted() -> None:
    book = Book(60)
    assert await over(book.fetch, max_items=30) == list(range(30))
    assert book.requests == [{}, {"limit": "5", "after": "24"}]


async def test_more_rows_than_requested_are_cut_and_resuming_skips_none() -> None:
    fetch = script([raw_page([0, 1, 2], cursors=Cursors("0", "2"), has_next=True)])
    paginator = over(fetch, max_items=2)
    assert await paginator == [0, 1]
    assert paginator.exhausted
    assert paginator.cursor is None


async def test_many_empty_pages_cause_no_recursion() -> None:
    def pages() -> Iterator[RawPage[int]]:
        for row in range(20):
            yield from (raw_page([], after=f"{row}.{number}", has_next=True) for number in range(99))
            yield raw_page([row], after=str(row), has_next=row < 19)

    assert await over(script(pages())) == list(range(20))


# Lists that lead nowhere


@pytest.mark.parametrize("follow", ["next", "after"])
@pytest.mark.parametrize("cursors", ["AA", "ABA", "ABCB", "ABCDA"])
@pytest.mark.parametrize("start", [None, "A"])
async def test_a_circle_ends_after_the_rows_that_came(start: str | None, cursors: str, follow: Follow) -> None:
    fetch = script(raw_page([row], after=cursor, has_next=True) for row, cursor in enumerate(cursors))
    paginator = over(fetch, follow=follow, after=start)
    rows, error = await until_error(paginator)
    came_twice = 0 if start else [cursor in cursors[:index] for index, cursor in enumerate(cursors)].index(True)
    assert rows == list(range(came_twice + 1))
    assert error.cursor == cursors[came_twice]
    assert str(error) == (
        f"the list goes in a circle, since cursor {cursors[came_twice]!r} came twice: start the list again"
    )


async def until_error(paginator: AsyncIterator[int]) -> tuple[Rows, PaginationError]:
    rows: Rows = []
    try:
        async for row in paginator:
            rows.append(row)
    except PaginationError as error:
        return rows, error
    raise AssertionError("the list ended")


async def test_a_circle_raises_each_time() -> None:
    paginator = over(script(raw_page([row], after="A", has_next=True) for row in range(2)))
    for _ in range(2):
        with pytest.raises(PaginationError):
            await paginator
    assert not paginator.exhausted
    assert paginator.cursor is None  # collected rows that never came out are not passed


async def test_a_circle_backwards_raises_too() -> None:
    page = raw_page([1], cursors=Cursors(before="A"), has_previous=True)
    with pytest.raises(PaginationError, match="'A' came twice"):
        await over(script([page, page]), before="Z")


async def test_a_hundred_empty_pages_in_a_row_raise() -> None:
    pages = (raw_page([], after=str(number), has_next=True) for number in range(1, 1000))
    with pytest.raises(PaginationError) as caught:
        await over(script(pages))
    assert caught.value.cursor == "100"
    assert str(caught.value) == (
        "the list seems endless: 100 empty pages in a row, up to cursor '100'. "
        "Start it again, with another filter if it has one"
    )


async def test_ninety_nine_empty_pages_in_a_row_are_fine() -> None:
    pages = [raw_page([], after=str(number), has_next=True) for number in range(99)]
    assert await over(script([*pages, raw_page([7])])) == [7]


@pytest.mark.parametrize(("limit", "most"), [(100, 100), (30, 300), (None, 400), (1, 10_000)])
async def test_a_filtered_list_may_have_more_empty_pages_the_smaller_they_are(limit: int | None, most: int) -> None:
    pages = (raw_page([], after=str(number), has_next=True) for number in itertools.count(1))
    with pytest.raises(PaginationError, match=f"{most} empty pages in a row") as caught:
        await over(script(pages), limit=limit, is_filtered=True)
    assert caught.value.cursor == str(most)


@pytest.mark.parametrize(("is_filtered", "limit"), [(False, "2"), (True, "50")])
async def test_max_items_makes_no_page_of_a_filtered_list_smaller(*, is_filtered: bool, limit: str) -> None:
    book = Book(5)
    assert await over(book.fetch, limit=50, max_items=2, is_filtered=is_filtered) == [0, 1]
    assert book.limits == [limit]


@pytest.mark.parametrize("max_items", [None, 2])
async def test_next_without_any_cursor_is_an_error_after_the_rows(max_items: int | None) -> None:
    paginator = over(script([raw_page([1], has_next=True)]), max_items=max_items)
    assert await anext(paginator) == 1
    with pytest.raises(PaginationError, match="but its page has no cursor for the next page: start") as caught:
        await anext(paginator)
    assert caught.value.cursor is None


async def test_a_missing_cursor_does_not_matter_once_max_items_have_come() -> None:
    assert await over(script([raw_page([1], has_next=True)]), max_items=1) == [1]


# One position for rows and pages


async def test_a_paginator_is_its_own_iterator_and_is_used_once() -> None:
    paginator = over(Book(5).fetch)
    assert aiter(paginator) is paginator
    assert await paginator == [0, 1, 2, 3, 4]
    assert await paginator == []
    assert await drain(paginator) == []


async def test_awaiting_after_a_part_gives_the_rest() -> None:
    paginator = over(Book(7).fetch, limit=3)
    assert [await anext(paginator), await anext(paginator)] == [0, 1]
    assert await paginator == [2, 3, 4, 5, 6]


async def test_collect_is_a_coroutine() -> None:
    task = asyncio.create_task(over(Book(7).fetch, limit=3).collect())
    assert await task == list(range(7))


async def test_it_can_be_waited_for_like_any_awaitable() -> None:
    assert await asyncio.wait_for(over(Book(2).fetch), 5) == [0, 1]


async def test_pages_after_some_rows_give_the_rest_of_that_page_first() -> None:
    paginator = over(Book(7).fetch, limit=3)
    await anext(paginator)
    pages = [page async for page in paginator.pages()]
    assert [page.data for page in pages] == [(1, 2), (3, 4, 5), (6,)]
    assert [page.has_next for page in pages] == [True, True, False]
    assert pages[0].cursors == Cursors("0", "2")


async def test_rows_after_some_pages_go_on_with_the_next() -> None:
    paginator = over(Book(7).fetch, limit=3)
    await anext(paginator.pages())
    assert await drain(paginator) == [3, 4, 5, 6]


async def test_pages_show_the_empty_ones() -> None:
    paginator = over(Book(4, hidden={0, 1}).fetch, limit=2)
    assert [page.data async for page in paginator.pages()] == [(), (2, 3)]


async def test_the_first_page_is_one_request() -> None:
    book = Book(7)
    page = await over(book.fetch, limit=3).first_page()
    assert (list(page), len(page), page.has_next, page.cursors.after) == ([0, 1, 2], 3, True, "2")
    assert len(book.requests) == 1


async def test_the_first_page_needs_an_unused_paginator() -> None:
    paginator = over(Book(7).fetch, limit=3)
    await anext(paginator)
    with pytest.raises(RuntimeError, match="not used yet"):
        await paginator.first_page()


async def test_after_an_error_the_first_page_can_be_requested_again() -> None:
    book = Book(2)
    book.failures = [TransportError("gone")]
    paginator = over(book.fetch)
    with pytest.raises(TransportError):
        await paginator.first_page()
    assert (await paginator.first_page()).data == (0, 1)


async def test_without_any_page_the_first_one_is_empty() -> None:
    book = Book(2)
    assert await over(book.fetch, max_items=0).first_page() == Page()
    assert book.requests == []


async def test_max_items_of_0_requests_nothing() -> None:
    book = Book(2)
    paginator = over(book.fetch, max_items=0)
    assert paginator.exhausted
    assert await paginator == []
    assert book.requests == []


@pytest.mark.parametrize("step", ["row", "page", "rest"])
async def test_two_consumers_at_once_get_a_runtime_error(step: str) -> None:
    book = Book(7)
    paginator = over(book.fetch, limit=3)
    results = await asyncio.gather(one(step, paginator), one(step, paginator), return_exceptions=True)
    assert [isinstance(result, RuntimeError) for result in results] == [False, True]
    assert str(results[1]) == ("two consumers want the next page of this paginator at once: give each its own")
    first = results[0]
    assert isinstance(first, list)
    assert [*first, *await paginator] == list(range(7))  # the first one loses no row


# Where a later run goes on


async def test_the_cursor_moves_when_the_consumer_goes_past_the_last_row_of_a_page() -> None:
    paginator = over(Book(5).fetch, limit=2)
    seen = [paginator.cursor]
    while await anext(paginator, None) is not None:
        seen.append(paginator.cursor)
    assert seen == [None, None, None, "1", "1", "3"]
    assert paginator.cursor == "4"


async def test_the_cursor_begins_where_the_list_does() -> None:
    assert over(Book(5).fetch, after="2").cursor == "2"
    assert over(Book(5).fetch, before="2").cursor == "2"


async def test_backwards_the_cursor_points_back_and_pages_keep_their_own_order() -> None:
    paginator = over(Book(5).fetch, limit=2, before="4")
    pages = [(page.data, page.has_previous, page.has_next, paginator.cursor) async for page in paginator.pages()]
    assert pages == [((2, 3), True, True, "4"), ((0, 1), False, True, "2")]
    assert paginator.cursor == "0"


async def test_rows_that_were_read_are_freed_before_the_next_page_is_requested() -> None:
    read = list[weakref.ref[PhoneNumber]]()
    alive = list[int]()

    async def fetch(_: Params) -> RawPage[PhoneNumber]:
        alive.append(sum(row() is not None for row in read))
        rows = [PhoneNumber(str(number)) for number in range(5)]
        read.extend(map(weakref.ref, rows))
        return RawPage(rows=rows, paging=Paging(Cursors(after=str(len(read))), has_next=len(read) < 15), extra=NO_EXTRA)

    assert [int(number.id) async for number in AsyncPaginator(fetch, PageCursor[PhoneNumber](ListQuery()))] == [
        *range(5)
    ] * 3
    assert alive == [0, 1, 1]  # the consumer still holds the last one


async def test_exhausted_is_true_when_nothing_is_left() -> None:
    paginator = over(Book(3).fetch, limit=2)
    seen = [paginator.exhausted]
    async for _ in paginator:
        seen.append(paginator.exhausted)  # noqa: PERF401 - what it says between two steps
    assert seen == [False, False, False, True]


async def test_max_items_exhausts_at_the_last_row_without_another_step() -> None:
    paginator = over(Book(9).fetch, max_items=2)
    await anext(paginator)
    assert not paginator.exhausted
    await anext(paginator)
    assert paginator.exhausted


async def test_after_an_error_everything_collected_is_still_there() -> None:
    book = Book(7)
    book.failures = [None, None, TransportError("gone")]
    paginator = over(book.fetch, limit=3)
    with pytest.raises(TransportError):
        await paginator
    assert (paginator.cursor, paginator.exhausted) == (None, False)
    assert await paginator == list(range(7))


async def test_after_a_cancellation_everything_collected_is_still_there() -> None:
    book = Book(7)
    book.failures = [None, asyncio.CancelledError()]
    paginator = over(book.fetch, limit=3)
    with pytest.raises(asyncio.CancelledError):
        await paginator
    assert await paginator == list(range(7))
