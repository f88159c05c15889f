"""A soak: it lists and creates for minutes on end, while one call in three goes wrong.

    python benchmarks/soak.py                            ten minutes, 200 calls in flight
    python benchmarks/soak.py --minutes 1 --in-flight 50 --seed 7

Each worker has accounts of its own in a sandbox of this process. In each round it fills one with numbers, plans faults
for the next calls, lists the account, creates a few numbers, and lists it again. After an error a list goes on with the
page that failed, as its paginator promises. This has to hold:

- every number is listed, and once;
- an accepted create made one number, a rejected one made none, and one whose outcome is unknown made one at most. The
  sandbox's own record of effects says so;
- memory does not grow with the calls. Only the log of the last hour does, by 8 bytes a call for each budget: the
  account's and the app's. Memory is measured in the second half, and judged in a soak of five minutes or more;
- at the end no task, no socket and no file is open, and the loop and the garbage collector complain of nothing.

The exit status is 0 if all of this holds. Otherwise it is 1, and the last line says what does not hold. One client has
at most 100 calls in flight, so there is one for every 100 workers. All of them share a `Throttle`.
"""

import argparse
import asyncio
import collections
import gc
import itertools
import os
import random
import resource
import statistics
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import attrs

from wa_phone_async import OutcomeUnknownError, PhoneNumberClient, RetryPolicy, Throttle, WaPhoneError
from wa_phone_async.sandbox import Fault, Sandbox

CALLS_OF_A_CLIENT = 100
QUOTA = 10**9
TIMEOUT = 2.0
STALL = 3.0  # longer than the timeout
POLICY = RetryPolicy(max_attempts=4, first_wait=0.01, max_wait=5.0)
GRACE_SECONDS = 60.0
MOST_BYTES_A_CALL = 64.0
JUDGED_FROM_MINUTES = 5.0
ACCOUNTS_OF_A_WORKER = 4  # a call that takes effect late must not meet the next round's account

SOON, AT_ONCE = {"Retry-After": "0.1"}, {"Retry-After": "0"}
COMMON = (
    Fault.error(1),
    Fault.error(1, takes_effect=True),
    Fault.error(2),
    Fault.error(131000, takes_effect=True),
    Fault.error(10),
    Fault.error(100),
    Fault.error(190),
    Fault.error(80008, headers=SOON),
    Fault.error(80008, headers=AT_ONCE),
    Fault.status(429, headers=SOON),
    Fault.status(500),
    Fault.html(502),
    attrs.evolve(Fault.html(503), takes_effect=True),
    Fault.raw("[", takes_effect=True),
    Fault.raw(b"\xff"),
    Fault.raw("", status=302, headers={"Location": "http://127.0.0.1:9/"}),
    Fault.drop_before(),
    Fault.drop_before(reset=True),
    Fault.drop_after(),
    Fault.drop_after(reset=True),
    Fault.cut(),
    Fault.cut(0),
    Fault.cut(clean=True),
    Fault.delay(0.3),
)
RARE = (
    Fault.error(1, "Please reduce the amount of data you're asking for", status=500),
    Fault.error(17, headers=SOON),
    Fault.error(4, headers=SOON),
    Fault.delay_response(STALL),
)
FAULTS = 10 * COMMON + RARE
"""What goes wrong. Faults that throttle all accounts, or take long, are rare."""


class BrokenPromiseError(Exception):
    """A promise of the client was broken."""


@attrs.define
class Tally:
    """What happened so far."""

    calls: int = 0
    faults: int = 0
    lists: int = 0
    numbers: int = 0
    resumed: int = 0
    creates: collections.Counter[str] = attrs.Factory(collections.Counter)
    in_flight: int = 0
    most_in_flight: int = 0
    samples: list[tuple[float, int, int]] = attrs.Factory(list)
    """Seconds, calls and bytes in memory."""


