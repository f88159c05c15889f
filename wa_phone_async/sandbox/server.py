"""The shell: a local port on aiohttp, the stages of a call in time, and a timer for what is scheduled."""

import asyncio
from collections.abc import Callable

from aiohttp import web

from .api import Api
from .compression import compress
from .connection import drop, read_request, write_response
from .delivery import WebhookSender
from .log import LOG

_BACKLOG = 4096
"""Connections that may wait to be accepted. With asyncio's 100, a larger burst of connections would wait a second."""
_TURNS_TO_ACCEPT = 3  # asyncio makes the transport in a task, and tells the protocol in the turn after that


class Server:
    """Serves an `Api` from the loop in which it is started.

    Args:
        api: Decides what each call does.
        sender: Sends webhooks while the server runs.
        host: The address to listen on.
        port: The port; 0 chooses a free one.
        latency: Seconds that every response takes.
        clock: Returns the time in seconds; `None` uses the clock of the running loop.
        compresses: Whether responses are compressed for callers that accept it.
    """

    def __init__(
        self,
        api: Api,
        sender: WebhookSender,
        host: str,
        port: int,
        *,
        latency: float,
        clock: Callable[[], float] | None,
        compresses: bool,
    ) -> None:
        self._api = api
        self._sender = sender
        self._host = host
        self._port = port
        self._latency = latency
        self._clock = clock
        self._compresses = compresses
        self._listener: asyncio.Server | None = None
        self._connections: web.Server | None = None
        self._in_flight = set[asyncio.Task[web.Response]]()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._read_clock: Callable[[], float] = clock or _no_clock
        self._ahead = 0.0  # seconds that the time was put forward

    @property
    def url(self) -> str:
        """The base URL.

        Raises:
            RuntimeError: The server does not run.
        """
        if self._listener is None:
            raise RuntimeError("the sandbox is not serving, so it has no URL: open it with `async with` or `with`")
        address: tuple[str, int] = self._listener.sockets[0].getsockname()[:2]
        host = self._host or address[0]  # without a host, it listens on all addresses
        # RFC 3986 wants brackets around an IPv6 address, and RFC 6874 another sign before its zone.
        if ":" in host:
            host = f"[{host.replace('%', '%25')}]"
        return f"http://{host}:{address[1]}"

    async def start(self) -> None:
        """Listen on the port.

        Raises:
            OSError: The port is in use.
            RuntimeError: The server runs already.
        """
        if self._listener is not None:
            raise RuntimeError("the sandbox is serving already: create another `Sandbox` for another port")
        loop = asyncio.get_running_loop()
        # An access log would print tokens sent in URLs, and aiohttp's own log those of malformed requests.
        connections = web.Server(self._handle, access_log=None, logger=LOG)
        self._listener = await loop.create_server(connections, self._host, self._port, backlog=_BACKLOG)
        self._connections = connections
        self._read_clock = self._clock or loop.time
        self._loop = loop
        self._sender.start()
        self._set_timer()

    async def close(self) -> None:
        """Stop at once, and abort the calls in flight."""
        if self._listener is None or self._connections is None:
            return
        self._loop = None
        self._set_timer()
        await self._sender.close()
        self._listener.close()
        # A connection that was accepted just now is among the others only some turns of the loop later.
        for _ in range(_TURNS_TO_ACCEPT):
            await asyncio.sleep(0)
        for task in self._in_flight:
            task.cancel()
        for connection in self._connections.connections:
            if connection.transport is not None:
                connection.transport.abort()
        # Wait until aiohttp has seen that each connection is lost: no task of the server outlives this method.
        while self._connections.connections:  # noqa: ASYNC110 - a few turns of the loop; aiohttp has no event for it
            await asyncio.sleep(0)
        self._listener = self._connections = None

    def now(self) -> float:
        """Return the time in seconds.

        Raises:
            RuntimeError: There is no clock: the server does not run, and has no `clock` of its own.
        """
        return self._read_clock() + self._ahead

    def advance(self, seconds: float) -> None:
        """Put the time forward, and run what is scheduled until then."""
        self._ahead += seconds
        try:
            self._api.reviews.run_due(self.now())
        finally:
            self.update_timer()

    def update_timer(self) -> None:
        """Notice a change of the schedule, from any thread.

        With a clock of the caller's own, actions run before the first response after their time.
        """
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._set_timer)

    def _set_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        # Only the loop's own clock can wake the loop: another clock may stand still, or go at another speed.
        at = self._api.reviews.schedule.next_at
        if at is not None and self._loop is not None and self._clock is None:
            self._timer = self._loop.call_at(at - self._ahead, self._run_due)

    def _run_due(self) -> None:
        try:
            with self._api.lock:
                self._api.reviews.run_due(self.now())
        finally:  # a scheduled action is the caller's own code and may raise: the others still get their timer
            self._set_timer()

    async def _handle(self, http: web.BaseRequest) -> web.Response:
        # A task of its own, for `close` to cancel. A caller who disconnects does not cancel it, as on a real service.
        task = asyncio.ensure_future(self._call(http))
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)
        return await task

    async def _call(self, http: web.BaseRequest) -> web.Response:
        """Take a call through its stages."""
        try:
            request = await read_request(http, self.now())
        except ConnectionError:  # the caller disconnected before the whole request had arrived
            return web.Response()
        except web.RequestPayloadError:  # it is not encoded as its headers say
            return web.Response(status=400)
        fault = self._api.receive(request)
        await _delay(self._latency + fault.delay_before)
        if fault.drop == "before":
            return drop(http, fault)
        response, fault = self._api.respond(request, fault, self.now())
        self._set_timer()
        await _delay(fault.delay_after)
        if fault.drop is not None:
            return drop(http, fault)
        self._api.record_status(request, response.status)
        if self._compresses:
            response = compress(response, request.headers.get("Accept-Encoding", ""))
        return write_response(response, fault)


async def _delay(seconds: float) -> None:
    if seconds > 0:
        await asyncio.sleep(seconds)


def _no_clock() -> float:
    raise RuntimeError("the sandbox has no clock before it serves: open it first, or pass `Sandbox(clock=...)`")
