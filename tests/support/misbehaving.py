"""A raw TCP server that sends exact bytes, or misbehaves: `respond`, `raw`, `hang`, `time_out`, `hang_up`, `reset`.

async with RawServer([respond(b"{}"), hang_up]) as server:
    ...  # the first request gets a response, and all others a closed connection
    assert len(server.requests) == 2
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Self

import attrs
from passing_time import movable_clock, pass_time

Play = Callable[["Connection"], Awaitable[None]]
"""What the server does with one whole request."""

_ABORT = struct.pack("ii", 1, 0)  # linger for no time: closing sends RST


@attrs.frozen
class ReceivedRequest:
    """One request as the server received it."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    connection: int
    """The number of its connection, from 0."""


@attrs.frozen
class Connection:
    """The connection of one client."""

    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def hang_up(self, *, reset: bool = False) -> None:
        if reset:
            sock: socket.socket = self.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
            self.writer.transport.abort()
        else:
            self.writer.close()


def respond(body: bytes | str = b"", *, status: str = "200 OK", headers: str = "", then_close: bool = False) -> Play:
    """Send a whole HTTP response; `headers` are lines that end in CRLF."""
    content = body.encode() if isinstance(body, str) else body
    return raw(
        f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\n{headers}\r\n".encode() + content,
        then_close=then_close,
    )


def raw(data: bytes, *, then_close: bool = True) -> Play:
    """Send these bytes."""

    async def play(connection: Connection) -> None:
        await connection.send(data)
        if then_close:
            connection.hang_up()

    return play


async def hang(_: Connection) -> None:
    """Never respond."""
    await asyncio.Event().wait()


async def time_out(_: Connection) -> None:
    """Never respond, and let the client's time-outs end at once."""
    pass_time()
    await asyncio.Event().wait()


async def hang_up(connection: Connection) -> None:
    """Close the connection in an orderly way (FIN)."""
    connection.hang_up()


async def reset(connection: Connection) -> None:
    """Break the connection (RST)."""
    connection.hang_up(reset=True)


class RawServer:
    """Does one play for each request; the last one is for all further requests."""

    def __init__(self, plays: Sequence[Play], *, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[ReceivedRequest] = []
        self.received = asyncio.Event()
        """Set when the first request has come."""
        self.url = ""
        self.port = 0
        self._plays = plays
        self._tls = tls
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        movable_clock()  # for `time_out`
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.close_connections()
        await self._server.wait_closed()

    @property
    def connections(self) -> int:
        """Number of connections so far."""
        return len(self._writers)

    def close_connections(self) -> None:
        """Close every connection, idle ones too."""
        for writer in self._writers:
            writer.transport.abort()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer, len(self._writers)))
        self._writers.append(writer)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        try:
            while request := await read_request(reader, number):
                play = self._plays[min(len(self.requests), len(self._plays) - 1)]
                self.requests.append(request)
                self.received.set()
                await play(Connection(writer))
        except ConnectionError:
            pass  # the client hung up first
        finally:
            writer.close()


async def read_request(reader: asyncio.StreamReader, number: int) -> ReceivedRequest | None:
    """Read one request; `None` if the connection ends first."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.strip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return ReceivedRequest(method, target, headers, body, number)
