"""One subject in a process of its own: it opens and warms up, and then works once for each line of its input.

    python benchmarks/subject.py ours.by_row http://127.0.0.1:PORT --lists 64 --pages 20 --times 3

A subject is a function of `ours`, `by_hand` or `peers` that takes the server's address, and gives what lists accounts
while it is open. The warm-up makes the connections, and lets decoders be built; it does not count, and neither do the
start of Python and the imports.
"""

import argparse
import asyncio
import importlib
import itertools
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence

from canned import waba_ids
from pages import ROWS

TOKEN = "an-invented-token"
CONCURRENCY = 64
Lister = Callable[[Sequence[str]], Awaitable[tuple[int, str]]]
"""Lists accounts, all at once where there are several: how many numbers there were, and the id of the last."""


async def run(options: argparse.Namespace) -> None:
    """Print `ready`, and then for each line what a page took, in seconds."""
    module, _, name = options.subject.partition(".")
    opened = getattr(importlib.import_module(module), name)
    serial = itertools.count()
    async with opened(options.url, *options.arguments) as lister:
        await work(lister, min(options.lists, options.warm), min(options.pages, 20), 1, serial)
        print(json.dumps("ready"), flush=True)
        while sys.stdin.readline():
            began, cpu = time.perf_counter(), time.process_time()
            pages = await work(lister, options.lists, options.pages, options.times, serial)
            took = {"cpu": time.process_time() - cpu, "seconds": time.perf_counter() - began}
            print(json.dumps({name: seconds / pages for name, seconds in took.items()}), flush=True)


async def work(lister: Lister, lists: int, pages: int, times: int, serial: Iterator[int]) -> int:
    """List, so many times, so many accounts of so many pages; how many pages that were."""
    for _ in range(times):
        seen, last = await lister(waba_ids(lists, pages, serial))
        assert seen == lists * pages * ROWS, f"{seen} numbers"
        assert last == str(300_000_000_000_000 + pages * ROWS - 1), last
    return lists * pages * times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("subject")
    parser.add_argument("url")
    parser.add_argument("arguments", nargs="*", help="what else the subject takes")
    parser.add_argument("--lists", type=int, default=1, help="accounts at once")
    parser.add_argument("--pages", type=int, default=20, help="of 100 numbers in each list")
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--warm", type=int, default=CONCURRENCY, help="accounts at once in the warm-up")
    parser.add_argument("--loop", default="", help="the package of the event loop; default: that of asyncio")
    options = parser.parse_args()
    factory = importlib.import_module(options.loop).new_event_loop if options.loop else None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(run(options))


if __name__ == "__main__":
    main()
