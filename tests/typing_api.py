# pyright: reportUnnecessaryTypeIgnoreComment=true
"""The types of the public API. mypy and pyright check this file, and nothing runs it.

`assert_type` states the type of an expression. A line with `type: ignore` is a mistake that both checkers must report.
If a type becomes weaker, a line of either kind fails: test_typing_api.py proves that for each of these lines.
"""

from asyncio import Runner
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias, assert_type

import aiohttp
import distributed
from multidict import MultiMapping

import wa_phone_async as wa
from wa_phone_async.export import (
    COLUMNS,
    ArrowTable,
    Job,
    Part,
    Summary,
    Writer,
    errors_row,
    export,
    merge,
    row_of,
    to_arrow,
    write,
)
from wa_phone_async.export.dask import client_from_env
from wa_phone_async.export.dask import export as export_on_a_cluster
from wa_phone_async.integrations.otel import instrument
from wa_phone_async.ratelimit.redis import RedisRegistrationLedger, RedisThrottle
from wa_phone_async.sandbox import (
    APP_ID,
    BUSINESS_ID,
    EMPTY_WABA,
    LARGE_WABA,
    SEEDED_PIN,
    SMALL_WABA,
    USER_ID,
    Code,
    Created,
    Delivery,
    Fault,
    GraphError,
    Request,
    Response,
    Sandbox,
    VirtualTimeLoop,
    Webhook,
)

PN = wa.PhoneNumber


async def a_token(node_id: str, rejected: str | None) -> str:
    return f"{node_id} {rejected}"


PROVIDER: wa.TokenProvider = a_token
TOKENS = wa.TokenMap({"1": "one", "2": "two"}, "common")
MORE_TOKENS: wa.TokenProvider = wa.TokenMap.from_file("tokens.csv", default="common")
OF_INTEGERS = wa.TokenMap({1: "one"})
assert_type(TOKENS("1", None), str)
assert_type(TOKENS.waba_ids, tuple[str, ...])


def a_token_for_all(node_id: str) -> str:
    return node_id


async def an_async_listener(_: wa.Event) -> None: ...


class OwnClient(wa.PhoneNumberClient):
    """The class methods of a subclass return its own type."""


async def clients_are_made(session: aiohttp.ClientSession, graph: wa.GraphSession) -> None:
    wa.PhoneNumberClient("token", session=session, timeout=aiohttp.ClientTimeout(total=3), app_secret="secret")
    wa.PhoneNumberClient(PROVIDER, on_event=an_async_listener, throttle=wa.Throttle(), retry=wa.RetryPolicy.batch())
    wa.PhoneNumberClient(lambda node_id, rejected: node_id + (rejected or ""), on_event=list[wa.Event]().append)
    wa.PhoneNumberClient("token", proxy="http://proxy.example:3128", trust_env=True)
    wa.GraphSession("token", proxy=None, trust_env=False)
    wa.PhoneNumberClient(session=graph)
    assert_type(wa.PhoneNumberClient.from_env(api_version="v23.0"), wa.PhoneNumberClient)
    assert_type(OwnClient.from_env(session=session), OwnClient)
    async with OwnClient("token") as client:
        assert_type(client, OwnClient)
        assert_type(client.session, wa.GraphSession)
    async with graph as entered:
        assert_type(entered, wa.GraphSession)

    wa.PhoneNumberClient(b"token")  # type: ignore[arg-type]  # a token is text
    wa.PhoneNumberClient(a_token_for_all)  # type: ignore[arg-type]  # a provider also gets the rejected token
    wa.PhoneNumberClient("token", timeout="30")  # type: ignore[arg-type]  # seconds are a number
    wa.PhoneNumberClient("token", max_body=1.5)  # type: ignore[arg-type]  # whole bytes
    wa.PhoneNumberClient("token", retry=3)  # type: ignore[arg-type]  # a RetryPolicy
    wa.PhoneNumberClient("token", session="lent")  # type: ignore[arg-type]  # a session
    wa.PhoneNumberClient("token", throttle="redis://")  # type: ignore[arg-type]  # a RateLimiter
    wa.PhoneNumberClient("token", trace_configs=3)  # type: ignore[arg-type]  # a sequence
    wa.PhoneNumberClient("token", proxy=("proxy", 3128))  # type: ignore[arg-type]  # a URL, as text
    wa.PhoneNumberClient("token", trust_env="HTTPS_PROXY")  # type: ignore[arg-type]  # yes or no
    wa.PhoneNumberClient("token", app_secret=b"")  # type: ignore[arg-type]  # text
    wa.PhoneNumberClient("token", base_url=443)  # type: ignore[arg-type]  # text
    wa.PhoneNumberClient.from_env(api_version=23.0)  # type: ignore[arg-type]  # text, with its v
    wa.PhoneNumberClient.from_env(session=graph)  # type: ignore[arg-type]  # one has a token already, so aiohttp's
    wa.GraphSession(None)  # type: ignore[arg-type]  # it needs a token


def fields_are_chosen(client: wa.PhoneNumberClient) -> None:
    fields: wa.MetaDefault = wa.META_DEFAULT
    client.list_phone_numbers("1", fields=fields)
    client.list_phone_numbers("1", fields=(*wa.DEFAULT_FIELDS, "health_status"))
    client.list_phone_numbers("1", fields=object())  # type: ignore[arg-type]  # names, or `META_DEFAULT`
    client.list_business_accounts("1", fields=wa.META_DEFAULT)  # type: ignore[arg-type]  # it is of numbers alone


async def a_set_up_is_diagnosed(client: wa.PhoneNumberClient, error: wa.TransportError, shared: RedisThrottle) -> None:
    diagnosis = await client.diagnose(waba_id="1", total_timeout=3)
    assert_type(diagnosis, wa.Diagnosis)
    assert_type(await client.session.diagnose(), wa.Diagnosis)
    assert_type((diagnosis.is_ok, diagnosis.token), tuple[bool, wa.TokenInfo | None])
    assert_type(diagnosis.checks, tuple[wa.Check, ...])
    check = diagnosis.checks[0]
    assert_type((check.name, check.finding, check.remedy), tuple[str, str, str | None])
    assert_type(check.status, Literal["ok", "warning", "problem"])
    status: wa.CheckStatus = "fine"  # type: ignore[assignment]  # there are three
    wa.Check(name="host", status=status, finding="It responds.")
    assert_type(error.failed_at, Literal["dns", "connection", "tls", "proxy", "response"])
    assert_type(await shared.ping(0.5), str | None)
    info = await client.session.inspect_token(waba_id=1, total_timeout=2)
    assert_type(info, wa.TokenInfo)
    assert_type((info.is_valid, info.scopes, info.waba_ids), tuple[bool, tuple[str, ...], tuple[str, ...]])
    assert_type((info.error, info.type, info.app_id), tuple[str | None, str | None, str | None])
    assert_type((info.application, info.user_id), tuple[str | None, str | None])
    assert_type((info.issued_at, info.expires_at), tuple[datetime | None, datetime | None])
    assert_type(info.data_access_expires_at, datetime | None)
    assert_type(await client.list_token_accounts(waba_id=1, total_timeout=2), wa.Rows[wa.BusinessAccount])


async def a_fleet_is_listed(client: wa.PhoneNumberClient, job: Job) -> None:
    listings = client.list_fleet(1, kind="all", concurrency=8, ordered=True, verify_empty=False, wanted=job.needs)
    assert_type(listings, wa.Listings)
    assert_type(await listings, wa.Rows[wa.WabaListing])
    assert_type(listings.shared_calls, int)
    assert_type(listings.stop(), None)
    client.start_fleet("1", wa.ListQuery.of_numbers(fields="id"), kind="client", after="cursor", max_accounts=3)
    client.list_fleet("1", kind="shared")  # type: ignore[arg-type]  # it is "client"
    client.session.dispatch(wa.ThrottleEnded(node_id="1"))
    assert_type(client.session.shortest_timeout(None), float)


