"""`GraphSession`: tokens, retries, amended requests, time, quotas, and the life of a session."""

import asyncio
import gc
import logging
import re
import warnings
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from types import EllipsisType
from typing import Any

import aiohttp
import clients
import pytest
from clients import QUICK, TOKEN, against
from hypothesis import given
from hypothesis import strategies as st
from misbehaving import Connection, RawServer, hang, hang_up, respond, time_out
from passing_time import pass_time, settle
from unthrottled import Unthrottled
from yarl import URL

from wa_phone_async import (
    ALL_FIELDS,
    AsyncPaginator,
    AuthenticationError,
    BadRequestError,
    CallFinished,
    DecodeError,
    Event,
    GraphAPIError,
    GraphSession,
    InvalidArgumentError,
    PermissionDeniedError,
    PhoneNumber,
    PhoneNumberClient,
    RateLimitError,
    RequestTimeoutError,
    RetryPolicy,
    ServerError,
    Sort,
    Throttle,
    ThrottleEnded,
    ThrottleStarted,
    TokenProvider,
    TransportError,
    Usage,
    UsageMetric,
    WaPhoneError,
    Write,
)
from wa_phone_async.call.request import GraphRequest
from wa_phone_async.ratelimit.limiter import Lease, Report
from wa_phone_async.redaction import Secret
from wa_phone_async.sandbox import EMPTY_WABA, LARGE_WABA, SMALL_WABA, Fault, Sandbox

serving = partial(clients.serving, quota=None)

EMPTY_LIST = '{"data":[]}'
AT_ONCE = {"Retry-After": "0"}  # else the cooldown after a throttled call would be a minute
TOO_MUCH_DATA = Fault.error(1, "Please reduce the amount of data you're asking for, then retry your request")


def tokens(sandbox: Sandbox) -> list[str]:
    return [request.headers["Authorization"].removeprefix("Bearer ") for request in sandbox.requests]


# Tokens


async def test_a_provider_is_called_for_each_attempt() -> None:
    provided: list[tuple[str, str | None]] = []

    def provide(node_id: str, rejected: str | None, /) -> str:
        provided.append((node_id, rejected))
        return f"token-{len(provided)}"

    async with serving(access_token=provide) as (sandbox, client):
        sandbox.plan(Fault.status(503), times=2)
        await client.list_phone_numbers(LARGE_WABA)
        assert provided == [(LARGE_WABA, None)] * 5
        assert tokens(sandbox) == [f"token-{number}" for number in range(1, 6)]


async def test_each_account_can_have_its_own_token() -> None:
    async def provide(node_id: str, _: str | None) -> str:
        await asyncio.sleep(0)
        return f"token-of-{node_id}"

    async with serving(access_token=provide) as (sandbox, client):
        await asyncio.gather(client.list_phone_numbers(SMALL_WABA), client.list_phone_numbers(EMPTY_WABA))
        for request, token in zip(sandbox.requests, tokens(sandbox), strict=True):
            assert token == f"token-of-{request.node}"


async def test_a_provider_is_called_once_at_a_time_for_each_id() -> None:
    running: Counter[str] = Counter()
    most: Counter[str] = Counter()

    async def provide(node_id: str, _: str | None) -> str:
        running[node_id] += 1
        running["all"] += 1
        most.update({name: max(0, running[name] - most[name]) for name in (node_id, "all")})
        await asyncio.sleep(0.005)
        running[node_id] -= 1
        running["all"] -= 1
        return TOKEN

    async with serving(access_token=provide) as (_, client):
        calls = [client.list_phone_numbers(waba_id) for waba_id in (SMALL_WABA, EMPTY_WABA) for _ in range(3)]
        await asyncio.gather(*calls)
    assert most == {SMALL_WABA: 1, EMPTY_WABA: 1, "all": 2}


async def test_a_rejected_token_is_renewed_once_a_call() -> None:
    provided: list[str | None] = []

    def provide(_: str, rejected: str | None) -> str:
        provided.append(rejected)
        return "old" if rejected is None else "new"

    async with serving(access_token=provide) as (sandbox, client):
        sandbox.revoke("old")
        assert len(await client.list_phone_numbers(SMALL_WABA)) == 3
        assert provided == [None, "old"]
        assert await client.create_phone_number(SMALL_WABA, phone_number="16315551000", verified_name="Acme")
        assert tokens(sandbox) == ["old", "new"] * 2


async def test_a_second_rejection_is_an_error() -> None:
    def provide(_: str, rejected: str | None) -> str:
        return "old" if rejected is None else f"{rejected}er"

    async with serving(access_token=provide) as (sandbox, client):
        sandbox.revoke("old")
        sandbox.revoke("older")
        with pytest.raises(AuthenticationError) as caught:
            await client.list_phone_numbers(SMALL_WABA)
        assert tokens(sandbox) == ["old", "older"]
        assert caught.value.attempts == 2


