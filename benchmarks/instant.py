"""A call's own cost: over a transport that responds at once, so sockets, parsing of HTTP and a server cost nothing.

    python benchmarks/instant.py --rounds 11               beside the revision that the goals are measured from
    python benchmarks/report.py --against REV              beside another one, with all other work

A page has one row, so what counts is the path of a call, and not its rows. The client gets a session of aiohttp whose
`_request` is a coroutine that returns a response made beforehand. Each round runs each revision in fresh processes.
"""

import argparse
import asyncio
import functools
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

import aiohttp
import canned
import checkouts
import pages
import paired
from multidict import CIMultiDict, CIMultiDictProxy
from paired import Findings, Row, Spread, ratio
from subject import CONCURRENCY, TOKEN
from yarl import URL

from wa_phone_async import PhoneNumberClient, Throttle

BASE = "e59d4bf"
"""The revision that the goals are measured from."""
PAGES = 20
LIST, MANY, CREATE = "a page of one row", "an account of `list_many`, of one row", "a create"
GOALS = {LIST: 0.75, MANY: 0.75}
CHUNKS = 15
CALLS = 300
"""In a chunk, at least. The least of the chunks counts: it has the least noise."""


# --- the transport


class Body:
    """What is read of a response: all of it at once."""

    def __init__(self, body: bytes) -> None:
        self._rest = [body]

    def at_eof(self) -> bool:
        return not self._rest

    async def readany(self) -> bytes:
        return self._rest.pop()


class Response:
    """As much of `aiohttp.ClientResponse` as the client looks at."""

    status = 200
    headers = CIMultiDictProxy(
        CIMultiDict(line.split(": ", 1) for line in canned.head("1", 1, 0).decode().split("\r\n")[1:] if line)
    )

    def __init__(self, body: bytes) -> None:
        self.content = Body(body)

    def release(self) -> None:
        """Do nothing: there is no connection."""


def body(page: int) -> bytes:
    """A page of one row. There are `PAGES` of them."""
    (row,) = json.loads(pages.data(page, {}, ()))[:1]
    paging: dict[str, Any] = {"cursors": {"before": canned.cursor(page), "after": canned.cursor(page)}}
    if page + 1 < PAGES:
        paging["next"] = f"https://graph.example/v23.0/1/phone_numbers?limit=100&after={canned.cursor(page)}"
    return json.dumps({"data": [row], "paging": paging}, separators=(",", ":")).encode()


BODIES = [*map(body, range(PAGES))]
CREATED = b'{"id":"300000000000001"}'


async def respond(method: str, url: URL, **_: object) -> Response:
    """The next page of the long list of account 1, the one page of any other account, or a number that was created."""
    if method == "POST":
        return Response(CREATED)
    _, _, after = url.raw_query_string.partition("after=")
    if after:
        return Response(BODIES[canned.page_of(after.partition("&")[0].encode()) + 1])
    return Response(BODIES[0 if "/1/" in url.raw_path else -1])


# --- the subjects, each in a process of its own

Subject = Callable[[PhoneNumberClient, int], Awaitable[object]]
"""Makes at least so many calls."""


async def one_list(client: PhoneNumberClient, calls: int) -> int:
    seen = 0
    for _ in range(-(-calls // PAGES)):
        async for _ in client.list_phone_numbers("1"):
            seen += 1
    return seen


async def many(client: PhoneNumberClient, calls: int) -> int:
    waba_ids = [str(100_200_300_400_000 + number) for number in range(calls)]
    async with client.list_many(waba_ids, concurrency=CONCURRENCY) as listings:
        return sum([len(listing.phone_numbers) async for listing in listings])


async def create(client: PhoneNumberClient, calls: int) -> int:
    for number in range(calls):
        await client.create_phone_number("1", phone_number=f"631555{number:04}", verified_name="Blue Bakery", cc="1")
    return calls


SUBJECTS: Mapping[str, Subject] = {LIST: one_list, MANY: many, CREATE: create}


async def run(measure: Callable[[PhoneNumberClient], Awaitable[float]]) -> float:
    """Measure with a client over the transport."""
    async with aiohttp.ClientSession() as session:
        object.__setattr__(session, "_request", respond)
        async with PhoneNumberClient(TOKEN, session=session, throttle=Throttle(quota=10**7)) as client:
            return await measure(client)


async def cpu_a_call(subject: Subject, client: PhoneNumberClient) -> float:
    """Processor seconds of a call, once all is warm."""
    await subject(client, CALLS)
    times = list[float]()
    for _ in range(CHUNKS):
        began = time.process_time()
        await subject(client, CALLS)
        times.append((time.process_time() - began) / CALLS)
    return min(times)


async def function_calls(subject: Subject, client: PhoneNumberClient) -> float:
    """Functions that are called for one call of the API, once all is warm."""
    counted = 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal counted
        counted += event in {"call", "c_call"}

    await subject(client, CALLS)
    sys.setprofile(count)
    try:
        await subject(client, CALLS)
    finally:
        sys.setprofile(None)
    return counted / CALLS


def calls_of_each(environment: Mapping[str, str] | None = None) -> dict[str, float]:
    """The function calls of one call of each subject."""
    return {
        name: float(paired.run_fresh("instant.py", "--subject", name, "--calls", environment=environment))
        for name in SUBJECTS
    }


# --- the table


def sample(name: str, path: str = "") -> float:
    """Processor seconds of a call, with the package from a path if one is given."""
    environment = {"PYTHONPATH": path} if path else None
    return float(paired.run_fresh("instant.py", "--subject", name, environment=environment))


Times = Mapping[str, Mapping[str, Sequence[float]]]
"""Seconds of each round, by the work and by the checkout."""


def measure(rounds: int) -> Findings:
    """Measure beside `BASE`. A clone that is not deep has no such revision: then there are no rows."""
    if not checkouts.is_known(BASE):
        return Findings((), f"This checkout has no revision {BASE}.")
    with checkouts.checked_out(BASE) as other:
        paths = {"this": str(checkouts.REPOSITORY), "other": other}
        found = {
            name: paired.take_turns(
                {which: functools.partial(sample, name, path) for which, path in paths.items()}, rounds
            )
            for name in SUBJECTS
        }
    return Findings(tuple(rows(found)), "\n".join(details(found)))


def rows(found: Times) -> Iterator[Row]:
    for name, goal in GOALS.items():
        yield Row(f"own CPU of {name}, speed", BASE, ratio(found[name]["this"], found[name]["other"]), goal)


def details(found: Times) -> Iterator[str]:
    yield f"| instant transport | this, µs | {BASE}, µs | ratio |"
    yield "|---|---|---|---|"
    for name, times in found.items():
        this, other = (Spread.of(1e6 * seconds for seconds in times[which]) for which in ("this", "other"))
        yield f"| {name} | {this} | {other} | {ratio(times['this'], times['other'])} |"


def main() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--subject", choices=SUBJECTS)
    parser.add_argument("--calls", action="store_true")
    options, _ = parser.parse_known_args()
    if options.subject:
        measured = function_calls if options.calls else cpu_a_call
        print(json.dumps(asyncio.run(run(functools.partial(measured, SUBJECTS[options.subject])))))
    else:
        paired.main(measure, __doc__)


if __name__ == "__main__":
    main()