async def numbers_are_listed(client: wa.PhoneNumberClient) -> None:
    paginator = client.list_phone_numbers(
        "1",
        fields=wa.ALL_FIELDS,
        filtering=[wa.Filter("account_mode", "LIVE")],
        sort=wa.Sort.CREATION_TIME_ASC,
        limit=50,
        after="cursor",
        max_items=3,
        follow="after",
        read_ahead=2,
        total_timeout=1,
    )
    assert_type(paginator, wa.AsyncPaginator[PN])
    async for number in paginator:
        assert_type(number, PN)
    assert_type(await anext(paginator), PN)
    assert_type(await paginator, wa.Rows[PN])
    assert_type(await paginator.collect(), wa.Rows[PN])
    assert_type(await paginator.first_page(), wa.Page[PN])
    assert_type(await paginator.next_page(), wa.Page[PN] | None)
    assert_type(paginator.pages(), AsyncIterator[wa.Page[PN]])
    async for page in paginator.pages():
        assert_type(page, wa.Page[PN])
    async with paginator as entered:
        assert_type(entered, wa.AsyncPaginator[PN])
    assert_type(paginator.cursor, str | None)
    assert_type(paginator.exhausted, bool)

    assert_type(client.list_business_accounts("1", kind="client"), wa.AsyncPaginator[wa.BusinessAccount])
    assert_type(await client.list_business_accounts("1"), wa.Rows[wa.BusinessAccount])

    query = wa.ListQuery.of_numbers(fields=["id"], filtering=wa.Filter("account_mode", "LIVE"), sort="x", limit=2)
    assert_type(query, wa.ListQuery)
    assert_type(query.params, Mapping[str, str])
    assert_type((query.limit, query.max_items), tuple[int | None, int | None])
    assert_type((query.after, query.before), tuple[str | None, str | None])
    assert_type(query.follow, Literal["next", "after"])
    assert_type(query.read_ahead, int)
    assert_type(query.total_timeout, float | None)
    assert_type(client.start_list("1", query), wa.AsyncPaginator[PN])
    assert_type(client.session.start_list("1/edge", PN, query, waba_id=None), wa.AsyncPaginator[PN])
    client.list_phone_numbers(1.5)  # type: ignore[arg-type]  # an id is no float
    client.list_phone_numbers("1", "id")  # type: ignore[call-arg]  # options are named
    client.list_phone_numbers("1", fields=[1])  # type: ignore[list-item]  # names
    client.list_phone_numbers("1", filtering="LIVE")  # type: ignore[arg-type]  # a Filter
    client.list_phone_numbers("1", sort=1)  # type: ignore[arg-type]  # a Sort or its text
    client.list_phone_numbers("1", limit="10")  # type: ignore[arg-type]  # a number
    client.list_phone_numbers("1", after=wa.Cursors())  # type: ignore[arg-type]  # its cursor
    client.list_phone_numbers("1", before=3)  # type: ignore[arg-type]  # a cursor
    client.list_phone_numbers("1", max_items=2.5)  # type: ignore[arg-type]  # a whole number
    client.list_phone_numbers("1", follow="before")  # type: ignore[arg-type]  # "next" or "after"
    client.list_phone_numbers("1", read_ahead=1.5)  # type: ignore[arg-type]  # whole pages
    client.list_phone_numbers("1", total_timeout="3")  # type: ignore[arg-type]  # seconds
    client.list_business_accounts("1", kind="shared")  # type: ignore[arg-type]  # "owned" or "client"
    client.list_business_accounts(1.5)  # type: ignore[arg-type]  # an id is no float
    condition = wa.Filter("account_mode", "LIVE", operator="EQUAL")
    assert_type(condition.field, str)
    assert_type(condition.value, bool | int | float | str | list[Any])
    assert_type(condition.operator, str)
    assert_type(wa.Filter("account_mode", "LIVE", check=False).check, bool)
    client.list_phone_numbers("1", fields=["id", wa.Verbatim("statsu")], sort=wa.Verbatim("created"))
    wa.Filter("account_mode", None)  # type: ignore[arg-type]  # null is no value to filter by
    wa.Filter(1, "LIVE")  # type: ignore[arg-type]  # a name
    wa.Filter("account_mode", "LIVE", 3)  # type: ignore[arg-type]  # an operator is text


async def edges_are_read(client: wa.PhoneNumberClient) -> None:
    session = client.session
    assert_type(await session.get("1", dict), dict[Any, Any])
    assert_type(await session.get("1", dict, {"fields": "id"}, waba_id=None), dict[Any, Any])
    assert_type(await session.get("1", PN, None), PN)
    assert_type(await session.get("1", model=PN, waba_id="2", total_timeout=1), PN)
    assert_type(session.paginate("1/edge", dict), wa.AsyncPaginator[dict[Any, Any]])
    assert_type(session.paginate("1/edge", dict, {"fields": "id"}, limit=10), wa.AsyncPaginator[dict[Any, Any]])
    assert_type(session.paginate("1/edge", PN, None), wa.AsyncPaginator[PN])
    assert_type(session.paginate("1/edge", model=PN, follow="after"), wa.AsyncPaginator[PN])
    assert_type(await session.paginate("1/edge", dict), wa.Rows[dict[Any, Any]])
    assert_type(await session.paginate("1/edge", model=PN), wa.Rows[PN])
    assert_type(await session.paginate("1/edge", model=PN).first_page(), wa.Page[PN])
    write = wa.Write(path="1/edge", body={"name": "x"}, timeout=aiohttp.ClientTimeout(total=3), is_counted=True)
    assert_type(await session.post(write, wa.SuccessResponse), wa.SuccessResponse)
    assert_type(await session.post(write, dict[str, Any], waba_id=None, total_timeout=1), dict[str, Any])
    assert_type(write.path, str)
    assert_type(write.body, Mapping[str, Any])
    assert_type(write.operation, str)
    assert_type(write.advice, str)
    assert_type(write.field, str | None)
    assert_type(write.is_counted, bool)
    assert_type(write.timeout, float | aiohttp.ClientTimeout | None)
    assert_type(write.phone_number, str | None)
    assert_type(write.phone_number_id, str | None)
    assert_type(write.outcome_unknown("no response", waba_id=None), wa.OutcomeUnknownError)
    assert_type(session.api_version, str)
    assert_type(session.base_url, str)
    assert_type(session.last_usage("1"), wa.Usage | None)

    await session.get("1", dict, {"limit": 3})  # type: ignore[dict-item]  # parameters are texts
    await session.get("1", "PhoneNumber")  # type: ignore[arg-type]  # a model is a class
    await session.get("1", dict, waba_id=3.5)  # type: ignore[arg-type]  # an id is no float
    session.paginate("1/edge", dict, limit="3")  # type: ignore[arg-type]  # a number
    session.paginate("1/edge", model="PhoneNumber")  # type: ignore[arg-type]  # a model is a class
    await session.post(write)  # type: ignore[call-arg]  # a model is needed
    await session.post("1/edge", wa.SuccessResponse)  # type: ignore[arg-type]  # a Write
    wa.Write(path="1/edge")  # type: ignore[call-arg]  # an empty body is {}
    wa.Write(path="1/edge", body=[])  # type: ignore[arg-type]  # an object
    write.path = "2"  # type: ignore[misc]  # a value


async def many_accounts_are_listed(client: wa.PhoneNumberClient, ids: AsyncIterator[str]) -> None:
    listings = client.list_many(["1", "2"], concurrency=8, ordered=True, unique=True, fields="id")
    assert_type(listings, wa.Listings)
    assert_type(await listings, wa.Rows[wa.WabaListing])
    client.list_many(client.list_business_accounts("1"))
    async with client.list_many(ids) as entered:
        assert_type(entered, wa.Listings)
        async for listing in entered:
            assert_type(listing, wa.WabaListing)
            assert_type(listing.waba_id, str)
            assert_type(listing.phone_numbers, tuple[PN, ...])
            assert_type(listing.error, wa.WaPhoneError | None)
            assert_type(listing.calls, int)
            assert_type(listing.elapsed_seconds, float)

    client.list_many([1.5, 2])  # type: ignore[list-item]  # an id is no float
    client.list_many(["1"], concurrency="8")  # type: ignore[arg-type]  # a number
    client.list_many(["1"], ordered="yes")  # type: ignore[arg-type]  # a truth value
    client.list_many(["1"], after="cursor")  # type: ignore[call-arg]  # whole lists only


