"""Watching numbers change: look again and again, say what is different, and leave the budget to others.

`compare`, `calls_percent`, `least_pause` and `next_interval` decide and know no clock. `Watch` and `wait_until` are the
shell around them: they look by a callable that the client gives them, and wait between two looks. Nothing goes on
in the background: each step does its own waiting, so leaving a loop leaves nothing behind.

The pause after a look, in seconds, for an `interval` of a minute:

    something has changed       interval / 4                                              15
    nothing has                 half as long again as the last one, to 4 · interval       22, 34, 51 … 240
    the look has failed         twice the last one, from interval to 4 · interval         60, 120, 240

and never less than the API asked for, nor than `least_pause` where much of the hour's budget is used.
"""

from __future__ import annotations

import asyncio
import inspect
import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeVar

import attrs

from wa_phone_async.checks import MAX_PAGE_SIZE, check_seconds
from wa_phone_async.errors import (
    DecodeError,
    InvalidArgumentError,
    PaginationError,
    RateLimitError,
    ServerError,
    TransportError,
    WaitError,
    WaitTimeoutError,
    WaPhoneError,
)
from wa_phone_async.models import PhoneNumber
from wa_phone_async.readiness import STATE_FIELDS, describe, is_ready, read_readiness
from wa_phone_async.usage import Usage

T = TypeVar("T")

Predicate = Callable[[PhoneNumber], bool]
"""Says whether a number is as it is waited for."""

Outcome = Literal["changed", "quiet", "failed"]
"""What came of a look."""

_PASSING: Final = (RateLimitError, TransportError, ServerError, DecodeError, PaginationError)
"""What may be gone by the next look. Any other error says that the caller has something to mend."""

_SLOWER: Final = 1.5
_HOUR_SECONDS: Final = 3600.0
_LEAST_QUOTA: Final = 200
_FREE_PERCENT: Final = 25.0
_SECONDS_PER_CALL: Final = 36.0


@attrs.frozen(kw_only=True)
class Change:
    """Something about a number that was different from one look to the next."""

    waba_id: str
    """The account that was looked at."""
    number: PhoneNumber
    """The whole number as it is now; as it was last, where it is gone."""
    field: str
    """What changed: a field of `PhoneNumber` or a member of its `extra`. `id` says that the number came or went."""
    old: Any
    """What it was before; `None` where the API did not say, and for a number that came."""
    new: Any
    """What it is now; `None` where the API no longer says, and for a number that is gone."""
    seen_at: datetime
    """When the list was whole in which it was seen, in UTC."""

    @property
    def phone_number_id(self) -> str:
        """Meta's id of the number."""
        return self.number.id

    @property
    def display_phone_number(self) -> str | None:
        """The number as Meta shows it."""
        return self.number.display_phone_number


def compare(
    waba_id: str, before: Mapping[str, PhoneNumber], now: Mapping[str, PhoneNumber], seen_at: datetime
) -> list[Change]:
    """What is different between two whole lists, by id: first the numbers that are gone, then the list in its order."""

    def change(number: PhoneNumber, field: str, old: Any, new: Any) -> Change:
        return Change(waba_id=waba_id, number=number, field=field, old=old, new=new, seen_at=seen_at)

    changes = [change(number, "id", key, None) for key, number in before.items() if key not in now]
    for key, number in now.items():
        if key not in before:
            changes.append(change(number, "id", None, key))
        elif number != before[key]:
            old, new = members(before[key]), members(number)
            names = (name for name in {**new, **old} if old.get(name) != new.get(name))
            changes.extend(change(number, name, old.get(name), new.get(name)) for name in names)
    return changes


def members(number: PhoneNumber) -> dict[str, Any]:
    """All that is known of a number, by name: its fields and what is in `extra`, without what is `None`."""
    fields = {name: getattr(number, name) for name in _FIELDS}
    # A field that could not be read is `None`, and what came in its place is in `extra` under the same name.
    return {name: value for source in (number.extra, fields) for name, value in source.items() if value is not None}


_FIELDS: Final = tuple(field.name for field in attrs.fields(PhoneNumber) if field.name != "extra")


def calls_percent(usage: Usage | None, calls: int) -> float:
    """How much of the hour's budget is used: by the last reading, else by our own calls of a least quota of 200.

    Args:
        usage: The last reading of the account's budget and the app's, if there is one.
        calls: How many calls this watch made within the last hour.
    """
    readings = () if usage is None else (usage.waba, usage.app)
    percents = [reading.percent for reading in readings if reading is not None]
    return max(percents, default=100.0 * calls / _LEAST_QUOTA)


def least_pause(percent: float, calls: int = 1) -> float:
    """The least seconds until the next look, so that others have the rest of the budget.

    None until a quarter of it is used; then 36 s for each call of a look, and up to 6 minutes where all is used. So a
    watch alone never takes much more than half of the least quota, 200 calls an hour.

    Args:
        percent: How much of the hour's budget is used.
        calls: Calls that a look takes: the pages of the list.
    """
    if percent <= _FREE_PERCENT:
        return 0.0
    fullness = (min(percent, 100.0) - _FREE_PERCENT) / (100.0 - _FREE_PERCENT)
    return calls * _SECONDS_PER_CALL * 10**fullness


