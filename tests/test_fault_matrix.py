"""The fault matrix: a GET and a POST meet each fault of the table, once and always, in virtual time."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from faults import FAULTS, MAX_BODY, POLICY, TIMEOUT, Ending, Fault, Method, Often, Scene, write_page
from misbehaving import Connection, RawServer, ReceivedRequest, hang, respond

from wa_phone_async import OutcomeUnknownError, PhoneNumberClient, WaPhoneError
from wa_phone_async.client import Settings
from wa_phone_async.events import CallFinished
from wa_phone_async.sandbox.virtual_time import VirtualTimeLoop

TOKEN = "an-invented-token"
NEW_TOKEN = "another-invented-token"
WABA = "1234"
NUMBER = "16315551000"
PAGE = Path(__file__).parents[1] / "docs" / "fault-matrix.md"


class FaultyServer(RawServer):
    """A server that does every write again if it is sent again, and has its fault with the first requests."""

    def __init__(self, fault: Fault, *, faults: int, is_done: bool, elsewhere: str) -> None:
        super().__init__([self._play])
        self.created: list[str] = []
        self._fault, self._faults_left, self._is_done, self._elsewhere = fault, faults, is_done, elsewhere

    async def _play(self, connection: Connection) -> None:
        request = self.requests[-1]
        if self._fault.act is None or not self._faults_left:
            self._do(request)
            await respond('{"data":[{"id":"7"}]}' if request.method == "GET" else '{"id":"7"}')(connection)
            return
        self._faults_left -= 1
        if self._is_done:
            self._do(request)
        await self._fault.act(Scene(connection, self._elsewhere))

    def _do(self, request: ReceivedRequest) -> None:
        if request.method == "POST":
            self.created.append(json.loads(request.body)["phone_number"])


class Lookup(AbstractResolver):
    """Leads the first connections astray, and all others to the server."""

    def __init__(self, astray: Callable[[], Awaitable[int]], *, faults: int, port: int) -> None:
        self._astray, self._faults_left, self._port = astray, faults, port

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        port = self._port
        if self._faults_left:
            self._faults_left -= 1
            port = await self._astray()
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        """There is nothing to close."""


@attrs.frozen
class Seen:
    """What both sides saw of one call."""

    error: WaPhoneError | None
    seconds: float
    finished: Sequence[CallFinished]
    requests: int
    created: list[str]
    connections_elsewhere: int


async def observe(fault: Fault, method: Method, often: Often, *, is_done: bool) -> Seen:
    """Play a fault with one call."""
    events = list[Any]()
    faults = 1 if often == "once" else 1_000
    async with AsyncExitStack() as stack:
        elsewhere = await stack.enter_async_context(RawServer([hang]))
        server = await stack.enter_async_context(
            FaultyServer(fault, faults=faults, is_done=is_done, elsewhere=elsewhere.url)
        )
        settings: Settings = {"retry": POLICY, "timeout": TIMEOUT, "max_body": MAX_BODY, "on_event": events.append}
        settings["base_url"] = server.url
        borrowed = None
        if fault.way is not None:
            astray = await stack.enter_async_context(fault.way())
            port = int(server.url.rpartition(":")[2])
            lookup = Lookup(astray, faults=faults, port=port)
            connector = aiohttp.TCPConnector(resolver=lookup, use_dns_cache=False)
            proxy = f"http://proxy.invalid:{port}" if fault.has_proxy else None
            borrowed = await stack.enter_async_context(aiohttp.ClientSession(connector=connector, proxy=proxy))
            settings["base_url"] = f"{fault.scheme}://graph.invalid:{port}"
        provider = _new_token_when_rejected if fault.renews else TOKEN
        client = PhoneNumberClient(provider, session=borrowed, **settings)
        await stack.enter_async_context(client)
        began = asyncio.get_running_loop().time()
        error = await _call(client, method)
        seconds = asyncio.get_running_loop().time() - began
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}, "a task was left behind"
    finished = [event for event in events if isinstance(event, CallFinished)]
    return Seen(error, seconds, finished, len(server.requests), server.created, elsewhere.connections)


def _new_token_when_rejected(_: str, rejected: str | None) -> str:
    return NEW_TOKEN if rejected else TOKEN


async def _call(client: PhoneNumberClient, method: Method) -> WaPhoneError | None:
    try:
        if method == "GET":
            await client.list_phone_numbers(WABA).first_page()
        else:
            created = await client.create_phone_number(WABA, phone_number=NUMBER, verified_name="Acme", cc="1")
            assert created.id == "7"
    except WaPhoneError as error:
        return error.with_traceback(None)
    return None


def cases() -> Iterator[Any]:
    """Each cell of the table. An unknown outcome comes twice: the server did the write, and it did not."""
    methods: tuple[Method, ...] = ("GET", "POST")
    for fault in FAULTS:
        for method in methods:
            course = fault.course(method)
            cells: dict[Often, Ending | None] = {"once": course.once, "always": course.always}
            for often, ending in cells.items():
                for is_done in () if ending is None else may_be_done(ending):
                    name = f"{fault.name} - {method} - {often}{' - done' * is_done}"
                    yield pytest.param(fault, method, often, ending, is_done, id=name)


def may_be_done(ending: Ending) -> tuple[bool, ...]:
    """Whether the server does the write although it has its fault with it."""
    if ending.error is OutcomeUnknownError:
        return False, True
    return (ending.error is None and ending.attempts == ending.requests == 1,)


@pytest.mark.parametrize(("fault", "method", "often", "ending", "is_done"), list(cases()))
def test_the_call_ends_as_the_table_says(
    fault: Fault,
    method: Method,
    often: Often,
    ending: Ending,
    is_done: bool,  # noqa: FBT001 - pytest passes it by name
) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        seen = runner.run(observe(fault, method, often, is_done=is_done))
    error, [finished] = seen.error, seen.finished
    least, most = ending.seconds

    assert (None if error is None else type(error)) is ending.error, repr(error)
    assert (finished.attempts, seen.requests) == (ending.attempts, ending.requests)
    assert least - 1e-6 <= seen.seconds <= most + 1e-6
    assert seen.created == [NUMBER] * ending.effects(method, is_done=is_done)
    assert seen.connections_elsewhere == 0
    assert finished.seconds == pytest.approx(seen.seconds)
    assert finished.error == (None if error is None else type(error).__name__)
    if error is not None:
        assert error.attempts == ending.attempts
        assert error.retry_after == (None if ending.retry_after is None else pytest.approx(ending.retry_after))
        assert (error.__cause__, error.__context__) == (None, None)
        assert TOKEN not in f"{error!r} {error} {vars(error)}"


def test_no_create_can_happen_twice() -> None:
    for fault in FAULTS:
        for ending in filter(None, (fault.post.once, fault.post.always)):
            if ending.error is OutcomeUnknownError:
                assert ending.attempts == 1


def test_each_fault_has_its_own_name() -> None:
    names = [fault.name for fault in FAULTS]
    assert len(names) == len(set(names)) >= 30


def test_the_page_of_the_docs_is_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == write_page(), (
        "run: python tests/support/faults.py > docs/fault-matrix.md"
    )
