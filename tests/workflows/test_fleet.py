"""`list_fleet` returns the listings of `list_many` for all accounts of a business, whatever goes wrong, and where."""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

import attrs
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from readers import fresh_readers
from secrecy import everything_logged, everything_shown

from wa_phone_async import (
    ALL_FIELDS,
    AuthenticationError,
    BadRequestError,
    CallFinished,
    DecodeError,
    Event,
    Filter,
    FleetPageFinished,
    InvalidArgumentError,
    NotFoundError,
    PhoneNumber,
    PhoneNumberClient,
    RateLimitError,
    RetryPlanned,
    RetryPolicy,
    ServerError,
    Sort,
    TransportError,
    WabaListing,
    WaPhoneError,
)
from wa_phone_async.decoding.converter import FAST_PATH_SWITCH
from wa_phone_async.decoding.plain_page import LARGE_PAGE
from wa_phone_async.export import Job, Summary
from wa_phone_async.query import ListQuery
from wa_phone_async.sandbox import BUSINESS_ID, LARGE_WABA, Fault, Sandbox, VirtualTimeLoop
from wa_phone_async.sandbox.modes import ModeName
from wa_phone_async.workflows.fleet_plan import FIRST_ACCOUNTS, FleetLimits

T = TypeVar("T")
Kind = Literal["owned", "client", "all"]

TOKEN = "an-invented-token"
PATHS = "on", "off"
OWNED = f"{BUSINESS_ID}/owned_whatsapp_business_accounts"
CLIENT = f"{BUSINESS_ID}/client_whatsapp_business_accounts"
ALWAYS = 10**6

REDUCE = Fault.error(1, "Please reduce the amount of data you're asking for, then retry your request", status=500)
PASSING: dict[str, Fault] = {
    "code 2": Fault.error(2),
    "html": Fault.html(),
    "cut": Fault.cut(),
    "cut clean": Fault.cut(clean=True),
    "garbage": Fault.raw(b'\xff{"data": ['),
    "drop": Fault.drop_after(),
    "time-out": Fault.delay_response(40),
}
"""Faults that `RetryPolicy` retries, if they are not those of a nested call."""
LASTING: dict[str, Fault] = {
    "400": Fault.error(100),
    "403": Fault.error(200),
    "reduce": REDUCE,
    "no page": Fault.raw('{"data": {}}'),
}
"""Faults that it does not retry."""
THROTTLING: dict[str, Fault] = {"80007": Fault.error(80007), "4": Fault.error(4)}
DIVIDING = {**PASSING, **LASTING}
FORMS = ("usual", "absent", "empty", "own_cursors", "no_cursor")


def run(main: Coroutine[Any, Any, T], path: str = "on") -> T:
    """Run in virtual time, which begins at 0, by one of the decoding paths."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FAST_PATH_SWITCH, path)
        with fresh_readers(), asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            return runner.run(main)


@asynccontextmanager
async def serving(
    *, mode: ModeName = "live", first: int | None = None, client: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[tuple[Sandbox, PhoneNumberClient]]:
    """A sandbox, and a client of it. If `first` is given, its first nested call asks for so many accounts."""
    async with (
        Sandbox(mode=mode, **{"accounts": 0, "quota": None, **settings}) as sandbox,
        PhoneNumberClient(TOKEN, base_url=sandbox.url, **(client or {})) as opened,
    ):
        if first is not None:
            for path in (OWNED, CLIENT):
                opened._fleet_limits[path] = FleetLimits(accounts=first, has_worked=True)
        yield sandbox, opened


# --- the law


@attrs.frozen
class Account:
    """An account of a fleet, and what is wrong with it."""

    numbers: int
    shares: bool
    """Whether its numbers are those of another account, with members and values that nobody knows."""
    nested: str
    """The form of its nested list, or the fault of each page with it."""
    own: str | None
    """The fault of its own edge."""
    kind: Kind


@attrs.frozen
class Fleet:
    """A fleet, and how it is served."""

    accounts: Sequence[Account]
    mode: ModeName
    clients: bool
    """Whether the accounts of clients come with numbers."""
    largest_response: int | None
    first: int | None
    faults: Sequence[tuple[int, str]]
    """Calls of the business that fail, by how many there are before them."""

    def fill(self, sandbox: Sandbox) -> None:
        """Make the accounts."""
        if self.clients:
            sandbox.set_nested("client", "usual")
        for position, account in enumerate(self.accounts):
            waba_id = id_of(position)
            shared = [strange_number(ordinal) for ordinal in range(account.numbers)]
            sandbox.add_waba(waba_id, shared if account.shares else account.numbers, kind=account.kind)
            sandbox.set_nested(waba_id, DIVIDING.get(account.nested, account.nested))  # type: ignore[arg-type]  # Hypothesis draws the name

    def own_faults(self) -> dict[str, Fault]:
        """The faults of the accounts' own edges."""
        named = ((id_of(position), account.own) for position, account in enumerate(self.accounts))
        return {waba_id: {**DIVIDING, **THROTTLING}[fault] for waba_id, fault in named if fault is not None}

    def break_calls(self, sandbox: Sandbox) -> None:
        """Plan the faults."""
        for waba_id, fault in self.own_faults().items():
            sandbox.plan(fault, times=ALWAYS, node=waba_id)
        for before, name in self.faults:
            if before:
                sandbox.plan(Fault(), times=before, node=BUSINESS_ID)
            sandbox.plan({**DIVIDING, **THROTTLING}[name], times=1 + (name == "drop"), node=BUSINESS_ID)


