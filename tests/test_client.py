"""`PhoneNumberClient` against the embedded Graph API: lists, settings, and calls that cost nothing."""

import asyncio
import hashlib
import hmac
import pickle
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from unittest.mock import create_autospec

import aiohttp
import clients
import pytest
from clients import TOKEN

from wa_phone_async import (
    ALL_FIELDS,
    DEFAULT_FIELDS,
    META_DEFAULT,
    AccountMode,
    AsyncPaginator,
    BadRequestError,
    BusinessAccount,
    CreatedPhoneNumber,
    Filter,
    GraphAPIError,
    GraphSession,
    InvalidArgumentError,
    ListQuery,
    PhoneNumber,
    PhoneNumberCache,
    PhoneNumberClient,
    PhoneNumberStatus,
    RateLimitError,
    RetryPolicy,
    Sort,
    Throttle,
    Usage,
    UsageMetric,
    Verbatim,
    WaPhoneError,
    from_dict,
    to_dict,
)
from wa_phone_async.sandbox import BUSINESS_ID, EMPTY_WABA, LARGE_WABA, SMALL_WABA, Fault, Sandbox
from wa_phone_async.sandbox.modes import ModeName

NUMBER: dict[str, Any] = {"phone_number": "16315551000", "verified_name": "Acme", "cc": "1"}

serving = partial(clients.serving, quota=None)
both_modes = pytest.mark.parametrize("mode", ["reference", "live"])


def ample() -> Throttle:
    """Known quotas. To find out unknown ones takes some seconds at the 201st call."""
    return Throttle(quota=5_000, app_quota=5_000)


def ids(rows: list[PhoneNumber]) -> list[str]:
    return [row.id for row in rows]


# Lists


