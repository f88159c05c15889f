"""Cancelling any operation before any step of the event loop leaves nothing, and never makes a second number."""

import asyncio
import gc
import logging
import re
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar, get_args

import attrs
import pytest
from attack import Attack

from wa_phone_async import PhoneNumberCache, PhoneNumberClient, RetryPolicy, Throttle, WaPhoneError
from wa_phone_async.call import transport
from wa_phone_async.export import Job, write
from wa_phone_async.ratelimit.limiter import Lease, Report
from wa_phone_async.sandbox import BUSINESS_ID, Fault, Request, Sandbox, VirtualTimeLoop

pytestmark = pytest.mark.unmeasured

T = TypeVar("T")

SMALL, LARGE = 3, 5
CODE, PIN = "123830", "482913"


class SteppingLoop(VirtualTimeLoop):
    """Cancels a task before one of its steps. A step is one turn of the loop: all that is ready runs once.

    Its clock is virtual, so a wait of a minute is one step.
    """

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0
        self.before: dict[int, Callable[[], object]] = {}

    def _run_once(self) -> None:
        self.steps += 1
        self.before.pop(self.steps, lambda: None)()
        super()._run_once()  # type: ignore[misc]  # a step of asyncio's, which has no public name


class CountedThrottle(Throttle):
    """Knows the leases that have no report yet."""

    def __init__(self) -> None:
        super().__init__()
        self.leases = dict[int, Lease]()

    def try_admit(self, waba_id: str | None, token: str) -> Lease | None:
        return self._noted(super().try_admit(waba_id, token))

    async def admit(self, *arguments: Any, **more: Any) -> Lease | float:
        return self._noted(await super().admit(*arguments, **more))

    def _noted(self, result: T) -> T:
        if isinstance(result, Lease):
            self.leases[id(result)] = result
        return result

    def report(self, lease: Lease, report: Report) -> float:
        del self.leases[id(lease)]
        return super().report(lease, report)


@attrs.frozen
class Place:
    """Where an operation works: accounts of its own, with a client of its own."""

    client: PhoneNumberClient
    sandbox: Sandbox
    small: str
    """An account of 3 numbers."""
    large: str
    """An account of 5 numbers."""
    directory: Path

    @property
    def number(self) -> str:
        """The id of its first number."""
        return str(self.sandbox.numbers(self.small)[0]["id"])

    @property
    def requests(self) -> list[Request]:
        """What the sandbox got for its account of 3 numbers."""
        return [request for request in self.sandbox.requests if f"/{self.small}/" in request.path]

    @property
    def table(self) -> Path:
        """Where a job exports to."""
        return self.directory / f"{self.small}.csv"

    @property
    def digits(self) -> str:
        """The number to create."""
        return f"1555{self.small[-7:]}"


Operation: TypeAlias = Callable[[Place], Coroutine[Any, Any, object]]


async def lists(place: Place) -> object:
    return await place.client.list_phone_numbers(place.large, limit=2)


async def reads_ahead(place: Place) -> object:
    async with place.client.list_phone_numbers(place.large, limit=2, read_ahead=2) as paginator:
        return [number async for number in paginator]


async def lists_many(place: Place) -> object:
    return await place.client.list_many([place.large, place.small], concurrency=2, limit=2)


async def lists_accounts(place: Place) -> object:
    return await place.client.list_business_accounts(BUSINESS_ID, max_items=3)


async def gets(place: Place) -> object:
    return await place.client.get_phone_number(place.number)


async def creates(place: Place) -> object:
    return await place.client.create_phone_number(place.small, phone_number=place.digits, verified_name="Acme", cc="1")


async def ensures(place: Place) -> object:
    return await place.client.ensure_phone_number(place.small, phone_number=place.digits, verified_name="Acme", cc="1")


async def ensures_after_a_lost_response(place: Place) -> object:
    place.sandbox.plan(Fault.drop_after(), method="POST", node=place.small)
    return await ensures(place)


async def requests_a_code(place: Place) -> object:
    return await place.client.request_code(place.number)


async def verifies_a_code(place: Place) -> object:
    return await place.client.verify_code(place.number, CODE)


async def registers(place: Place) -> object:
    return await place.client.register(place.number, pin=PIN)


async def deregisters(place: Place) -> object:
    return await place.client.deregister(place.number)