def id_of(position: int) -> str:
    return str(7_000_001 + position)


def strange_number(ordinal: int) -> dict[str, Any]:
    return {
        "id": str(900_000 + ordinal),
        "display_phone_number": f"+1 631-555-{ordinal:04}",
        "status": "OF_NEXT_YEAR" if ordinal % 3 == 0 else "CONNECTED",
        "throughput": {"level": "HIGH", "new": [ordinal]} if ordinal % 2 else None,
        "last_onboarded_time": "2026-01-01T00:00:00+0000",
    }


ACCOUNTS = st.builds(
    Account,
    numbers=st.sampled_from([0, 1, 2, 3, 24, 25, 26, 99, 100, 101, 250]),
    shares=st.booleans(),
    nested=st.sampled_from([*["usual"] * 24, *FORMS, *DIVIDING]),
    own=st.sampled_from([*[None] * 48, *DIVIDING, "80007"]),
    kind=st.sampled_from(["owned", "client", "all"]),
)
FLEETS = st.builds(
    Fleet,
    accounts=st.lists(ACCOUNTS, max_size=10),
    mode=st.sampled_from(["live", "reference"]),
    clients=st.booleans(),
    largest_response=st.sampled_from([None, 2_000_000, 30_000]),
    first=st.sampled_from([None, 1, 2, 3, 4, 7]),
    faults=st.lists(st.tuples(st.integers(0, 12), st.sampled_from([*DIVIDING, *THROTTLING])), max_size=2),
)
OPTIONS: Any = st.fixed_dictionaries(
    {},
    optional={
        "fields": st.sampled_from(["status", "id,throughput", ["id", "verified_name", "nonsense"], ALL_FIELDS]),
        "limit": st.sampled_from([20, 25, 99]),
        "max_items": st.sampled_from([1, 25, 30, 100, 120, 300]),
        "filtering": st.just(Filter("account_mode", "LIVE")),
        "sort": st.just(Sort.CREATION_TIME_ASC),
        "follow": st.just("after"),
    },
)
EXTRA: Any = st.fixed_dictionaries({}, optional={"ordered": st.just(value=True), "verify_empty": st.just(value=False)})


async def ids_of(client: PhoneNumberClient, kind: Kind) -> list[str]:
    """The ids of the accounts, each once, in the order of the API."""
    kinds: Any = ("owned", "client") if kind == "all" else (kind,)
    ids = [account.id for each in kinds for account in await client.list_business_accounts(BUSINESS_ID, each)]
    return list(dict.fromkeys(ids))


def contents(listing: WabaListing) -> tuple[object, ...]:
    return listing.waba_id, listing.phone_numbers, [repr(number) for number in listing.phone_numbers]


KINDS: st.SearchStrategy[Kind] = st.sampled_from(["owned", "client", "all"])
LAW = given(fleet=FLEETS, kind=KINDS, options=OPTIONS, extra=EXTRA)


@pytest.mark.parametrize("path", PATHS)
@settings(max_examples=20)
@LAW
def test_a_fleet_is_listed_as_its_accounts_are(path: str, **drawn: Any) -> None:
    run(check_law(**drawn), path)


@pytest.mark.unmeasured
@pytest.mark.timeout(300)
@settings(max_examples=80)
@pytest.mark.parametrize("path", PATHS)
@LAW
def test_many_fleets_are_listed_as_their_accounts_are(path: str, **drawn: Any) -> None:
    run(check_law(**drawn), path)


async def check_law(fleet: Fleet, kind: Kind, options: dict[str, Any], extra: dict[str, Any]) -> None:
    patient = {"retry": RetryPolicy(max_wait=3_900)}  # two responses of a throttled app in a row are no error
    served: dict[str, Any] = {"mode": fleet.mode, "first": fleet.first, "largest_response": fleet.largest_response}
    async with serving(client=patient, **served) as (sandbox, client):
        fleet.fill(sandbox)
        ids = await ids_of(client, kind)
        plain = {listing.waba_id: listing for listing in await client.list_many(ids, **options)}
        broken = [waba_id for waba_id in fleet.own_faults() if waba_id in plain]
        fleet.break_calls(sandbox)
        failed = {listing.waba_id: listing for listing in await client.list_many(broken, **options)}
        if any(isinstance(listing.error, RateLimitError) for listing in failed.values()):
            await asyncio.sleep(3_600)  # then the account is as new
        sandbox.requests.clear()
        try:
            listings = await client.list_fleet(BUSINESS_ID, kind=kind, **options, **extra)
        except WaPhoneError as error:
            check_end_of_run(fleet, sandbox, error)
            return
        check_listings(fleet, listings, plain, failed, verify_empty=extra.get("verify_empty", True))
        if extra.get("ordered"):
            assert [listing.waba_id for listing in listings] == ids
        event(f"{sum(listing.calls == 0 for listing in listings) > 1=}")


