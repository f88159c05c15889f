"""A create is never sent twice by itself: effects are counted in the sandbox, requests at a raw server."""

import asyncio
import logging
import pickle
from functools import partial
from typing import Any

import aiohttp
import clients
import pytest
from clients import TOKEN
from misbehaving import Play, RawServer, hang, hang_up, raw, reset, respond, time_out
from passing_time import settle

from wa_phone_async import (
    AuthenticationError,
    BadRequestError,
    ConflictError,
    GraphAPIError,
    OutcomeUnknownError,
    PermissionDeniedError,
    PhoneNumberClient,
    RateLimitError,
    RequestTimeoutError,
    RetryPolicy,
    ServerError,
    TransportError,
    UnprocessableEntityError,
    WaPhoneError,
)
from wa_phone_async.sandbox import EMPTY_WABA, Fault, Sandbox

NUMBER: dict[str, Any] = {"phone_number": "16315551000", "verified_name": "Acme", "cc": "1"}
CREATED = respond('{"id":"7"}')

QUICK = RetryPolicy(first_wait=0.001, max_attempts=3)
serving, against = partial(clients.serving, retry=QUICK), partial(clients.against, retry=QUICK)


def graph_error(code: int | None, *, status: int, **facts: Any) -> Any:
    return pytest.param(
        Fault.error(code, status=status, takes_effect=True, **facts), id=f"{status} with code {code} {facts or ''}"
    )


# After a lost response


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault.drop_after(), id="closed after the effect"),
        pytest.param(Fault.drop_after(reset=True), id="reset after the effect"),
        pytest.param(Fault.cut(), id="a cut 200"),
        pytest.param(Fault.cut(clean=True), id="a cut 200 of honest length"),
        pytest.param(Fault.raw("{}", takes_effect=True), id="a 200 without id"),
        pytest.param(Fault.raw('{"id":7.5}', takes_effect=True), id="a 200 with a fraction for id"),
        pytest.param(Fault.raw('{"id":{"id":"7"}}', takes_effect=True), id="a 200 with an object for id"),
        pytest.param(Fault.raw('{"id":null}', takes_effect=True), id="a 200 with null for id"),
        pytest.param(Fault.raw("[]", takes_effect=True), id="a 200 with an array"),
        pytest.param(Fault.raw(b"\xff", takes_effect=True), id="a 200 that is no UTF-8"),
        pytest.param(Fault.raw("", takes_effect=True), id="an empty 200"),
        pytest.param(Fault.raw("[" * 50_000, takes_effect=True), id="a 200 nested too deep"),
        pytest.param(Fault.raw(" " * 2000, takes_effect=True), id="a 200 larger than max_body"),
        pytest.param(Fault.raw("<html>", takes_effect=True), id="a page in a 200"),
        *(
            pytest.param(Fault.raw("", status=status, takes_effect=True), id=f"{status} without a body")
            for status in (302, 304, 307, 500, 502, 503, 504, 599)
        ),
        graph_error(None, status=500),
        graph_error(None, status=200),
        *(graph_error(code, status=500) for code in (1, 2, 131000, 131016, 131057, 133004)),
        *(graph_error(code, status=200) for code in (1, 2, 131000, 131016, 131057, 133004)),
        graph_error(131000, status=500, is_transient=False),
        *(graph_error(code, status=503, is_transient=True) for code in (0, 102, 190)),
        *(graph_error(code, status=500) for code in (190, 987654)),
        graph_error(190, status=401, is_transient=True),
        graph_error(100, status=400, is_transient=True),
        graph_error(None, status=400, is_transient=True),
        graph_error(100, status=200, is_transient=True),
    ],
)
async def test_a_lost_response_is_an_unknown_outcome_and_is_not_retried(fault: Fault) -> None:
    async with serving(max_body=1000) as (sandbox, client):
        sandbox.plan(fault, times=3)
        with pytest.raises(OutcomeUnknownError) as caught:
            await client.create_phone_number(EMPTY_WABA, **NUMBER)
        assert (len(sandbox.requests), len(sandbox.created)) == (1, 1)
    error = caught.value
    assert isinstance(error, WaPhoneError)
    assert not isinstance(error, TimeoutError)
    assert (error.waba_id, error.phone_number, error.attempts) == (EMPTY_WABA, "16315551000", 1)
    assert error.reason
    assert error.reason in str(error)
    assert str(error) == (
        f"The outcome of create_phone_number is unknown: {error.reason}. 16315551000 may have been created. "
        f"List the numbers of {EMPTY_WABA} and look for its digits before you create it again, "
        "or call ensure_phone_number, which does that."
    )
    assert (error.__cause__, error.__context__) == (None, None)
    assert pickle.loads(pickle.dumps(error)).reason == error.reason