async def sets_a_pin(place: Place) -> object:
    return await place.client.set_two_step_verification_pin(place.number, PIN)


async def caches(place: Place) -> object:
    async with PhoneNumberCache(place.client) as cache:
        return await asyncio.gather(*(cache.phone_numbers(place.small) for _ in range(3)))


async def watches(place: Place) -> object:
    change = anext(place.client.watch(place.small, total_timeout=600))
    asyncio.get_running_loop().call_later(90, place.sandbox.rate_quality, place.number, "YELLOW")
    return await change


async def waits_until(place: Place) -> object:
    asyncio.get_running_loop().call_later(90, place.sandbox.rate_quality, place.number, "YELLOW")
    return await place.client.wait_until(place.number, lambda number: number.quality_rating == "YELLOW")


async def waits_for_a_retry(place: Place) -> object:
    place.sandbox.plan(Fault.error(2), node=place.small)
    place.sandbox.plan(Fault.error(80008, headers={"Retry-After": "5"}), node=place.small)
    return await place.client.list_phone_numbers(place.small)


async def waits_for_a_cooldown(place: Place) -> object:
    place.sandbox.plan(Fault.error(80008, headers={"Retry-After": "5"}), node=place.small)
    return await asyncio.gather(*(place.client.list_phone_numbers(place.small).collect() for _ in range(3)))


async def exports(place: Place) -> object:
    async with place.client.list_many([place.large, place.small]) as listings:
        return await write(listings, place.directory / "numbers.jsonl")


async def exports_by_a_job(place: Place) -> object:
    with Job(place.table, resume=True, part_accounts=1) as job:
        async with place.client.list_many(job.remaining([place.large, place.small])) as listings:
            async for listing in listings:
                await job.add(listing)
        return await job.finish()


CREATES: tuple[Operation, ...] = (creates, ensures, ensures_after_a_lost_response)
EXPORTS: tuple[Operation, ...] = (exports, exports_by_a_job)
OPERATIONS: tuple[Operation, ...] = (
    *(lists, reads_ahead, lists_many, lists_accounts, gets, caches, watches, waits_until),
    *(waits_for_a_retry, waits_for_a_cooldown, *EXPORTS, *CREATES),
    *(requests_a_code, verifies_a_code, registers, deregisters, sets_a_pin),
)

When = Literal["once", "twice, one step later", "twice, three steps later"]


def cancellations(steps: int, when: When) -> list[tuple[int, ...]]:
    """Before which steps an operation of so many steps is cancelled."""
    later = {"once": (), "twice, one step later": (1,), "twice, three steps later": (3,)}[when]
    return [(step, *(step + more for more in later)) for step in range(1, steps + 1)]


def own_tasks() -> set[asyncio.Task[Any]]:
    """All tasks but the sandbox's, which has some for each connection."""
    return {task for task in asyncio.all_tasks() if not re.search("aiohttp.web|sandbox", _file_of(task))}


def _file_of(task: asyncio.Task[Any]) -> str:
    return str(getattr(getattr(task.get_coro(), "cr_code", None), "co_filename", ""))


def open_files() -> int:
    """How many files and sockets this process has, where the system tells."""
    files = Path("/proc/self/fd")
    return len(list(files.iterdir())) if files.exists() else 0


async def comes_true(condition: Callable[[], bool]) -> bool:
    """Whether a condition is true within some steps of the loop. Threads get a moment too."""
    for _ in range(100):
        if condition():
            return True
        await asyncio.to_thread(time.sleep, 0.0001)
    return False


