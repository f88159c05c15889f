"""Calls through proxies, with the environment and its netrc, and with sessions that raise what is not ours."""

import asyncio
import base64
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from clients import TOKEN, against
from misbehaving import RawServer, hang, respond
from proxies import ConnectProxy, Identity, make_identity

from wa_phone_async import (
    META_DEFAULT,
    InvalidArgumentError,
    OutcomeUnknownError,
    PhoneNumberClient,
    RequestTimeoutError,
    RetryPolicy,
    TransportError,
)

EMPTY_LIST = '{"data":[]}'
ROW = respond('{"data":[{"id":"7"}]}')
CREATED = respond('{"id":"7"}')
ONCE = RetryPolicy(max_attempts=1)
TWICE = RetryPolicy(max_attempts=2, first_wait=0.001)
NUMBER: dict[str, Any] = {"phone_number": "16315551000", "verified_name": "Acme"}
BASIC = f"Basic {base64.b64encode(b'user:pa:ss').decode()}"


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home without netrc, and an environment without proxies."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy") or name == "NETRC"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return make_identity(tmp_path_factory.mktemp("tls"), "graph.test")


# Plain http


@pytest.mark.parametrize("source", ["proxy=", "trust_env="])
async def test_a_proxy_gets_each_request_to_an_http_address(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with RawServer([respond(EMPTY_LIST), CREATED]) as proxy:
        url = proxy.url.replace("//", "//user:pa%3Ass@")
        monkeypatch.setenv("HTTP_PROXY", url)
        how: dict[str, Any] = {"proxy": url} if source == "proxy=" else {"trust_env": True}
        async with PhoneNumberClient(TOKEN, base_url="http://graph.test/a", **how) as client:
            assert await client.list_phone_numbers("1234", fields=META_DEFAULT, limit=5) == []
            assert (await client.create_phone_number("1234", **NUMBER)).id == "7"
    assert [request.target for request in proxy.requests] == [
        "http://graph.test/a/v23.0/1234/phone_numbers?limit=5",
        "http://graph.test/a/v23.0/1234/phone_numbers",
    ]
    for request in proxy.requests:
        assert (request.headers["host"], request.headers["proxy-authorization"]) == ("graph.test", BASIC)
        assert request.headers["authorization"] == f"Bearer {TOKEN}"


async def test_a_proxy_without_a_user_gets_no_credentials() -> None:
    async with (
        RawServer([respond(EMPTY_LIST)]) as proxy,
        PhoneNumberClient(TOKEN, base_url="http://graph.test", proxy=proxy.url) as client,
    ):
        await client.list_phone_numbers("1234")
    assert "proxy-authorization" not in proxy.requests[0].headers


async def test_the_environment_names_no_proxy_unless_it_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with RawServer([respond(EMPTY_LIST)]) as server:
        for trust_env in (False, True):  # and it names none for this machine
            async with PhoneNumberClient(TOKEN, base_url=server.url, trust_env=trust_env, retry=ONCE) as client:
                assert await client.list_phone_numbers("1234") == []


# A tunnel


async def test_a_tunnel_leads_to_the_host_and_the_host_sees_no_credentials(identity: Identity) -> None:
    async with (
        RawServer([respond(EMPTY_LIST), CREATED], tls=identity.server()) as server,
        ConnectProxy(server.port) as proxy,
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=identity.client()), proxy=f"http://user:pass@{proxy.address}"
        ) as http,
        PhoneNumberClient(TOKEN, base_url="https://graph.test", session=http, retry=ONCE) as client,
    ):
        assert await client.list_phone_numbers("1234") == []
        assert (await client.create_phone_number("1234", **NUMBER)).id == "7"
    assert {(request.method, request.target) for request in proxy.requests} == {("CONNECT", "graph.test:443")}
    for request in server.requests:
        assert request.headers["authorization"] == f"Bearer {TOKEN}"
        assert "proxy-authorization" not in request.headers


@pytest.mark.parametrize("source", ["proxy=", "trust_env="])
async def test_our_own_session_makes_a_tunnel_with_credentials_and_trusts_no_stranger(
    source: str, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with RawServer([ROW], tls=identity.server()) as server, ConnectProxy(server.port) as proxy:
        url = f"http://user:pa%3Ass@{proxy.address}"
        monkeypatch.setenv("https_proxy", url)
        how: dict[str, Any] = {"proxy": url} if source == "proxy=" else {"trust_env": True}
        async with PhoneNumberClient(TOKEN, base_url="https://graph.test", retry=ONCE, **how) as client:
            with pytest.raises(TransportError, match=r"graph\.test:443") as caught:
                await client.list_phone_numbers("1234")
            with pytest.raises(TransportError, match=r"graph\.test:443") as caught:
                await client.create_phone_number("1234", **NUMBER)
            assert not caught.value.sent
    for request in proxy.requests:
        assert request.headers["proxy-authorization"] == BASIC
        assert "authorization" not in request.headers
    assert server.requests == []


@pytest.mark.parametrize("host", ["other.test", "127.0.0.1"])
async def test_a_certificate_of_another_host_is_an_error_of_ours(host: str, identity: Identity) -> None:
    async with (
        RawServer([ROW], tls=identity.server()) as server,
        ConnectProxy(server.port) as proxy,
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=identity.client()), proxy=f"http://{proxy.address}"
        ) as http,
        PhoneNumberClient(TOKEN, base_url=f"https://{host}", session=http, retry=ONCE) as client,
    ):
        with pytest.raises(TransportError, match=host):
            await client.list_phone_numbers("1234")
        with pytest.raises(TransportError) as caught:
            await client.create_phone_number("1234", **NUMBER)
        assert not caught.value.sent
        assert server.requests == []


