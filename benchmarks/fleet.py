"""All accounts of a business, many in each call: what `client.list_fleet` saves.

    python benchmarks/fleet.py               all of it; some five minutes
    python benchmarks/fleet.py cpu time      parts of it: calls, cpu, time, quota

The server is a sandbox in a process of its own. Every subject runs in a fresh process, and the subjects take turns. A
ratio is the median of the ratios of each round. `calls` and `quota` count, and measure nothing.
"""

import asyncio
import importlib
import statistics
from collections.abc import Iterator
from typing import Any

import by_hand
import paired
import parts
from paired import Findings, Row, ratio
from subject import TOKEN

from wa_phone_async import FleetPageFinished, Listings, PhoneNumberClient, RetryPolicy, Throttle
from wa_phone_async.sandbox import Fault, Sandbox, VirtualTimeLoop

ACCOUNTS, NUMBERS, CONCURRENCY = 10_000, 20, 32
FIELDS = "id,display_phone_number,verified_name,status,quality_rating,name_status,code_verification_status"
FLEET, MANY = "`list_fleet`", "`list_many`"
EACH, NESTED = "aiohttp + orjson, each account, rows dropped", "aiohttp + orjson, the same nested calls"


# --- the subjects, each in a process of its own


async def counted(listings: Listings) -> int:
    numbers = 0
    async with listings:
        async for listing in listings:
            assert listing.error is None
            numbers += len(listing.phone_numbers)
    return numbers


async def list_fleet(url: str, business_id: str) -> int:
    """`client.list_fleet`. Return the count of the numbers that it saw."""
    async with PhoneNumberClient(TOKEN, base_url=url, throttle=Throttle(quota=5_000)) as client:
        return await counted(client.list_fleet(business_id, fields=FIELDS, concurrency=CONCURRENCY))


async def list_many(url: str, business_id: str) -> int:
    """`client.list_many` of the ids that `client.list_business_accounts` yields."""
    async with PhoneNumberClient(TOKEN, base_url=url, throttle=Throttle(quota=5_000)) as client:
        accounts = client.list_business_accounts(business_id, fields="id")
        return await counted(client.list_many(accounts, fields=FIELDS, concurrency=CONCURRENCY))


async def each_by_hand(url: str, business_id: str) -> int:
    """A loop over the ids, and a call for each."""
    loads = importlib.import_module("orjson").loads
    async with by_hand.opened() as session:
        slots = asyncio.Semaphore(CONCURRENCY)

        async def count(waba_id: str) -> int:
            async with slots, session.get(f"{url}/v23.0/{waba_id}/phone_numbers?limit=100&fields={FIELDS}") as response:
                return len(loads(await response.read())["data"])

        ids = [row["id"] async for page in pages(session, url, business_id, "id") for row in page]
        return sum(await asyncio.gather(*map(count, ids)))


async def nested_by_hand(url: str, business_id: str) -> int:
    """A loop over the accounts with their numbers, as the programs that lose rows have it."""
    async with by_hand.opened() as session:
        fields, numbers = f"id,name,phone_numbers.limit(100){{{FIELDS}}}", 0
        async for page in pages(session, url, business_id, fields):
            numbers += sum(len(row["phone_numbers"]["data"]) for row in page)
        return numbers


async def pages(session: Any, url: str, business_id: str, fields: str) -> Any:
    loads = importlib.import_module("orjson").loads
    params = {"limit": "100", "fields": fields}
    while True:
        edge = f"{url}/v23.0/{business_id}/owned_whatsapp_business_accounts"
        async with session.get(edge, params=params) as response:
            page = loads(await response.read())
        yield page["data"]
        if "next" not in page.get("paging", {}):
            return
        params["after"] = page["paging"]["cursors"]["after"]


SUBJECTS: dict[str, parts.Subject] = {
    FLEET: list_fleet,
    MANY: list_many,
    EACH: each_by_hand,
    NESTED: nested_by_hand,
}


# --- the parts


def measure(rounds: int) -> Findings:
    """Processor time for each number, with the extra `speed`."""
    with parts.serving(__file__, accounts=ACCOUNTS, numbers_per_account=NUMBERS) as (url, business_id, _):
        turns = {name: lambda name=name: parts.measure(__file__, name, url, business_id) for name in SUBJECTS}
        found = paired.take_turns(turns, rounds)
    assert {sample["numbers"] for samples in found.values() for sample in samples} == {ACCOUNTS * NUMBERS}
    times = {name: [sample["cpu"] / sample["numbers"] * 1e6 for sample in samples] for name, samples in found.items()}
    rows = tuple(
        Row(f"{FLEET} of {ACCOUNTS:,} accounts", against, ratio(times[FLEET], times[against]), goal)
        for against, goal in ((EACH, 0.4), (NESTED, 1.4))
    )
    lines = [f"| {name} | {statistics.median(each):.2f} |" for name, each in times.items()]
    head = (f"| {ACCOUNTS:,} accounts of {NUMBERS} numbers | processor, µs a number |", "|---|---|")
    return Findings(rows, "\n".join((*head, *lines)))


