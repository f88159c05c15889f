"""Read-ahead: the same rows, errors and cursors as without, in less time. It leaves nothing behind its block."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Unpack

import pytest
from books import Book, Params, Rows, drain, raw_page
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async import (
    AsyncPaginator,
    InvalidArgumentError,
    PaginationError,
    PhoneNumber,
    PhoneNumberClient,
    RateLimitError,
    RetryPolicy,
    Throttle,
    TransportError,
)
from wa_phone_async.client import Settings
from wa_phone_async.concurrency import Slot, current_slot
from wa_phone_async.pagination.page import PageCursor, RawPage
from wa_phone_async.query import Follow, ListQuery
from wa_phone_async.sandbox import BUSINESS_ID, LARGE_WABA, Fault, Sandbox

TOKEN = "an-invented-token"
PLEASE_LESS = Fault.error(1, "Please reduce the amount of data you're asking for, then retry your request")
Fetch = Callable[[Params], Awaitable[RawPage[int]]]


def over(
    fetch: Fetch,
    read_ahead: int,
    *,
    limit: int | None = None,
    before: str | None = None,
    max_items: int | None = None,
    follow: Follow = "next",
) -> AsyncPaginator[int]:
    cursor = PageCursor[int](ListQuery(limit=limit, before=before, max_items=max_items, follow=follow))
    return AsyncPaginator(fetch, cursor, read_ahead=read_ahead)


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    assert asyncio.all_tasks() == before


@pytest.fixture(autouse=True)
def nothing_complained(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No exception of a task is reported as never retrieved."""
    yield
    gc.collect(0)
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


async def idle(turns: int = 20) -> None:
    """Let the background task do what it can."""
    for _ in range(turns):
        await asyncio.sleep(0)


# The same as without


steps = st.lists(st.sampled_from(["row", "page", "first", "rest", "idle"]), max_size=25)
ahead = st.integers(1, 6)
failing = st.lists(st.sampled_from([None, None, TransportError, asyncio.CancelledError]), max_size=12)

Seen = list[object]


async def see(paginator: AsyncPaginator[int], taken: Iterable[str]) -> Seen:
    """What a caller sees after each step: rows or an error, the cursor, and whether the list is exhausted."""
    seen: Seen = []
    async with nothing_left(), paginator:
        for step in taken:
            try:
                result: object = await take(step, paginator)
            except (TransportError, PaginationError, RuntimeError) as error:
                result = repr(error)
            except asyncio.CancelledError:
                result = "cancelled"
            seen.append((result, paginator.cursor, paginator.exhausted))
    return seen


async def take(step: str, paginator: AsyncPaginator[int]) -> object:
    match step:
        case "row":
            return await anext(paginator, None)
        case "page":
            return await anext(paginator.pages(), None)
        case "first":
            return await paginator.first_page()
        case "rest":
            return await paginator
    await idle()
    return None


@given(
    size=st.integers(0, 60),
    limit=st.integers(1, 30),
    read_ahead=ahead,
    max_items=st.none() | st.integers(0, 70),
    follow=st.sampled_from(["next", "after"]),
    before=st.none() | st.integers(0, 60),
    failures=failing,
    taken=steps,
    to_the_end=st.booleans(),
)
def test_a_caller_sees_and_sends_what_it_would_without(  # noqa: PLR0917 - hypothesis gives them by name
    size: int,
    limit: int,
    read_ahead: int,
    max_items: int | None,
    follow: Follow,
    before: int | None,
    failures: list[type[BaseException] | None],
    taken: list[str],
    *,
    to_the_end: bool,
) -> None:
    def run(read_ahead: int) -> tuple[Seen, list[Params]]:
        book = Book(size)
        book.failures = [failure("gone") if failure else None for failure in failures]
        start = None if before is None else str(min(before, size))
        paginator = over(book.fetch, read_ahead, limit=limit, before=start, max_items=max_items, follow=follow)
        return asyncio.run(see(paginator, [*taken, *["rest"] * 13 * to_the_end])), book.requests

    seen, sent = run(read_ahead)
    seen_without, sent_without = run(0)
    assert seen == seen_without
    assert sent[: len(sent_without)] == sent_without
    assert len(sent) <= len(sent_without) + read_ahead
    if to_the_end:
        assert sent == sent_without