async def test_the_same_token_again_takes_no_quota_though_its_rejection_is_uncertain() -> None:
    class Recorder(Throttle):
        def report(self, lease: Lease, report: Report) -> float:
            results.append(report.result)
            return super().report(lease, report)

    results = list[str]()
    async with serving(throttle=Recorder()) as (sandbox, client):
        sandbox.plan(Fault.error(190, status=500))
        with pytest.raises(AuthenticationError) as caught:
            await client.list_phone_numbers(SMALL_WABA)
        assert (caught.value.attempts, len(sandbox.requests), results) == (1, 1, ["accepted"])


@pytest.mark.parametrize("access_token", ["old", lambda *_: "old"], ids=["a string", "a provider"])
async def test_the_same_token_again_is_an_error(access_token: str | TokenProvider) -> None:
    async with serving(access_token=access_token) as (sandbox, client):
        sandbox.revoke("old")
        with pytest.raises(AuthenticationError) as caught:
            await client.list_phone_numbers(SMALL_WABA)
        assert tokens(sandbox) == ["old"]
        assert (caught.value.code, caught.value.attempts) == (190, 1)


async def test_an_invalid_token_of_a_provider_is_an_error_of_ours() -> None:
    async with serving(access_token=lambda *_: "two words") as (sandbox, client):
        with pytest.raises(InvalidArgumentError, match=r"^access_token\(\) must be printable ASCII without blanks"):
            await client.list_phone_numbers(SMALL_WABA)
        assert sandbox.requests == []


async def test_a_providers_own_error_comes_through_and_is_not_retried() -> None:
    calls = 0

    async def provide(*_: object) -> str:
        nonlocal calls
        calls += 1
        raise TimeoutError("the vault is slow")

    async with serving(access_token=provide) as (_, client):
        with pytest.raises(TimeoutError, match="the vault is slow"):
            await client.list_phone_numbers(SMALL_WABA, total_timeout=5)
    assert calls == 1


async def test_a_slow_provider_does_not_use_up_the_time_of_an_attempt() -> None:
    async def provide(*_: object) -> str:
        pass_time(60)
        return TOKEN

    async with serving(access_token=provide, timeout=50) as (_, client):
        assert len(await client.list_phone_numbers(SMALL_WABA)) == 3


# Retries


async def test_reads_are_retried_and_the_error_has_the_number_of_attempts() -> None:
    async with serving(retry=RetryPolicy(first_wait=0.001, max_attempts=3)) as (sandbox, client):
        sandbox.plan(Fault.status(503), times=2)
        assert len(await client.list_phone_numbers(SMALL_WABA)) == 3
        sandbox.requests.clear()
        sandbox.plan(Fault.status(503), times=3)
        with pytest.raises(ServerError) as caught:
            await client.list_phone_numbers(SMALL_WABA)
        assert (len(sandbox.requests), caught.value.attempts) == (3, 3)


@pytest.mark.parametrize(
    ("fault", "error", "requests"),
    [
        pytest.param(Fault.error(80008, headers=AT_ONCE), RateLimitError, 3, id="throttled as 400"),
        pytest.param(Fault.error(4, status=400, headers=AT_ONCE), RateLimitError, 3, id="the app is throttled"),
        pytest.param(Fault.status(429, headers=AT_ONCE), RateLimitError, 3, id="429 without a body"),
        pytest.param(Fault.error(2), ServerError, 3, id="code 2"),
        pytest.param(Fault.error(1), ServerError, 3, id="code 1 with 500"),
        pytest.param(Fault.html(), ServerError, 3, id="a proxy's page"),
        pytest.param(Fault.html(200), DecodeError, 1, id="a page in a 200"),
        pytest.param(Fault.cut(), TransportError, 3, id="a cut 200"),
        pytest.param(Fault.cut(clean=True), DecodeError, 3, id="a cut 200 of honest length"),
        pytest.param(Fault.raw(b""), DecodeError, 3, id="an empty 200"),
        pytest.param(Fault.error(2, status=200), ServerError, 3, id="an error in a 200"),
        pytest.param(Fault.raw("{}"), DecodeError, 1, id="invalid JSON"),
        pytest.param(Fault.raw('{"data":[{}]}'), DecodeError, 1, id="a row without id"),
        pytest.param(Fault.status(302), DecodeError, 1, id="a redirect"),
        pytest.param(Fault.error(100), BadRequestError, 1, id="a bad parameter"),
        pytest.param(Fault.error(3), PermissionDeniedError, 1, id="code 3 with 500"),
        pytest.param(Fault.error(368), PermissionDeniedError, 1, id="a policy block"),
        pytest.param(Fault.error(131048), RateLimitError, 1, id="a block that further calls prolong"),
        pytest.param(Fault.status(418), BadRequestError, 1, id="a teapot"),
    ],
)
async def test_reads_are_retried_if_that_may_help(fault: Fault, error: type[WaPhoneError], requests: int) -> None:
    async with serving(retry=RetryPolicy(first_wait=0.001, max_attempts=3)) as (sandbox, client):
        sandbox.plan(fault, times=9)
        with pytest.raises(error) as caught:
            await client.list_phone_numbers(SMALL_WABA)
        assert type(caught.value) is error
        assert len(sandbox.requests) == requests