async def one_number_is_read_and_written(client: wa.PhoneNumberClient) -> None:
    assert_type(await client.get_phone_number("1", fields=["id"], waba_id="2"), PN)
    created = await client.create_phone_number("1", phone_number="16315551000", verified_name="Acme", cc="1")
    assert_type(created, wa.CreatedPhoneNumber)
    assert_type(created.id, str)
    assert_type(created.extra, wa.Extra)
    assert_type(await client.request_code("1", code_method="VOICE", language="en"), wa.SuccessResponse)
    assert_type(await client.verify_code("1", "123-830", waba_id="2"), wa.SuccessResponse)
    assert_type(await client.register("1", pin="271828", timeout=60.0), wa.SuccessResponse)
    assert_type(await client.deregister("1", total_timeout=3), wa.SuccessResponse)
    success = await client.set_two_step_verification_pin("1", "271828")
    assert_type(success, wa.SuccessResponse)
    assert_type(success.success, bool)
    assert_type(success.id, str | None)
    assert_type(success.extra, wa.Extra)

    ensured = await client.ensure_phone_number("1", phone_number="16315551000", recheck_delays=(0.5, 1))
    assert_type(ensured, wa.EnsuredPhoneNumber)
    assert_type(ensured.phone_number, PN)
    assert_type(ensured.outcome, Literal["created", "found", "recovered"])

    await client.get_phone_number(1.5)  # type: ignore[arg-type]  # an id is no float
    await client.create_phone_number("1", "16315551000")  # type: ignore[call-arg]  # which number it is, is named
    await client.create_phone_number("1", phone_number=16315551000)  # type: ignore[arg-type]  # a number is text
    await client.create_phone_number("1", phone_number="1", cc=1.5)  # type: ignore[arg-type]  # a dial code is no float
    await client.create_phone_number("1", phone_number="1", migrate_phone_number="yes")  # type: ignore[arg-type]  # a truth value
    await client.request_code("1", code_method="FAX")  # type: ignore[arg-type]  # "SMS" or "VOICE"
    await client.verify_code("1", 123830)  # type: ignore[arg-type]  # a code is text: it may begin with 0
    await client.register("1")  # type: ignore[call-arg]  # a PIN is needed
    await client.register("1", pin=271828)  # type: ignore[arg-type]  # so is a PIN
    await client.set_two_step_verification_pin("1", 271828)  # type: ignore[arg-type]  # a PIN is text
    await client.deregister("1", waba_id=2.5)  # type: ignore[arg-type]  # an id is no float
    await client.ensure_phone_number("1")  # type: ignore[call-arg]  # which number is to be there?
    await client.ensure_phone_number("1", phone_number="1", recheck_delays="1 2 4")  # type: ignore[arg-type]  # seconds
    if ensured.outcome == "lost":  # type: ignore[comparison-overlap]  # there is no such outcome
        return


async def names_are_requested_and_claimed(client: wa.PhoneNumberClient, number: wa.PhoneNumber) -> None:
    assert_type(await client.request_display_name("1", "Acme", waba_id="2", total_timeout=3), wa.SuccessResponse)
    name = await client.wait_for_display_name("1", "Acme", interval=60, total_timeout=3.0, waba_id=2)
    assert_type(name, wa.DisplayName)
    assert_type(wa.read_display_name(number), wa.DisplayName)
    assert_type(wa.read_display_name(number, "Acme").number, wa.PhoneNumber)
    assert_type((name.name, name.stage, name.other), tuple[str, wa.NameStage, str | None])
    assert_type((name.sentence, name.remedy, name.is_open), tuple[str, str, bool])
    username = await client.get_username(1, waba_id="2", total_timeout=3)
    assert_type(username, wa.BusinessUsername)
    assert_type(username.username, str | None)
    assert_type(username.status, wa.UsernameStatus | str | None)
    assert_type(username.extra, wa.Extra)
    assert_type(await client.suggest_usernames("1", waba_id="2", total_timeout=3), list[str])
    claimed = await client.claim_username("1", "acme", transfer_action="force_transfer", waba_id="2", total_timeout=3)
    assert_type(claimed, wa.BusinessUsername)
    await client.claim_username("1", "acme", transfer_action="yes")  # type: ignore[arg-type]  # an action that exists
    assert_type(await client.release_username("1", waba_id="2", total_timeout=3), wa.SuccessResponse)
    assert_type(wa.Write(path="1/username", body={}, method="DELETE").method, Literal["POST", "DELETE"])


def a_name_has_stages(event: wa.NameStageChanged) -> None:
    assert_type((event.node_id, event.name, event.stage, event.sentence), tuple[str, str, str, str])
    assert_type(event.waba_id, str | None)


def numbers_are_values(number: wa.PhoneNumber) -> None:
    assert_type(number.id, str)
    assert_type(number.display_phone_number, str | None)
    assert_type(number.verified_name, str | None)
    assert_type(number.status, wa.PhoneNumberStatus | str | None)
    assert_type(number.quality_rating, wa.QualityRating | str | None)
    assert_type(number.country_code, str | None)
    assert_type(number.country_dial_code, str | None)
    assert_type(number.code_verification_status, wa.CodeVerificationStatus | str | None)
    assert_type(number.unified_cert_status, wa.UnifiedCertStatus | str | None)
    assert_type(number.account_mode, wa.AccountMode | str | None)
    assert_type(number.host_platform, wa.HostPlatform | str | None)
    assert_type(number.platform_type, wa.HostPlatform | str | None)
    assert_type(number.messaging_limit_tier, wa.MessagingLimitTier | str | None)
    assert_type(number.is_official_business_account, bool | None)
    assert_type(number.username, str | None)
    assert_type(number.name_status, wa.NameStatus | str | None)
    assert_type(number.new_name_status, wa.NameStatus | str | None)
    assert_type(number.throughput, wa.Throughput | None)
    assert_type(number.last_onboarded_time, datetime | None)
    assert_type(number.whatsapp_business_manager_messaging_limit, wa.MessagingLimitTier | str | None)
    assert_type(number.is_pin_enabled, bool | None)
    assert_type(number.is_on_biz_app, bool | None)
    assert_type(number.health_status, wa.Extra | None)
    assert_type(number.new_display_name, str | None)
    assert_type(number.official_business_account, wa.Extra | None)
    assert_type(number.is_preverified_number, bool | None)
    assert_type(number.webhook_configuration, wa.Extra | None)
    assert_type(number.is_rated, bool)
    assert_type(number.extra, wa.Extra)
    assert_type(number.extra.members, Mapping[str, Any])
    if number.throughput is not None:
        assert_type(number.throughput.level, wa.ThroughputLevel | str | None)
        assert_type(number.throughput.extra, wa.Extra)
    number.status = wa.PhoneNumberStatus.CONNECTED  # type: ignore[misc]  # values are frozen
    wa.PhoneNumber()  # type: ignore[call-arg]  # one without an id is none
    wa.PhoneNumber(id=1)  # type: ignore[arg-type]  # an id is text


def accounts_and_pages_are_values(account: wa.BusinessAccount, page: wa.Page[wa.BusinessAccount]) -> None:
    assert_type(account.id, str)
    assert_type(account.name, str | None)
    assert_type(account.extra, wa.Extra)
    assert_type(page.data, tuple[wa.BusinessAccount, ...])
    assert_type(page.cursors, wa.Cursors)
    assert_type(page.cursors.before, str | None)
    assert_type(page.cursors.after, str | None)
    assert_type(page.has_next, bool)
    assert_type(page.has_previous, bool)
    assert_type(page.extra, wa.Extra)
    for row in page:
        assert_type(row, wa.BusinessAccount)


def values_become_plain_and_are_judged(number: wa.PhoneNumber) -> None:
    assert_type(wa.ALL_FIELDS, tuple[str, ...])
    assert_type(wa.DEFAULT_FIELDS, tuple[str, ...])
    assert_type(wa.to_dict(number), dict[str, Any])
    assert_type(wa.from_dict(PN, {}), PN)
    assert_type(wa.from_dict(wa.Page[PN], {}), wa.Page[PN])
    assert_type(wa.is_ready(number), bool)
    readiness = wa.read_readiness(number)
    assert_type(readiness, wa.Readiness)
    assert_type(readiness.verified, bool | None)
    assert_type(readiness.registered, bool | None)
    assert_type(readiness.name_approved, bool | None)
    assert_type(readiness.is_final, bool)
    assert_type(readiness.is_ready, bool)
    assert_type(readiness.reasons, tuple[str, ...])

    wa.from_dict("PhoneNumber", {})  # type: ignore[arg-type]  # a class
    wa.is_ready("1")  # type: ignore[arg-type]  # a number
    wa.read_readiness(None)  # type: ignore[arg-type]  # a number


