"""The shell: a real local port on aiohttp, the stages of a call in time, and an alarm for what is on the agenda."""

import asyncio
from collections.abc import Callable

from aiohttp import web

from .api import Api
from .compression import compress
from .connection import drop, read_request, respond
from .delivery import Courier

_BACKLOG = 4096
"""Connections that may wait to be accepted: with asyncio's 100, a burst of more would wait a second for its turn."""


class Server:
    """Serves an `Api` from the loop in which it is started.

    Args:
        api: What answers.
        courier: Who sends webhooks while it serves.
        host: The address to listen on.
        port: The port, a free one if 0.
        latency: Seconds that every answer takes.
        clock: What tells the time in seconds; the running loop's clock if `None`.
        compresses: Whether answers are compressed for callers that accept it.
    """

    def __init__(
        self,
        api: Api,
        courier: Courier,
        host: str,
        port: int,
        *,
        latency: float,
        clock: Callable[[], float] | None,
        compresses: bool,
    ) -> None:
        self._api = api
        self._courier = courier
        self._host = host
        self._port = port
        self._latency = latency
        self._clock = clock
        self._compresses = compresses
        self._listener: asyncio.Server | None = None
        self._connections: web.Server | None = None
        self._in_flight = set[asyncio.Task[web.Response]]()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self.now: Callable[[], float] = clock or _no_clock

    @property
    def url(self) -> str:
        """The base URL, `RuntimeError` while nothing is served."""
        if self._listener is None:
            raise RuntimeError("the sandbox is not serving: use `async with` or `with`")
        return f"http://{self._host}:{self._listener.sockets[0].getsockname()[1]}"

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: The port is taken.
            RuntimeError: It listens already.
        """
        if self._listener is not None:
            raise RuntimeError("the sandbox serves already: use a second one for a second port")
        loop = asyncio.get_running_loop()
        connections = web.Server(self._handle, access_log=None)  # such a log would print tokens sent in URLs
        self._listener = await loop.create_server(connections, self._host, self._port, backlog=_BACKLOG)
        self._connections = connections
        self.now = self._clock or loop.time
        self._loop = loop
        self._courier.start()
        self._set_alarm()

    async def close(self) -> None:
        """Stop at once, and cut off what is in flight."""
        if self._listener is None or self._connections is None:
            return
        self._loop = None
        self._set_alarm()
        await self._courier.close()
        self._listener.close()
        for task in self._in_flight:
            task.cancel()
        for connection in self._connections.connections:
            if connection.transport is not None:
                connection.transport.abort()
        while self._connections.connections:  # noqa: ASYNC110 - a few turns; aiohttp has no event for it
            await asyncio.sleep(0)
        self._listener = self._connections = None

    def look_at_agenda(self) -> None:
        """Let happen in time what was put on the agenda, from any thread.

        With a clock that is not the loop's nobody can be woken: it happens before the next call is answered.
        """
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._set_alarm)

    def _set_alarm(self) -> None:
        alarm, self._alarm = self._alarm, None
        if alarm is not None:
            alarm.cancel()
        at = self._api.reviews.agenda.next_at
        if at is not None and self._loop is not None and self._clock is None:
            self._alarm = self._loop.call_at(at, self._ring)

    def _ring(self) -> None:
        try:
            with self._api.lock:
                self._api.reviews.keep_up(self.now())
        finally:  # what is on the agenda comes from outside, and may raise
            self._set_alarm()

    async def _handle(self, http: web.BaseRequest) -> web.Response:
        task = asyncio.ensure_future(self._call(http))
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)
        return await task

    async def _call(self, http: web.BaseRequest) -> web.Response:
        """Take a call through its stages. A caller who goes away does not stop it, as on a real service."""
        try:
            request = await read_request(http, self.now())
        except ConnectionError:  # the caller was gone before all of it had come
            return web.Response()
        fault = self._api.receive(request)
        await _pause(self._latency + fault.delay_before)
        if fault.drop == "before":
            return drop(http, fault)
        answer = self._api.answer(request, fault, self.now())
        self._set_alarm()
        await _pause(fault.delay_after)
        if fault.drop == "after":
            return drop(http, fault)
        self._api.settle(request, answer.status)
        if self._compresses:
            answer = compress(answer, request.headers.get("Accept-Encoding", ""))
        return respond(answer, fault)


async def _pause(seconds: float) -> None:
    if seconds > 0:
        await asyncio.sleep(seconds)


def _no_clock() -> float:
    raise RuntimeError("the sandbox has no clock before it serves: give it one, `Sandbox(clock=...)`")
