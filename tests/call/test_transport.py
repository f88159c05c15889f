"""One request and its response over a real socket, against a server that sends exact bytes."""

import asyncio
import contextlib
import gzip
import json
import re
import ssl
import zlib
from functools import partial
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from clients import QUICK, TOKEN, against
from faults import CERTIFICATE, port_with_a_bad_certificate
from misbehaving import Connection, Play, RawServer, hang, hang_up, raw, reset, respond, time_out
from passing_time import settle

from wa_phone_async import (
    DecodeError,
    Filter,
    GraphAPIError,
    InvalidArgumentError,
    OutcomeUnknownError,
    PhoneNumberClient,
    RequestTimeoutError,
    RetryPolicy,
    ServerError,
    TransportError,
    WaPhoneError,
)
from wa_phone_async.call.transport import _before
from wa_phone_async.sandbox.virtual_time import VirtualTimeLoop

EMPTY_LIST = '{"data":[]}'
ONCE = RetryPolicy(max_attempts=1)
serving = partial(against, retry=ONCE, max_body=2**20)


# What is sent


async def test_a_list_is_one_get_on_our_own_base_url_and_version() -> None:
    async with serving(respond(EMPTY_LIST)) as (server, client):
        await client.list_phone_numbers("1234", fields=["id", "status"], filtering=Filter("account_mode", "LIVE"))
    [request] = server.requests
    url = urlsplit(request.target)
    assert (request.method, url.path, request.body) == ("GET", "/v23.0/1234/phone_numbers", b"")
    assert parse_qs(url.query) == {
        "fields": ["id,status"],
        "filtering": ['[{"field":"account_mode","operator":"EQUAL","value":"LIVE"}]'],
        "limit": ["100"],
    }
    assert "content-type" not in request.headers


async def test_version_and_base_path_are_the_callers() -> None:
    async with RawServer([respond(EMPTY_LIST)]) as server:
        url = f"{server.url}/proxy/"
        async with PhoneNumberClient(TOKEN, base_url=url, api_version="v24.0") as client:
            await client.list_phone_numbers("1234").first_page()
    assert server.requests[0].target.startswith("/proxy/v24.0/1234/phone_numbers?")


async def test_the_token_is_a_bearer_and_the_user_agent_has_the_form_of_metas_specification() -> None:
    async with serving(respond(EMPTY_LIST)) as (server, client):
        await client.list_phone_numbers("1234")
    headers = server.requests[0].headers
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert re.fullmatch(r"[A-Za-z0-9_-]+/\d+\.\d+\.\d+", headers["user-agent"])
    assert headers["accept"] == "application/json"


async def test_a_create_is_one_post_of_json() -> None:
    async with serving(respond('{"id":"7"}')) as (server, client):
        await client.create_phone_number("1234", phone_number="16315551000", verified_name="Acme", cc="1")
    [request] = server.requests
    assert (request.method, request.target) == ("POST", "/v23.0/1234/phone_numbers")
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.body) == {"phone_number": "16315551000", "verified_name": "Acme", "cc": "1"}


# What comes back


@pytest.mark.parametrize(
    "play",
    [
        pytest.param(respond(EMPTY_LIST, headers="Content-Type: text/javascript; charset=UTF-8\r\n"), id="javascript"),
        pytest.param(respond(EMPTY_LIST, headers="Content-Type: application/json; charset=klingon\r\n"), id="charset"),
        pytest.param(raw(b"HTTP/1.0 200 OK\r\n\r\n" + EMPTY_LIST.encode()), id="until the end of the connection"),
        pytest.param(
            raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n" + b'{"dat\r\n6\r\na":[]}\r\n0\r\n\r\n'),
            id="chunked",
        ),
        pytest.param(respond(gzip.compress(EMPTY_LIST.encode()), headers="Content-Encoding: gzip\r\n"), id="gzip"),
        pytest.param(respond(EMPTY_LIST, headers="Set-Cookie: \x01=\x02\r\n"), id="a strange cookie"),
    ],
)
async def test_json_is_read_however_it_is_sent(play: Play) -> None:
    async with serving(play) as (_, client):
        assert await client.list_phone_numbers("1234") == []


