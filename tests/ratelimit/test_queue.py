"""Standing in line: who waits for what."""

import asyncio

import pytest

from wa_phone_async.concurrency import Slot
from wa_phone_async.ratelimit.waiting import FIRST_LOOK_SECONDS, Queue, next_look


def test_what_is_due_within_a_second_is_looked_at_before_and_less_and_less_often() -> None:
    now, look, looks = 100.0, FIRST_LOOK_SECONDS, list[float]()
    while now < 101.0:
        now, look = next_look(101.0, now, look)
        looks.append(round(now - 100.0, 2))
    assert looks == [0.02, 0.06, 0.14, 0.3, 0.62, 1.0]


def test_what_is_due_later_is_looked_at_when_it_is_due() -> None:
    assert next_look(160.0, 100.0, 0.64) == (160.0, FIRST_LOOK_SECONDS)


async def test_an_answer_that_came_since_is_not_waited_for() -> None:
    queue = Queue()
    before = queue.answers
    queue.wake()

    await asyncio.wait_for(queue.answer(since=before, before=float("inf")), 5)


async def test_whoever_waits_for_an_answer_goes_when_it_comes_or_when_its_time_comes() -> None:
    queue, loop = Queue(), asyncio.get_running_loop()
    waiting = asyncio.create_task(queue.answer(since=0, before=float("inf")))
    await asyncio.sleep(0)
    queue.wake()
    await waiting

    when = loop.time() + 0.01
    await queue.answer(since=1, before=when)
    assert loop.time() >= when


@pytest.mark.parametrize("is_probe", [False, True])
async def test_whoever_stands_behind_another_frees_its_slot_and_a_probe_stands_beside_it(*, is_probe: bool) -> None:
    queue, slots = Queue(), asyncio.Semaphore(1)
    slot = Slot(slots)
    await slot.reserve()

    async def stand() -> None:
        slot.bind()
        async with queue.turn(is_probe=is_probe):
            pass

    async with queue.turn(is_probe=False):
        other = asyncio.create_task(stand())
        for _ in range(3):
            await asyncio.sleep(0)
        assert (other.done(), slot.is_taken) == (is_probe, is_probe)
    await other
    assert queue.length == 0
