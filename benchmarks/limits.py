"""The rolling hour, simulated: how many calls are throttled, and how much longer it takes than it must.

    python benchmarks/limits.py            every case; two or three minutes
    python benchmarks/limits.py --seeds 5  more of each
    python benchmarks/limits.py others     the cases whose name contains a word

This simulates events in virtual time. It simulates one process on one thread, and two processes through Redis where
there is a redis-server. The server counts every attempt in an exact window of 3,600 s, throttled ones too. It throttles
above the quota. Round trips take 0.1-0.5 s. The client under test sees only what a real one would: responses, scopes
and headers.

"Last" is the time of the last admission, divided by that of an oracle. The oracle sees the server's own window, sends
whenever it may, and has the same number of workers. "Mean" is the same for the mean time at which calls ended. "Never"
is more than 40 hours, or three throttled calls for each call. Nothing was compared with the live service.
"""

import argparse
import heapq
import itertools
import json
import math
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from wa_phone_async.ratelimit.budget import BudgetBook
from wa_phone_async.ratelimit.limiter import Lease, Report, Scope
from wa_phone_async.usage import Usage, UsageMetric

try:
    from redis import Redis

    from wa_phone_async.ratelimit.redis import batches
except ImportError:  # the cases of this extra are left out
    Redis = None

HOUR = 3600.0
NEVER_SECONDS = 40 * HOUR
NEVER_THROTTLED = 3  # for each call that was to be made


# The server: it shares no code with the client, and so can disagree


@attrs.frozen
class Headers:
    """How exact the usage headers are, how often they come (0: never), and by how many seconds they lag."""

    step: int = 1
    rounded: bool = False
    every: int = 1
    lag: float = 0.0

    def percent(self, count: int, quota: int) -> float:
        steps = 100.0 * count / quota / self.step
        return float(self.step * (round(steps) if self.rounded else math.floor(steps)))


class Window:
    """The attempts that one quota still counts."""

    def __init__(self, quota: int, strangers: Iterator[float] | None = None) -> None:
        self.quota = quota
        self.times: deque[float] = deque()
        self.fresh: deque[float] = deque()
        self.strangers = strangers or iter(())
        self.next_stranger = next(self.strangers, math.inf)

    def advance(self, now: float) -> None:
        while self.next_stranger <= now:
            self.times.append(self.next_stranger)
            self.fresh.append(self.next_stranger)
            self.next_stranger = next(self.strangers, math.inf)
        while self.times and self.times[0] <= now - HOUR:
            self.times.popleft()

    def hit(self, now: float) -> bool:
        """Count one attempt; returns whether it is within the quota."""
        self.advance(now)
        self.times.append(now)
        self.fresh.append(now)
        return len(self.times) <= self.quota

    def regain_minutes(self, now: float) -> int:
        surplus = len(self.times) - self.quota
        return math.ceil((self.times[surplus] + HOUR - now) / 60.0) if surplus >= 0 else 0

    def seen(self, now: float, lag: float) -> int:
        """What a header that lags behind counts."""
        while self.fresh and self.fresh[0] <= now - lag:
            self.fresh.popleft()
        return len(self.times) - len(self.fresh)


class Server:
    def __init__(self, quotas: dict[str, int], app_quota: int | None, headers: Headers) -> None:
        self.windows = {key: Window(quota) for key, quota in quotas.items()}
        self.app = Window(app_quota or sys.maxsize)
        self.says_app = app_quota is not None
        self.headers = headers
        self.responses = itertools.count()

    def call(self, key: str, now: float) -> tuple[Scope | None, Usage | None]:
        """Count one call; returns the scope that throttles it, if any, and what the headers say."""
        window = self.windows[key]
        within_app, within = self.app.hit(now), window.hit(now)
        scope: Scope | None = None if within and within_app else "waba" if within_app else "app"
        if not self.headers.every or next(self.responses) % self.headers.every:
            return scope, None
        waba = UsageMetric(self.percent(window, now), 0.0, 60.0 * window.regain_minutes(now))
        return scope, Usage(waba, UsageMetric(self.percent(self.app, now)) if self.says_app else None)

    def percent(self, window: Window, now: float) -> float:
        return self.headers.percent(window.seen(now, self.headers.lag), window.quota)


def poisson(rate: float, rng: random.Random, start: float = -HOUR) -> Iterator[float]:
    """Yield the times of the calls of others, `rate` an hour."""
    at = start
    while True:
        at += rng.expovariate(rate / HOUR)
        yield at