async def numbers_are_watched(client: wa.PhoneNumberClient, known: Sequence[wa.PhoneNumber]) -> None:
    watch = client.watch("1", interval=10, total_timeout=60.0, known=known, fields=None)
    assert_type(watch, wa.Watch)
    async for change in watch:
        assert_type(change, wa.Change)
        assert_type(change.waba_id, str)
        assert_type(change.number, PN)
        assert_type(change.field, str)
        assert_type(change.old, Any)
        assert_type(change.new, Any)
        assert_type(change.seen_at, datetime)
        assert_type(change.phone_number_id, str)
        assert_type(change.display_phone_number, str | None)
    assert_type(watch.known, tuple[PN, ...] | None)
    assert_type(watch.error, wa.WaPhoneError | None)
    assert_type(watch.seconds_left, float | None)
    assert_type(await client.wait_until("1", wa.is_ready, unless=lambda number: number.is_rated), PN)

    client.watch("1", interval="1 min")  # type: ignore[call-overload]  # seconds
    client.watch("1", known=["1"])  # type: ignore[list-item]  # numbers
    await client.wait_until("1", "CONNECTED")  # type: ignore[arg-type]  # a predicate
    await client.wait_until("1", status_of)  # type: ignore[arg-type]  # of true or false


async def many_accounts_are_watched(client: wa.PhoneNumberClient, accounts: AsyncIterator[wa.BusinessAccount]) -> None:
    client.watch(accounts)
    async with client.watch(["1", 2], total_timeout=60.0, known={"1": []}, concurrency=8) as watches:
        assert_type(watches, wa.Watches)
        async for change in watches:
            assert_type(change, wa.Change)
        assert_type(watches.known, dict[str, tuple[PN, ...]])
        assert_type(watches.errors, dict[str, wa.WaPhoneError])
        assert_type(watches.rejected, dict[str, wa.WaPhoneError])
        assert_type(watches.accounts, Mapping[str, wa.WatchedWaba])
        account = watches.accounts["1"]
        assert_type(account.known, tuple[PN, ...] | None)
        assert_type(account.seen_at, datetime | None)
        assert_type(account.error, wa.WaPhoneError | None)
        assert_type(account.rejection, wa.WaPhoneError | None)
        assert_type(account.seconds_left, float | None)
        assert_type(account.unread, int)
        assert_type(account.take(), wa.Change)
        await account.poll()


def status_of(number: wa.PhoneNumber) -> str | None:
    return number.status


Wait: TypeAlias = wa.ThrottleStarted | wa.ThrottleEnded | wa.QuotaWaitStarted | wa.QuotaWaitEnded
Progress: TypeAlias = wa.FleetPageFinished | wa.NameStageChanged


async def events_are_dispatched(client: wa.PhoneNumberClient, node_ids: list[str]) -> None:
    def listen(event: wa.Event) -> None:
        assert_type(event, wa.CallFinished | wa.RetryPlanned | Wait | wa.ListFinished | Progress)
        assert_type(event.node_id, str)
        match event:
            case wa.CallFinished():
                assert_type(event.method, str)
                assert_type(event.path, str)
                assert_type(event.list_id, int | None)
                assert_type(event.error, str | None)
                assert_type(event.code, int | None)
                assert_type(event.http_status, int | None)
                assert_type(event.trace_id, str | None)
                assert_type(event.attempts, int)
                assert_type(event.seconds, float)
                assert_type(event.seconds_waited, float)
                assert_type(event.usage, wa.Usage | None)
                assert_type(event.waba_id, str | None)
                assert_type(event.may_have_written, bool)
            case wa.RetryPlanned():
                assert_type(event.method, str)
                assert_type(event.path, str)
                assert_type(event.error, str)
                assert_type(event.code, int | None)
                assert_type(event.attempt, int)
                assert_type(event.seconds, float)
            case wa.ThrottleStarted():
                assert_type(event.code, int | None)
                assert_type(event.seconds, float)
            case wa.QuotaWaitStarted():
                assert_type(event.seconds, float)
            case wa.FleetPageFinished():
                assert_type((event.path, event.node_id, event.accounts), tuple[str, str, int])
                assert_type((event.complete, event.calls, event.calls_saved), tuple[int, int, int])
            case wa.ThrottleEnded() | wa.QuotaWaitEnded() | wa.NameStageChanged():
                pass
            case wa.ListFinished():
                assert_type((event.list_id, event.path), tuple[int, str])
                assert_type((event.error, event.complete), tuple[str | None, bool])
                assert_type(event.pages, int)
                assert_type(event.rows, int)
                assert_type(event.seconds, float)

    assert_type(client.subscribe(listen, lists=True), Callable[[], None])
    assert_type(client.session.subscribe(an_async_listener), Callable[[], None])
    client.subscribe(lambda event: node_ids.append(event.node_id))

    def listen_to_calls(_: wa.CallFinished) -> None: ...

    client.subscribe(listen_to_calls)  # type: ignore[arg-type]  # a listener gets all events
    client.session.subscribe(listen_to_calls)  # type: ignore[arg-type]  # the same
    client.subscribe(node_ids.append)  # type: ignore[arg-type]  # it gets an Event
    client.subscribe(listen, lists="all")  # type: ignore[arg-type]  # a truth value


class OwnLimiter:
    """A `RateLimiter` that a user writes."""

    async def admit(
        self, waba_id: str | None, token: str, *, max_wait: float, is_probe: bool = False
    ) -> wa.Lease | float:
        return max_wait + 1 if is_probe else wa.Lease(waba_id, token, 0.0)

    def report(self, lease: wa.Lease, report: wa.Report) -> float:
        assert_type(report.result, Literal["accepted", "throttled", "lost", "unsent"])
        assert_type(report.usage, wa.Usage | None)
        assert_type(report.scope, Literal["app", "token", "waba"] | None)
        return self.wait_after(report.result) if lease.waba_id else 0.0

    def wait_after(self, result: wa.CallResult) -> float:
        assert_type(result, Literal["accepted", "throttled", "lost", "unsent"])
        return 60.0 if result == "throttled" else 0.0

    def last_usage(self, waba_id: str | None) -> wa.Usage | None: ...

    async def aclose(self) -> None: ...


class OwnLedger:
    """A `RegistrationLedger` that a user writes."""

    async def reserve(self, phone_number_id: str) -> wa.Reservation | float:
        return wa.Reservation(phone_number_id, "1") if phone_number_id else 60.0

    async def release(self, reservation: wa.Reservation) -> None:
        assert_type((reservation.phone_number_id, reservation.id), tuple[str, str])

    async def block(self, phone_number_id: str, seconds: float) -> None: ...


async def registrations_are_counted(error: wa.LedgerError) -> None:
    wa.PhoneNumberClient("token", registrations=OwnLedger())
    wa.PhoneNumberClient("token", registrations=wa.Throttle())  # type: ignore[arg-type]  # not a ledger
    shared: wa.RegistrationLedger = RedisRegistrationLedger("redis://", timeout=1.0, prefix="p")
    wa.PhoneNumberClient.from_env(registrations=shared)
    ledger = wa.FileRegistrationLedger("registrations.db", timeout=2)
    stored: wa.StoredLedger = ledger
    assert_type(await stored.usage("1"), wa.RegistrationUsage)
    wa.GraphSession("token", registrations=ledger)
    assert_type(ledger.path, Path)
    reservation = await ledger.reserve("1")
    assert_type(reservation, wa.Reservation | float)
    if isinstance(reservation, wa.Reservation):
        await shared.release(reservation)
    await ledger.block("1", 60.0)
    await ledger.forget(1)
    assert_type(await ledger.usages(), list[wa.RegistrationUsage])
    usage = await ledger.usage("1")
    assert_type(usage, wa.RegistrationUsage)
    assert_type((usage.phone_number_id, usage.used, usage.limit, usage.wait), tuple[str, int, int, float])
    assert_type((error.ledger, error.reason), tuple[str, str])


