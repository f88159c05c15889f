"""Compressed answers: what a page of 100 numbers costs in processor time and takes on the wire, by its encoding.

    python benchmarks/compressed.py              some two minutes
    python benchmarks/compressed.py --rounds 41

The pages are seeded; ids, digits and names are random, as Meta's are. The server runs in a process of its own and sends
bodies that were compressed beforehand, at the levels that servers take for answers made on the fly; the last column
shows how much of the time it was busy. Each subject is a fresh process that walks the list of 20 pages fifteen times,
after once to warm up. An encoding saves time where the line is slower than the bits that it saves in the time that it
costs; br and zstd are there where their packages are.
"""

import argparse
import asyncio
import contextlib
import functools
import gzip
import importlib
import importlib.util
import json
import random
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import IO, Any

import paired
from pages import ROWS, WORDS
from paired import Findings, ratio

from wa_phone_async import PhoneNumberClient, Throttle

PAGES = 20
WALKS = 15
NAMES = ("Blue", "Old", "Café", "Zürich", "Harbour", "Garden", "Mill", "North", "Books", "Bakery", "Optics", "Shoes")


# --- pages and encodings


def row(chance: random.Random) -> dict[str, Any]:
    """A number with the 14 fields of the reference."""
    name = " ".join(chance.sample(NAMES, 3))
    return {
        "id": str(chance.randrange(10**14, 10**15)),
        "display_phone_number": f"+1 {chance.randrange(200, 1000)}-555-{chance.randrange(10**4):04}",
        "verified_name": name,
        **{field: chance.choice(words) for field, words in WORDS.items()},
        "is_official_business_account": chance.random() < 0.2,
        "username": name.lower().replace(" ", "_") + str(chance.randrange(1000)),
    }


def page(number: int) -> bytes:
    chance = random.Random(number)
    answer: dict[str, Any] = {"data": [row(chance) for _ in range(ROWS)]}
    answer["paging"] = {"cursors": {"before": f"page{number}", "after": f"page{number + 1}"}}
    if number + 1 < PAGES:
        answer["paging"]["next"] = f"https://graph.example/v23.0/1/phone_numbers?limit=100&after=page{number + 1}"
    return json.dumps(answer, separators=(",", ":")).encode()


def encodings() -> dict[str, Callable[[bytes], bytes]]:
    """How to compress, by the name of the encoding."""
    found: dict[str, Callable[[bytes], bytes]] = {"identity": bytes, "gzip": lambda body: gzip.compress(body, 6)}
    if importlib.util.find_spec("brotli"):
        brotli = importlib.import_module("brotli")
        found["br"] = lambda body: brotli.compress(body, quality=4)
    with contextlib.suppress(ImportError):
        zstd = importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
        found["zstd"] = lambda body: zstd.compress(body, level=3)
    return found


# --- the server, in a process of its own


class Server(asyncio.Protocol):
    """Sends the page and encoding that a request names, whole and ready."""

    answers: dict[tuple[str, int], bytes]
    wanted = re.compile(rb"GET /(\w+)/(?:\S*?after=page(\d+))?")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:  # a request comes whole, since it is short and each waits for one
        found = self.wanted.match(data)
        assert found is not None
        self.transport.write(self.answers[found[1].decode(), int(found[2] or 0)])


def answer(name: str, body: bytes) -> bytes:
    encoding = "" if name == "identity" else f"Content-Encoding: {name}\r\n"
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{encoding}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def serve() -> None:
    """Serve until the parent closes the pipe; for each line in it, print the processor time that was used so far."""
    pages = [page(number) for number in range(PAGES)]
    compressed = {name: [compress(body) for body in pages] for name, compress in encodings().items()}
    Server.answers = {(name, at): answer(name, body) for name in compressed for at, body in enumerate(compressed[name])}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Server, "127.0.0.1", 0)
    sizes = {name: statistics.mean(map(len, bodies)) for name, bodies in compressed.items()}
    print(server.sockets[0].getsockname()[1], json.dumps(sizes), flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(time.process_time(), flush=True)


@contextlib.contextmanager
def serving() -> Generator[tuple[str, dict[str, float], Callable[[], float]]]:
    """Its address, the mean size of a page by its encoding, and what gives the processor time that it used so far."""
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdin: IO[str] = process.stdin
        stdout: IO[str] = process.stdout
        port, _, sizes = stdout.readline().partition(" ")

        def busy() -> float:
            stdin.write("\n")
            stdin.flush()
            return float(stdout.readline())

        try:
            yield f"http://127.0.0.1:{port}", json.loads(sizes), busy
        finally:
            stdin.close()


# --- a subject, in a process of its own


async def walk(url: str) -> None:
    """Print the processor time and the time of a page, as JSON."""
    async with PhoneNumberClient("any", base_url=url, throttle=Throttle(quota=5_000)) as client:
        for walk in range(WALKS + 1):
            assert len(await client.list_phone_numbers("1")) == PAGES * ROWS
            if walk == 0:
                before, began = time.process_time(), time.perf_counter()
    cpu, seconds = time.process_time() - before, time.perf_counter() - began
    print(json.dumps({"cpu": cpu / PAGES / WALKS * 1e6, "seconds": seconds * (WALKS + 1) / WALKS}))


def take(url: str, name: str, busy: Callable[[], float]) -> dict[str, float]:
    """What an encoding took in one round."""
    before = busy()
    took = paired.run_fresh("compressed.py", "--subject", f"{url}/{name}")
    return {**took, "busy": (busy() - before) / took["seconds"]}


def measure(rounds: int) -> Findings:
    with serving() as (url, sizes, busy):
        subjects = {name: functools.partial(take, url, name, busy) for name in sizes}
        found = paired.take_turns(subjects, rounds)
    return Findings((), "\n".join(details(found, sizes)))


def details(found: Mapping[str, Sequence[Mapping[str, float]]], sizes: Mapping[str, float]) -> Iterator[str]:
    yield "| encoding | bytes a page | share | CPU a page, µs | beside identity | saves time below | server busy |"
    yield "|---|---|---|---|---|---|---|"
    plain = [took["cpu"] for took in found["identity"]]
    for name, taken in found.items():
        times = [took["cpu"] for took in taken]
        more = statistics.median(mine - other for mine, other in zip(times, plain, strict=True))
        saved = sizes["identity"] - sizes[name]
        beside = ratio(times, plain) if saved else ""
        line = f"{saved * 8 / more:,.0f} Mbit/s" if saved and more > 0 else ""
        share, server = sizes[name] / sizes["identity"], statistics.median(took["busy"] for took in taken)
        cpu = statistics.median(times)
        yield f"| {name} | {sizes[name]:,.0f} | {share:.2f} | {cpu:.0f} | {beside} | {line} | {server:.0%} |"


def main() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--subject")
    arguments, _ = parser.parse_known_args()
    if arguments.serve:
        asyncio.run(serve())
    elif arguments.subject:
        asyncio.run(walk(arguments.subject))
    else:
        paired.main(measure, __doc__)


if __name__ == "__main__":
    main()
