"""Many accounts at once: each is listed once, memory is bounded, no account blocks others, and no task is left."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar, Unpack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unthrottled import Unthrottled

from wa_phone_async import (
    AuthenticationError,
    InvalidArgumentError,
    Listings,
    NotFoundError,
    PhoneNumber,
    PhoneNumberClient,
    RetryPolicy,
    ServerError,
    TokenProvider,
    WabaListing,
)
from wa_phone_async.client import Settings
from wa_phone_async.concurrency import current_slot, release_slot
from wa_phone_async.sandbox import EMPTY_WABA, LARGE_WABA, SMALL_WABA, Fault, Sandbox, VirtualTimeLoop
from wa_phone_async.workflows.bulk import each_to_list

T = TypeVar("T")

TOKEN = "an-invented-token"
NUMBER = PhoneNumber(id="1", display_phone_number="+1 631-555-1001")
QUICK = RetryPolicy(first_wait=0.001)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run in virtual time, which begins at 0."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


class FakeLister:
    """Lists accounts as a client does, with requests of one second, and counts these."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.most_in_flight = 0
        self.cancelled = 0
        self.released = asyncio.Event()

    async def __call__(self, waba_id: str) -> list[PhoneNumber]:
        """List an account. Its id says how: the number of pages, then a word."""
        pages, _, word = waba_id.partition("-")
        try:
            for _ in range(int(pages)):
                await self._request()
            if word == "wait":
                release_slot()
                await self.released.wait()
                await self._request()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if word == "bug":
            raise KeyError(waba_id)
        if word == "gone":
            raise NotFoundError("no such account", http_status=400)
        return [NUMBER] * int(pages)

    async def _request(self) -> None:
        slot = current_slot.get()
        assert slot is not None
        await slot.acquire()
        try:
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            await asyncio.sleep(1)
        finally:
            self.in_flight -= 1
            slot.release()


def listings_of(lister: Any, ids: Any, *, concurrency: int = 2, ordered: bool = False) -> Listings:
    return Listings(each_to_list(ids, lister), concurrency=concurrency, ordered=ordered)


class Ids:
    """An iterator over ids. It counts how many were read."""

    def __init__(self, ids: Iterator[str]) -> None:
        self._ids = ids
        self.read = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        waba_id = next(self._ids)
        self.read += 1
        return waba_id


def endless(waba_id: str) -> Iterator[str]:
    while True:
        yield waba_id


@given(st.lists(st.lists(st.sampled_from("789"), max_size=4), max_size=4), st.booleans())
def test_with_unique_each_number_comes_once(
    accounts: list[list[str]],
    ordered: bool,  # noqa: FBT001 - hypothesis passes by position
) -> None:
    async def lister(waba_id: str) -> list[PhoneNumber]:
        await asyncio.sleep(-int(waba_id) % 3)
        return [PhoneNumber(each, status=f"{waba_id}.{row}") for row, each in enumerate(accounts[int(waba_id)])]

    async def main(*, unique: bool) -> list[WabaListing]:
        ids = map(str, range(len(accounts)))
        return await Listings(each_to_list(ids, lister), concurrency=2, ordered=ordered, unique=unique)

    all_numbers, seen = run(main(unique=False)), set[str]()
    for before, after in zip(all_numbers, run(main(unique=True)), strict=True):
        last = {number.id: number for number in before.phone_numbers if number.id not in seen}
        assert (after.waba_id, after.phone_numbers) == (before.waba_id, tuple(last.values()))
        seen |= last.keys()


def test_the_repr_says_that_an_await_was_forgotten() -> None:
    listings = Listings(each_to_list(["1"], FakeLister()), concurrency=1, ordered=False)
    assert repr(listings) == "<Listings: await it for a list of all, or iterate over it inside 'async with'>"


def test_listings_come_as_they_finish_or_in_order() -> None:
    async def main(*, ordered: bool) -> list[str]:
        async with listings_of(FakeLister(), ["3", "1", "2"], concurrency=3, ordered=ordered) as listings:
            return [listing.waba_id async for listing in listings]

    assert run(main(ordered=False)) == ["1", "2", "3"]
    assert run(main(ordered=True)) == ["3", "1", "2"]


def test_a_listing_has_the_numbers_of_its_account_or_an_error() -> None:
    async def main() -> list[WabaListing]:
        return await listings_of(FakeLister(), ["2", "1-gone"], concurrency=1, ordered=True)

    full, gone = run(main())
    assert full == WabaListing(waba_id="2", phone_numbers=(NUMBER, NUMBER), calls=2, elapsed_seconds=3.0)
    assert (gone.waba_id, gone.phone_numbers, gone.calls) == ("1-gone", (), 1)
    assert isinstance(gone.error, NotFoundError)
    assert gone.error.__traceback__ is None


