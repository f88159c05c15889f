"""Watch numbers change: poll them, report what is different, and leave most of the quota to others.

`compare`, `used_percent`, `min_delay` and `next_delay` decide, without a clock. `Watch` and `wait_until` are the shell
around them: they call a function of the client to read, and wait between two polls. Nothing runs in the background.
Each step does its own waiting, so you can leave a loop at any time. `watch_many` watches many accounts at once.

The delay after a poll, in seconds, for an `interval` of 60:

    something changed    interval / 4                                           15
    nothing changed      1.5 times the last delay, at most 4 * interval         22, 34, 51 … 240
    the poll failed      twice the last delay, from interval to 4 * interval    60, 120, 240

It is never shorter than the API demands, nor than `min_delay` if much of the quota is used.
"""

from __future__ import annotations

import asyncio
import inspect
import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, NoReturn, TypeVar

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
from wa_phone_async.health.findings import Finding
from wa_phone_async.models import ALL_FIELDS, PhoneNumber
from wa_phone_async.readiness import STATE_FIELDS, describe, is_ready, read_readiness
from wa_phone_async.redaction import hide_queries
from wa_phone_async.usage import Usage

T = TypeVar("T")

Predicate = Callable[[PhoneNumber], bool]
"""A function that says whether a number is in the state that you wait for."""

PollResult = Literal["changed", "quiet", "failed"]
"""What a poll showed: a change, no change, or an error."""

_TRANSIENT: Final = (RateLimitError, TransportError, ServerError, DecodeError, PaginationError)
"""Errors that may be gone at the next poll. After any other error, the caller has something to fix."""

_SLOWER: Final = 1.5
_HOUR_SECONDS: Final = 3600.0
_SMALLEST_QUOTA: Final = 200
"""Calls an hour. It is the safe assumption while the API has sent no usage."""
_FREE_PERCENT: Final = 25.0
_SECONDS_PER_CALL: Final = 36.0
"""The delay for one call when the free quarter is used: 100 calls an hour, which is half of the smallest quota."""


def _shown(value: Any) -> str:
    return repr(hide_queries(value))


@attrs.frozen(kw_only=True)
class Change:
    """One difference of a number between two polls, or between two lists that `diff_listings` compares."""

    waba_id: str
    """The account of the number. Empty if the files that were compared do not name it."""
    number: PhoneNumber
    """The whole number as it is now. If it is gone, the number as it was last."""
    field: str
    """What changed: a field of `PhoneNumber` or a member of its `extra`. `id`: the number came or went.

    Two more come from `diff_listings` only. `waba_id`: it moved to another account. `also_in`: its other accounts
    changed.
    """
    old: Any = attrs.field(repr=_shown)
    """The value before. `None` if the API did not send one, or if the number is new."""
    new: Any = attrs.field(repr=_shown)
    """The value now. `None` if the API no longer sends one, or if the number is gone."""
    seen_at: datetime
    """When the list that showed the change was complete, in UTC. For a file: when it was written."""
    findings: tuple[Finding, ...] = ()
    """What the change causes: findings that the number did not have before. Only `diff_listings` says this."""

    @property
    def phone_number_id(self) -> str:
        """Meta's id of the number."""
        return self.number.id

    @property
    def display_phone_number(self) -> str | None:
        """The number as Meta shows it. `None` if the API did not send it."""
        return self.number.display_phone_number


def compare(
    waba_id: str, before: Mapping[str, PhoneNumber], now: Mapping[str, PhoneNumber], seen_at: datetime
) -> list[Change]:
    """Compare two complete lists, by id. The numbers that are gone come first, then the others in the list's order."""

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
    """Return all that the API sent about a number, by name: fields and the members of `extra`, without `None`."""
    fields = {name: getattr(number, name) for name in ALL_FIELDS}
    # If the value of a field is invalid, the field is `None`, and the value is in `extra` under the same name.
    return {name: value for source in (number.extra, fields) for name, value in source.items() if value is not None}


def used_percent(usage: Usage | None, calls: int) -> float:
    """Return how much of the hourly quota is used. Without usage from the API, assume the smallest quota, 200 calls.

    Args:
        usage: The last known usage of the account and the app, if there is any.
        calls: How many calls this watch made within the last hour.
    """
    metrics = () if usage is None else (usage.waba, usage.app)
    percents = [metric.percent for metric in metrics if metric is not None]
    return max(percents, default=100.0 * calls / _SMALLEST_QUOTA)