async def test_a_certificate_with_another_fingerprint_is_an_error_of_ours(identity: Identity) -> None:
    async with (
        RawServer([ROW], tls=identity.server()) as server,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=aiohttp.Fingerprint(bytes(32)))) as http,
        PhoneNumberClient(TOKEN, base_url=server.url, session=http, retry=ONCE) as client,
    ):
        with pytest.raises(TransportError):
            await client.list_phone_numbers("1234")


@pytest.mark.parametrize(
    "status", ["407 Proxy Authentication Required", "403 Forbidden", "502 Bad Gateway", "302 Found"]
)
async def test_a_proxy_that_rejects_a_tunnel_is_an_error_of_ours(status: str) -> None:
    rejection = respond("<html>", status=status, headers="Location: http://elsewhere.test/\r\n", then_close=True)
    async with (
        RawServer([rejection]) as proxy,
        PhoneNumberClient(TOKEN, base_url="https://graph.test", proxy=proxy.url, retry=TWICE) as client,
    ):
        for call in (client.list_phone_numbers("1234").collect(), client.create_phone_number("1234", **NUMBER)):
            with pytest.raises(TransportError, match=r"^no response to (GET|POST) 1234/phone_numbers: ") as caught:
                await call
            assert type(caught.value) is TransportError
        assert not caught.value.sent


async def test_a_proxy_that_hangs_is_a_time_out_and_nothing_was_sent() -> None:
    async with (
        RawServer([hang]) as proxy,
        PhoneNumberClient(TOKEN, base_url="https://graph.test", proxy=proxy.url, retry=TWICE, timeout=0.1) as client,
    ):
        with pytest.raises(RequestTimeoutError):
            await client.list_phone_numbers("1234")
        with pytest.raises(RequestTimeoutError) as caught:
            await client.create_phone_number("1234", **NUMBER)
    assert (caught.value.sent, caught.value.attempts) == (False, 2)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_is_not_there_is_an_error_of_ours(scheme: str) -> None:
    async with RawServer([hang]) as proxy:
        url = proxy.url.replace("http", scheme)
    async with PhoneNumberClient(TOKEN, base_url="https://graph.test", proxy=url, retry=ONCE) as client:
        with pytest.raises(TransportError, match=url.rpartition("/")[2]) as caught:
            await client.create_phone_number("1234", **NUMBER)
    assert not caught.value.sent