async def _slow_ids() -> AsyncIterator[str]:
    for pages in ("1", "2"):
        await asyncio.sleep(5)
        yield pages


@pytest.mark.parametrize("ids", [lambda: ("1", "2"), lambda: iter(["1", "2"]), _slow_ids])
def test_ids_may_be_any_iterable(ids: Any) -> None:
    async def main() -> list[str]:
        return [listing.waba_id for listing in await listings_of(FakeLister(), ids())]

    assert run(main()) == ["1", "2"]


def test_without_ids_there_are_no_listings() -> None:
    async def main() -> list[WabaListing]:
        return await listings_of(FakeLister(), [])

    assert run(main()) == []


def test_awaiting_leaves_no_task_behind() -> None:
    async def main() -> set[Any]:
        assert len(await listings_of(FakeLister(), ["1"] * 50)) == 50
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert run(main()) == set()


def test_listings_are_iterated_only_inside_the_block_and_once() -> None:
    async def main() -> None:
        listings = listings_of(FakeLister(), ["1"])
        with pytest.raises(RuntimeError, match="inside 'async with"):
            aiter(listings)
        async with listings:
            assert [listing.waba_id async for listing in listings] == ["1"]
            with pytest.raises(StopAsyncIteration):
                await anext(listings)
        with pytest.raises(RuntimeError, match="inside 'async with"):
            await anext(listings)
        with pytest.raises(RuntimeError, match=r"list_many\(\) again"):
            await listings

    run(main())


@pytest.mark.parametrize("ids", ["1234", None, 5])
def test_ids_that_are_not_an_iterable_are_an_error(ids: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="waba_ids must be an iterable of ids, not "):
        listings_of(FakeLister, ids)


@pytest.mark.parametrize("concurrency", [0, -1, 2.5, True, "8"])
def test_concurrency_must_be_a_whole_number(concurrency: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="concurrency must be"):
        listings_of(FakeLister, [], concurrency=concurrency)


# --- bounds


def test_long_lists_share_the_slots_with_the_accounts_after_them() -> None:
    async def main() -> list[str]:
        ids = ["50", "50", "1", "1", "2"]
        return [listing.waba_id for listing in await listings_of(FakeLister(), ids, concurrency=2)]

    assert run(main()) == ["1", "1", "2", "50", "50"]


def test_waiting_accounts_keep_no_slot_and_their_number_is_bounded() -> None:
    async def main() -> None:
        lister, ids = FakeLister(), Ids(endless("0-wait"))
        async with listings_of(lister, ids, concurrency=3) as listings:
            await asyncio.sleep(1000)
            assert ids.read == 30
            lister.released.set()
            for _ in range(100):
                await anext(listings)
            assert lister.most_in_flight == 3

    run(main())


def test_some_waiting_accounts_do_not_slow_the_others() -> None:
    async def main() -> tuple[list[str], float]:
        ids = ["0-wait"] * 18 + ["1"] * 50
        async with listings_of(FakeLister(), ids, concurrency=2) as listings:
            others = [(await anext(listings)).waba_id for _ in range(50)]
            return others, asyncio.get_running_loop().time()

    assert run(main()) == (["1"] * 50, 25)


def test_with_ordered_a_waiting_account_stops_the_reader_after_a_window() -> None:
    async def main() -> None:
        lister, ids = FakeLister(), Ids(iter(["0-wait", *["1"] * 100]))
        async with listings_of(lister, ids, concurrency=3, ordered=True) as listings:
            await asyncio.sleep(1000)
            assert ids.read == 30
            lister.released.set()
            assert [listing.waba_id async for listing in listings] == ["0-wait", *["1"] * 100]

    run(main())


def test_a_slow_caller_stops_the_reader() -> None:
    async def main() -> None:
        ids = Ids(endless("1"))
        async with listings_of(FakeLister(), ids, concurrency=4) as listings:
            for given in range(20):
                await asyncio.sleep(100)
                assert ids.read <= given + 2 * 4
                await anext(listings)

    run(main())


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.builds("{}-{}".format, st.integers(0, 4), st.sampled_from(["", "wait", "gone"])), max_size=40),
    st.integers(1, 5),
    st.booleans(),
)
def test_every_account_is_listed_once_whatever_happens_to_others(
    ids: list[str],
    concurrency: int,
    ordered: bool,  # noqa: FBT001 - hypothesis passes by position
) -> None:
    async def main() -> None:
        lister = FakeLister()
        asyncio.get_running_loop().call_later(7, lister.released.set)
        listings = await listings_of(lister, ids, concurrency=concurrency, ordered=ordered)
        returned = [listing.waba_id for listing in listings]
        assert returned == ids if ordered else Counter(returned) == Counter(ids)
        for listing in listings:
            pages, _, word = listing.waba_id.partition("-")
            assert isinstance(listing.error, NotFoundError) == (word == "gone")
            assert len(listing.phone_numbers) == (0 if word == "gone" else int(pages))
            assert listing.calls == int(pages) + (word == "wait")
        assert lister.most_in_flight <= concurrency

    run(main())


