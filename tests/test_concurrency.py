"""What tasks share: slots in the order of arrival, a value for each event loop, one task for many; and streams."""

import asyncio
import gc
import math
import os
import sys
import threading
import weakref
from collections.abc import AsyncGenerator, Iterator

import attrs
import pytest

from wa_phone_async.concurrency import LoopLocal, SingleFlight, Slot, current_slot, release_slot, stream_in_order

# --- slots


async def test_slots_are_taken_in_the_order_of_arrival() -> None:
    slots, order = asyncio.Semaphore(1), list[str]()

    async def worker(name: str) -> None:
        slot = Slot(slots)
        slot.bind()
        for _ in range(2):
            await slot.acquire()
            order.append(name)
            await asyncio.sleep(0)
            slot.release()

    await asyncio.gather(worker("a"), worker("b"), worker("c"))
    assert "".join(order) == "abcabc"


async def test_a_slot_that_is_taken_is_not_waited_for_and_is_freed_once() -> None:
    slot = Slot(asyncio.Semaphore(1))
    await slot.reserve()
    assert (slot.is_taken, slot.calls) == (True, 0)
    await slot.acquire()
    assert (slot.is_taken, slot.calls) == (True, 1)
    slot.release()
    slot.release()
    assert not slot.is_taken
    await asyncio.wait_for(slot.acquire(), 1)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(Slot(slot._slots).reserve(), 0.01)


async def test_a_task_that_has_to_wait_frees_its_slot() -> None:
    slots = asyncio.Semaphore(1)
    release_slot()  # nothing happens where the task has none
    assert current_slot.get() is None

    async def waits() -> None:
        slot = Slot(slots)
        slot.bind()
        await slot.acquire()
        release_slot()
        assert current_slot.get() is slot
        await asyncio.Event().wait()

    waiting = asyncio.create_task(waits())
    await asyncio.wait_for(Slot(slots).acquire(), 1)
    waiting.cancel()
    assert current_slot.get() is None


# --- values of event loops


@attrs.define(eq=False)
class Box:
    """A value that can be weakly referenced, and is told from its equals."""


@pytest.fixture
def lost() -> list[Box]:
    return []


@pytest.fixture
def local(lost: list[Box]) -> LoopLocal[Box]:
    return LoopLocal(Box, lost.append)


def in_loop(loop: asyncio.AbstractEventLoop, local: LoopLocal[Box]) -> Box:
    async def get() -> Box:
        return local.get()

    return loop.run_until_complete(get())


@pytest.fixture
def two_loops() -> Iterator[tuple[asyncio.AbstractEventLoop, asyncio.AbstractEventLoop]]:
    loops = asyncio.new_event_loop(), asyncio.new_event_loop()
    yield loops
    for loop in loops:
        loop.close()


Two = tuple[asyncio.AbstractEventLoop, asyncio.AbstractEventLoop]


def test_each_loop_has_a_value_of_its_own_and_keeps_it(local: LoopLocal[Box], two_loops: Two) -> None:
    one, other = (in_loop(loop, local) for loop in two_loops)
    assert one is not other
    assert [in_loop(loop, local) for loop in two_loops] == [one, other]
    assert list(local.by_loop.values()) == [one, other]


def test_outside_of_a_loop_there_is_no_value(local: LoopLocal[Box]) -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        local.get()
    assert not local.by_loop


def test_an_empty_value_is_kept(two_loops: Two) -> None:
    local = LoopLocal(dict[str, int])

    async def get() -> dict[str, int]:
        return local.get()

    empty = two_loops[0].run_until_complete(get())
    assert two_loops[0].run_until_complete(get()) is empty


async def test_a_value_that_was_popped_is_made_again(local: LoopLocal[Box], lost: list[Box]) -> None:
    assert local.pop() is None
    value = local.get()
    assert local.pop() is value
    assert local.get() is not value
    assert lost == []