@pytest.mark.parametrize("timeout", [30, aiohttp.ClientTimeout(sock_read=30)], ids=["in all", "between bytes"])
def test_a_time_out_after_sending_is_an_unknown_outcome(
    timeout: float | aiohttp.ClientTimeout, virtual_time: asyncio.Runner
) -> None:
    async def main() -> None:
        async with serving(timeout=timeout) as (sandbox, client):
            sandbox.plan(Fault.delay_response(60), times=3)
            with pytest.raises(OutcomeUnknownError, match="no response in time") as caught:
                await client.create_phone_number(EMPTY_WABA, **NUMBER)
            assert (len(sandbox.requests), len(sandbox.created)) == (1, 1)
        assert not isinstance(caught.value, TimeoutError)

    virtual_time.run(main())


async def test_total_timeout_after_sending_is_an_unknown_outcome_too() -> None:
    async with against(time_out, timeout=7200) as (server, client):
        with pytest.raises(OutcomeUnknownError, match="no response in time"):
            await client.create_phone_number("1234", **NUMBER, total_timeout=30)
        assert len(server.requests) == 1


@pytest.mark.parametrize("code", [0, 102, 190])
async def test_trouble_that_looks_like_a_rejected_token_asks_for_no_second_create(code: int) -> None:
    tokens = list[str | None]()

    def provide(_: str, rejected: str | None) -> str:
        tokens.append(rejected)
        return f"{TOKEN}-{len(tokens)}"

    async with serving(access_token=provide) as (sandbox, client):
        sandbox.plan(Fault.error(code, status=503, is_transient=True, takes_effect=True))
        with pytest.raises(OutcomeUnknownError):
            await client.create_phone_number(EMPTY_WABA, **NUMBER)
        assert (len(sandbox.requests), len(sandbox.created), tokens) == (1, 1, [None])
        # and calls with the same token go on
        assert len(await client.list_phone_numbers(EMPTY_WABA)) == 1


async def test_trouble_that_looks_like_a_rejected_token_stops_no_call_that_waits_with_it() -> None:
    async with serving() as (sandbox, client):
        sandbox.plan(Fault.error(190, status=500))
        with pytest.raises(AuthenticationError):
            await client.list_phone_numbers(EMPTY_WABA)
        assert (await client.create_phone_number(EMPTY_WABA, **NUMBER)).id
        assert len(sandbox.requests) == 2


