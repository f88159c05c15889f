"""Turns: seats are shared, given back while somebody waits, and had in the order of asking."""

import asyncio

import pytest

from wa_phone_async.concurrency import Turn, current_turn, step_aside


async def test_seats_are_had_in_the_order_of_asking() -> None:
    seats, order = asyncio.Semaphore(1), list[str]()

    async def worker(name: str) -> None:
        turn = Turn(seats)
        turn.begin()
        for _ in range(2):
            await turn.acquire()
            order.append(name)
            await asyncio.sleep(0)
            turn.release()

    await asyncio.gather(worker("a"), worker("b"), worker("c"))
    assert "".join(order) == "abcabc"


async def test_a_seat_that_is_held_is_not_waited_for_and_is_given_back_once() -> None:
    turn = Turn(asyncio.Semaphore(1))
    await turn.take_seat()
    assert (turn.is_seated, turn.calls) == (True, 0)
    await turn.acquire()
    assert (turn.is_seated, turn.calls) == (True, 1)
    turn.release()
    turn.release()
    assert not turn.is_seated
    await asyncio.wait_for(turn.acquire(), 1)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(Turn(turn._seats).take_seat(), 0.01)


async def test_whoever_has_to_wait_steps_aside() -> None:
    seats = asyncio.Semaphore(1)
    step_aside()  # nothing happens where there is no turn
    assert current_turn() is None

    async def waits() -> None:
        turn = Turn(seats)
        turn.begin()
        await turn.acquire()
        step_aside()
        assert current_turn() is turn
        await asyncio.Event().wait()

    waiting = asyncio.create_task(waits())
    await asyncio.wait_for(Turn(seats).acquire(), 1)
    waiting.cancel()
    assert current_turn() is None