def next_interval(
    interval: float, last: float | None, outcome: Outcome, *, least: float = 0.0, left: float = math.inf
) -> float:
    """The seconds until the next look: from a quarter of `interval` to four times it, or `least` where that is more.

    Args:
        interval: The seconds between two looks that the caller asked for.
        last: The seconds before the look that was just taken; `None` for the first one.
        outcome: What came of that look.
        least: The seconds that must pass, for the budget's sake or since the API said so.
        left: The seconds until nobody waits any more. Where the next look would be too late, one is taken a quarter
            of `interval` before the end, if it is not too soon.
    """
    if outcome == "changed":
        wanted = interval / 4
    elif outcome == "failed":
        wanted = max(interval, 2 * (last or 0.0))
    else:
        wanted = interval if last is None else _SLOWER * last
    pause = max(least, min(4 * interval, wanted))
    last_look = left - interval / 4
    return last_look if pause > last_look >= max(least, interval / 4) else pause


class _Looks:
    """When to look, and what becomes of a look: the waiting that all watching has in common."""

    def __init__(self, interval: float, total_timeout: float | None, usage: Callable[[], Usage | None]) -> None:
        check_seconds("interval", interval)
        if total_timeout is not None:
            check_seconds("total_timeout", total_timeout)
        self.error: WaPhoneError | None = None
        self._interval = interval
        self._total_timeout = math.inf if total_timeout is None else total_timeout
        self._usage = usage
        self._last: float | None = None
        self._due: float | None = None  # on the loop's clock, and so is what follows
        self._until = math.inf
        self._made: deque[tuple[float, int]] = deque()  # when looks were taken in the last hour, and by how many calls

    async def wait(self) -> bool:
        """Wait until it is time to look; `False` where there is no time left for that."""
        loop = asyncio.get_running_loop()
        if self._due is None:
            self._due = loop.time()
            self._until = self._due + self._total_timeout
        await asyncio.sleep(min(self._due, self._until) - loop.time())
        return max(self._due, loop.time()) < self._until

    async def look(self, look: Callable[[], Awaitable[T]]) -> T | None:
        """Look once; `None` where the look has failed in a way that passes, or was not done in time."""
        limit = asyncio.timeout_at(None if self._until == math.inf else self._until)
        try:
            async with limit:
                value = await look()
        except WaPhoneError as error:
            self.plan("failed", calls=error.attempts, least=error.retry_after or 0.0)
            if not isinstance(error, _PASSING):
                raise
            self.error = error.with_traceback(None)  # its frames would be kept as long as the error
        except TimeoutError:
            if not limit.expired():
                raise
        else:
            self.error = None
            return value
        return None

    def plan(self, outcome: Outcome, *, calls: int = 1, least: float = 0.0) -> None:
        """Plan the next look after one that is done."""
        now = asyncio.get_running_loop().time()
        self._made.append((now, calls))
        while self._made[0][0] <= now - _HOUR_SECONDS:
            self._made.popleft()
        percent = calls_percent(self._usage(), sum(made for _, made in self._made))
        least = max(least, least_pause(percent, calls))
        self._last = next_interval(self._interval, self._last, outcome, least=least, left=self._until - now)
        self._due = now + self._last

    @property
    def seconds_left(self) -> float | None:
        """The seconds until the next look, or `None` before the first one."""
        return None if self._due is None else max(0.0, self._due - asyncio.get_running_loop().time())