async def test_a_servers_wait_beyond_max_wait_raises_at_once_with_the_wait() -> None:
    async with serving() as (sandbox, client):
        sandbox.plan(Fault.error(80008, headers={"Retry-After": "3600"}))
        with pytest.raises(RateLimitError, match="retry after 3600 s") as caught:
            await client.list_phone_numbers(SMALL_WABA)
        assert caught.value.retry_after == pytest.approx(3600)
        assert len(sandbox.requests) == 1


async def test_a_servers_wait_is_a_floor() -> None:
    async with serving() as (sandbox, client):
        sandbox.plan(Fault.error(80008, headers={"Retry-After": "0.2"}))
        await client.list_phone_numbers(SMALL_WABA)
        first, second = sandbox.requests
        assert second.at - first.at >= 0.2


@pytest.mark.parametrize(
    "fault",
    [Fault.status(503), Fault.error(80008, headers=AT_ONCE), Fault.raw("{}")],
    ids=["503", "429", "200"],
)
async def test_after_an_error_the_same_iterator_goes_on(fault: Fault) -> None:
    async with serving(retry=RetryPolicy(max_attempts=1)) as (sandbox, client):
        paginator = client.list_phone_numbers(LARGE_WABA)
        rows = [await anext(paginator) for _ in range(100)]
        sandbox.plan(fault)
        with pytest.raises(WaPhoneError):
            await anext(paginator)
        rows += await paginator
        assert [row.id for row in rows] == [row.id for row in await client.list_phone_numbers(LARGE_WABA)]


async def test_errors_have_no_hidden_context() -> None:
    async with serving() as (sandbox, client):
        sandbox.plan(Fault.drop_before(), times=99)
        with pytest.raises(TransportError) as caught:
            await client.list_phone_numbers(SMALL_WABA)
        assert (caught.value.__context__, caught.value.__cause__) == (None, None)


# Amended requests


@pytest.mark.parametrize("rejections", [1, 3, 6])
async def test_a_page_that_is_too_large_is_halved_for_the_rest_of_the_list(rejections: int) -> None:
    async with serving(throttle=Throttle(quota=5000)) as (sandbox, client):
        sandbox.plan(TOO_MUCH_DATA, times=rejections)
        numbers = await client.list_phone_numbers(LARGE_WABA)
        assert len({number.id for number in numbers}) == 250
        limits = [int(request.query["limit"]) for request in sandbox.requests]
        assert limits[: rejections + 1] == [100, 50, 25, 12, 6, 3, 1][: rejections + 1]
        assert set(limits[rejections:]) == {limits[rejections]}


async def test_halving_ends_at_1_and_no_request_is_sent_twice() -> None:
    async with serving() as (sandbox, client):
        sandbox.plan(TOO_MUCH_DATA, times=99)
        paginator = client.list_phone_numbers(LARGE_WABA)
        with pytest.raises(ServerError, match="reduce the amount of data"):
            await paginator
        limits = [request.query["limit"] for request in sandbox.requests]
        assert limits == ["100", "50", "25", "12", "6", "3", "1"]


@pytest.mark.parametrize("fault", [Fault.error(100), Fault.cut()], ids=["rejected", "cut"])
async def test_the_smaller_limit_stays_after_another_error(fault: Fault) -> None:
    async with serving(retry=RetryPolicy(max_attempts=1)) as (sandbox, client):
        sandbox.plan(TOO_MUCH_DATA, times=2)
        sandbox.plan(fault)
        paginator = client.list_phone_numbers(LARGE_WABA)
        with pytest.raises(WaPhoneError):
            await paginator
        sandbox.requests.clear()
        assert len(await paginator) == 250
        assert {request.query["limit"] for request in sandbox.requests} == {"25"}


async def test_halving_begins_at_the_requested_limit_and_ends_with_the_list() -> None:
    async with serving() as (sandbox, client):
        sandbox.plan(TOO_MUCH_DATA, times=1)
        assert len(await client.session.paginate(f"{LARGE_WABA}/phone_numbers", dict)) == 250
        assert [request.query.get("limit") for request in sandbox.requests[:3]] == [None, "12", "12"]
        sandbox.requests.clear()
        await client.list_phone_numbers(LARGE_WABA)
        assert {request.query["limit"] for request in sandbox.requests} == {"100"}


async def test_each_cause_has_its_own_remedy_in_one_call() -> None:
    def provide(_: str, rejected: str | None) -> str:
        return "a-new-invented-token" if rejected else "an-old-invented-token"

    async with Sandbox(mode="reference") as sandbox:
        sandbox.revoke("an-old-invented-token")
        async with PhoneNumberClient(provide, base_url=sandbox.url, retry=QUICK) as client:
            sandbox.plan(Fault.status(503))
            numbers = await client.list_phone_numbers(SMALL_WABA, fields=ALL_FIELDS, sort=Sort.CREATION_TIME_ASC)
        assert [number.id for number in numbers] == [row["id"] for row in sandbox.numbers(SMALL_WABA)]