# The clients


class Client:
    """Decides when to send. This one always sends, and retries at once."""

    def __init__(self, server: Server, rng: random.Random) -> None:
        self.server = server
        self.rng = rng

    def admit(self, _key: str, now: float) -> float:
        return now

    def accepted(self, key: str, now: float, usage: Usage | None, sent: float) -> None:
        pass

    def throttled(self, _key: str, now: float, _usage: Usage | None, _sent: float, _scope: Scope, _tries: int) -> float:
        """Returns when this call may be retried."""
        return now


class Log(Client):
    """The rule of this library."""

    quota: float | None = None

    def __init__(self, server: Server, rng: random.Random) -> None:
        super().__init__(server, rng)
        self.book = BudgetBook(quota=self.quota)

    def admit(self, key: str, now: float) -> float:
        return self.book.admit(key, now, "t")

    def accepted(self, key: str, now: float, usage: Usage | None, sent: float) -> None:
        self.book.report(Lease(key, "t", sent), Report("accepted", usage), now)

    def throttled(self, key: str, now: float, usage: Usage | None, sent: float, scope: Scope, _tries: int) -> float:
        return self.book.report(Lease(key, "t", sent), Report("throttled", usage, scope), now)


class TwoProcesses(Client):
    """The rule in Redis, for two processes one after the other. Each has its own book too, and retries by that."""

    redis: Any = None

    def __init__(self, server: Server, rng: random.Random) -> None:
        super().__init__(server, rng)
        self.redis.flushall()
        self.evaluate = self.redis.register_script(batches.SCRIPT)
        self.encoder = batches.BatchEncoder("benchmark:{1}:")
        self.books = itertools.cycle([BudgetBook(), BudgetBook()])
        self.numbers = itertools.count()
        self.in_flight: dict[tuple[str, float], deque[tuple[Any, BudgetBook]]] = {}

    def run(self, now: float, *reports: Any, admissions: Sequence[dict[str, str]] = ()) -> list[str]:
        message = self.encoder.message([], reports, f"process-{next(self.numbers)}", now)
        message |= {"now": now, "admissions": admissions}
        return self.evaluate(self.encoder.keys(message), [json.dumps(message)])

    def admit(self, key: str, now: float) -> float:
        name = f"process-{next(self.numbers)}"
        epoch, _, decision = self.run(now, admissions=[{"waba": key, "token": "t", "lease": name}])
        if decision != "go":
            return now + float(decision.partition(" ")[0])
        book = next(self.books)
        book.take(key, now, "t")
        lease = batches.RedisLease(key, "t", now, name, epoch)
        self.in_flight.setdefault((key, now), deque()).append((lease, book))
        return now

    def report(self, key: str, now: float, sent: float, report: Report) -> float:
        lease, book = self.in_flight[key, sent].popleft()
        self.run(now, batches.LeaseReport(lease, report, now))
        return book.report(lease, report, now)

    def accepted(self, key: str, now: float, usage: Usage | None, sent: float) -> None:
        self.report(key, now, sent, Report("accepted", usage))

    def throttled(self, key: str, now: float, usage: Usage | None, sent: float, scope: Scope, _tries: int) -> float:
        return self.report(key, now, sent, Report("throttled", usage, scope))


class Oracle(Client):
    """Sees the server's windows, and the calls on their way to them."""

    def __init__(self, server: Server, rng: random.Random) -> None:
        super().__init__(server, rng)
        self.in_flight = dict.fromkeys(server.windows, 0)
        self.all_in_flight = 0

    def admit(self, key: str, now: float) -> float:
        when = max(
            self._free_at(self.server.windows[key], self.in_flight[key], now),
            self._free_at(self.server.app, self.all_in_flight, now),
        )
        if when <= now:
            self.in_flight[key] += 1
            self.all_in_flight += 1
        return when

    @staticmethod
    def _free_at(window: Window, in_flight: int, now: float) -> float:
        window.advance(now)
        surplus = len(window.times) + in_flight - window.quota
        if surplus < 0:
            return now
        return window.times[surplus] + HOUR if surplus < len(window.times) else now + 1.0

    def arrived(self, key: str) -> None:
        self.in_flight[key] -= 1
        self.all_in_flight -= 1