class Watch(AsyncIterator[Change]):
    """What changes about the numbers of an account, as it is seen: `async for change in client.watch(waba_id)`.

    The whole list is read at each look, and only whole lists are compared. The first one is what later ones are
    compared with, unless `known` was given. A look that is refused as throttled, or has no answer or none that can be
    read, changes nothing: it goes on with the next one, and `error` says why. Any other error is raised, and the same
    watch can go on after it, from the last whole list. Nothing goes on while nobody waits for the next change.

    Raises:
        AuthenticationError, PermissionDeniedError, NotFoundError, BadRequestError: While iterating, the account may
            not be read.
        RuntimeError: Two consumers wait for the next change at once.
    """

    def __init__(
        self,
        waba_id: str,
        look: Callable[[], Awaitable[Sequence[PhoneNumber]]],
        *,
        interval: float,
        total_timeout: float | None,
        known: Iterable[PhoneNumber] | None,
        usage: Callable[[], Usage | None],
    ) -> None:
        self.waba_id: str = waba_id
        """The account that is watched."""
        self.seen_at: datetime | None = None
        """When the last whole list was read, in UTC; `None` before the first one."""
        self._look = look
        self._looks = _Looks(interval, total_timeout, usage)
        self._known = None if known is None else _by_id(_check_numbers(known))
        self._before: dict[str, PhoneNumber] | None = None  # the list that unread changes lead away from
        self._unread: deque[Change] = deque()
        self._is_looking = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.waba_id}: iterate over it with 'async for'>"

    @property
    def known(self) -> tuple[PhoneNumber, ...] | None:
        """The last whole list whose changes were all taken, or what was given as `known`; `None` before there is one.

        A later watch that begins with it misses nothing. What was taken of a look's changes, but not all, comes again.
        """
        known = self._before if self._unread else self._known
        return None if known is None else tuple(known.values())

    @property
    def error(self) -> WaPhoneError | None:
        """Why the last look failed, or `None` where it did not."""
        return self._looks.error

    @property
    def seconds_left(self) -> float | None:
        """The seconds until the next look, or `None` before the first step."""
        return self._looks.seconds_left

    async def __anext__(self) -> Change:
        """The next change."""
        if self._is_looking:
            raise RuntimeError("two consumers wait for the next change of this watch at once: give each one its own")
        self._is_looking = True
        try:
            while not self._unread:
                if not await self._looks.wait():
                    raise StopAsyncIteration
                await self._take_look()
        finally:
            self._is_looking = False
        return self._unread.popleft()

    async def _take_look(self) -> None:
        numbers = await self._looks.look(self._look)
        if numbers is None:
            return
        self._before, self._known, self.seen_at = self._known, _by_id(numbers), datetime.now(UTC)
        changes = [] if self._before is None else compare(self.waba_id, self._before, self._known, self.seen_at)
        self._unread.extend(changes)
        self._looks.plan("changed" if changes else "quiet", calls=math.ceil(len(numbers) / MAX_PAGE_SIZE) or 1)


def _by_id(numbers: Iterable[PhoneNumber]) -> dict[str, PhoneNumber]:
    return {number.id: number for number in numbers}


def _check_numbers(known: Iterable[object]) -> list[PhoneNumber]:
    wrong: object = known
    if isinstance(known, Iterable):
        given = list(known)
        numbers = [number for number in given if isinstance(number, PhoneNumber)]
        if len(numbers) == len(given):
            return numbers
        wrong = next(number for number in given if not isinstance(number, PhoneNumber))
    raise InvalidArgumentError("known", "phone numbers of an earlier list", type(wrong))


async def wait_until(
    phone_number_id: str,
    predicate: Predicate,
    look: Callable[[], Awaitable[PhoneNumber]],
    *,
    interval: float,
    total_timeout: float | None,
    unless: Predicate | None,
    usage: Callable[[], Usage | None],
) -> PhoneNumber:
    """Look at a number until it is as it is wanted: see `PhoneNumberClient.wait_until`.

    Args:
        phone_number_id: The number.
        predicate: Says whether it is as it is wanted.
        look: Reads it.
        interval: Seconds between two looks.
        total_timeout: Seconds for it all; `None` sets no bound.
        unless: Says whether it never will be. `None` with `is_ready` means the states that are final.
        usage: Gives the last reading of the budgets.
    """
    _check_predicate("predicate", predicate)
    if unless is not None:
        _check_predicate("unless", unless)
    looks, last = _Looks(interval, total_timeout, usage), None
    while await looks.wait():
        number = await looks.look(look)
        if number is None:
            continue
        if predicate(number):
            return number
        if why := _why_never(number, predicate, unless):
            text = f"{phone_number_id} was waited for in vain: {why}"
            raise WaitError(text, phone_number_id=phone_number_id, last_seen=number)
        looks.plan("quiet" if last is None or last == number else "changed")
        last = number
    raise _out_of_time(phone_number_id, predicate, total_timeout, last) from looks.error


def _check_predicate(name: str, predicate: object) -> None:
    if not callable(predicate) or inspect.iscoroutinefunction(predicate):
        raise InvalidArgumentError(name, "a plain function of a PhoneNumber, such as is_ready")


def _why_never(number: PhoneNumber, predicate: Predicate, unless: Predicate | None) -> str:
    """Why it never will be as it is wanted; empty where it may."""
    if unless is not None:
        return f"unless= is true; {describe(number, *STATE_FIELDS)}" if unless(number) else ""
    readiness = read_readiness(number)
    return "; ".join(readiness.reasons) if predicate is is_ready and readiness.is_final else ""


def _out_of_time(
    phone_number_id: str, predicate: Predicate, total_timeout: float | None, last: PhoneNumber | None
) -> WaitTimeoutError:
    if last is None:
        state = "it could not be read"
    elif predicate is is_ready:
        state = "; ".join(read_readiness(last).reasons)
    else:
        state = f"last seen with {describe(last, *STATE_FIELDS)}"
    text = f"{phone_number_id} was not as it was waited for within {total_timeout:g} s: {state}"
    return WaitTimeoutError(text, phone_number_id=phone_number_id, last_seen=last)
