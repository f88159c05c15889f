"""Sure creation: a number that is there afterwards, once, whatever became of the answers.

    look          the whole list, compared by digits; a number that is there is `found`, and one that may be it but for
                  a country code that was not given is an error
    create        once; with an answer it is `created`
    look again    after an answer that was lost: at once, and after each of a few waits; now it is `recovered`
    create again  once more, if it is still absent; a refusal as there already counts as there
    look again    as before

What this rests on: a second create is safe because the API refuses a number that an account has (published error
tables, read 2026-11-22), and for no other reason. Looking makes it rare. It cannot make it safe, since the first create
may take effect after the last look.

Calls for one number at once share one errand, a task of its own, which ends when the last of them has gone.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Literal, TypeVar

import attrs

from wa_phone_async.call.transport import out_of_time
from wa_phone_async.call.writes import Write
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

Outcome = Literal["created", "found", "recovered"]

RECHECK_DELAYS: Final = (1.0, 2.0, 4.0)

_LAST_WORD: Final = 0.1
"""Seconds that a call has after the deadline to end by itself: it knows better what happened."""


@attrs.frozen
class EnsuredPhoneNumber:
    """A number that is there, once, and how that came."""

    phone_number: PhoneNumber
    """The number as the list has it. Where it was created, and the list did not show it in time, only `id` is set."""
    outcome: Outcome
    """`"created"` by this call; `"found"`, since it was there or somebody else made it meanwhile; or `"recovered"`: a
    create of this call had no answer, and the number was found by looking again."""


@attrs.frozen(kw_only=True)
class Wanted:
    """The number that is to be there, and how the account is asked. The calls take the seconds that they may last."""

    waba_id: str
    phone_number: str
    """As it was passed."""
    digits: str
    """All its digits, country code first."""
    has_code: bool = True
    """Whether the country code is known to be among them."""
    write: Write
    """What `create` sends."""
    list_numbers: Callable[[float | None], Awaitable[list[PhoneNumber]]]
    create: Callable[[float | None], Awaitable[CreatedPhoneNumber]]
    recheck_delays: tuple[float, ...] = RECHECK_DELAYS
    """Seconds between looks."""


def read_recheck_delays(recheck_delays: Iterable[float]) -> tuple[float, ...]:
    """The seconds between looks, checked."""
    waits = tuple(recheck_delays) if isinstance(recheck_delays, Iterable) else (math.nan,)
    for wait in waits:
        if isinstance(wait, bool) or not isinstance(wait, int | float) or not 0 <= wait < math.inf:
            raise InvalidArgumentError("recheck_delays", "seconds to wait, such as (1, 2, 4)", recheck_delays)
    return waits


class Ensuring:
    """The errands that are under way for one client: one for each number, however many calls ask for it."""

    def __init__(self) -> None:
        # A client may be used by one loop after the other: an errand belongs to its own.
        self._errands: dict[tuple[asyncio.AbstractEventLoop, str, str], _Errand] = {}

    async def ensure(self, wanted: Wanted, *, total_timeout: float | None) -> EnsuredPhoneNumber:
        """Join the errand for a number, or begin one, and wait for its end.

        Args:
            wanted: What is to be there. Of calls that share an errand, the first one's counts.
            total_timeout: Seconds that this call may take; `None` sets no bound.
        """
        loop = asyncio.get_running_loop()
        key = loop, wanted.waba_id, shortest_form(wanted.digits)
        errand = self._errands.get(key)
        if errand is None or errand.is_over:
            errand = self._errands[key] = _Errand(wanted)
        try:
            return await errand.wait(math.inf if total_timeout is None else loop.time() + total_timeout)
        finally:
            if errand.is_over and self._errands.get(key) is errand:
                del self._errands[key]

    async def aclose(self) -> None:
        """End all errands of the running loop. Who waits for one is told what is known."""
        loop = asyncio.get_running_loop()
        if tasks := {errand.close() for key, errand in self._errands.items() if key[0] is loop}:
            await asyncio.wait(tasks)


class _Errand:
    """One number that is being looked for or made, and all who wait for it."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._loop = asyncio.get_running_loop()
        self._deadline = -math.inf  # of the most patient of those who wait
        self._waiting = 0
        self._is_closed = False
        self._doubt = ""  # why a create may have been done that nobody knows of
        self._created: CreatedPhoneNumber | None = None
        self._is_told = False
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(_hear)

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or is being ended."""
        return self._task.done() or self._task.cancelling() > 0

    async def wait(self, deadline: float) -> EnsuredPhoneNumber:
        """Wait for the end of the errand, or until a time on the loop's clock. The last one to leave ends it."""
        self._deadline = max(self._deadline, deadline)
        self._waiting += 1
        patience = None if deadline == math.inf else deadline - self._loop.time() + _LAST_WORD
        try:
            ended, _ = await asyncio.wait({self._task}, timeout=patience)
        finally:
            self._waiting -= 1
            if not self._waiting and not self._task.done():
                self._task.cancel()
                await asyncio.wait({self._task})
        was_cut = not self._task.done() or self._task.cancelled()
        if was_cut and (self._is_closed or not ended):
            return self._tell(self._known())
        return self._tell(self._task.result())

    def close(self) -> asyncio.Task[EnsuredPhoneNumber]:
        """Begin to end it before it has come to its own end, and give the task to wait for."""
        self._is_closed = True
        self._task.cancel()
        return self._task

    def _known(self) -> EnsuredPhoneNumber:
        """What is known of a number while its errand is not at its own end."""
        if self._created is not None:
            return _bare(self._created)
        if self._doubt:
            raise self._unknown()
        if self._is_closed:
            raise RuntimeError(CLOSED)
        raise RequestTimeoutError("total_timeout ran out before the number could be created", sent=False)

    def _tell(self, ensured: EnsuredPhoneNumber) -> EnsuredPhoneNumber:
        """Of all who wait, the first one is told how the number came; the others found it."""
        if self._is_told:
            return attrs.evolve(ensured, outcome="found")
        self._is_told = True
        return ensured

    async def _run(self) -> EnsuredPhoneNumber:
        number = await self._look()
        if number is not None:
            return EnsuredPhoneNumber(number, "found")
        try:
            return await self._create()
        except (OutcomeUnknownError, ConflictError) as error:
            failure = error  # gone on with outside, so that no error has itself in its chain
        if isinstance(failure, OutcomeUnknownError):
            return await self._recover()
        self._doubt = ""
        return EnsuredPhoneNumber(await self._find_after(failure), "found")

    async def _recover(self) -> EnsuredPhoneNumber:
        """Settle a create whose answer was lost. What cannot be settled is unknown, whatever stands in the way."""
        try:
            return await self._create_once_more()
        except AmbiguousNumberError:
            raise
        except Exception as error:  # a token provider may raise anything, and it is no less unknown
            raise self._unknown() from error

    async def _create_once_more(self) -> EnsuredPhoneNumber:
        """Look again, create what is still absent, and look again."""
        number = await self._look_again()
        if number is None:
            try:
                return await self._create()
            except (OutcomeUnknownError, ConflictError) as error:
                failure = error
            number = await self._find_after(failure)
        return EnsuredPhoneNumber(number, "recovered")

    async def _create(self) -> EnsuredPhoneNumber:
        """Create the number, and give it as the list shows it."""
        self._doubt = self._doubt or "no answer in time"
        try:
            self._created = await self._call(self._wanted.create)
        except OutcomeUnknownError as error:
            self._doubt = error.reason
            raise
        try:
            number = await self._look_again()
        except Exception:  # noqa: BLE001 - whatever it is, the number is created
            number = None
        return _bare(self._created) if number is None else EnsuredPhoneNumber(number, "created")

    async def _find_after(self, error: WaPhoneError) -> PhoneNumber:
        """Find the number after a create that ended in this error, or raise the error."""
        try:
            number = await self._look_again()
        except AmbiguousNumberError:
            raise
        except Exception as failure:
            raise error from failure
        if number is None:
            raise error
        return number

    async def _look_again(self) -> PhoneNumber | None:
        """Look at once, and after each wait. `None` says that the last look worked and did not show the number."""
        failure: WaPhoneError | None = None
        for seconds in (0.0, *self._wanted.recheck_delays):
            if self._loop.time() + seconds >= self._deadline:
                raise out_of_time() from failure
            await asyncio.sleep(seconds)
            try:
                number, failure = await self._look(), None
            except WaPhoneError as error:
                if not error.retryable:
                    raise
                number, failure = None, error
            if number is not None:
                return number
        if failure is not None:
            raise failure
        return None

    async def _look(self) -> PhoneNumber | None:
        """The number in the list: by its id where that is known, and by its digits otherwise."""
        numbers = await self._call(self._wanted.list_numbers)
        if self._created is not None:
            return next((number for number in numbers if number.id == self._created.id), None)
        found = alike(self._wanted.digits, numbers)
        if len(found) > 1:
            raise self._ambiguous(found)
        if not found and not self._wanted.has_code:
            self._check_code(numbers)
        return found[0] if found else None

    async def _call(self, call: Callable[[float | None], Awaitable[T]]) -> T:
        """Make a call in the time that is left, and again if somebody more patient has come meanwhile."""
        while True:
            deadline = self._deadline
            left = None if deadline == math.inf else max(deadline - self._loop.time(), 0.001)
            try:
                return await call(left)
            except WaPhoneError as error:
                if not error.retryable or self._deadline <= deadline:
                    raise

    def _unknown(self) -> OutcomeUnknownError:
        return self._wanted.write.outcome_unknown(self._doubt, waba_id=self._wanted.waba_id)

    def _check_code(self, numbers: list[PhoneNumber]) -> None:
        """Refuse to go on where a number is listed that this one would be with a country code."""
        wanted = self._wanted
        for number in numbers:
            if code := missing_code(wanted.digits, number.display_phone_number or ""):
                raise AmbiguousNumberError(
                    f"{wanted.phone_number} may be {number.display_phone_number} of {wanted.waba_id} without its "
                    f"country code: give cc={code!r} if it is, and the cc that it has if it is another number",
                    waba_id=wanted.waba_id,
                    phone_number=wanted.phone_number,
                    phone_number_ids=(number.id,),
                )

    def _ambiguous(self, found: list[PhoneNumber]) -> AmbiguousNumberError:
        wanted, ids = self._wanted, tuple(number.id for number in found)
        return AmbiguousNumberError(
            f"{len(ids)} numbers of {wanted.waba_id} may be {wanted.phone_number}: go on with one of {', '.join(ids)}",
            waba_id=wanted.waba_id,
            phone_number=wanted.phone_number,
            phone_number_ids=ids,
        )


def _bare(created: CreatedPhoneNumber) -> EnsuredPhoneNumber:
    return EnsuredPhoneNumber(PhoneNumber(id=created.id), "created")


def _hear(task: asyncio.Task[EnsuredPhoneNumber]) -> None:
    """Take note of an error that nobody is left to be told."""
    if not task.cancelled():
        task.exception()