def min_delay(percent: float, calls: int = 1) -> float:
    """Return the least seconds before the next poll. They leave most of the quota to others.

    It is 0 until a quarter of the quota is used. Then it rises: from 36 s for each call of a poll to 360 s when all of
    the quota is used. So a watch alone takes little more than half of the smallest quota, 200 calls an hour.

    Args:
        percent: How much of the hourly quota is used.
        calls: The calls of one poll, which are the pages of the list.
    """
    if percent <= _FREE_PERCENT:
        return 0.0
    fullness = (min(percent, 100.0) - _FREE_PERCENT) / (100.0 - _FREE_PERCENT)
    return calls * _SECONDS_PER_CALL * 10**fullness


def next_delay(
    interval: float, last: float | None, result: PollResult, *, at_least: float = 0.0, left: float = math.inf
) -> float:
    """Return the seconds before the next poll: from a quarter of `interval` to four times it, or `at_least` if longer.

    Args:
        interval: The seconds between two polls, as the caller set them.
        last: The delay before this poll. `None` for the first poll.
        result: What this poll showed.
        at_least: The seconds that must pass, to save quota or because the API said so.
        left: The seconds until the caller stops waiting. If the next poll would come too late, a last poll comes a
            quarter of `interval` before the end, unless that is too soon.
    """
    if result == "changed":
        wanted = interval / 4  # changes come in groups: a number is verified, then registered
    elif result == "failed":
        wanted = max(interval, 2 * (last or 0.0))  # after a change, `last` is short, and an API in trouble needs rest
    else:
        wanted = interval if last is None else _SLOWER * last
    delay = max(at_least, min(4 * interval, wanted))
    # Without a last poll, a change in the last minutes before the end would never be seen.
    last_poll = left - interval / 4
    return last_poll if delay > last_poll >= max(at_least, interval / 4) else delay


class Poller:
    """When to poll, and what to do after an error: what all watches and `wait_until` have in common."""

    def __init__(self, interval: float, total_timeout: float | None, usage: Callable[[], Usage | None]) -> None:
        check_seconds("interval", interval)
        if total_timeout is not None:
            check_seconds("total_timeout", total_timeout)
        self.error: WaPhoneError | None = None
        self._interval = interval
        self._total_timeout = math.inf if total_timeout is None else total_timeout
        self._usage = usage
        self._last_delay: float | None = None
        self._due: float | None = None  # when the next poll is due, on the loop's clock; so are all times below
        self._until = math.inf
        self._recent: deque[tuple[float, int]] = deque()  # each poll of the last hour: its time and its calls

    async def wait(self) -> bool:
        """Wait until the next poll is due. Returns `False` if the time is over before."""
        loop = asyncio.get_running_loop()
        if self._due is None:
            # The time runs from the first step: a watch may be made long before it is iterated.
            self._due = loop.time()
            self._until = self._due + self._total_timeout
        await asyncio.sleep(min(self._due, self._until) - loop.time())
        return max(self._due, loop.time()) < self._until

    def begin(self, due: float, until: float) -> None:
        """Set when the first poll is due and when the time is over, both on the clock of the loop."""
        self._due, self._until = due, until

    def postpone(self, due: float) -> float:
        """Let the next poll be due at this time or later. Returns when it is."""
        self._due = due if self._due is None else max(self._due, due)
        return self._due

    @property
    def calls_of_last_hour(self) -> int:
        """The calls of the polls of the last hour."""
        return sum(count for _, count in self._recent)

    async def poll(self, read: Callable[[], Awaitable[T]]) -> T | None:
        """Read once. Returns `None` after an error that may pass, or if the time is over before the read is."""
        limit = asyncio.timeout_at(None if self._until == math.inf else self._until)
        try:
            async with limit:
                value = await read()
        except WaPhoneError as error:
            # Before the error is raised: a caller may iterate on at once, and must not hammer the API then.
            self.schedule("failed", calls=error.attempts, at_least=error.retry_after or 0.0)
            if not isinstance(error, _TRANSIENT):
                raise
            self.error = error.with_traceback(None)  # its frames would live as long as the error
        except TimeoutError:
            if not limit.expired():  # it is not ours: a token provider may have raised it
                raise
        else:
            self.error = None
            return value
        return None

    def schedule(self, result: PollResult, *, calls: int = 1, at_least: float = 0.0) -> None:
        """Decide when the next poll is due, after one that is done."""
        now = asyncio.get_running_loop().time()
        self._recent.append((now, calls))
        while self._recent[0][0] <= now - _HOUR_SECONDS:
            self._recent.popleft()
        percent = used_percent(self._usage(), self.calls_of_last_hour)
        at_least = max(at_least, min_delay(percent, calls))
        self._last_delay = next_delay(
            self._interval, self._last_delay, result, at_least=at_least, left=self._until - now
        )
        self._due = now + self._last_delay

    @property
    def seconds_left(self) -> float | None:
        """The seconds until the next poll, or `None` before the first one."""
        return None if self._due is None else max(0.0, self._due - asyncio.get_running_loop().time())


