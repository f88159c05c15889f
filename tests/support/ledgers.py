"""A plain model of the ledger of registrations, and the steps in which ledgers are compared with it."""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from wa_phone_async.ratelimit.registrations import Reservation, StoredLedger

WINDOW = 72 * 3600.0

numbers = st.sampled_from(["1234", "5678"])
clients = st.integers(0, 1)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), clients, numbers),
        st.tuples(st.just("reserve"), clients, st.just("1234")),
        st.tuples(st.just("release"), clients, st.integers(0, 20)),
        st.tuples(st.just("block"), clients, numbers, st.sampled_from([60.0, WINDOW])),
        st.tuples(st.just("forget"), clients, numbers),
        st.tuples(st.just("pass"), st.sampled_from([1.0, 3600.0, WINDOW / 2, WINDOW])),
    ),
    max_size=40,
)


class Model:
    """What was reserved, as plain lists. It knows no clock that is set back."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.requests = dict[str, list[float]]()
        self.blocks = dict[str, float]()

    def wait(self, number: str) -> float:
        """Seconds until the next request is possible."""
        running = sorted(at for at in self.requests.get(number, []) if at + WINDOW > self.now)
        free_at = running[-10] + WINDOW if len(running) >= 10 else self.now
        return max(free_at, self.blocks.get(number, 0.0), self.now) - self.now

    def used(self, number: str) -> int:
        """How many requests are used."""
        if self.blocks.get(number, 0.0) > self.now:
            return 10
        return sum(at + WINDOW > self.now for at in self.requests.get(number, []))


async def play(steps: Sequence[Any], ledgers: Sequence[StoredLedger], model: Model) -> None:
    """Take each step in one of the ledgers and in the model, and compare what they say."""
    reservations = list[tuple[Reservation, float]]()
    for step in steps:
        match step:
            case ("reserve", client, number):
                wait = model.wait(number)
                reserved = await ledgers[client].reserve(number)
                if wait:
                    assert reserved == wait
                else:
                    assert isinstance(reserved, Reservation)
                    reservations.append((reserved, model.now))
                    model.requests.setdefault(number, []).append(model.now)
            case ("release", client, place) if place < len(reservations):
                reservation, at = reservations.pop(place)
                await ledgers[client].release(reservation)
                if at in model.requests.get(reservation.phone_number_id, []):
                    model.requests[reservation.phone_number_id].remove(at)
            case ("block", client, number, seconds):
                await ledgers[client].block(number, seconds)
                model.blocks[number] = max(model.blocks.get(number, 0.0), model.now + seconds)
            case ("forget", client, number):
                await ledgers[client].forget(number)
                model.requests.pop(number, None)
                model.blocks.pop(number, None)
                reservations = [each for each in reservations if each[0].phone_number_id != number]
            case ("pass", seconds):
                model.now += seconds
            case _:
                pass  # there is nothing to release
        for number in ("1234", "5678"):
            usages = [await ledger.usage(number) for ledger in ledgers]
            assert [(usage.used, usage.wait) for usage in usages] == [(model.used(number), model.wait(number))] * 2