# Time


async def test_total_timeout_bounds_attempts_and_waits() -> None:
    policy = RetryPolicy(first_wait=0.02, max_wait=0.02, max_attempts=10_000)
    async with serving(retry=policy) as (sandbox, client):
        sandbox.plan(Fault.status(503), times=10_000)
        with pytest.raises((ServerError, RequestTimeoutError)) as caught:  # the latter if it ends during a wait
            await client.list_phone_numbers(SMALL_WABA, total_timeout=0.2)
        assert caught.value.attempts < 12


async def test_total_timeout_cuts_a_running_attempt() -> None:
    async with against(time_out, timeout=60) as (server, client):
        with pytest.raises(RequestTimeoutError, match=r"in time \((50|4\d\.\d) s\)") as caught:
            await client.list_phone_numbers("1234", total_timeout=50)
    assert (len(server.requests), caught.value.attempts) == (1, 1)


async def test_total_timeout_is_the_policys_by_default() -> None:
    async with against(time_out, timeout=7200, retry=RetryPolicy(total_timeout=50)) as (_, client):
        with pytest.raises(RequestTimeoutError):
            await client.list_phone_numbers("1234")
        with pytest.raises(RequestTimeoutError):
            await client.session.get("1234", dict)


def test_total_timeout_is_for_each_page(virtual_time: asyncio.Runner) -> None:
    async def main() -> None:
        async with serving() as (sandbox, client):
            sandbox.plan(Fault.delay_response(20), times=3)
            assert len(await client.list_phone_numbers(LARGE_WABA, total_timeout=50)) == 250  # 60 s in all

    virtual_time.run(main())


async def test_total_timeout_counts_the_wait_for_a_token() -> None:
    async def provide(*_: object) -> str:
        await asyncio.sleep(60)
        return TOKEN

    async with serving(access_token=provide) as (sandbox, client):
        with pytest.raises(RequestTimeoutError, match="total_timeout ran out before the call could be sent") as caught:
            await client.list_phone_numbers(SMALL_WABA, total_timeout=0.02)
        assert not caught.value.sent
        assert sandbox.requests == []


@pytest.mark.parametrize("write", [False, True], ids=["read", "write"])
async def test_total_timeout_that_is_over_sends_nothing(*, write: bool) -> None:
    async with serving() as (sandbox, client):
        call: Awaitable[object] = client.list_phone_numbers(SMALL_WABA, total_timeout=1e-9)
        if write:
            call = client.create_phone_number(
                SMALL_WABA, phone_number="16315551000", verified_name="Acme", total_timeout=1e-9
            )
        with pytest.raises(RequestTimeoutError, match="before the call could be sent") as caught:
            await call
        assert (caught.value.attempts, caught.value.sent, sandbox.requests) == (0, False, [])


# Many calls at once


async def test_200_calls_at_once_go_through_one_client() -> None:
    async with serving() as (sandbox, client):
        lists = await asyncio.gather(*(client.list_phone_numbers(SMALL_WABA) for _ in range(200)))
        assert [len(numbers) for numbers in lists] == [3] * 200
        assert len(sandbox.requests) == 200
        assert len({request.peer_port for request in sandbox.requests}) <= 100


async def test_calls_in_flight_are_bounded_before_their_time_runs() -> None:
    async def slow(connection: Connection) -> None:
        await asyncio.sleep(0.1)
        await respond(EMPTY_LIST)(connection)

    once = RetryPolicy(max_attempts=1)
    async with against(slow, timeout=10.0, retry=once, throttle=Unthrottled()) as (server, client):
        assert await asyncio.gather(*(client.list_phone_numbers("1234") for _ in range(250))) == [[]] * 250
        assert server.connections == 100


async def test_no_slot_is_taken_during_a_wait() -> None:
    async with serving(retry=RetryPolicy(first_wait=60)) as (sandbox, client):
        sandbox.plan(Fault.status(503), times=150, node=SMALL_WABA)
        waiting = [asyncio.create_task(client.list_phone_numbers(SMALL_WABA).collect()) for _ in range(150)]
        while len(sandbox.requests) < 150:
            await asyncio.sleep(0.01)
        assert len(await client.list_phone_numbers(LARGE_WABA)) == 250
        await cancelled(waiting)


async def test_calls_that_stop_waiting_for_a_slot_block_no_other() -> None:
    release = asyncio.Event()

    async def delayed(connection: Connection) -> None:
        await release.wait()
        await respond(EMPTY_LIST)(connection)

    async with against(delayed, throttle=Unthrottled()) as (server, client):
        calls = [asyncio.create_task(client.list_phone_numbers("1234").collect()) for _ in range(300)]
        while len(server.requests) < 100:
            await asyncio.sleep(0.01)
        timed_out = asyncio.gather(
            *(client.list_phone_numbers("1234", total_timeout=0.5).collect() for _ in range(20)),
            return_exceptions=True,
        )
        assert {type(result) for result in await timed_out} == {RequestTimeoutError}
        cancelled_calls = calls[50:250]  # some in flight, some waiting
        for call in cancelled_calls:
            call.cancel()
        release.set()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert results[:50] + results[250:] == [[]] * 100
        assert all(isinstance(result, asyncio.CancelledError) for result in results[50:250])
        assert await client.list_phone_numbers("1234") == []