@given(
    pages=st.lists(
        st.tuples(st.lists(st.integers(), max_size=3), st.none() | st.sampled_from("ABCDEFG"), st.booleans()),
        min_size=1,
        max_size=8,
    ),
    read_ahead=ahead,
    max_items=st.none() | st.integers(0, 9),
    follow=st.sampled_from(["next", "after"]),
    taken=steps,
)
def test_lists_that_lead_nowhere_are_the_same_as_without(
    pages: list[tuple[Rows, str | None, bool]], read_ahead: int, max_items: int | None, follow: Follow, taken: list[str]
) -> None:
    def run(read_ahead: int) -> tuple[Seen, int]:
        sent = 0

        async def fetch(_: Params) -> RawPage[int]:
            nonlocal sent
            sent += 1
            await asyncio.sleep(0)
            rows, after, has_next = pages[(sent - 1) % len(pages)]
            return raw_page(rows, after=after, has_next=has_next)

        paginator = over(fetch, read_ahead, max_items=max_items, follow=follow)
        return asyncio.run(see(paginator, [*taken, "rest", "rest"])), sent

    assert run(read_ahead) == run(0)


@given(
    size=st.integers(0, 60),
    limit=st.integers(1, 30),
    read_ahead=ahead,
    max_items=st.none() | st.integers(0, 70),
    eaten=st.integers(0, 70),
)
def test_stopping_early_wastes_at_most_read_ahead_requests_and_none_past_the_end(
    size: int, limit: int, read_ahead: int, max_items: int | None, eaten: int
) -> None:
    async def calls(read_ahead: int, eaten: int) -> int:
        book = Book(size)
        async with over(book.fetch, read_ahead, limit=limit, max_items=max_items) as paginator:
            for _ in range(eaten):
                await anext(paginator, None)
                await idle()
        return len(book.requests)

    sent = asyncio.run(calls(read_ahead, eaten))
    needed, whole = asyncio.run(calls(0, eaten)), asyncio.run(calls(0, size + 1))
    assert sent == (min(needed + read_ahead, whole) if eaten else 0)  # as many as it may, and no more


@given(
    size=st.integers(0, 40),
    limit=st.integers(1, 12),
    read_ahead=ahead,
    parts=st.lists(st.integers(0, 9), max_size=12),
    failures=failing,
)
def test_entered_again_it_goes_on_where_it_was(
    size: int, limit: int, read_ahead: int, parts: list[int], failures: list[type[BaseException] | None]
) -> None:
    book = Book(size)
    book.failures = [failure("gone") if failure else None for failure in failures]
    paginator = over(book.fetch, read_ahead, limit=limit)

    async def run() -> Rows:
        rows: Rows = []
        for part in [*parts, *[size + 1] * (len(failures) + 1)]:
            async with paginator:
                try:
                    for _ in range(part):
                        rows.append(await anext(paginator))
                except (TransportError, asyncio.CancelledError, StopAsyncIteration):
                    continue
        return rows

    assert asyncio.run(run()) == list(range(size))
    assert paginator.exhausted


# What is under way while the caller works


class SlowPages:
    """A list of pages of one row. A page is sent only when `send` allows it."""

    def __init__(self, pages: int = 99) -> None:
        self.requested = 0
        self.cancelled = 0
        self.pages = pages
        self._allowed = asyncio.Semaphore(0)

    def send(self, pages: int = 1) -> None:
        for _ in range(pages):
            self._allowed.release()

    async def fetch(self, _: Params) -> RawPage[int]:
        self.requested += 1
        number = self.requested
        try:
            await self._allowed.acquire()
        except asyncio.CancelledError:
            self.cancelled += 1
            await idle()  # it takes a while to end
            raise
        return raw_page([number], after=str(number), has_next=number < self.pages)