# --- ends


def test_leaving_the_block_cancels_the_remaining_work_and_waits_for_it() -> None:
    async def main() -> None:
        lister = FakeLister()
        async with listings_of(lister, endless("5"), concurrency=3) as listings:
            await anext(listings)
        assert lister.in_flight == 0
        assert lister.cancelled > 0
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())


def test_an_error_of_the_caller_is_raised_unchanged() -> None:
    async def main() -> None:
        async with listings_of(FakeLister(), endless("1")) as listings:
            await anext(listings)
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run(main())


def test_a_bug_ends_the_run_after_the_finished_listings() -> None:
    async def main() -> list[str]:
        seen = list[str]()
        lister = FakeLister()
        async with listings_of(lister, ["1", "2-bug", "9", "9"], concurrency=3) as listings:
            await asyncio.sleep(5)
            seen.append((await anext(listings)).waba_id)
            with pytest.raises(KeyError, match="2-bug"):
                await anext(listings)
        assert lister.cancelled == 2
        return seen

    assert run(main()) == ["1"]


def test_an_error_of_the_ids_ends_the_run() -> None:
    def ids() -> Iterator[str]:
        yield "1"
        raise OSError("the file is gone")

    async def main() -> None:
        await listings_of(FakeLister(), ids())

    with pytest.raises(OSError, match="the file is gone"):
        run(main())


def test_a_cancellation_from_inside_does_not_hang() -> None:
    async def lister(waba_id: str) -> list[PhoneNumber]:
        del waba_id
        raise asyncio.CancelledError

    async def main() -> None:
        with pytest.raises(asyncio.CancelledError):
            await listings_of(lister, ["1", "2"])

    run(main())


def test_the_caller_can_be_cancelled() -> None:
    async def main() -> None:
        lister = FakeLister()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await listings_of(lister, endless("100"), concurrency=3)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())


# --- with a client


@asynccontextmanager
async def serving(
    access_token: str | TokenProvider = TOKEN, **settings: Unpack[Settings]
) -> AsyncIterator[tuple[Sandbox, PhoneNumberClient]]:
    async with Sandbox(quota=None) as sandbox:
        settings = {"base_url": sandbox.url, "retry": QUICK, "throttle": Unthrottled(), **settings}
        async with PhoneNumberClient(access_token, **settings) as client:
            yield sandbox, client


async def test_a_client_lists_accounts() -> None:
    async with serving() as (_, client):
        ids = [LARGE_WABA, SMALL_WABA, "12345", "none", EMPTY_WABA, SMALL_WABA]
        listings = await client.list_many(ids, ordered=True, fields=(name for name in ("id", "verified_name")))
    assert [listing.waba_id for listing in listings] == ids
    assert [len(listing.phone_numbers) for listing in listings] == [250, 3, 0, 0, 0, 3]
    assert [listing.calls for listing in listings] == [3, 1, 1, 0, 1, 1]
    assert [type(listing.error) for listing in listings] == [
        type(None),
        type(None),
        NotFoundError,
        InvalidArgumentError,
        type(None),
        type(None),
    ]
    assert listings[0].phone_numbers[0].verified_name


async def test_accounts_may_be_passed_in_place_of_ids() -> None:
    async with serving() as (sandbox, client):
        accounts = await client.list_business_accounts(sandbox.business_id)
        ids = [account.id for account in accounts]
        for given in (accounts, client.list_business_accounts(sandbox.business_id)):
            listings = await client.list_many(given, ordered=True)
            assert [(listing.waba_id, len(listing.phone_numbers)) for listing in listings] == list(
                zip(ids, [0, 3, 250], strict=True)
            )


async def test_an_invalid_id_is_the_error_of_its_own_listing() -> None:
    async with serving() as (_, client):
        listings = await client.list_many([1.0, None, SMALL_WABA], ordered=True)  # type: ignore[list-item]  # no ids
    assert [listing.waba_id for listing in listings] == ["1.0", "None", SMALL_WABA]
    assert [type(listing.error) for listing in listings] == [InvalidArgumentError, InvalidArgumentError, type(None)]


