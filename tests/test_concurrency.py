"""Slots: workers share them, free them while they wait, and get them in the order of arrival."""

import asyncio

import pytest

from wa_phone_async.concurrency import Slot, current_slot, release_slot


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