def check_listings(
    fleet: Fleet,
    listings: Sequence[WabaListing],
    plain: dict[str, WabaListing],
    failed: dict[str, WabaListing],
    *,
    verify_empty: bool,
) -> None:
    hides = {id_of(at) for at, account in enumerate(fleet.accounts) if account.nested in {"absent", "empty"}}
    assert Counter(listing.waba_id for listing in listings) == Counter(plain.keys())
    for listing in listings:
        waba_id = listing.waba_id
        if listing.error is not None:
            assert type(listing.error) is type(failed.get(waba_id, plain[waba_id]).error)
            assert listing.calls > 0
            assert listing.phone_numbers == ()
        elif listing.calls == 0 and not listing.phone_numbers and not verify_empty:
            assert waba_id in hides or not plain[waba_id].phone_numbers
        else:
            assert plain[waba_id].error is None
            assert contents(listing) == contents(plain[waba_id])
            is_broken = failed[waba_id].error is not None if waba_id in failed else False
            assert listing.calls == 0 if is_broken else True


def check_end_of_run(fleet: Fleet, sandbox: Sandbox, error: WaPhoneError) -> None:
    """Only a call without numbers may end the run, and only if `RetryPolicy` does not retry its error."""
    last = [request for request in sandbox.requests if request.node == BUSINESS_ID][-1]
    assert "phone_numbers" not in last.query["fields"]
    expected = {"400": BadRequestError, "403": WaPhoneError, "reduce": ServerError, "no page": DecodeError}
    assert any(isinstance(error, expected[name]) for _, name in fleet.faults if name in expected), repr(error)


# --- which accounts


@pytest.mark.parametrize("first", [None, 2])
async def test_a_stretch_of_the_accounts_is_listed(first: int | None) -> None:
    async with serving(accounts=7, first=first) as (sandbox, client):
        ids = list(sandbox.waba_ids)
        pages = client.list_business_accounts(BUSINESS_ID, limit=1).pages()
        cursors = [None, *[page.cursors.after async for page in pages]]
        for begin, count in itertools.product((0, 3, 6), (0, 1, 3, 7)):
            listings = await client.list_fleet(
                BUSINESS_ID, after=cursors[begin], max_accounts=count, ordered=True, fields="id"
            )
            assert [listing.waba_id for listing in listings] == ids[begin : begin + count]


async def test_a_call_never_asks_for_more_accounts_than_are_wanted() -> None:
    async with serving(accounts=50, first=40) as (sandbox, client):
        sandbox.set_nested(sandbox.waba_ids[2], Fault.error(2))
        listings = await client.list_fleet(BUSINESS_ID, max_accounts=5, fields="id")
        assert len(listings) == 5
        nested = [call for call in business_calls(sandbox) if call[1]]
        assert len(nested) == len(set(nested))
        assert nested[0][0] == 5


async def test_only_wanted_accounts_are_listed_and_each_is_asked_about_once() -> None:
    asked = Counter[str]()

    def wanted(waba_id: str) -> bool:
        asked[waba_id] += 1
        return int(waba_id) % 2 == 0

    async with serving(accounts=9, numbers_per_account=lambda position: 101 * (position % 3 == 0)) as (sandbox, client):
        sandbox.add_waba(sandbox.waba_ids[0], 1, kind="all")
        sandbox.set_nested("client", "usual")
        ids = await ids_of(client, "all")
        sandbox.requests.clear()
        listings = await client.list_fleet(BUSINESS_ID, kind="all", wanted=wanted)
        assert {listing.waba_id for listing in listings} == {waba_id for waba_id in ids if int(waba_id) % 2 == 0}
        assert {request.node for request in sandbox.requests} <= {BUSINESS_ID, *(each.waba_id for each in listings)}
    assert asked == Counter(ids)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"kind": "other"}, "kind must be 'owned', 'client' or 'all', not 'other'"),
        ({"kind": "all", "after": "x"}, "kind must be 'owned' or 'client', not 'all'"),
        ({"kind": "all", "max_accounts": 1}, "kind must be 'owned' or 'client', not 'all'"),
        ({"max_accounts": -1}, "max_accounts must be a whole number from 0 up, not -1"),
        ({"after": ""}, "after must be a cursor of an earlier page"),
        ({"wanted": ["1"]}, "wanted must be a plain function of an account's id"),
        ({"concurrency": 0}, "concurrency must be"),
        ({"limit": 101}, "limit must be"),
        ({"fields": "a b"}, "fields must be"),
    ],
    ids=str,
)
async def test_an_invalid_argument_is_an_error_before_any_request(options: dict[str, Any], text: str) -> None:
    async with serving() as (sandbox, client):
        with pytest.raises(InvalidArgumentError) as caught:
            client.list_fleet(BUSINESS_ID, **options)
        assert str(caught.value).startswith(text)
        with pytest.raises(InvalidArgumentError, match="business_id must be"):
            client.list_fleet("me")
        assert not sandbox.requests
    with pytest.raises(RuntimeError, match="closed"):
        client.list_fleet(BUSINESS_ID)


