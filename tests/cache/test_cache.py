"""The cache: one read for all callers, and after an invalidation no read returns an older listing."""

import asyncio
import contextlib
import gc
import hashlib
import hmac
import itertools
import json
import threading
import traceback
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest
from unthrottled import Unthrottled

from wa_phone_async import (
    ALL_FIELDS,
    CallFinished,
    ConflictError,
    DecodeError,
    Event,
    Filter,
    InvalidArgumentError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    PhoneNumber,
    PhoneNumberCache,
    PhoneNumberClient,
    RateLimitError,
    RetryPolicy,
    Sort,
    StaleListingError,
    Throttle,
    TransportError,
    WebhookSignatureError,
    Write,
    parse_webhook,
)
from wa_phone_async.sandbox import EMPTY_WABA, LARGE_WABA, SMALL_WABA, Fault, Sandbox, VirtualTimeLoop

T = TypeVar("T")

TOKEN = "an-invented-token"
SECRET = "an-invented-app-secret"
SHOP, OTHER_SHOP = BOTH = ["100200300400777", "100200300400778"]
FIRST, SECOND, ELSEWHERE = "555000000000001", "555000000000002", "555000000000003"
LATENCY = 0.25


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run in virtual time, which begins at 0."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


def now() -> float:
    return asyncio.get_running_loop().time()


def tasks() -> set[asyncio.Task[Any]]:
    """All tasks but the current one."""
    return asyncio.all_tasks() - {asyncio.current_task()}


def add_shops(sandbox: Sandbox) -> None:
    """Add two accounts. No number of them is pending."""
    for waba_id, ids in ((SHOP, (FIRST, SECOND)), (OTHER_SHOP, (ELSEWHERE,))):
        digits = {number_id: f"+1 631-555-100{number_id[-1]}" for number_id in ids}
        sandbox.add_waba(
            waba_id,
            [
                {"id": number_id, "display_phone_number": shown, "verified_name": "Acme", "status": "CONNECTED"}
                for number_id, shown in digits.items()
            ],
        )


@asynccontextmanager
async def serving(
    client_options: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[tuple[Sandbox, PhoneNumberCache]]:
    """A sandbox, and the cache of a client of it. At the end, no task is left."""
    before = tasks()
    async with Sandbox(quota=None, latency=LATENCY) as sandbox:
        add_shops(sandbox)
        settings = {"base_url": sandbox.url, "retry": RetryPolicy(max_attempts=2), **(client_options or {})}
        async with (
            PhoneNumberClient(TOKEN, **settings) as client,
            PhoneNumberCache(client, **options) as cache,
        ):
            yield sandbox, cache
    await asyncio.sleep(0)
    assert tasks() == before


def client_of(cache: PhoneNumberCache) -> PhoneNumberClient:
    return cache._client


async def start_read(
    cache: PhoneNumberCache, waba_id: str = SHOP, **options: Any
) -> asyncio.Task[tuple[PhoneNumber, ...]]:
    """Start a read. Its request is in flight then."""
    task = asyncio.create_task(cache.phone_numbers(waba_id, **options))
    await asyncio.sleep(LATENCY / 5)
    return task


async def names(read: Any) -> list[str | None]:
    return [number.verified_name for number in await read]


async def write_to(client: PhoneNumberClient, number_id: str, **options: Any) -> None:
    """A write on a number's node, such as registering it."""
    await client.session.post(Write(path=f"{number_id}/register", body={"pin": "123456"}), dict, **options)


# --- reads


def test_a_listing_is_kept_for_its_time_to_live() -> None:
    async def main() -> None:
        async with serving() as (sandbox, cache):
            first = await cache.phone_numbers(SHOP)
            assert [number.id for number in first] == [SECOND, FIRST]
            await asyncio.sleep(29.5 - LATENCY)
            assert await cache.phone_numbers(SHOP) is first
            assert len(sandbox.requests) == 1
            await asyncio.sleep(0.5)
            assert await cache.phone_numbers(SHOP) == first
            assert len(sandbox.requests) == 2

    run(main())


def test_the_age_counts_from_the_request_for_the_first_page() -> None:
    async def main() -> None:
        async with serving({"retry": RetryPolicy.batch()}) as (sandbox, cache):
            sandbox.plan(Fault.error(80008, headers={"Retry-After": "90"}))
            for _ in range(2):
                sandbox.plan(Fault.delay(10))
            await cache.phone_numbers(SHOP, limit=1)
            sent_at = 90 + LATENCY
            assert now() == sent_at + 2 * (10 + LATENCY)
            await asyncio.sleep(sent_at + 29.9 - now())
            await cache.phone_numbers(SHOP, limit=1)
            assert len(sandbox.requests) == 3
            await asyncio.sleep(0.2)
            await cache.phone_numbers(SHOP, limit=1)
            assert len(sandbox.requests) == 5

    run(main())


def test_a_slow_listing_serves_only_callers_from_before_it_was_too_old() -> None:
    async def main() -> None:
        async with serving(ttl=10) as (sandbox, cache):
            sandbox.plan(Fault.delay(8))
            sandbox.plan(Fault.delay(8))
            early = asyncio.create_task(cache.phone_numbers(SHOP, limit=1))
            await asyncio.sleep(9)
            joining = asyncio.create_task(cache.phone_numbers(SHOP, limit=1))
            await asyncio.sleep(2)
            late = asyncio.create_task(cache.phone_numbers(SHOP, limit=1))
            assert await early is await joining
            assert now() == 16 + 2 * LATENCY
            assert await late is not await early
            assert now() == 16 + 4 * LATENCY
            assert len(sandbox.requests) == 4

    run(main())


def test_any_number_of_callers_share_one_read() -> None:
    async def main() -> None:
        async with serving() as (sandbox, cache):
            listings = await asyncio.gather(*(cache.phone_numbers(LARGE_WABA) for _ in range(1000)))
            assert len(listings[0]) == 250
            assert all(listing is listings[0] for listing in listings)
            assert len(sandbox.requests) == 3

    run(main())


def test_a_bounded_number_of_requests_is_in_flight() -> None:
    async def main() -> None:
        async with serving({"throttle": Unthrottled()}) as (sandbox, cache):
            for number in range(100):
                sandbox.add_waba(f"77{number:03}", 1)
            readers = [asyncio.create_task(cache.phone_numbers(f"77{number:03}")) for number in range(100)]
            await asyncio.sleep(LATENCY / 2)
            assert len(sandbox.requests) == 32
            await asyncio.gather(*readers)
            assert now() == 4 * LATENCY

    run(main())


def numbers_of(*names: str) -> Iterator[str]:
    return iter(names)


LIVE = Filter("account_mode", "LIVE")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"fields": None, "filtering": None, "sort": None, "follow": "next"}),
        ({"limit": 1}, {"limit": 2}),
        ({"fields": "id,status"}, {"fields": ["status", "id"]}),
        ({"fields": "status"}, {"fields": "id, status,status"}),
        ({"fields": numbers_of("id", "status")}, {"fields": ("id", "status")}),
        ({"fields": "id,throughput{level}"}, {"fields": ["throughput{level}"]}),
        ({"filtering": LIVE}, {"filtering": [LIVE]}),
        ({"filtering": iter([LIVE])}, {"filtering": (Filter("account_mode", "LIVE"),)}),
        ({"filtering": LIVE}, {"filtering": Filter("Account_Mode", "live")}),
        ({"fields": "id,status"}, {"fields": ["Status", "ID"]}),
        ({"sort": Sort.CREATION_TIME_ASC}, {"sort": Sort.CREATION_TIME_ASC}),
        ({"sort": "creation_time_ascending"}, {"sort": "Creation_Time_ASCENDING"}),
    ],
)
def test_options_that_mean_the_same_share_a_listing(one: dict[str, Any], other: dict[str, Any]) -> None:
    async def main() -> None:
        async with serving() as (sandbox, cache):
            first = await cache.phone_numbers(SMALL_WABA, **one)
            calls = len(sandbox.requests)
            assert await cache.phone_numbers(SMALL_WABA, **other) is first
            assert len(sandbox.requests) == calls

    run(main())


