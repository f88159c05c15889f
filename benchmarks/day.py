"""A simulated day: the whole client against the sandbox's rolling hour, in one loop whose clock jumps.

    python benchmarks/day.py             every case; a quarter of an hour or so
    python benchmarks/day.py 200/h       the cases whose name contains a word

`limits.py` simulates the rule alone, and much more of it. Here real calls go over real sockets, from a
`PhoneNumberClient` with `RetryPolicy.batch()`. The sandbox's own record counts the throttled calls, and has the time of
the last accepted one. "Last" is that time divided by that of an oracle. The oracle is computed from the window alone:
it knows what others will use, needs no time to send, and always sends as soon as it may.
"""

import argparse
import asyncio
import itertools
import math
import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs

from wa_phone_async import PhoneNumberClient, RetryPolicy
from wa_phone_async.sandbox import Sandbox, VirtualTimeLoop

HOUR = 3600.0
LATENCY = 0.2
STEP = 10.0  # seconds: others make all calls of such a span at once, which saves real time

HEADERS: dict[str, dict[str, Any]] = {
    "good": {},
    "coarse": {"rounding": "round", "usage_step": 5},
    "every tenth": {"rounding": "round", "usage_every": 10},
}
"""Whole percentages, floored, in each response; in steps of five, rounded; whole and rounded in each tenth."""


@attrs.frozen
class Case:
    name: str
    calls: dict[str, int]
    """Calls to be made, by account."""
    quotas: dict[str, int]
    workers: int
    """For each account."""
    headers: str = "good"
    app_quota: int | None = None
    others: Callable[[int, random.Random], Iterator[float]] | None = None
    """Makes the times of the calls of others on each account, ascending and from an hour before the start."""
    seed: int = 0

    def strangers(self, waba_id: str) -> Iterator[float]:
        """The times of the calls of others on one account. They are the same for each call of this method."""
        if self.others is None:
            return iter(())
        times = self.others(self.quotas[waba_id], random.Random(f"{self.seed}/{waba_id}"))
        return (STEP * math.floor(at / STEP) for at in times)

    def oracle(self) -> float:
        """The seconds from the start until the last call could have been sent."""
        if self.app_quota is not None:
            return soonest(sum(self.calls.values()), self.app_quota, iter(()))
        return max(soonest(count, self.quotas[key], self.strangers(key)) for key, count in self.calls.items())


def soonest(calls: int, quota: int, strangers: Iterator[float]) -> float:
    """When the last of so many calls is sent, if each goes as soon as the window allows."""
    window, now = deque[float](), 0.0
    next_stranger = next(strangers, math.inf)
    for _ in range(calls):
        while True:
            while next_stranger <= now:
                window.append(next_stranger)
                next_stranger = next(strangers, math.inf)
            while window and window[0] + HOUR <= now:
                window.popleft()
            if len(window) < quota:
                break
            now = window[len(window) - quota] + HOUR
        window.append(now)
    return now


def poisson(share: float) -> Callable[[int, random.Random], Iterator[float]]:
    """Others who use a share of the quota, at random times."""

    def times(quota: int, rng: random.Random) -> Iterator[float]:
        at = -HOUR
        while True:
            at += rng.expovariate(share * quota / HOUR)
            yield at

    return times


def spread(quota: int, rng: random.Random) -> Iterator[float]:
    """The hour before: the whole quota is used, evenly."""
    return iter(sorted(rng.uniform(-HOUR, 0.0) for _ in range(quota)))