CUT = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}")
# On a stack of 8 MB, CPython 3.14 and 3.15 follow some 65,000 levels. From `LARGE_PAGE` on, rows are read one by one.
DEEP = "[" * 80_000


@pytest.mark.parametrize(
    ("play", "expected", "text"),
    [
        pytest.param(hang_up, TransportError, "the server closed the connection", id="closed"),
        pytest.param(reset, TransportError, "Connection reset by peer", id="reset"),
        pytest.param(CUT, TransportError, "the response was cut off", id="cut"),
        pytest.param(raw(b"\0garbage\r\n\r\n"), TransportError, "not valid HTTP", id="garbage"),
        pytest.param(raw(b"HTTP/2 200\r\n\r\n"), TransportError, "not valid HTTP", id="another protocol"),
        pytest.param(respond(headers="X: a\r\n" * 9000), TransportError, "too many headers", id="too many headers"),
        pytest.param(respond(headers=f"X: {'a' * 2**17}\r\n"), TransportError, "longer than 65536 bytes", id="long"),
        pytest.param(
            respond(EMPTY_LIST, headers="Content-Encoding: gzip\r\n"),
            TransportError,
            "the response is encoded as gzip, and is damaged, or the library that decodes it is missing",
            id="no gzip at all",
        ),
        pytest.param(
            respond(zlib.compress(EMPTY_LIST.encode())[:8], headers="Content-Encoding: deflate\r\n"),
            TransportError,
            "encoded as deflate, and is damaged",
            id="deflate that is cut",
        ),
        pytest.param(
            respond(b"\x1f\x9d\x90", headers="Content-Encoding: compress\r\n"),
            DecodeError,
            "not JSON (HTTP 200, encoded as compress, 3 bytes)",
            id="an encoding of the past",
        ),
        pytest.param(respond(""), DecodeError, "is empty", id="empty"),
        pytest.param(respond(status="204 No Content"), DecodeError, "is empty", id="no content"),
        pytest.param(respond(EMPTY_LIST[:-2]), DecodeError, "not JSON", id="cut cleanly"),
        pytest.param(respond("<html></html>"), DecodeError, "not JSON", id="html"),
        pytest.param(respond(b'{"data":["\xff"]}'), DecodeError, "not JSON", id="no utf-8"),
        pytest.param(respond('{"data":[NaN]}'), DecodeError, "not JSON", id="NaN"),
        pytest.param(respond(DEEP), DecodeError, "nested too deep", id="deep and cut"),
        pytest.param(respond(DEEP + "]" * 80_000), DecodeError, "nested too deep", id="deep"),
        pytest.param(respond("[]"), DecodeError, "expected an array @ $.data", id="an array"),
        pytest.param(respond("null"), DecodeError, "expected an array @ $.data", id="null"),
        pytest.param(respond(status="304 Not Modified"), DecodeError, "redirect (HTTP 304)", id="304"),
        pytest.param(respond("<html>", status="502 Bad Gateway"), ServerError, "HTTP 502", id="a proxy's page"),
    ],
)
async def test_any_bad_response_is_an_error_of_ours(play: Play, expected: type[WaPhoneError], text: str) -> None:
    async with serving(play) as (server, client):
        with pytest.raises(WaPhoneError) as caught:
            await client.list_phone_numbers("1234")
    assert type(caught.value) is expected
    assert text in str(caught.value)
    assert server.url not in str(caught.value)
    assert (caught.value.attempts, caught.value.__cause__, caught.value.__context__) == (1, None, None)


async def test_a_page_of_another_server_is_not_retried_and_says_where_it_came_from() -> None:
    page = respond("<html>secret words</html>", headers="Content-Type: text/html; charset=utf-8\r\n")
    async with (
        RawServer([page] * 2) as server,
        PhoneNumberClient(TOKEN, base_url=f"{server.url}/shop/", app_secret="an-app-secret") as client,
    ):
        with pytest.raises(DecodeError) as caught:
            await client.list_phone_numbers("1234")
        host = server.url.removeprefix("http://")
        assert str(caught.value) == (
            f"GET /shop/v23.0/1234/phone_numbers: the response from {host} is not JSON "
            "(HTTP 200, text/html, 25 bytes): check base_url"
        )
        assert (caught.value.attempts, len(server.requests)) == (1, 1)