async def quotas_are_kept(client: wa.PhoneNumberClient, limiter: wa.RateLimiter) -> None:
    wa.PhoneNumberClient("token", throttle=OwnLimiter())
    limiter = wa.Throttle(quota=5_000, app_quota=10_000)
    assert_type(limiter.try_admit("1", "digest"), wa.Lease | None)
    async with RedisThrottle("redis://", app_id="1", quota=200, timeout=0.1, prefix="p") as shared:
        assert_type(shared, RedisThrottle)
        limiter = shared
        await shared.aclose()
        assert_type(await shared.admit("1", "digest", max_wait=1, is_probe=True), wa.Lease | float)
        assert_type(shared.last_usage("1"), wa.Usage | None)
    assert_type(await limiter.admit(None, "digest", max_wait=0.5), wa.Lease | float)
    throttle = wa.Throttle()
    lease = await throttle.admit("1", "digest", max_wait=1)
    assert_type(lease, wa.Lease | float)
    if isinstance(lease, wa.Lease):
        assert_type(lease.waba_id, str | None)
        assert_type(lease.token, str)
        assert_type(lease.since, float)
        assert_type(throttle.report(lease, wa.Report("accepted")), float)
        assert_type(limiter.report(lease, wa.Report("throttled", scope="waba")), float)
        assert_type(shared.report(lease, wa.Report("lost")), float)
        limiter.report(lease, wa.Report("done"))  # type: ignore[arg-type]  # there is no such result
    usage = client.last_usage("1")
    assert_type(usage, wa.Usage | None)
    assert_type(throttle.last_usage(None), wa.Usage | None)
    assert_type(limiter.last_usage(None), wa.Usage | None)
    if usage is not None:
        assert_type(usage.waba, wa.UsageMetric | None)
        assert_type(usage.app, wa.UsageMetric | None)
        assert_type(usage.retry_after_seconds, float | None)
        if usage.app is not None:
            assert_type(usage.app.calls_percent, float | None)
            assert_type(usage.app.load_percent, float)
            assert_type(usage.app.regain_seconds, float)
            assert_type(usage.app.percent, float)

    assert_type(wa.RetryPolicy.batch(), wa.RetryPolicy)
    policy = wa.RetryPolicy.interactive()
    assert_type(policy, wa.RetryPolicy)
    assert_type(policy.max_attempts, int)
    assert_type(policy.max_wait, float)
    assert_type(policy.first_wait, float)
    assert_type(policy.total_timeout, float | None)

    wa.Throttle(5_000)  # type: ignore[call-arg]  # whose quota it is, is named
    wa.Throttle(quota=0.5)  # type: ignore[arg-type]  # whole calls
    wa.RetryPolicy(3)  # type: ignore[call-arg]  # what is 3?
    wa.RetryPolicy(max_attempts=2.5)  # type: ignore[arg-type]  # whole attempts
    wa.RetryPolicy(max_wait=None)  # type: ignore[arg-type]  # each wait ends
    wa.RetryPolicy(first_wait="1")  # type: ignore[arg-type]  # seconds
    RedisThrottle("redis://")  # type: ignore[call-arg]  # of which app?
    RedisThrottle("redis://", app_id=1.5)  # type: ignore[arg-type]  # an id is no float
    client.last_usage(1.5)  # type: ignore[arg-type]  # an id is no float


async def listings_are_kept(client: wa.PhoneNumberClient) -> None:
    async with wa.PhoneNumberCache(client, 30, pending_ttl=5, max_numbers=1_000) as cache:
        assert_type(cache, wa.PhoneNumberCache)
        assert_type(await cache.phone_numbers("1", fields="id", limit=50, follow="after"), tuple[PN, ...])
        assert_type(cache.invalidate_from_webhook(b"{}", "sha256=00", "secret"), tuple[str, ...])
        assert_type(cache.invalidate_from_notices(wa.parse_webhook(b"{}")), tuple[str, ...])
        cache.invalidate("1")
        cache.clear()

        cache.invalidate(1.5)  # type: ignore[arg-type]  # an id is no float
        await cache.phone_numbers(1.5)  # type: ignore[arg-type]  # an id is no float
        await cache.phone_numbers("1", max_items=3)  # type: ignore[call-arg]  # whole listings only
        await cache.phone_numbers("1", limit="3")  # type: ignore[arg-type]  # a number
        cache.invalidate_from_webhook("{}", "sha256=00", "secret")  # type: ignore[arg-type]  # the bytes that came
        cache.invalidate_from_webhook(b"{}", "sha256=00")  # type: ignore[call-arg]  # signed with what?
        cache.invalidate_from_notices(b"{}")  # type: ignore[arg-type]  # what parse_webhook returns
    wa.PhoneNumberCache("token")  # type: ignore[arg-type]  # it stands beside a client
    wa.PhoneNumberCache(client, "30")  # type: ignore[arg-type]  # seconds


def webhooks_are_read(query: MultiMapping[str], params: dict[str, list[str]]) -> None:
    wa.verify_webhook(b"{}", None, "secret")
    [notice] = wa.parse_webhook(b"{}")
    assert_type(notice, wa.WebhookNotice)
    assert_type(notice.field, str | None)
    assert_type(notice.waba_ids, frozenset[str])
    assert_type(notice.digits, frozenset[str])
    assert_type(notice.phone_number_ids, frozenset[str])
    assert_type(notice.is_business_wide, bool)
    assert_type(notice.time, datetime | None)
    assert_type(notice.value, Mapping[str, Any])
    assert_type(notice.members, frozenset[str] | None)
    assert_type(notice.may_change_numbers, bool)
    assert_type(wa.answer_challenge(query, "token"), str)
    assert_type(wa.answer_challenge(params, "token"), str)

    wa.verify_webhook("{}", None, "secret")  # type: ignore[arg-type]  # the bytes that came
    wa.verify_webhook(b"{}", "sha256=00")  # type: ignore[call-arg]  # signed with what?
    wa.parse_webhook({"entry": []})  # type: ignore[arg-type]  # the bytes that came
    wa.answer_challenge("hub.mode=subscribe", "token")  # type: ignore[arg-type]  # names and values
    wa.answer_challenge(query)  # type: ignore[call-arg]  # the token that you entered


async def profiles_are_read_and_changed(client: wa.PhoneNumberClient, profile: wa.BusinessProfile) -> None:
    assert_type(await client.get_business_profile("1", fields="about", waba_id=2, total_timeout=3), wa.BusinessProfile)
    assert_type((profile.about, profile.address, profile.description), tuple[str | None, str | None, str | None])
    assert_type((profile.email, profile.profile_picture_url), tuple[str | None, str | None])
    assert_type(profile.websites, tuple[str, ...] | None)
    assert_type(profile.vertical, wa.BusinessVertical | str | None)
    assert_type((profile.messaging_product, profile.extra), tuple[str | None, wa.Extra])
    profiles = client.get_business_profiles(["1"], on="members", concurrency=2)
    assert_type(profiles, wa.BusinessProfiles)
    assert_type(await profiles, list[wa.NumberProfile])
    async with client.get_business_profiles("numbers.csv") as entered:
        assert_type(entered, wa.BusinessProfiles)
        async for each in entered:
            assert_type(each, wa.NumberProfile)
            assert_type((each.phone_number_id, each.waba_id), tuple[str | None, str | None])
            assert_type(each.display_phone_number, str | None)
            assert_type((each.profile, each.error), tuple[wa.BusinessProfile | None, wa.WaPhoneError | None])
    success = await client.update_business_profile("1", about="x", websites=["https://x.example"], vertical="RETAIL")
    assert_type(success, wa.SuccessResponse)
    await client.update_business_profile(1, profile_picture_handle="4::aW", websites="https://x.example", email="")
    edits = client.update_business_profiles(Path("numbers.csv"), vertical=wa.BusinessVertical.RETAIL, journal="j.jsonl")
    assert_type(edits, wa.BulkEdit)
    assert_type(client.undo_business_profiles("j.jsonl", journal=Path("undo.jsonl"), resend=True), wa.BulkEdit)
    await client.update_business_profile("1", about=1)  # type: ignore[arg-type]  # a text
    client.update_business_profiles(["1"], phone="1")  # type: ignore[call-arg]  # no setting of a profile
    client.get_business_profiles(["1"], on="accounts")  # type: ignore[arg-type]  # numbers have profiles