async def test_nothing_is_requested_before_the_first_page_is_wanted() -> None:
    server = SlowPages()
    async with nothing_left(), over(server.fetch, 3):
        await idle()
    assert server.requested == 0


@pytest.mark.parametrize("read_ahead", [1, 2, 5])
async def test_as_many_pages_are_requested_as_may_wait_one_after_the_other(read_ahead: int) -> None:
    server = SlowPages()
    async with nothing_left(), over(server.fetch, read_ahead) as paginator:
        server.send()
        assert await anext(paginator) == 1
        for waiting in range(read_ahead):
            await idle()
            assert server.requested == 2 + waiting
            server.send()
        await idle()
        assert server.requested == 1 + read_ahead
        assert await anext(paginator) == 2
        await idle()
        assert server.requested == 2 + read_ahead


@pytest.mark.parametrize("is_there", [False, True], ids=["the page comes", "the page is there"])
async def test_the_next_request_is_sent_before_the_caller_works_without_awaiting(*, is_there: bool) -> None:
    server = SlowPages()
    async with over(server.fetch, 1) as paginator:
        server.send(2)
        assert await anext(paginator) == 1
        await idle(20 * is_there)
        assert await anext(paginator) == 2
        assert server.requested == 3


async def test_the_rows_of_a_page_do_not_wait_for_a_slow_next_page() -> None:
    book = Book(6)

    async def fetch(params: Params) -> RawPage[int]:
        if len(book.requests) == 1:
            await asyncio.Event().wait()
        return await book.fetch(params)

    async with over(fetch, 1, limit=3) as paginator:
        assert [await anext(paginator) for _ in range(3)] == [0, 1, 2]


async def test_the_background_has_no_slot_of_the_callers() -> None:
    slots = []

    async def fetch(_: Params) -> RawPage[int]:
        slots.append(current_slot.get())
        return raw_page([1])

    slot = Slot(asyncio.Semaphore(1))
    slot.bind()
    async with over(fetch, 1) as paginator:
        await paginator
    await over(fetch, 0)
    assert slots == [None, slot]
    assert current_slot.get() is slot


# Errors


async def test_an_error_is_raised_where_its_page_is_wanted_and_not_before() -> None:
    book = Book(6)
    book.failures = [None, TransportError("gone")]
    async with over(book.fetch, 3, limit=2) as paginator:
        assert await anext(paginator) == 0
        await idle()
        assert len(book.requests) == 2
        assert await anext(paginator) == 1
        cursors = [paginator.cursor]
        with pytest.raises(TransportError) as caught:
            await anext(paginator)
        assert (caught.value.__cause__, caught.value.__context__) == (None, None)
        assert [*cursors, paginator.cursor] == [None, "1"]
        assert (paginator.exhausted, len(book.requests)) == (False, 2)
        assert await paginator == [2, 3, 4, 5]
    assert book.requests[1] == book.requests[2]


async def test_pages_before_a_failed_one_come_first() -> None:
    book = Book(6)
    book.failures = [None, None, TransportError("gone")]
    async with over(book.fetch, 4, limit=2) as paginator:
        rows = [await anext(paginator)]
        await idle()
        with pytest.raises(TransportError):
            rows += [row async for row in paginator]
        assert len(book.requests) == 3


async def test_after_an_error_everything_collected_is_still_there() -> None:
    book = Book(7)
    book.failures = [None, None, TransportError("gone")]
    async with over(book.fetch, 2, limit=3) as paginator:
        with pytest.raises(TransportError):
            await paginator
        assert (paginator.cursor, paginator.exhausted) == (None, False)
        assert await paginator == list(range(7))


async def test_the_error_of_a_page_that_nobody_wanted_is_not_raised() -> None:
    book = Book(6)
    book.failures = [None, TransportError("gone"), ValueError("a bug")]
    async with nothing_left(), over(book.fetch, 1, limit=2) as paginator:
        await anext(paginator)
        await idle()
    async with nothing_left(), paginator:  # wanted after all, the page is requested again
        with pytest.raises(ValueError, match="a bug"):
            await paginator
        await idle()