class Backoff(Client):
    """Exponential backoff with full jitter for each call by itself, at most 60 s."""

    def throttled(self, _key: str, now: float, _usage: Usage | None, _sent: float, _scope: Scope, tries: int) -> float:
        return now + self.rng.uniform(0.5, 1.0) * min(60.0, 2.0 ** min(tries, 10))


class Pause(Client):
    """Waits for two minutes when the header says 85 %, and for ten at 95 % and after a throttled call."""

    def __init__(self, server: Server, rng: random.Random) -> None:
        super().__init__(server, rng)
        self.until: dict[str, float] = {}

    def admit(self, key: str, now: float) -> float:
        return max(now, self.until.get(key, 0.0))

    def accepted(self, key: str, now: float, usage: Usage | None, sent: float) -> None:
        del sent
        percent = max(r.percent for r in (usage.waba, usage.app) if r) if usage and usage.waba else 0.0
        seconds = 600.0 if percent >= 95.0 else 120.0 if percent >= 85.0 else 0.0
        self.until[key] = max(self.until.get(key, 0.0), now + seconds)

    def throttled(self, key: str, now: float, _usage: Usage | None, _sent: float, _scope: Scope, _tries: int) -> float:
        self.until[key] = max(self.until.get(key, 0.0), now + 600.0)
        return self.until[key]


class Bucket(Client):
    """A token bucket like the adaptive mode of the AWS SDKs: CUBIC, beta 0.7, 0.5 a second at least."""

    BETA, SCALE, LEAST = 0.7, 0.4, 0.5

    def __init__(self, server: Server, rng: random.Random) -> None:
        super().__init__(server, rng)
        self.tokens, self.filled_at = 1.0, 0.0
        self.rate = self.LEAST
        self.last_max, self.throttled_at, self.window = 0.0, 0.0, 0.0
        self.measured, self.bucket, self.count = 0.0, 0.0, 0
        self.enabled = False

    def admit(self, _key: str, now: float) -> float:
        if not self.enabled:
            return now
        self.tokens = min(max(self.rate, 1.0), self.tokens + (now - self.filled_at) * self.rate)
        self.filled_at = now
        if self.tokens < 1.0:
            return now + (1.0 - self.tokens) / self.rate + 1e-6
        self.tokens -= 1.0
        return now

    def measure(self, now: float) -> None:
        self.count += 1
        half = math.floor(now * 2.0) / 2.0
        if half > self.bucket:
            self.measured = 0.8 * self.count / (half - self.bucket) + 0.2 * self.measured
            self.bucket, self.count = half, 0

    def set_rate(self, rate: float) -> None:
        self.rate = max(self.LEAST, min(rate, 2.0 * self.measured))

    def accepted(self, _key: str, now: float, _usage: Usage | None, _sent: float) -> None:
        self.measure(now)
        self.window = (self.last_max * (1.0 - self.BETA) / self.SCALE) ** (1.0 / 3.0)
        self.set_rate(self.SCALE * (now - self.throttled_at - self.window) ** 3 + self.last_max)

    def throttled(self, _key: str, now: float, _usage: Usage | None, _sent: float, _scope: Scope, tries: int) -> float:
        self.measure(now)
        self.last_max = min(self.measured, self.rate) if self.enabled else self.measured
        self.throttled_at, self.enabled = now, True
        self.set_rate(self.BETA * self.last_max)
        return now + self.rng.random() * min(20.0, 2.0 ** min(tries, 10))


# The simulation


@attrs.define
class Queue:
    """The calls of one WABA: each as the number of times that it was throttled."""

    calls: deque[int]
    idle: int
    wake_at: float = math.inf


@attrs.frozen
class Outcome:
    throttled: int
    last: float
    mean: float
    mean_by_key: dict[str, float]
    never: bool = False