def cpu(rounds: int) -> Iterator[str]:
    """Processor time for each number, with the extra `speed`, beside loops by hand."""
    findings = measure(rounds)
    yield findings.details + "\n"
    yield paired.table(findings.rows)


def duration(rounds: int) -> Iterator[str]:
    """Seconds for all accounts, where a call takes 100 ms, and where each nested account adds 5 ms."""
    yield f"| a call takes | {MANY}, s | {FLEET}, s | ratio | goal |"
    yield "|---|---|---|---|---|"
    for each, goal in ((0.0, "0.40"), (0.005, "")):
        settings = {"accounts": ACCOUNTS, "numbers_per_account": NUMBERS, "latency": 0.1, "nested_latency": each}
        with parts.serving(__file__, **settings) as (url, business_id, _):
            turns = {name: lambda name=name: parts.measure(__file__, name, url, business_id) for name in (FLEET, MANY)}
            turns[FLEET]()  # the server keeps the pages that it has made
            found = paired.take_turns(turns, rounds)
        times = {name: [sample["seconds"] for sample in samples] for name, samples in found.items()}
        middle = {name: statistics.median(samples) for name, samples in times.items()}
        more = f" and {each * 1000:.0f} ms for each nested account" if each else ""
        yield (
            f"| 100 ms{more} | {middle[MANY]:.1f} | {middle[FLEET]:.1f} | {ratio(times[FLEET], times[MANY])} | {goal} |"
        )


def calls(rounds: int) -> Iterator[str]:
    """Calls for all accounts. A failing account fails each page that it is on, and its own list too."""
    del rounds
    yield f"| {ACCOUNTS:,} accounts of {NUMBERS} numbers | calls | goal | calls of `list_many` |"
    yield "|---|---|---|---|"
    for text, empty, failing, goal in (
        ("none empty", 0, 0, 125),
        ("5 % empty", 20, 0, 700),
        ("4.5 % empty, 0.5 % failing", 22, 200, 1_250),
        ("5 % failing", 0, 20, 4_500),
    ):
        found, saved = asyncio.run(_calls(empty, failing))
        yield f"| {text} | {found:,} | {goal:,} | {found + saved:,} |"


async def _calls(empty: int, failing: int) -> tuple[int, int]:
    """Count the calls for a fleet in which one account in so many is empty, and one in so many fails."""

    def size(position: int) -> int:
        return 0 if empty and position % empty == 7 else NUMBERS

    saved = 0

    def note(event: object) -> None:
        nonlocal saved
        saved = event.calls_saved if isinstance(event, FleetPageFinished) else saved

    sandbox = Sandbox(accounts=ACCOUNTS, numbers_per_account=size, quota=None)
    for waba_id in sandbox.waba_ids[: ACCOUNTS * bool(failing) : failing or 1]:
        sandbox.set_nested(waba_id, Fault.error(10, status=403))
    async with sandbox, PhoneNumberClient(TOKEN, base_url=sandbox.url) as client:
        client.subscribe(note)
        listings = client.list_fleet(sandbox.business_id, fields=FIELDS)
        async with listings:
            own = sum([listing.calls async for listing in listings])
        return listings.shared_calls + own, saved


def quota(rounds: int) -> Iterator[str]:
    """Hours in virtual time, where the app has 1,000 calls an hour."""
    del rounds
    yield f"| {ACCOUNTS:,} accounts, 1,000 calls of the app an hour | hours |"
    yield "|---|---|"
    for name in (MANY, FLEET):
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            yield f"| {name} | {runner.run(_hours(name)):.2f} |"


async def _hours(name: str) -> float:
    sandbox = Sandbox(accounts=ACCOUNTS, numbers_per_account=NUMBERS, quota=None, app_quota=1_000, latency=0.1)
    async with sandbox, PhoneNumberClient(TOKEN, base_url=sandbox.url, retry=RetryPolicy.batch()) as client:
        if name == FLEET:
            listings = client.list_fleet(sandbox.business_id, fields=FIELDS)
        else:
            listings = client.list_many(client.list_business_accounts(sandbox.business_id), fields=FIELDS)
        assert await counted(listings) == ACCOUNTS * NUMBERS
        return asyncio.get_running_loop().time() / 3600


PARTS: dict[str, parts.Part] = {"calls": calls, "cpu": cpu, "time": duration, "quota": quota}


if __name__ == "__main__":
    parts.main(PARTS, SUBJECTS, CONCURRENCY, __doc__)
