"""The throttle: when each call goes, in virtual time. Some tests have a client and a server in the same loop."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar, Unpack, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wa_phone_async import (
    AuthenticationError,
    InvalidArgumentError,
    PhoneNumber,
    PhoneNumberClient,
    RateLimitError,
    RequestTimeoutError,
    RetryPolicy,
    Rows,
    Throttle,
    TokenProvider,
)
from wa_phone_async.client import Settings
from wa_phone_async.ratelimit.limiter import Lease, Report, Scope
from wa_phone_async.sandbox import EMPTY_WABA, LARGE_WABA, SMALL_WABA, Fault, Sandbox, VirtualTimeLoop
from wa_phone_async.usage import Usage, UsageMetric

T = TypeVar("T")

HOUR = 3600.0
TOKEN = "an-invented-token"
A, B = "1111", "2222"
READ = Usage(UsageMetric(0.0))
BATCH = RetryPolicy.batch()


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run in virtual time, which begins at 0."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


def now() -> float:
    return asyncio.get_running_loop().time()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


# The throttle by itself


async def admitted(
    throttle: Throttle, waba_id: str | None = A, *, max_wait: float = 10 * HOUR, is_probe: bool = False
) -> Lease:
    lease = await throttle.admit(waba_id, "t", max_wait=max_wait, is_probe=is_probe)
    assert isinstance(lease, Lease)
    return lease


def nobody_waits(throttle: Throttle) -> bool:
    (calls,) = throttle._loops.by_loop.values()
    return not calls.queues and not calls.shared


async def call(throttle: Throttle, waba_id: str | None = A, *, usage: Usage | None = READ, token: str = "t") -> float:
    """Make a call whose response comes at once; returns when it was admitted."""
    lease = await throttle.admit(waba_id, token, max_wait=10 * HOUR)
    assert isinstance(lease, Lease)
    throttle.report(lease, Report("accepted", usage))
    return lease.since


async def begin_cooldown(
    throttle: Throttle, waba_id: str = A, *, scope: Scope = "waba", seconds: float | None = None
) -> float:
    lease = await admitted(throttle, waba_id)
    return throttle.report(lease, Report("throttled", Usage(retry_after_seconds=seconds), scope))


@pytest.mark.parametrize("name", ["quota", "app_quota"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "200"], ids=repr)
def test_a_quota_is_checked(name: str, value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=f"^{name} must be a whole number from 1 up"):
        Throttle(**{name: value})


def test_a_quota_is_kept() -> None:
    async def main() -> None:
        throttle = Throttle(quota=3)
        assert [await call(throttle) for _ in range(7)] == [0, 0, 0, 3660, 3660, 3660, 7320]

    run(main())


def test_the_apps_quota_is_for_all_accounts() -> None:
    async def main() -> None:
        throttle = Throttle(app_quota=2)
        assert [await call(throttle, waba_id) for waba_id in (A, B, A, B)] == [0, 0, 3660, 3660]

    run(main())


def test_without_an_account_only_the_apps_quota_counts() -> None:
    async def main() -> None:
        throttle = Throttle(quota=1, app_quota=3)
        assert [await call(throttle, waba_id) for waba_id in (None, None, A, None)] == [0, 0, 0, 3660]
        assert await call(throttle, None) == 3660
        assert nobody_waits(throttle)

    run(main())


@pytest.mark.parametrize(
    ("scope", "same", "other_account", "other_token"),
    [("waba", 60, 0, 60), ("app", 60, 60, 60), ("token", 60, 60, 0)],
)
@pytest.mark.parametrize("who", ["same", "other account", "other token"])
def test_the_scope_says_what_has_a_cooldown(
    scope: Scope, same: float, other_account: float, other_token: float, who: str
) -> None:
    async def main() -> float:
        throttle = Throttle()
        assert await begin_cooldown(throttle, A, scope=scope) == 60
        return await call(throttle, B if who == "other account" else A, token="u" if who == "other token" else "t")

    assert run(main()) == {"same": same, "other account": other_account, "other token": other_token}[who]


def test_waits_never_add_up() -> None:
    async def main() -> None:
        throttle = Throttle(quota=2)
        await call(throttle)
        leases = [await admitted(throttle, waba_id) for waba_id in (A, B)]
        scopes: list[Scope] = ["waba", "app"]
        for lease, scope in zip(leases, scopes, strict=True):
            throttle.report(lease, Report("throttled", Usage(retry_after_seconds=600), scope))
        assert await call(throttle) == 600  # both cooldowns end then, and the server knows better than the log

    run(main())


def test_what_waits_for_one_account_goes_in_order() -> None:
    async def main() -> list[int]:
        throttle, went = Throttle(), list[int]()

        async def go(number: int) -> None:
            await call(throttle)
            went.append(number)

        await begin_cooldown(throttle)
        await asyncio.gather(*(go(number) for number in range(20)))
        assert now() == 60
        return went

    assert run(main()) == list(range(20))


def test_a_throttled_call_goes_first_and_alone() -> None:
    async def main() -> None:
        throttle = Throttle()
        seconds = await begin_cooldown(throttle)
        others = [asyncio.create_task(admitted(throttle)) for _ in range(3)]
        await asyncio.sleep(seconds)
        probe = await admitted(throttle, is_probe=True)
        await asyncio.sleep(0.5)
        assert probe.since == 60
        assert not any(other.done() for other in others)
        throttle.report(probe, Report("accepted", READ))
        assert [lease.since for lease in await asyncio.gather(*others)] == [60.5] * 3

    run(main())


@pytest.mark.parametrize("result", ["accepted", "lost", "unsent", "throttled"])
def test_with_each_result_of_the_first_call_the_next_goes(result: Any) -> None:
    async def main() -> float:
        throttle = Throttle()
        first = await admitted(throttle)
        second = asyncio.create_task(admitted(throttle))
        await asyncio.sleep(0.25)
        assert not second.done()
        throttle.report(first, Report(result, scope="waba" if result == "throttled" else None))
        return (await second).since

    assert run(main()) == (60.25 if result == "throttled" else 0.25)


def test_a_report_says_how_long_to_wait() -> None:
    async def main() -> None:
        throttle = Throttle()
        assert await begin_cooldown(throttle, seconds=7) == 7
        await asyncio.sleep(7)
        assert await begin_cooldown(throttle, seconds=0) == 0
        lease = await admitted(throttle)
        assert throttle.report(lease, Report("accepted")) == 0

    run(main())


def test_a_wait_that_would_be_too_long_ends_at_once() -> None:
    async def main() -> None:
        throttle = Throttle()
        await begin_cooldown(throttle)
        assert await throttle.admit(A, "t", max_wait=59) == 60
        assert now() == 0
        assert isinstance(await throttle.admit(A, "t", max_wait=60), Lease)

    run(main())


def test_the_calls_ahead_count_as_well() -> None:
    async def main() -> None:
        throttle = Throttle(quota=2)
        await call(throttle)
        await asyncio.sleep(100)
        await call(throttle)
        ahead = asyncio.create_task(admitted(throttle))
        await settle()
        assert await throttle.admit(A, "t", max_wait=3600) == 3660
        assert (await ahead).since == 3660

    run(main())


def test_a_call_that_waits_ends_when_a_cooldown_makes_it_too_long() -> None:
    async def main() -> None:
        throttle = Throttle()
        first = await admitted(throttle)
        second = asyncio.create_task(throttle.admit(A, "t", max_wait=10))
        await asyncio.sleep(0.5)
        throttle.report(first, Report("throttled", scope="waba"))
        assert await second == 60
        assert now() == 0.5

    run(main())


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 11), st.sampled_from([0.0, 30.0, 60.0, 60.5, 3660.0])), max_size=12),
    st.sampled_from([1, 2, 200]),
)
def test_any_order_of_cancellations_leaves_it_usable(cancellations: list[tuple[int, float]], quota: int) -> None:
    async def main() -> None:
        throttle = Throttle(quota=quota)
        await begin_cooldown(throttle)

        async def go(*, is_probe: bool) -> None:
            lease = await admitted(throttle, max_wait=100 * HOUR, is_probe=is_probe)
            report = Report("lost")
            try:
                await asyncio.sleep(0.5)
                report = Report("accepted", READ)
            finally:
                throttle.report(lease, report)

        tasks = [asyncio.create_task(go(is_probe=number == 0)) for number in range(12)]
        for number, when in sorted(cancellations, key=lambda cancellation: cancellation[1]):
            await asyncio.sleep(max(0.0, when - now()))
            tasks[number].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(result) for result in results} <= {type(None), asyncio.CancelledError}
        await call(throttle)
        assert now() <= (14 // quota + 1) * 3700
        assert nobody_waits(throttle)
        assert not next(iter(throttle._loops.by_loop.values())).leases

    run(main())


PlannedCall = tuple[str, float, float]
"""The result of a call, how long it takes, and the seconds until the next one."""
Course = list[PlannedCall]

RESULTS = ("accepted", "lost", "unsent", "waba", "token", "no header")
COURSES = st.lists(
    st.tuples(st.sampled_from(RESULTS), st.sampled_from([0.0, 0.3, 5.0]), st.sampled_from([0.0, 0.3, 700.0])),
    min_size=1,
    max_size=25,
)


async def play(throttle: Throttle, waba_id: str, course: Course, *, max_wait: float = 10 * HOUR) -> list[float]:
    """Make one call after the other; returns when each went, or minus the wait that was too long."""
    went = list[float]()
    for result, seconds, pause in course:
        lease = await throttle.admit(waba_id, f"token of {waba_id}", max_wait=max_wait)
        if isinstance(lease, Lease):
            went.append(lease.since)
            await asyncio.sleep(seconds)
            is_throttled = result in {"waba", "token"}
            kind: Any = "throttled" if is_throttled else "accepted" if result == "no header" else result
            usage = None if is_throttled or result == "no header" else READ
            throttle.report(lease, Report(kind, usage, cast("Scope", result) if is_throttled else None))
        else:
            went.append(-lease)
        await asyncio.sleep(pause)
    return went


@settings(max_examples=25)
@given(st.lists(COURSES, max_size=4), st.lists(COURSES, min_size=1, max_size=3), st.sampled_from([1, 3, 200]))
def test_whatever_happens_to_one_account_delays_no_other(busy: list[Course], calm: list[Course], quota: int) -> None:
    # Timers of asyncio that end at the same instant end in any order. So each course has a pace of its own.
    paced = [
        [(result, seconds * pace, pause * pace) for result, seconds, pause in course]
        for course, pace in zip(calm, (1.0, 1.013, 1.037), strict=False)
    ]

    async def main(others: list[Course]) -> list[list[float]]:
        throttle = Throttle(quota=quota)
        around = [asyncio.create_task(play(throttle, A, course)) for course in others]
        await settle()
        went = await asyncio.gather(*(play(throttle, B, course) for course in paced))
        for task in around:
            task.cancel()
        return went

    beside, alone = run(main(busy)), run(main([]))
    assert len(beside) == len(alone)
    for one, other in zip(beside, alone, strict=True):
        assert one == pytest.approx(other)


@settings(max_examples=25)
@given(
    st.lists(COURSES, min_size=1, max_size=5),
    st.sampled_from([1, 3, 200]),
    st.sampled_from([0.0, 1.0, 100.0, 4000.0]),
)
def test_no_call_waits_longer_than_its_max_wait(courses: list[Course], quota: int, max_wait: float) -> None:
    async def follow(throttle: Throttle, course: Course) -> None:
        for result, _, pause in course:
            before = now()
            (went,) = await play(
                throttle, A, [("accepted" if result == "unsent" else result, 0.0, 0.0)], max_wait=max_wait
            )
            assert now() - before <= max_wait + 1e-6
            if went < 0:
                assert -went > max_wait - (now() - before) - 1e-6  # the wait that it learned of really was too long
            await asyncio.sleep(pause)

    async def main() -> None:
        throttle = Throttle(quota=quota)
        await asyncio.gather(*(follow(throttle, course) for course in courses))

    run(main())


def test_queues_of_idle_accounts_are_forgotten() -> None:
    async def main() -> None:
        throttle = Throttle()
        for number in range(100):
            await call(throttle, str(number))
        assert await throttle.admit("0", "t", max_wait=0.0) != HOUR
        assert nobody_waits(throttle)

    run(main())


def test_cooldowns_outlive_a_loop_and_calls_that_wait_do_not() -> None:
    throttle = Throttle()
    with asyncio.Runner() as runner:
        runner.run(begin_cooldown(throttle, seconds=500))
        waiting = runner.get_loop().create_task(admitted(throttle))
        runner.run(asyncio.sleep(0))
        assert not waiting.done()
    assert waiting.cancelled()
    with asyncio.Runner() as runner:
        wait = runner.run(throttle.admit(A, "t", max_wait=1))
        assert isinstance(wait, float)
        assert 1 < wait <= 500


async def test_the_last_usage_is_there_and_closing_closes_nothing() -> None:
    throttle = Throttle()
    assert throttle.last_usage(A) is None
    await call(throttle, usage=Usage(UsageMetric(7.0)))
    await throttle.aclose()
    assert throttle.last_usage(A) == Usage(UsageMetric(7.0))


# The whole client


@asynccontextmanager
async def serving(
    access_token: str | TokenProvider = TOKEN, *, quota: int | None = None, **settings: Unpack[Settings]
) -> AsyncIterator[tuple[Sandbox, PhoneNumberClient]]:
    async with Sandbox(quota=quota, latency=0.2) as sandbox:
        settings = {"base_url": sandbox.url, "retry": BATCH, **settings}
        async with PhoneNumberClient(access_token, **settings) as client:
            yield sandbox, client


async def list_numbers(client: PhoneNumberClient, waba_id: str = SMALL_WABA, **how: Any) -> list[PhoneNumber]:
    return await client.list_phone_numbers(waba_id, **how)


async def took(work: Awaitable[object]) -> float:
    began = now()
    await work
    return now() - began


async def work_off(calls: int, workers: int, call: Callable[[], Awaitable[object]]) -> None:
    left = iter(range(calls))

    async def worker() -> None:
        for _ in left:
            await call()

    await asyncio.gather(*(worker() for _ in range(workers)))


@pytest.mark.parametrize(("quota", "calls"), [(200, 1050)])
def test_the_whole_quota_is_used_and_no_call_is_throttled(quota: int, calls: int) -> None:
    async def main() -> None:
        async with serving(quota=quota) as (sandbox, client):
            await work_off(calls, 10, lambda: list_numbers(client))
            assert [request.status for request in sandbox.requests] == [200] * calls
            oracle = (calls - 1) // quota * HOUR
            assert sandbox.requests[-1].at / oracle <= 1.03

    run(main())


def test_5000_an_hour_are_found_and_used() -> None:
    async def main() -> None:
        async with serving(quota=5000) as (sandbox, client):
            await work_off(2000, 20, lambda: list_numbers(client))
            assert {request.status for request in sandbox.requests} == {200}
            assert now() < 300

    run(main())


def test_accounts_never_delay_each_other() -> None:
    async def main() -> None:
        async with serving() as (sandbox, client):
            await list_numbers(client, EMPTY_WABA)
            sandbox.plan(Fault.error(80008, headers={"Retry-After": "900"}), node=SMALL_WABA)
            hot = [asyncio.create_task(list_numbers(client)) for _ in range(20)]
            await asyncio.sleep(1)
            assert await took(list_numbers(client, EMPTY_WABA)) == pytest.approx(0.2)
            assert not any(call.done() for call in hot)
            assert await took(asyncio.gather(*hot)) == pytest.approx(900, abs=3)

    run(main())


def test_a_hot_app_slows_all() -> None:
    async def main() -> None:
        async with serving() as (sandbox, client):
            sandbox.plan(Fault.error(4, headers={"Retry-After": "900"}), node=SMALL_WABA)
            calls = [asyncio.create_task(list_numbers(client, waba_id)) for waba_id in (SMALL_WABA, EMPTY_WABA)]
            await asyncio.sleep(1)
            assert await took(list_numbers(client, EMPTY_WABA)) == pytest.approx(899, abs=3)
            await asyncio.gather(*calls)

    run(main())


def test_a_throttled_token_throttles_no_other() -> None:
    async def main() -> None:
        def provide(waba_id: str, _: str | None) -> str:
            return f"token-of-{waba_id}"

        async with serving(provide) as (sandbox, client):
            sandbox.plan(Fault.error(17, headers={"Retry-After": "900"}), node=SMALL_WABA)
            throttled = asyncio.create_task(list_numbers(client))
            await asyncio.sleep(1)
            assert await took(list_numbers(client, EMPTY_WABA)) == pytest.approx(0.2)
            await throttled
            assert now() == pytest.approx(900.4)

    run(main())


def test_with_a_new_token_the_account_still_cools_down() -> None:
    async def main() -> None:
        tokens = iter(["old", "new", "newer"])
        async with serving(lambda *_: next(tokens)) as (sandbox, client):
            sandbox.plan(Fault.error(80008, headers={"Retry-After": "900"}))
            throttled = asyncio.create_task(list_numbers(client))
            await asyncio.sleep(1)
            await asyncio.gather(throttled, list_numbers(client))
            assert [request.at for request in sandbox.requests] == pytest.approx([0, 900.2, 900.4], abs=0.01)

    run(main())


def test_the_throttled_call_is_the_probe_and_all_others_wait_for_the_same_instant() -> None:
    async def main() -> None:
        async with serving(quota=200) as (sandbox, client):
            sandbox.plan(Fault.error(80008, headers={"Retry-After": "100"}))
            throttled = asyncio.create_task(list_numbers(client, limit=1))
            await asyncio.sleep(1)
            others = [asyncio.create_task(list_numbers(client)) for _ in range(5)]
            await asyncio.gather(throttled, *others)
            # The probe is alone until its response comes. Then its list of three pages goes on among the others.
            _, probe, *rest = sandbox.requests
            assert probe.query["limit"] == "1"
            assert probe.at == pytest.approx(100.2, abs=0.01)
            assert rest[0].at == pytest.approx(100.4, abs=0.01)
            assert [request.at for request in rest if request.query["limit"] == "100"] == [rest[0].at] * 5

    run(main())


@settings(max_examples=15)
@given(
    retry_after=st.none() | st.integers(0, 3000),
    minutes=st.none() | st.integers(0, 50),
    code=st.sampled_from([4, 17, 80007, 80008]),
    times=st.integers(1, 3),
    callers=st.integers(1, 5),
)
def test_no_call_goes_before_the_time_that_the_server_named(
    retry_after: int | None, minutes: int | None, code: int, times: int, callers: int
) -> None:
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    if minutes is not None:
        entry = {"type": "whatsapp", "call_count": 100, "estimated_time_to_regain_access": minutes}
        headers["X-Business-Use-Case-Usage"] = json.dumps({SMALL_WABA: [entry]})
    hint = max(retry_after or 0, 60 * (minutes or 0))

    async def main() -> None:
        async with serving() as (sandbox, client):
            await list_numbers(client)
            sandbox.plan(Fault.error(code, headers=headers), times=times)
            began = now()
            await asyncio.gather(*(list_numbers(client) for _ in range(callers)))
            _, *requests = sandbox.requests
            assert len(requests) == callers + times
            throttled = [request for request in requests if request.status != 200]
            for request_before in throttled:
                told_at = request_before.at + 0.2  # the server's latency
                assert not [request for request in requests if told_at < request.at < told_at + hint - 1e-6]
            # All callers wait together: one hint, or one doubled cooldown, for each throttled call.
            assert now() - began <= len(throttled) * (max(hint, 240) + 65) + 3660

    run(main())


def test_a_call_that_waits_has_no_slot_and_no_connection() -> None:
    async def main() -> None:
        async with serving() as (sandbox, client):
            sandbox.plan(Fault.error(80008, headers={"Retry-After": "900"}), node=SMALL_WABA)
            waiting = [asyncio.create_task(list_numbers(client)) for _ in range(150)]
            await asyncio.sleep(1)
            assert len(await list_numbers(client, LARGE_WABA)) == 250
            assert len({request.peer_port for request in sandbox.requests}) == 1
            await asyncio.gather(*waiting)

    run(main())


@pytest.mark.parametrize(
    "how",
    [{"retry": RetryPolicy(max_wait=60)}, {"retry": RetryPolicy(max_wait=900, total_timeout=60)}],
    ids=["max_wait", "total_timeout"],
)
def test_a_wait_that_is_too_long_is_not_begun(how: Settings) -> None:
    async def main() -> None:
        async with serving(**how) as (sandbox, client):
            usage = '{"call_count":100,"total_time":0,"total_cputime":0}'
            sandbox.plan(Fault.error(80008, headers={"Retry-After": "600", "X-App-Usage": usage}))
            with pytest.raises(RateLimitError) as throttled:
                await list_numbers(client)
            assert (throttled.value.sent, throttled.value.retry_after, throttled.value.attempts) == (True, 600, 1)
            began = now()
            with pytest.raises(RateLimitError) as unsent:
                await list_numbers(client)
            assert (now(), len(sandbox.requests)) == (began, 1)
            error = unsent.value
            assert (error.sent, error.retry_after, error.attempts, error.http_status) == (False, 600, 0, None)
            assert error.usage == throttled.value.usage == client.last_usage(SMALL_WABA)
            assert error.usage is not None
            assert error.usage.app == UsageMetric(100)
            assert error.message.startswith(f"Rate limit: WABA {SMALL_WABA} or the app has used its hourly quota. ")

    run(main())


def test_a_write_that_was_not_sent_is_no_unknown_outcome() -> None:
    async def main() -> None:
        async with serving(retry=RetryPolicy.interactive()) as (sandbox, client):
            sandbox.plan(Fault.error(80008), times=1)
            for throttled in (True, False):
                with pytest.raises(RateLimitError) as caught:
                    await client.create_phone_number(SMALL_WABA, phone_number="16315551000", verified_name="Acme")
                assert (caught.value.sent, caught.value.retry_after) == (throttled, 60)
            assert sandbox.created == []

    run(main())


def test_who_may_wait_longer_does() -> None:
    async def main() -> None:
        async with serving(throttle=Throttle(quota=1)) as (sandbox, client):
            for _ in range(3):
                await list_numbers(client)
            assert [request.at for request in sandbox.requests] == pytest.approx([0, 3660.2, 7320.4], abs=0.1)

    run(main())


def test_clients_share_the_quotas_of_a_throttle() -> None:
    async def main() -> None:
        throttle = Throttle(quota=1)
        async with serving(throttle=throttle) as (_, one), serving(throttle=throttle) as (_, other):
            await list_numbers(one)
            assert await took(list_numbers(other)) == pytest.approx(3660.2)
            assert one.last_usage(SMALL_WABA) is other.last_usage(SMALL_WABA)

    run(main())


def test_the_last_usage_of_an_account_is_that_of_its_last_response() -> None:
    async def main() -> None:
        async with serving(quota=10) as (_, client):
            assert client.last_usage(SMALL_WABA) is None
            for percent in (10.0, 20.0):
                await list_numbers(client)
                assert client.last_usage(SMALL_WABA) == Usage(UsageMetric(percent, percent / 2))
            assert client.last_usage(EMPTY_WABA) is None

    run(main())


def test_the_presets_wait_an_hour_and_a_few_seconds() -> None:
    batch, interactive = RetryPolicy.batch(), RetryPolicy.interactive()
    assert 3660 < batch.max_wait < 4000
    assert batch.total_timeout is None
    assert interactive.max_wait < 5
    assert interactive.total_timeout is not None


# A token that was rejected


def test_what_waits_with_a_rejected_token_is_not_sent() -> None:
    async def main() -> None:
        async with serving() as (sandbox, client):
            sandbox.revoke(TOKEN)
            results = await asyncio.gather(*(list_numbers(client) for _ in range(50)), return_exceptions=True)
            assert len(sandbox.requests) == 1
            assert {type(result) for result in results} == {AuthenticationError}
            assert len({id(result) for result in results}) == 50
            assert now() == pytest.approx(0.2)

            sandbox.accept(TOKEN)
            assert len(await list_numbers(client)) == 3

    run(main())


def test_it_ends_the_quota_wait() -> None:
    async def main() -> None:
        async with serving(throttle=Throttle(quota=2)) as (sandbox, client):
            await list_numbers(client)
            sandbox.revoke(TOKEN)
            results = await asyncio.gather(*(list_numbers(client) for _ in range(9)), return_exceptions=True)
            assert {type(result) for result in results} == {AuthenticationError}
            assert len(sandbox.requests) == 2
            assert now() == pytest.approx(0.4)

    run(main())


def test_what_waits_for_a_slot_is_not_sent_either() -> None:
    async def main() -> None:
        async with serving() as (sandbox, client):
            sandbox.revoke(TOKEN)
            calls = [list_numbers(client, str(number)) for number in range(1000, 1300)]
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert {type(result) for result in results} == {AuthenticationError}
            assert len(sandbox.requests) == 100

    run(main())


def test_a_provider_is_called_once_for_the_successor_of_a_rejected_token() -> None:
    rejected_tokens = list[str | None]()

    def provide(_: str, rejected: str | None) -> str:
        rejected_tokens.append(rejected)
        return "old" if rejected is None else "new"

    async def main() -> None:
        async with serving(provide) as (sandbox, client):
            await list_numbers(client)
            sandbox.revoke("old")
            assert [len(numbers) for numbers in await asyncio.gather(*(list_numbers(client) for _ in range(50)))] == [
                3
            ] * 50
            assert rejected_tokens.count("old") == 1

    run(main())


def test_a_token_that_waits_is_renewed_though_its_time_is_short() -> None:
    async def provide(_: str, rejected: str | None) -> str:
        await asyncio.sleep(0 if rejected is None else 30)
        return "old"

    async def main() -> None:
        async with serving(provide, retry=RetryPolicy(total_timeout=10)) as (sandbox, client):
            sandbox.revoke("old")
            results = await asyncio.gather(*(list_numbers(client) for _ in range(3)), return_exceptions=True)
            assert {type(result) for result in results} == {RequestTimeoutError}
            assert now() == pytest.approx(10)

    run(main())


def test_another_token_is_not_concerned() -> None:
    async def main() -> None:
        async with serving(lambda waba_id, _: f"token-of-{waba_id}") as (sandbox, client):
            sandbox.revoke(f"token-of-{SMALL_WABA}")
            calls = [list_numbers(client, waba_id) for waba_id in (SMALL_WABA, LARGE_WABA) for _ in range(10)]
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert [type(result) for result in results] == [AuthenticationError] * 10 + [Rows] * 10

    run(main())


def test_its_repr_has_its_quotas() -> None:
    assert repr(Throttle()) == "Throttle(quota=None, app_quota=None)"
    assert repr(Throttle(quota=200, app_quota=9)) == "Throttle(quota=200, app_quota=9)"
