"""Read-ahead: the same rows, errors and cursors as without, in less time, and nothing left when the block is."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Unpack

import pytest
from books import Book, Place, Rows, drain, listing
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
from wa_phone_async.concurrency import Turn, current_turn
from wa_phone_async.pagination.paginator import Follow, Listing, Walk
from wa_phone_async.sandbox import BUSINESS_ID, LARGE_WABA, Fault, Sandbox

TOKEN = "an-invented-token"
PLEASE_LESS = Fault.error(1, "Please reduce the amount of data you're asking for, then retry your request")
Fetch = Callable[[Place], Awaitable[Listing[int]]]


def over(
    fetch: Fetch,
    read_ahead: int,
    *,
    limit: int | None = None,
    before: str | None = None,
    max_items: int | None = None,
    follow: Follow = "next",
) -> AsyncPaginator[int]:
    walk = Walk[int](limit=limit, before=before, max_items=max_items, follow=follow)
    return AsyncPaginator(fetch, walk, read_ahead=read_ahead)


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
    """Let the background do what it can."""
    for _ in range(turns):
        await asyncio.sleep(0)


# The same as without


steps = st.lists(st.sampled_from(["row", "page", "first", "rest", "idle"]), max_size=25)
ahead = st.integers(1, 6)
failing = st.lists(st.sampled_from([None, None, TransportError, asyncio.CancelledError]), max_size=12)

Seen = list[object]


async def see(paginator: AsyncPaginator[int], taken: Iterable[str]) -> Seen:
    """What a caller sees in each of these steps: rows or an error, the cursor, and whether it is exhausted."""
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
    def run(read_ahead: int) -> tuple[Seen, list[Place]]:
        book = Book(size)
        book.failures = [failure("gone") if failure else None for failure in failures]
        start = None if before is None else str(min(before, size))
        paginator = over(book.fetch, read_ahead, limit=limit, before=start, max_items=max_items, follow=follow)
        return asyncio.run(see(paginator, [*taken, *["rest"] * 13 * to_the_end])), book.asked

    seen, asked = run(read_ahead)
    seen_without, asked_without = run(0)
    assert seen == seen_without
    assert asked[: len(asked_without)] == asked_without
    assert len(asked) <= len(asked_without) + read_ahead
    if to_the_end:
        assert asked == asked_without


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

        async def fetch(_: Place) -> Listing[int]:
            nonlocal sent
            sent += 1
            await asyncio.sleep(0)
            rows, after, has_next = pages[(sent - 1) % len(pages)]
            return listing(rows, after=after, has_next=has_next)

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
def test_left_early_no_more_was_asked_for_than_the_whole_list_needs(
    size: int, limit: int, read_ahead: int, max_items: int | None, eaten: int
) -> None:
    async def calls(read_ahead: int, eaten: int) -> int:
        book = Book(size)
        async with over(book.fetch, read_ahead, limit=limit, max_items=max_items) as paginator:
            for _ in range(eaten):
                await anext(paginator, None)
                await idle()
        return len(book.asked)

    sent = asyncio.run(calls(read_ahead, eaten))
    needed, whole = asyncio.run(calls(0, eaten)), asyncio.run(calls(0, size + 1))
    assert sent == (min(needed + read_ahead, whole) if eaten else 0)  # as much as it may, and no more


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


def test_how_many_pages_may_be_asked_for_is_a_matter_of_counting() -> None:
    walk = Walk[int](max_items=5)
    assert [walk.pages_to_ask(waiting, most=2) for waiting in (-1, 0, 1, 2, 3)] == [3, 2, 1, 0, 0]
    walk.take(listing([1, 2, 3], after="A", has_next=True))
    assert walk.pages_to_ask(1, most=2) == 1
    walk.take(listing([4, 5, 6], after="B", has_next=True))
    assert walk.pages_to_ask(0, most=2) == 0  # the pages that wait have all five
    walk = Walk[int]()
    walk.take(listing([1], after="A"))
    assert walk.pages_to_ask(0, most=2) == 0  # nothing follows


# What is under way while the caller works


class Answers:
    """A list of pages of one row that come when they are let."""

    def __init__(self, pages: int = 99) -> None:
        self.asked = 0
        self.cancelled = 0
        self.pages = pages
        self._let = asyncio.Semaphore(0)

    def let(self, pages: int = 1) -> None:
        for _ in range(pages):
            self._let.release()

    async def fetch(self, _: Place) -> Listing[int]:
        self.asked += 1
        number = self.asked
        try:
            await self._let.acquire()
        except asyncio.CancelledError:
            self.cancelled += 1
            await idle()  # it takes a while to end
            raise
        return listing([number], after=str(number), has_next=number < self.pages)


async def test_nothing_is_asked_for_before_the_first_page_is_wanted() -> None:
    answers = Answers()
    async with nothing_left(), over(answers.fetch, 3):
        await idle()
    assert answers.asked == 0


@pytest.mark.parametrize("read_ahead", [1, 2, 5])
async def test_as_many_pages_are_asked_for_as_may_wait_one_after_the_other(read_ahead: int) -> None:
    answers = Answers()
    async with nothing_left(), over(answers.fetch, read_ahead) as paginator:
        answers.let()
        assert await anext(paginator) == 1
        for waiting in range(read_ahead):
            await idle()
            assert answers.asked == 2 + waiting
            answers.let()
        await idle()
        assert answers.asked == 1 + read_ahead
        assert await anext(paginator) == 2
        await idle()
        assert answers.asked == 2 + read_ahead


@pytest.mark.parametrize("is_there", [False, True], ids=["the page comes", "the page is there"])
async def test_the_next_request_leaves_before_a_caller_works_that_awaits_nothing(*, is_there: bool) -> None:
    answers = Answers()
    async with over(answers.fetch, 1) as paginator:
        answers.let(2)
        assert await anext(paginator) == 1
        await idle(20 * is_there)
        assert await anext(paginator) == 2
        assert answers.asked == 3


async def test_rows_of_a_page_are_had_while_the_next_page_is_slow() -> None:
    book = Book(6)

    async def fetch(place: Place) -> Listing[int]:
        if len(book.asked) == 1:
            await asyncio.Event().wait()
        return await book.fetch(place)

    async with over(fetch, 1, limit=3) as paginator:
        assert [await anext(paginator) for _ in range(3)] == [0, 1, 2]


async def test_the_background_has_no_turn_of_the_callers() -> None:
    turns = []

    async def fetch(_: Place) -> Listing[int]:
        turns.append(current_turn())
        return listing([1])

    turn = Turn(asyncio.Semaphore(1))
    turn.begin()
    async with over(fetch, 1) as paginator:
        await paginator
    await over(fetch, 0)
    assert turns == [None, turn]
    assert current_turn() is turn


# Errors


async def test_an_error_is_raised_where_its_page_is_wanted_and_not_before() -> None:
    book = Book(6)
    book.failures = [None, TransportError("gone")]
    async with over(book.fetch, 3, limit=2) as paginator:
        assert await anext(paginator) == 0
        await idle()
        assert len(book.asked) == 2
        assert await anext(paginator) == 1
        cursors = [paginator.cursor]
        with pytest.raises(TransportError) as caught:
            await anext(paginator)
        assert (caught.value.__cause__, caught.value.__context__) == (None, None)
        assert [*cursors, paginator.cursor] == [None, "1"]
        assert (paginator.exhausted, len(book.asked)) == (False, 2)
        assert await paginator == [2, 3, 4, 5]
    assert book.asked[1] == book.asked[2]


async def test_pages_before_a_failed_one_come_first() -> None:
    book = Book(6)
    book.failures = [None, None, TransportError("gone")]
    async with over(book.fetch, 4, limit=2) as paginator:
        rows = [await anext(paginator)]
        await idle()
        with pytest.raises(TransportError):
            rows += [row async for row in paginator]
        assert len(book.asked) == 3


async def test_after_an_error_everything_collected_is_still_there() -> None:
    book = Book(7)
    book.failures = [None, None, TransportError("gone")]
    async with over(book.fetch, 2, limit=3) as paginator:
        with pytest.raises(TransportError):
            await paginator
        assert (paginator.cursor, paginator.exhausted) == (None, False)
        assert await paginator == list(range(7))


async def test_an_error_of_a_page_that_nobody_wanted_is_not_raised() -> None:
    book = Book(6)
    book.failures = [None, TransportError("gone"), ValueError("a bug")]
    async with nothing_left(), over(book.fetch, 1, limit=2) as paginator:
        await anext(paginator)
        await idle()
    async with nothing_left(), paginator:  # where the page is wanted after all, it is asked for again
        with pytest.raises(ValueError, match="a bug"):
            await paginator
        await idle()


@pytest.mark.parametrize("begun", [False, True], ids=["before it begins", "in a call"])
async def test_a_cancellation_from_elsewhere_is_raised_where_the_page_is_wanted(*, begun: bool) -> None:
    answers = Answers()
    async with nothing_left(), over(answers.fetch, 1) as paginator:
        answers.let()
        wanting = asyncio.create_task(anext(paginator))
        await idle(20 if begun else 1)
        for task in asyncio.all_tasks() - {asyncio.current_task(), wanting}:
            task.cancel()
        await idle()
        rows = [await wanting] if begun else []
        with pytest.raises(asyncio.CancelledError):
            rows.append(await (anext(paginator) if begun else wanting))
        answers.let()
        assert await anext(paginator) == (3 if begun else 1)


# Leaving the block


@pytest.mark.parametrize("leave", ["at its end", "by an error", "by a cancellation"])
async def test_leaving_cancels_what_is_under_way_and_waits_for_its_end(leave: str) -> None:
    answers = Answers()
    answers.let()

    async def work() -> None:
        async with over(answers.fetch, 2) as paginator:
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
        assert (answers.asked, answers.cancelled) == (2, 1)
    assert task.cancelled() == (leave == "by a cancellation")
    if leave == "by an error":
        assert isinstance(task.exception(), KeyError)


@pytest.mark.parametrize("moment", range(25))
async def test_cancelled_while_it_leaves_it_leaves_nothing_all_the_same(moment: int) -> None:
    answers = Answers()
    answers.let()
    paginator = over(answers.fetch, 1)

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


async def test_another_task_that_waits_for_a_page_is_told_that_the_block_was_left() -> None:
    async with nothing_left():
        async with over(Answers().fetch, 1) as paginator:
            waiting = asyncio.create_task(paginator.collect())
            await idle()
        with pytest.raises(RuntimeError, match="inside its block"):
            await waiting
    assert not paginator.exhausted


async def test_giving_up_to_wait_for_a_page_does_not_give_up_the_page() -> None:
    answers = Answers()
    async with nothing_left(), over(answers.fetch, 1) as paginator:
        waiting = asyncio.create_task(paginator.collect())
        await idle()
        waiting.cancel()
        await asyncio.wait({waiting})
        answers.let()
        assert await anext(paginator) == 1
        assert answers.asked == 2


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


@pytest.mark.parametrize("ask", [rest, row, page, loop])
@pytest.mark.parametrize("eaten", [None, 0, 1, 3, 9], ids=str)
async def test_outside_of_the_block_it_is_a_runtime_error(
    eaten: int | None, ask: Callable[[AsyncPaginator[int]], Awaitable[object]]
) -> None:
    book = Book(6)
    paginator = over(book.fetch, 1, limit=3)
    if eaten is not None:
        async with paginator:
            for _ in range(eaten):
                await anext(paginator, None)
    asked = len(book.asked)
    with pytest.raises(RuntimeError, match="read_ahead= a list is used inside its block, 'async with"):
        await ask(paginator)
    await idle()
    assert len(book.asked) == asked
    assert paginator.exhausted == (eaten == 9)


async def test_the_first_page_is_had_inside_the_block_too() -> None:
    paginator = over(Book(6).fetch, 1, limit=3)
    with pytest.raises(RuntimeError, match="inside its block"):
        await paginator.first_page()
    async with paginator:
        assert (await paginator.first_page()).data == (0, 1, 2)
        assert await drain(paginator) == [3, 4, 5]


async def test_it_is_entered_once_at_a_time() -> None:
    async with over(Book(6).fetch, 1) as paginator:
        with pytest.raises(RuntimeError, match="in use by another 'async with'"):
            await paginator.__aenter__()
        assert await paginator == list(range(6))


def test_in_another_event_loop_it_goes_on() -> None:
    book = Book(9)
    paginator = over(book.fetch, 1, limit=3)

    async def part(rows: int) -> Rows:
        async with paginator:
            return [await anext(paginator) for _ in range(rows)]

    assert [*asyncio.run(part(4)), *asyncio.run(part(5))] == list(range(9))
    assert len(book.asked) == 4  # the third page was on its way when the first loop ended


async def test_without_reading_ahead_a_block_changes_nothing() -> None:
    book = Book(6)
    async with over(book.fetch, 0, limit=3) as paginator:
        assert await anext(paginator) == 0
        await idle()
    assert len(book.asked) == 1
    async with paginator:
        assert await paginator == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(("ask", "seen"), [(row, 1), (page, 3), (rest, 7)])
async def test_two_consumers_at_once_are_told_so(
    ask: Callable[[AsyncPaginator[int]], Awaitable[object]], seen: int
) -> None:
    book = Book(7)
    async with over(book.fetch, 1, limit=3) as paginator:
        results = await asyncio.gather(ask(paginator), ask(paginator), return_exceptions=True)
        assert isinstance(results[1], RuntimeError)
        assert "two consumers" in str(results[1])
        left = await paginator
    assert left == list(range(7))[seen:]  # and it harms nobody


# Over the wire


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
        async with client.session.paginate(path, model=PhoneNumber, read_ahead=read_ahead) as rows:
            sizes = [len(each) async for each in rows.pages()]
        assert sum(sizes) == 250


async def test_left_early_the_call_under_way_is_ended_and_the_client_goes_on() -> None:
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


async def test_a_page_that_is_too_large_is_halved_for_the_rest_of_the_walk() -> None:
    async with serving() as (sandbox, client):
        sandbox.plan(Fault(), times=1)
        sandbox.plan(PLEASE_LESS, times=2)
        async with client.list_phone_numbers(LARGE_WABA, read_ahead=2) as numbers:
            assert len({number.id async for number in numbers}) == 250
        limits = [request.query["limit"] for request in sandbox.requests]
        assert limits == ["100", "100", "50", *["25"] * 6]


@pytest.mark.parametrize(("max_items", "limits"), [(100, ["100"]), (101, ["100", "1"]), (250, ["100", "100", "50"])])
async def test_no_more_is_asked_for_than_max_items_can_use(max_items: int, limits: list[str]) -> None:
    async with serving() as (sandbox, client):
        async with client.list_phone_numbers(LARGE_WABA, max_items=max_items, read_ahead=9) as numbers:
            await anext(numbers)
            for _ in range(100):
                await asyncio.sleep(0.001)
                if len(sandbox.requests) > len(limits):
                    break
            assert len(await numbers) == max_items - 1
        assert [request.query["limit"] for request in sandbox.requests] == limits


def test_a_hold_holds_it_too(virtual_time: asyncio.Runner) -> None:
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


async def test_a_budget_that_is_used_up_is_said_where_the_page_is_wanted() -> None:
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


def test_calls_take_place_while_the_caller_works(virtual_time: asyncio.Runner) -> None:
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
def test_a_bad_number_of_pages_is_refused_before_anything_is_sent(kind: str, read_ahead: Any) -> None:
    client = PhoneNumberClient(TOKEN)
    lists: dict[str, Callable[..., object]] = {
        "numbers": client.list_phone_numbers,
        "accounts": client.list_business_accounts,
        "any list": client.session.paginate,
    }
    with pytest.raises(InvalidArgumentError, match="read_ahead must be a whole number from 0 to 100, not "):
        lists[kind]("1234", read_ahead=read_ahead)