NESTED = '{"data":[],"x":%s}', '{"error":{"message":"no","error_data":{"x":%s}}}', '{"data":[{"id":"1","x":%s}]}'


@pytest.mark.parametrize("depth", [100, 200, 300, 400, 480, 600, 700, 900, 950, 980, 1000, 2000, 10_000])
@pytest.mark.parametrize("body", NESTED, ids=["a member of the list", "an error", "a member of a row"])
async def test_json_of_any_depth_gives_a_value_or_an_error_of_ours(body: str, depth: int) -> None:
    async with serving(respond(body % ("[" * depth + "]" * depth))) as (_, client):
        with contextlib.suppress(WaPhoneError):
            await client.list_phone_numbers("1234")


async def test_nobody_there() -> None:
    async with RawServer([hang]) as server:
        url = server.url
    async with PhoneNumberClient(TOKEN, base_url=url, retry=ONCE) as client:
        with pytest.raises(TransportError, match=r"cannot connect to 127\.0\.0\.1:") as caught:
            await client.list_phone_numbers("1234")
    assert not caught.value.sent


async def test_a_proxy_that_nobody_runs_is_named() -> None:
    async with RawServer([hang]) as server:
        url = server.url
    async with (
        aiohttp.ClientSession(proxy=url) as http,
        PhoneNumberClient(TOKEN, base_url="https://graph.invalid", session=http, retry=ONCE) as client,
    ):
        with pytest.raises(TransportError, match=r"cannot connect to the proxy 127\.0\.0\.1:") as caught:
            await client.list_phone_numbers("1234")
    assert (caught.value.sent, caught.value.is_permanent) == (False, False)


@pytest.mark.parametrize(
    ("status", "why", "is_permanent"),
    [
        ("302 Found", "check the address of the proxy", True),
        ("400 Bad Request", "check the address of the proxy", True),
        ("403 Forbidden", "it does not allow this host", True),
        ("407 Proxy Authentication Required", "it wants a user name and a password, in its address", True),
        ("408 Request Timeout", "check the address of the proxy", False),
        ("429 Too Many Requests", "check the address of the proxy", False),
        ("502 Bad Gateway", "it cannot reach this host", False),
        ("503 Service Unavailable", "it cannot reach this host now", False),
        ("504 Gateway Timeout", "this host did not respond to it in time", False),
    ],
)
async def test_a_proxy_that_rejects_the_connection_says_why(status: str, why: str, *, is_permanent: bool) -> None:
    async with (
        RawServer([respond("<html>", status=status)]) as proxy,
        aiohttp.ClientSession(proxy=proxy.url) as http,
        PhoneNumberClient(TOKEN, base_url="https://graph.invalid", session=http, retry=QUICK) as client,
    ):
        for call in (client.list_phone_numbers("1234").first_page(), client.request_code("1234")):
            with pytest.raises(TransportError) as caught:
                await call
            said = f"the proxy rejected the connection (HTTP {status[:3]}): {why}"
            assert str(caught.value).partition(": ")[2] == said
            assert (caught.value.sent, caught.value.is_permanent) == (False, is_permanent)
            assert caught.value.attempts == (1 if is_permanent else 5)
        assert {request.method for request in proxy.requests} == {"CONNECT"}


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden", "404 Not Found", "502 Bad Gateway"])
async def test_a_page_of_html_with_an_error_status_says_who_may_have_sent_it(status: str) -> None:
    page = respond("<html>secret words</html>", status=status, headers="Content-Type: text/html\r\n")
    async with serving(page) as (server, client):
        with pytest.raises(GraphAPIError) as caught:
            await client.list_phone_numbers("1234")
        host = server.url.removeprefix("http://")
    assert str(caught.value) == (
        f"GET /v23.0/1234/phone_numbers: the response from {host} is not JSON (text/html, 25 bytes): "
        f"it is a page of HTML from a proxy or another server, so check base_url (HTTP {status[:3]})"
    )


