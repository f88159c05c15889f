"""Long waits: a sentence in the log an hour, for each account and for the app, in virtual time."""

import asyncio
import re
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar, Unpack

import pytest
from unthrottled import Unthrottled

from wa_phone_async import PhoneNumberClient, RetryPolicy, Throttle
from wa_phone_async.client import Settings
from wa_phone_async.ratelimit import long_waits
from wa_phone_async.ratelimit.limiter import Lease, Report, Scope
from wa_phone_async.ratelimit.long_waits import LongWaits
from wa_phone_async.sandbox import BUSINESS_ID, EMPTY_WABA, SMALL_WABA, Fault, Sandbox, VirtualTimeLoop
from wa_phone_async.usage import Usage, UsageMetric

T = TypeVar("T")

A, B = "1111", "2222"
HOUR = 3600.0


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run in virtual time, which begins at 0."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


@asynccontextmanager
async def serving(**settings: Unpack[Settings]) -> AsyncIterator[tuple[Sandbox, PhoneNumberClient]]:
    async with Sandbox(quota=None) as sandbox:
        settings = {"base_url": sandbox.url, "retry": RetryPolicy.batch(), **settings}
        async with PhoneNumberClient("any-token", **settings) as client:
            yield sandbox, client


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was told, without the part that all sentences have."""
    lines = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    return [line.removeprefix("Waiting ").removesuffix("; cancelling is safe.") for line in lines]


# --- what is told


@pytest.mark.parametrize(
    ("scope", "waba_id", "is_throttled", "line"),
    [
        ("waba", A, False, "3,899 s for the hourly quota of WABA 1111"),
        ("waba", A, True, "3,899 s because Meta throttles WABA 1111"),
        ("waba", None, True, "3,899 s because Meta throttles calls without an account"),
        ("app", A, False, "3,899 s for the hourly quota of the app"),
        ("app", None, True, "3,899 s because Meta throttles the app"),
        ("token", A, True, "3,899 s because Meta throttles the token of WABA 1111"),
        ("token", None, True, "3,899 s because Meta throttles the token of calls without an account"),
    ],
)
def test_a_long_wait_is_one_sentence(
    scope: Scope, waba_id: str | None, line: str, caplog: pytest.LogCaptureFixture, *, is_throttled: bool
) -> None:
    async def main() -> None:
        LongWaits().tell(3898.2, scope, waba_id, "t", is_throttled=is_throttled)

    run(main())
    assert told(caplog) == [line]


def test_an_account_is_told_once_an_hour_and_30_seconds_are_not_long(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        waits = LongWaits()

        def tell(seconds: float, scope: Scope = "waba", waba_id: str | None = A) -> None:
            waits.tell(seconds, scope, waba_id, "t", is_throttled=False)

        tell(30.0)
        for _ in range(2):
            tell(31.0)
        tell(32.0, waba_id=B)
        for waba_id in (A, B):
            tell(33.0, "app", waba_id)
        await asyncio.sleep(HOUR - 1)
        tell(34.0)
        await asyncio.sleep(1)
        tell(35.0)

    run(main())
    assert [line.partition(" s ")[0] for line in told(caplog)] == ["31", "32", "33", "35"]


def test_memory_is_bounded(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_waits, "_MAX_REMEMBERED", 3)
    waits = LongWaits()

    async def main() -> None:
        for _ in range(2):
            for number in range(1000):
                waits.tell(60.0, "waba", str(number), "t", is_throttled=False)
            await asyncio.sleep(HOUR)

    run(main())
    run(main())  # a clock that begins again
    assert len(waits._told) == 3
    assert len(told(caplog)) == 12


# --- who tells it


async def admitted(throttle: Throttle, waba_id: str | None = A, token: str = "t") -> Lease:
    lease = await throttle.admit(waba_id, token, max_wait=10 * HOUR)
    assert isinstance(lease, Lease)
    return lease


def test_calls_that_wait_for_the_quota_are_told_together(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        throttle = Throttle(quota=3)
        for _ in range(2):
            throttle.report(await admitted(throttle), Report("accepted", Usage(UsageMetric(0.0))))
        await asyncio.sleep(600)
        waiting = [asyncio.create_task(admitted(throttle)) for _ in range(20)]
        await asyncio.sleep(1)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)

    run(main())
    assert told(caplog) == ["3,060 s for the hourly quota of WABA 1111"]


def test_a_call_behind_others_is_told_though_the_first_waits_a_moment(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        throttle = Throttle(quota=2)
        for seconds in (3600.0, 50.0):  # one leaves the hour in 10 s from then, and the other in 3,610 s
            throttle.report(await admitted(throttle), Report("accepted", Usage(UsageMetric(0.0))))
            await asyncio.sleep(seconds)
        tasks = [asyncio.create_task(admitted(throttle)) for _ in range(2)]
        await asyncio.sleep(12)
        assert [task.done() for task in tasks] == [True, False]
        tasks[1].cancel()
        await asyncio.wait(tasks)

    run(main())
    assert [line.partition(" s ")[2] for line in told(caplog)] == ["for the hourly quota of WABA 1111"]


@pytest.mark.parametrize(
    ("code", "line"),
    [
        (80008, f"90 s because Meta throttles WABA {SMALL_WABA}"),
        (17, f"90 s because Meta throttles the token of WABA {SMALL_WABA}"),
        (4, "90 s because Meta throttles the app"),
    ],
)
def test_a_retry_and_those_that_wait_with_it_are_told_once(
    code: int, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with serving() as (sandbox, client):
            sandbox.plan(Fault.error(code, headers={"Retry-After": "90"}), times=2)
            tasks = [asyncio.ensure_future(client.list_phone_numbers(SMALL_WABA).collect()) for _ in range(5)]
            async with PhoneNumberClient(
                "any-token", base_url=sandbox.url, throttle=client.session._throttle, retry=RetryPolicy.batch()
            ) as other:
                await asyncio.gather(*tasks, other.list_phone_numbers(SMALL_WABA).collect())

    run(main())
    assert told(caplog) == [line]


def test_each_account_is_told_and_the_app_once(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        for code in (80008, 4):
            async with serving() as (sandbox, client):
                for waba_id in (SMALL_WABA, EMPTY_WABA):
                    sandbox.plan(Fault.error(code, headers={"Retry-After": "90"}), node=waba_id)
                await client.list_many([SMALL_WABA, EMPTY_WABA])

    run(main())
    accounts, app = told(caplog)[:-1], told(caplog)[-1]
    assert sorted(accounts) == [f"90 s because Meta throttles WABA {waba_id}" for waba_id in (EMPTY_WABA, SMALL_WABA)]
    assert app == "90 s because Meta throttles the app"


def test_calls_without_an_account_are_told_as_such(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with serving() as (sandbox, client):
            sandbox.plan(Fault.error(613, headers={"Retry-After": "90"}))
            await client.list_business_accounts(BUSINESS_ID)

    run(main())
    assert told(caplog) == ["90 s because Meta throttles calls without an account"]


def test_a_limiter_of_the_callers_own_tells_its_waits_and_the_client_those_before_retries(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        async with serving(throttle=Unthrottled()) as (sandbox, client):
            sandbox.plan(Fault.error(80008, headers={"Retry-After": "90"}))
            await client.list_phone_numbers(SMALL_WABA)

    run(main())
    assert told(caplog) == [f"90 s because Meta throttles WABA {SMALL_WABA}"]


def test_no_wait_is_told_that_is_too_long_to_begin_or_that_is_no_throttling(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with serving(retry=RetryPolicy(max_wait=60)) as (sandbox, client):
            sandbox.plan(Fault.status(503, headers={"Retry-After": "50"}))
            await client.list_phone_numbers(SMALL_WABA)
            sandbox.plan(Fault.error(80008, headers={"Retry-After": "90"}))
            results = await asyncio.gather(client.list_phone_numbers(SMALL_WABA).collect(), return_exceptions=True)
            assert re.match(r".*\(HTTP 400, code 80008, retry after 90 s", str(results[0]))

    run(main())
    assert told(caplog) == []


def test_what_is_told_is_an_upper_bound_and_not_the_time_of_a_probe(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> float:
        # The client has to find out about this quota, and probes after 300 s.
        async with Sandbox(quota=2) as sandbox, serving(base_url=sandbox.url) as (_, client):
            for _ in range(3):
                await client.list_phone_numbers(SMALL_WABA)
        return asyncio.get_running_loop().time()

    assert 3500 < run(main()) < 3660
    assert told(caplog) == [f"3,660 s for the hourly quota of WABA {SMALL_WABA}"]