class WatchedWaba:
    """One account that is watched: its last list, and what its polls showed."""

    def __init__(
        self,
        waba_id: str,
        read_list: Callable[[], Awaitable[Sequence[PhoneNumber]]],
        poller: Poller,
        known: Iterable[PhoneNumber] | None = None,
    ) -> None:
        self.waba_id: str = waba_id
        """The account's id."""
        self.seen_at: datetime | None = None
        """When the last complete list was read, in UTC. `None` before the first one."""
        self.rejection: WaPhoneError | None = None
        """Why the account is no longer polled. `None` while it is."""
        self.calls: int = 1
        """The calls of the last poll. 1 before the first one."""
        self._read_list = read_list
        self._poller = poller
        self._known = None if known is None else _by_id(_check_numbers(known))
        # The list before the unread changes. If the caller stops between two of them, a later watch must report both.
        self._before: dict[str, PhoneNumber] | None = None
        self._unread: deque[Change] = deque()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {vars(self).get('waba_id')}>"  # missing if a traceback shows it half made

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a watched account holds a client with its token and cannot be pickled or copied: use its known"
        )

    @property
    def known(self) -> tuple[PhoneNumber, ...] | None:
        """The last complete list whose changes you have all read, or the `known` that you passed; `None` before that.

        Pass it to a later watch, which then misses no change. If you stopped between the changes of one poll, you get
        them all again.
        """
        known = self._before if self._unread else self._known
        return None if known is None else tuple(known.values())

    @property
    def error(self) -> WaPhoneError | None:
        """Why the last poll failed, or `None` if it succeeded."""
        return self._poller.error

    @property
    def seconds_left(self) -> float | None:
        """The seconds until the next poll, or `None` before the first step."""
        return self._poller.seconds_left

    @property
    def unread(self) -> int:
        """How many changes of the last poll you have not read."""
        return len(self._unread)

    def take(self) -> Change:
        """Return the next unread change. The watch calls it when you iterate."""
        return self._unread.popleft()

    async def poll(self) -> None:
        """Read the list, and keep the changes. The watch calls it when a poll is due and every change was read."""
        numbers = await self._poller.poll(self._read_list)
        if numbers is None:
            return
        self._before, self._known, self.seen_at = self._known, _by_id(numbers), datetime.now(UTC)
        changes = [] if self._before is None else compare(self.waba_id, self._before, self._known, self.seen_at)
        self._unread.extend(changes)
        # An empty list costs a call too.
        self.calls = math.ceil(len(numbers) / MAX_PAGE_SIZE) or 1
        self._poller.schedule("changed" if changes else "quiet", calls=self.calls)


class Watch(AsyncIterator[Change]):
    """The changes of an account's numbers, as polls show them: `async for change in client.watch(waba_id)`.

    Each poll reads the whole list, and only complete lists are compared. The first list is the base, unless you pass
    `known`. A poll that is throttled, gets no response or gets an invalid one changes nothing: the next poll follows,
    and `error` says why. Any other error is raised. You can then iterate further, from the last complete list. It polls
    only while you wait for the next change.

    Raises:
        AuthenticationError, PermissionDeniedError, NotFoundError, BadRequestError: While iterating, the API does not
            let you read the account.
        RuntimeError: Two consumers wait for the next change at once.
    """

    def __init__(
        self,
        waba_id: str,
        read_list: Callable[[], Awaitable[Sequence[PhoneNumber]]],
        *,
        interval: float,
        total_timeout: float | None,
        known: Iterable[PhoneNumber] | None,
        usage: Callable[[], Usage | None],
    ) -> None:
        self.waba_id: str = waba_id
        """The account that is watched."""
        self._poller = Poller(interval, total_timeout, usage)
        self._account = WatchedWaba(waba_id, read_list, self._poller, known)
        self._is_waiting = False  # whether a consumer waits for the next change

    def __repr__(self) -> str:
        waba_id = vars(self).get("waba_id")  # missing if a traceback shows the watch while it is made
        return f"<{type(self).__name__} of {waba_id}: iterate over it with 'async for'>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a watch holds a client with its token and cannot be pickled or copied: pass known= to another")

    @property
    def known(self) -> tuple[PhoneNumber, ...] | None:
        """The last complete list whose changes you have all read, or the `known` that you passed; `None` before that.

        Pass it to a later watch, which then misses no change. If you stopped between the changes of one poll, you get
        them all again.
        """
        return self._account.known

    @property
    def seen_at(self) -> datetime | None:
        """When the last complete list was read, in UTC. `None` before the first one."""
        return self._account.seen_at

    @property
    def error(self) -> WaPhoneError | None:
        """Why the last poll failed, or `None` if it succeeded."""
        return self._account.error

    @property
    def seconds_left(self) -> float | None:
        """The seconds until the next poll, or `None` before the first step."""
        return self._account.seconds_left

    async def __anext__(self) -> Change:
        """Return the next change."""
        if self._is_waiting:
            raise RuntimeError(
                "two consumers wait for the next change of this watch at once: give each one a watch of its own"
            )
        self._is_waiting = True
        try:
            while not self._account.unread:
                if not await self._poller.wait():
                    raise StopAsyncIteration
                await self._account.poll()
        finally:
            self._is_waiting = False
        return self._account.take()


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