@pytest.mark.parametrize(
    "play",
    [
        pytest.param(hang_up, id="closed"),
        pytest.param(reset, id="reset"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"), id="cut"),
        pytest.param(raw(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 9\r\n\r\n{"), id="a cut API error"),
        pytest.param(raw(b"\0garbage\r\n\r\n"), id="garbage"),
        pytest.param(respond('{"id":"7"}', headers="Content-Encoding: gzip\r\n"), id="damaged gzip"),
        pytest.param(respond(status="101 Switching Protocols"), id="another protocol"),
    ],
)
async def test_a_connection_that_breaks_after_sending_is_an_unknown_outcome(play: Play) -> None:
    async with against(play) as (server, client):
        with pytest.raises(OutcomeUnknownError):
            await client.create_phone_number("1234", **NUMBER)
        assert (len(server.requests), server.connections) == (1, 1)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_a_redirect_is_an_unknown_outcome_and_leads_nowhere(status: str) -> None:
    async with RawServer([CREATED]) as other:
        async with against(respond(status=status, headers=f"Location: {other.url}/\r\n")) as (server, client):
            with pytest.raises(OutcomeUnknownError, match=f"HTTP {status[:3]}"):
                await client.create_phone_number("1234", **NUMBER)
            assert len(server.requests) == 1
        assert other.connections == 0


# After an API error


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault.error(100, status=400), BadRequestError),
        (Fault.error(100, status=409), ConflictError),
        (Fault.error(100, status=422), UnprocessableEntityError),
        (Fault.error(100, status=500), ServerError),
        (Fault.error(131045, status=500), ServerError),
        (Fault.error(133000, status=500), ServerError),
        (Fault.error(3, status=500), PermissionDeniedError),
        (Fault.error(10, status=403), PermissionDeniedError),
        (Fault.error(368, status=403), PermissionDeniedError),
        (Fault.error(100, status=200), BadRequestError),
        (Fault.error(2, status=400), ServerError),
        (Fault.error(1, status=400), ServerError),
        (Fault.status(418), BadRequestError),
        (Fault.error(131048, status=400), RateLimitError),
    ],
    ids=str,
)
async def test_an_api_error_comes_through_and_is_not_retried(fault: Fault, expected: type[GraphAPIError]) -> None:
    async with serving() as (sandbox, client):
        sandbox.plan(fault, times=3)
        with pytest.raises(GraphAPIError) as caught:
            await client.create_phone_number(EMPTY_WABA, **NUMBER)
        assert type(caught.value) is expected
        assert (len(sandbox.requests), len(sandbox.created)) == (1, 0)


@pytest.mark.parametrize("mode", ["reference", "live"])
async def test_a_number_that_exists_is_a_conflict(mode: Any) -> None:
    async with Sandbox(mode=mode) as sandbox, PhoneNumberClient(TOKEN, base_url=sandbox.url) as client:
        await client.create_phone_number(EMPTY_WABA, **NUMBER)
        with pytest.raises(ConflictError):
            await client.create_phone_number(EMPTY_WABA, **NUMBER)
        assert len(sandbox.created) == 1


# When it has provably not happened


@pytest.mark.parametrize(
    "fault",
    [
        Fault.error(80008),
        Fault.error(80007, status=429, is_transient=True),
        Fault.error(4, status=400),
        Fault.status(429),
        Fault.error(80008, status=500),
        Fault.error(80008, status=200),
    ],
    ids=str,
)
def test_throttled_it_is_retried(fault: Fault, virtual_time: asyncio.Runner) -> None:
    async def main() -> None:
        async with serving(retry=RetryPolicy(max_wait=120)) as (sandbox, client):
            sandbox.plan(fault, times=2)
            created = await client.create_phone_number(EMPTY_WABA, **NUMBER)
            assert [effect.id for effect in sandbox.created] == [created.id]
            assert [request.at for request in sandbox.requests] == pytest.approx([0, 60, 180])

    virtual_time.run(main())


async def test_with_a_rejected_token_it_is_sent_again_with_another_one() -> None:
    def provide(_: str, rejected: str | None) -> str:
        return "a-new-token" if rejected else "an-old-token"

    async with Sandbox() as sandbox, PhoneNumberClient(provide, base_url=sandbox.url) as client:
        sandbox.revoke("an-old-token")
        await client.create_phone_number(EMPTY_WABA, **NUMBER)
        assert (len(sandbox.requests), len(sandbox.created)) == (2, 1)


async def test_a_whole_number_is_the_id_of_a_created_number() -> None:
    async with against(respond('{"id":106540352242922,"more":1}')) as (server, client):
        created = await client.create_phone_number("1234", **NUMBER)
        assert (created.id, dict(created.extra), len(server.requests)) == ("106540352242922", {"more": 1}, 1)


async def test_with_its_only_token_rejected_it_is_not_sent_again() -> None:
    async with Sandbox(tokens=[]) as sandbox, PhoneNumberClient(TOKEN, base_url=sandbox.url) as client:
        with pytest.raises(AuthenticationError):
            await client.create_phone_number(EMPTY_WABA, **NUMBER)
        assert len(sandbox.requests) == 1


async def test_without_a_connection_it_is_retried() -> None:
    async with RawServer([CREATED]) as server:
        url = server.url
    port = int(url.rpartition(":")[2])
    async with PhoneNumberClient(TOKEN, base_url=url, retry=RetryPolicy(first_wait=0.05, max_attempts=8)) as client:
        creating = asyncio.create_task(client.create_phone_number("1234", **NUMBER))
        await asyncio.sleep(0.02)
        async with Sandbox(port=port) as sandbox:
            sandbox.add_waba("1234")
            created = await creating
            assert [effect.id for effect in sandbox.created] == [created.id]


async def test_without_any_connection_it_is_a_transport_error_that_was_not_sent() -> None:
    async with RawServer([CREATED]) as server:
        url = server.url
    async with PhoneNumberClient(TOKEN, base_url=url, retry=QUICK) as client:
        with pytest.raises(TransportError) as caught:
            await client.create_phone_number("1234", **NUMBER)
    assert (caught.value.attempts, caught.value.sent) == (3, False)


async def test_a_time_out_before_sending_is_no_unknown_outcome() -> None:
    async with against(CREATED, timeout=1e-9) as (server, client):
        with pytest.raises(RequestTimeoutError) as caught:
            await client.create_phone_number("1234", **NUMBER)
        assert (caught.value.attempts, caught.value.sent) == (3, False)
        assert server.requests == []


# Connections


async def test_each_create_has_a_connection_of_its_own() -> None:
    async with against(CREATED) as (server, client):
        for _ in range(3):
            await client.create_phone_number("1234", **NUMBER)
        assert [request.connection for request in server.requests] == [0, 1, 2]


async def test_idle_connections_that_the_server_closed_do_not_matter() -> None:
    async with against(respond('{"data":[]}'), CREATED, respond('{"data":[]}'), CREATED) as (server, client):
        for _ in range(2):
            await client.list_phone_numbers("1234")
            server.close_connections()
            assert (await client.create_phone_number("1234", **NUMBER)).id == "7"
        assert len(server.requests) == 4


async def test_a_create_is_not_sent_over_the_connection_of_a_read() -> None:
    async with against(respond('{"data":[]}'), CREATED) as (server, client):
        await client.list_phone_numbers("1234")
        await client.create_phone_number("1234", **NUMBER)
        assert [request.connection for request in server.requests] == [0, 1]


# Cancelling


async def test_cancelling_a_create_that_was_sent_is_a_cancellation_and_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with against(hang) as (server, client):
        creating = asyncio.create_task(client.create_phone_number("1234", **NUMBER))
        await server.received.wait()
        creating.cancel()
        with pytest.raises(asyncio.CancelledError):
            await creating
    [record] = caplog.records
    assert (record.name, record.levelno) == ("wa_phone_async", logging.WARNING)
    assert record.getMessage() == "POST 1234/phone_numbers was cancelled after it was sent: it may have happened"


async def test_a_callers_own_time_out_is_a_cancellation_too(caplog: pytest.LogCaptureFixture) -> None:
    async with against(time_out, timeout=7200) as (_, client):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await client.create_phone_number("1234", **NUMBER)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("stage", ["token", "wait"])
async def test_cancelling_a_create_that_was_not_sent_logs_nothing_of_it(
    stage: str, caplog: pytest.LogCaptureFixture
) -> None:
    called, responded = asyncio.Event(), asyncio.Event()

    async def provide(*_: object) -> str:
        called.set()
        if stage == "token":
            await asyncio.sleep(60)
        return TOKEN

    async def note(*_: object) -> None:
        responded.set()

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(note)
    throttled = respond('{"error":{"message":"slow","code":80008}}', status="400 Bad Request")
    async with (
        RawServer([throttled]) as server,
        PhoneNumberClient(
            provide, base_url=server.url, retry=RetryPolicy(first_wait=60), trace_configs=[trace]
        ) as client,
    ):
        creating = asyncio.create_task(client.create_phone_number("1234", **NUMBER))
        await (called if stage == "token" else responded).wait()
        await settle()
        creating.cancel()
        with pytest.raises(asyncio.CancelledError):
            await creating
    wait = "Waiting 60 s because Meta throttles WABA 1234; cancelling is safe."
    assert caplog.messages == ([] if stage == "token" else [wait])


async def test_cancelled_at_any_step_it_logs_a_warning_if_and_only_if_it_was_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with against(hang) as (server, client):
        for moment in range(40):
            creating = asyncio.create_task(client.create_phone_number("1234", **NUMBER))
            for _ in range(moment):
                await asyncio.sleep(0)
            creating.cancel()
            await asyncio.gather(creating, return_exceptions=True)
            assert creating.cancelled()
        while len(server.requests) < len(caplog.records):
            await asyncio.sleep(0.001)
        await settle()
        assert 0 < len(server.requests) < 40
        assert len(caplog.records) == len(server.requests)


async def test_cancelling_a_read_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with against(hang) as (server, client):
        reading = asyncio.create_task(client.list_phone_numbers("1234").collect())
        await server.received.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    assert caplog.records == []