@pytest.mark.parametrize("begun", [False, True], ids=["before it begins", "in a call"])
async def test_a_cancellation_from_elsewhere_is_raised_where_the_page_is_wanted(*, begun: bool) -> None:
    server, begun = SlowPages(), begun or asyncio.get_running_loop().get_task_factory() is not None  # eager tasks have
    async with nothing_left(), over(server.fetch, 1) as paginator:
        server.send()
        wanting = asyncio.create_task(anext(paginator))
        await idle(20 if begun else 1)
        for task in asyncio.all_tasks() - {asyncio.current_task(), wanting}:
            task.cancel()
        await idle()
        rows = [await wanting] if begun else []
        with pytest.raises(asyncio.CancelledError):
            rows.append(await (anext(paginator) if begun else wanting))
        server.send()
        assert await anext(paginator) == (3 if begun else 1)


# Leaving the block


@pytest.mark.parametrize("leave", ["at its end", "by an error", "by a cancellation"])
async def test_leaving_cancels_what_is_under_way_and_waits_for_its_end(leave: str) -> None:
    server = SlowPages()
    server.send()

    async def work() -> None:
        async with over(server.fetch, 2) as paginator:
            assert await anext(paginator) == 1
            await idle()
            if leave == "by an error":
                raise KeyError(leave)
            if leave == "by a cancellation":
                await asyncio.Event().wait()

    async with nothing_left():
        task = asyncio.create_task(work())
        await idle(100)
        task.cancel()
        await asyncio.wait({task})
        assert (server.requested, server.cancelled) == (2, 1)
    assert task.cancelled() == (leave == "by a cancellation")
    if leave == "by an error":
        assert isinstance(task.exception(), KeyError)


@pytest.mark.parametrize("moment", range(25))
async def test_a_cancellation_while_the_block_is_left_leaves_nothing_either(moment: int) -> None:
    server = SlowPages()
    server.send()
    paginator = over(server.fetch, 1)

    async def work() -> None:
        async with paginator:
            await anext(paginator)
            await idle(3)
        await asyncio.Event().wait()

    async with nothing_left():
        task = asyncio.create_task(work())
        await idle(moment)
        task.cancel()
        await asyncio.wait({task})
        assert len(asyncio.all_tasks()) == 1
    assert task.cancelled()


async def test_leaving_the_block_ends_the_wait_of_another_task_with_an_error() -> None:
    async with nothing_left():
        async with over(SlowPages().fetch, 1) as paginator:
            waiting = asyncio.create_task(paginator.collect())
            await idle()
        with pytest.raises(RuntimeError, match="inside its block"):
            await waiting
    assert not paginator.exhausted


async def test_a_cancelled_wait_for_a_page_does_not_lose_the_page() -> None:
    server = SlowPages()
    async with nothing_left(), over(server.fetch, 1) as paginator:
        waiting = asyncio.create_task(paginator.collect())
        await idle()
        waiting.cancel()
        await asyncio.wait({waiting})
        server.send()
        assert await anext(paginator) == 1
        assert server.requested == 2


# Only inside the block


async def rest(paginator: AsyncPaginator[int]) -> object:
    return await paginator


async def row(paginator: AsyncPaginator[int]) -> object:
    return await anext(paginator)


async def page(paginator: AsyncPaginator[int]) -> object:
    return await anext(paginator.pages())


async def first(paginator: AsyncPaginator[int]) -> object:
    return await paginator.first_page()


async def loop(paginator: AsyncPaginator[int]) -> object:
    return [row async for row in paginator]


@pytest.mark.parametrize("use", [rest, row, page, loop])
@pytest.mark.parametrize("eaten", [None, 0, 1, 3, 9], ids=str)
async def test_outside_of_the_block_it_is_a_runtime_error(
    eaten: int | None, use: Callable[[AsyncPaginator[int]], Awaitable[object]]
) -> None:
    book = Book(6)
    paginator = over(book.fetch, 1, limit=3)
    if eaten is not None:
        async with paginator:
            for _ in range(eaten):
                await anext(paginator, None)
    sent = len(book.requests)
    with pytest.raises(RuntimeError, match="with read_ahead= you must use a list inside its block, 'async with"):
        await use(paginator)
    await idle()
    assert len(book.requests) == sent
    assert paginator.exhausted == (eaten == 9)


