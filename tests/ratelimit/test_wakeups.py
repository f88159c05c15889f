"""Who is woken when a call ends, over accounts, tokens, threads and event loops that are lost."""

import asyncio
import gc
import os
import subprocess
import sys
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wa_phone_async import PhoneNumberClient, RetryPolicy, Throttle
from wa_phone_async.ratelimit.limiter import CallResult, Lease, Report, Scope
from wa_phone_async.ratelimit.throttle import FairQueue
from wa_phone_async.sandbox import SMALL_WABA, Fault, Sandbox, VirtualTimeLoop
from wa_phone_async.usage import Usage, UsageMetric

T = TypeVar("T")

HOUR = 3600.0
A, B = "1111", "2222"
READ = Usage(UsageMetric(0.0))
FULL_APP = Usage(UsageMetric(10.0), UsageMetric(100.0, 100.0))


class CountingLoop(VirtualTimeLoop):
    """Counts how often its clock jumps, which is how often a timer wakes anybody."""

    def __init__(self) -> None:
        super().__init__()
        self.jumps = 0

    def jump(self, seconds: float) -> None:
        self.jumps += 1
        super().jump(seconds)


def run(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        return runner.run(main)


def now() -> float:
    return asyncio.get_running_loop().time()


async def settle() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


async def admitted(throttle: Throttle, waba_id: str | None = A, token: str = "t", *, max_wait: float = HOUR) -> Lease:
    lease = await throttle.admit(waba_id, token, max_wait=max_wait)
    assert isinstance(lease, Lease)
    return lease


async def call(throttle: Throttle, waba_id: str, seconds: float, usage: Usage | None = READ) -> float:
    """Make a call that takes some seconds; returns when it was admitted."""
    lease = await admitted(throttle, waba_id)
    await asyncio.sleep(seconds)
    throttle.report(lease, Report("accepted", usage))
    return lease.since


async def begin_cooldown(throttle: Throttle, waba_id: str = A, scope: Scope = "app", token: str = "t") -> None:
    lease = await admitted(throttle, waba_id, token)
    throttle.report(lease, Report("throttled", Usage(retry_after_seconds=60.0), scope))


# A shared quota


@pytest.mark.parametrize("usage", [READ, None], ids=["with usage", "without usage"])
@pytest.mark.parametrize("scope", ["app", "token"])
def test_after_a_shared_cooldown_the_accounts_go_as_fast_as_the_calls_before_them_end(
    scope: Scope, usage: Usage | None
) -> None:
    async def main() -> None:
        throttle = Throttle()
        await begin_cooldown(throttle, scope=scope)
        went = await asyncio.gather(*(call(throttle, str(number), 0.02, usage) for number in range(60)))
        assert went == sorted(went)
        # One goes as the probe. With each call that ends, one more may be in flight than before.
        assert went[0] == 60
        assert went[-1] <= 60.2

    run(main())


def test_nobody_polls_while_a_call_of_another_account_is_in_flight() -> None:
    async def main() -> int:
        throttle, loop = Throttle(), asyncio.get_running_loop()
        assert isinstance(loop, CountingLoop)
        await begin_cooldown(throttle)
        calls = [asyncio.create_task(call(throttle, str(number // 2), 500.0)) for number in range(60)]
        await asyncio.gather(*calls)
        assert now() == 60 + 6 * 500  # 1, 2, 4, 8, 16 and 29 calls at once
        return loop.jumps

    assert run(main()) <= 10


@pytest.mark.parametrize("max_wait", [0.0, 10.0, 59.0])
def test_a_new_cooldown_ends_at_once_the_waits_that_it_makes_too_long(max_wait: float) -> None:
    async def main() -> None:
        throttle = Throttle(app_quota=1000)
        await begin_cooldown(throttle)
        await asyncio.sleep(60)
        probe = await admitted(throttle, A)
        patient = asyncio.create_task(admitted(throttle, "1"))
        others = [asyncio.create_task(throttle.admit(str(number), "t", max_wait=max_wait)) for number in range(2, 9)]
        await asyncio.sleep(0.5)
        throttle.report(probe, Report("throttled", Usage(retry_after_seconds=60.0), "app"))
        assert {wait for wait in await asyncio.gather(*others) if isinstance(wait, float)} <= {60.0, 1.0}
        assert now() == 60.5
        assert (await patient).since == 120.5

    run(main())


def test_a_cooldown_that_usage_begins_ends_them_too() -> None:
    async def main() -> None:
        throttle = Throttle(app_quota=3)
        first = [await admitted(throttle, str(number)) for number in range(3)]
        patient = asyncio.create_task(admitted(throttle, "4", max_wait=100_000))
        impatient = asyncio.create_task(throttle.admit("5", "t", max_wait=5000))
        await settle()
        usage = Usage(UsageMetric(1.0), UsageMetric(100.0, 100.0, 6000.0))
        for lease in first:
            throttle.report(lease, Report("accepted", usage))
        assert await impatient == 6000
        assert now() == 0
        assert (await patient).since == 6000

    run(main())


def test_a_call_that_comes_later_does_not_overtake() -> None:
    async def main() -> None:
        throttle = Throttle()
        await begin_cooldown(throttle)
        await asyncio.sleep(60)
        probe = await admitted(throttle, A)
        waiting = [asyncio.create_task(admitted(throttle, str(number))) for number in range(2)]
        await settle()
        throttle.report(probe, Report("accepted"))
        later = asyncio.create_task(admitted(throttle, A))  # in the same step of the loop, as the next page is
        await settle()
        assert [task.done() for task in (*waiting, later)] == [True, True, False]
        throttle.report(await waiting[0], Report("accepted"))
        await later

    run(main())


def test_probes_go_first() -> None:
    async def main() -> None:
        throttle = Throttle()
        await begin_cooldown(throttle)
        await asyncio.sleep(60)
        first = await admitted(throttle, A)
        waiting = asyncio.create_task(admitted(throttle, B))
        await settle()
        probes = [asyncio.create_task(throttle.admit(str(number), "t", max_wait=9, is_probe=True)) for number in (1, 2)]
        await settle()
        throttle.report(first, Report("lost"))
        await settle()
        assert [task.done() for task in (*probes, waiting)] == [True, False, False]
        for task in probes:
            lease = await task
            assert isinstance(lease, Lease)
            throttle.report(lease, Report("lost"))
        await waiting

    run(main())


def test_a_call_that_leaves_passes_its_turn_on() -> None:
    async def main() -> None:
        throttle = Throttle()
        await begin_cooldown(throttle)
        await asyncio.sleep(60)
        probe = await admitted(throttle, A)
        waiting = [asyncio.create_task(admitted(throttle, str(number))) for number in range(3)]
        await settle()
        throttle.report(probe, Report("lost"))
        waiting[0].cancel()  # after it was woken, and before it could go
        await settle()
        assert [task.done() for task in waiting] == [True, True, False]
        waiting[2].cancel()
        await settle()

    run(main())


def test_what_waits_for_its_own_account_first_holds_up_nobody() -> None:
    async def main() -> None:
        throttle = Throttle(quota=1)
        await call(throttle, B, 0.0)
        await begin_cooldown(throttle, A)
        own = asyncio.create_task(admitted(throttle, B, max_wait=2 * HOUR))
        waiting = asyncio.create_task(admitted(throttle, "3"))
        assert (await waiting).since == 60
        throttle.report(waiting.result(), Report("accepted", READ))
        assert (await own).since == 3660

    run(main())


def test_a_call_changes_its_queue_when_another_quota_stops_it() -> None:
    async def main() -> None:
        throttle = Throttle()
        await begin_cooldown(throttle, A, "app")
        waiting = [asyncio.create_task(admitted(throttle, waba_id, "t")) for waba_id in (B, "3")]
        await asyncio.sleep(30)
        other = asyncio.create_task(admitted(throttle, "4", "u"))
        await settle()
        # The app cools down for 60 s; from then on the token and one account cool down for longer.
        cooldowns: list[tuple[str, Scope, float]] = [(B, "waba", 300.0), ("3", "token", 100.0)]
        for waba_id, scope, seconds in cooldowns:
            report = Report("throttled", Usage(retry_after_seconds=seconds), scope)
            throttle._book.take(waba_id, now(), "t")
            lease = Lease(waba_id, "t", now())
            throttle._book.report(lease, report, now())
            for calls in throttle._loops.by_loop.values():
                throttle._wake(calls, lease, report, asyncio.get_running_loop())
        assert (await other).since == 60
        throttle.report(other.result(), Report("accepted", READ))
        assert (await waiting[1]).since == 130
        throttle.report(waiting[1].result(), Report("accepted", READ))
        assert (await waiting[0]).since == 330

    run(main())


Step = tuple[str, int, Any]
STEPS = st.lists(
    st.tuples(st.just("call"), st.integers(0, 3), st.sampled_from([0.0, 5.0, HOUR, 10 * HOUR]))
    | st.tuples(
        st.just("report"),
        st.integers(0, 20),
        st.sampled_from(["accepted", "lost", "unsent", "waba", "app", "token", "blind", "app is full"]),
    )
    | st.tuples(st.just("cancel"), st.integers(0, 20), st.none())
    | st.tuples(st.just("wait"), st.sampled_from([1, 30, 60, 3000]), st.none()),
    max_size=40,
)


def report_of(result: Any) -> Report:
    if result in {"waba", "app", "token"}:
        return Report("throttled", scope=result)
    if result in {"lost", "unsent"}:
        return Report(result)
    return Report("accepted", {"blind": None, "accepted": READ, "app is full": FULL_APP}[result])


class World:
    """A throttle, its calls that wait, and those that are in flight."""

    def __init__(self, throttle: Throttle) -> None:
        self.throttle = throttle
        self.waiting = dict[asyncio.Task[Lease | float], tuple[str, str, float]]()
        self.in_flight = list[Lease]()

    async def take(self, step: Step) -> None:
        match step:
            case ("call", account, max_wait):
                who = str(account), f"token of {account // 2}"  # two accounts share it
                self.waiting[asyncio.create_task(self.throttle.admit(*who, max_wait=max_wait))] = *who, now() + max_wait
            case ("report", number, result) if self.in_flight:
                self.throttle.report(self.in_flight.pop(number % len(self.in_flight)), report_of(result))
            case ("cancel", number, _) if self.waiting:
                list(self.waiting)[number % len(self.waiting)].cancel()
            case ("wait", seconds, _):
                await asyncio.sleep(seconds)
        await settle()
        for task in [task for task in self.waiting if task.done()]:
            del self.waiting[task]
            if not task.cancelled() and isinstance(lease := task.result(), Lease):
                self.in_flight.append(lease)


@given(STEPS, st.sampled_from([None, 1, 3]), st.sampled_from([None, 2, 5]))
@example(
    [("call", 0, HOUR), ("report", 0, "app"), ("call", 1, HOUR), ("call", 2, HOUR), ("wait", 60, None)], None, None
)
def test_no_call_waits_that_may_go(steps: list[Step], quota: int | None, app_quota: int | None) -> None:
    async def main() -> None:
        world = World(Throttle(quota=quota, app_quota=app_quota))
        for step in [*steps, *[("cancel", 0, None)] * len(steps)]:
            await world.take(step)
            for waba_id, token, end in world.waiting.values():
                assert world.throttle._book.peek(waba_id, now(), token) > now()
                assert now() < end
        assert not world.waiting
        for calls in world.throttle._loops.by_loop.values():
            assert not calls.queues
            assert not calls.shared
            assert len(calls.leases) == len(world.in_flight)

    run(main())


def test_the_calls_of_a_client_go_on_at_once_after_a_limit_of_the_app() -> None:
    async def main() -> None:
        async with Sandbox(latency=0.02) as sandbox:
            settings: Any = {"base_url": sandbox.url, "retry": RetryPolicy.batch()}
            async with PhoneNumberClient("an-invented-token", **settings) as client:
                sandbox.plan(Fault.error(4, headers={"Retry-After": "100"}), node=SMALL_WABA)
                calls = [client.session.get(str(number), dict, {"fields": "id"}) for number in range(1000, 1060)]
                await asyncio.gather(client.session.get(SMALL_WABA, dict), *calls, return_exceptions=True)
                assert len(sandbox.requests) == 62
                assert 100 <= sandbox.requests[-1].at <= 100.5

    run(main())


# Loops that are lost


@attrs.frozen
class Loops:
    """Two event loops with one throttle, as two threads have, and as two runs after each other have."""

    throttle: Throttle
    one: VirtualTimeLoop = attrs.field(factory=VirtualTimeLoop)
    other: VirtualTimeLoop = attrs.field(factory=VirtualTimeLoop)

    def start(self, waba_id: str | None = A, result: CallResult = "lost") -> asyncio.Task[None]:
        """Start a call of an hour in the one loop."""

        async def go() -> None:
            lease = await admitted(self.throttle, waba_id)
            try:
                await asyncio.sleep(HOUR)
            finally:
                self.throttle.report(lease, Report(result))

        task = self.one.create_task(go())
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # asyncio logs those that are lost
        self.one.run_until_complete(asyncio.sleep(0))
        return task

    def used(self, waba_id: str | None) -> int:
        return self.throttle._book._charged(waba_id, 0.0, "t")[0].used(0.0)


@pytest.fixture
def loops() -> Iterator[Loops]:
    loops = Loops(Throttle())
    yield loops
    loops.one.close()
    loops.other.close()


@pytest.mark.parametrize("waba_id", [A, None])
@pytest.mark.parametrize("when", ["before", "after", "never"])
def test_a_call_whose_loop_is_closed_counts_once_and_holds_up_no_other(loops: Loops, waba_id: Any, when: str) -> None:
    tasks = [loops.start(waba_id)]
    loops.one.close()
    if when == "before":
        tasks.clear()
        gc.collect()  # the task ends here, and reports in no loop
    lease = loops.other.run_until_complete(admitted(loops.throttle, waba_id, max_wait=0.0))
    if when == "after":
        tasks.clear()
        gc.collect()
    assert loops.used(waba_id) == 2
    assert loops.throttle.report(lease, Report("accepted", READ)) == 0
    assert loops.used(waba_id) == 2
    assert [calls.loop() for calls in loops.throttle._loops.by_loop.values()] == [loops.other]


def test_a_call_that_was_not_sent_counts_for_nothing_when_it_dies(loops: Loops) -> None:
    tasks = [loops.start(A, "unsent")]
    loops.one.close()
    tasks.clear()
    gc.collect()
    assert loops.used(A) == 0


def test_it_may_report_in_another_loop(loops: Loops) -> None:
    tasks = [loops.start()]
    loops.one.close()

    async def collect() -> Lease:
        assert loops.used(A) == 1
        tasks.clear()
        gc.collect()
        return await admitted(loops.throttle, max_wait=0.0)

    assert loops.other.run_until_complete(collect())


def test_a_loop_that_is_collected_takes_no_lease_with_it() -> None:
    throttle, loop = Throttle(), VirtualTimeLoop()
    loop.run_until_complete(admitted(throttle))
    loop.close()
    del loop
    gc.collect()
    assert run(admitted(throttle, max_wait=0.0))


def test_a_call_at_the_head_of_a_queue_is_collected_quietly_after_its_loop_was_closed(loops: Loops) -> None:
    loops.one.run_until_complete(begin_cooldown(loops.throttle))
    waiting = [admitted(loops.throttle), admitted(loops.throttle)]
    tasks = [loops.one.create_task(call) for call in waiting]
    loops.one.run_until_complete(settle())
    loops.one.close()
    for call, task in zip(waiting, tasks, strict=True):
        call.close()  # as Python does when it collects the task
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # asyncio logs those that are lost


def test_a_lease_of_a_collected_loop_may_report() -> None:
    throttle, loop = Throttle(), VirtualTimeLoop()
    lease = loop.run_until_complete(admitted(throttle))
    loop.close()
    del loop
    gc.collect()
    assert throttle.report(lease, Report("accepted", READ)) == 0
    assert throttle.last_usage(A) == READ


def test_those_that_wait_in_another_loop_are_woken(loops: Loops) -> None:
    lease = loops.one.run_until_complete(admitted(loops.throttle))
    waiting = loops.other.create_task(admitted(loops.throttle))
    loops.other.run_until_complete(settle())

    async def report() -> None:
        loops.throttle.report(lease, Report("accepted", READ))

    loops.one.run_until_complete(report())
    assert loops.other.run_until_complete(waiting).since == 0


@pytest.mark.parametrize("is_shared", [False, True])
def test_those_that_wait_in_another_loop_notice_that_a_loop_was_closed(loops: Loops, *, is_shared: bool) -> None:
    if is_shared:
        loops.one.run_until_complete(begin_cooldown(loops.throttle))
        for loop in (loops.one, loops.other):
            loop.run_until_complete(asyncio.sleep(60))
    loops.one.run_until_complete(admitted(loops.throttle))
    waiting = loops.other.create_task(admitted(loops.throttle, B if is_shared else A))
    began = loops.other.time()
    loops.other.run_until_complete(asyncio.sleep(100))
    assert not waiting.done()
    loops.one.close()
    assert loops.other.run_until_complete(waiting).since <= began + 101


def test_loops_take_turns(loops: Loops) -> None:
    for waba_id in "123":
        for loop in (loops.one, loops.other):
            assert loop.run_until_complete(call(loops.throttle, waba_id, 0.0)) == 0
    assert [calls.loop() for calls in loops.throttle._loops.by_loop.values()] == [loops.one, loops.other]


def test_nobody_is_woken_in_a_loop_that_is_gone() -> None:
    throttle, gone = Throttle(), VirtualTimeLoop()
    gone.run_until_complete(call(throttle, A, 0.0))
    (calls,) = throttle._loops.by_loop.values()
    calls.queues[A] = FairQueue()  # the garbage collector takes a loop and its queues in any order
    gone.close()
    del gone
    gc.collect()
    throttle._recent = None
    throttle._book.take(A, 0.0, "t")
    lease = calls.add(Lease(A, "t", 0.0))
    assert throttle.report(lease, Report("accepted", READ)) == 0
    assert calls.queues[A].responses == 0


def test_nobody_is_woken_in_a_loop_that_is_closed(loops: Loops) -> None:
    lease = loops.other.run_until_complete(admitted(loops.throttle))
    waiting = loops.start()
    loops.one.close()

    async def report() -> None:
        loops.throttle.report(lease, Report("accepted", READ))

    loops.other.run_until_complete(report())
    assert not waiting.done()


@pytest.mark.parametrize("scope", ["app", "token", "waba"])
def test_calls_that_wait_end_silently_with_their_loop(loops: Loops, scope: Scope) -> None:
    loops.one.run_until_complete(begin_cooldown(loops.throttle, scope=scope))
    waiting = [loops.start(waba_id) for waba_id in (A, A, B, "3")]
    loops.one.close()
    waiting.clear()
    gc.collect()  # an error would end the test: warnings are errors


FORK = """
import asyncio, os
from wa_phone_async import Report, Throttle

async def admit(throttle, waba_id):
    return await throttle.admit(waba_id, "t", max_wait=0.0)

async def main(throttle):
    lease = await admit(throttle, "1111")
    await asyncio.sleep(0)
    if child := os.fork():
        _, status = os.waitpid(child, 0)
        throttle.report(lease, Report("accepted"))
        first, second = await admit(throttle, "1111"), await admit(throttle, "1111")
        os._exit(os.waitstatus_to_exitcode(status) or isinstance(first, float) or isinstance(second, float))
    runner = asyncio.Runner()  # one for both: the call of a loop that was collected would count as lost
    first = runner.run(admit(throttle, "1111"))
    throttle.report(lease, Report("accepted"))  # that call is the parent's
    second = runner.run(admit(throttle, "1111"))
    os._exit(0 if not isinstance(first, float) and isinstance(second, float) else 7)

asyncio.run(main(Throttle()))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_process_that_was_forked_does_not_wait_for_the_calls_of_its_parent() -> None:
    assert subprocess.run([sys.executable, "-c", FORK], check=False, timeout=50).returncode == 0


CLOSED = """
import asyncio, gc, sys, threading
from wa_phone_async import PhoneNumberClient, Throttle
from wa_phone_async.ratelimit.throttle import FairQueue
from wa_phone_async.sandbox import SMALL_WABA, Sandbox

url, ready, end = [], threading.Event(), threading.Event()

async def serve():
    async with Sandbox(latency=0.3) as sandbox:
        url.append(sandbox.url)
        ready.set()
        await asyncio.to_thread(end.wait)

server = threading.Thread(target=asyncio.run, args=[serve()])
server.start()
ready.wait()
throttle = Throttle()

async def list_numbers():
    async with PhoneNumberClient("an-invented-token", base_url=url[0], throttle=throttle) as client:
        return await client.list_phone_numbers(SMALL_WABA)

loop = asyncio.new_event_loop()
tasks = [loop.create_task(list_numbers()) for _ in range(3)]
loop.run_until_complete(asyncio.sleep(float(sys.argv[1])))
loop.close()
if sys.argv[2] == "collected":
    tasks.clear()
    gc.collect()
numbers = asyncio.run(list_numbers())
end.set()
server.join()
assert len(numbers) == 3
assert not any(calls.leases for calls in throttle._loops.by_loop.values() if calls.loop() is not None)
"""


@pytest.mark.parametrize("tasks", ["kept", "collected"])
@pytest.mark.parametrize("seconds", [0.0, 0.1])
def test_a_client_goes_on_after_a_loop_was_closed_during_its_first_call(seconds: float, tasks: str) -> None:
    command = [sys.executable, "-W", "ignore", "-c", CLOSED, str(seconds), tasks]
    done = subprocess.run(command, check=False, timeout=50, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