@pytest.mark.parametrize("how", ["closed", "collected"])
def test_a_new_loop_drops_the_values_of_lost_ones(
    local: LoopLocal[Box], lost: list[Box], two_loops: Two, how: str
) -> None:
    gone = asyncio.new_event_loop()
    value = in_loop(gone, local)
    gone.close()
    if how == "collected":
        del gone
        gc.collect()
    assert list(local.by_loop.values()) == [value]  # it outlives its loop
    kept = in_loop(two_loops[0], local)
    assert lost == [value]
    in_loop(two_loops[1], local)
    assert lost == [value]
    assert kept in local.by_loop.values()


async def test_a_loop_finds_out_that_another_one_is_lost(local: LoopLocal[Box], lost: list[Box]) -> None:
    # given: a loop in another thread
    own, ready, end = local.get(), threading.Event(), threading.Event()

    async def wait() -> Box:
        value = local.get()
        ready.set()
        end.wait()
        return value

    other = asyncio.create_task(asyncio.to_thread(asyncio.run, wait()))
    await asyncio.to_thread(ready.wait)
    # when, then
    local.drop_lost()
    assert lost == []
    end.set()
    value = await other
    local.drop_lost()
    local.drop_lost()
    assert lost == [value]
    assert list(local.by_loop.values()) == [own]


def test_a_value_is_dropped_once_if_another_thread_is_faster() -> None:
    lost = list[Box]()

    def drop_the_rest(value: Box) -> None:
        lost.append(value)
        racing.drop_lost()

    racing = LoopLocal(Box, drop_the_rest)
    loops = [asyncio.new_event_loop() for _ in range(3)]
    values = [in_loop(loop, racing) for loop in loops]
    for loop in loops:
        loop.close()
    racing.drop_lost()
    assert lost == values


def test_a_fork_has_values_of_its_own_and_frees_none_of_its_parent(
    local: LoopLocal[Box], lost: list[Box], two_loops: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given: a value of the parent
    value = weakref.ref(in_loop(two_loops[0], local))
    # when: the child goes on in the same loop
    monkeypatch.setattr(os, "getpid", lambda: 5)
    own = in_loop(two_loops[0], local)
    # then
    assert [own] == list(local.by_loop.values())
    assert lost == [value()]
    assert own is not value()
    lost.clear()
    gc.collect()
    assert value() is not None


# --- work that many callers wait for


class Work:
    """Work that a test begins and ends. It counts its starts."""

    def __init__(self) -> None:
        self.starts = 0
        self.running = 0
        self.events: list[str] = []
        self.end = asyncio.Event()

    async def run(self) -> int:
        self.starts += 1
        self.running += 1
        assert self.running == 1
        try:
            await self.end.wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)  # it takes a moment to end
            self.events.append("cancelled")
            raise
        finally:
            self.running -= 1
        return 7


async def start(count: int, flight: SingleFlight[int], until: float = math.inf) -> list[asyncio.Task[bool]]:
    """Let callers wait for some work, which has begun then."""
    callers = [asyncio.create_task(flight.wait(until)) for _ in range(count)]
    await settle()
    return callers


async def settle() -> None:
    for _ in range(9):
        await asyncio.sleep(0)


async def test_all_callers_wait_for_one_task() -> None:
    work = Work()
    flight = SingleFlight(work.run)
    callers = await start(3, flight)
    assert (flight.waiters, flight.is_over) == (3, False)
    work.end.set()
    assert await asyncio.gather(*callers) == [True] * 3
    assert (flight.waiters, flight.is_over) == (0, True)
    assert await flight.wait()
    assert (flight.task.result(), work.starts) == (7, 1)


async def test_only_the_last_caller_that_leaves_cancels_the_work_and_waits_for_its_end() -> None:
    work = Work()
    flight = SingleFlight(work.run)
    first, second = await start(2, flight)
    first.cancel()
    await settle()
    assert first.cancelled()
    assert not flight.is_over
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    assert work.events == ["cancelled"]
    assert flight.task.cancelled()


