"""A server of canned pages, in a process of its own, that does as little as a server can.

    python benchmarks/canned.py --pages 20                                serves until its input ends
    python benchmarks/canned.py --gzip --certificate certificate.pem      compressed, over TLS

It speaks just enough HTTP/1.1 for a GET on a kept-alive connection. The rows of all pages are written before the first
request; of an answer only the cursors, the links and the usage headers are made when it is asked for. How many pages an
account has is in its id. Links point back here, since one of the peers follows them.
"""

import argparse
import asyncio
import base64
import contextlib
import gzip
import itertools
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from urllib.parse import urlsplit

import attrs
import pages

HOURLY = 5_000
TOKEN = "an-invented-token"
_ACCOUNT = re.compile(rb"/(v[0-9.]+)/+1([0-9]{4})([0-9]{10})/phone_numbers")
_AFTER = re.compile(rb"[?&]after=([A-Za-z0-9_-]+)")
_LENGTH = re.compile(rb"content-length: ([0-9]+)", re.IGNORECASE)


def waba_ids(count: int, pages_each: int, serial: Iterator[int]) -> list[str]:
    """Ids of accounts with so many pages, each of which was never given before."""
    return [f"1{pages_each:04}{number:010}" for number in itertools.islice(serial, count)]


# --- the server


def cursor(page: int) -> str:
    """A cursor as long as Meta's."""
    return base64.urlsafe_b64encode(f"{'AQHR' * 20}{page:06}x".encode()).decode()


def page_of(cursor: bytes) -> int:
    return int(base64.urlsafe_b64decode(cursor)[-7:-1])


class Canned(asyncio.Protocol):
    """One connection."""

    answers = 0
    url = ""
    rows: tuple[bytes, ...] = ()
    compress = False

    def __init__(self) -> None:
        self._pending = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(2**20)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *requests, self._pending = (self._pending + data).split(b"\r\n\r\n")
        for request in requests:
            self._transport.write(self.answer(request))

    @classmethod
    def answer(cls, request: bytes) -> bytes:
        found = _ACCOUNT.search(request)
        assert found is not None, request
        version, pages_of_account, serial = (part.decode() for part in found.groups())
        after = _AFTER.search(request)
        page = page_of(after[1]) + 1 if after else 0
        waba_id, last = f"1{pages_of_account}{serial}", int(pages_of_account) - 1
        link = f"{cls.url}/{version}/{waba_id}/phone_numbers?access_token={TOKEN}&pretty=0&limit={pages.ROWS}"
        paging = f'"cursors":{{"before":"{cursor(page)}","after":"{cursor(page)}"}}'
        if page < last:
            paging += f',"next":"{link}&after={cursor(page)}"'
        body = b'{"data":%b,"paging":{%b}}' % (cls.rows[page], paging.encode())
        Canned.answers += 1
        encoding = ""
        if cls.compress:
            body, encoding = gzip.compress(body, 1), "gzip"
        return head(waba_id, 100 * (page + 1) // HOURLY, len(body), encoding) + body


def head(waba_id: str, percent: int, length: int, encoding: str = "") -> bytes:
    """The status and the headers that Meta's OpenAPI file of v23.0 lists, read 2026-11-22."""
    content_encoding = f"Content-Encoding: {encoding}\r\n" if encoding else ""
    usage = (
        f'{{"{waba_id}":[{{"type":"whatsapp","call_count":{percent},"total_cputime":1,"total_time":1,'
        '"estimated_time_to_regain_access":0}]}'
    )
    return (
        "HTTP/1.1 200 OK\r\n"
        "Content-Type: application/json; charset=UTF-8\r\n"
        "Vary: Origin, Accept-Encoding\r\n"
        f"x-business-use-case-usage: {usage}\r\n"
        "facebook-api-version: v23.0\r\n"
        "Strict-Transport-Security: max-age=15552000; preload\r\n"
        "Pragma: no-cache\r\n"
        "Cache-Control: private, no-cache, no-store, must-revalidate\r\n"
        "x-fb-request-id: AbCdEfGhIjKlMnOpQrStUvW\r\n"
        "x-fb-trace-id: AbCdEfGhIjK\r\n"
        "x-fb-rev: 1000000000\r\n"
        "Date: Sun, 22 Nov 2026 12:00:00 GMT\r\n"
        "Connection: keep-alive\r\n"
        f"{content_encoding}"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


async def serve(count: int, certificate: str | None = None) -> None:
    """Serve; for each line of input print the processor seconds that it took so far, and the answers given."""
    Canned.rows = tuple(pages.data(number * pages.ROWS, {}, ()) for number in range(count))
    loop = asyncio.get_running_loop()
    context = None
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    listener = await loop.create_server(Canned, "127.0.0.1", 0, backlog=4096, ssl=context)
    Canned.url = f"{'https' if context else 'http'}://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    print(Canned.url, flush=True)
    ended = loop.create_future()

    def tell() -> None:
        if sys.stdin.readline():
            print(time.process_time(), Canned.answers, flush=True)
        elif not ended.done():
            ended.set_result(None)

    loop.add_reader(sys.stdin, tell)
    await ended


# --- what the benchmarks see of it


@attrs.frozen
class Took:
    """What serving took since the last time of asking."""

    cpu: float
    """Processor seconds."""
    answers: int

    @property
    def cpu_a_page(self) -> float:
        """Processor seconds."""
        return self.cpu / self.answers if self.answers else 0.0


class Server:
    """A running server.

    Args:
        process: Its process, whose input and output are pipes.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._input, self._output = process.stdin, process.stdout
        self.url = self._output.readline().strip()
        self._seen = (0.0, 0)
        self.took()

    def took(self) -> Took:
        """What serving took since the last time of asking."""
        print(file=self._input, flush=True)
        cpu, answers = self._output.readline().split()
        before, self._seen = self._seen, (float(cpu), int(answers))
        return Took(self._seen[0] - before[0], self._seen[1] - before[1])


@contextlib.contextmanager
def serving(count: int, *options: str) -> Generator[Server]:
    """A server of lists of up to so many pages, with more options of its command line."""
    command = [sys.executable, __file__, "--pages", str(count), *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Server(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()


def capacity(url: str, connections: int, requests: int = 2_000) -> float:
    """The pages a second that bare sockets get, which read answers and look at nothing but their length."""
    parts = urlsplit(url)
    waba_id = waba_ids(1, 1, itertools.count())[0]
    request = f"GET /v23.0/{waba_id}/phone_numbers?limit=100 HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
    with contextlib.ExitStack() as open_sockets:
        sockets = [
            open_sockets.enter_context(socket.create_connection((parts.hostname or "", parts.port or 80)))
            for _ in range(connections)
        ]
        began = time.perf_counter()
        for _ in range(requests // connections):
            for one in sockets:
                one.sendall(request)
            for one in sockets:
                read_answer(one)
        return requests // connections * connections / (time.perf_counter() - began)


def read_answer(one: socket.socket) -> None:
    content = one.recv(2**20)
    while b"\r\n\r\n" not in content:
        content += one.recv(2**20)
    length = _LENGTH.search(content)
    assert length is not None
    left = content.index(b"\r\n\r\n") + 4 + int(length[1]) - len(content)
    while left > 0:
        left -= len(one.recv(2**20))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=20, help="of the longest list")
    parser.add_argument("--gzip", action="store_true", help="compress each response")
    parser.add_argument("--certificate", help="a certificate with its key: speak TLS")
    options = parser.parse_args()
    Canned.compress = options.gzip
    asyncio.run(serve(options.pages, options.certificate))


if __name__ == "__main__":
    main()