class Theatre:
    """Plays one operation after the other, each with a client and accounts of its own."""

    def __init__(self, sandbox: Sandbox, directory: Path) -> None:
        self._sandbox, self._directory, self._number = sandbox, directory, 0
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SteppingLoop)
        self._loop = loop

    @asynccontextmanager
    async def place(self) -> AsyncIterator[Place]:
        """A place, at whose end nothing is left and further calls succeed."""
        self._number += 1
        small, large = f"5550{self._number:07}", f"5551{self._number:07}"
        self._sandbox.add_waba(small, SMALL)
        self._sandbox.add_waba(large, LARGE)
        files, throttle = open_files(), CountedThrottle()
        policy = RetryPolicy(first_wait=0.001)
        async with PhoneNumberClient("any", base_url=self._sandbox.url, retry=policy, throttle=throttle) as client:
            yield Place(client, self._sandbox, small, large, self._directory)
            assert not throttle.leases
            async with asyncio.timeout(3600):  # it has one slot, and would wait for ever if that was lost
                assert len(await client.list_phone_numbers(large)) == LARGE
        assert await comes_true(lambda: open_files() == files)

    async def run(self, operation: Operation, place: Place, cancel_at: tuple[int, ...] = ()) -> int | None:
        """Run an operation, and cancel it before these of its steps.

        Returns:
            How many steps it took, or `None` if it was cancelled.
        """
        tasks, began, task = own_tasks(), self._loop.steps, asyncio.ensure_future(operation(place))
        self._loop.before = {began + step: task.cancel for step in cancel_at}
        [result] = await asyncio.gather(task, return_exceptions=True)
        steps = self._loop.steps - began
        self._loop.before.clear()
        for _ in range(5):  # what was cancelled with it ends at once
            await asyncio.sleep(0)
        assert own_tasks() == tasks
        if isinstance(result, asyncio.CancelledError):
            return None
        assert isinstance(result, WaPhoneError) or not isinstance(result, BaseException), result
        return steps


Play = Callable[[Theatre], Coroutine[Any, Any, None]]


@pytest.fixture
def run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Play], None]]:
    """Runs a play in a theatre of its own. No library complains of what is left."""
    monkeypatch.setattr(transport, "MAX_OF_A_CLIENT", 1)

    def run(play: Play) -> None:
        async def main() -> None:
            async with Sandbox(quota=None) as sandbox:
                await play(Theatre(sandbox, tmp_path))

        with asyncio.Runner(loop_factory=SteppingLoop) as runner:
            runner.run(main())
        gc.collect()

    yield run
    logged = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.getMessage() for record in logged if record.name.startswith(("asyncio", "aiohttp"))] == []


@pytest.mark.parametrize("when", get_args(When))
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.__name__)
def test_cancelling_any_operation_before_any_step_leaves_nothing(
    attack: Attack, run: Callable[[Play], None], operation: Operation, when: When
) -> None:
    async def play(theatre: Theatre) -> None:
        async with theatre.place() as place:
            steps = await theatre.run(operation, place)
        assert steps is not None
        for cancel_at in attack.points(cancellations(steps, when), short=4):
            async with theatre.place() as place:
                was_cancelled = await theatre.run(operation, place, cancel_at) is None
                attack.count("points", was_cancelled)
                await check_effects(operation, place)

    run(play)


async def check_effects(operation: Operation, place: Place) -> None:
    """After a cancelled operation, its effects are there once, or not at all. It can be run again."""
    if operation in CREATES:
        assert [request.method for request in place.requests].count("POST") <= 1
        await ensures(place)
        assert [created.waba_id for created in place.sandbox.created].count(place.small) == 1
    if operation in EXPORTS:
        assert await comes_true(lambda: not list(place.directory.glob(".*partial*")))
        await operation(place)
    if operation is exports_by_a_job:
        assert len(place.table.read_text().splitlines()) == 1 + SMALL + LARGE
        assert not place.table.with_name(f"{place.table.name}.parts").exists()


@pytest.mark.parametrize("when", get_args(When))
def test_cancelling_the_closing_before_any_step_leaves_a_client_that_can_be_closed(
    attack: Attack, run: Callable[[Play], None], when: When
) -> None:
    async def in_flight(place: Place) -> list[asyncio.Task[object]]:
        calls = [asyncio.ensure_future(call(place)) for call in (lists, creates, ensures, lists_many, reads_ahead)]
        await asyncio.sleep(0.001)
        return calls

    async def closes(place: Place) -> None:
        await place.client.aclose()

    async def play(theatre: Theatre) -> None:
        for cancel_at in attack.points(cancellations(12, when), short=6):
            async with theatre.place() as place:
                calls = await in_flight(place)
                attack.count("points", await theatre.run(closes, place, cancel_at) is None)
                await place.client.aclose()
                for result in await asyncio.gather(*calls, return_exceptions=True):
                    assert isinstance(result, WaPhoneError | RuntimeError) or not isinstance(result, BaseException)
                assert [request.method for request in place.requests].count("POST") <= 2
                await place.client.__aenter__()

    run(play)