def nearly(quota: int, rng: random.Random) -> Iterator[float]:
    """The hour before: all of the quota is used but a twentieth, evenly."""
    return spread(quota * 19 // 20, rng)


def clump(quota: int, rng: random.Random) -> Iterator[float]:
    """The hour before: the whole quota is used within a minute, half an hour ago."""
    return iter(sorted(rng.uniform(-1800.0, -1740.0) for _ in range(quota)))


@attrs.frozen
class Outcome:
    throttled: int
    last: float
    """In parts of the oracle's time."""
    accepted: int


def play(case: Case) -> Outcome:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(_play(case))


async def _play(case: Case) -> Outcome:
    async with Sandbox(
        quota=case.quotas, app_quota=case.app_quota, latency=LATENCY, **HEADERS[case.headers]
    ) as sandbox:
        for waba_id in case.calls:
            sandbox.add_waba(waba_id)
        spending = [asyncio.create_task(_spend(sandbox, waba_id, case.strangers(waba_id))) for waba_id in case.calls]
        await asyncio.sleep(HOUR)  # the others' calls of the hour before
        async with PhoneNumberClient("an-invented-token", base_url=sandbox.url, retry=RetryPolicy.batch()) as client:
            await asyncio.gather(*(_work_off(client, key, count, case.workers) for key, count in case.calls.items()))
        for task in spending:
            task.cancel()
        accepted = [request.at for request in sandbox.requests if request.status == 200]
        last = (max(accepted) - HOUR) / case.oracle()
        return Outcome(len(sandbox.requests) - len(accepted), last, len(accepted))


async def _spend(sandbox: Sandbox, waba_id: str, times: Iterator[float]) -> None:
    """Make the calls of others."""
    loop = asyncio.get_running_loop()
    for at, together in itertools.groupby(times):
        await asyncio.sleep(max(0.0, at + HOUR - loop.time()))
        sandbox.spend(waba_id, len([*together]))


async def _work_off(client: PhoneNumberClient, waba_id: str, calls: int, workers: int) -> None:
    left = iter(range(calls))

    async def worker() -> None:
        for _ in left:
            await client.list_phone_numbers(waba_id, fields="id")

    await asyncio.gather(*(worker() for _ in range(workers)))


def one(quota: int, workers: int, headers: str, hours: float = 5.25, **more: Any) -> Case:
    """One account and so many hours of calls. A whole number would hide an hour, or add one."""
    name = f"one WABA, {quota:,}/h, {workers} workers, headers {headers}"
    return Case(name, {"1": int(hours * quota)}, {"1": quota}, workers, headers, **more)


def one_hot(cold: int, quotas: Sequence[int], hours: float) -> Case:
    quota_of = {f"{1000 + number}": quota for number, quota in zip(range(cold), itertools.cycle(quotas), strict=False)}
    calls = {waba_id: quota * 2 // 7 if quota == 200 else quota * 7 // 50 for waba_id, quota in quota_of.items()}
    return Case(f"{cold + 1} WABAs, one hot", {**calls, "1": int(hours * 200)}, {**quota_of, "1": 200}, 8)


def the_app(app_quota: int, wabas: int, hours: float) -> Case:
    keys = [f"{1000 + number}" for number in range(wabas)]
    calls = dict.fromkeys(keys, int(hours * app_quota) // wabas)
    return Case(f"the app's {app_quota:,}/h, {wabas} WABAs", calls, dict.fromkeys(keys, 5000), 16, app_quota=app_quota)


def others_spend_half(quota: int, workers: int, headers: str, hours: float) -> Case:
    case = one(quota, workers, headers, hours, others=poisson(0.5))
    return attrs.evolve(case, name=f"{case.name}, others spend half")


def used_before(quota: int, how: Callable[[int, random.Random], Iterator[float]], hours: float) -> Case:
    case = one(quota, 64, "good", hours, others=how)
    return attrs.evolve(case, name=f"{case.name}, the hour used before ({how.__name__})")


def cases() -> Iterator[Case]:
    for quota in (200, 5000):
        for workers in (1, 10, 64):
            for headers in HEADERS:
                yield one(quota, workers, headers)
    yield one_hot(49, (5000, 200), 5.25)
    yield the_app(10_000, 10, 2.5)
    for quota in (200, 5000):
        for headers in HEADERS:
            yield others_spend_half(quota, 64, headers, 5.25)
        for how in (spread, nearly, clump):
            yield used_before(quota, how, 5.25)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("word", nargs="?", default="")
    options = parser.parse_args()
    print("| case | calls | throttled | last | s |")
    print("|---|---|---|---|---|")
    for case in cases():
        if options.word in case.name:
            began = time.perf_counter()
            outcome = play(case)
            took = time.perf_counter() - began
            figures = f"{outcome.accepted:,} | {outcome.throttled} | {outcome.last:.3f} | {took:.0f}"
            print(f"| {case.name} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
