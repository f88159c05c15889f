"""`ListFinished`: each end of a list is reported once, however it ends. Without a listener it costs nothing."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import attrs
import pytest

from wa_phone_async import (
    AsyncPaginator,
    BadRequestError,
    CallFinished,
    Event,
    ListFinished,
    PaginationError,
    PhoneNumber,
    PhoneNumberClient,
    RetryPolicy,
    session,
)
from wa_phone_async.sandbox import BUSINESS_ID, LARGE_WABA, SMALL_WABA, Fault, Sandbox, VirtualTimeLoop

T = TypeVar("T")

PATH = f"{LARGE_WABA}/phone_numbers"
REJECTED = Fault.error(100, status=400)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run in virtual time, which begins at 0."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[Sandbox, PhoneNumberClient, list[Event]]]:
    """A client, and the events that a listener of lists gets. Each response takes 0.25 s."""
    retry = RetryPolicy(max_attempts=1)
    async with Sandbox(latency=0.25) as sandbox, PhoneNumberClient("any", base_url=sandbox.url, retry=retry) as client:
        events = list[Event]()
        client.subscribe(events.append, lists=True)
        yield sandbox, client, events


def lists(events: list[Event]) -> list[ListFinished]:
    return [event for event in events if isinstance(event, ListFinished)]


def pages(events: list[Event]) -> list[CallFinished]:
    return [event for event in events if isinstance(event, CallFinished)]


async def by_rows(paginator: AsyncPaginator[PhoneNumber]) -> int:
    return len([number async for number in paginator])


async def by_pages(paginator: AsyncPaginator[PhoneNumber]) -> int:
    return sum([len(page.data) async for page in paginator.pages()])


async def at_once(paginator: AsyncPaginator[PhoneNumber]) -> int:
    return len(await paginator)


@pytest.mark.parametrize("read", [by_rows, by_pages, at_once])
def test_a_list_that_was_read_to_its_end(
    read: Callable[[AsyncPaginator[PhoneNumber]], Coroutine[Any, Any, int]],
) -> None:
    async def main() -> None:
        async with listening() as (_, client, events):
            assert await read(client.list_phone_numbers(LARGE_WABA)) == 250
            finished = events[-1]
            assert isinstance(finished, ListFinished)
            assert finished == ListFinished(
                list_id=finished.list_id,
                path=PATH,
                node_id=LARGE_WABA,
                error=None,
                complete=True,
                pages=3,
                rows=250,
                seconds=0.75,
            )
            assert [page.list_id for page in pages(events)] == [finished.list_id] * 3
            await asyncio.sleep(1)
        assert len(events) == 4  # the end of its paginator reports nothing more

    run(main())


def test_the_end_is_reported_with_the_last_page_and_not_with_the_last_row() -> None:
    async def main() -> None:
        async with listening() as (_, client, events):
            paginator = client.list_phone_numbers(SMALL_WABA)
            await anext(paginator)
            assert [finished.complete for finished in lists(events)] == [True]
            assert len(await paginator) == 2
        assert len(lists(events)) == 1

    run(main())


def test_max_items_is_an_end_too() -> None:
    async def main() -> None:
        async with listening() as (_, client, events):
            await client.list_phone_numbers(LARGE_WABA, max_items=120)
        [finished] = lists(events)
        assert (finished.complete, finished.pages, finished.rows) == (True, 2, 120)

    run(main())


def test_a_list_that_is_left_early_ends_with_its_paginator() -> None:
    async def main() -> None:
        async with listening() as (_, client, events):
            paginator = client.list_phone_numbers(LARGE_WABA)
            async for _ in paginator:
                break
            await asyncio.sleep(60)
            assert lists(events) == []
            del paginator
            await asyncio.sleep(0)
            [finished] = lists(events)
        assert (finished.complete, finished.error, finished.pages) == (False, None, 1)
        assert finished.seconds == 0.25

    run(main())


def test_a_first_page_is_a_list_that_is_left_early() -> None:
    async def main() -> None:
        async with listening() as (_, client, events):
            await client.list_phone_numbers(LARGE_WABA).first_page()
            await asyncio.sleep(0)
            [finished] = lists(events)
        assert (finished.complete, finished.pages, finished.rows) == (False, 1, 100)

    run(main())


def test_an_error_is_an_end_and_a_list_that_goes_on_has_another() -> None:
    async def main() -> None:
        async with listening() as (sandbox, client, events):
            paginator = client.list_phone_numbers(LARGE_WABA)
            await anext(paginator)
            sandbox.plan(REJECTED)
            with pytest.raises(BadRequestError):
                await paginator
            assert len(await paginator) == 249
        first, second = lists(events)
        assert first == ListFinished(
            list_id=second.list_id,
            path=PATH,
            node_id=LARGE_WABA,
            error="BadRequestError",
            complete=False,
            pages=1,
            rows=100,
            seconds=0.5,
        )
        assert second == attrs.evolve(first, error=None, complete=True, pages=2, rows=150)

    run(main())


def test_a_cancelled_list_has_ended() -> None:
    async def main() -> None:
        async with listening() as (sandbox, client, events):
            sandbox.plan(Fault.delay(60))
            task = asyncio.create_task(client.list_phone_numbers(LARGE_WABA).collect())
            await asyncio.sleep(10)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await asyncio.sleep(0)
        [finished] = lists(events)
        assert (finished.error, finished.complete, finished.pages) == ("CancelledError", False, 0)
        assert finished.seconds == 10

    run(main())


def test_a_list_without_its_next_cursor() -> None:
    async def main() -> None:
        async with listening() as (sandbox, client, events):
            sandbox.plan(Fault.raw('{"data": [], "paging": {"next": "https://graph.facebook.com/"}}'))
            with pytest.raises(PaginationError):
                await client.list_phone_numbers(LARGE_WABA)
            await asyncio.sleep(0)
        [finished] = lists(events)
        assert (finished.error, finished.complete, finished.pages) == ("PaginationError", False, 1)

    run(main())


def test_prefetched_pages_are_counted_when_they_come() -> None:
    async def main() -> None:
        async with listening() as (_, client, events):
            async with client.list_phone_numbers(LARGE_WABA, read_ahead=2) as paginator:
                await anext(paginator)
                await asyncio.sleep(60)
                [finished] = lists(events)
                assert len(await paginator) == 249
            del paginator
            await asyncio.sleep(0)
        assert len(lists(events)) == 1
        assert (finished.complete, finished.pages, finished.seconds) == (True, 3, 0.75)
        assert [page.list_id for page in pages(events)] == [finished.list_id] * 3

    run(main())


def test_leaving_the_block_cancels_a_prefetched_page_and_its_list() -> None:
    async def main() -> None:
        async with listening() as (_, client, events):
            async with client.list_phone_numbers(LARGE_WABA, read_ahead=1) as paginator:
                await anext(paginator)
                await asyncio.sleep(0.1)
            del paginator
            await asyncio.sleep(0)
        [finished] = lists(events)
        assert (finished.error, finished.complete, finished.pages) == ("CancelledError", False, 1)

    run(main())


def test_each_of_several_lists_at_once_has_its_own_id() -> None:
    async def main() -> None:
        async with listening() as (_, client, events):
            await client.list_many([LARGE_WABA, SMALL_WABA, "12345"])
            await client.list_business_accounts(BUSINESS_ID)
        of_node = {finished.node_id: finished for finished in lists(events)}
        assert len({finished.list_id for finished in of_node.values()}) == len(of_node) == 4
        assert all(page.list_id == of_node[page.node_id].list_id for page in pages(events))
        assert of_node["12345"].error is not None

    run(main())


def test_a_list_that_never_began_is_not_reported() -> None:
    async def main() -> None:
        async with listening() as (_, client, events):
            client.list_phone_numbers(LARGE_WABA)
            await client.list_phone_numbers(LARGE_WABA, max_items=0)
            await asyncio.sleep(0)
        assert events == []

    run(main())


def test_a_paginator_that_ends_in_another_thread_is_reported_in_its_own_loop() -> None:
    async def main() -> None:
        async with listening() as (_, client, events):
            heard_in = list[int]()
            client.subscribe(lambda _: heard_in.append(threading.get_ident()), lists=True)
            held = [client.list_phone_numbers(LARGE_WABA)]
            await anext(held[0])
            await asyncio.to_thread(held.clear)
            await asyncio.sleep(0)
        assert len(lists(events)) == 1
        assert set(heard_in) == {threading.get_ident()}

    run(main())


def test_a_paginator_that_outlives_its_loop_is_not_reported() -> None:
    kept = list[object]()
    events = list[Event]()

    async def main() -> None:
        async with listening() as (_, client, _events):
            client.subscribe(events.append, lists=True)
            kept.append(client.list_phone_numbers(LARGE_WABA))
            await anext(kept[0])  # type: ignore[call-overload]  # it is one

    run(main())
    kept.clear()
    assert lists(events) == []


def test_a_listener_without_lists_gets_the_calls_alone() -> None:
    async def main() -> None:
        async with listening() as (_, client, of_lists):
            events = list[Event]()
            client.subscribe(events.append)
            await client.list_phone_numbers(LARGE_WABA)
        assert events == pages(of_lists)

    run(main())


def test_a_listener_of_lists_can_unsubscribe() -> None:
    async def main() -> None:
        async with listening() as (_, client, of_lists):
            events = list[Event]()
            unsubscribe = client.subscribe(events.append, lists=True)
            await client.list_phone_numbers(SMALL_WABA)
            unsubscribe()
            unsubscribe()
            await client.list_phone_numbers(SMALL_WABA)
        assert (len(events), len(of_lists)) == (2, 4)

    run(main())


def test_without_a_listener_of_lists_nothing_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError("a list was observed for nobody")

    monkeypatch.setattr(session, "ListObserver", forbidden)

    async def main() -> None:
        async with Sandbox() as sandbox:
            events = list[Event]()
            async with PhoneNumberClient("any", base_url=sandbox.url, on_event=events.append) as client:
                assert len(await client.list_phone_numbers(LARGE_WABA)) == 250
            assert [page.list_id for page in pages(events)] == [None] * 3

    run(main())