class Simulation:
    def __init__(self, server: Server, client: Client, calls: dict[str, int], workers: int, seed: int) -> None:
        self.server, self.client = server, client
        self.queues = {key: Queue(deque([0] * count), workers) for key, count in calls.items()}
        self.left = self.total = sum(calls.values())
        self.rng = random.Random(seed)
        self.events: list[tuple[float, int, Callable[..., None], tuple[object, ...]]] = []
        self.order = itertools.count()
        self.throttled = 0
        self.last = 0.0
        self.done: dict[str, list[float]] = {key: [] for key in calls}

    def at(self, when: float, do: Callable[..., None], *args: object) -> None:
        heapq.heappush(self.events, (when, next(self.order), do, args))

    def run(self) -> Outcome:
        for key in self.queues:
            self.pump(key, 0.0)
        now = 0.0
        while self.left and now < NEVER_SECONDS and self.throttled < NEVER_THROTTLED * self.total:
            now, _, do, args = heapq.heappop(self.events)
            do(*args, now)
        everything = [at for times in self.done.values() for at in times]
        by_key = {key: statistics.fmean(times) for key, times in self.done.items() if times}
        return Outcome(self.throttled, self.last, statistics.fmean(everything or [0.0]), by_key, self.left > 0)

    def pump(self, key: str, now: float) -> None:
        """Send from the front of the queue while there are workers and the client admits."""
        queue = self.queues[key]
        while queue.calls and queue.idle:
            when = self.client.admit(key, now)
            if when > now:
                if not now < queue.wake_at <= when:
                    queue.wake_at = when
                    self.at(when, self.wake, key)
                return
            queue.idle -= 1
            self.last = now
            self.at(now + self.rng.uniform(0.05, 0.25), self.arrive, key, queue.calls.popleft(), now)

    def wake(self, key: str, now: float) -> None:
        queue = self.queues[key]
        if queue.wake_at == now:
            queue.wake_at = math.inf
            self.pump(key, now)

    def arrive(self, key: str, tries: int, sent: float, now: float) -> None:
        scope, usage = self.server.call(key, now)
        if isinstance(self.client, Oracle):
            self.client.arrived(key)
        self.at(now + self.rng.uniform(0.05, 0.25), self.respond, key, tries, sent, scope, usage)

    def respond(  # noqa: PLR0917 - an event has its values by position
        self, key: str, tries: int, sent: float, scope: Scope | None, usage: Usage | None, now: float
    ) -> None:
        if scope is None:
            self.left -= 1
            self.done[key].append(now)
            self.client.accepted(key, now, usage, sent)
            self.queues[key].idle += 1
        else:
            self.throttled += 1
            retry_at = self.client.throttled(key, now, usage, sent, scope, tries + 1)
            self.at(max(now, retry_at), self.retry, key, tries + 1)
        self.pump(key, now)

    def retry(self, key: str, tries: int, now: float) -> None:
        self.queues[key].idle += 1
        self.queues[key].calls.appendleft(tries)
        self.pump(key, now)


# The cases

GOOD = Headers()
KINDS = {
    "good": GOOD,
    "coarse": Headers(step=5, rounded=True),
    "every tenth": Headers(rounded=True, every=10),
}
"""Whole percentages, floored, in each response; in steps of five, rounded; whole and rounded in each tenth."""

WORSE = {
    "steps of 5, floored": Headers(step=5),
    "2 s late": Headers(lag=2.0),
    "30 s late": Headers(lag=30.0),
    "never": Headers(every=0),
}
"""Worse than the goals need, to see what happens."""


@attrs.frozen
class Case:
    name: str
    calls: dict[str, int]
    quotas: dict[str, int]
    workers: int
    headers: Headers = GOOD
    app_quota: int | None = None
    strangers: float = 0.0
    """Calls an hour of others, as a part of the quota."""
    before: Callable[[int, random.Random], list[float]] | None = None
    """Makes the times of the calls before the start."""
    goal: str = ""
    ours: type[Client] = Log
    """What the column of this library plays."""

    def play(self, make: type[Client], seed: int) -> Outcome:
        rng = random.Random(seed)
        server = Server(self.quotas, self.app_quota, self.headers)
        for window in server.windows.values():
            if self.strangers:
                window.strangers = poisson(self.strangers * window.quota, random.Random(seed + 1))
                window.next_stranger = next(window.strangers)
            if self.before:
                window.times.extend(sorted(self.before(window.quota, random.Random(seed + 2))))
        return Simulation(server, make(server, rng), self.calls, self.workers, seed).run()


def spread(quota: int, rng: random.Random) -> list[float]:
    return [rng.uniform(-HOUR, 0.0) for _ in range(quota)]


def clump(quota: int, rng: random.Random) -> list[float]:
    return [rng.uniform(-1800.0, -1740.0) for _ in range(quota)]


def fifty() -> Case:
    quotas = {f"w{i:02}": 5000 if i % 2 else 200 for i in range(50)}
    calls = {key: 700 if quota == 5000 else 57 for key, quota in quotas.items()}
    calls["w00"] = 1050
    return Case("50 WABAs, one hot", calls, quotas, 8, goal="0, 1.05")