async def test_a_query_for_single_lists_serves_a_fleet_too() -> None:
    async with serving(accounts=2, numbers_per_account=101) as (_, client):
        query = ListQuery.of_numbers(fields="id", read_ahead=2)  # no limit, and a task for each list
        listings = await client.start_fleet(BUSINESS_ID, query)
        assert [(len(listing.phone_numbers), listing.calls) for listing in listings] == [(101, 1)] * 2


# --- accounts that need calls of their own


@pytest.mark.parametrize("path", PATHS)
def test_without_a_check_of_empty_accounts_only_a_nested_list_says_that_an_account_is_empty(path: str) -> None:
    async def main() -> None:
        async with serving(accounts=12, numbers_per_account=2) as (sandbox, client):
            failing, absent = sandbox.waba_ids[5], sandbox.waba_ids[8]
            sandbox.set_nested(failing, Fault.error(100))
            sandbox.set_nested(absent, "absent")
            for options, missing in (({}, {absent}), ({"filtering": Filter("account_mode", "LIVE")}, set[str]())):
                listings = await client.list_fleet(BUSINESS_ID, verify_empty=False, **options)  # type: ignore[arg-type]  # of two kinds
                assert {listing.waba_id for listing in listings if not listing.phone_numbers} == missing

    run(main(), path)


@pytest.mark.parametrize("path", PATHS)
def test_calls_are_counted(path: str) -> None:
    async def main() -> None:
        sizes = {0: 0, 1: 3, 2: 100, 3: 101, 4: 250, 5: 3}
        async with serving(accounts=6, numbers_per_account=sizes.__getitem__) as (sandbox, client):
            events = list[FleetPageFinished]()
            client.subscribe(lambda event: events.append(event) if isinstance(event, FleetPageFinished) else None)
            sandbox.set_nested(sandbox.waba_ids[5], "no_cursor")
            listings = client.list_fleet(BUSINESS_ID, ordered=True)
            async with listings:
                assert [listing.calls async for listing in listings] == [1, 0, 0, 1, 2, 0]
                assert listings.shared_calls == 1
            assert len(sandbox.requests) == 5
            assert events == [
                FleetPageFinished(path=OWNED, node_id=BUSINESS_ID, accounts=6, complete=3, calls=1, calls_saved=3)
            ]
            sandbox.set_nested(sandbox.waba_ids[3], "own_cursors")
            sandbox.set_nested(sandbox.waba_ids[4], "no_cursor")
            listings = client.list_fleet(BUSINESS_ID, ordered=True, verify_empty=False)
            async with listings:
                assert [listing.calls async for listing in listings] == [0, 0, 0, 1 + 2, 3, 0]
            assert events[-1].calls_saved == 4

    run(main(), path)


def business_calls(sandbox: Sandbox) -> list[tuple[int, bool, str | None]]:
    """Each call of the business: its limit, whether it asks for numbers, and its cursor."""
    queries = [request.query for request in sandbox.requests if request.node == BUSINESS_ID]
    return [(int(query["limit"]), "phone_numbers" in query["fields"], query.get("after")) for query in queries]


@pytest.mark.parametrize("fault", DIVIDING)
def test_a_nested_call_that_fails_is_sent_once_and_then_divided(fault: str) -> None:
    async def main() -> None:
        retries = list[Event]()
        async with serving(accounts=8, first=8) as (sandbox, client):
            client.subscribe(lambda event: retries.append(event) if isinstance(event, RetryPlanned) else None)
            sandbox.set_nested(sandbox.waba_ids[0], DIVIDING[fault])
            listings = await client.list_fleet(BUSINESS_ID)
            assert [len(listing.phone_numbers) for listing in listings] == [3] * 8
            calls = business_calls(sandbox)
            limits = [limit for limit, is_nested, after in calls if is_nested and not after]
            if fault == "drop":  # aiohttp itself sends a call again if the connection was kept
                limits = [limit for limit, _ in itertools.groupby(limits)]
            # An account that is too large by itself is asked for with 50, and with 25 of its numbers.
            assert limits == ([8, 4, 2, 1, 1, 1] if fault == "reduce" else [8, 4, 2, 1])
            assert calls.count((1, False, None)) == 1
            assert not retries

    run(main())