async def cancelled(tasks: Iterable[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


# Versions


async def test_another_version_than_the_requested_one_is_logged_once_a_client(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(api_version="v3.0") as (_, client):
        for _ in range(2):
            await client.list_phone_numbers(SMALL_WABA)
        with pytest.raises(GraphAPIError):
            await client.list_phone_numbers("1234")
    [record] = caplog.records
    assert (record.name, record.levelno) == ("wa_phone_async", logging.WARNING)
    assert record.getMessage() == (
        "requested Graph API v3.0, and the server used v21.0: check whether v3.0 is still supported"
    )


async def test_the_requested_version_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "wa_phone_async")
    async with serving() as (_, client):
        await client.list_phone_numbers(SMALL_WABA)
    [record] = (record for record in caplog.records if record.name.startswith("wa_phone_async"))
    assert (record.levelname, record.getMessage().partition(" after ")[0]) == (
        "DEBUG",
        f"GET {SMALL_WABA}/phone_numbers succeeded",
    )


# Other edges


async def test_any_node_can_be_read_and_links_stay_out() -> None:
    body = '{"id":"1234","phone_numbers":{"data":[],"paging":{"next":"https://x/?access_token=t","cursors":{}}}}'
    async with against(respond(body)) as (server, client):
        node = await client.session.get("1234", dict, {"fields": "id,phone_numbers"})
        assert node == {"id": "1234", "phone_numbers": {"data": [], "paging": {"cursors": {}}}}
        await client.session.get("1234", dict)
    assert [request.target for request in server.requests] == [
        "/v23.0/1234?fields=id%2Cphone_numbers",
        "/v23.0/1234",
    ]


async def test_any_edge_can_be_listed_as_plain_json() -> None:
    async with serving() as (sandbox, client):
        rows: list[dict[str, Any]] = await client.session.paginate(
            f"{SMALL_WABA}/phone_numbers", dict, {"fields": "id"}, limit=2
        )
        assert [set(row) for row in rows] == [{"id"}] * 3
        assert len(sandbox.requests) == 2


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "/1234", "1234/", "1234//5678", "//graph.example/1234", "https://graph.example/1234", "https:1234"),
        *("..", "../me", "1234/..", "1234/../me", ".", "1234/.", "%2e%2e/me", "1234/%2E%2E", "1234%2fme", "1234/%00"),
        *("1234?x=1", "1234?", "1234#x", "1234#", "1234;x=1", "1234&x=1", "me@graph.example", "1234:80"),
        *(
            "1234\\me",
            "..\\me",
            "\\\\graph.example",
            "a b",
            " 1234",
            "1234 ",
            "1234\t",
            "1234\n",
            "\n1234",
            "1234\r\nX: y",
        ),
        *("\x00", "mé", "１２３４", "1234\u2028", "1234\ud800", 5, None, b"1234", ["1234"]),  # noqa: RUF001 - no digits of Meta's
    ],
    ids=ascii,
)
async def test_a_path_is_checked_before_anything_is_sent(path: Any) -> None:
    async with serving() as (sandbox, client):
        calls: tuple[Callable[[], Awaitable[Any]], ...] = (
            lambda: client.session.paginate(path, dict),
            lambda: client.session.get(path, dict),
            lambda: client.session.post(Write(path=path, body={}), dict),
        )
        for call in calls:
            with pytest.raises(InvalidArgumentError, match="path must be relative and without a query"):
                await call()
        assert not sandbox.requests


def test_an_invalid_path_of_a_list_raises_before_the_first_page() -> None:
    with pytest.raises(InvalidArgumentError, match="path must be relative"):
        GraphSession(TOKEN).paginate("../me", dict)


@given(st.text() | st.from_regex(r"[\w./%:?#\\@-]*", fullmatch=True))
def test_any_valid_path_stays_below_the_version(path: str) -> None:
    try:
        GraphSession(TOKEN).paginate(path, dict)
    except InvalidArgumentError:
        return
    base = URL("https://graph.facebook.com/v23.0/")
    joined = URL(f"{base}{path}")
    assert (joined.origin(), joined.raw_path) == (base.origin(), f"/v23.0/{path}")
    assert joined.raw_query_string == joined.raw_fragment == ""