class Effects:
    """The numbers that the sandbox says were made, by account."""

    def __init__(self, sandbox: Sandbox, tally: Tally) -> None:
        self._sandbox, self._tally = sandbox, tally
        self._made: dict[str, list[tuple[str, str]]] = collections.defaultdict(list)

    def collect(self) -> None:
        """Move the sandbox's records here, or they would grow without end."""
        for created in self._sandbox.created:
            self._made[created.waba_id].append((created.phone_number, created.id))
        self._tally.calls += len(self._sandbox.requests)
        self._sandbox.created.clear()
        self._sandbox.requests.clear()

    def of(self, waba_id: str) -> list[tuple[str, str]]:
        """The digits and the id of each number that was made in an account."""
        self.collect()
        return list(self._made[waba_id])

    def forget(self, waba_id: str) -> None:
        self.collect()
        self._made.pop(waba_id, None)


class Worker:
    """One caller, whose calls are one after the other."""

    def __init__(self, number: int, seed: int, client: PhoneNumberClient, sandbox: Sandbox, effects: Effects) -> None:
        self.rng = random.Random(f"{seed}/{number}")
        self.client, self.sandbox, self.effects = client, sandbox, effects
        self.accounts = itertools.cycle(f"555{number:05}{index}" for index in range(ACCOUNTS_OF_A_WORKER))
        self.phone_numbers = (f"1{number:04}555{count:06}" for count in itertools.count())

    async def work(self, tally: Tally, until: float) -> None:
        while time.monotonic() < until:
            await self.one_round(next(self.accounts), tally)

    async def one_round(self, waba_id: str, tally: Tally) -> None:
        ids = [f"{waba_id}{count:04}" for count in range(self.rng.choice([0, 3, 40, 120]))]
        self.effects.forget(waba_id)
        self.sandbox.add_waba(waba_id, [{"id": each, "display_phone_number": f"+1 {each}"} for each in ids])
        await self.list_all(waba_id, ids, tally)
        outcomes = {}
        for _ in range(self.rng.randint(0, 3)):
            digits = next(self.phone_numbers)
            outcomes[digits] = await self.create(waba_id, digits, tally)
            tally.creates[type(outcomes[digits]).__name__ if isinstance(outcomes[digits], Exception) else "made"] += 1
        await self.list_all(waba_id, ids, tally)
        self.check_creates(waba_id, outcomes)

    async def list_all(self, waba_id: str, ids: list[str], tally: Tally) -> None:
        """List an account, and compare with its numbers before and after."""
        least = collections.Counter([*ids, *(each for _, each in self.effects.of(waba_id))])
        self.plan(waba_id, tally)
        listed = collections.Counter[str]()
        numbers = self.client.list_phone_numbers(waba_id, fields="id", limit=self.rng.choice([10, 25, 100]))
        with in_flight(tally):
            while True:
                try:
                    async for number in numbers:
                        listed[str(number.id)] += 1
                except WaPhoneError:
                    tally.resumed += 1  # the same paginator goes on with the page that failed
                else:
                    break
        most = collections.Counter([*ids, *(each for _, each in self.effects.of(waba_id))])
        if not least <= listed <= most:
            wrong = f"{(least - listed).total()} numbers were missed and {(listed - most).total()} listed too often"
            raise BrokenPromiseError(f"of the {least.total()} numbers of {waba_id} {wrong}")
        tally.lists += 1
        tally.numbers += listed.total()

    async def create(self, waba_id: str, digits: str, tally: Tally) -> str | WaPhoneError:
        """Create a number; returns its id, or the error."""
        self.plan(waba_id, tally)
        with in_flight(tally):
            try:
                made = await self.client.create_phone_number(
                    waba_id, phone_number=digits, verified_name="Acme Bakery", cc="1"
                )
            except WaPhoneError as error:
                return error.with_traceback(None)
        return str(made.id)

    def plan(self, waba_id: str, tally: Tally) -> None:
        """Plan what goes wrong with the next calls to an account, if anything."""
        if self.rng.random() < 1 / 3:
            fault = self.rng.choice(FAULTS)
            times = 1 if fault in RARE else self.rng.choice([1, 1, 2, 2, 3, 6])
            self.sandbox.plan(fault, times=times, node=waba_id)
            tally.faults += times

    def check_creates(self, waba_id: str, outcomes: dict[str, str | WaPhoneError]) -> None:
        made = self.effects.of(waba_id)
        for digits, outcome in outcomes.items():
            ids = [number_id for phone_number, number_id in made if phone_number.endswith(digits)]
            if isinstance(outcome, OutcomeUnknownError):
                holds, said = len(ids) <= 1, "whose outcome is unknown"
            elif isinstance(outcome, WaPhoneError):
                holds, said = not ids, f"that ended in {type(outcome).__name__} ({outcome})"
            else:
                holds, said = ids == [outcome], "that was accepted"
            if not holds:
                raise BrokenPromiseError(f"a create {said} made {len(ids)} numbers with the digits {digits}")
        if strangers := [each for each, _ in made if not each.endswith(tuple(outcomes))]:
            raise BrokenPromiseError(f"{len(strangers)} numbers of {waba_id} were created without a request")