@pytest.mark.parametrize("fault", THROTTLING)
def test_throttling_is_retried_and_never_divided(fault: str) -> None:
    async def main() -> None:
        async with serving(accounts=3, first=3) as (sandbox, client):
            sandbox.plan(THROTTLING[fault], node=BUSINESS_ID)
            assert len(await client.list_fleet(BUSINESS_ID)) == 3
            assert [call[:2] for call in business_calls(sandbox)] == [(3, True)] * 2
            sandbox.requests.clear()
            sandbox.set_nested("owned", THROTTLING[fault])
            with pytest.raises(RateLimitError) as caught:
                await client.list_fleet(BUSINESS_ID)
            assert {call[1] for call in business_calls(sandbox)} == {True}
            assert caught.value.attempts == len(sandbox.requests) <= 5

    run(main())


def test_a_connection_that_cannot_be_opened_is_retried_and_never_divided() -> None:
    async def main() -> None:
        async with Sandbox() as sandbox:
            url = sandbox.url
        async with PhoneNumberClient(TOKEN, base_url=url, retry=RetryPolicy(max_attempts=3)) as client:
            listings = client.list_fleet(BUSINESS_ID)
            with pytest.raises(TransportError) as caught:
                await listings
            assert (caught.value.attempts, caught.value.sent) == (3, False)
            assert client._fleet_limits[OWNED] == FleetLimits()

    run(main())


@pytest.mark.parametrize("fault", PASSING)
def test_the_call_for_an_id_alone_is_retried(fault: str) -> None:
    async def main() -> None:
        async with serving(accounts=2, first=1) as (sandbox, client):
            sandbox.set_nested(sandbox.waba_ids[0], Fault.error(100))
            sandbox.plan(Fault(), node=BUSINESS_ID)
            sandbox.plan(PASSING[fault], node=BUSINESS_ID, times=3)
            assert [len(listing.phone_numbers) for listing in await client.list_fleet(BUSINESS_ID)] == [3, 3]
            assert [call[:2] for call in business_calls(sandbox)][:5] == [(1, True)] + [(1, False)] * 4

    run(main())


@pytest.mark.parametrize("position", [0, 4, 8])
@pytest.mark.parametrize("fault", LASTING)
def test_an_error_of_the_call_for_an_id_ends_the_run_after_the_accounts_before(fault: str, position: int) -> None:
    async def main() -> None:
        async with serving(accounts=9, first=1) as (sandbox, client):
            client._fleet_limits[OWNED].growth = 1.0
            sandbox.set_nested(sandbox.waba_ids[position], Fault.error(2))
            sandbox.plan(Fault(), node=BUSINESS_ID, times=position + 1)
            sandbox.plan(LASTING[fault], node=BUSINESS_ID)
            listings, ids = client.list_fleet(BUSINESS_ID), list[str]()
            with pytest.raises(WaPhoneError) as caught:  # noqa: PT012 - the listings before it come
                async with listings:
                    async for listing in listings:
                        ids.append(listing.waba_id)
            assert ids == list(sandbox.waba_ids[:position])
            assert business_calls(sandbox)[-1][:2] == (1, False)
            assert caught.value.attempts == 1

    run(main())


def test_the_error_of_a_wrong_business_costs_two_calls() -> None:
    async def main() -> None:
        async with serving(mode="reference") as (sandbox, client):
            with pytest.raises(NotFoundError):
                await client.list_fleet("7")
            assert [request.query["limit"] for request in sandbox.requests] == ["10", "1"]

    run(main())


@pytest.mark.parametrize("before", [0, 1, 2])
def test_a_rejected_token_ends_the_run(before: int) -> None:
    async def main() -> None:
        async with serving(accounts=9, first=3) as (sandbox, client):
            client._fleet_limits[OWNED].growth = 1.0
            sandbox.plan(Fault(), node=BUSINESS_ID, times=before) if before else None
            sandbox.plan(Fault.error(190), node=BUSINESS_ID, times=2)
            listings, ids = client.list_fleet(BUSINESS_ID), list[str]()
            with pytest.raises(AuthenticationError):  # noqa: PT012 - the listings before it come
                async with listings:
                    async for listing in listings:
                        ids.append(listing.waba_id)
            assert ids == list(sandbox.waba_ids[: 3 * before])
            assert len(sandbox.requests) == before + 1
            assert own_tasks() == {asyncio.current_task()}

    run(main())


def own_tasks() -> set[asyncio.Task[Any]]:
    """All tasks but those of the sandbox."""
    of_server = "web_protocol", "_accept_connection2", "sandbox/server"
    return {task for task in asyncio.all_tasks() if not any(text in repr(task) for text in of_server)}