async def test_a_list_of_any_edge_has_the_token_the_retries_and_the_paging() -> None:
    async with serving() as (sandbox, client):
        sandbox.plan(Fault.status(503), times=2)
        paginator = client.session.paginate(f"{LARGE_WABA}/phone_numbers", PhoneNumber, limit=100)
        assert [type(number) for number in await paginator] == [PhoneNumber] * 250
        assert [request.status for request in sandbox.requests] == [503, 503, 200, 200, 200]
        assert set(tokens(sandbox)) == {TOKEN}


@pytest.mark.parametrize("name", ["access_token", "appsecret_proof"])
async def test_no_secret_is_allowed_as_a_parameter_of_a_url(name: str) -> None:
    session = GraphSession(TOKEN)
    with pytest.raises(InvalidArgumentError, match=rf"^params must be without {name}: the session sends its own with"):
        await session.get("1234", dict, {"fields": "id", name: "x"})
    with pytest.raises(InvalidArgumentError, match=rf"^params must be without {name}: the session sends its own with"):
        session.paginate("1234/phone_numbers", dict, {name: "x"})


# Whose quota


@pytest.mark.parametrize("waba_id", ["me", "", 5.0, True, "../1", "1\n2"], ids=repr)
async def test_waba_id_is_checked(waba_id: Any) -> None:
    session = GraphSession(TOKEN)
    with pytest.raises(InvalidArgumentError, match="waba_id must be the id of the account"):
        session.paginate("1234/edge", dict, waba_id=waba_id)
    with pytest.raises(InvalidArgumentError, match="waba_id must be the id of the account"):
        await session.get("1234", dict, waba_id=waba_id)


PAGE_OF_FOUR = '{"data":[{"id":"1"}],"paging":{"cursors":{"after":"A"},"next":"https://x"}}'


async def which_are_sent(waba_id: str | EllipsisType | None, app_quota: int | None = None) -> list[bool]:
    """Read a node twice, and a list of two pages, with a quota of one call. Return which calls were sent."""
    sent = list[bool]()
    throttle = Throttle(quota=1, app_quota=app_quota)
    plays = [respond('{"id":"1234"}')] * 2 + [respond(PAGE_OF_FOUR), respond(EMPTY_LIST)]
    async with against(*plays, throttle=throttle) as (_, client):
        paginator: AsyncPaginator[Any] = client.session.paginate("1234/edge", dict, waba_id=waba_id)
        reads = [client.session.get("1234", dict, waba_id=waba_id) for _ in range(2)]
        for call in (*reads, paginator.next_page(), paginator.next_page()):
            try:
                await call
            except RateLimitError as error:
                sent.append(error.sent)
            else:
                sent.append(True)
    return sent


async def test_a_call_uses_the_quota_of_the_id_at_the_head_of_its_path_by_default() -> None:
    assert await which_are_sent(...) == await which_are_sent("5678") == [True, False, False, False]


async def test_a_call_on_no_account_uses_only_the_apps_quota() -> None:
    assert await which_are_sent(None) == [True, True, True, True]
    assert await which_are_sent(None, app_quota=2) == [True, True, False, False]


async def test_a_write_uses_the_quota_of_waba_id() -> None:
    async with serving(throttle=Throttle(quota=1)) as (sandbox, client):
        for number in range(3):
            body = {"phone_number": f"1631555100{number}", "verified_name": "Acme"}
            write = Write(path=f"{EMPTY_WABA}/phone_numbers", body=body)
            await client.session.post(write, dict, waba_id=(None, SMALL_WABA)[number % 2])
        assert len(sandbox.created) == 3
        with pytest.raises(InvalidArgumentError, match="waba_id must be the id of the account"):
            await client.session.post(Write(path="1234", body={}), dict, waba_id="me")


@pytest.mark.parametrize(
    ("waba_id", "total_timeout", "owner", "limit"),
    [
        (None, None, "the app", "max_wait=60 s"),
        (..., None, f"WABA {SMALL_WABA} or the app", "max_wait=60 s"),
        (..., 5, f"WABA {SMALL_WABA} or the app", "the 5.0 s left of total_timeout"),
    ],
    ids=["the app", "an account", "total_timeout"],
)
async def test_a_call_beyond_the_quota_says_whose_it_is_and_what_limits_the_wait(
    waba_id: str | EllipsisType | None, total_timeout: float | None, owner: str, limit: str
) -> None:
    path = f"{SMALL_WABA}/phone_numbers"
    async with serving(throttle=Throttle(app_quota=1)) as (_, client):
        await client.session.get(path, dict, waba_id=None)
        text = f"Rate limit: {owner} has used its hourly quota. GET {path} was not sent: the wait exceeds {limit}"
        with pytest.raises(RateLimitError, match=rf"^{re.escape(text)} \(retry after 36\d\d s\)$"):
            await client.session.get(path, dict, waba_id=waba_id, total_timeout=total_timeout)


