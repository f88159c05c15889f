"""Leaving a loop early, cancelling, and time-outs around a call leave nothing behind."""

import asyncio
import gc
import logging
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Unpack

import aiohttp
import clients
import pytest
from clients import QUICK, TOKEN, next_retry
from misbehaving import Connection, Play, RawServer, hang, raw, respond, time_out
from passing_time import settle
from unthrottled import Unthrottled

from wa_phone_async import PhoneNumberClient, RetryPolicy, WaPhoneError
from wa_phone_async.client import Settings
from wa_phone_async.sandbox import LARGE_WABA, SMALL_WABA, Fault, Sandbox

NUMBER: dict[str, Any] = {"phone_number": "16315551000", "verified_name": "Acme", "cc": "1"}
LONG_WAIT = RetryPolicy(first_wait=60)


@pytest.fixture(scope="module", autouse=True)
def quick_collections() -> Iterator[None]:
    """Exclude the objects of earlier tests from garbage collection: that makes each collection quick."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def nothing_unclosed(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No resource warning, and no warning of aiohttp's or asyncio's in the log."""
    gc.collect()
    with warnings.catch_warnings(record=True, action="always") as raised:
        yield
        gc.collect()
    assert [str(warning.message) for warning in raised] == []
    warned = [record for record in caplog.records if record.name.startswith(("asyncio", "aiohttp"))]
    assert [record.getMessage() for record in warned if record.levelno >= logging.WARNING] == []


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """The tasks at the end are those of the beginning, in asyncio's debug mode."""
    asyncio.get_running_loop().set_debug(True)
    asyncio.get_running_loop().slow_callback_duration = 60
    before = asyncio.all_tasks()
    yield
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


@asynccontextmanager
async def serving(**settings: Unpack[Settings]) -> AsyncIterator[tuple[Sandbox, PhoneNumberClient]]:
    with Sandbox(quota=None) as sandbox:
        settings = {"base_url": sandbox.url, "retry": QUICK, **settings}
        async with nothing_left(), PhoneNumberClient(TOKEN, **settings) as client:
            yield sandbox, client


@asynccontextmanager
async def against(*plays: Play, **settings: Unpack[Settings]) -> AsyncIterator[tuple[RawServer, PhoneNumberClient]]:
    async with nothing_left(), clients.against(*plays, **settings) as both:
        yield both


async def read(client: PhoneNumberClient) -> object:
    return await client.list_phone_numbers(SMALL_WABA)


async def write(client: PhoneNumberClient) -> object:
    return await client.create_phone_number(SMALL_WABA, **NUMBER)


Call = Callable[[PhoneNumberClient], Awaitable[object]]
reads_and_writes = pytest.mark.parametrize("call", [read, write], ids=["read", "write"])