@attrs.frozen
class Goal:
    """A state of a number that somebody waits for."""

    is_reached: Predicate
    """Whether a number is in that state."""
    why_never: Callable[[PhoneNumber], str]
    """Says why a number can never get there; empty if it may."""
    describe: Callable[[PhoneNumber], str]
    """Says in which state a number is, for the error after the time-out."""


async def wait_until(
    phone_number_id: str,
    predicate: Predicate,
    read: Callable[[], Awaitable[PhoneNumber]],
    *,
    interval: float,
    total_timeout: float | None,
    unless: Predicate | None,
    usage: Callable[[], Usage | None],
) -> PhoneNumber:
    """Poll a number until it is in the state that the caller waits for: see `PhoneNumberClient.wait_until`.

    Args:
        phone_number_id: Meta's id of the number.
        predicate: Says whether the number is in that state.
        read: Reads the number.
        interval: Seconds between two polls.
        total_timeout: Seconds for the whole wait; `None` for no limit.
        unless: Says whether the number can never get there. `None` with `is_ready`: the states that are final.
        usage: Returns the last known usage.
    """
    _check_predicate("predicate", predicate)
    if unless is not None:
        _check_predicate("unless", unless)

    def why_never(number: PhoneNumber) -> str:
        if unless is not None:
            return f"unless= returned true; {describe(number, *STATE_FIELDS)}" if unless(number) else ""
        # Only for `is_ready` do we know what is final: another predicate may wait for exactly such a state.
        readiness = read_readiness(number)
        return "; ".join(readiness.reasons) if predicate is is_ready and readiness.is_final else ""

    def state_of(number: PhoneNumber) -> str:
        if predicate is is_ready:
            return "; ".join(read_readiness(number).reasons)
        return f"last seen with {describe(number, *STATE_FIELDS)}"

    goal = Goal(predicate, why_never, state_of)
    return await wait_for(phone_number_id, goal, read, interval=interval, total_timeout=total_timeout, usage=usage)


async def wait_for(
    phone_number_id: str,
    goal: Goal,
    read: Callable[[], Awaitable[PhoneNumber]],
    *,
    interval: float,
    total_timeout: float | None,
    usage: Callable[[], Usage | None],
) -> PhoneNumber:
    """Poll a number until it has reached a goal.

    Args:
        phone_number_id: Meta's id of the number.
        goal: The state to wait for.
        read: Reads the number.
        interval: Seconds between two polls.
        total_timeout: Seconds for the whole wait; `None` for no limit.
        usage: Returns the last known usage.

    Raises:
        WaitError: The number cannot reach it by waiting.
        WaitTimeoutError: It was not reached in time.
    """
    poller, last = Poller(interval, total_timeout, usage), None
    while await poller.wait():
        number = await poller.poll(read)
        if number is None:
            continue
        if goal.is_reached(number):
            return number
        if why := goal.why_never(number):
            text = f"{phone_number_id} cannot reach the state that you wait for: {why}"
            raise WaitError(text, phone_number_id=phone_number_id, last_seen=number)
        poller.schedule("quiet" if last is None or last == number else "changed")
        last = number
    state = "no poll could read it" if last is None else goal.describe(last)
    text = f"{phone_number_id} did not reach the state that you wait for within {total_timeout:g} s: {state}"
    raise WaitTimeoutError(text, phone_number_id=phone_number_id, last_seen=last) from poller.error


def _check_predicate(name: str, predicate: object) -> None:
    if not callable(predicate) or inspect.iscoroutinefunction(predicate):
        raise InvalidArgumentError(name, "a plain function of a PhoneNumber, such as is_ready")