@pytest.mark.parametrize(("is_known", "why"), [(False, "self.signed certificate"), (True, "IP address mismatch")])
async def test_a_bad_certificate_says_what_is_bad_and_is_not_retried(*, is_known: bool, why: str) -> None:
    client_context = ssl.create_default_context(cafile=str(CERTIFICATE) if is_known else None)
    async with (
        port_with_a_bad_certificate() as port,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=client_context)) as http,
        PhoneNumberClient(TOKEN, base_url=f"https://127.0.0.1:{port}", session=http, retry=QUICK) as client,
    ):
        for call in (client.list_phone_numbers("1234").first_page(), client.request_code("1234")):
            with pytest.raises(TransportError) as caught:
                await call
            said = rf"the certificate of 127\.0\.0\.1:{port} is not trusted \({why}.*\)"
            assert re.fullmatch(said, str(caught.value).partition(": ")[2])
            assert (caught.value.sent, caught.value.is_permanent, caught.value.attempts) == (False, True, 1)


async def test_a_server_without_tls_is_a_failed_connection() -> None:
    def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 this is no TLS\r\n")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with PhoneNumberClient(TOKEN, base_url=url, retry=ONCE) as client:
            with pytest.raises(TransportError, match=r"cannot connect to 127\.0\.0\.1:") as caught:
                await client.create_phone_number("1234", phone_number="16315551000", verified_name="Acme")
    assert not caught.value.sent


async def test_closing_breaks_what_is_in_flight() -> None:
    async with serving(hang) as (server, client):
        call = asyncio.create_task(client.list_phone_numbers("1234").collect())
        await server.received.wait()
        await client.aclose()
        with pytest.raises(TransportError, match="no response to GET 1234/phone_numbers"):
            await call


# Time


@pytest.mark.parametrize(
    "limit", [0.05, 1e-9, aiohttp.ClientTimeout(sock_read=0.05), aiohttp.ClientTimeout(total=0.05)], ids=str
)
async def test_a_time_out_is_a_time_out_error_too(limit: float | aiohttp.ClientTimeout) -> None:
    async with serving(hang, timeout=limit) as (_, client):
        with pytest.raises(TimeoutError, match="no response to GET 1234/phone_numbers in time") as caught:
            await client.list_phone_numbers("1234")
    assert isinstance(caught.value, RequestTimeoutError)


async def test_a_time_out_while_the_body_comes() -> None:
    async def half(connection: Connection) -> None:
        await raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", then_close=False)(connection)
        await settle()
        await time_out(connection)

    async with serving(half, timeout=45) as (_, client):
        with pytest.raises(RequestTimeoutError, match=r"\(45 s\)"):
            await client.list_phone_numbers("1234")


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), True, "30", None], ids=repr)
def test_a_time_out_is_checked(timeout: float) -> None:
    with pytest.raises(InvalidArgumentError, match="timeout must be a number of seconds above 0"):
        PhoneNumberClient(TOKEN, timeout=timeout)


@pytest.mark.parametrize(
    ("total", "left", "expected"),
    [(30.0, None, 30.0), (30.0, 10.0, 10.0), (10.0, 30.0, 10.0), (None, 10.0, 10.0), (30.0, -1.0, 0.001)],
)
def test_an_attempt_takes_no_longer_than_the_call_has(total: float | None, left: float | None, expected: float) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:  # whose clock stands still while code runs
        now = runner.get_loop().time()

        async def limit() -> aiohttp.ClientTimeout:
            return _before(None if left is None else now + left, aiohttp.ClientTimeout(total=total, sock_read=5))

        limits = runner.run(limit())
    assert (limits.total, limits.sock_read) == (expected, 5)


# Size


async def test_a_body_of_max_body_is_read_and_one_byte_more_is_not() -> None:
    for size, fits in ((len(EMPTY_LIST), True), (len(EMPTY_LIST) - 1, False)):
        async with serving(respond(EMPTY_LIST), max_body=size) as (_, client):
            if fits:
                assert await client.list_phone_numbers("1234") == []
            else:
                with pytest.raises(DecodeError, match="larger than max_body") as caught:
                    await client.list_phone_numbers("1234")
                assert caught.value.http_status == 200