def test_a_token_that_accounts_alone_have_rejected_ends_the_run_if_it_is_shared() -> None:
    async def main() -> None:
        async with serving(accounts=3, numbers_per_account=101) as (sandbox, client):
            sandbox.plan(Fault.error(190), node=sandbox.waba_ids[1], times=2)
            with pytest.raises(AuthenticationError) as caught:
                await client.list_fleet(BUSINESS_ID)
            assert caught.value.is_shared

    run(main())


# --- what is learned


def test_the_client_remembers_the_largest_limit() -> None:
    async def main() -> None:
        async with serving(accounts=60, numbers_per_account=100, largest_response=600_000) as (sandbox, client):
            for most in (20, 10):
                sandbox.requests.clear()
                assert len(await client.list_fleet(BUSINESS_ID)) == 60
                calls = business_calls(sandbox)
                assert len(calls) <= most
                assert all(is_nested for _, is_nested, _ in calls)
                assert (calls[0][0] == FIRST_ACCOUNTS) == (most == 20)

    run(main())


def test_the_client_remembers_that_a_business_nests_nothing() -> None:
    async def main() -> None:
        async with serving(accounts=30) as (sandbox, client):
            sandbox.set_nested("owned", Fault.error(100))
            listings = await client.list_fleet(BUSINESS_ID)
            assert [len(listing.phone_numbers) for listing in listings] == [3] * 30
            sandbox.requests.clear()
            await client.list_fleet(BUSINESS_ID)
            assert business_calls(sandbox) == [(100, False, None)]
            sandbox.requests.clear()
            await client.list_fleet(BUSINESS_ID, kind="client", fields="id")  # another list is not concerned
            assert business_calls(sandbox)[0] == (10, True, None)

    run(main())


@pytest.mark.parametrize("options", [{"sort": Sort.CREATION_TIME_ASC}, {"filtering": Filter("account_mode", "LIVE")}])
def test_with_a_filter_or_a_sort_order_it_is_list_many(options: dict[str, Any]) -> None:
    async def main() -> None:
        async with serving(accounts=3) as (sandbox, client):
            assert len(await client.list_fleet(BUSINESS_ID, **options)) == 3
            assert business_calls(sandbox) == [(100, False, None)]
            assert len(sandbox.requests) == 4
            assert client._fleet_limits[OWNED] == FleetLimits()

    run(main())


@pytest.mark.parametrize("client", [{"timeout": 4}, {"retry": RetryPolicy(total_timeout=4)}])
def test_calls_stay_far_from_a_time_out(client: dict[str, Any]) -> None:
    async def main() -> None:
        async with serving(accounts=200, nested_latency=0.1, client=client) as (sandbox, opened):
            assert len(await opened.list_fleet(BUSINESS_ID, fields="id")) == 200
            assert {limit for limit, *_ in business_calls(sandbox)} == {10}

    run(main())


def test_fields_that_the_server_lacks_are_left_out_once_and_for_all() -> None:
    async def main() -> None:
        async with serving(accounts=3) as (sandbox, client):
            listings = await client.list_fleet(BUSINESS_ID, fields=ALL_FIELDS)
            assert {number.country_dial_code for each in listings for number in each.phone_numbers} != {None}
            assert all(is_nested for _, is_nested, _ in business_calls(sandbox))
            sandbox.requests.clear()
            await client.list_fleet(BUSINESS_ID, fields=ALL_FIELDS)
            assert len(sandbox.requests) == 1
            sandbox.requests.clear()
            named = await client.list_fleet(BUSINESS_ID, fields="id,unified_cert_status")
            assert [type(listing.error) for listing in named] == [BadRequestError] * 3

    run(main())


# --- ends, and bounds


def test_leaving_the_block_leaves_no_task_and_no_request() -> None:
    async def main(seconds: float) -> None:
        finished = list[CallFinished]()
        sizes = [3, 101, 0, 250] * 10
        async with serving(accounts=40, first=4, latency=1.0, numbers_per_account=sizes.__getitem__) as (_, client):
            client.subscribe(lambda event: finished.append(event) if isinstance(event, CallFinished) else None)
            async with client.list_fleet(BUSINESS_ID, concurrency=3):
                await asyncio.sleep(seconds)
            count = len(finished)
            assert own_tasks() == {asyncio.current_task()}
            await asyncio.sleep(10)
            assert len(finished) == count

    for seconds in (0.0, 0.5, 1.5, 2.5, 6.5):
        run(main(seconds))


@pytest.mark.parametrize("ordered", [False, True])
def test_after_a_stop_come_the_accounts_that_are_under_way(ordered: bool) -> None:  # noqa: FBT001 - pytest's
    async def main(seconds: float) -> None:
        sizes = [3, 3, 3, 101] * 10
        async with serving(accounts=40, first=4, latency=1.0, numbers_per_account=sizes.__getitem__) as (
            sandbox,
            client,
        ):
            client._fleet_limits[OWNED].growth = 1.0
            listings = client.list_fleet(BUSINESS_ID, concurrency=2, ordered=ordered)
            async with listings:
                await asyncio.sleep(seconds)
                listings.stop()
                calls = len(sandbox.requests)
                ids = [listing.waba_id async for listing in listings]
            assert len(sandbox.requests) == max(calls, 1)
            assert len(ids) == len(set(ids))
            assert set(ids) >= set(sandbox.waba_ids[:3])
            assert asyncio.get_running_loop().time() < seconds + 3

    for seconds in (0.0, 0.5, 1.5, 2.5, 4.5):
        run(main(seconds))


