"""Which calls count for a quota: those that began to be written, however they end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

import aiohttp
import pytest
from misbehaving import Connection, RawServer, hang, respond
from passing_time import pass_time, settle

from wa_phone_async import PhoneNumberClient, RetryPolicy, Throttle, TransportError, WaPhoneError
from wa_phone_async.concurrency import MAX_OF_A_CLIENT
from wa_phone_async.ratelimit.limiter import Lease, Report

A = "1111"
TOKEN = "an-invented-token"
EMPTY_LIST = '{"data": []}'

Call = Callable[[PhoneNumberClient], Awaitable[object]]
Stalled = Callable[[], Awaitable[object]]


class Recorder(Throttle):
    """Records the results that are reported."""

    def __init__(self) -> None:
        super().__init__()
        self.results = list[str]()

    def report(self, lease: Lease, report: Report) -> float:
        self.results.append(report.result)
        return super().report(lease, report)

    def used(self, waba_id: str = A) -> int:
        budget = self._book.waba(waba_id)
        return 0 if budget is None else budget.used(0.0)


async def read(client: PhoneNumberClient) -> object:
    return await client.list_phone_numbers(A)


async def write(client: PhoneNumberClient) -> object:
    return await client.create_phone_number(A, phone_number="16315551000", verified_name="Acme")


def client_of(url: str, throttle: Throttle, **settings: Any) -> PhoneNumberClient:
    return PhoneNumberClient(TOKEN, base_url=url, throttle=throttle, retry=RetryPolicy(max_attempts=1), **settings)


@asynccontextmanager
async def stalling(
    where: Literal["TLS", "proxy", "response"], throttle: Throttle
) -> AsyncIterator[tuple[PhoneNumberClient, Stalled]]:
    """A client whose calls stall at one place, and a function that waits until they have come there."""
    async with RawServer([hang]) as server:

        async def stalled() -> None:
            while not (server.connections if where == "TLS" else server.requests):
                await asyncio.sleep(0.001)

        url = {"TLS": server.url.replace("http:", "https:"), "proxy": "https://graph.invalid", "response": server.url}
        proxy = server.url if where == "proxy" else None
        async with client_of(url[where], throttle, proxy=proxy) as client:
            yield client, stalled


@pytest.mark.parametrize("call", [read, write])
@pytest.mark.parametrize("end", ["cancelled", "out of time"])
@pytest.mark.parametrize(("where", "result"), [("TLS", "unsent"), ("proxy", "unsent"), ("response", "lost")])
async def test_a_call_counts_if_it_began_to_be_written(where: Any, result: str, end: str, call: Call) -> None:
    recorder = Recorder()
    async with stalling(where, recorder) as (client, stalled):
        task = asyncio.ensure_future(call(client))
        await stalled()
        await settle()
        if end == "cancelled":
            task.cancel()
        else:
            pass_time(31.0)
        with pytest.raises(asyncio.CancelledError if end == "cancelled" else WaPhoneError):
            await task
    assert recorder.results == [result]
    assert recorder.used() == (result == "lost")


@pytest.mark.parametrize(("call", "result"), [(read, "lost"), (write, "unsent")])
async def test_a_read_in_a_borrowed_session_counts_as_soon_as_the_session_has_it(call: Call, result: str) -> None:
    recorder = Recorder()
    async with RawServer([hang]) as server, aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as http:
        first = asyncio.create_task(http.get(server.url))
        await server.received.wait()
        async with client_of(server.url, recorder, session=http) as client:
            task = asyncio.ensure_future(call(client))  # it waits for the only connection
            await settle()
            for waiting in (task, first):
                waiting.cancel()
            await asyncio.wait([task, first])
    assert recorder.results == [result]
    assert len(server.requests) == 1


@pytest.mark.parametrize("is_borrowed", [False, True])
@pytest.mark.parametrize("call", [read, write])
async def test_a_call_without_a_connection_does_not_count(call: Call, *, is_borrowed: bool) -> None:
    recorder = Recorder()
    async with RawServer([]) as server:
        url = server.url
    async with (
        aiohttp.ClientSession() as http,
        client_of(url, recorder, session=http if is_borrowed else None) as client,
    ):
        with pytest.raises(TransportError) as caught:
            await call(client)
    assert caught.value.sent is False
    assert recorder.results == ["unsent"]


async def test_a_read_counts_if_only_its_second_connection_fails() -> None:
    # aiohttp repeats a read whose kept-alive connection breaks. By then it was written once.
    recorder = Recorder()

    async def hang_up_for_good(connection: Connection) -> None:
        server._server.close()
        connection.hang_up()

    async with RawServer([respond(EMPTY_LIST), hang_up_for_good]) as server, client_of(server.url, recorder) as client:
        await read(client)
        with pytest.raises(TransportError) as caught:
            await read(client)
    assert caught.value.sent is True
    assert recorder.results == ["accepted", "lost"]


@pytest.mark.parametrize("end", ["cancelled", "closed", "out of time"])
async def test_calls_that_wait_for_a_slot_count_for_nothing(end: str) -> None:
    recorder = Recorder()
    async with stalling("response", recorder) as (client, _):
        in_flight = [
            asyncio.create_task(client.session.get(str(number), dict)) for number in range(1, MAX_OF_A_CLIENT + 1)
        ]
        await settle()
        first = asyncio.create_task(client.session.get(A, dict, total_timeout=20.0))
        await settle()
        assert recorder.used() == 1
        if end == "cancelled":
            first.cancel()
        elif end == "closed":
            await client.aclose()
        else:
            pass_time(21.0)  # the attempts in flight have 30 s
        await asyncio.gather(first, return_exceptions=True)
        assert recorder.used() == 0
        assert recorder.results.count("unsent") == 1
        for task in in_flight:
            task.cancel()
        await asyncio.gather(*in_flight, return_exceptions=True)