async def test_a_gzip_bomb_is_given_up_early() -> None:
    bomb = gzip.compress(b" " * 2**24)
    async with serving(respond(bomb, headers="Content-Encoding: gzip\r\n")) as (server, client):
        with pytest.raises(DecodeError, match=r"larger than max_body \(1048576 bytes\)"):
            await client.list_phone_numbers("1234")
        with pytest.raises(DecodeError, match="larger"):  # and its connection is not used again
            await client.list_phone_numbers("1234")
    assert [request.connection for request in server.requests] == [0, 1]


async def test_an_endless_body_is_given_up() -> None:
    async def pour(connection: object) -> None:
        send = connection.send  # type: ignore[attr-defined]  # of the play alone
        await send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await send(b" " * 2**16)

    async with serving(pour) as (_, client):
        with pytest.raises(DecodeError, match="larger than max_body"):
            await client.list_phone_numbers("1234")


@pytest.mark.parametrize("max_body", [0, -1, 1.5, True, None], ids=repr)
def test_max_body_is_checked(max_body: int) -> None:
    with pytest.raises(InvalidArgumentError, match="max_body must be a whole number from 1 up"):
        PhoneNumberClient(TOKEN, max_body=max_body)


USAGE = ",".join(
    f'"{9000 + number}":['
    + ",".join(
        f'{{"type":"{kind}","call_count":1,"total_cputime":25,"total_time":25,"estimated_time_to_regain_access":0}}'
        for kind in ("ads_insights", "ads_management", "custom_audience", "instagram", "leadgen", "messenger", "pages")
    )
    + "]"
    for number in range(32)
)
LONG = f'X-Business-Use-Case-Usage: {{{USAGE},"1234":[{{"type":"whatsapp_business_management","call_count":42}}]}}\r\n'


@pytest.mark.parametrize("is_borrowed", [False, True])
async def test_a_usage_header_of_32_businesses_is_read(*, is_borrowed: bool) -> None:
    assert 2**14 < len(LONG) < 2**16
    plays = [respond(EMPTY_LIST, headers=LONG), respond('{"id":"7"}', headers=LONG)]
    async with RawServer(plays) as server, aiohttp.ClientSession() as http:
        session = http if is_borrowed else None
        async with PhoneNumberClient(TOKEN, base_url=server.url, session=session, retry=ONCE) as client:
            assert await client.list_phone_numbers("1234") == []
            usage = client.last_usage("1234")
            assert usage is not None
            assert usage.waba is not None
            assert usage.waba.calls_percent == 42
            assert (
                await client.create_phone_number("1234", phone_number="16315551000", verified_name="Acme")
            ).id == "7"


@pytest.mark.parametrize("size", [8_190, 8_191, 2**15, 2**16 - 100])
async def test_a_header_of_almost_64_kib_is_read(size: int) -> None:
    async with serving(respond(EMPTY_LIST, headers=f"X-Any: {'a' * size}\r\n")) as (_, client):
        assert await client.list_phone_numbers("1234") == []


async def test_a_header_of_more_than_64_kib_is_an_error_of_ours() -> None:
    async with serving(respond('{"id":"7"}', headers=f"X-Any: {'a' * (2**16 + 1)}\r\n")) as (_, client):
        with pytest.raises(TransportError):
            await client.list_phone_numbers("1234")
        with pytest.raises(OutcomeUnknownError):
            await client.create_phone_number("1234", phone_number="16315551000", verified_name="Acme")


# Redirects


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_a_redirect_is_never_followed(status: str) -> None:
    async with RawServer([respond(EMPTY_LIST)]) as other:
        moved = respond(status=status, headers=f"Location: {other.url}/v23.0/1234/phone_numbers\r\n")
        async with serving(moved) as (server, client):
            with pytest.raises(DecodeError, match=f"redirect \\(HTTP {status[:3]}\\)"):
                await client.list_phone_numbers("1234")
    assert (len(server.requests), other.connections) == (1, 0)


# Connections


async def test_reads_share_a_connection() -> None:
    async with serving(respond(EMPTY_LIST)) as (server, client):
        for _ in range(3):
            await client.list_phone_numbers("1234")
    assert [request.connection for request in server.requests] == [0, 0, 0]


async def test_a_kept_connection_that_died_costs_a_read_nothing() -> None:
    async with serving(respond(EMPTY_LIST), hang_up, respond(EMPTY_LIST)) as (server, client):
        assert await client.list_phone_numbers("1234") == []
        assert await client.list_phone_numbers("1234") == []
    assert [request.connection for request in server.requests] == [0, 0, 1]