def the_app() -> Case:
    ten = [f"w{i}" for i in range(10)]
    calls, quotas = dict.fromkeys(ten, 2500), dict.fromkeys(ten, 5000)
    return Case("the app's 10,000/h, 10 WABAs", calls, quotas, 16, app_quota=10_000, goal="0, 1.03")


def two_processes() -> Iterator[Case]:
    """Two processes through Redis, where there is one. They should do as well as one process."""
    for quota in (200, 5000):
        case = one("two processes through Redis: as one,", quota, 8, "good", "0, 1.03")
        yield attrs.evolve(case, ours=TwoProcesses)


def one(name: str, quota: int, workers: int, kind: str, goal: str) -> Case:
    """One WABA and 5.25 hours of calls. A multiple of the quota would hide an hour, or add one."""
    return Case(
        f"{name} {quota:,}/h, {workers} workers, headers {kind}",
        {"a": quota * 21 // 4},
        {"a": quota},
        workers,
        (KINDS | WORSE)[kind],
        goal=goal if kind in KINDS else "",
    )


def cases() -> Iterator[Case]:
    for quota in (200, 5000):
        for workers in (1, 8, 64):
            for kind in [*KINDS, *WORSE] if workers == 64 else KINDS:
                yield one("one WABA,", quota, workers, kind, "0, 1.03")
    yield fifty()
    yield the_app()
    for quota, goal in ((200, "31, 1.35"), (5000, "131, 1.35")):
        for workers in (1, 64):
            for kind in [*KINDS, *WORSE] if workers == 64 else KINDS:
                yield attrs.evolve(one("others spend half,", quota, workers, kind, goal), strangers=0.5)
    for quota, goal in ((200, "40"), (5000, "0")):
        for how in (spread, clump):
            case = one(f"the hour used before ({how.__name__}),", quota, 64, "good", goal)
            yield attrs.evolve(case, before=how)
    yield from two_processes()


CLIENTS: dict[str, type[Client]] = {
    "log": Log,
    "backoff": Backoff,
    "pause": Pause,
    "bucket": Bucket,
}


def cell(outcomes: list[Outcome], best: list[Outcome]) -> str:
    if any(outcome.never for outcome in outcomes):
        return "never"
    throttled = statistics.fmean(outcome.throttled for outcome in outcomes)
    last = statistics.fmean(o.last / b.last for o, b in zip(outcomes, best, strict=True))
    mean = statistics.fmean(o.mean / b.mean for o, b in zip(outcomes, best, strict=True))
    return f"{round(throttled, 1):g}, {last:.3f}, {mean:.2f}"


@contextmanager
def redis_server() -> Iterator[str]:
    """Start a Redis for `TwoProcesses`; yields why there is none, or an empty text."""
    command = shutil.which("redis-server")
    if Redis is None or command is None:
        yield "the extra `redis` is not installed" if Redis is None else "there is no redis-server"
        return
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/socket"
        options = ("--port", "0", "--unixsocket", path, "--save", "", "--dir", directory)
        process = subprocess.Popen([command, *options], stdout=subprocess.DEVNULL)
        try:
            while process.poll() is None and not Path(path).exists():
                time.sleep(0.01)
            with Redis(unix_socket_path=path, decode_responses=True) as TwoProcesses.redis:
                yield ""
        finally:
            process.kill()
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("word", nargs="?", default="")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", choices=CLIENTS)
    options = parser.parse_args()
    with redis_server() as lack:
        play_all(options, lack)


def play_all(options: argparse.Namespace, lack_of_redis: str) -> None:
    began = time.perf_counter()
    clients = {name: make for name, make in CLIENTS.items() if options.only in (None, name)}
    print("| throttled, last, mean | goal |", " | ".join(clients), "| s |")
    print("|---|---|" + "---|" * (len(clients) + 1))
    for case in cases():
        if options.word not in case.name:
            continue
        if case.ours is TwoProcesses and lack_of_redis:
            print("|", case.name, "| not played:", lack_of_redis, "|")
            continue
        start = time.perf_counter()
        best = [case.play(Oracle, seed) for seed in range(options.seeds)]
        makes = [case.ours if make is Log else make for make in clients.values()]
        row = [cell([case.play(make, seed) for seed in range(options.seeds)], best) for make in makes]
        print(
            "|",
            case.name,
            "|",
            case.goal,
            "|",
            " | ".join(row),
            f"| {time.perf_counter() - start:.1f} |",
            flush=True,
        )
    print(f"\nseeds {options.seeds}, {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
