"""Prefetching: how long a list takes, with a caller who works on each page while the next is asked for.

    python benchmarks/read_ahead.py              some four minutes
    python benchmarks/read_ahead.py --rounds 21

A list of 20 pages, of which each takes 100 ms to come; the sandbox serves it from a process of its own. Steady callers
work 50 ms on a page, and one that blocks does so without awaiting anything. The one that comes in bursts works 200 ms
on every fourth page. In theory n pages take n · 150 ms without and n · 100 ms + 50 ms with, or 0.68.
"""

import asyncio
import contextlib
import functools
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping, Sequence

import paired
from paired import Findings, Row, Spread, ratio

from wa_phone_async import PhoneNumberClient, Throttle
from wa_phone_async.sandbox import Sandbox

WABA_ID = "100200300400020"
PAGES = 20
ROWS = 10
LATENCY = 0.1
WORK = 0.05
TARGET = 0.7


# --- callers


async def steady(number: int) -> None:
    del number
    await asyncio.sleep(WORK)


async def blocking(number: int) -> None:
    del number
    time.sleep(WORK)  # noqa: ASYNC251 - a caller that keeps the event loop from everybody


async def bursts(number: int) -> None:
    await asyncio.sleep(4 * WORK if number % 4 == 0 else 0)


Caller = Callable[[int], Awaitable[None]]
Part = tuple[str, Caller, tuple[int, ...]]
PARTS: tuple[Part, ...] = (
    ("50 ms a page", steady, (0, 1)),
    ("50 ms a page, blocking", blocking, (0, 1)),
    ("200 ms every fourth page", bursts, (0, 1, 4)),
)


async def seconds(url: str, work: Caller, read_ahead: int) -> float:
    """How long the list takes, on a connection that is there."""
    async with PhoneNumberClient("any", base_url=url, throttle=Throttle(quota=5_000)) as client:
        await client.list_phone_numbers(WABA_ID, max_items=1)
        began, number = time.perf_counter(), 0
        async with client.list_phone_numbers(WABA_ID, limit=ROWS, read_ahead=read_ahead) as paginator:
            async for _ in paginator.pages():
                number += 1
                await work(number)
        assert number == PAGES
        return time.perf_counter() - began


# --- the server, in a process of its own


def serve() -> None:
    """Serve a sandbox until the parent closes the pipe."""
    with Sandbox(quota=None, latency=LATENCY) as sandbox:
        sandbox.add_waba(WABA_ID, PAGES * ROWS)
        print(sandbox.url, flush=True)
        sys.stdin.read()


@contextlib.contextmanager
def serving() -> Generator[str]:
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


# --- the table


def measure(rounds: int, parts: Sequence[Part] = PARTS) -> Findings:
    with serving() as url:
        subjects = {
            (name, pages): functools.partial(take, url, work, pages)
            for name, work, numbers in parts
            for pages in numbers
        }
        times = paired.take_turns(subjects, rounds)
    return Findings(tuple(rows(times)), "\n".join(details(times)))


def measure_steady(rounds: int) -> Findings:
    """The part that has a goal, which takes a quarter of the time."""
    return measure(rounds, PARTS[:1])


def take(url: str, work: Caller, read_ahead: int) -> float:
    return asyncio.run(seconds(url, work, read_ahead))


def rows(times: Mapping[tuple[str, int], Sequence[float]]) -> Iterator[Row]:
    against = ratio(times["50 ms a page", 1], times["50 ms a page", 0])
    yield Row("`read_ahead=1`, 100 ms a page and 50 ms of work, time", "without", against, TARGET)


def details(times: Mapping[tuple[str, int], Sequence[float]]) -> Iterator[str]:
    yield "| the caller's work | read_ahead | seconds | beside without |"
    yield "|---|---|---|---|"
    for (name, pages), found in times.items():
        beside = ratio(found, times[name, 0]) if pages else ""
        yield f"| {name} | {pages} | {Spread.of(found).middle:.2f} | {beside} |"


def main() -> None:
    if sys.argv[1:] == ["--serve"]:
        serve()
    else:
        paired.main(measure, __doc__)


if __name__ == "__main__":
    main()