async def test_cookies_are_not_kept() -> None:
    async with RawServer([respond(EMPTY_LIST, headers="Set-Cookie: wanted=1\r\n")]) as server:
        url = server.url.replace("127.0.0.1", "localhost")  # of bare addresses aiohttp keeps none anyway
        async with PhoneNumberClient(TOKEN, base_url=url) as client:
            for _ in range(2):
                await client.list_phone_numbers("1234")
    assert [request.headers.get("cookie") for request in server.requests] == [None, None]


# Borrowed sessions


@pytest.mark.parametrize(
    "settings",
    [
        {"raise_for_status": True},
        {"base_url": "http://other.example/api/"},
        {"auto_decompress": False},
        {
            "headers": {
                "Authorization": "Bearer someone-else",
                "Content-Type": "text/plain",
                "Accept": "text/html",
                "User-Agent": "curl/8",
            }
        },
        {"timeout": aiohttp.ClientTimeout(total=0.000001)},
        {"connector_owner": False},
    ],
    ids=lambda settings: next(iter(settings)),
)
async def test_a_borrowed_sessions_own_settings_do_no_harm(settings: dict[str, object]) -> None:
    zipped = "Content-Encoding: gzip\r\n"
    plays = [
        respond(gzip.compress(EMPTY_LIST.encode()), headers=zipped),
        respond(gzip.compress(b'{"id":"7"}'), headers=zipped),
        respond('{"error":{"message":"no such thing","code":803}}', status="404 Not Found"),
    ]
    connector = aiohttp.TCPConnector()
    async with (
        connector,
        aiohttp.ClientSession(connector=connector, **settings) as http,  # type: ignore[arg-type]  # a table of mixed settings
        RawServer(plays) as server,
        PhoneNumberClient(TOKEN, base_url=server.url, session=http) as client,
    ):
        assert await client.list_phone_numbers("1234") == []
        created = await client.create_phone_number("1234", phone_number="16315551000", verified_name="Acme")
        assert created.id == "7"
        with pytest.raises(WaPhoneError, match="no such thing"):
            await client.list_phone_numbers("1234")
        for request in server.requests:
            assert request.headers["authorization"] == f"Bearer {TOKEN}"
            assert request.headers["user-agent"].startswith("wa_phone_async/")
            assert request.headers["accept"] == "application/json"
        assert server.requests[1].headers["content-type"] == "application/json"


async def test_a_borrowed_session_with_auth_is_invalid() -> None:
    with pytest.warns(DeprecationWarning, match="auth"):
        http = aiohttp.ClientSession(auth=aiohttp.BasicAuth("user", "password"))
    async with http:
        with pytest.raises(
            InvalidArgumentError, match=r"^session must be one without auth=: that would replace the access token$"
        ):
            PhoneNumberClient(TOKEN, session=http)


async def test_trace_configs_are_for_our_own_sessions() -> None:
    async with aiohttp.ClientSession() as http:
        with pytest.raises(
            InvalidArgumentError,
            match=r"^trace_configs must be left out where session is given: give them to the session$",
        ):
            PhoneNumberClient(TOKEN, session=http, trace_configs=[aiohttp.TraceConfig()])


def test_what_is_no_session_is_invalid() -> None:
    with pytest.raises(InvalidArgumentError, match=r"must be an aiohttp\.ClientSession or a GraphSession, not str"):
        PhoneNumberClient(TOKEN, session="session")  # type: ignore[arg-type]  # the mistake


async def test_trace_configs_see_reads_and_writes() -> None:
    seen: list[str] = []

    async def note(*args: object) -> None:
        seen.append(str(getattr(args[2], "method", "")))

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(note)
    async with (
        RawServer([respond(EMPTY_LIST), respond('{"id":"7"}')]) as server,
        PhoneNumberClient(TOKEN, base_url=server.url, trace_configs=[trace]) as client,
    ):
        await client.list_phone_numbers("1234")
        await client.create_phone_number("1234", phone_number="16315551000", verified_name="Acme")
    assert seen == ["GET", "POST"]
