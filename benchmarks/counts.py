"""Function calls that a page of a list costs, which are the same on a quiet machine and on a busy one.

    python benchmarks/counts.py

All calls of Python and C functions in the client's thread are counted, those of aiohttp and asyncio too. A page's are
those of a list of two pages without those of a list of one. Of many lists the least count is taken: it is that of an
answer that came in one piece. A loop by hand over aiohttp and `json` is counted as well, so that what is left between
the two is this package's own, whatever the versions of the others. `tests/test_cost.py` bounds it.
"""

import argparse
import asyncio
import importlib
import importlib.util
import itertools
import json
import sys
from collections.abc import Awaitable
from typing import Any

import canned
import paired

LISTS = 30
CORE = {"WA_PHONE_FAST_PATH": "off"}


async def calls(awaitable: Awaitable[Any]) -> int:
    """How many functions are called while something is awaited."""
    counts = {"call": 0, "c_call": 0, "return": 0, "c_return": 0, "c_exception": 0}

    def count(_: object, event: str, __: object) -> None:
        counts[event] += 1

    sys.setprofile(count)
    try:
        await awaitable
    finally:
        sys.setprofile(None)
    return counts["call"] + counts["c_call"]


async def calls_a_page(subject: str, url: str, arguments: list[str]) -> int:
    """The calls of a page, once all is warm."""
    module, _, name = subject.partition(".")
    serial = itertools.count()
    async with getattr(importlib.import_module(module), name)(url, *arguments) as lister:
        await lister(canned.waba_ids(1, 2, serial))
        one, two = [
            min([await calls(lister(canned.waba_ids(1, pages, serial))) for _ in range(LISTS)]) for pages in (1, 2)
        ]
    return two - one


def counted() -> dict[str, int]:
    """The calls of a page beyond those of the loop by hand, on each path that there is."""
    with canned.serving(2) as server:
        by_hand = int(paired.run_fresh("counts.py", "--subject", "by_hand.by_row", server.url, "json"))
        core = int(paired.run_fresh("counts.py", "--subject", "ours.by_row", server.url, environment=CORE))
        found = {"by hand": by_hand, "core": core - by_hand}
        if importlib.util.find_spec("msgspec"):
            speed = int(paired.run_fresh("counts.py", "--subject", "ours.by_row", server.url))
            found["speed"] = speed - by_hand
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subject", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.subject:
        subject, url, *arguments = options.subject
        print(json.dumps(asyncio.run(calls_a_page(subject, url, arguments))))
    else:
        found = counted()
        print(f"calls a page by hand: {found.pop('by hand')}")
        for path, more in found.items():
            print(f"calls a page more, {path}: {more}")


if __name__ == "__main__":
    main()