def test_a_stop_wakes_what_waits_for_the_caller() -> None:
    async def main() -> None:
        async with serving(accounts=300, first=100) as (sandbox, client):
            listings = client.list_fleet(BUSINESS_ID, fields="id")
            async with listings:
                await asyncio.sleep(5)
                listings.stop()
                assert len([listing async for listing in listings]) == 100
            assert len(sandbox.requests) == 1
            listings = client.list_fleet(BUSINESS_ID, fields="id")
            listings.stop()
            assert await listings == []
            assert len(sandbox.requests) == 1

    run(main())


def test_a_stop_starts_no_account_that_waits_for_a_slot() -> None:
    async def main() -> None:
        async with serving(accounts=4, latency=1.0, numbers_per_account=101) as (sandbox, client):
            listings = client.list_fleet(BUSINESS_ID, concurrency=1)
            async with listings:
                await asyncio.sleep(1.5)
                listings.stop()
                assert [listing.waba_id async for listing in listings] == list(sandbox.waba_ids[:1])

    run(main())


@pytest.mark.parametrize("kind", ["owned", "all"])
def test_memory_is_bounded_by_the_page(kind: Kind) -> None:
    async def main() -> int:
        most = 0
        async with (
            serving(accounts=1_500, numbers_per_account=1) as (sandbox, client),
            client.list_fleet(BUSINESS_ID, kind=kind, fields="id") as listings,
        ):
            sandbox.add_waba(LARGE_WABA, kind="client")  # without its 250 numbers
            count = 0
            async for _ in listings:
                count += 1
                if count % 250 == 0:
                    await asyncio.sleep(1)
                    most = max(most, sum(isinstance(each, PhoneNumber) for each in gc.get_objects()))
            assert count >= 1_500
        return most

    gc.collect()
    before = sum(isinstance(each, PhoneNumber) for each in gc.get_objects())
    assert run(main()) - before <= 210


def test_a_slow_caller_stops_the_calls() -> None:
    async def main() -> None:
        async with (
            serving(accounts=1_000, first=100) as (sandbox, client),
            client.list_fleet(BUSINESS_ID, fields="id") as listings,
        ):
            for count in range(1, 250):
                await anext(listings)
                if count % 50 == 0:
                    await asyncio.sleep(100)
                    assert len(sandbox.requests) <= count // 100 + 2

    run(main())


# --- a job resumes


@pytest.mark.parametrize("written", [True, False], ids=["paused", "killed"])
@pytest.mark.parametrize("after", [0, 1, 3, 4, 8, 13, 15])
async def test_a_job_lists_what_it_still_needs(tmp_path: Path, after: int, *, written: bool) -> None:
    sizes = [1, 1, 101, 1, 0, 1, 1, 101, 1, 1, 1, 250, 1, 1, 1]
    file = tmp_path / "numbers.jsonl"

    async with serving(accounts=15, first=3, numbers_per_account=sizes.__getitem__) as (sandbox, client):
        client._fleet_limits[OWNED].growth = 1.0

        async def list_with(job: Job, most: int) -> None:
            async with client.list_fleet(BUSINESS_ID, wanted=job.needs, concurrency=2, fields="id") as listings:
                for _ in range(most):
                    await job.add(await anext(listings))

        with Job(file, part_accounts=2) as job:
            await list_with(job, after)
            if written:
                await job.pause()
            count = job.so_far.accounts
        sandbox.requests.clear()
        with Job(file, part_accounts=2, resume=True) as job:
            assert job.resumed.accounts == count == (after if written else after - after % 2)
            await list_with(job, 15 - count)
            assert await job.finish() == Summary(accounts=15, phone_numbers=sum(sizes), failed=0)
        assert len(set(business_calls(sandbox))) <= 5

    rows = Counter(
        (row["waba_id"], row["id"]) for row in map(json.loads, file.read_text(encoding="utf-8").splitlines())
    )
    ids = dict(zip(sandbox.waba_ids, sizes, strict=True))
    assert set(rows.values()) == {1}
    assert Counter(waba_id for waba_id, _ in rows) == Counter({waba_id: size for waba_id, size in ids.items() if size})