async def test_the_usage_of_a_call_is_that_of_its_quota() -> None:
    entries = '[{"type":"whatsapp_business_management","call_count":%d}]'
    buc = f'{{"5678":{entries % 7},"9999":{entries % 90}}}'
    headers = f'X-Business-Use-Case-Usage: {buc}\r\nX-App-Usage: {{"call_count":3}}\r\n'
    async with against(respond('{"id":"1"}', headers=headers)) as (_, client):
        events = list[Event]()
        client.subscribe(events.append)
        await client.session.get("1234", dict, waba_id="5678")
        assert client.last_usage("5678") == Usage(UsageMetric(7.0), UsageMetric(3.0))
        assert client.last_usage("1234") is client.last_usage(None) is None
        await client.session.get("1234", dict, waba_id=None)
        assert client.last_usage(None) == Usage(UsageMetric(90.0), UsageMetric(3.0))
        usages = [event.usage for event in events if isinstance(event, CallFinished)]
        assert usages == [client.last_usage("5678"), client.last_usage(None)]


async def test_without_an_account_the_throttle_events_name_the_id_of_the_path() -> None:
    async with serving() as (sandbox, client):
        events = list[Event]()
        client.subscribe(events.append)
        sandbox.plan(Fault.error(80008, headers=AT_ONCE))
        await client.session.get(f"{SMALL_WABA}/phone_numbers", dict, waba_id=None)
        throttling = [event for event in events if isinstance(event, ThrottleStarted | ThrottleEnded)]
        assert throttling == [
            ThrottleStarted(node_id=SMALL_WABA, code=80008, seconds=0.0),
            ThrottleEnded(node_id=SMALL_WABA),
        ]


# The life of a session


async def test_a_client_opens_on_first_use_and_raises_when_it_is_closed() -> None:
    async with Sandbox() as sandbox:
        client = PhoneNumberClient(TOKEN, base_url=sandbox.url)
        paginator = client.list_phone_numbers(LARGE_WABA)
        await anext(paginator)
        await client.aclose()
        await client.aclose()
        with pytest.raises(RuntimeError, match="this client is closed"):
            client.list_phone_numbers(SMALL_WABA)
        with pytest.raises(RuntimeError, match="this client is closed"):
            await client.create_phone_number(SMALL_WABA, phone_number="16315551000", verified_name="Acme")
        with pytest.raises(RuntimeError, match="this client is closed"):
            await client.session.get(SMALL_WABA, dict)
        with pytest.raises(RuntimeError, match="this client is closed"):
            await paginator
        assert len(sandbox.requests) == 1


async def test_entered_again_it_opens_again() -> None:
    async with Sandbox() as sandbox:
        client = PhoneNumberClient(TOKEN, base_url=sandbox.url)
        for _ in range(2):
            async with client:
                assert len(await client.list_phone_numbers(SMALL_WABA)) == 3
        assert len({request.peer_port for request in sandbox.requests}) == 2


async def test_a_client_that_was_never_used_opened_nothing() -> None:
    async with PhoneNumberClient(TOKEN):
        pass
    await PhoneNumberClient(TOKEN).aclose()


async def test_a_borrowed_session_stays_open() -> None:
    async with Sandbox() as sandbox, aiohttp.ClientSession() as http:
        for _ in range(2):
            async with PhoneNumberClient(TOKEN, base_url=sandbox.url, session=http) as client:
                await client.list_phone_numbers(SMALL_WABA)
            assert not http.closed


@pytest.mark.parametrize("stage", ["token", "slot"])
async def test_a_call_that_waits_while_the_client_closes_opens_nothing(stage: str) -> None:
    gate = asyncio.Event()

    async def provide(node_id: str, _: str | None) -> str:
        if node_id == "1":
            await gate.wait()
        return TOKEN

    async with RawServer([hang]) as server:
        token = provide if stage == "token" else TOKEN
        client = PhoneNumberClient(token, base_url=server.url, retry=QUICK, throttle=Unthrottled())
        others = [asyncio.create_task(client.session.get("2", dict)) for _ in range(100)]
        while len(server.requests) < 100:
            await asyncio.sleep(0.01)
        waiting = asyncio.create_task(client.session.get("1", dict))
        await settle()
        await client.aclose()
        gate.set()
        with pytest.raises(RuntimeError, match="this client is closed"):
            await waiting
        await asyncio.gather(*others, return_exceptions=True)
        assert len(server.requests) == 100


def test_used_in_a_new_loop_after_the_old_one_ended_it_opens_again() -> None:
    with Sandbox() as sandbox:
        client = PhoneNumberClient(TOKEN, base_url=sandbox.url, retry=RetryPolicy(max_attempts=1))

        async def use(number: int) -> None:
            assert len(await client.list_phone_numbers(SMALL_WABA)) == 3 + number
            created = await client.create_phone_number(
                SMALL_WABA, phone_number=f"1631555100{number}", verified_name="Acme", cc="1"
            )
            assert created.id in {row.id for row in await client.list_phone_numbers(SMALL_WABA)}

        with warnings.catch_warnings():
            # Python's own, of the connections that an ended loop leaves behind.
            warnings.filterwarnings("ignore", "unclosed (transport|<socket)", ResourceWarning)
            for number in range(3):
                asyncio.run(use(number))
            asyncio.run(client.aclose())
            gc.collect()


