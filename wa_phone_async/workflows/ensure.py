"""Ensure that an account has a phone number, exactly once, although responses may be lost.

    check         list the account and compare digits: a number that is there is `found`. With `cc`, digits may
                  include the country code or not: both readings count
    create        send the create once: with its response, the number is `created`
    recheck       after a lost response, check at once and after each of a few delays: now the number is `recovered`
    create again  if the number is still missing, send the create once more
    recheck       as before, also if the API rejects the second create because the number exists

A second create is safe for one reason: the API rejects a number that the account already has (published error tables,
read 2026-11-22). The rechecks make a second create rare. They cannot make it safe, because the first create may take
effect after the last recheck.

Concurrent calls for one number share one task (single-flight). The task ends when the last caller leaves.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Literal, TypeVar

import attrs

from wa_phone_async.call.transport import out_of_time
from wa_phone_async.call.writes import Write
from wa_phone_async.concurrency import LoopLocal, SingleFlight
from wa_phone_async.errors import (
    CLOSED,
    AmbiguousNumberError,
    ConflictError,
    InvalidArgumentError,
    OutcomeUnknownError,
    RequestTimeoutError,
    WaPhoneError,
)
from wa_phone_async.models import CreatedPhoneNumber, PhoneNumber
from wa_phone_async.phone_digits import alike, missing_code, shortest_form

T = TypeVar("T")

EnsureOutcome = Literal["created", "found", "recovered"]

RECHECK_DELAYS: Final = (1.0, 2.0, 4.0)

_GRACE_SECONDS: Final = 0.1
"""How long a caller waits beyond its deadline. A request that times out then still raises an error of its own, which
says whether the request was sent."""


@attrs.frozen
class EnsuredPhoneNumber:
    """A number that the account has, and how the account got it."""

    phone_number: PhoneNumber
    """The number as it is listed. It has only an `id` if it was created and the list did not show it in time."""
    outcome: EnsureOutcome
    """`"created"`: this call created it. `"found"`: it existed, or another caller created it meanwhile. `"recovered"`:
    the response to a create of this call was lost, and a recheck found the number."""


@attrs.frozen(kw_only=True)
class EnsurePlan:
    """The number that the account must have, and how to list and create numbers there."""

    waba_id: str
    phone_number: str
    """The number, as it was passed."""
    readings: tuple[str, ...]
    """All digits of each number that it may be, country code first: one, or two if it may lack its country code."""
    has_code: bool = True
    """Whether each reading is known to include the country code."""
    write: Write
    """The create that `create` sends."""
    list_numbers: Callable[[float | None], Awaitable[list[PhoneNumber]]]
    """Lists the account. It takes the seconds that it may last; `None` for no limit."""
    create: Callable[[float | None], Awaitable[CreatedPhoneNumber]]
    """Creates the number, within as many seconds."""
    recheck_delays: tuple[float, ...] = RECHECK_DELAYS
    """Seconds before each recheck but the first, which is at once."""

    @property
    def forms(self) -> frozenset[str]:
        """The readings without the digits that the API may leave out."""
        return frozenset(map(shortest_form, self.readings))

    @property
    def keys(self) -> list[tuple[str, str]]:
        """What the work is stored under: the account with each of the forms.

        The work on a number with two readings is under two keys, so no other call can create one of them meanwhile.
        """
        return [(self.waba_id, form) for form in self.forms]


def read_recheck_delays(recheck_delays: Iterable[float]) -> tuple[float, ...]:
    """Check the delays, and return them as a tuple of seconds."""
    waits = tuple(recheck_delays) if isinstance(recheck_delays, Iterable) else (math.nan,)
    for wait in waits:
        if isinstance(wait, bool) or not isinstance(wait, int | float) or not 0 <= wait < math.inf:
            raise InvalidArgumentError("recheck_delays", "seconds to wait, such as (1, 2, 4)", recheck_delays)
    return waits


class Ensurer:
    """Ensures numbers for one client. Concurrent calls for one number share one task (single-flight)."""

    def __init__(self) -> None:
        # A client may be used by one loop after another, and a task belongs to its loop.
        self._works = LoopLocal(dict[tuple[str, str], _SharedEnsure])

    async def ensure(self, plan: EnsurePlan, *, total_timeout: float | None) -> EnsuredPhoneNumber:
        """Join the work on a number, or start it, and wait for the result.

        Args:
            plan: What to ensure. Among calls that share the work, the plan of the first one is used.
            total_timeout: Seconds that this call may take; `None` for no limit.
        """
        loop, works = asyncio.get_running_loop(), self._works.get()
        deadline = math.inf if total_timeout is None else loop.time() + total_timeout
        while True:
            shared = _join(works, plan, deadline)
            try:
                ensured = await shared.result(deadline)
            except WaPhoneError:
                # Another plan may fail for a reading that this one lacks. So only its own error counts.
                if shared.plan.forms == plan.forms or loop.time() >= deadline:
                    raise
            else:
                if shared.has_found(plan, ensured):
                    return shared.result_for_caller(ensured)
                if loop.time() >= deadline:
                    raise out_of_time()
            finally:
                _forget(works, shared)

    async def aclose(self) -> None:
        """Cancel all work of the running loop, and wait for its end. Callers get the result that is known by then."""
        if tasks := {task for shared in self._works.get().values() for task in shared.close()}:
            await asyncio.wait(tasks)


def _join(works: dict[tuple[str, str], _SharedEnsure], plan: EnsurePlan, deadline: float) -> _SharedEnsure:
    """Return the work on a number that the plan may mean, or start it."""
    # Both forms of a number must meet here, or each of them could be created.
    for key in plan.keys:
        if (shared := works.get(key)) and not shared.is_over:
            return shared
    shared = _SharedEnsure(plan, deadline)
    works |= dict.fromkeys(plan.keys, shared)
    return shared


def _forget(works: dict[tuple[str, str], _SharedEnsure], shared: _SharedEnsure) -> None:
    """Remove work that is over."""
    for key in shared.plan.keys if shared.is_over else ():
        # While its last caller waited, another one may have put new work under the key: that must stay.
        if works.get(key) is shared:
            del works[key]


class _SharedEnsure(SingleFlight[EnsuredPhoneNumber]):
    """The work on one number, and all callers that wait for it."""

    def __init__(self, plan: EnsurePlan, deadline: float) -> None:
        self.plan: EnsurePlan = plan
        self._loop = asyncio.get_running_loop()
        # The latest one of all callers, on the loop's clock. An eager task begins before the first caller waits.
        self._deadline = deadline
        self._is_closed = False
        self._lost = ""  # why the response to a create is missing; empty while no create is in doubt
        self._created: CreatedPhoneNumber | None = None
        self._has_reported = False  # whether a caller already got the true outcome
        super().__init__(self._run)

    async def result(self, deadline: float) -> EnsuredPhoneNumber:
        """Wait for the result until a time on the loop's clock. The last caller to leave cancels the task."""
        self._deadline = max(self._deadline, deadline)
        has_ended = await self.wait(deadline + _GRACE_SECONDS)
        has_no_result = not self.task.done() or self.task.cancelled()
        # If neither `close` nor a caller that left has cancelled the task, `result()` below raises the cancellation.
        if has_no_result and (self._is_closed or not has_ended):
            return self._result_so_far()
        return self.task.result()

    def close(self) -> set[asyncio.Task[EnsuredPhoneNumber]]:
        """Cancel the work because the client closes, and return the tasks to wait for."""
        self._is_closed = True
        return self.cancel()

    def _result_so_far(self) -> EnsuredPhoneNumber:
        """Return or raise what is known about the number before the task has a result."""
        if self._created is not None:
            return _with_id_only(self._created)
        if self._lost:
            raise self._unknown()
        if self._is_closed:
            raise RuntimeError(CLOSED)
        raise RequestTimeoutError("total_timeout ran out before the number could be created", sent=False)

    def has_found(self, plan: EnsurePlan, ensured: EnsuredPhoneNumber) -> bool:
        """Whether a result of this work is the number of a plan with a reading in common."""
        # A number that was created and is not listed yet has no digits to compare. Only one reading says which it is.
        is_certain = plan.forms == self.plan.forms or len(self.plan.readings) == 1
        return is_certain or bool(alike(plan.readings, [ensured.phone_number]))

    def result_for_caller(self, ensured: EnsuredPhoneNumber) -> EnsuredPhoneNumber:
        """Return the true outcome to the first caller only. For the others, the number is `found`."""
        if self._has_reported:
            return attrs.evolve(ensured, outcome="found")
        self._has_reported = True
        return ensured

    async def _run(self) -> EnsuredPhoneNumber:
        number = await self._check()
        if number is not None:
            return EnsuredPhoneNumber(number, "found")
        try:
            return await self._create()
        except (OutcomeUnknownError, ConflictError) as error:
            failure = error  # handled below: inside `except`, it could end up in its own chain of causes
        if isinstance(failure, OutcomeUnknownError):
            return await self._recover()
        self._lost = ""  # the API rejected the create, so it certainly did not happen
        return EnsuredPhoneNumber(await self._recheck_after(failure), "found")

    async def _recover(self) -> EnsuredPhoneNumber:
        """Settle a create whose response was lost. Any error on the way leaves its outcome unknown."""
        try:
            return await self._recheck_and_create_again()
        except AmbiguousNumberError:
            raise
        except Exception as error:  # also one of a token provider: whatever it is, the create may have happened
            raise self._unknown() from error

    async def _recheck_and_create_again(self) -> EnsuredPhoneNumber:
        number = await self._recheck()
        if number is None:
            try:
                return await self._create()
            except (OutcomeUnknownError, ConflictError) as error:
                failure = error
            number = await self._recheck_after(failure)
        return EnsuredPhoneNumber(number, "recovered")

    async def _create(self) -> EnsuredPhoneNumber:
        """Create the number, and return it as it is listed."""
        # Set before the call: if a caller leaves during it, the create may have happened.
        self._lost = self._lost or "no response in time"
        try:
            self._created = await self._call(self.plan.create)
        except OutcomeUnknownError as error:
            self._lost = error.reason
            raise
        try:
            number = await self._recheck()
        except Exception:  # noqa: BLE001 - the number is created, whatever happens to the list
            number = None
        return _with_id_only(self._created) if number is None else EnsuredPhoneNumber(number, "created")

    async def _recheck_after(self, error: WaPhoneError) -> PhoneNumber:
        """Find the number after a create that failed with this error. Raise the error if the number is missing."""
        try:
            number = await self._recheck()
        except AmbiguousNumberError:
            raise
        except Exception as failure:
            raise error from failure
        if number is None:
            raise error
        return number

    async def _recheck(self) -> PhoneNumber | None:
        """Check at once and after each delay. `None`: the last check succeeded, and the number is missing."""
        failure: WaPhoneError | None = None
        for seconds in (0.0, *self.plan.recheck_delays):
            if self._loop.time() + seconds >= self._deadline:
                raise out_of_time() from failure
            await asyncio.sleep(seconds)
            try:
                number, failure = await self._check(), None
            except WaPhoneError as error:
                if not error.retryable:
                    raise
                number, failure = None, error
            if number is not None:
                return number
        if failure is not None:
            raise failure  # `None` would allow a second create, but nobody knows if the number is missing
        return None

    async def _check(self) -> PhoneNumber | None:
        """List the account, and return the number: by its id if it was created here, or else by its digits."""
        numbers = await self._call(self.plan.list_numbers)
        if self._created is not None:
            return next((number for number in numbers if number.id == self._created.id), None)
        found = alike(self.plan.readings, numbers)
        if len(found) > 1:
            raise self._ambiguous(found)
        if not found and not self.plan.has_code:
            self._check_country_code(numbers)
        return found[0] if found else None

    async def _call(self, call: Callable[[float | None], Awaitable[T]]) -> T:
        """Make a call in the time that is left. Retry it if a caller with a later deadline has joined meanwhile."""
        while True:
            deadline = self._deadline
            left = None if deadline == math.inf else max(deadline - self._loop.time(), 0.001)  # 0 is no valid timeout
            try:
                return await call(left)
            except WaPhoneError as error:
                if not error.retryable or self._deadline <= deadline:
                    raise

    def _unknown(self) -> OutcomeUnknownError:
        return self.plan.write.outcome_unknown(self._lost, waba_id=self.plan.waba_id)

    def _check_country_code(self, numbers: list[PhoneNumber]) -> None:
        """Raise if the account lists a number that has these digits after a country code.

        Creating it would make a second number if it is the same one. Returning it would be a guess.
        """
        plan = self.plan
        for number in numbers:
            if code := missing_code(plan.readings[0], number.display_phone_number or ""):
                raise AmbiguousNumberError(
                    f"{plan.phone_number} may be {number.display_phone_number} of {plan.waba_id} without its country "
                    f"code: pass cc={code!r} if it is that number, or the country code that it really has",
                    waba_id=plan.waba_id,
                    phone_number=plan.phone_number,
                    phone_number_ids=(number.id,),
                )

    def _ambiguous(self, found: list[PhoneNumber]) -> AmbiguousNumberError:
        plan, ids = self.plan, tuple(number.id for number in found)
        or_else = ", or pass the number with + and its country code" if len(plan.readings) > 1 else ""
        return AmbiguousNumberError(
            f"{len(ids)} numbers of {plan.waba_id} match {plan.phone_number}: continue with one of the ids "
            f"{', '.join(ids)}{or_else}",
            waba_id=plan.waba_id,
            phone_number=plan.phone_number,
            phone_number_ids=ids,
        )


def _with_id_only(created: CreatedPhoneNumber) -> EnsuredPhoneNumber:
    return EnsuredPhoneNumber(PhoneNumber(id=created.id), "created")