async def test_an_id_may_be_an_int_or_have_blanks_around_it() -> None:
    async with serving() as (_, client):
        listings = await client.list_many([int(SMALL_WABA), f" {SMALL_WABA}\n", SMALL_WABA], ordered=True)
    assert [listing.waba_id for listing in listings] == [SMALL_WABA] * 3
    assert [len(listing.phone_numbers) for listing in listings] == [3, 3, 3]


@pytest.mark.parametrize("options", [{"limit": 101}, {"sort": 5}, {"fields": "a b"}, {"total_timeout": 0}])
async def test_an_invalid_option_is_an_error_before_any_request(options: dict[str, Any]) -> None:
    async with serving() as (sandbox, client):
        with pytest.raises(InvalidArgumentError):
            client.list_many([SMALL_WABA], **options)
        assert not sandbox.requests


async def test_a_closed_client_raises() -> None:
    async with serving() as (_, client):
        pass
    with pytest.raises(RuntimeError, match="closed"):
        client.list_many([SMALL_WABA])


def test_a_throttled_account_lets_the_others_go_first() -> None:
    async def main() -> None:
        async with Sandbox(quota=None) as sandbox, PhoneNumberClient(TOKEN, base_url=sandbox.url) as client:
            sandbox.plan(Fault.error(80008), node=LARGE_WABA)
            async with client.list_many([LARGE_WABA, LARGE_WABA, SMALL_WABA, EMPTY_WABA], concurrency=1) as listings:
                first = [(await anext(listings)).waba_id for _ in range(2)]
                assert first == [SMALL_WABA, EMPTY_WABA]
                assert asyncio.get_running_loop().time() < 1
                assert [len(listing.phone_numbers) async for listing in listings] == [250, 250]
                assert 60 <= asyncio.get_running_loop().time() < 65

    run(main())


def test_an_account_that_waits_for_a_retry_lets_the_others_go_first() -> None:
    async def main() -> None:
        async with serving(retry=RetryPolicy(first_wait=30)) as (sandbox, client):
            sandbox.plan(Fault.status(503), node=LARGE_WABA)
            listings = await client.list_many([LARGE_WABA, SMALL_WABA], concurrency=1)
            assert [(listing.waba_id, listing.calls) for listing in listings] == [(SMALL_WABA, 1), (LARGE_WABA, 4)]

    run(main())


async def test_an_account_that_fails_does_not_affect_the_others() -> None:
    async with serving(retry=RetryPolicy(max_attempts=1)) as (sandbox, client):
        sandbox.plan(Fault.status(503), node=SMALL_WABA)
        large, small = await client.list_many([LARGE_WABA, SMALL_WABA], ordered=True)
    assert (len(large.phone_numbers), large.error) == (250, None)
    assert isinstance(small.error, ServerError)


async def test_a_rejected_token_of_all_accounts_ends_the_run() -> None:
    async with serving() as (sandbox, client):
        sandbox.revoke(TOKEN)
        with pytest.raises(AuthenticationError) as caught:
            await client.list_many(endless(SMALL_WABA), concurrency=4)
        assert len(sandbox.requests) <= 4
    assert caught.value.is_shared


async def test_a_rejected_token_of_one_account_is_the_error_of_its_listing() -> None:
    async def provide(node_id: str, rejected: str | None) -> str:
        del rejected
        return f"token-of-{node_id}"

    async with serving(provide) as (sandbox, client):
        sandbox.revoke(f"token-of-{LARGE_WABA}")
        large, small = await client.list_many([LARGE_WABA, SMALL_WABA], ordered=True)
    assert isinstance(large.error, AuthenticationError)
    assert not large.error.is_shared
    assert (len(small.phone_numbers), small.error) == (3, None)


async def test_one_token_of_a_provider_ends_the_run_when_a_second_account_is_rejected() -> None:
    async with serving(lambda _node_id, _rejected: TOKEN) as (sandbox, client):
        sandbox.revoke(TOKEN)
        with pytest.raises(AuthenticationError) as caught:
            await client.list_many([LARGE_WABA, SMALL_WABA, EMPTY_WABA], concurrency=1)
        assert caught.value.is_shared
        assert EMPTY_WABA not in {request.node for request in sandbox.requests}


def test_more_than_a_hundred_requests_may_be_in_flight() -> None:
    async def main() -> None:
        async with serving(timeout=300) as (sandbox, client):
            sandbox.plan(Fault.delay(100), times=150)
            listings = await client.list_many([SMALL_WABA] * 150, concurrency=150)
            assert sum(len(listing.phone_numbers) for listing in listings) == 450
            assert 100 <= asyncio.get_running_loop().time() < 110

    run(main())