@pytest.mark.parametrize(
    "other",
    [
        {"fields": "id"},
        {"fields": ["id", "status"]},
        {"filtering": LIVE},
        {"filtering": Filter("account_mode", "SANDBOX")},
        {"sort": Sort.CREATION_TIME_ASC},
        {"sort": "creation_time_ascending"},
        {"follow": "after"},
    ],
)
def test_other_options_have_a_listing_of_their_own(other: dict[str, Any]) -> None:
    async def main() -> None:
        async with serving() as (sandbox, cache):
            await cache.phone_numbers(SMALL_WABA)
            calls = len(sandbox.requests)
            await cache.phone_numbers(SMALL_WABA, **other)
            assert len(sandbox.requests) > calls

    run(main())


def test_a_restart_requests_the_same_even_if_the_arguments_were_changed() -> None:
    async def main() -> None:
        async with serving() as (sandbox, cache):
            values: list[Any] = ["LIVE"]
            conditions = [Filter("account_mode", values, "IN")]
            sandbox.plan(Fault.raw('{"data": []}'), times=2)
            task = await start_read(cache, fields=numbers_of("id", "status"), filtering=iter(conditions))
            values.append("SANDBOX")
            cache.invalidate(SHOP)
            await task
            first, second = (dict(request.query) for request in sandbox.requests)
            assert first == second
            assert (first["fields"], json.loads(first["filtering"])[0]["value"]) == ("id,status", ["LIVE"])

    run(main())


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        (
            {"max_items": 3},
            "max_items must be left out: a cache keeps whole listings, so its options are only ",
        ),
        ({"after": "QVFI"}, "after must be left out: a cache keeps whole listings"),
        ({"before": "QVFI"}, "before must be left out: a cache keeps whole listings"),
        ({"total_timeout": 5}, "total_timeout must be left out: a cache keeps whole listings"),
        ({"fields": "status", "feilds": "id"}, "feilds must be left out: a cache keeps whole listings"),
        ({"limit": 0}, "limit must be a whole number from 1 to 100, not 0"),
        ({"fields": 5}, "fields must be names"),
        ({"filtering": "LIVE"}, "filtering must be one Filter or several"),
        ({"filtering": 5}, "filtering must be one Filter or several"),
        ({"sort": ""}, "sort must be an order such as 'creation_time.desc'"),
        ({"follow": ["next"]}, "follow must be 'next' or 'after'"),
        ({"waba_id": "abc"}, "waba_id must be the id of the account"),
    ],
)
def test_an_invalid_option_is_an_error_before_any_request(options: dict[str, Any], wrong: str) -> None:
    async def main() -> None:
        async with serving() as (sandbox, cache):
            with pytest.raises(InvalidArgumentError) as caught:
                await cache.phone_numbers(**{"waba_id": SHOP, **options})
            assert str(caught.value).startswith(wrong)
            assert sandbox.requests == []
            assert not cache._reads

    run(main())


@pytest.mark.parametrize("settings", [{"ttl": 0}, {"ttl": "5"}, {"pending_ttl": -1}, {"max_numbers": 0}])
async def test_an_invalid_setting_is_an_error(settings: dict[str, Any]) -> None:
    async with PhoneNumberClient(TOKEN) as client:
        with pytest.raises(InvalidArgumentError, match=next(iter(settings))):
            PhoneNumberCache(client, **settings)