async def health_is_checked(client: wa.PhoneNumberClient, listings: wa.Listings, account: wa.BusinessAccount) -> None:
    check = client.check_health(["1"], checks="status")
    assert_type(check, wa.HealthCheck)
    report = await check
    assert_type(report, wa.HealthReport)
    assert_type(report.findings, tuple[wa.Finding, ...])
    assert_type((report.accounts, report.numbers, report.calls), tuple[int, int, int])
    assert_type(report.totals, wa.HealthTotals)
    assert_type(report.totals.by_severity, Mapping[wa.Severity, int])
    assert_type(report.totals.by_code, Mapping[str, int])
    assert_type(report.not_checked, Mapping[str, int])
    async with client.check_health(listings) as entered:
        assert_type(entered, wa.HealthCheck)
        async for finding in entered:
            assert_type(finding, wa.Finding)
            assert_type(finding.severity, wa.Severity)
            assert_type(finding.severity.reaches(wa.Severity.ERROR), bool)
            assert_type(finding.subject, wa.Subject)
            assert_type(finding.subject.kind, Literal["number", "account", "business", "app"])
            assert_type(finding.subject.display_phone_number, str | None)
            assert_type((finding.code, finding.sentence, finding.remedy), tuple[str, str, str])
            assert_type(finding.numbers, int)
            assert_type(finding.evidence, tuple[wa.Evidence, ...])
            assert_type(finding.evidence[0].value, Any)
            assert_type(finding.source, wa.FactSource)
            assert_type(finding.source.is_guess, bool)
            assert_type((finding.source.text, finding.source.day), tuple[str, date])
        assert_type(entered.summary, wa.HealthSummary)
    client.check_health(Path("numbers.csv"))
    client.check_health(account)
    client.check_health([account, account])
    assert_type(listings.is_open, bool)
    client.check_health(3.5)  # type: ignore[arg-type]  # no source
    client.check_health(["1"], checks=5)  # type: ignore[arg-type]  # no names


async def webhooks_are_edited(client: wa.PhoneNumberClient, ids: AsyncIterator[str]) -> None:
    assert_type(client.audit_webhooks(["1"], url="https://a.example", app_id=7), wa.HealthCheck)
    edits = client.set_webhooks(ids, "https://a.example", verify_token="t", on="members", journal=Path("j"))
    assert_type(edits, wa.BulkEdit)
    async with edits as entered:
        assert_type(entered, wa.BulkEdit)
        async for edit in entered:
            assert_type(edit, wa.Edit)
            assert_type(edit.kind, Literal["number", "account"])
            assert_type((edit.target, edit.number), tuple[str, int])
            assert_type((edit.label, edit.waba_id, edit.why), tuple[str | None, str | None, str | None])
            assert_type(edit.state, wa.EditState)
            assert_type(edit.old, Any)
            assert_type(edit.new, Any)
            assert_type(edit.to_json(), dict[str, Any])
            assert_type(edit.settled_by(None), wa.Edit)
        entered.stop()
        assert_type(entered.summary, wa.EditSummary)
    report = await client.clear_webhooks("1", resend=True)
    assert_type(report, wa.EditReport)
    assert_type(report.edits, tuple[wa.Edit, ...])
    assert_type(report.by_state, Mapping[wa.EditState, int])
    assert_type((report.total, report.resumed, report.is_done), tuple[int, int, bool])
    client.undo_webhooks("j", verify_tokens={"https://a.example": "t"}, journal="k")
    client.set_webhooks(["1"])  # type: ignore[call-arg]  # which URL?
    client.set_webhooks([1.5], "https://a.example")  # type: ignore[list-item]  # no id
    client.clear_webhooks(["1"], on="wabas")  # type: ignore[arg-type]  # no such level


async def health_is_reported(client: wa.PhoneNumberClient, listings: wa.Listings) -> None:
    report = await client.check_health(listings).report(since=Path("old.csv"), max_findings=9, source="our shops")
    assert_type(report, wa.HealthReport)
    assert_type((report.source, report.version), tuple[str, str])
    assert_type((report.made_at, report.source_time), tuple[datetime, datetime | None])
    overview = report.overview
    assert_type(overview, wa.HealthOverview)
    assert_type((overview.status, overview.quality), tuple[Mapping[str, int], Mapping[str, int]])
    assert_type(overview.limits, Mapping[str, int])
    assert_type(overview.names_in_review, int)
    assert_type(overview.app_usage, wa.UsageMetric | None)
    assert_type(overview.numbers, tuple[wa.ReportedNumber, ...])
    [account] = overview.accounts
    assert_type(account, wa.ReportedAccount)
    assert_type((account.waba_id, account.name, account.error), tuple[str, str | None, str | None])
    assert_type((account.status, account.quality), tuple[Mapping[str, int], Mapping[str, int]])
    assert_type((account.limits, account.numbers), tuple[Mapping[str, int], int])
    assert_type((account.findings, account.names_in_review), tuple[Mapping[wa.Severity, int], int])
    assert_type((account.severity, account.usage), tuple[wa.Severity | None, wa.UsageMetric | None])
    number = overview.numbers[0]
    assert_type((number.id, number.waba_id, number.is_in_review), tuple[str, str, bool])
    assert_type((number.display_phone_number, number.verified_name), tuple[str | None, str | None])
    assert_type((number.status, number.quality_rating, number.limit), tuple[str | None, str | None, str | None])
    assert_type((number.name_status, number.new_display_name), tuple[str | None, str | None])
    assert_type((number.new_name_status, number.severity), tuple[str | None, wa.Severity | None])
    assert_type(number.codes, tuple[str, ...])
    if report.changes is not None:
        assert_type(report.changes, wa.ReportedChanges)
        assert_type((report.changes.since, report.changes.since_time), tuple[str, datetime | None])
        assert_type(report.changes.summary, wa.DiffSummary)
        assert_type(report.changes.changes, tuple[wa.Change, ...])
    assert_type(wa.to_html(report), str)
    assert_type(wa.to_html(report, title="Our shops"), str)
    wa.to_html("report")  # type: ignore[arg-type]  # no report
    wa.to_html(report, "Our shops")  # type: ignore[call-arg]  # a keyword
    await client.check_health(["1"]).report(since=5)  # type: ignore[arg-type]  # no list


async def listings_are_compared(listings: wa.Listings, listing: wa.WabaListing, number: wa.PhoneNumber) -> None:
    differences = wa.diff_listings("old.csv", Path("new.parquet"), fields=["status"])
    assert_type(differences, wa.Differences)
    assert_type(await differences, list[wa.Change])
    async with wa.diff_listings([listing, number], listings) as changes:
        assert_type(changes, wa.Differences)
        async for change in changes:
            assert_type(change, wa.Change)
            assert_type(change.findings, tuple[wa.Finding, ...])
        assert_type(changes.summary, wa.DiffSummary)
        assert_type((changes.summary.came, changes.summary.gone, changes.summary.moved), tuple[int, int, int])
        assert_type((changes.summary.old_numbers, changes.summary.new_numbers), tuple[int, int])
        assert_type((changes.summary.changed, changes.summary.changes), tuple[int, int])
        assert_type(changes.summary.not_compared, int)
    wa.diff_listings(listing, listings, fields="status")
    wa.diff_listings(5, listings)  # type: ignore[arg-type]  # a path, listings or numbers
    wa.diff_listings(["1"], listings)  # type: ignore[list-item]  # listings or numbers
    wa.diff_listings("a.csv", "b.csv", fields=5)  # type: ignore[arg-type]  # names


async def accounts_are_exported(client: wa.PhoneNumberClient, waba_ids: AsyncIterator[str]) -> None:
    summary = await export(client, "numbers.parquet", waba_ids, fields=["status"], errors="failed.jsonl", resume=True)
    assert_type(summary, Summary)
    assert_type(await wa.export.export(client, Path("all.csv"), business_id=1, kind="all", format="csv"), Summary)

    await export(client, waba_ids)  # type: ignore[arg-type]  # a path

    await export(client, "all.csv", business_id=[1])  # type: ignore[arg-type]  # one business
    await export(client, "all.csv", kind="mine")  # type: ignore[arg-type]  # "owned", "client" or "all"


def pages_have_rows_and_cursors(page: wa.Page[wa.PhoneNumber]) -> None:
    assert_type(page.items, tuple[wa.PhoneNumber, ...])
    assert_type(page[0], wa.PhoneNumber)
    assert_type(page[:2], tuple[wa.PhoneNumber, ...])
    assert_type((page.next_cursor, page.previous_cursor), tuple[str | None, str | None])


