"""Watching: each change once, only complete lists, with the documented delays, through throttling and outages."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wa_phone_async import (
    DEFAULT_FIELDS,
    META_DEFAULT,
    AuthenticationError,
    BadRequestError,
    CallFinished,
    Change,
    DecodeError,
    Filter,
    GraphAPIError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    PhoneNumber,
    PhoneNumberClient,
    RateLimitError,
    RetryPolicy,
    ServerError,
    TransportError,
    Usage,
    UsageMetric,
    WaitError,
    WaitTimeoutError,
    WaPhoneError,
    Watch,
    from_dict,
    is_ready,
)
from wa_phone_async.sandbox import LARGE_WABA, SMALL_WABA, Fault, Sandbox, VirtualTimeLoop
from wa_phone_async.workflows.watch import (
    PollResult,
    compare,
    members,
    min_delay,
    next_delay,
    used_percent,
    wait_until,
)

T = TypeVar("T")

SHOP_WABA = "900"
ONCE = RetryPolicy(max_attempts=1)
ACME = PhoneNumber("1", display_phone_number="+1 631-555-0100", status="PENDING", quality_rating="GREEN")
OTHER = PhoneNumber("2", display_phone_number="+1 631-555-0101", status="CONNECTED")
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run in virtual time, which begins at 0."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


def now() -> float:
    return asyncio.get_running_loop().time()


def rejection(kind: type[GraphAPIError], retry_after: float | None = None) -> GraphAPIError:
    return kind("rejected", http_status=400, retry_after=retry_after)


class Shop:
    """An account as a client reads it: the results of the polls in order, complete lists or errors."""

    def __init__(self, *results: Iterable[PhoneNumber] | BaseException, usage: Usage | None = None) -> None:
        self.results = list(results)
        self.usage = usage
        self.times: list[float] = []

    async def __call__(self) -> list[PhoneNumber]:
        """Return the next result. The last one comes again and again."""
        self.times.append(now())
        result = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        if isinstance(result, BaseException):
            raise result
        return list(result)

    def watch(
        self, *, interval: float = 60, total_timeout: float | None = None, known: Iterable[PhoneNumber] | None = None
    ) -> Watch:
        return Watch(
            SHOP_WABA,
            self,
            interval=interval,
            total_timeout=total_timeout,
            known=known,
            usage=lambda: self.usage,
        )

    @property
    def delays(self) -> list[float]:
        return [round(after - before, 3) for before, after in itertools.pairwise(self.times)]


async def seen(watch: Watch) -> list[tuple[str, str, Any, Any]]:
    return [(change.phone_number_id, change.field, change.old, change.new) async for change in watch]


@asynccontextmanager
async def client_of(sandbox: Sandbox, **options: Any) -> AsyncIterator[PhoneNumberClient]:
    options = {"retry": ONCE, **options}
    async with PhoneNumberClient("any-token", base_url=sandbox.url, **options) as client:
        yield client


def replay(baseline: Iterable[PhoneNumber], changes: Iterable[Change]) -> dict[str, dict[str, Any]]:
    """Apply changes to a list, and return what is then known of each number."""
    state = {number.id: members(number) for number in baseline}
    for change in changes:
        if change.field == "id" and change.new is None:
            assert state.pop(change.phone_number_id)["id"] == change.old
        elif change.field == "id":
            assert change.phone_number_id not in state
            state[change.new] = members(change.number)
        else:
            number = state[change.phone_number_id]
            assert number.pop(change.field, None) == change.old
            if change.new is not None:
                number[change.field] = change.new
    return state


def as_state(numbers: Iterable[PhoneNumber]) -> dict[str, dict[str, Any]]:
    return {number.id: members(number) for number in numbers}


class TestChanges:
    def test_the_first_list_is_the_base_of_the_comparison(self) -> None:
        now_connected = PhoneNumber("1", "+1 631-555-0100", status="CONNECTED", quality_rating="GREEN")
        shop = Shop([ACME, OTHER], [now_connected, OTHER])
        assert run(seen(shop.watch(total_timeout=100))) == [("1", "status", "PENDING", "CONNECTED")]

    def test_a_number_that_comes_or_goes_is_a_change_of_its_id(self) -> None:
        shop = Shop([ACME], [OTHER, PhoneNumber("3")])
        assert run(seen(shop.watch(total_timeout=100))) == [
            ("1", "id", "1", None),
            ("2", "id", None, "2"),
            ("3", "id", None, "3"),
        ]

    def test_a_change_has_the_whole_number_and_its_time(self) -> None:
        before = datetime.now(UTC)
        shop = Shop([ACME], [OTHER])

        async def main() -> list[Change]:
            watch = shop.watch()
            changes = [await anext(watch), await anext(watch)]
            assert {change.seen_at for change in changes} == {watch.seen_at}
            return changes

        gone, came = run(main())
        assert (gone.waba_id, gone.number, gone.display_phone_number) == (SHOP_WABA, ACME, "+1 631-555-0100")
        assert came.number is OTHER
        assert came.seen_at.utcoffset() == timedelta(0)
        assert before <= came.seen_at <= datetime.now(UTC)

    def test_a_watch_with_known_numbers_misses_no_change(self) -> None:
        async def main() -> list[tuple[str, str, Any, Any]]:
            first = Shop([ACME]).watch(total_timeout=1)
            assert first.known is None
            assert await seen(first) == []
            assert first.known == (ACME,)
            return await seen(Shop([ACME, OTHER]).watch(known=first.known, total_timeout=1))

        assert run(main()) == [("2", "id", None, "2")]

    def test_known_is_the_list_before_the_unread_changes(self) -> None:
        async def main() -> None:
            watch = Shop([ACME], [OTHER]).watch()
            await anext(watch)
            assert watch.known == (ACME,)
            await anext(watch)
            assert watch.known == (OTHER,)

        run(main())

    def test_a_member_of_extra_changes_under_its_own_name(self) -> None:
        def number(**row: Any) -> PhoneNumber:
            return from_dict(PhoneNumber, {"id": "1", **row})

        shop = Shop([number(throughput=80, shoe_size=44)], [number(throughput={"level": "HIGH"}, hook={"a": [1]})])
        changes = {field: (old, new) for _, field, old, new in run(seen(shop.watch(total_timeout=100)))}
        assert changes == {
            "throughput": (80, number(throughput={"level": "HIGH"}).throughput),
            "shoe_size": (44, None),
            "hook": (None, {"a": [1]}),
        }

    def test_the_repr_names_the_account(self) -> None:
        watch = PhoneNumberClient("token").watch(SMALL_WABA)
        assert repr(watch) == f"<Watch of {SMALL_WABA}: iterate over it with 'async for'>"

    @pytest.mark.parametrize("known", [ACME, [ACME, "2"], 7])
    def test_known_must_be_phone_numbers(self, known: Any) -> None:
        with pytest.raises(
            InvalidArgumentError, match=r"known must be phone numbers of an earlier list, not (PhoneNumber|str|int)"
        ):
            Shop([ACME]).watch(known=known)


ROWS = st.dictionaries(
    st.sampled_from(["1", "2", "3", "4"]),
    st.fixed_dictionaries(
        {},
        optional={
            "status": st.sampled_from(["PENDING", "CONNECTED", "BANNED", None]),
            "verified_name": st.sampled_from(["Acme Shoes", "Acme", ""]),
            "throughput": st.sampled_from([{"level": "HIGH"}, {}, 80, None]),
            "is_pin_enabled": st.booleans(),
            "shoe_size": st.sampled_from([44, "44", [44], None]),
        },
    ),
)
FIELDS = "id,status,verified_name,throughput,is_pin_enabled"
FAULTS = {
    "throttled": Fault.error(80008),
    "throttled with Retry-After": Fault.error(4, headers={"Retry-After": "100"}),
    "trouble": Fault.error(2),
    "down": Fault.html(),
    "dropped": Fault.drop_before(),
    "cut": Fault.cut(),
    "cut in the middle of the JSON": Fault.cut(clean=True),
    "no list": Fault.raw('{"data": 7}'),
    "a list that cannot go on": Fault.raw('{"data": [], "paging": {"next": "https://x.example/"}}'),
    "slow": Fault.delay(45),
}
TROUBLE = st.lists(st.sampled_from(sorted(FAULTS)), max_size=2)


@settings(max_examples=12)
@given(st.lists(st.tuples(st.integers(1, 900), ROWS, TROUBLE), max_size=4))
def test_changes_applied_to_the_first_list_give_the_last_one_through_all_faults(
    history: list[tuple[int, Mapping[str, Mapping[str, Any]], list[str]]],
) -> None:
    changes: list[Change] = []

    async def collect(watch: Watch) -> None:
        async for change in watch:
            changes.append(change)  # noqa: PERF401 - a comprehension would lose the changes when it is cancelled

    async def main() -> None:
        async with Sandbox() as sandbox, client_of(sandbox, timeout=30) as client:
            sandbox.add_waba(SHOP_WABA, [{"id": "1", "status": "PENDING"}])
            baseline = [PhoneNumber("1", status="PENDING")]
            watch = client.watch(SHOP_WABA, interval=60, known=baseline, fields=FIELDS)
            watching = asyncio.create_task(collect(watch))
            for seconds, world, faults in history:
                await asyncio.sleep(seconds)
                for name in faults:
                    sandbox.plan(FAULTS[name], times=2)  # since aiohttp sends a dropped request again
                sandbox.add_waba(SHOP_WABA, [{"id": key, **row} for key, row in world.items()])
            while sandbox.faults_left:
                await asyncio.sleep(60)
            seen = watch.seen_at
            while watch.seen_at == seen:
                await asyncio.sleep(60)
            watching.cancel()
            last = await client.list_phone_numbers(SHOP_WABA, fields=FIELDS)
            assert replay(baseline, changes) == as_state(watch.known or ()) == as_state(last)
            assert watch.error is None

    run(main())


STATES = st.lists(
    st.builds(
        PhoneNumber,
        id=st.sampled_from("123"),
        status=st.sampled_from(["PENDING", "CONNECTED", None]),
        username=st.sampled_from(["acme", None]),
    ),
    unique_by=lambda number: number.id,
)


@given(STATES, STATES)
def test_comparing_reports_all_differences_and_nothing_else(
    before: list[PhoneNumber], after: list[PhoneNumber]
) -> None:
    old, new = ({number.id: number for number in numbers} for numbers in (before, after))
    changes = compare(SHOP_WABA, old, new, NOON)
    assert replay(before, changes) == as_state(after)
    assert all(change.old != change.new for change in changes)
    assert len({(change.phone_number_id, change.field) for change in changes}) == len(changes)
    assert compare(SHOP_WABA, new, new, NOON) == []


class TestWholeLists:
    def test_a_list_that_fails_in_the_middle_shows_no_change(self) -> None:
        async def main() -> None:
            async with Sandbox() as sandbox, client_of(sandbox) as client:
                calls = 0

                def fail_the_second_page_of_the_second_poll(event: Any) -> None:
                    nonlocal calls
                    calls += isinstance(event, CallFinished)
                    if calls == 3:
                        for number in sandbox.numbers(LARGE_WABA):
                            sandbox.update_number(LARGE_WABA, number["id"], quality_rating="YELLOW")
                    if calls == 4:
                        sandbox.plan(Fault.error(2))

                client.subscribe(fail_the_second_page_of_the_second_poll)
                watch = client.watch(LARGE_WABA, fields="id,quality_rating", total_timeout=70)
                assert [change async for change in watch] == []
                assert isinstance(watch.error, ServerError)
                assert calls == 5
                assert watch.known is not None
                assert len(watch.known) == 250
                more = client.watch(LARGE_WABA, fields="id,quality_rating", known=watch.known, total_timeout=1)
                changes = [change async for change in more]
                assert {(change.field, change.new) for change in changes} == {("quality_rating", "YELLOW")}
                assert len(changes) == sum(number.quality_rating != "YELLOW" for number in watch.known)

        run(main())

    @pytest.mark.parametrize(
        "error",
        [
            rejection(RateLimitError),
            TransportError("no response"),
            rejection(ServerError),
            DecodeError("not JSON"),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_a_transient_error_does_not_end_the_watch(self, error: WaPhoneError) -> None:
        shop = Shop([ACME], error, error, [OTHER])

        async def main() -> None:
            watch = shop.watch()
            change = await anext(watch)
            assert (change.field, watch.error) == ("id", None)

        run(main())
        assert shop.delays == [60, 120, 240]

    @pytest.mark.parametrize("kind", [AuthenticationError, PermissionDeniedError, NotFoundError, BadRequestError])
    def test_a_lasting_error_is_raised_and_the_same_watch_can_go_on(self, kind: type[GraphAPIError]) -> None:
        shop = Shop([ACME], rejection(kind), [ACME, OTHER])

        async def main() -> None:
            watch = shop.watch()
            with pytest.raises(kind):
                await anext(watch)
            assert (await anext(watch)).new == "2"

        run(main())
        assert shop.delays == [60, 120]

    def test_a_closed_client_raises(self) -> None:
        async def main() -> None:
            async with Sandbox() as sandbox:
                async with client_of(sandbox) as client:
                    watch = client.watch(SMALL_WABA)
                with pytest.raises(RuntimeError, match="closed"):
                    await anext(watch)

        run(main())

    def test_a_timeout_error_of_a_provider_is_raised(self) -> None:
        with pytest.raises(TimeoutError, match="vault"):
            run(seen(Shop(TimeoutError("vault")).watch(total_timeout=10)))

    def test_an_error_that_is_kept_holds_no_frames(self) -> None:
        async def main() -> WaPhoneError | None:
            watch = Shop(TransportError("no response")).watch(total_timeout=10)
            assert await seen(watch) == []
            return watch.error

        error = run(main())
        assert error is not None
        assert error.__traceback__ is None


class TestTime:
    def test_delays_grow_while_nothing_changes_and_shrink_after_a_change(self) -> None:
        shop = Shop(*[[ACME]] * 6, [OTHER])
        assert len(run(seen(shop.watch(total_timeout=1500)))) == 2
        assert shop.delays[:6] == [60, 90, 135, 202.5, 240, 240]
        assert shop.delays[6:10] == [15, 22.5, 33.75, 50.625]

    def test_the_time_runs_from_the_first_step_and_ends_with_a_last_poll(self) -> None:
        shop = Shop([ACME])

        async def main() -> None:
            watch = shop.watch(interval=100, total_timeout=200)
            assert watch.seconds_left is None
            await asyncio.sleep(1000)
            assert await seen(watch) == []
            assert now() == 1200
            assert await seen(watch) == []  # the end is final
            assert now() == 1200

        run(main())
        assert shop.times == [1000, 1100, 1175]

    def test_a_poll_that_takes_too_long_is_cancelled(self) -> None:
        async def main() -> None:
            async with Sandbox() as sandbox, client_of(sandbox, timeout=300) as client:
                sandbox.plan(Fault.delay(100), times=2)
                assert await seen(client.watch(SMALL_WABA, total_timeout=30)) == []
                assert now() == pytest.approx(30)

        run(main())

    def test_unread_changes_are_returned_after_the_time_is_over(self) -> None:
        async def main() -> None:
            watch = Shop([ACME], [OTHER]).watch(total_timeout=61)
            await anext(watch)
            await asyncio.sleep(100)
            assert (await anext(watch)).new == "2"
            with pytest.raises(StopAsyncIteration):
                await anext(watch)

        run(main())

    def test_the_time_of_the_caller_between_steps_counts(self) -> None:
        shop = Shop([ACME], [OTHER], [ACME])

        async def main() -> None:
            async for _ in shop.watch(total_timeout=1000):
                await asyncio.sleep(400)

        run(main())
        assert shop.times == [0, 60, 860]

    def test_seconds_left_says_when_the_next_poll_is_due(self) -> None:
        async def main() -> None:
            watch = Shop([ACME], [OTHER]).watch()
            step = asyncio.ensure_future(anext(watch))
            await asyncio.sleep(20)
            assert watch.seconds_left == 40
            await step
            assert watch.seconds_left == 15
            await asyncio.sleep(20)
            assert watch.seconds_left == 0

        run(main())

    def test_a_cancelled_step_leaves_no_task_and_the_next_one_keeps_the_time(self) -> None:
        shop = Shop([ACME], [OTHER])

        async def main() -> None:
            watch = shop.watch()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(watch), 20)
            assert len(asyncio.all_tasks()) == 1
            await anext(watch)

        run(main())
        assert shop.times == [0, 60]

    def test_leaving_the_loop_leaves_no_task_behind(self) -> None:
        shop = Shop([ACME], [OTHER])

        async def main() -> None:
            async for _ in shop.watch():
                break
            assert asyncio.all_tasks() == {asyncio.current_task()}
            await asyncio.sleep(3600)

        run(main())
        assert shop.times == [0, 60]

    def test_two_consumers_at_once_are_an_error(self) -> None:
        async def main() -> None:
            watch = Shop([ACME]).watch(total_timeout=100)
            step = asyncio.ensure_future(anext(watch, None))
            await asyncio.sleep(1)
            with pytest.raises(RuntimeError, match="give each one a watch of its own"):
                await anext(watch)
            assert await step is None

        run(main())

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"interval": 0}, "interval must be a number of seconds above 0, not 0"),
            ({"interval": "60"}, "interval must be"),
            ({"total_timeout": -1}, "total_timeout must be a number of seconds above 0, not -1"),
            ({"fields": []}, "fields must be names"),
            ({"filtering": "account_mode"}, "filtering must be one Filter or several"),
            ({"follow": "before"}, "follow must be 'next' or 'after'"),
            ({"known": "1"}, "known must be phone numbers"),
        ],
    )
    async def test_an_invalid_argument_is_an_error_before_any_request(self, options: Any, said: str) -> None:
        async with PhoneNumberClient("any-token") as client:
            with pytest.raises(InvalidArgumentError, match=said):
                client.watch(SMALL_WABA, **options)
            with pytest.raises(InvalidArgumentError, match="waba_id must be"):
                client.watch("x", **options)


LENGTHS = st.floats(0.001, 1e6)


class TestDelays:
    @given(
        interval=LENGTHS,
        last=st.none() | LENGTHS,
        result=st.sampled_from(["changed", "quiet", "failed"]),
        at_least=st.floats(0, 1e6),
    )
    def test_bounds(self, interval: float, last: float | None, result: PollResult, at_least: float) -> None:
        if last is not None:
            last = max(last, interval / 4)  # no delay is shorter
        delay = next_delay(interval, last, result, at_least=at_least)
        assert delay >= at_least
        assert interval / 4 <= delay <= max(4 * interval, at_least)
        if result == "failed":
            assert delay >= interval

    @given(interval=LENGTHS, last=LENGTHS, at_least=st.floats(0, 1e6), left=st.floats(0, 1e7))
    def test_the_last_poll_is_before_the_end_and_not_too_soon(
        self, interval: float, last: float, at_least: float, left: float
    ) -> None:
        usual = next_delay(interval, max(last, interval / 4), "quiet", at_least=at_least)
        delay = next_delay(interval, max(last, interval / 4), "quiet", at_least=at_least, left=left)
        assert max(at_least, interval / 4) <= delay <= usual
        if delay != usual:
            assert delay == left - interval / 4

    @given(rounds=st.integers(1, 60))
    def test_delays_never_exceed_four_times_the_interval(self, rounds: int) -> None:
        results: list[PollResult] = ["quiet", "failed"]
        for result in results:
            last = None
            for _ in range(rounds + 10):
                last = next_delay(60, last, result)
            assert last == 240

    def test_after_a_long_cooldown_delays_are_as_usual(self) -> None:
        assert next_delay(60, 3600, "quiet") == 240
        assert next_delay(60, 3600, "changed") == 15

    @given(percent=st.floats(0, 300), calls=st.integers(1, 100))
    def test_the_least_delay_leaves_quota_to_others(self, percent: float, calls: int) -> None:
        delay = min_delay(percent, calls)
        assert delay == 0 if percent <= 25 else 36 * calls <= delay <= 360.001 * calls
        assert min_delay(percent + 1, calls) >= delay

    @pytest.mark.parametrize(
        ("usage", "percent"),
        [
            (None, 30),
            (Usage(), 30),
            (Usage(waba=UsageMetric(10.0)), 10),
            (Usage(waba=UsageMetric(10.0), app=UsageMetric(20.0, load_percent=90.0)), 90),
        ],
    )
    def test_the_fuller_quota_counts_and_without_usage_our_own_calls(self, usage: Usage | None, percent: float) -> None:
        assert used_percent(usage, 60) == percent


class TestQuota:
    def test_a_wait_that_the_api_demands_is_kept(self) -> None:
        shop = Shop(rejection(RateLimitError, retry_after=1000.0), [ACME])
        run(seen(shop.watch(total_timeout=1001)))
        assert shop.times == [0, 1000]

    def test_a_quota_that_is_nearly_used_is_left_to_others(self) -> None:
        shop = Shop(*[[ACME], [OTHER]] * 100, usage=Usage(waba=UsageMetric(calls_percent=75.0)))
        run(seen(shop.watch(total_timeout=3600)))
        assert set(shop.delays[:-1]) == {round(36 * 10 ** (2 / 3), 3)}

    def test_without_usage_it_takes_half_of_the_smallest_quota(self) -> None:
        shop = Shop(*[[ACME], [OTHER]] * 2000)
        run(seen(shop.watch(interval=1, total_timeout=4 * 3600)))
        for since in shop.times:
            assert sum(since <= time < since + 3600 for time in shop.times) <= 115
        assert len(shop.times) > 4 * 70

    @pytest.mark.parametrize("pages", [1, 3])
    def test_each_page_counts(self, pages: int) -> None:
        usage = Usage(app=UsageMetric(calls_percent=100.0))
        numbers = [PhoneNumber(str(index)) for index in range(100 * (pages - 1) + 1)]
        shop = Shop(numbers, usage=usage)
        run(seen(shop.watch(total_timeout=360 * pages + 1)))
        assert shop.times == [0, 360 * pages]

    def test_a_number_that_changes_all_the_time_leaves_quota_to_others(self) -> None:
        async def flap(sandbox: Sandbox, number: str) -> None:
            for count in itertools.count():
                sandbox.update_number(SHOP_WABA, number, quality_rating=("GREEN", "RED")[count % 2])
                await asyncio.sleep(10)

        async def main() -> None:
            async with Sandbox(quota=200) as sandbox, client_of(sandbox) as client:
                sandbox.add_waba(SHOP_WABA, [{"id": "1", "quality_rating": "RED"}])
                world = asyncio.create_task(flap(sandbox, "1"))
                async for _ in client.watch(SHOP_WABA, interval=20, fields="id,quality_rating", total_timeout=3600):
                    pass
                world.cancel()
                usage = client.last_usage(SHOP_WABA)
                assert usage is not None
                assert usage.waba is not None
                assert usage.waba.percent < 60
                assert len(sandbox.requests) < 120

        run(main())

    def test_it_waits_for_the_end_of_a_cooldown(self) -> None:
        async def main() -> None:
            async with Sandbox() as sandbox, client_of(sandbox) as client:
                sandbox.plan(Fault.error(80008, headers={"Retry-After": "1800"}))
                watch = client.watch(SMALL_WABA, fields="id,status", total_timeout=1810)
                assert await seen(watch) == []
                assert len(sandbox.requests) == 2
                assert (len(watch.known or ()), watch.error) == (3, None)

        run(main())


class TestSandbox:
    @pytest.mark.parametrize("mode", ["live", "reference"])
    def test_all_changes_of_an_account_are_seen(self, mode: Any) -> None:
        async def main() -> None:
            async with Sandbox(mode=mode) as sandbox, client_of(sandbox) as client:
                first, second, third = (number["id"] for number in sandbox.numbers(SMALL_WABA))
                watch = client.watch(SMALL_WABA)
                task = asyncio.ensure_future(anext(watch))
                await asyncio.sleep(10)
                sandbox.update_number(SMALL_WABA, second, status="BANNED")
                assert (await task).new == "BANNED"
                created = await client.create_phone_number(
                    SMALL_WABA, phone_number="16315551000", verified_name="Acme", cc="1"
                )
                came = await anext(watch)
                assert (came.field, came.old, came.new) == ("id", None, created.id)
                assert came.number.status == "PENDING"
                sandbox.remove_number(SMALL_WABA, third)
                gone = await anext(watch)
                assert (gone.phone_number_id, gone.old, gone.new) == (third, third, None)
                sandbox.update_number(SMALL_WABA, first, platform_type="NOT_APPLICABLE")
                moved = await anext(watch)
                assert (moved.field, moved.old, moved.new) == ("host_platform", "CLOUD_API", "NOT_APPLICABLE")

        run(main())

    def test_a_number_that_no_longer_meets_the_filter_is_gone(self) -> None:
        async def main() -> None:
            async with Sandbox() as sandbox, client_of(sandbox) as client:
                number = sandbox.numbers(SMALL_WABA)[0]["id"]
                live = (condition for condition in [Filter("account_mode", "LIVE")])
                watch = client.watch(SMALL_WABA, filtering=live, follow="after", fields=iter(["id"]))
                task = asyncio.ensure_future(anext(watch))
                await asyncio.sleep(10)
                sandbox.update_number(SMALL_WABA, number, account_mode="SANDBOX")
                assert (await task).old == number

        run(main())

    def test_a_revoked_token_is_raised(self) -> None:
        async def main() -> None:
            async with Sandbox(tokens=["any-token"]) as sandbox, client_of(sandbox) as client:
                watch = client.watch(SMALL_WABA)
                task = asyncio.ensure_future(anext(watch))
                await asyncio.sleep(10)
                sandbox.revoke("any-token")
                with pytest.raises(AuthenticationError):
                    await task

        run(main())

    def test_an_outage_of_hours_does_not_end_the_watch(self) -> None:
        async def main() -> None:
            sandbox = Sandbox()
            async with sandbox:
                client = PhoneNumberClient("any-token", base_url=sandbox.url)
                watch = client.watch(SMALL_WABA, fields="id,status")
                task = asyncio.ensure_future(anext(watch))
                await asyncio.sleep(10)
                number = sandbox.numbers(SMALL_WABA)[1]["id"]
                sandbox.plan(Fault.drop_before(), times=10_000)
                sandbox.update_number(SMALL_WABA, number, status="CONNECTED")
                await asyncio.sleep(5 * 3600)
                assert isinstance(watch.error, TransportError)
                assert len(sandbox.requests) < 1000
                sandbox._api.plan._planned.clear()
                assert (await task).new == "CONNECTED"
                assert now() < 5 * 3600 + 310
                await client.aclose()

        run(main())


class TestWaitUntil:
    def test_it_returns_the_number_in_the_new_state(self) -> None:
        async def main() -> None:
            async with Sandbox() as sandbox, client_of(sandbox) as client:
                number = sandbox.numbers(SMALL_WABA)[1]["id"]

                async def change() -> None:
                    for members in (
                        {"code_verification_status": "VERIFIED"},
                        {"platform_type": "CLOUD_API", "status": "CONNECTED"},
                        {"name_status": "APPROVED"},
                    ):
                        await asyncio.sleep(1000)
                        sandbox.update_number(SMALL_WABA, number, **members)

                world = asyncio.create_task(change())
                sandbox.update_number(SMALL_WABA, number, name_status="PENDING_REVIEW")
                ready = await client.wait_until(number, is_ready, waba_id=SMALL_WABA, total_timeout=4000)
                assert is_ready(ready)
                assert 3000 <= now() <= 3240
                await world

        run(main())

    @pytest.mark.parametrize("mode", ["live", "reference"])
    def test_a_number_that_is_ready_takes_one_poll(self, mode: Any) -> None:
        async def main() -> None:
            async with Sandbox(mode=mode) as sandbox, client_of(sandbox) as client:
                number = sandbox.numbers(SMALL_WABA)[0]["id"]
                assert (await client.wait_until(number, is_ready)).id == number
                assert now() == 0

        run(main())

    @pytest.mark.parametrize(
        ("members", "why"),
        [
            ({"status": "BANNED"}, "BANNED is final; not registered"),
            ({"name_status": "DECLINED"}, "DECLINED is final; not approved by name (name_status DECLINED)"),
        ],
    )
    def test_it_does_not_wait_for_a_state_that_never_comes(self, members: Any, why: str) -> None:
        async def main() -> WaitError:
            async with Sandbox() as sandbox, client_of(sandbox) as client:
                number = sandbox.numbers(SMALL_WABA)[0]["id"]
                sandbox.update_number(SMALL_WABA, number, **members)
                with pytest.raises(WaitError, match=f"{number} cannot reach the state that you wait for: ") as caught:
                    await client.wait_until(number, is_ready)
                assert now() == 0
                assert caught.value.phone_number_id == number
                return caught.value

        error = run(main())
        assert not isinstance(error, TimeoutError)
        assert why in str(error)
        assert error.last_seen is not None
        assert members.items() <= members_of(error.last_seen).items()

    def test_another_predicate_may_wait_for_a_final_state(self) -> None:
        read = numbers(ACME, PhoneNumber("1", status="DELETED"), PhoneNumber("1", status="PENDING"))
        assert run(waiting(read, lambda number: number.status == "PENDING" and number != ACME)).status == "PENDING"

    def test_unless_ends_the_wait(self) -> None:
        read = numbers(ACME, OTHER)
        with pytest.raises(WaitError, match=r"wait for: unless= returned true; status CONNECTED$"):
            run(waiting(read, is_ready, unless=lambda number: number.status == "CONNECTED"))

    def test_with_unless_only_the_caller_says_which_states_are_final(self) -> None:
        read = numbers(PhoneNumber("1", status="BANNED"), OTHER)
        assert run(waiting(read, lambda number: number is OTHER, unless=lambda _: False)) is OTHER

    @pytest.mark.parametrize(
        ("predicate", "said"),
        [
            (is_ready, "not known to be verified (the API did not say); not registered (status PENDING); not known"),
            (lambda _: False, "last seen with status PENDING"),
        ],
    )
    def test_out_of_time(self, predicate: Any, said: str) -> None:
        with pytest.raises(WaitTimeoutError) as caught:
            run(waiting(numbers(ACME), predicate, total_timeout=300))
        assert f"1 did not reach the state that you wait for within 300 s: {said}" in str(caught.value)
        assert caught.value.last_seen == ACME
        assert caught.value.__cause__ is None
        assert isinstance(caught.value, TimeoutError)

    def test_out_of_time_without_a_response_says_why(self) -> None:
        with pytest.raises(WaitTimeoutError, match="within 300 s: no poll could read it") as caught:
            run(waiting(numbers(TransportError("no response")), is_ready, total_timeout=300))
        assert isinstance(caught.value.__cause__, TransportError)
        assert caught.value.last_seen is None

    def test_it_polls_more_often_after_a_change(self) -> None:
        times: list[float] = []
        read = numbers(ACME, ACME, OTHER, OTHER, times=times)
        with pytest.raises(WaitTimeoutError):
            run(waiting(read, is_ready, total_timeout=220))
        assert times == [0, 60, 150, 165, 187.5, 205]

    def test_a_missing_number_is_an_error_at_once(self) -> None:
        async def main() -> None:
            async with Sandbox() as sandbox, client_of(sandbox) as client:
                with pytest.raises(NotFoundError):
                    await client.wait_until("12345", is_ready)

        run(main())

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"predicate": None}, "predicate must be a plain function of a PhoneNumber, such as is_ready"),
            ({"unless": True}, "unless must be a plain function of a PhoneNumber"),
            ({"phone_number_id": "x"}, "phone_number_id must be"),
            ({"waba_id": "x"}, "waba_id must be"),
            ({"interval": -1}, "interval must be"),
            ({"total_timeout": 0}, "total_timeout must be"),
            ({"fields": "a,,b"}, "fields must be names"),
        ],
    )
    async def test_an_invalid_argument_is_an_error_before_any_request(self, options: Any, said: str) -> None:
        async with PhoneNumberClient("any-token") as client:
            with pytest.raises(InvalidArgumentError, match=said):
                await client.wait_until(**{"phone_number_id": "1", "predicate": is_ready, **options})

    async def test_a_predicate_must_not_be_a_coroutine_function(self) -> None:
        async def predicate(_: PhoneNumber) -> bool:
            return True  # pragma: no cover - never called

        async with PhoneNumberClient("any-token") as client:
            with pytest.raises(InvalidArgumentError, match="predicate must be a plain function"):
                await client.wait_until("1", predicate)  # type: ignore[arg-type]  # the mistake under test

    def test_an_error_of_a_predicate_is_raised(self) -> None:
        with pytest.raises(ZeroDivisionError):
            run(waiting(numbers(ACME), lambda _: bool(1 / 0)))

    def test_without_fields_the_default_fields_are_requested(self) -> None:
        async def main() -> None:
            async with Sandbox() as sandbox, client_of(sandbox) as client:
                number = sandbox.numbers(SMALL_WABA)[0]["id"]
                await client.wait_until(number, lambda number: number.verified_name is not None, fields=None)
                await client.wait_until(number, lambda number: number.verified_name is not None, fields=META_DEFAULT)
                assert [r.query.get("fields") for r in sandbox.requests] == [",".join(DEFAULT_FIELDS), None]

        run(main())


def members_of(number: PhoneNumber) -> dict[str, Any]:
    return members(number)


def numbers(
    *results: PhoneNumber | BaseException, times: list[float] | None = None
) -> Callable[[], Awaitable[PhoneNumber]]:
    """A function that returns or raises the results of the polls in order. The last one comes again and again."""
    left = list(results)

    async def read() -> PhoneNumber:
        if times is not None:
            times.append(now())
        result = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(result, BaseException):
            raise result
        return result

    return read


async def waiting(read: Callable[[], Awaitable[PhoneNumber]], predicate: Any, **options: Any) -> PhoneNumber:
    settings = {"interval": 60, "total_timeout": None, "unless": None, "usage": lambda: None, **options}
    return await wait_until("1", predicate, read, **settings)