async def test_pages_of_complete_accounts_cost_a_call_for_many(tmp_path: Path) -> None:
    file = tmp_path / "numbers.jsonl"
    async with serving(accounts=120, numbers_per_account=lambda position: 0 if position == 7 else 1) as (
        sandbox,
        client,
    ):
        sandbox.plan(Fault.error(100), node=sandbox.waba_ids[7])
        for failed, calls in ((1, 5), (0, 3)):  # with 10, 40, 70 and 100 accounts in a call
            sandbox.requests.clear()
            with Job(file, resume=True) as job:
                async with client.list_fleet(BUSINESS_ID, wanted=job.needs) as listings:
                    async for listing in listings:
                        await job.add(listing)
                assert (await job.finish()).failed == failed
            assert len(sandbox.requests) <= calls


# --- secrets

LINK = f"https://graph.facebook.com/v23.0/1/phone_numbers?access_token={TOKEN}&limit=100&after=QVFI"
NUMBERS: dict[str, Any] = {"data": [{"id": "5"}], "paging": {"cursors": {"after": "QVFI"}, "next": LINK}}
WITH_LINKS: dict[str, Any] = {
    "a number is invalid": {"data": [{"id": "1", "phone_numbers": {**NUMBERS, "data": [{"id": 5}]}}]},
    "an account is invalid": {"data": [{"phone_numbers": NUMBERS}]},
    "accounts are no list": {"data": {"1": NUMBERS}},
    "a cursor is no text": {"data": [{"id": "1", "phone_numbers": {**NUMBERS, "paging": {"next": [LINK]}}}]},
    "the paging is no object": {"data": [{"id": "1", "phone_numbers": NUMBERS}], "paging": [LINK]},
    "members that nobody knows": {"data": [{"id": "1", "more": LINK, "phone_numbers": {**NUMBERS, "more": LINK}}]},
    "an API error": {"error": {"code": 100, "message": f"wrong: {LINK}"}},
    "no JSON": json.dumps({"data": [{"id": "1", "phone_numbers": NUMBERS}]})[:-20],
    "the list goes on without a cursor": {
        "data": [{"id": "1", "phone_numbers": NUMBERS}],
        "paging": {"next": LINK[:70]},
    },
}


@pytest.mark.parametrize("padding", ["", " " * LARGE_PAGE], ids=["small", "large"])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", WITH_LINKS.values(), ids=WITH_LINKS)
def test_nothing_shows_the_token_of_nested_links(
    body: dict[str, Any] | str, path: str, padding: str, caplog: pytest.LogCaptureFixture
) -> None:
    shown = list[str]()

    async def main() -> None:
        retry = RetryPolicy(max_attempts=2)
        async with serving(first=2, client={"retry": retry}) as (sandbox, client):
            client.subscribe(lambda event: shown.append(repr(event)))
            text = body if isinstance(body, str) else json.dumps(body)
            for node in (BUSINESS_ID, "1"):
                sandbox.plan(Fault.raw(text + padding), node=node, times=ALWAYS)
            listings = client.list_fleet(BUSINESS_ID)
            try:
                async with asyncio.timeout(600), listings:
                    async for listing in listings:
                        shown.extend((repr(listing), repr([each.extra for each in listing.phone_numbers])))
                        shown.extend(everything_shown(listing.error) if listing.error else ())
            except WaPhoneError as error:
                frames = error.__traceback__
                assert frames is not None
                shown.extend(everything_shown(error.with_traceback(frames.tb_next)))  # without the frame of this test
            shown.extend((repr(listings), repr(vars(listings))))

    with caplog.at_level("DEBUG"):
        run(main(), path)
    assert shown
    assert not [text for text in (*shown, *everything_logged(caplog)) if TOKEN in text]


# --- calls


def calls_for(accounts: int, *, empty: float = 0, failing: float = 0) -> int:
    """List a fleet of accounts with 20 numbers, and count the calls."""
    step = 7_919  # prime, so it spreads the bad accounts
    order = {position * step % accounts: position / accounts for position in range(accounts)}

    async def main() -> int:
        def numbers(position: int) -> int:
            return 0 if order[position] < empty else 20

        async with serving(accounts=accounts, numbers_per_account=numbers) as (sandbox, client):
            for position, share in order.items():
                if empty <= share < empty + failing:
                    sandbox.set_nested(sandbox.waba_ids[position], Fault.error(2))
            async with client.list_fleet(BUSINESS_ID, fields="id") as listings:
                found = [len(listing.phone_numbers) async for listing in listings]
            assert Counter(found) == Counter(numbers(position) for position in range(accounts))
            return len(sandbox.requests)

    return run(main())


def test_a_thousand_accounts_cost_few_calls() -> None:
    assert calls_for(1_000) <= 13
    assert calls_for(1_000, empty=0.05) <= 70


@pytest.mark.unmeasured
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("empty", "failing", "most"), [(0, 0, 125), (0.05, 0, 700), (0.045, 0.005, 1_250), (0, 0.05, 4_500)]
)
def test_ten_thousand_accounts_cost_few_calls(empty: float, failing: float, most: int) -> None:
    assert calls_for(10_000, empty=empty, failing=failing) <= most