async def test_nobody_can_join_work_that_is_being_cancelled() -> None:
    flight = SingleFlight(Work().run)
    tasks = flight.cancel()
    assert flight.is_over
    assert not flight.task.done()
    await asyncio.wait(tasks)
    assert tasks == {flight.task}


async def test_a_caller_may_leave_at_a_time() -> None:
    work = Work()
    flight = SingleFlight(work.run)
    (patient,) = await start(1, flight)
    now = asyncio.get_running_loop().time()
    assert not await flight.wait(now + 0.01)
    assert not await flight.wait(now - 1)
    assert not flight.is_over
    work.end.set()
    assert await patient


async def test_the_last_caller_that_is_out_of_time_cancels_the_work() -> None:
    work = Work()
    flight = SingleFlight(work.run)
    await settle()
    assert not await flight.wait(asyncio.get_running_loop().time())
    assert work.events == ["cancelled"]


async def test_an_error_is_that_of_the_task_and_is_not_logged_if_nobody_takes_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail() -> int:
        raise ValueError("invented")

    flight = SingleFlight(fail)
    assert await flight.wait()
    assert isinstance(flight.task.exception(), ValueError)
    flight = SingleFlight(fail)
    await settle()
    del flight
    gc.collect()
    assert caplog.records == []


async def test_callers_of_work_that_is_replaced_wait_for_the_new_work() -> None:
    work = Work()
    flight = SingleFlight(work.run)
    callers = await start(2, flight)
    first = flight.task
    flight.replace(work.run)
    flight.replace(work.run)  # at once: the second task never begins
    await settle()
    assert first.cancelled()
    assert (work.starts, work.events) == (2, ["cancelled"])  # `Work` asserts that no two of them run at once
    assert not any(caller.done() for caller in callers)
    work.end.set()
    assert await asyncio.gather(*callers) == [True, True]
    assert flight.task.result() == 7


async def test_whoever_cancels_replaced_work_gets_all_tasks_that_have_not_ended() -> None:
    work = Work()
    flight = SingleFlight(work.run)
    await start(1, flight)
    first = flight.task
    flight.replace(work.run)
    tasks = flight.cancel()
    assert tasks == {first, flight.task}
    await asyncio.wait(tasks)
    assert (work.starts, work.events) == (1, ["cancelled"])


def test_work_may_be_replaced_while_its_loop_does_not_run() -> None:
    with asyncio.Runner() as runner:

        async def begin() -> tuple[Work, SingleFlight[int], list[asyncio.Task[bool]]]:
            work = Work()
            flight = SingleFlight(work.run)
            return work, flight, await start(1, flight)

        work, flight, (caller,) = runner.run(begin())
        flight.replace(work.run)

        async def end() -> bool:
            await settle()
            work.end.set()
            return await caller

        assert runner.run(end())
        assert work.starts == 2


@pytest.mark.skipif(sys.version_info < (3, 12), reason="tasks start eagerly from Python 3.12 on")
async def test_an_eager_task_may_end_before_anyone_waits() -> None:
    async def seven() -> int:
        return 7

    asyncio.get_running_loop().set_task_factory(getattr(asyncio, "eager_task_factory"))  # noqa: B009 - not in 3.11
    flight = SingleFlight(seven)
    assert flight.task.done()
    assert await flight.wait()
    assert flight.task.result() == 7
    flight.replace(seven)
    assert await flight.wait()


# --- results in order


async def test_a_result_does_not_wait_for_the_next_item() -> None:
    more = asyncio.Event()

    async def ids() -> AsyncGenerator[str]:
        yield "1"
        await more.wait()
        yield "2"

    async def call(item: str) -> str:
        await asyncio.sleep(0)
        return item

    results = stream_in_order(call, ids(), 2)
    assert await anext(results) == "1"
    more.set()
    assert [result async for result in results] == ["2"]
    early = stream_in_order(call, ids(), 1)
    assert await anext(early) == "1"
    await early.aclose()