@pytest.mark.parametrize(
    ("options", "lifetime"), [({}, 5.0), ({"pending_ttl": 12}, 12.0), ({"ttl": 3, "pending_ttl": 12}, 3.0)]
)
def test_a_listing_with_a_number_in_review_is_kept_for_less(options: dict[str, Any], lifetime: float) -> None:
    async def main() -> None:
        async with serving(**options) as (sandbox, cache):
            sandbox.update_number(SHOP, SECOND, name_status="PENDING_REVIEW")
            await cache.phone_numbers(SHOP, fields=ALL_FIELDS)
            calls, sent_at = len(sandbox.requests), now() - LATENCY
            for age, more in ((lifetime - 0.1, 0), (lifetime + 0.1, 1)):
                await asyncio.sleep(sent_at + age - now())
                await cache.phone_numbers(SHOP, fields=ALL_FIELDS)
                assert len(sandbox.requests) == calls + more

    run(main())


# --- errors


def test_an_error_is_raised_to_all_callers_and_not_kept() -> None:
    async def main() -> None:
        async with serving() as (sandbox, cache):
            sandbox.plan(Fault.error(200, status=403))
            errors = await asyncio.gather(*(cache.phone_numbers(SHOP) for _ in range(50)), return_exceptions=True)
            assert {type(error) for error in errors} == {PermissionDeniedError}
            assert len({id(error) for error in errors}) == 50
            depths = {
                len(traceback.extract_tb(error.__traceback__)) for error in errors if isinstance(error, Exception)
            }
            assert max(depths) <= 3
            assert {str(error) for error in errors} == {str(errors[0])}
            assert len(sandbox.requests) == 1
            assert not cache._reads
            assert len(await cache.phone_numbers(SHOP)) == 2

    run(main())


def test_an_error_of_a_token_provider_is_raised_and_its_traceback_does_not_grow() -> None:
    def no_vault(_: str, __: str | None) -> str:
        raise KeyError("the vault is shut")

    async def main() -> None:
        before = tasks()
        async with PhoneNumberClient(no_vault) as client, PhoneNumberCache(client) as cache:
            readers = [asyncio.create_task(cache.phone_numbers(SHOP)) for _ in range(50)]
            errors = await asyncio.gather(*readers, return_exceptions=True)
            assert {type(error) for error in errors} == {KeyError}
            [error] = {id(error): error for error in errors if isinstance(error, KeyError)}.values()
            frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
            assert frames.count("no_vault") == 1
            assert frames.count("phone_numbers") == 1
        assert tasks() == before

    run(main())


def test_a_caller_that_reads_again_at_once_does_not_get_the_error_of_the_others() -> None:
    async def main() -> None:
        async with serving() as (sandbox, cache):
            sandbox.plan(Fault.error(200, status=403))

            async def stubborn() -> int:
                with contextlib.suppress(PermissionDeniedError):
                    await cache.phone_numbers(SHOP)
                return len(await cache.phone_numbers(SHOP))

            assert await asyncio.gather(*(stubborn() for _ in range(5))) == [2] * 5
            assert len(sandbox.requests) == 2

    run(main())


def test_a_closed_client_raises() -> None:
    async def main() -> None:
        async with serving() as (_, cache):
            await client_of(cache).aclose()
            with pytest.raises(RuntimeError, match="this client is closed"):
                await cache.phone_numbers(SHOP)

    run(main())


# --- cancellations