@both_modes
@pytest.mark.parametrize(("waba_id", "size"), [(EMPTY_WABA, 0), (SMALL_WABA, 3), (LARGE_WABA, 250)])
async def test_the_list_of_every_account_is_exact_for_each_page_size(waba_id: str, size: int, mode: ModeName) -> None:
    async with serving(mode, throttle=ample()) as (sandbox, client):
        expected = [
            row["id"]
            for row in sorted(
                sandbox.numbers(waba_id), key=lambda row: (row.get("last_onboarded_time", ""), row["id"]), reverse=True
            )
        ]
        assert len(expected) == size

        async def check(limit: int) -> None:
            assert ids(await client.list_phone_numbers(waba_id, fields="id", limit=limit)) == expected

        await asyncio.gather(*map(check, range(1, 101)))
        assert len(sandbox.requests) == sum(max(1, -(-size // limit)) for limit in range(1, 101))


@both_modes
@pytest.mark.parametrize(("waba_id", "size"), [(SMALL_WABA, 3), (LARGE_WABA, 250)])
async def test_going_back_the_list_is_exact_for_any_page_size(waba_id: str, size: int, mode: ModeName) -> None:
    sizes = range(1, 101)
    async with serving(mode, throttle=ample()) as (sandbox, client):
        forwards = client.list_phone_numbers(waba_id, fields="id")
        *expected, last = ids(await forwards)
        assert len([*expected, last]) == size
        sandbox.requests.clear()

        async def check(limit: int) -> None:
            paginator = client.list_phone_numbers(waba_id, fields="id", limit=limit, before=forwards.cursor)
            pages = [ids(list(page)) async for page in paginator.pages()]
            assert [row for page in reversed(pages) for row in page] == expected

        await asyncio.gather(*map(check, sizes))
        assert len(sandbox.requests) == sum(-(-(size - 1) // limit) for limit in sizes)


async def test_a_page_has_100_rows_by_default() -> None:
    async with serving() as (sandbox, client):
        assert len(await client.list_phone_numbers(LARGE_WABA)) == 250
    assert [request.query["limit"] for request in sandbox.requests] == ["100", "100", "100"]


async def test_all_ways_to_list_agree() -> None:
    async with serving() as (sandbox, client):
        paginator = client.list_phone_numbers(LARGE_WABA, fields=["display_phone_number", "status"])
        assert isinstance(paginator, AsyncPaginator)
        assert aiter(paginator) is paginator
        rows = [number async for number in paginator]
        assert all(type(number.status) is PhoneNumberStatus for number in rows)
        assert await client.list_phone_numbers(LARGE_WABA, fields="display_phone_number,status") == rows
        assert await client.list_phone_numbers(LARGE_WABA, fields="display_phone_number,status").collect() == rows
        sandbox.requests.clear()
        page = await client.list_phone_numbers(LARGE_WABA, fields="display_phone_number,status").first_page()
        assert (list(page), page.has_next, len(sandbox.requests)) == (rows[:100], True, 1)


DEFAULT = ",".join(DEFAULT_FIELDS)


async def test_without_fields_each_way_to_read_requests_the_default_set() -> None:
    async with serving() as (sandbox, client), PhoneNumberCache(client) as cache:
        [number, *_] = await client.list_phone_numbers(SMALL_WABA)
        assert None not in [getattr(number, name) for name in DEFAULT_FIELDS]
        assert await client.get_phone_number(number.id) == number
        async with client.list_many([SMALL_WABA]) as listings:
            [listing] = [listing async for listing in listings]
        assert number in listing.phone_numbers
        assert number in await cache.phone_numbers(SMALL_WABA)
        assert number in await client.start_list(SMALL_WABA, ListQuery.of_numbers())
        assert [request.query["fields"] for request in sandbox.requests] == [DEFAULT] * 5


async def test_meta_default_names_no_fields() -> None:
    async with serving() as (sandbox, client), PhoneNumberCache(client) as cache:
        [number, *_] = await client.list_phone_numbers(SMALL_WABA, fields=META_DEFAULT)
        assert number.status is None
        assert await client.get_phone_number(number.id, fields=META_DEFAULT) == number
        async with client.list_many([SMALL_WABA], fields=META_DEFAULT) as listings:
            [listing] = [listing async for listing in listings]
        assert number in listing.phone_numbers
        assert number in await cache.phone_numbers(SMALL_WABA, fields=META_DEFAULT)
        assert not any("fields" in request.query for request in sandbox.requests)
    assert repr(META_DEFAULT) == "META_DEFAULT"
    assert pickle.loads(pickle.dumps(META_DEFAULT)) is META_DEFAULT


@both_modes
async def test_the_default_set_costs_one_call_more_at_most_and_only_once(mode: ModeName) -> None:
    async with serving(mode) as (sandbox, client):
        [number, *_] = await client.list_phone_numbers(SMALL_WABA)
        assert [request.status for request in sandbox.requests] == [400] * (mode == "reference") + [200]
        sandbox.requests.clear()
        assert await client.get_phone_number(number.id) == number
        await client.list_phone_numbers(SMALL_WABA, fields=ALL_FIELDS)
        assert [request.status for request in sandbox.requests] == [200] + [400] * (mode == "live") + [200]


async def test_a_list_on_a_version_without_the_limit_of_the_portfolio_takes_two_calls_once() -> None:
    async with serving() as (sandbox, client):
        limit = "whatsapp_business_manager_messaging_limit"
        sandbox.plan(Fault.error(100, f"(#100) Tried accessing nonexisting field ({limit})"))
        [number, *_] = await client.list_phone_numbers(SMALL_WABA)
        assert (number.status, number.whatsapp_business_manager_messaging_limit) == ("CONNECTED", None)
        await client.list_phone_numbers(SMALL_WABA)
        left = DEFAULT.replace(f"{limit},", "")
        assert [request.query["fields"] for request in sandbox.requests] == [DEFAULT, left, left]


@both_modes
async def test_all_fields_requests_every_field_that_the_api_has(mode: ModeName) -> None:
    async with serving(mode) as (sandbox, client):
        numbers = await client.list_phone_numbers(LARGE_WABA, fields=ALL_FIELDS)
        *rejected, _, _, _ = sandbox.requests
        assert all(request.status == 400 for request in rejected)
        assert all(number.status for number in numbers)
        sandbox.requests.clear()
        assert await client.list_phone_numbers(LARGE_WABA, fields=ALL_FIELDS) == numbers
        assert [request.status for request in sandbox.requests] == [200, 200, 200]  # the missing fields are known now


async def test_a_field_that_the_caller_named_is_not_left_out() -> None:
    async with serving() as (sandbox, client):
        with pytest.raises(BadRequestError, match="unified_cert_status"):
            await client.list_phone_numbers(SMALL_WABA, fields="id,unified_cert_status")
        assert len(sandbox.requests) == 1


@both_modes
@pytest.mark.parametrize("sort", Sort)
async def test_a_sort_works_in_both_spellings_and_the_right_one_is_remembered(sort: Sort, mode: ModeName) -> None:
    async with serving(mode) as (sandbox, client):
        field, _, way = sort.partition(".")
        rows = sandbox.numbers(LARGE_WABA)
        rows.sort(key=lambda row: (row.get(field) or "", row["id"]), reverse=way == "desc")
        for rejected in (1 if mode == "reference" else 0, 0):
            sandbox.requests.clear()
            numbers = await client.list_phone_numbers(LARGE_WABA, fields="id", sort=sort)
            assert ids(numbers) == [row["id"] for row in rows]
            assert [request.status for request in sandbox.requests] == [400] * rejected + [200] * 3


@pytest.mark.parametrize("status", [200, 400, 422])
async def test_a_sort_that_both_spellings_cannot_save_raises_the_first_error(status: int) -> None:
    async with serving() as (sandbox, client):
        sandbox.plan(Fault.error(100, "Unexpected value", status=status))
        sandbox.plan(Fault.error(100, "Invalid parameter", status=422))
        with pytest.raises(GraphAPIError, match=r"^Unexpected value \(") as caught:
            await client.list_phone_numbers(SMALL_WABA, sort=Sort.CREATION_TIME_ASC)
        assert (caught.value.http_status, caught.value.attempts, caught.value.__cause__) == (status, 2, None)
        spellings = [request.query["sort"] for request in sandbox.requests]
        assert spellings == ["creation_time_ascending", "creation_time.asc"]
        assert len(await client.list_phone_numbers(SMALL_WABA, sort=Sort.CREATION_TIME_ASC)) == 3


@pytest.mark.parametrize("status", [400, 422])
async def test_a_sort_that_is_rejected_in_any_words_works_in_the_other_spelling(status: int) -> None:
    async with serving("reference") as (sandbox, client):
        expected = ids(await client.list_phone_numbers(SMALL_WABA, fields="id", sort="creation_time.asc"))
    async with serving("reference") as (sandbox, client):
        sandbox.plan(Fault.error(100, "The parameters are valid but cannot be processed", status=status))
        numbers = await client.list_phone_numbers(SMALL_WABA, fields="id", sort=Sort.CREATION_TIME_ASC)
        assert ids(numbers) == expected
        assert [request.status for request in sandbox.requests] == [status, 200]


@both_modes
@pytest.mark.parametrize("version", ["v23.0", "v24.0", "v25.0", "v26.0", "v27.0"])
@pytest.mark.parametrize(
    "fault",
    [
        Fault.error(12, "(#12) messaging_limit_tier field is deprecated for versions v24.0 and higher"),
        Fault.error(100, "(#100) Unknown field: messaging_limit_tier", status=422),
    ],
    ids=["code 12", "code 100"],
)
async def test_all_fields_work_on_every_version_without_those_that_it_lacks(
    fault: Fault, version: str, mode: ModeName
) -> None:
    async with serving(mode, api_version=version) as (sandbox, client):
        sandbox.plan(fault)
        first = await client.list_phone_numbers(SMALL_WABA, fields=ALL_FIELDS, sort=Sort.CREATION_TIME_ASC)
        assert [number.id for number in first] == [row["id"] for row in sandbox.numbers(SMALL_WABA)]
        assert all(number.status and number.messaging_limit_tier is None for number in first)
        sandbox.requests.clear()
        assert await client.list_phone_numbers(SMALL_WABA, fields=ALL_FIELDS, sort=Sort.CREATION_TIME_ASC) == first
        [request] = sandbox.requests
        assert request.path.startswith(f"/{version}/")


async def test_fields_that_no_error_names_are_left_out_of_one_call_only() -> None:
    async with serving("reference") as (sandbox, client):
        sandbox.plan(Fault.error(100, "The requested fields are not available for this account", status=422))
        numbers = await client.list_phone_numbers(SMALL_WABA, fields=ALL_FIELDS)
        assert [request.status for request in sandbox.requests] == [422, 200]
        assert all(number.status for number in numbers)
        await client.list_phone_numbers(SMALL_WABA, fields=ALL_FIELDS)
        assert "name_status" in sandbox.requests[2].query["fields"]


@pytest.mark.parametrize("code", [12, 100])
async def test_a_deprecated_field_that_the_caller_named_is_not_left_out(code: int) -> None:
    async with serving() as (sandbox, client):
        text = f"(#{code}) messaging_limit_tier field is deprecated for versions v24.0 and higher"
        sandbox.plan(Fault.error(code, text))
        with pytest.raises(BadRequestError, match="messaging_limit_tier field is deprecated"):
            await client.list_phone_numbers(SMALL_WABA, fields="id,messaging_limit_tier")
        assert len(sandbox.requests) == 1


@pytest.mark.parametrize("fields", [Verbatim("id,statsu"), ["id", Verbatim("statsu")]], ids=["text", "names"])
async def test_a_verbatim_field_reaches_the_api_by_every_way(fields: Any) -> None:
    async with serving() as (sandbox, client):
        number = sandbox.numbers(SMALL_WABA)[0]["id"]
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: client.list_phone_numbers(SMALL_WABA, fields=fields),
            lambda: client.get_phone_number(number, fields=fields),
            lambda: client.wait_until(number, bool, fields=fields),
            lambda: anext(aiter(client.watch(SMALL_WABA, fields=fields))),
            lambda: client.ensure_phone_number(SMALL_WABA, **NUMBER, fields=fields),
            lambda: client.list_business_accounts(BUSINESS_ID, fields=fields),
        ]
        for call in calls:
            with pytest.raises(WaPhoneError, match="statsu"):
                await call()
        assert all(request.query["fields"].startswith("id,statsu") for request in sandbox.requests)
        [listing] = await client.list_many([SMALL_WABA], fields=fields)
        assert "statsu" in str(listing.error)


async def test_all_fields_of_a_number_are_no_fields_of_an_account() -> None:
    async with serving() as (sandbox, client):
        with pytest.raises(BadRequestError, match=r"nonexisting field \(display_phone_number\)"):
            await client.list_business_accounts(BUSINESS_ID, fields=ALL_FIELDS)
        assert len(sandbox.requests) == 1


async def test_a_plain_string_for_sort_goes_out_as_it_is() -> None:
    async with serving() as (sandbox, client):
        with pytest.raises(BadRequestError, match=r"Cannot sort by creation_time\.asc"):
            await client.list_phone_numbers(SMALL_WABA, sort="creation_time.asc")
        assert [request.query["sort"] for request in sandbox.requests] == ["creation_time.asc"]


@both_modes
async def test_filters_are_applied_and_filtered_pages_end_nothing(mode: ModeName) -> None:
    async with serving(mode) as (sandbox, client):
        numbers = await client.list_phone_numbers(
            LARGE_WABA,
            fields=["account_mode", "is_official_business_account"],
            filtering=[Filter("account_mode", AccountMode.LIVE), Filter("is_official_business_account", True)],  # noqa: FBT003 - the filter's value
            limit=5,
        )
        expected = [
            row["id"]
            for row in sandbox.numbers(LARGE_WABA)
            if row["account_mode"] == "LIVE" and row["is_official_business_account"]
        ]
        assert sorted(ids(numbers)) == sorted(expected)
        assert len(expected) > 1
        assert len(sandbox.requests) == 50


@both_modes
@pytest.mark.parametrize("max_items", [1, 10, 100])
async def test_a_filtered_list_that_is_cut_costs_no_more_calls_than_a_whole_one(max_items: int, mode: ModeName) -> None:
    async with serving(mode) as (sandbox, client):
        nowhere, official = Filter("account_mode", "NOWHERE"), Filter("is_official_business_account", value=True)
        assert await client.list_phone_numbers(LARGE_WABA, filtering=nowhere, max_items=max_items) == []
        everything = await client.list_phone_numbers(LARGE_WABA, filtering=official)
        some = await client.list_phone_numbers(LARGE_WABA, filtering=official, max_items=max_items)
        assert some == everything[:max_items]
        assert {request.query["limit"] for request in sandbox.requests} == {"100"}
        assert len(sandbox.requests) <= 9 + (mode == "reference")  # which first says that it lacks a field


@both_modes
@pytest.mark.parametrize("cut", [1, 99, 100, 101, 249])
async def test_a_later_list_goes_on_at_the_cursor(cut: int, mode: ModeName) -> None:
    async with serving(mode) as (_, client):
        everything = ids(await client.list_phone_numbers(LARGE_WABA))
        first = client.list_phone_numbers(LARGE_WABA)
        begun = [(await anext(first)).id for _ in range(cut)]
        rest = ids(await client.list_phone_numbers(LARGE_WABA, after=first.cursor))
    assert everything[:cut] == begun
    assert everything[(cut - 1) // 100 * 100 :] == rest


async def test_a_server_without_links_is_listed_by_cursors_alone() -> None:
    async with Sandbox(links=False) as sandbox, PhoneNumberClient(TOKEN, base_url=sandbox.url) as client:
        assert len(await client.list_phone_numbers(LARGE_WABA)) == 100  # only `next` says that there is more
        assert len(await client.list_phone_numbers(LARGE_WABA, follow="after")) == 250


async def test_next_is_never_followed_and_every_page_has_our_own_parameters() -> None:
    secret = "an-invented-app-secret"
    async with serving(app_secret=secret, api_version="v22.0") as (sandbox, client):
        await client.list_phone_numbers(LARGE_WABA, fields="id", sort=Sort.CREATION_TIME_ASC)
    proof = hmac.new(secret.encode(), TOKEN.encode(), hashlib.sha256).hexdigest()
    assert len(sandbox.requests) == 3  # `next` names a host that is not here
    for request in sandbox.requests:
        own = {name: value for name, value in request.query.items() if name != "after"}
        assert own == {"fields": "id", "sort": "creation_time_ascending", "limit": "100", "appsecret_proof": proof}
        assert request.path == f"/v22.0/{LARGE_WABA}/phone_numbers"
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"


async def test_the_app_secret_proves_the_token() -> None:
    async with Sandbox(app_secret="an-invented-app-secret") as sandbox:
        async with PhoneNumberClient(TOKEN, base_url=sandbox.url, app_secret="an-invented-app-secret") as client:
            assert len(await client.list_phone_numbers(LARGE_WABA)) == 250
            assert await client.create_phone_number(SMALL_WABA, **NUMBER)
        async with PhoneNumberClient(TOKEN, base_url=sandbox.url, app_secret="another") as client:
            with pytest.raises(BadRequestError, match="Invalid appsecret_proof"):
                await client.list_phone_numbers(LARGE_WABA)


# Accounts of a business


@both_modes
async def test_the_accounts_of_a_business_are_listed_by_kind(mode: ModeName) -> None:
    async with (
        Sandbox(mode=mode, accounts=250) as sandbox,
        PhoneNumberClient(TOKEN, base_url=sandbox.url) as client,
    ):
        paginator = client.list_business_accounts(sandbox.business_id)
        assert isinstance(paginator, AsyncPaginator)
        owned = await paginator
        assert [account.id for account in owned] == list(sandbox.waba_ids)
        assert all(type(account) is BusinessAccount and account.name for account in owned)
        assert set(owned[0].extra) == {"currency", "timezone_id", "message_template_namespace"}
        assert from_dict(BusinessAccount, to_dict(owned[0])) == owned[0]
        assert await client.list_business_accounts(sandbox.business_id, "owned") == owned
        shared = await client.list_business_accounts(sandbox.business_id, kind="client")
        assert [account.id for account in shared] == [EMPTY_WABA, SMALL_WABA, LARGE_WABA]
    assert [request.query for request in sandbox.requests[:1]] == [{"limit": "100"}]
    paths = [request.path.rpartition("/")[2] for request in sandbox.requests]
    assert paths == ["owned_whatsapp_business_accounts"] * 6 + ["client_whatsapp_business_accounts"]


async def test_accounts_are_listed_like_numbers() -> None:
    async with serving() as (sandbox, client):
        sandbox.add_waba("77", 1)
        everything = list(sandbox.waba_ids)
        paginator = client.list_business_accounts(BUSINESS_ID, fields=["name"], limit=1)
        assert [(await anext(paginator)).id, (await anext(paginator)).id] == everything[:2]
        assert [dict(account.extra) for account in await paginator] == [{}, {}]
        rest = client.list_business_accounts(BUSINESS_ID, limit=2, after=paginator.cursor)
        assert await rest == []
        back = client.list_business_accounts(BUSINESS_ID, limit=1, before=paginator.cursor, max_items=2)
        assert [account.id for account in await back] == everything[-2:-4:-1]
        sandbox.plan(Fault.status(503))
        assert len(await client.list_business_accounts(BUSINESS_ID, total_timeout=30)) == 4


async def test_accounts_of_a_server_without_links_are_listed_by_cursors() -> None:
    async with Sandbox(links=False, accounts=150) as sandbox, PhoneNumberClient(TOKEN, base_url=sandbox.url) as client:
        assert len(await client.list_business_accounts(BUSINESS_ID, follow="after")) == 150


async def test_the_accounts_of_a_business_and_all_their_numbers() -> None:
    async with Sandbox(accounts=5, numbers_per_account=120) as sandbox:
        async with PhoneNumberClient(TOKEN, base_url=sandbox.url) as client:
            numbers = [
                number.id
                async for account in client.list_business_accounts(sandbox.business_id)
                async for number in client.list_phone_numbers(account.id)
            ]
        assert len(set(numbers)) == len(numbers) == 600


async def test_a_list_of_accounts_uses_only_the_apps_quota() -> None:
    # given: more pages than 200, the hourly quota of an account without usage
    async with Sandbox(accounts=300) as sandbox, PhoneNumberClient(TOKEN, base_url=sandbox.url) as client:
        # when
        accounts = await client.list_business_accounts(BUSINESS_ID, limit=1)
        # then
        assert len(accounts) == len(sandbox.requests) == 300


async def test_the_usage_of_a_list_of_accounts_is_that_of_the_app() -> None:
    async with Sandbox(app_quota=10) as sandbox, PhoneNumberClient(TOKEN, base_url=sandbox.url) as client:
        await client.list_business_accounts(BUSINESS_ID)
        assert client.last_usage(None) == Usage(app=UsageMetric(10.0, 5.0))
        assert client.last_usage(BUSINESS_ID) is None


async def test_a_full_app_ends_a_list_of_accounts_and_the_same_list_goes_on() -> None:
    async with Sandbox(accounts=3) as sandbox:
        retry = RetryPolicy(max_wait=0.5)
        async with PhoneNumberClient(TOKEN, base_url=sandbox.url, retry=retry) as client:
            paginator = client.list_business_accounts(BUSINESS_ID, limit=1)
            assert (await anext(paginator)).id == sandbox.waba_ids[0]
            sandbox.plan(Fault.error(4, headers={"Retry-After": "1"}))
            with pytest.raises(RateLimitError):
                await anext(paginator)
            with pytest.raises(RateLimitError) as throttled:
                await client.list_phone_numbers(SMALL_WABA)
            assert not throttled.value.sent
            await asyncio.sleep(throttled.value.retry_after or 0)
            assert [account.id for account in await paginator] == list(sandbox.waba_ids[1:])


# Creates


@both_modes
async def test_what_was_created_is_in_the_list(mode: ModeName) -> None:
    async with serving(mode) as (_, client):
        created = await client.create_phone_number(EMPTY_WABA, **NUMBER)
        assert isinstance(created, CreatedPhoneNumber)
        [number] = await client.list_phone_numbers(EMPTY_WABA)
        assert number.id == created.id


async def test_a_migration_needs_no_name() -> None:
    async with serving() as (sandbox, client):
        created = await client.create_phone_number(
            EMPTY_WABA, phone_number="16315551000", migrate_phone_number=True, preverified_id="77"
        )
        assert sandbox.created[0].id == created.id
        assert sandbox.requests[0].json() == {
            "phone_number": "16315551000",
            "migrate_phone_number": True,
            "preverified_id": "77",
        }


@pytest.mark.parametrize("plain", [int, " {}\n".format, "\ufeff{}".format])
async def test_an_id_may_be_an_int_or_have_blanks_around_it(plain: Callable[[str], Any]) -> None:
    async with clients.serving() as (sandbox, client):
        waba_id = plain(SMALL_WABA)
        numbers = await client.list_phone_numbers(waba_id)
        assert len(numbers) == 3
        number = await client.get_phone_number(plain(numbers[0].id), waba_id=waba_id)
        assert number == numbers[0]
        assert await client.wait_until(plain(number.id), lambda _: True, waba_id=waba_id)
        assert await client.list_business_accounts(plain(BUSINESS_ID))
        assert client.last_usage(waba_id) == client.last_usage(SMALL_WABA) is not None
        created = await client.create_phone_number(waba_id, **NUMBER)
        ensured = await client.ensure_phone_number(waba_id, **NUMBER)
        assert (ensured.outcome, ensured.phone_number.id) == ("found", created.id)
        assert client.watch(waba_id).waba_id == SMALL_WABA
        async with PhoneNumberCache(client) as cache:
            assert await cache.phone_numbers(waba_id) == await cache.phone_numbers(SMALL_WABA)
            cache.invalidate(waba_id)
        assert {request.path.split("/")[2] for request in sandbox.requests} == {SMALL_WABA, number.id, BUSINESS_ID}


# Invalid calls cost nothing


async def no_list(client: PhoneNumberClient, *, waba_id: Any = SMALL_WABA, **arguments: Any) -> None:
    await client.list_phone_numbers(waba_id, **arguments)


async def no_create(client: PhoneNumberClient, *, waba_id: Any = SMALL_WABA, **arguments: Any) -> None:
    await client.create_phone_number(waba_id, **{**NUMBER, **arguments})


async def no_accounts(client: PhoneNumberClient, *, business_id: Any = BUSINESS_ID, **arguments: Any) -> None:
    await client.list_business_accounts(business_id, **arguments)


@pytest.mark.parametrize(
    ("call", "arguments", "text"),
    [
        *(
            (
                no_accounts,
                {"business_id": business_id},
                "business_id must be the id of the business, a string of digits",
            )
            for business_id in ("../me", "1?x=1", "", 5.0, None, "1\n2", "me")
        ),
        *(
            (no_accounts, {"kind": kind}, "kind must be 'owned' or 'client', not ")
            for kind in ("", "Owned", "shared", None, 5, ["owned"])
        ),
        (no_accounts, {"limit": 101}, "limit must be a whole number from 1 to 100"),
        (no_accounts, {"max_items": -1}, "max_items must be a whole number from 0 up"),
        (
            no_accounts,
            {"after": "A", "before": "B"},
            "after must be left out where before is given: a list goes one way",
        ),
        (no_accounts, {"follow": "links"}, "follow must be 'next' or 'after'"),
        (no_accounts, {"fields": "id,,name"}, "fields must be names"),
        (no_accounts, {"total_timeout": 0}, "total_timeout must be a number of seconds above 0"),
        *(
            (call, {"waba_id": waba_id}, "waba_id must be the id of the account, a string of digits")
            for call in (no_list, no_create)
            for waba_id in ("../me", "1?x=1", "", 5.0, None, "1\n2", "٣", "me", "1 1")
        ),
        *(
            (no_list, {"limit": limit}, "limit must be a whole number from 1 to 100")
            for limit in (0, 101, -1, True, 2.0, "5")
        ),
        (no_list, {"max_items": -1}, "max_items must be a whole number from 0 up"),
        (no_list, {"after": "A", "before": "B"}, "after must be left out where before is given: a list goes one way"),
        (no_list, {"after": ""}, "after must be a cursor"),
        (no_list, {"before": 5}, "before must be a cursor"),
        (no_list, {"follow": "links"}, "follow must be 'next' or 'after'"),
        (no_list, {"fields": ""}, "fields must be names"),
        (no_list, {"fields": []}, "fields must be names"),
        (no_list, {"fields": "id,,status"}, "fields must be names"),
        (no_list, {"fields": "owner{id"}, "fields must be names"),
        (no_list, {"fields": ["id", 5]}, "fields must be names"),
        (no_list, {"filtering": []}, "filtering must be one Filter or several"),
        (no_list, {"filtering": {"field": "account_mode"}}, "filtering must be one Filter or several"),
        (no_list, {"sort": ""}, "sort must be an order such as 'creation_time.desc', not ''"),
        (no_list, {"total_timeout": 0}, "total_timeout must be a number of seconds above 0"),
        (no_create, {"total_timeout": -1}, "total_timeout must be a number of seconds above 0"),
        (no_create, {"phone_number": "+16315551000x5"}, "phone_number must be 7 to 15 digits"),
        (no_create, {"phone_number": "1.0E+14"}, "phone_number must be 7 to 15 digits"),
        (no_create, {"phone_number": "06315551000"}, "phone_number must be 7 to 15 digits"),
        (no_create, {"phone_number": 16315551000}, "phone_number must be 7 to 15 digits"),
        (no_create, {"verified_name": "A"}, "verified_name must be 2 to 75 characters long, not"),
        (no_create, {"verified_name": "A" * 76}, "verified_name must be 2 to 75 characters long, not"),
        (no_create, {"verified_name": None}, "verified_name must be 2 to 75 characters long: only a migration"),
        (no_create, {"cc": "US"}, "cc must be a country's dial code of 1 to 3 digits"),
        (no_create, {"cc": 1.0}, "cc must be a country's dial code of 1 to 3 digits"),
        (no_create, {"migrate_phone_number": "yes"}, "migrate_phone_number must be True or False"),
        (no_create, {"preverified_id": " "}, "preverified_id must be the id of the preverified number"),
    ],
    ids=lambda value: value.__name__ if callable(value) else ascii(value) if isinstance(value, dict) else "",
)
async def test_an_invalid_call_says_what_is_allowed_and_sends_nothing(
    call: Callable[..., Any], arguments: dict[str, Any], text: str
) -> None:
    async with serving() as (sandbox, client):
        with pytest.raises(InvalidArgumentError) as caught:
            await call(client, **arguments)
        assert text in str(caught.value)
        assert isinstance(caught.value, ValueError)
        assert sandbox.requests == []


def test_an_invalid_list_raises_before_the_first_page() -> None:
    with pytest.raises(InvalidArgumentError):
        PhoneNumberClient(TOKEN).list_phone_numbers("../me")


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"api_version": "23.0"}, "api_version must be of the form 'v23.0'"),
        ({"api_version": "v23"}, "api_version must be of the form 'v23.0'"),
        ({"api_version": "v23.0/../me"}, "api_version must be of the form 'v23.0'"),
        ({"api_version": 23.0}, "api_version must be of the form 'v23.0'"),
        ({"base_url": "graph.facebook.com"}, "base_url must be an http:// or https:// URL"),
        ({"base_url": "ftp://graph.facebook.com"}, "base_url must be an http:// or https:// URL"),
        ({"base_url": "https://"}, "base_url must be an http:// or https:// URL"),
        ({"base_url": "https://user:word@graph.facebook.com"}, "no user"),
        ({"base_url": "https://graph.facebook.com?x=1"}, "base_url must be an http:// or https:// URL"),
        ({"base_url": "https://graph.facebook.com:port"}, "base_url must be an http:// or https:// URL"),
        ({"base_url": None}, "base_url must be an http:// or https:// URL"),
        (
            {"base_url": "https://graph.facebook.com/v23.0"},
            "base_url must be a URL without the API's version, such as 'https://graph.facebook.com': the version v23",
        ),
        ({"base_url": "http://127.0.0.1:8080/shop/v25.0/"}, "the version v25.0 is a setting of its own"),
        ({"base_url": "http://127.0.0.1/v23"}, "base_url must be a URL without the API's version"),
        (
            {"base_url": "http://graph.facebook.com"},
            "base_url must be an https:// URL for facebook.com: http:// would send",
        ),
        ({"base_url": "HTTP://Graph.Beta.Facebook.COM.:80"}, "base_url must be an https:// URL for facebook.com"),
        ({"base_url": "http://facebook.com"}, "base_url must be an https:// URL for facebook.com"),
        ({"app_secret": ""}, "app_secret must be a string that is not empty"),
        ({"app_secret": "a b"}, "app_secret must be printable ASCII without blanks"),
        ({"access_token": ""}, "access_token must be a string that is not empty"),
        ({"access_token": None}, "access_token must be a string that is not empty"),
        ({"access_token": b"bytes"}, "access_token must be a string that is not empty"),
        ({"access_token": "two words"}, "access_token must be printable ASCII without blanks"),
        ({"access_token": "line\nline"}, "access_token must be printable ASCII without blanks or line breaks"),
        (
            {"access_token": "line\r\nX-Other: header"},
            "access_token must be printable ASCII without blanks or line breaks",
        ),
        ({"access_token": "tökén"}, "access_token must be printable ASCII"),
        ({"session": 5}, "session must be an aiohttp.ClientSession or a GraphSession, not int"),
        ({"retry": 3}, "retry must be an instance of RetryPolicy, such as RetryPolicy(max_attempts=3), not 3"),
        (
            {"retry": RetryPolicy},
            "retry must be an instance of RetryPolicy, such as RetryPolicy(max_attempts=3), not RetryPolicy",
        ),
        ({"throttle": 5}, "throttle must be an instance of RateLimiter, such as Throttle(), not 5"),
        ({"throttle": Throttle}, "throttle must be an instance of RateLimiter, such as Throttle(), not Throttle"),
        ({"on_event": 5}, "on_event must be callable with an event, plain or async, not 5"),
        ({"trace_configs": 5}, "trace_configs must be a sequence of aiohttp.TraceConfig, not 5"),
        ({"trace_configs": [5]}, "trace_configs must be a sequence of aiohttp.TraceConfig, not [5]"),
        pytest.param(
            {"trace_configs": aiohttp.TraceConfig()},
            "trace_configs must be a sequence of aiohttp.TraceConfig, not <",
            id="trace_configs is one",  # whose repr has its address, which differs in each process
        ),
    ],
    ids=str,
)
def test_an_invalid_setting_says_what_is_allowed(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        PhoneNumberClient(**{"access_token": TOKEN, **settings})
    assert text in str(caught.value)
    assert "word" not in str(caught.value)


@pytest.mark.parametrize(
    "base_url",
    ["http://graph.test:8080/v23.0/proxy", "http://notfacebook.com", "http://facebook.com.test", "http://h/dev23.0"],
)
def test_an_address_of_a_test_server_may_be_plain(base_url: str) -> None:
    assert PhoneNumberClient(TOKEN, base_url=base_url).session.base_url == base_url


def test_an_unknown_setting_is_a_type_error() -> None:
    with pytest.raises(TypeError, match=r"^PhoneNumberClient has no setting colour; it has api_version, app_secret, "):
        PhoneNumberClient(TOKEN, colour="blue")  # type: ignore[call-arg]  # what is tested


def test_a_listener_that_cannot_be_called_raises_when_it_subscribes() -> None:
    listener: Any = 5
    with pytest.raises(InvalidArgumentError, match=r"^listener must be callable with an event, plain or async, not 5$"):
        PhoneNumberClient(TOKEN).subscribe(listener)


def test_trace_configs_may_be_read_once_only() -> None:
    once = iter([aiohttp.TraceConfig()])
    assert len(PhoneNumberClient(TOKEN, trace_configs=once).session._transports.trace_configs) == 1  # type: ignore[arg-type]  # the same


# The session's own calls


@pytest.mark.parametrize("node", [SMALL_WABA, BUSINESS_ID])
async def test_any_node_is_read_by_the_session(node: str) -> None:
    async with serving() as (_, client):
        response = await client.session.get(node, dict, {"fields": "id,name"})
    assert response["id"] == node
    assert response["name"]


async def test_the_error_says_that_only_the_sandbox_lacks_an_edge() -> None:
    async with serving() as (_, client):
        with pytest.raises(BadRequestError, match=r"\(message_templates\) .*; the sandbox does not serve it"):
            await client.session.paginate(f"{SMALL_WABA}/message_templates", dict)


# Settings of the environment


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("WA_ACCESS_TOKEN", "WA_API_VERSION", "WA_BASE_URL", "WA_APP_SECRET"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


async def test_settings_are_read_from_the_environment(environment: pytest.MonkeyPatch) -> None:
    async with Sandbox(tokens=["from-the-environment"], app_secret="shh") as sandbox:
        environment.setenv("WA_ACCESS_TOKEN", "from-the-environment")
        environment.setenv("WA_API_VERSION", "v22.0")
        environment.setenv("WA_BASE_URL", sandbox.url)
        environment.setenv("WA_APP_SECRET", "shh")
        async with PhoneNumberClient.from_env() as client:
            assert len(await client.list_phone_numbers(SMALL_WABA)) == 3
    assert sandbox.requests[0].path.startswith("/v22.0/")


def test_what_is_passed_comes_before_the_environment(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("WA_ACCESS_TOKEN", TOKEN)
    environment.setenv("WA_API_VERSION", "v22.0")
    environment.setenv("WA_BASE_URL", "")
    client = PhoneNumberClient.from_env(api_version="v24.0", app_secret="shh")
    assert (client.session.api_version, client.session.base_url) == ("v24.0", "https://graph.facebook.com")
    assert PhoneNumberClient.from_env().session.api_version == "v22.0"
    environment.delenv("WA_API_VERSION")
    assert PhoneNumberClient.from_env().session.api_version == "v23.0"
    with pytest.raises(InvalidArgumentError, match=r"^proxy must be "):
        PhoneNumberClient.from_env(proxy="socks5://proxy.example")


@pytest.mark.parametrize("token", [None, ""], ids=["not set", "empty"])
def test_without_a_token_in_the_environment_the_error_names_it(
    environment: pytest.MonkeyPatch, token: str | None
) -> None:
    if token is not None:
        environment.setenv("WA_ACCESS_TOKEN", token)
    with pytest.raises(
        InvalidArgumentError, match=r"^WA_ACCESS_TOKEN must be set in the environment: export your access token$"
    ):
        PhoneNumberClient.from_env()


# Borrowed sessions


async def test_a_borrowed_graph_session_serves_several_clients_and_stays_open() -> None:
    async with Sandbox() as sandbox, GraphSession(TOKEN, base_url=sandbox.url) as session:
        for _ in range(2):
            async with PhoneNumberClient(session=session) as client:
                assert client.session is session
                assert len(await client.list_phone_numbers(SMALL_WABA)) == 3
            with pytest.raises(RuntimeError, match="this client is closed"):
                client.list_phone_numbers(SMALL_WABA)
            with pytest.raises(RuntimeError, match="this client is closed"):
                client.list_business_accounts(BUSINESS_ID)
        assert await session.get(f"{SMALL_WABA}/phone_numbers", dict, {"fields": "id", "limit": "1"})


@pytest.mark.parametrize("more", [{"access_token": TOKEN}, {"api_version": "v24.0"}], ids=str)
def test_a_borrowed_graph_session_is_given_alone(more: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^session must be given alone: a GraphSession has its own"):
        PhoneNumberClient(session=GraphSession(TOKEN), **more)


def test_a_repr_shows_the_address_and_hides_the_token() -> None:
    client = PhoneNumberClient(TOKEN, app_secret="shh")
    assert repr(client) == (
        "PhoneNumberClient(session=GraphSession(base_url='https://graph.facebook.com', api_version='v23.0'))"
    )


def test_one_base_of_all_errors() -> None:
    assert issubclass(InvalidArgumentError, WaPhoneError)


@pytest.mark.parametrize("name", ["register", "verify_code", "set_two_step_verification_pin", "deregister"])
async def test_a_mock_of_the_client_can_be_awaited(name: str) -> None:
    client = create_autospec(PhoneNumberClient, instance=True)
    arguments = {"verify_code": ("1", "123830"), "set_two_step_verification_pin": ("1", "271828")}.get(name, ("1",))
    options = {"pin": "271828"} if name == "register" else {}
    await getattr(client, name)(*arguments, **options)
    getattr(client, name).assert_awaited_once_with(*arguments, **options)
