"""Many accounts at once: what a page costs, how many slots are busy, and how much memory it takes.

    python benchmarks/bulk.py              all of it; some ten minutes
    python benchmarks/bulk.py cpu latency  parts of it: speed, cpu, latency, memory, failures

The server has a process of its own. Every subject runs in a fresh process, so only its own processor time and memory
count. `cpu` and `speed` compare `client.list_many` with a loop as you would write it by hand: `asyncio.Semaphore`,
`gather` and aiohttp, with rows left as dicts. The two run in turns. A figure is the median of the rounds, and a ratio
is the median of the ratios of each round. `speed` is about pages alone, so a canned server responds; the other parts
use the sandbox.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import by_hand
import canned
import interleaved
import ours
import paired
import parts
from interleaved import Entry
from paired import Findings, Row, Spread, ratio
from subject import CONCURRENCY, TOKEN

from wa_phone_async import GraphAPIError, PhoneNumberClient, RetryPolicy
from wa_phone_async.sandbox import Fault, Sandbox

TARGET = 1.67
LATENCY = 0.1
MANY, SELDOM = "`list_many` of 10,000 accounts, speed", "the same after `gc.set_threshold(20_000)`"
FROZEN, BOTH = "the same after `gc.freeze()`", "the same after `gc.freeze()` and `gc.set_threshold(20_000)`"
DROPPED, KEPT = "Semaphore + gather + orjson", "the same, which keeps all rows"
GOALS = {DROPPED: 1.4, KEPT: 1.1}


# --- the subjects, each in a process of its own


async def list_many(url: str, first: str, accounts: str) -> int:
    """`client.list_many`. Return the count of the numbers that it saw."""
    async with ours.many(url) as lister:
        return (await lister(ids(first, accounts)))[0]


async def hand_written(url: str, first: str, accounts: str) -> int:
    """A loop without retries, rate limits, types or a bound on memory."""
    async with by_hand.many_kept(url, "json") as lister:
        return (await lister(ids(first, accounts)))[0]


def ids(first: str, accounts: str) -> list[str]:
    return [str(int(first) + number) for number in range(int(accounts))]


SUBJECTS: dict[str, parts.Subject] = {"list_many": list_many, "by_hand": hand_written}


# --- the parts


def measure_beside_orjson(rounds: int) -> Findings:
    """Processor time a page of 10,000 accounts of one page each, 2,000 in a turn, with the extra `speed`."""
    of_each = {"lists": 2_000, "pages": 1, "turns": 5}
    entries = {
        MANY: Entry("ours.many", **of_each),
        SELDOM: Entry("ours.many", ("20000",), **of_each),
        FROZEN: Entry("ours.many", ("", "freeze"), **of_each),
        BOTH: Entry("ours.many", ("20000", "freeze"), **of_each),
        DROPPED: Entry("by_hand.many", ("orjson",), **of_each),
        KEPT: Entry("by_hand.many_kept", ("orjson",), **of_each),
    }
    with canned.serving(1) as server:
        found = interleaved.play(server, entries, rounds)
    return found_beside_orjson({name: [sample.cpu * 1e6 for sample in samples] for name, samples in found.items()})


def found_beside_orjson(times: Mapping[str, Sequence[float]]) -> Findings:
    """The findings from the µs of each subject in each round."""
    rows = [
        Row(work, against, ratio(times[work], times[against]), goal)
        for work in (MANY, SELDOM)
        for against, goal in GOALS.items()
    ]
    lines = [
        f"| {name} | {Spread.of(found).middle:,.0f} | {ratio(found, times[MANY])} |" for name, found in times.items()
    ]
    head = ("| 10,000 accounts | processor, µs a page | beside the first |", "|---|---|---|")
    return Findings(tuple(rows), "\n".join((*head, *lines)))


def speed(rounds: int) -> Iterator[str]:
    """Processor time a page with the extra `speed`, beside the loop by hand with orjson."""
    findings = measure_beside_orjson(rounds)
    yield findings.details + "\n"
    yield paired.table(findings.rows)


def cpu(rounds: int) -> Iterator[str]:
    """Processor time a page, beside the loop by hand."""
    yield "| accounts | pages | by hand, µs a page | list_many, µs a page | ratio | goal |"
    yield "|---|---|---|---|---|---|"
    for accounts, numbers in ((10_000, 20), (10_000, 100), (1_000, 1_000)):
        pages = accounts * max(1, numbers // 100)
        with parts.serving(__file__, accounts=accounts, numbers_per_account=numbers) as (url, _, first):
            times = {name: list[float]() for name in SUBJECTS}
            for _ in range(rounds):
                for name, found in times.items():
                    took = parts.measure(__file__, name, url, first, accounts)
                    assert took["numbers"] == accounts * numbers
                    found.append(took["cpu"] / pages * 1e6)
        middle = {name: statistics.median(found) for name, found in times.items()}
        yield (
            f"| {accounts:,} of {numbers} numbers | {pages:,} | {middle['by_hand']:.0f} | {middle['list_many']:.0f} "
            f"| {ratio(times['list_many'], times['by_hand'])} | {TARGET} |"
        )


def latency(rounds: int) -> Iterator[str]:
    """Pages a second, as a share of those that the slots allow, where each response takes a tenth of a second."""
    yield "| pages a second | of those possible | goal |"
    yield "|---|---|---|"
    accounts = 4_000
    with parts.serving(__file__, accounts=accounts, numbers_per_account=3, latency=LATENCY) as (url, _, first):
        rates = [
            accounts / parts.measure(__file__, "list_many", url, first, accounts)["seconds"] for _ in range(rounds)
        ]
    rate = statistics.median(rates)
    yield f"| {rate:.0f} | {rate * LATENCY / CONCURRENCY:.2f} | 0.90 |"


def memory(rounds: int) -> Iterator[str]:
    """The peak memory of an export, and of one with ten times as many accounts."""
    del rounds
    yield "| accounts | peak, MiB | more, bytes an account | goal |"
    yield "|---|---|---|---|"
    least = 0.0
    for accounts in (10_000, 100_000):
        with parts.serving(__file__, accounts=accounts, numbers_per_account=1) as (url, _, first):
            peak = peak_of_export(url, range(first, first + accounts))
        least = least or peak
        more = "" if peak == least else f"{(peak - least) * 2**20 / 90_000:.0f}"
        yield f"| {accounts:,} | {peak:.1f} | {more} | {'64' if more else ''} |"


def peak_of_export(url: str, waba_ids: range) -> float:
    """Run `wa-phone export` to its end. Return its peak memory in MiB."""
    with tempfile.TemporaryDirectory() as directory:
        wabas = Path(directory, "wabas.txt")
        wabas.write_text("".join(f"{waba_id}\n" for waba_id in waba_ids), encoding="utf-8")
        out = Path(directory, "numbers.jsonl")
        code = (
            "import resource, sys\n"
            "from wa_phone_async.__main__ import main\n"
            "try:\n    main()\n"
            "finally:\n    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
        )
        options = ["export", "--wabas", str(wabas), "--out", str(out), "--concurrency", str(CONCURRENCY)]
        environment = {**os.environ, "WA_ACCESS_TOKEN": TOKEN, "WA_BASE_URL": url}
        done = subprocess.run(
            [sys.executable, "-c", code, *options], check=True, stdout=subprocess.PIPE, text=True, env=environment
        )
        assert sum(1 for _ in out.open(encoding="utf-8")) == len(waba_ids)
    return int(done.stdout) / 1024


FAULTS = (
    Fault.status(503),
    Fault.html(),
    Fault.drop_before(),
    Fault.drop_after(reset=True),
    Fault.cut(),
    Fault.raw("{"),
    Fault.error(2, "Service temporarily unavailable", status=503),
    Fault.error(10, status=403),
    Fault.error(33),
    Fault.error(80008, headers={"Retry-After": "3600"}),
    Fault.error(131031, status=403),
    Fault.error(1, status=500),
)
"""The ways in which an account fails, in each attempt."""


def failures(rounds: int) -> Iterator[str]:
    """One account in twenty fails in every attempt. All others are exact."""
    del rounds
    yield from asyncio.run(_failures())


async def _failures() -> list[str]:
    accounts, numbers = 2_000, 120
    async with Sandbox(accounts=accounts, numbers_per_account=numbers, quota=None) as sandbox:
        failing = dict(zip(sandbox.waba_ids[::20], FAULTS * accounts, strict=False))
        for waba_id, fault in failing.items():
            sandbox.plan(fault, times=99, node=waba_id)
        policy = RetryPolicy(max_attempts=2, first_wait=0.01)
        kinds = Counter[str]()
        async with (
            PhoneNumberClient(TOKEN, base_url=sandbox.url, retry=policy) as client,
            client.list_many(sandbox.waba_ids, concurrency=CONCURRENCY) as listings,
        ):
            async for listing in listings:
                if listing.waba_id in failing:
                    assert listing.error is not None
                    code = f" {listing.error.code}" if isinstance(listing.error, GraphAPIError) else ""
                    kinds[f"{type(listing.error).__name__}{code}"] += 1
                else:
                    expected = sorted(number["id"] for number in sandbox.numbers(listing.waba_id))
                    assert sorted(number.id for number in listing.phone_numbers) == expected
    return [
        "| accounts | failing | exact of the others | errors |",
        "|---|---|---|---|",
        f"| {accounts:,} | {len(failing)} | {accounts - len(failing):,} | "
        + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        + " |",
    ]


PARTS: dict[str, parts.Part] = {
    "speed": speed,
    "cpu": cpu,
    "latency": latency,
    "memory": memory,
    "failures": failures,
}


if __name__ == "__main__":
    parts.main(PARTS, SUBJECTS, CONCURRENCY, __doc__)