@contextmanager
def in_flight(tally: Tally) -> Iterator[None]:
    """Count a call while it is in flight."""
    tally.in_flight += 1
    tally.most_in_flight = max(tally.most_in_flight, tally.in_flight)
    try:
        yield
    finally:
        tally.in_flight -= 1


def provide(waba_id: str, rejected: str | None) -> str:
    """One of the two tokens of an account. If one was rejected, the other one."""
    first, second = f"invented-{waba_id}-a", f"invented-{waba_id}-b"
    return second if rejected == first else first


def memory() -> int:
    """Bytes in memory now; where the system does not say, the most so far."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return int(pages) * resource.getpagesize()


def open_files() -> int:
    """How many files and sockets this process has open."""
    return len(os.listdir("/proc/self/fd" if Path("/proc/self/fd").exists() else "/dev/fd"))  # noqa: PTH208 - of Linux and macOS


async def watch(tally: Tally, effects: Effects, began: float, every: float) -> None:
    """Record the memory in use, and keep the sandbox's records short."""
    while True:
        effects.collect()
        gc.collect()
        tally.samples.append((time.monotonic() - began, tally.calls, memory()))
        await asyncio.sleep(every)


async def soak(options: argparse.Namespace, tally: Tally) -> None:
    began = time.monotonic()
    until = began + 60 * options.minutes
    throttle = Throttle(quota=QUOTA, app_quota=QUOTA)
    async with AsyncExitStack() as stack, asyncio.timeout(until - began + GRACE_SECONDS):
        sandbox = await stack.enter_async_context(Sandbox(quota=None, latency=0.02))
        settings: dict[str, Any] = {"base_url": sandbox.url, "retry": POLICY, "timeout": TIMEOUT, "throttle": throttle}
        clients = [
            await stack.enter_async_context(PhoneNumberClient(provide, **settings))
            for _ in range(-(-options.in_flight // CALLS_OF_A_CLIENT))
        ]
        effects = Effects(sandbox, tally)
        watching = asyncio.create_task(watch(tally, effects, began, every=min(5.0, 6 * options.minutes)))
        stack.callback(watching.cancel)
        workers = [
            Worker(number, options.seed, clients[number // CALLS_OF_A_CLIENT], sandbox, effects)
            for number in range(options.in_flight)
        ]
        async with asyncio.TaskGroup() as group:
            for worker in workers:
                group.create_task(worker.work(tally, until))
        effects.collect()


def slope(tally: Tally) -> float:
    """The growth of the memory in use, in bytes for each call, in the second half."""
    settled = [sample for sample in tally.samples if sample[0] >= tally.samples[-1][0] / 2]
    if len({calls for _, calls, _ in settled}) < 2:
        return 0.0
    return statistics.linear_regression([calls for _, calls, _ in settled], [size for _, _, size in settled]).slope


def broken(
    tally: Tally, options: argparse.Namespace, complaints: list[str], *, tasks: int, files: int
) -> Iterator[str]:
    """Yield a sentence for each promise that was broken."""
    if tasks:
        yield f"{tasks} tasks were left"
    if files > 0:
        yield f"{files} files or sockets were left open"
    if complaints:
        yield f"{len(complaints)} complaints were left, the first of them: {complaints[0]}"
    if options.minutes >= JUDGED_FROM_MINUTES and slope(tally) > MOST_BYTES_A_CALL:
        yield f"memory grows by {slope(tally):.0f} bytes with each call, and may by {MOST_BYTES_A_CALL:.0f}"


@contextmanager
def collected(complaints: list[str]) -> Iterator[None]:
    """Collect what Python would only print: things never closed, and errors that nobody can catch."""

    def collect(hint: Any) -> None:
        complaints.append(f"{hint.err_msg or hint.object!r}: {hint.exc_value!r}")

    hook, sys.unraisablehook = sys.unraisablehook, collect
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ResourceWarning)
            yield
            gc.collect()
    finally:
        sys.unraisablehook = hook


def run(options: argparse.Namespace, tally: Tally) -> list[str]:
    """Run the soak in a loop of its own; returns a sentence for each promise that was broken."""
    complaints, files, tasks = list[str](), open_files(), 0
    try:
        with collected(complaints), asyncio.Runner() as runner:
            runner.get_loop().set_exception_handler(lambda _, context: complaints.append(str(context)))
            runner.run(soak(options, tally))
            runner.run(asyncio.sleep(0.1))  # the loop drops closed sockets in its next passes
            tasks = len(asyncio.all_tasks(runner.get_loop()))
    except TimeoutError:
        return [f"it did not end: calls were still in flight {GRACE_SECONDS:.0f} s after the time was over"]
    except BaseExceptionGroup as group:
        promises = group.subgroup(BrokenPromiseError)
        if promises is None:
            raise
        return [str(promises.exceptions[0])]
    return list(broken(tally, options, complaints, tasks=tasks, files=open_files() - files))


def table(tally: Tally, seconds: float) -> str:
    sizes = [size / 2**20 for _, _, size in tally.samples]
    lines = {
        "seconds": f"{seconds:,.0f}",
        "requests": f"{tally.calls:,} ({tally.calls / seconds:,.0f} a second)",
        "most calls in flight": f"{tally.most_in_flight}",
        "faults planned": f"{tally.faults:,}",
        "lists, all exact": f"{tally.lists:,} with {tally.numbers:,} numbers",
        "errors after which a list went on": f"{tally.resumed:,}",
        **{f"creates: {outcome}": f"{count:,}" for outcome, count in sorted(tally.creates.items())},
        "memory, MiB: first, last, most": f"{sizes[0]:.1f}, {sizes[-1]:.1f}, {max(sizes):.1f}",
        "memory grows by": f"{slope(tally):.1f} bytes a request",
    }
    return "\n".join(["| what | how much |", "|---|---|", *(f"| {what} | {much} |" for what, much in lines.items())])


def positive(text: str) -> float:
    if not (number := float(text)) > 0:
        raise ValueError(text)
    return number


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=positive, default=10.0)
    parser.add_argument("--in-flight", type=int, choices=range(1, 10_000), default=200, metavar="CALLS")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    tally, began = Tally(), time.monotonic()
    wrong = run(options, tally)
    if tally.samples:
        print(table(tally, time.monotonic() - began), flush=True)
    if wrong:
        sys.exit(f"With seed {options.seed}: {wrong[0]}.")


if __name__ == "__main__":
    main()