@pytest.mark.parametrize("then", ["read on", "close"])
def test_a_loop_that_stopped_unclosed_counts_as_ended(then: str) -> None:
    with Sandbox() as sandbox:
        client = PhoneNumberClient(TOKEN, base_url=sandbox.url, retry=RetryPolicy(max_attempts=1))
        first, second = asyncio.new_event_loop(), asyncio.new_event_loop()
        first.run_until_complete(client.list_phone_numbers(SMALL_WABA).collect())
        if then == "read on":
            assert len(second.run_until_complete(client.list_phone_numbers(SMALL_WABA).collect())) == 3
        second.run_until_complete(client.aclose())
        first.run_until_complete(asyncio.sleep(0))  # in which what was closed meanwhile ends
        for loop in (first, second):
            loop.close()


async def collect_garbage(clients: list[PhoneNumberClient], *, in_a_thread: bool) -> None:
    clients.clear()
    if in_a_thread:
        await asyncio.to_thread(gc.collect)
    else:
        gc.collect()


@pytest.mark.parametrize("in_a_thread", [False, True])
async def test_a_client_that_is_garbage_collected_is_closed_with_a_warning(
    caplog: pytest.LogCaptureFixture, *, in_a_thread: bool
) -> None:
    async with Sandbox() as sandbox:
        clients = [PhoneNumberClient(TOKEN, base_url=sandbox.url)]
        await clients[0].list_phone_numbers(SMALL_WABA)
        await clients[0].create_phone_number(SMALL_WABA, phone_number="16315551001", verified_name="Acme", cc="1")
        assert clients[0].session._transports._transport is not None
        opened = list(clients[0].session._transports._transport._own.values())
        with pytest.warns(ResourceWarning, match="a client was not closed: use 'async with', or await its aclose"):
            await collect_garbage(clients, in_a_thread=in_a_thread)
        assert len(opened) == 2
        while not all(http.closed for http in opened):
            await asyncio.sleep(0)
    assert caplog.text == ""


async def test_a_closed_client_is_garbage_collected_without_a_warning() -> None:
    async with Sandbox() as sandbox:
        client = PhoneNumberClient(TOKEN, base_url=sandbox.url)
        await client.list_phone_numbers(SMALL_WABA)
        await client.aclose()
        del client
        gc.collect()


async def test_in_a_second_loop_while_the_first_runs_it_raises() -> None:
    async with serving() as (_, client):
        await client.list_phone_numbers(SMALL_WABA)
        with pytest.raises(RuntimeError, match="in use by another running event loop"):
            await asyncio.to_thread(asyncio.run, client.list_phone_numbers(SMALL_WABA).collect())
        assert len(await client.list_phone_numbers(SMALL_WABA)) == 3


def test_a_borrowed_session_cannot_change_loops() -> None:
    with Sandbox() as sandbox:

        async def begin() -> PhoneNumberClient:
            async with aiohttp.ClientSession() as http:
                client = PhoneNumberClient(TOKEN, base_url=sandbox.url, session=http)
                await client.list_phone_numbers(SMALL_WABA)
                return client

        client = asyncio.run(begin())
        with pytest.raises(RuntimeError, match="the borrowed aiohttp session belongs to another event loop"):
            asyncio.run(client.list_phone_numbers(SMALL_WABA).collect())


async def test_a_borrowed_session_that_is_closed_raises() -> None:
    async with Sandbox() as sandbox:
        async with aiohttp.ClientSession() as http:
            client = PhoneNumberClient(TOKEN, base_url=sandbox.url, session=http)
        with pytest.raises(RuntimeError, match="Session is closed"):
            await client.list_phone_numbers(SMALL_WABA)


async def test_a_server_that_went_away_is_a_transport_error_after_all_attempts() -> None:
    async with against(hang_up) as (server, client):
        with pytest.raises(TransportError) as caught:
            await client.list_phone_numbers("1234")
        assert caught.value.attempts == 5
        assert len(server.requests) == 10  # aiohttp itself sends a GET a second time


@pytest.mark.parametrize(
    "base_url",
    [
        "https://graph.facebook.com",
        "HTTP://127.0.0.1:80/proxy/",
        "http://[::1]:8080/a%2Fb",
        "https://bücher.example/ü",
        "http://example.com:443//c",
    ],
)
def test_the_url_is_that_of_its_text(base_url: str) -> None:
    session = GraphSession(TOKEN, base_url=base_url)
    for params, query in (({}, ""), ({"after": "a=/ü,"}, "?after=a%3D%2F%C3%BC%2C")):
        url = session._transports.endpoint.url(GraphRequest(path="1234/phone_numbers", params=params), Secret(TOKEN))
        expected = URL(f"{session.base_url}/v23.0/1234/phone_numbers{query}", encoded=True)
        assert (url, str(url), url.raw_path_qs) == (expected, str(expected), expected.raw_path_qs)
        assert (url.raw_host, url.port) == (expected.raw_host, expected.port)