# A process


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
async def test_the_command_line_goes_through_the_proxy_of_the_environment(variable: str, identity: Identity) -> None:
    pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")
    async with RawServer([ROW], tls=identity.server()) as server, ConnectProxy(server.port) as proxy:
        environment = {
            **os.environ,
            variable: f"user:pa%3Ass@{proxy.address}",
            "SSL_CERT_FILE": str(identity.file),
            "WA_ACCESS_TOKEN": TOKEN,
            "WA_BASE_URL": "https://graph.test",
        }
        command = (sys.executable, "-m", "wa_phone_async", "list", "1234", "--format", "jsonl", "--fields", "id")
        process = await asyncio.create_subprocess_exec(
            *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, err = await process.communicate()
        assert (process.returncode, err) == (0, b"")
    assert b'"id": "7"' in out
    assert proxy.requests[0].headers["proxy-authorization"] == BASIC


# netrc, and other surprises of the environment


@asynccontextmanager
async def trusting() -> AsyncIterator[tuple[RawServer, PhoneNumberClient]]:
    """A server, and a client with a borrowed session that trusts the environment."""
    async with (
        RawServer([respond(EMPTY_LIST)]) as server,
        aiohttp.ClientSession(trust_env=True) as http,
        PhoneNumberClient(TOKEN, base_url=server.url, session=http, retry=TWICE) as client,
    ):
        yield server, client


ENTRIES = ["machine 127.0.0.1 login user password canary", "default login user password canary"]


@pytest.mark.parametrize("entry", ENTRIES)
async def test_a_netrc_entry_is_the_error_of_each_call_of_a_borrowed_session(entry: str, home: Path) -> None:
    (home / ".netrc").write_text(entry)
    async with trusting() as (server, client):
        with pytest.raises(InvalidArgumentError) as caught:
            await client.list_phone_numbers("1234")
        assert str(caught.value) == (
            "session must be able to send to 127.0.0.1: aiohttp raised ValueError. With "
            "trust_env=True it reads netrc and the proxy variables: remove the netrc entry of 127.0.0.1, and check "
            "HTTPS_PROXY"
        )
        assert (caught.value.attempts, caught.value.__cause__, caught.value.__context__) == (1, None, None)
        with pytest.raises(InvalidArgumentError, match="session must be able to send"):
            await client.create_phone_number("1234", **NUMBER)
        listings = await client.list_many(["1", "2", "3"])
        errors = {listing.waba_id: type(listing.error) for listing in listings}
        assert errors == dict.fromkeys(["1", "2", "3"], InvalidArgumentError)
        assert server.connections == 0


@pytest.mark.parametrize("entry", [*ENTRIES, "machine machine machine", "\udcff"], ids=ascii)
async def test_our_own_sessions_read_no_netrc(entry: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / ".netrc").write_text(entry, errors="surrogateescape")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with against(respond(EMPTY_LIST), trust_env=True) as (server, client):
        assert await client.list_phone_numbers("1234") == []
    assert server.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    "proxy",
    [
        "http://[::1",
        "proxy.example:3128",
        "http://user:\N{EURO SIGN}@127.0.0.1:1",
        "http://us%3Aer:word@127.0.0.1:1",
        "http://proxy..example",
        "socks5://127.0.0.1",
        "http://127.0.0.1:99999",
        "http://",
    ],
)
@pytest.mark.parametrize("source", ["environment", "session"])
async def test_an_unusable_proxy_of_a_borrowed_session_is_an_error_of_ours(
    proxy: str, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    how: dict[str, Any] = {"trust_env": True} if source == "environment" else {"proxy": proxy}
    async with (
        aiohttp.ClientSession(**how) as http,
        PhoneNumberClient(TOKEN, base_url="http://graph.test", session=http, retry=ONCE) as client,
    ):
        [listing] = await client.list_many(["1"])
        assert isinstance(listing.error, InvalidArgumentError | TransportError)
        assert "word" not in str(listing.error)
        with pytest.raises((InvalidArgumentError, TransportError)) as caught:
            await client.create_phone_number("1", **NUMBER)
        assert not getattr(caught.value, "sent", False)


async def test_an_error_of_a_middleware_is_that_of_its_call_and_nothing_was_sent() -> None:
    async def fail(_: aiohttp.ClientRequest, __: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        raise ZeroDivisionError

    async with (
        RawServer([CREATED]) as server,
        aiohttp.ClientSession(middlewares=[fail]) as http,
        PhoneNumberClient(TOKEN, base_url=server.url, session=http, retry=TWICE) as client,
    ):
        with pytest.raises(InvalidArgumentError) as caught:
            await client.create_phone_number("1234", **NUMBER)
    assert str(caught.value) == (
        "session must be able to send to 127.0.0.1: aiohttp raised ZeroDivisionError. "
        "Check its proxy, middlewares and trace_configs"
    )
    assert (caught.value.attempts, server.connections) == (1, 0)


@pytest.mark.parametrize("is_borrowed", [False, True])
async def test_an_error_after_a_create_was_sent_leaves_its_outcome_unknown(*, is_borrowed: bool) -> None:
    async def fail(*_: object) -> None:
        raise ZeroDivisionError

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(fail)
    async with RawServer([CREATED]) as server, aiohttp.ClientSession(trace_configs=[trace]) as http:
        how: dict[str, Any] = {"session": http} if is_borrowed else {"trace_configs": [trace]}
        async with PhoneNumberClient(TOKEN, base_url=server.url, retry=TWICE, **how) as client:
            with pytest.raises(OutcomeUnknownError):
                await client.create_phone_number("1234", **NUMBER)
            with pytest.raises((TransportError, InvalidArgumentError), match="ZeroDivisionError"):
                await client.list_phone_numbers("1234")
    assert [request.method for request in server.requests].count("POST") == 1


async def test_an_error_of_our_own_trace_before_a_create_is_a_transport_error() -> None:
    async def fail(*_: object) -> None:
        raise ZeroDivisionError

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(fail)
    async with against(CREATED, retry=TWICE, trace_configs=[trace]) as (server, client):
        with pytest.raises(
            TransportError, match=r"^no response to POST 1234/phone_numbers: ZeroDivisionError$"
        ) as caught:
            await client.create_phone_number("1234", **NUMBER)
    assert (caught.value.sent, server.connections) == (False, 0)


# Settings of sessions


@pytest.mark.parametrize("setting", [{"proxy": "http://proxy.example"}, {"trust_env": True}], ids=str)
async def test_a_borrowed_session_has_its_own_proxy(setting: dict[str, Any]) -> None:
    [name] = setting
    async with aiohttp.ClientSession() as http:
        with pytest.raises(InvalidArgumentError) as caught:
            PhoneNumberClient(TOKEN, session=http, **setting)
    assert str(caught.value) == f"{name} must be left out where session is given: give it to the session"