async def test_the_first_page_needs_the_block_too() -> None:
    paginator = over(Book(6).fetch, 1, limit=3)
    with pytest.raises(RuntimeError, match="inside its block"):
        await paginator.first_page()
    async with paginator:
        assert (await paginator.first_page()).data == (0, 1, 2)
        assert await drain(paginator) == [3, 4, 5]


async def test_two_blocks_at_once_are_an_error() -> None:
    async with over(Book(6).fetch, 1) as paginator:
        with pytest.raises(RuntimeError, match="another 'async with' uses this paginator: give each block its own"):
            await paginator.__aenter__()
        assert await paginator == list(range(6))


def test_in_another_event_loop_it_goes_on() -> None:
    book = Book(9)
    paginator = over(book.fetch, 1, limit=3)

    async def part(rows: int) -> Rows:
        async with paginator:
            return [await anext(paginator) for _ in range(rows)]

    assert [*asyncio.run(part(4)), *asyncio.run(part(5))] == list(range(9))
    assert len(book.requests) == 4  # the third page was on its way when the first loop ended


async def test_without_reading_ahead_a_block_changes_nothing() -> None:
    book = Book(6)
    async with over(book.fetch, 0, limit=3) as paginator:
        assert await anext(paginator) == 0
        await idle()
    assert len(book.requests) == 1
    async with paginator:
        assert await paginator == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(("use", "seen"), [(row, 1), (page, 3), (rest, 7)])
async def test_two_consumers_at_once_get_a_runtime_error(
    use: Callable[[AsyncPaginator[int]], Awaitable[object]], seen: int
) -> None:
    book = Book(7)
    async with over(book.fetch, 1, limit=3) as paginator:
        results = await asyncio.gather(use(paginator), use(paginator), return_exceptions=True)
        assert isinstance(results[1], RuntimeError)
        assert "two consumers" in str(results[1])
        left = await paginator
    assert left == list(range(7))[seen:]  # the first one loses no row


# With the sandbox


@asynccontextmanager
async def serving(
    *, latency: float = 0, **settings: Unpack[Settings]
) -> AsyncIterator[tuple[Sandbox, PhoneNumberClient]]:
    async with Sandbox(quota=None, latency=latency) as sandbox:
        settings = {"base_url": sandbox.url, "retry": RetryPolicy(first_wait=0.001), **settings}
        async with PhoneNumberClient(TOKEN, **settings) as client:
            yield sandbox, client


@pytest.mark.parametrize("read_ahead", [0, 1, 3, 100])
async def test_each_kind_of_list_reads_ahead(read_ahead: int) -> None:
    async with serving() as (sandbox, client):
        async with client.list_phone_numbers(LARGE_WABA, limit=40, read_ahead=read_ahead) as numbers:
            assert len({number.id async for number in numbers}) == 250
        assert len(sandbox.requests) == 7
        async with client.list_business_accounts(BUSINESS_ID, limit=2, read_ahead=read_ahead) as accounts:
            assert {account.id for account in await accounts} == set(sandbox.waba_ids)
        path = f"{LARGE_WABA}/phone_numbers"
        async with client.session.paginate(path, PhoneNumber, read_ahead=read_ahead) as rows:
            sizes = [len(each) async for each in rows.pages()]
        assert sum(sizes) == 250


async def test_stopping_early_cancels_the_call_in_flight_and_the_client_goes_on() -> None:
    with Sandbox() as sandbox:
        sandbox.plan(Fault())
        sandbox.plan(Fault.delay(60))
        async with nothing_left(), PhoneNumberClient(TOKEN, base_url=sandbox.url) as client, nothing_left():
            async with client.list_phone_numbers(LARGE_WABA, read_ahead=2) as numbers:
                await anext(numbers)
                while len(sandbox.requests) < 2:
                    await asyncio.sleep(0.001)
            assert len(sandbox.requests) == 2
            assert len(await client.list_phone_numbers(LARGE_WABA)) == 250


