"""The queue of an account: who waits for what."""

import asyncio

import pytest

from wa_phone_async.concurrency import Slot
from wa_phone_async.ratelimit.throttle import FairQueue


async def test_a_response_that_came_since_is_not_waited_for() -> None:
    queue = FairQueue()
    before = queue.responses
    queue.notify()

    await asyncio.wait_for(queue.wait_for_response(since=before, before=float("inf")), 5)


async def test_a_wait_for_a_response_ends_when_it_comes_or_when_its_time_is_over() -> None:
    queue, loop = FairQueue(), asyncio.get_running_loop()
    waiting = asyncio.create_task(queue.wait_for_response(since=0, before=float("inf")))
    await asyncio.sleep(0)
    queue.notify()
    await waiting

    when = loop.time() + 0.01
    await queue.wait_for_response(since=1, before=when)
    assert loop.time() >= when


@pytest.mark.parametrize("is_probe", [False, True])
async def test_a_call_behind_another_frees_its_slot_and_a_probe_stands_beside_the_head(*, is_probe: bool) -> None:
    queue, slots = FairQueue(), asyncio.Semaphore(1)
    slot = Slot(slots)
    await slot.reserve()

    async def wait() -> None:
        slot.bind()
        async with queue.at_head(is_probe=is_probe):
            pass

    async with queue.at_head(is_probe=False):
        other = asyncio.create_task(wait())
        for _ in range(3):
            await asyncio.sleep(0)
        assert (other.done(), slot.is_taken) == (is_probe, is_probe)
    await other
    assert queue.length == 0