def rows_are_lists(numbers: wa.Rows[wa.PhoneNumber]) -> None:
    assert_type(numbers[0], wa.PhoneNumber)
    assert_type(numbers[1:], wa.Rows[wa.PhoneNumber])
    assert_type(wa.Rows(number.id for number in numbers), wa.Rows[str])
    assert_type(numbers.model, type[Any])
    as_list: list[wa.PhoneNumber] = numbers
    as_list.sort(key=lambda number: number.id)
    numbers.to_polars()
    numbers.to_pandas()


async def listings_are_exported(listings: wa.Listings, listing: wa.WabaListing, number: wa.PhoneNumber) -> None:
    summary = await write(listings, Path("numbers.csv"), fields=["id"], errors="failed.jsonl", format="csv")
    assert_type(summary, Summary)
    assert_type(summary.accounts, int)
    assert_type(summary.phone_numbers, int)
    assert_type(summary.failed, int)
    assert_type(summary.failures, tuple[wa.WabaListing, ...])
    await merge(["a.csv", Path("b.csv")], "c.csv", fields="id,status", format="csv")
    with Job("all.csv", fields="id,status", errors="failed.jsonl", options={"fields": "all"}, resume=True) as job:
        assert_type(job, Job)
        assert_type(job.so_far, Summary)
        assert_type(job.resumed, Summary)
        assert_type(job.directory, Path)
        assert_type(job.format, Literal["jsonl", "csv", "parquet"])
        async for waba_id in job.remaining(["1"]):
            assert_type(waba_id, str)
        await job.add(listing)
        part = Part.of(Path("part.csv"), rows=3)
        assert_type((part.path, part.rows, part.size, part.checksum), tuple[Path, int, int, str])
        part.check_size()
        await job.adopt(part, ["1"])
        await job.flush()
        await job.pause()
        assert_type(await job.finish(), Summary)
        job.close()
    with Writer("all.jsonl", fields=("id",), errors="failed.jsonl", format="jsonl") as writer:
        assert_type(writer, Writer)
        writer.write([number, listing])
        writer.abandon()
        assert_type(writer.close(), Summary)
    table = to_arrow([listing, number])
    assert_type(table, ArrowTable)
    assert_type(table.num_rows, int)
    assert_type(table.column_names, list[str])
    assert_type(row_of("1", number), dict[str, Any])
    assert_type(errors_row(listing), dict[str, Any])
    assert_type(COLUMNS, Mapping[str, type[Any]])

    await write(listings, "numbers.csv", format="xlsx")  # type: ignore[arg-type]  # "jsonl", "csv" or "parquet"
    await write(listings, "numbers.csv", fields=1)  # type: ignore[arg-type]  # names
    await write(["1"], "numbers.csv")  # type: ignore[list-item]  # listings or numbers
    await write(listings, 1)  # type: ignore[arg-type]  # a path
    await merge("a.csv", 1)  # type: ignore[arg-type]  # a path
    Job("all.csv", resume="yes")  # type: ignore[arg-type]  # a truth value
    Job("all.csv", part_accounts=1.5)  # type: ignore[arg-type]  # whole accounts
    Job("all.csv", options="all")  # type: ignore[arg-type]  # a mapping
    await job.add(number)  # type: ignore[arg-type]  # a listing
    await job.adopt("part.csv", ["1"])  # type: ignore[arg-type]  # a Part
    writer.write(["1"])  # type: ignore[list-item]  # listings or numbers
    to_arrow([1])  # type: ignore[list-item]  # listings or numbers
    row_of("1", listing)  # type: ignore[arg-type]  # a number
    errors_row(number)  # type: ignore[arg-type]  # a listing


def extras_are_typed(dask_client: distributed.Client, client: wa.PhoneNumberClient) -> None:
    assert_type(client_from_env(), wa.PhoneNumberClient)
    assert_type(instrument(client, attributes={"team": "shoes"}), Callable[[], None])
    # An asynchronous client of Dask returns an awaitable of the summary, but its types do not say so.
    assert_type(export_on_a_cluster(dask_client, ["1"], client_from_env, "out", chunk=3, fields="id"), Any)

    instrument("token")  # type: ignore[arg-type]  # a client or its session
    instrument(client, attributes={"team": 1})  # type: ignore[dict-item]  # texts
    export_on_a_cluster(dask_client, ["1"], client, "out")  # type: ignore[arg-type]  # what makes a client
    export_on_a_cluster(dask_client, ["1"], client_from_env, "out", max_items="3")  # type: ignore[arg-type]  # a number
    export_on_a_cluster(dask_client, ["1"], client_from_env, "out", after="a")  # type: ignore[call-arg]  # whole lists only


def errors_say_what_to_do(error: wa.GraphAPIError, denied: wa.PermissionDeniedError) -> None:
    assert_type(error.node_type, str | None)
    assert_type(error.hint, str | None)
    assert_type(denied.permission, str | None)


def errors_keep_what_is_known(
    error: wa.WaPhoneError,
    api_error: wa.GraphAPIError,
    unknown: wa.OutcomeUnknownError,
    ambiguous: wa.AmbiguousNumberError,
    timeout: wa.WaitTimeoutError,
) -> None:
    assert_type(error.attempts, int)
    assert_type(error.retry_after, float | None)
    assert_type(error.retryable, bool)
    assert_type(error.seconds_left, float | None)
    assert_type(api_error.message, str)
    assert_type(api_error.http_status, int | None)
    assert_type(api_error.code, int | None)
    assert_type(api_error.error_subcode, int | None)
    assert_type(api_error.type, str | None)
    assert_type(api_error.fbtrace_id, str | None)
    assert_type(api_error.is_transient, bool | None)
    assert_type(api_error.error_user_title, str | None)
    assert_type(api_error.error_user_msg, str | None)
    assert_type(api_error.error_data, Mapping[str, Any] | str | None)
    assert_type(api_error.missing_fields, tuple[str, ...])
    assert_type(api_error.needs_smaller_page, bool)
    assert_type(unknown.operation, str)
    assert_type(unknown.waba_id, str | None)
    assert_type(unknown.phone_number, str | None)
    assert_type(unknown.phone_number_id, str | None)
    assert_type(unknown.field, str | None)
    assert_type(unknown.reason, str)
    assert_type(ambiguous.waba_id, str)
    assert_type(ambiguous.phone_number, str)
    assert_type(ambiguous.phone_number_ids, tuple[str, ...])
    assert_type(timeout.phone_number_id, str)
    assert_type(timeout.last_seen, PN | None)
    if isinstance(error, wa.AuthenticationError):
        assert_type(error.is_shared, bool)
    elif isinstance(error, wa.RateLimitError):
        assert_type(error.sent, bool)
        assert_type(error.usage, wa.Usage | None)
    elif isinstance(error, wa.TransportError):
        assert_type(error.sent, bool)
        assert_type(error.is_permanent, bool)
    elif isinstance(error, wa.InvalidArgumentError):
        assert_type(error.argument, str)
        assert_type(error.expected, str)
        assert_type(error.given, str | None)
        assert_type(error.hint, str | None)
    elif isinstance(error, wa.DecodeError):
        assert_type(error.http_status, int | None)
        assert_type(error.garbled, bool)
    elif isinstance(error, wa.PaginationError):
        assert_type(error.cursor, str | None)
    elif isinstance(error, wa.ExportError | wa.JournalError):
        assert_type(error.errno, int | None)
        assert_type(error.filename, str | None)
    elif isinstance(error, wa.StaleListingError):
        assert_type(error.waba_id, str)


def errors_before_a_response_say_why(error: wa.TransportError, missing: wa.MissingTokenError) -> None:
    assert_type(error.reason, str | None)
    assert_type(missing.waba_id, str)
    assert_type(missing.filename, str | None)


def errors_are_a_tree() -> None:
    _values: list[type[ValueError]] = [wa.InvalidArgumentError]
    _timeouts: list[type[TimeoutError]] = [wa.RequestTimeoutError, wa.WaitTimeoutError]
    _files: list[type[OSError]] = [wa.ExportError, wa.JournalError]
    _others: list[type[wa.WaPhoneError]] = [
        wa.MissingTokenError,
        wa.OutcomeUnknownError,
        wa.AmbiguousNumberError,
        wa.DecodeError,
        wa.PaginationError,
        wa.StaleListingError,
        wa.WebhookSignatureError,
        wa.WaitError,
    ]
    _api_errors: list[type[wa.GraphAPIError]] = [
        wa.BadRequestError,
        wa.AuthenticationError,
        wa.PermissionDeniedError,
        wa.NotFoundError,
        wa.ConflictError,
        wa.UnprocessableEntityError,
        wa.RateLimitError,
        wa.ServerError,
    ]