async def test_a_page_size_that_is_too_large_is_halved_for_the_rest_of_the_list() -> None:
    async with serving() as (sandbox, client):
        sandbox.plan(Fault(), times=1)
        sandbox.plan(PLEASE_LESS, times=2)
        async with client.list_phone_numbers(LARGE_WABA, read_ahead=2) as numbers:
            assert len({number.id async for number in numbers}) == 250
        limits = [request.query["limit"] for request in sandbox.requests]
        assert limits == ["100", "100", "50", *["25"] * 6]


@pytest.mark.parametrize(("max_items", "limits"), [(100, ["100"]), (101, ["100", "1"]), (250, ["100", "100", "50"])])
async def test_no_more_rows_are_requested_than_max_items(max_items: int, limits: list[str]) -> None:
    async with serving() as (sandbox, client):
        async with client.list_phone_numbers(LARGE_WABA, max_items=max_items, read_ahead=9) as numbers:
            await anext(numbers)
            for _ in range(100):
                await asyncio.sleep(0.001)
                if len(sandbox.requests) > len(limits):
                    break
            assert len(await numbers) == max_items - 1
        assert [request.query["limit"] for request in sandbox.requests] == limits


def test_prefetching_waits_for_a_cooldown_too(virtual_time: asyncio.Runner) -> None:
    async def main() -> list[float]:
        async with serving(retry=RetryPolicy.batch()) as (sandbox, client):
            sandbox.plan(Fault(), times=1)
            sandbox.plan(Fault.error(80008, headers={"Retry-After": "600"}))
            async with client.list_phone_numbers(LARGE_WABA, read_ahead=2) as numbers:
                assert len({number.id async for number in numbers}) == 250
            return [request.at for request in sandbox.requests]

    times = virtual_time.run(main())
    assert len(times) == 4
    assert times[2] - times[1] >= 600


async def test_a_used_up_quota_is_raised_where_the_page_is_wanted() -> None:
    settings: Settings = {"throttle": Throttle(quota=2), "retry": RetryPolicy.interactive()}
    async with (
        serving(**settings) as (sandbox, client),
        client.list_phone_numbers(LARGE_WABA, read_ahead=5) as numbers,
    ):
        pages = [await anext(numbers.pages()) for _ in range(2)]
        assert [len(page) for page in pages] == [100, 100]
        with pytest.raises(RateLimitError) as caught:
            await anext(numbers)
        assert not caught.value.sent
        assert len(sandbox.requests) == 2


def test_requests_go_on_while_the_caller_works(virtual_time: asyncio.Runner) -> None:
    async def main(read_ahead: int) -> float:
        async with serving(latency=0.1) as (_, client):
            began = asyncio.get_running_loop().time()
            async with client.list_phone_numbers(LARGE_WABA, limit=10, read_ahead=read_ahead) as numbers:
                async for _ in numbers.pages():
                    await asyncio.sleep(0.05)
            return asyncio.get_running_loop().time() - began

    assert virtual_time.run(main(0)) == pytest.approx(25 * 0.15)
    assert virtual_time.run(main(1)) == pytest.approx(25 * 0.1 + 0.05)


@pytest.mark.parametrize("read_ahead", [-1, 101, True, 1.0, "1", None], ids=repr)
@pytest.mark.parametrize("kind", ["numbers", "accounts", "any list"])
def test_an_invalid_read_ahead_is_an_error_before_anything_is_sent(kind: str, read_ahead: Any) -> None:
    client = PhoneNumberClient(TOKEN)
    lists: dict[str, Callable[..., object]] = {
        "numbers": client.list_phone_numbers,
        "accounts": client.list_business_accounts,
        "any list": partial(client.session.paginate, model=dict),
    }
    with pytest.raises(InvalidArgumentError, match="read_ahead must be a whole number from 0 to 100, not "):
        lists[kind]("1234", read_ahead=read_ahead)
