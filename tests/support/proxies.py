"""A proxy that connects every host to one port of this machine, and certificates for such hosts.

A `RawServer` is a proxy too: for http:// addresses, and for one that rejects each CONNECT, or hangs.
"""

import asyncio
import shutil
import ssl
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Self

import attrs
import pytest
from misbehaving import ReceivedRequest, read_request


class ConnectProxy:
    """A proxy that accepts each CONNECT, and passes bytes on to `port`, whatever host was meant."""

    def __init__(self, port: int) -> None:
        self.requests: list[ReceivedRequest] = []
        self._port = port
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await read_request(reader, len(self.requests))
        assert request is not None
        self.requests.append(request)
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with suppress(ConnectionError):
            while data := await reader.read(2**16):
                writer.write(data)
                await writer.drain()
    finally:
        writer.transport.abort()


@attrs.frozen
class Identity:
    """A host's certificate, which signs itself."""

    file: Path
    """The certificate and its key. A client that trusts this file trusts the host."""

    def server(self) -> ssl.SSLContext:
        """The context of the host."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file)
        return context

    def client(self) -> ssl.SSLContext:
        """The context of a client that trusts this host alone."""
        return ssl.create_default_context(cafile=str(self.file))


def make_identity(directory: Path, host: str) -> Identity:
    """Make a certificate for a host, valid for two days."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl here")
    key, certificate, both = (directory / name for name in ("key.pem", "certificate.pem", "both.pem"))
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = ("-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}")
    subprocess.run(
        (*command.split(), *names, "-keyout", key, "-out", certificate), check=True, capture_output=True, timeout=30
    )
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    return Identity(both)