def half_of_a_body(then: Play) -> Play:
    async def play(connection: Connection) -> None:
        await raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{", then_close=False)(connection)
        await settle()
        await then(connection)

    return play


async def end(task: asyncio.Future[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("rows", [1, 99, 100, 101])
async def test_leaving_a_loop_early_leaves_nothing(rows: int) -> None:
    async with serving() as (sandbox, client):
        seen = 0
        async for _ in client.list_phone_numbers(LARGE_WABA):
            seen += 1
            if seen == rows:
                break
        assert len(sandbox.requests) == (1 if rows <= 100 else 2)
        async for _ in client.list_phone_numbers(LARGE_WABA).pages():
            break


async def test_an_error_of_the_callers_own_in_a_loop_leaves_nothing() -> None:
    async with serving() as (_, client):
        with pytest.raises(KeyError):  # noqa: PT012 - the loop is what is tested
            async for _ in client.list_phone_numbers(LARGE_WABA):
                raise KeyError
        assert len(await client.list_phone_numbers(LARGE_WABA)) == 250


async def test_a_paginator_that_is_never_used_leaves_nothing() -> None:
    async with serving() as (_, client):
        client.list_phone_numbers(LARGE_WABA)
        client.list_phone_numbers(LARGE_WABA).pages()


@reads_and_writes
@pytest.mark.parametrize("play", [hang, half_of_a_body(hang)], ids=["before the response", "within the response"])
async def test_cancelling_a_call_in_flight_leaves_nothing_and_the_client_goes_on(play: Play, call: Call) -> None:
    async with against(play, respond('{"id":"7","data":[]}')) as (server, client):
        task = asyncio.ensure_future(call(client))
        await server.received.wait()
        await settle()
        await end(task)
        await call(client)
        assert [request.connection for request in server.requests] == [0, 1]


@reads_and_writes
async def test_cancelling_a_wait_for_a_retry_leaves_nothing(call: Call) -> None:
    async with serving(retry=LONG_WAIT) as (sandbox, client):
        sandbox.plan(Fault.error(80008, headers={"Retry-After": "0"}))  # no cooldown for other calls
        waiting = next_retry(client)
        task = asyncio.ensure_future(call(client))
        await waiting.wait()
        await settle()
        await end(task)
        await call(client)


@reads_and_writes
async def test_cancelling_the_wait_for_a_token_leaves_nothing(call: Call) -> None:
    gate = asyncio.Event()

    async def provide(*_: object) -> str:
        await gate.wait()
        return TOKEN

    with Sandbox() as sandbox:
        async with nothing_left(), PhoneNumberClient(provide, base_url=sandbox.url) as client:
            first, second = (asyncio.ensure_future(call(client)) for _ in range(2))
            await settle()
            await end(first)  # it waits for the provider; the second waits for it
            gate.set()
            await second
            assert len(sandbox.requests) == 1


async def test_cancelling_a_wait_for_a_slot_leaves_nothing() -> None:
    async with against(hang, throttle=Unthrottled()) as (server, client):
        tasks = [asyncio.ensure_future(read(client)) for _ in range(120)]
        while len(server.requests) < 100:
            await asyncio.sleep(0.005)
        for task in reversed(tasks):  # those that wait first
            await end(task)


@pytest.mark.parametrize("moment", range(12))
@reads_and_writes
async def test_cancelling_at_any_step_leaves_nothing(moment: int, call: Call) -> None:
    async with serving() as (_, client):
        task = asyncio.ensure_future(call(client))
        for _ in range(moment):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert len(await client.list_phone_numbers(LARGE_WABA)) == 250


@reads_and_writes
async def test_a_time_out_around_a_call_leaves_nothing(call: Call) -> None:
    async with against(time_out, timeout=7200) as (_, client):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await call(client)


@reads_and_writes
async def test_a_time_out_of_the_client_leaves_nothing(call: Call) -> None:
    async with against(half_of_a_body(time_out), retry=RetryPolicy(max_attempts=1)) as (_, client):
        with pytest.raises(WaPhoneError):
            await call(client)


async def test_a_task_group_that_fails_takes_its_calls_with_it() -> None:
    async def fail(server: RawServer) -> None:
        await server.received.wait()
        raise KeyError

    async with against(hang) as (server, client):
        with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012 - the group is what is tested
            async with asyncio.TaskGroup() as group:
                for _ in range(5):
                    group.create_task(client.list_phone_numbers(SMALL_WABA).collect())
                group.create_task(fail(server))
        assert caught.group_contains(KeyError)


async def test_after_a_cancellation_the_same_iterator_goes_on() -> None:
    async with serving(retry=LONG_WAIT) as (sandbox, client):
        paginator = client.list_phone_numbers(LARGE_WABA)
        begun = [await anext(paginator) for _ in range(100)]
        sandbox.plan(Fault.error(80008, headers={"Retry-After": "0"}))  # no cooldown for other calls
        waiting = next_retry(client)
        task = asyncio.ensure_future(anext(paginator))
        await waiting.wait()
        await end(task)
        rest = await paginator
        assert [*begun, *rest] == await client.list_phone_numbers(LARGE_WABA)


@reads_and_writes
async def test_a_borrowed_session_is_left_clean_too(call: Call) -> None:
    async with (
        nothing_left(),
        RawServer([hang]) as server,
        aiohttp.ClientSession() as http,
        PhoneNumberClient(TOKEN, base_url=server.url, session=http) as client,
    ):
        task = asyncio.ensure_future(call(client))
        await server.received.wait()
        await end(task)


async def test_closing_while_calls_are_in_flight_leaves_nothing() -> None:
    async with against(hang, throttle=Unthrottled()) as (server, client):
        tasks = [asyncio.ensure_future(call(client)) for call in (read, write, read, write)]
        while len(server.requests) < 4:
            await asyncio.sleep(0.005)
        await client.aclose()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, WaPhoneError | RuntimeError) for result in results)


@pytest.mark.parametrize("moment", range(8))
async def test_cancelling_the_closing_leaves_a_client_that_can_be_closed(moment: int) -> None:
    async with serving() as (_, client):
        await read(client)
        await write(client)
        closing = asyncio.ensure_future(client.aclose())
        for _ in range(moment):
            await asyncio.sleep(0)
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