async def the_sandbox_is_typed() -> None:
    async with Sandbox(mode="reference", quota={EMPTY_WABA: 3}, tokens=["any"], review_after=1) as sandbox:
        assert_type(sandbox, Sandbox)
    with Sandbox(quota="meta", rounding="round", clock=VirtualTimeLoop().time, accounts=3) as sandbox:
        assert_type(sandbox, Sandbox)
    assert_type(sandbox.url, str)
    assert_type(sandbox.requests, list[Request])
    assert_type(sandbox.created, list[Created])
    assert_type(sandbox.inbox, list[Code])
    assert_type(sandbox.numbers(SMALL_WABA), list[dict[str, Any]])
    assert_type(sandbox.faults_left, int)
    assert_type(sandbox.app_secret, str)
    assert_type(sandbox.webhooks, list[Webhook])
    assert_type(sandbox.deliveries, list[Delivery])
    assert_type(sandbox.notify(LARGE_WABA, "account_update", {}), Webhook)
    assert_type(sandbox.business_id, str)
    assert_type(sandbox.waba_ids, Sequence[str])
    sandbox.plan(Fault.error(80008, subcode=1, is_transient=True), times=3, method="GET", node="1")
    sandbox.schedule(60, sandbox.decline_name, "1", reason="NAME_NOT_CONSISTENT")
    sandbox.deliver_to("http://127.0.0.1", copies=2, seed=7)
    sandbox.send_again(sandbox.webhooks)
    sandbox.add_waba("2", 3)
    assert_type(sandbox.add_number("2", verified_name="Acme Shoes"), dict[str, Any])
    sandbox.advance(3600)
    sandbox.set_nested("2", "absent")
    sandbox.update_number("2", "1", status="BANNED", code=SEEDED_PIN)
    sandbox.update_profile("1", about="x")
    sandbox.update_waba("2", account_review_status="REJECTED")
    sandbox.remove_number("2", "1")
    sandbox.accept("token")
    sandbox.revoke("token")
    sandbox.subscribe_app("1", "2", override="https://a.example")
    sandbox.unsubscribe_app("1")
    sandbox.set_callback("https://a.example", None)
    sandbox.spend("1", 3)

    Sandbox(mode="dead")  # type: ignore[arg-type]  # "live" or "reference"
    Sandbox(quota="none")  # type: ignore[arg-type]  # "meta", numbers or None
    Sandbox(rounding="up")  # type: ignore[arg-type]  # "floor" or "round"
    Sandbox(latency="1")  # type: ignore[arg-type]  # seconds
    Sandbox("live")  # type: ignore[call-arg]  # options are named
    sandbox.plan("drop")  # type: ignore[arg-type]  # a Fault
    sandbox.plan(Fault.delay(1), times=1.5)  # type: ignore[arg-type]  # whole calls
    sandbox.schedule(60, sandbox.approve_name)  # type: ignore[call-arg]  # whose?
    sandbox.schedule(60, sandbox.approve_name, 1)  # type: ignore[arg-type]  # an id is text
    sandbox.deliver_to(8000)  # type: ignore[arg-type]  # an address
    sandbox.notify("1", "account_update", None)  # type: ignore[arg-type]  # an object
    sandbox.advance("an hour")  # type: ignore[arg-type]  # seconds
    sandbox.add_waba(2)  # type: ignore[arg-type]  # an id is text
    Fault.error(80008, subcode="1")  # type: ignore[arg-type]  # a number
    Fault.error(80008, trace_id="1")  # type: ignore[call-arg]  # each answer has its own
    Fault.drop_before(reset="yes")  # type: ignore[arg-type]  # a truth value


def what_meta_decides_is_typed(sandbox: Sandbox) -> None:
    sandbox.approve_name("1")
    sandbox.rate_quality("1", "RED")
    sandbox.upgrade_throughput("1")
    sandbox.approve_badge("1")
    sandbox.decline_badge("1")
    sandbox.set_username("1", None)
    sandbox.revoke_username("1")
    sandbox.take_username("acme")
    sandbox.defer_name("1")
    sandbox.set_calling("1", is_enabled=True)
    sandbox.request_pin_reset("1", BUSINESS_ID)
    sandbox.request_pin_reset(USER_ID, APP_ID)  # two ids of other kinds
    sandbox.reset_pin("1")
    sandbox.restrict_account("1")

    sandbox.set_calling("1", is_enabled="yes")  # type: ignore[arg-type]  # a truth value
    sandbox.set_username(1, None)  # type: ignore[arg-type]  # an id is text


def what_the_sandbox_keeps_is_typed(
    request: Request, code: Code, created: Created, delivery: Delivery, webhook: Webhook
) -> None:
    assert_type(request.method, str)
    assert_type(request.path, str)
    assert_type(request.node, str)
    assert_type(request.query, Mapping[str, str])
    assert_type(request.headers, Mapping[str, str])
    assert_type(request.body, bytes)
    assert_type(request.peer_port, int)
    assert_type(request.at, float)
    assert_type(request.status, int | None)
    assert_type(request.json(), Any)
    assert_type(code.phone_number_id, str)
    assert_type(code.phone_number, str)
    assert_type(code.code, str)
    assert_type(code.code_method, str)
    assert_type(code.language, str)
    assert_type(code.at, float)
    assert_type(created.waba_id, str)
    assert_type(created.id, str)
    assert_type(created.phone_number, str)
    assert_type(delivery.webhook, Webhook)
    assert_type(webhook.field, str)
    assert_type(webhook.body, bytes)
    assert_type(webhook.signature, str)
    assert_type(webhook.at, float)
    assert_type(delivery.status, int | None)
    assert_type(delivery.at, float)


def responses_are_values(response: Response, error: GraphError) -> None:
    assert_type(response.status, int)
    assert_type(response.body, bytes)
    assert_type(response.headers, Mapping[str, str])
    assert_type(error.status, int)
    assert_type(error.code, int | None)
    assert_type(error.message, str)
    assert_type(error.type, str | None)
    assert_type(error.subcode, int | None)
    assert_type(error.is_transient, bool | None)
    assert_type(error.user_title, str | None)
    assert_type(error.user_msg, str | None)
    assert_type(error.data, Any)
    assert_type(error.headers, Mapping[str, str])


async def a_loop_waits_for_its_threads(loop: VirtualTimeLoop) -> None:
    await loop.shutdown_default_executor(timeout="1")  # type: ignore[arg-type]  # seconds


def faults_are_values(fault: Fault, loop: VirtualTimeLoop) -> None:
    assert_type(Fault.status(503, headers={"Retry-After": "1"}), Fault)
    assert_type(Fault.error(None), Fault)
    assert_type(Fault.drop_before(), Fault)
    assert_type(Fault.drop_after(reset=True), Fault)
    assert_type(Fault.delay(1), Fault)
    assert_type(Fault.delay_response(0.5), Fault)
    assert_type(Fault.cut(3, clean=True), Fault)
    assert_type(Fault.html(), Fault)
    assert_type(Fault.raw(b"{", status=200, takes_effect=True), Fault)
    assert_type(fault.reply, GraphError | Response | None)
    assert_type(fault.takes_effect, bool)
    assert_type(fault.delay_before, float)
    assert_type(fault.delay_after, float)
    assert_type(fault.drop, Literal["before", "after"] | None)
    assert_type(fault.reset, bool)
    assert_type(fault.cuts, Literal["short", "clean"] | None)
    assert_type(fault.keep, int | None)
    assert_type(fault.cut_body(b"{}"), bytes)
    assert_type(loop.time(), float)
    loop.jump(3600)
    loop.jump("an hour")  # type: ignore[arg-type]  # seconds


def test_of_a_reader(graph_sandbox: Sandbox, wa_phone_client: wa.PhoneNumberClient, virtual_time: Runner) -> None:
    """What the fixtures are: test_typing_api.py holds it against what they give."""
    wa_phone_client.list_phone_numbers("1")
    assert_type(graph_sandbox.url, str)
    virtual_time.close()