async def end(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("who", range(3))
def test_cancelling_one_caller_does_not_affect_the_others(who: int) -> None:
    async def main() -> None:
        async with serving() as (sandbox, cache):
            readers = [await start_read(cache) for _ in range(3)]
            await end(readers.pop(who))
            first, second = await asyncio.gather(*readers)
            assert first is second
            assert len(sandbox.requests) == 1

    run(main())


def test_cancelling_all_callers_cancels_the_read() -> None:
    async def main() -> None:
        async with serving() as (sandbox, cache):
            events = list[Event]()
            client_of(cache).subscribe(events.append)
            readers = [await start_read(cache) for _ in range(3)]
            [shared] = cache._reads.values()
            for reader in readers:
                reader.cancel()
            await asyncio.wait(readers)
            assert shared.task.cancelled()
            assert [event.error for event in events if isinstance(event, CallFinished)] == ["CancelledError"]
            assert not cache._reads
            assert len(await cache.phone_numbers(SHOP)) == 2
            assert len(sandbox.requests) == 2

    run(main())


def test_all_callers_may_be_cancelled_during_a_restart() -> None:
    async def main() -> None:
        async with serving() as (_, cache):
            task = await start_read(cache)
            [shared] = cache._reads.values()
            first = shared.task
            cache.invalidate(SHOP)
            await end(task)
            assert first.cancelled()
            assert shared.task.cancelled()
            assert not cache._reads

    run(main())


def test_a_timeout_of_one_caller_does_not_affect_the_others() -> None:
    async def main() -> None:
        async with serving() as (sandbox, cache):
            patient = await start_read(cache)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await cache.phone_numbers(SHOP)
            assert len(await patient) == 2
            assert len(sandbox.requests) == 1

    run(main())


def test_a_foreign_cancellation_of_the_read_is_raised_to_the_caller() -> None:
    async def main() -> None:
        async with serving() as (_, cache):
            task = await start_read(cache)
            [shared] = cache._reads.values()
            shared.task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not cache._reads

    run(main())


# --- size


def test_the_least_recently_requested_listing_is_dropped_first() -> None:
    async def main() -> None:
        async with serving(max_numbers=6) as (sandbox, cache):

            async def calls_for(waba_id: str) -> int:
                before = len(sandbox.requests)
                await cache.phone_numbers(waba_id)
                return len(sandbox.requests) - before

            assert [await calls_for(waba_id) for waba_id in (SHOP, OTHER_SHOP, EMPTY_WABA)] == [1, 1, 1]
            assert cache._size == 3 + 2 + 1
            assert await calls_for(SHOP) == 0
            assert await calls_for(SMALL_WABA) == 1
            assert cache._size == 4
            assert [key.waba_id for key in cache._reads] == [SMALL_WABA]
            assert await calls_for(EMPTY_WABA) == 1
            assert await calls_for(OTHER_SHOP) == 1
            assert cache._size == 3
            assert [await calls_for(waba_id) for waba_id in (EMPTY_WABA, OTHER_SHOP, SMALL_WABA)] == [0, 0, 1]

    run(main())


def test_a_listing_that_is_too_large_is_returned_and_not_kept() -> None:
    async def main() -> None:
        async with serving(max_numbers=250) as (sandbox, cache):
            await cache.phone_numbers(SHOP)
            first, second = await asyncio.gather(cache.phone_numbers(LARGE_WABA), cache.phone_numbers(LARGE_WABA))
            assert first is second
            assert len(sandbox.requests) == 4
            assert [key.waba_id for key in cache._reads] == [SHOP]
            assert repr(cache).endswith(", ttl=30, listings=1)")

    run(main())


def test_a_dropped_listing_does_not_count() -> None:
    async def main() -> None:
        async with serving() as (_, cache):
            for _ in range(2):
                await cache.phone_numbers(SHOP)
                await cache.phone_numbers(OTHER_SHOP)
                cache.invalidate(SHOP)
                assert cache._size == 2
                await asyncio.sleep(31)
            cache.clear()
            assert cache._size == 0

    run(main())


# --- the law


def test_an_invalidation_drops_kept_listings() -> None:
    async def main() -> None:
        async with serving() as (sandbox, cache):
            for waba_id in (SHOP, OTHER_SHOP):
                await cache.phone_numbers(waba_id)
                await cache.phone_numbers(waba_id, fields="verified_name")
            sandbox.update_number(SHOP, FIRST, verified_name="Bolt")
            cache.invalidate(SHOP)
            assert await names(cache.phone_numbers(SHOP)) == ["Acme", "Bolt"]
            assert await names(cache.phone_numbers(SHOP, fields="verified_name")) == ["Acme", "Bolt"]
            await cache.phone_numbers(OTHER_SHOP)
            assert len(sandbox.requests) == 6
            cache.clear()
            await cache.phone_numbers(SHOP)
            await cache.phone_numbers(OTHER_SHOP)
            assert len(sandbox.requests) == 8

    run(main())


@pytest.mark.parametrize("invalidate", [lambda cache: cache.invalidate(SHOP), lambda cache: cache.clear()])
def test_an_invalidation_restarts_a_read_in_flight(invalidate: Callable[[PhoneNumberCache], None]) -> None:
    async def main() -> None:
        async with serving() as (sandbox, cache):
            sandbox.plan(Fault.delay_response(5))
            readers = [await start_read(cache) for _ in range(8)]  # the server reads at LATENCY, and responds later
            sandbox.update_number(SHOP, FIRST, verified_name="Bolt")
            invalidate(cache)
            late = asyncio.create_task(cache.phone_numbers(SHOP))
            assert [await names(task) for task in (*readers, late)] == [["Acme", "Bolt"]] * 9
            assert now() < 5
            assert len(sandbox.requests) == 2

    run(main())


def test_a_finished_read_that_no_caller_has_seen_yet_is_restarted() -> None:
    async def main() -> None:
        async with serving() as (sandbox, cache):
            changed = False

            def change(_: object) -> None:
                nonlocal changed
                changed = True
                sandbox.update_number(SHOP, FIRST, verified_name="Bolt")
                cache.invalidate(SHOP)

            readers = [await start_read(cache) for _ in range(3)]
            [shared] = cache._reads.values()
            shared.task.add_done_callback(change)  # the callers are woken, and have not run yet
            assert [await names(task) for task in readers] == [["Acme", "Bolt"]] * 3
            assert changed
            assert len(sandbox.requests) == 2

    run(main())


def test_a_listing_that_was_replaced_is_not_returned() -> None:
    async def main() -> None:
        async with serving() as (sandbox, cache):
            first = await start_read(cache)
            [shared] = cache._reads.values()

            async def read_late() -> list[str | None]:
                await asyncio.wait({shared.task})
                asyncio.get_running_loop().jump(60)  # type: ignore[attr-defined]  # as if the loop was blocked
                return await names(cache.phone_numbers(SHOP))

            async def change() -> None:
                await asyncio.wait({shared.task})
                sandbox.update_number(SHOP, FIRST, verified_name="Bolt")
                cache.invalidate(SHOP)

            late, changing = asyncio.create_task(read_late()), asyncio.create_task(change())
            await asyncio.sleep(0)
            last = await start_read(cache)
            first.cancel()  # the last caller then also runs last
            assert [await late, await names(last)] == [["Acme", "Bolt"]] * 2
            assert changing.done()
            assert len(sandbox.requests) == 2

    run(main())


def test_a_restart_waits_until_the_old_request_has_ended() -> None:
    async def main() -> None:
        ended = list[str | None]()

        def note(event: Event) -> None:
            if isinstance(event, CallFinished):
                ended.append(event.error)

        async with serving() as (sandbox, cache):
            client_of(cache).subscribe(note)
            task = await start_read(cache)
            cache.invalidate(SHOP)
            assert (len(sandbox.requests), ended) == (1, [])
            await asyncio.sleep(0.01)
            assert (len(sandbox.requests), ended) == (2, ["CancelledError"])
            await task

    run(main())


def test_a_read_is_restarted_five_times_with_growing_delays() -> None:
    async def main() -> None:
        async with serving() as (sandbox, cache):
            starts = list[float]()
            task = await start_read(cache)
            while not task.done():
                if len(sandbox.requests) > len(starts):
                    starts.append(round(now(), 1))
                    await asyncio.sleep(0.1)
                    cache.invalidate(SHOP)
                    cache.invalidate(SHOP)  # has no effect before the new request
                await asyncio.sleep(0.01)
            assert [round(later - earlier - 0.1, 1) for earlier, later in itertools.pairwise(starts)] == [
                0.0,
                0.2,
                0.5,
                1.0,
                2.0,
            ]
            with pytest.raises(
                StaleListingError,
                match="account 100200300400777 was invalidated during each of 6 reads: try again later",
            ) as caught:
                await task
            assert (caught.value.waba_id, caught.value.retryable) == (SHOP, True)
            assert len(await cache.phone_numbers(SHOP)) == 2
            assert len(sandbox.requests) == 7

    run(main())


def test_restarts_before_the_first_request_do_not_count() -> None:
    async def main() -> None:
        async with serving({"retry": RetryPolicy.batch()}) as (sandbox, cache):
            sandbox.plan(Fault.error(80008, headers={"Retry-After": "600"}))
            task = await start_read(cache)
            for _ in range(20):
                await asyncio.sleep(10)
                cache.invalidate(SHOP)
            sandbox.update_number(SHOP, FIRST, verified_name="Bolt")
            cache.invalidate(SHOP)
            assert await names(task) == ["Acme", "Bolt"]
            assert len(sandbox.requests) == 2

    run(main())


@pytest.mark.parametrize(
    ("instead", "ends_after", "calls"),
    [(None, 2 + LATENCY, 2), (KeyError("the vault is shut"), 2, 1)],
    ids=["goes on", "fails"],
)
def test_a_read_that_ignores_its_cancellation_is_awaited_and_its_result_discarded(
    instead: Exception | None, ends_after: float, calls: int
) -> None:
    provided = 0

    async def vault(_: str, __: str | None) -> str:
        nonlocal provided
        provided += 1
        if provided == 1:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                await asyncio.sleep(2)
                if instead is not None:
                    raise instead from None
        return TOKEN

    async def main() -> None:
        async with (
            serving() as (sandbox, other),
            PhoneNumberClient(vault, base_url=client_of(other).session.base_url) as client,
            PhoneNumberCache(client) as cache,
        ):
            task = asyncio.create_task(cache.phone_numbers(SHOP))
            await asyncio.sleep(1)
            cache.invalidate(SHOP)
            await asyncio.sleep(ends_after - 0.01)
            assert (provided, len(sandbox.requests)) == (1, calls - 1)
            await asyncio.sleep(0.02)
            assert (provided, len(sandbox.requests)) == (2, calls)
            sandbox.update_number(SHOP, FIRST, verified_name="Bolt")
            assert await names(task) == ["Acme", "Bolt"]

    run(main())


# --- writes


def test_a_create_invalidates_its_account() -> None:
    async def main() -> None:
        async with serving() as (sandbox, cache):
            for waba_id in (SHOP, OTHER_SHOP):
                await cache.phone_numbers(waba_id)
            await client_of(cache).create_phone_number(SHOP, phone_number="16315551009", verified_name="Cobalt")
            assert await names(cache.phone_numbers(SHOP)) == ["Acme", "Acme", "Cobalt"]
            await cache.phone_numbers(OTHER_SHOP)
            assert [request.method for request in sandbox.requests] == ["GET", "GET", "POST", "GET"]

    run(main())


def test_a_listing_read_during_a_write_is_not_kept() -> None:
    async def main() -> None:
        async with serving({"throttle": Unthrottled()}) as (sandbox, cache):
            sandbox.plan(Fault.delay(5), method="POST")
            client = client_of(cache)
            write = asyncio.create_task(
                client.create_phone_number(SHOP, phone_number="16315551009", verified_name="Cobalt")
            )
            await asyncio.sleep(1)
            assert await names(cache.phone_numbers(SHOP)) == ["Acme", "Acme"]
            await asyncio.sleep(3.8)
            sandbox.plan(Fault.delay_response(9), method="GET")
            cache.invalidate(SHOP)
            reading = await start_read(cache)
            await write
            assert not reading.done()
            assert await names(reading) == ["Acme", "Acme", "Cobalt"]
            assert await names(cache.phone_numbers(SHOP)) == ["Acme", "Acme", "Cobalt"]

    run(main())


@pytest.mark.parametrize(
    ("fault", "error", "invalidates"),
    [
        (Fault.drop_after(), OutcomeUnknownError, True),
        (Fault.error(2388012, status=409), ConflictError, False),
        (Fault.error(80008, headers={"Retry-After": "9999"}), RateLimitError, False),
    ],
)
def test_a_write_that_may_have_happened_invalidates(fault: Fault, error: type[Exception], *, invalidates: bool) -> None:
    async def main() -> None:
        async with serving() as (sandbox, cache):
            before = await cache.phone_numbers(SHOP)
            sandbox.plan(fault)
            with pytest.raises(error):
                await client_of(cache).create_phone_number(SHOP, phone_number="16315551009", verified_name="Cobalt")
            assert bool(cache._reads) is not invalidates
            if not invalidates:
                assert await cache.phone_numbers(SHOP) is before

    run(main())


def test_a_cancelled_write_invalidates() -> None:
    async def main() -> None:
        async with serving() as (_, cache):
            await cache.phone_numbers(SHOP)
            create = client_of(cache).create_phone_number(SHOP, phone_number="16315551009", verified_name="Cobalt")
            write = asyncio.create_task(create)
            await asyncio.sleep(0.1)
            await end(write)
            assert not cache._reads

    run(main())


@pytest.mark.parametrize(
    ("number_id", "options", "left"),
    [
        (FIRST, {"waba_id": None}, {OTHER_SHOP}),
        (FIRST, {}, {OTHER_SHOP}),
        (FIRST, {"waba_id": SHOP}, {OTHER_SHOP}),
        (FIRST, {"waba_id": OTHER_SHOP}, set()),
        ("555000000000999", {"waba_id": None}, set()),
        ("555000000000999", {}, set()),
        ("555000000000999", {"waba_id": SHOP}, {OTHER_SHOP}),
        ("555000000000999", {"waba_id": "1"}, {SHOP, OTHER_SHOP}),
        (SHOP, {}, {OTHER_SHOP}),
    ],
)
def test_a_write_on_a_number_invalidates_its_accounts(number_id: str, options: dict[str, Any], left: set[str]) -> None:
    async def main() -> None:
        async with serving() as (sandbox, cache):
            for waba_id in (SHOP, OTHER_SHOP):
                await cache.phone_numbers(waba_id)
            sandbox.plan(Fault.raw('{"success": true}'), method="POST")
            await write_to(client_of(cache), number_id, **options)
            assert cache._known_accounts() == left

    run(main())


def test_a_write_on_an_unlisted_number_restarts_all_reads_in_flight() -> None:
    async def main() -> None:
        async with serving() as (sandbox, cache):
            sandbox.plan(Fault.delay_response(5), method="GET")
            sandbox.plan(Fault.raw('{"success": true}'), method="POST")
            task = await start_read(cache)
            await asyncio.sleep(LATENCY)
            sandbox.update_number(SHOP, FIRST, verified_name="Bolt")
            await write_to(client_of(cache), FIRST, waba_id=None)
            assert await names(task) == ["Acme", "Bolt"]

    run(main())


# --- webhooks


def signed(payload: object) -> tuple[bytes, str]:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return body, f"sha256={hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}"


def entry(waba_id: str | None, field: str, **value: object) -> dict[str, object]:
    return {"id": waba_id, "time": 1, "changes": [{"field": field, "value": value}]}


@pytest.mark.parametrize(
    ("entries", "invalidated"),
    [
        ([], []),
        ([entry(SHOP, "phone_number_name_update", display_phone_number="16315551001")], [SHOP]),
        ([entry(SHOP, "something_new")], [SHOP]),
        ([entry(SHOP, "messages")], []),
        ([entry(SHOP, "messages"), entry(SHOP, "security", event="PIN_CHANGED")], [SHOP]),
        ([entry(SHOP, "security")] * 1000, [SHOP]),
        ([entry(OTHER_SHOP, "account_update"), entry(SHOP, "account_alerts")], [SHOP, OTHER_SHOP]),
        ([entry("1", "account_update")], ["1", SHOP, OTHER_SHOP]),
        ([entry("1", "account_update"), entry(SHOP, "security")], ["1", SHOP, OTHER_SHOP]),
        ([entry("1", "something_new")], ["1", SHOP, OTHER_SHOP]),
        ([entry("1", "account_update", waba_info={"waba_id": OTHER_SHOP})], ["1", OTHER_SHOP]),
        ([entry("1", "smb_message_echoes")], []),
        ([entry("1", "business_capability_update")], ["1", SHOP, OTHER_SHOP]),
        ([entry("1", "security", display_phone_number="16315551003")], ["1", OTHER_SHOP]),
        ([entry(None, "security", display_phone_number="+1 (631) 555-1003")], [OTHER_SHOP]),
        ([entry(None, "security", display_phone_number="16315559999")], [SHOP, OTHER_SHOP]),
        ([entry("1", "security", display_phone_number="16315559999")], ["1", SHOP, OTHER_SHOP]),
        ([entry("1", "account_alerts", entity_type="PHONE_NUMBER", entity_id=ELSEWHERE)], ["1", OTHER_SHOP]),
        ([entry("1", "account_alerts", entity_type="BUSINESS", entity_id=ELSEWHERE)], ["1", SHOP, OTHER_SHOP]),
        ([entry(None, "account_settings_update", phone_number_settings={"phone_number_id": FIRST})], [SHOP]),
        ([entry(SHOP, "account_settings_update", phone_number_settings={"phone_number_id": ELSEWHERE})], BOTH),
        ([entry(SHOP, "phone_number_quality_update", event="THROUGHPUT_UPGRADE")], [SHOP]),
        ([entry(SHOP, "phone_number_quality_update", max_daily_conversations_per_business="TIER_2K")], BOTH),
        ([entry(None, "security")], [SHOP, OTHER_SHOP]),
        ([entry(str(number), "security") for number in range(1000)], sorted([*map(str, range(1000)), *BOTH])),
    ],
)
def test_a_webhook_invalidates_the_accounts_that_it_concerns(entries: list[object], invalidated: list[str]) -> None:
    async def main() -> None:
        async with serving() as (_, cache):
            for waba_id in (SHOP, OTHER_SHOP):
                await cache.phone_numbers(waba_id)
            delivery = signed({"object": "whatsapp_business_account", "entry": entries})
            assert cache.invalidate_from_webhook(*delivery, SECRET) == tuple(invalidated)
            assert cache._known_accounts() == {SHOP, OTHER_SHOP} - set(invalidated)
            cache.invalidate_from_webhook(*delivery, SECRET)  # Meta may send it twice

    run(main())


def test_a_webhook_restarts_a_read_in_flight() -> None:
    async def main() -> None:
        async with serving() as (sandbox, cache):
            sandbox.plan(Fault.delay_response(5))
            task = await start_read(cache)
            await asyncio.sleep(LATENCY)
            sandbox.update_number(SHOP, FIRST, verified_name="Bolt")
            cache.invalidate_from_webhook(*signed({"entry": [entry(SHOP, "security")]}), SECRET)
            assert await names(task) == ["Acme", "Bolt"]

    run(main())


TRAFFIC = ["messages", "message_echoes", "smb_message_echoes", "smb_app_state_sync", "history", "calls", "standby"]


@pytest.mark.parametrize("field", TRAFFIC)
def test_traffic_costs_no_call(field: str) -> None:
    async def main() -> None:
        async with serving() as (sandbox, cache):
            echo = signed({"entry": [entry(SHOP, field, metadata={"display_phone_number": "16315551001"})]})
            for _ in range(40):
                await cache.phone_numbers(SHOP)
                assert cache.invalidate_from_webhook(*echo, SECRET) == ()
            assert len(sandbox.requests) == 1

    run(main())


@pytest.mark.parametrize("field", TRAFFIC)
def test_a_steady_stream_of_traffic_does_not_restart_a_read(field: str) -> None:
    async def main() -> None:
        async with serving() as (sandbox, cache):
            sandbox.plan(Fault.delay_response(5))
            task = await start_read(cache)
            echo = signed({"entry": [entry(SHOP, field)]})
            while not task.done():
                cache.invalidate_from_webhook(*echo, SECRET)
                await asyncio.sleep(0.1)
            assert len(await task) == 2
            assert len(sandbox.requests) == 1

    run(main())


def test_the_second_of_two_webhooks_about_an_account_concerns_no_other_account() -> None:
    async def main() -> None:
        async with serving() as (_, cache):
            for waba_id in BOTH:
                await cache.phone_numbers(waba_id)
            webhook = signed({"entry": [entry(SHOP, "security", display_phone_number="16315551001")]})
            for _ in range(2):
                assert cache.invalidate_from_webhook(*webhook, SECRET) == (SHOP,)
                assert cache._known_accounts() == {OTHER_SHOP}

    run(main())


def test_as_many_accounts_are_remembered_as_numbers_are_kept() -> None:
    async def main() -> None:
        async with serving(max_numbers=2) as (_, cache):
            await cache.phone_numbers(SHOP)
            await cache.phone_numbers(EMPTY_WABA)
            assert list(cache._listed) == [SHOP, EMPTY_WABA]
            await cache.phone_numbers(SHOP)
            await cache.phone_numbers(OTHER_SHOP)
            assert list(cache._listed) == [SHOP, OTHER_SHOP]

    run(main())


def test_an_account_that_could_not_be_listed_is_not_remembered() -> None:
    async def main() -> None:
        async with serving() as (_, cache):
            with pytest.raises(NotFoundError):
                await cache.phone_numbers("1")
            await cache.phone_numbers(SHOP)
            assert cache.invalidate_from_webhook(*signed({"entry": [entry("1", "security")]}), SECRET) == ("1", SHOP)

    run(main())


def test_a_webhook_may_show_digits_that_a_list_leaves_out() -> None:
    async def main() -> None:
        async with serving() as (sandbox, cache):
            sandbox.update_number(SHOP, FIRST, display_phone_number="+55 11 8555-0101")
            for waba_id in BOTH:
                await cache.phone_numbers(waba_id)
            webhook = signed({"entry": [entry(None, "security", display_phone_number="5511985550101")]})
            assert cache.invalidate_from_webhook(*webhook, SECRET) == (SHOP,)

    run(main())


class CountedReads(OrderedDict[Any, Any]):
    """The reads of a cache. It counts how many of them were visited."""

    visits = 0

    def __iter__(self) -> Iterator[Any]:
        for key in super().__iter__():
            self.visits += 1
            yield key

    def items(self) -> Any:
        return [(key, self[key]) for key in self]

    def values(self) -> Any:
        return [self[key] for key in self]


@pytest.mark.parametrize(
    "change",
    [
        {"field": "security", "value": {"display_phone_number": "16315551001"}},
        {"field": "account_alerts", "value": {"entity_type": "PHONE_NUMBER", "entity_id": FIRST}},
        {"field": "security", "value": {"display_phone_number": "16315559999"}},
        {"field": "business_capability_update", "value": {}},
        {"field": "something_new", "value": {}},
    ],
)
def test_a_webhook_of_thousands_of_entries_visits_each_listing_a_few_times(change: dict[str, Any]) -> None:
    async def main() -> None:
        async with serving() as (sandbox, cache):
            for number in range(20):
                sandbox.add_waba(f"77{number:03}", 1)
                await cache.phone_numbers(f"77{number:03}")
            visits = list[int]()
            for count in (1, 5_000):
                cache._reads = reads = CountedReads(cache._reads)
                changes = [{"id": str(serial), "time": 1, "changes": [change]} for serial in range(count)]
                cache.invalidate_from_webhook(*signed({"entry": changes}), SECRET)
                visits.append(reads.visits)
                for number in range(20):
                    await cache.phone_numbers(f"77{number:03}")
            assert visits[1] == visits[0] <= 3 * 20

    run(main())


def test_a_webhook_without_its_signature_invalidates_nothing() -> None:
    async def main() -> None:
        async with serving() as (_, cache):
            before = await cache.phone_numbers(SHOP)
            body, _ = signed({"entry": [entry(SHOP, "security")]})
            for signature in (None, "sha256=0", signed(b"")[1]):
                with pytest.raises(WebhookSignatureError) as caught:
                    cache.invalidate_from_webhook(body, signature, SECRET)
                for frame, _ in traceback.walk_tb(caught.value.__traceback__):
                    if frame.f_code.co_filename != __file__:
                        assert SECRET not in repr(frame.f_locals)
                        assert "sha256=" not in repr(frame.f_locals)
            with pytest.raises(WebhookSignatureError):
                cache.invalidate_from_webhook(b"no JSON", "sha256=0", SECRET)
            assert await cache.phone_numbers(SHOP) is before

    run(main())


def test_a_signed_but_invalid_webhook_invalidates_all() -> None:
    async def main() -> None:
        async with serving() as (_, cache):
            await cache.phone_numbers(SHOP)
            with pytest.raises(DecodeError, match="the webhook is not JSON"):
                cache.invalidate_from_webhook(*signed(b"no JSON"), SECRET)
            assert not cache._known_accounts()

    run(main())


def test_notices_that_you_have_read_yourself_invalidate_too() -> None:
    async def main() -> None:
        async with serving() as (_, cache):
            for waba_id in BOTH:
                await cache.phone_numbers(waba_id)
            body, _ = signed({"entry": [entry(SHOP, "messages"), entry(OTHER_SHOP, "security")]})
            assert cache.invalidate_from_notices(iter(parse_webhook(body))) == (OTHER_SHOP,)
            assert cache._known_accounts() == {SHOP}
            assert cache.invalidate_from_notices([]) == ()

    run(main())


# --- closing, loops and threads


def test_a_closed_cache_raises() -> None:
    async def main() -> None:
        async with serving() as (_, cache):
            await cache.phone_numbers(OTHER_SHOP)
            task = await start_read(cache)
            await cache.aclose()
            await cache.aclose()
            with pytest.raises(RuntimeError, match="this cache is closed: make a new one"):
                await task
            calls: list[Callable[[], object]] = [
                lambda: cache.invalidate(SHOP),
                cache.clear,
                lambda: cache.invalidate_from_webhook(*signed({}), SECRET),
                lambda: cache.invalidate_from_notices([]),
            ]
            for call in calls:
                with pytest.raises(RuntimeError, match="this cache is closed"):
                    call()
            with pytest.raises(RuntimeError, match="this cache is closed"):
                await cache.phone_numbers(SHOP)
            with pytest.raises(RuntimeError, match="this cache is closed"):
                async with cache:
                    pass

    run(main())


def test_a_closed_cache_gets_no_events(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with serving() as (_, cache):
            client = client_of(cache)
            await cache.aclose()
            await client.create_phone_number(SHOP, phone_number="16315551009", verified_name="Cobalt")
            assert len(await client.list_phone_numbers(SHOP)) == 3

    run(main())
    assert caplog.records == []


def test_a_cache_that_was_never_used_can_be_closed() -> None:
    client = PhoneNumberClient(TOKEN)
    cache = PhoneNumberCache(client)
    cache.invalidate(SHOP)
    run(cache.aclose())
    run(client.aclose())


def test_in_another_loop_it_starts_empty(graph_sandbox: Sandbox) -> None:
    client = PhoneNumberClient(TOKEN, base_url=graph_sandbox.url)
    cache = PhoneNumberCache(client)

    async def read() -> int:
        before = len(graph_sandbox.requests)
        async with client:
            await cache.phone_numbers(SMALL_WABA)
            await cache.phone_numbers(SMALL_WABA)
        return len(graph_sandbox.requests) - before

    assert [asyncio.run(read()), asyncio.run(read())] == [1, 1]
    cache.invalidate(SMALL_WABA)  # its loop has ended
    assert not cache._known_accounts()
    asyncio.run(cache.aclose())


def test_it_can_be_invalidated_between_two_steps_of_its_loop() -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        context = serving()
        sandbox, cache = runner.run(context.__aenter__())
        kept = runner.run(start_read(cache, OTHER_SHOP))
        runner.run(asyncio.wait({kept}))
        sandbox.plan(Fault.delay_response(5))
        reading = runner.run(start_read(cache))
        runner.run(asyncio.sleep(LATENCY))
        sandbox.update_number(SHOP, FIRST, verified_name="Bolt")
        cache.invalidate(SHOP)
        assert runner.run(names(reading)) == ["Acme", "Bolt"]
        assert cache._known_accounts() == {SHOP, OTHER_SHOP}
        runner.run(context.__aexit__(None, None, None))


async def test_another_thread_must_call_it_through_its_loop(graph_sandbox: Sandbox) -> None:
    errors = list[str]()
    async with PhoneNumberClient(TOKEN, base_url=graph_sandbox.url) as client, PhoneNumberCache(client) as cache:
        loop = asyncio.get_running_loop()
        await cache.phone_numbers(SMALL_WABA)

        def call() -> None:
            try:
                cache.invalidate(SMALL_WABA)
            except RuntimeError as error:
                errors.append(str(error))
            loop.call_soon_threadsafe(cache.invalidate, SMALL_WABA)
            loop.call_soon_threadsafe(done.set)

        done = asyncio.Event()
        thread = threading.Thread(target=call)
        thread.start()
        await done.wait()
        thread.join()
        assert not cache._known_accounts()
    assert len(errors) == 1
    assert errors[0].startswith("this cache belongs to another running event loop: give each loop its own client")


def test_no_secret_is_shown() -> None:
    cache = PhoneNumberCache(PhoneNumberClient(TOKEN, app_secret=SECRET))
    assert repr(cache).startswith("PhoneNumberCache(PhoneNumberClient(session=GraphSession(base_url=")
    for text in (TOKEN, SECRET):
        assert text not in f"{cache!r} {vars(cache)!r}"
    gc.collect()


def test_an_outage_is_an_error_for_each_caller() -> None:
    async def main() -> None:
        async with serving({"retry": RetryPolicy(max_attempts=1)}) as (sandbox, cache):
            sandbox.plan(Fault.drop_before(), times=4)
            for _ in range(2):
                with pytest.raises(TransportError):
                    await cache.phone_numbers(SHOP)
            assert len(await cache.phone_numbers(SHOP)) == 2

    run(main())


def test_the_throttle_of_the_client_applies_to_the_cache() -> None:
    async def main() -> None:
        settings = {"throttle": Throttle(quota=1), "retry": RetryPolicy.interactive()}
        async with serving(settings) as (sandbox, cache):
            await cache.phone_numbers(SHOP)
            cache.invalidate(SHOP)
            with pytest.raises(RateLimitError):
                await cache.phone_numbers(SHOP)
            assert len(sandbox.requests) == 1

    run(main())


def test_a_cache_that_is_not_made_yet_has_a_repr() -> None:
    assert repr(PhoneNumberCache.__new__(PhoneNumberCache)) == "PhoneNumberCache()"  # as in the locals of a traceback
