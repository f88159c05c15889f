"""What a diagnosis says of each trouble, and that it shows no secret."""

import asyncio
import json
import pickle
import re
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from clients import TOKEN, against, serving
from misbehaving import Play, RawServer, hang, hang_up, raw, respond
from proxies import ConnectProxy, make_identity
from redis_server import COMMAND, RedisServer
from secrecy import everything_logged

from wa_phone_async import (
    AuthenticationError,
    BadRequestError,
    BusinessAccount,
    CallFinished,
    Check,
    Diagnosis,
    Event,
    InvalidArgumentError,
    PhoneNumberClient,
    RetryPolicy,
    Throttle,
    to_dict,
)
from wa_phone_async.sandbox import EMPTY_WABA, LARGE_WABA, SMALL_WABA, Fault, Sandbox
from wa_phone_async.sandbox.modes import ModeName

VERSION = "facebook-api-version: v23.0\r\n"
NEW_TOKEN = "Make a new token: https://business.facebook.com/settings/system-users."
WHERE = "Its id stands at https://business.facebook.com/settings, under Business info."
OF_BUSINESS = f"List those of your business: wa-phone accounts BUSINESS_ID. {WHERE}"
OF_PROXY = "Check the address of the proxy (HTTPS_PROXY), and whether it allows graph.test."
LOCAL = ["versions", "extras"]
OF_HOST = [*LOCAL, "host", "api_version", "clock"]
ALL = [*OF_HOST, "token", "token_expiry", "permissions", "accounts", "usage"]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def of(diagnosis: Diagnosis, name: str) -> Check:
    [check] = [check for check in diagnosis.checks if check.name == name]
    return check


def names(diagnosis: Diagnosis) -> list[str]:
    return [check.name for check in diagnosis.checks]


def not_ok(diagnosis: Diagnosis) -> list[str]:
    return [str(check) for check in diagnosis.checks if check.status != "ok"]


@pytest.mark.parametrize("mode", ["live", "reference"])
async def test_a_good_set_up(mode: ModeName) -> None:
    async with serving(mode) as (sandbox, client):
        diagnosis = await client.diagnose()
        assert names(diagnosis) == ALL
        assert (diagnosis.is_ok, not_ok(diagnosis)) == (True, [])
        assert str(diagnosis).splitlines() == [str(check) for check in diagnosis.checks]
        host = sandbox.url.removeprefix("http://")
        assert [check.finding for check in diagnosis.checks][2:] == [
            f"{host} responds.",
            "The API serves the version v23.0.",
            "The clock of this machine is right.",
            'The token is valid, of the type SYSTEM_USER, of the app "Invented App" (500600700800900).',
            "The token does not expire.",
            "The token has the permission whatsapp_business_management.",
            f"The token names 3 accounts: {LARGE_WABA}, {SMALL_WABA}, {EMPTY_WABA}.",
            f"Used: 0 % of the hourly quota of the account {LARGE_WABA}.",
        ]
        assert [request.path for request in sandbox.requests] == [
            "/v23.0/debug_token",
            "/v23.0/debug_token",
            f"/v23.0/{LARGE_WABA}",
        ]
        assert "Authorization" not in sandbox.requests[0].headers
        assert pickle.loads(pickle.dumps(diagnosis)) == diagnosis
        assert json.loads(json.dumps(to_dict(diagnosis)))["token"]["waba_ids"] == [LARGE_WABA, SMALL_WABA, EMPTY_WABA]


# --- the token

Accept = Callable[[Sandbox], None]


@pytest.mark.parametrize("mode", ["live", "reference"])
@pytest.mark.parametrize(
    ("accept", "line", "later"),
    [
        pytest.param(
            lambda sandbox: sandbox.accept(TOKEN, expires_in=-60),
            r"problem: token: The token has expired\. Meta says: Error validating access token: Session has expired on "
            rf"\w{{3}}, .* GMT\. The current time is .* GMT\. {NEW_TOKEN}",
            [],
            id="expired",
        ),
        pytest.param(
            lambda sandbox: sandbox.revoke(TOKEN),
            r"problem: token: The token is invalid: it has expired or was revoked\. "
            rf"Meta says: Error validating access token: it has expired or was revoked\. {NEW_TOKEN}",
            [],
            id="revoked",
        ),
        pytest.param(
            lambda sandbox: sandbox.accept(TOKEN, scopes=["whatsapp_business_messaging"]),
            r"problem: permissions: The token lacks the permission whatsapp_business_management: it can neither list "
            r"nor change numbers\. Generate a token with it: https://business\.facebook\.com/settings/system-users, "
            r"Generate new token\.",
            ["token_expiry", "permissions"],
            id="a missing permission",
        ),
        pytest.param(
            lambda sandbox: sandbox.accept(TOKEN, waba_ids=()),
            rf"warning: accounts: The token names no accounts\. {OF_BUSINESS}",
            ["token_expiry", "permissions", "accounts", "usage"],
            id="no accounts",
        ),
        pytest.param(
            lambda sandbox: sandbox.accept(TOKEN, may_inspect=False),
            r"warning: token: The API accepts the token, but does not say what it may do: \(#100\) You must provide an "
            r"app access token, or a user access token that is an owner or developer of the app\. "
            r"See its permissions at https://developers\.facebook\.com/tools/debug/accesstoken/\.\n"
            rf"warning: accounts: Meta does not say which accounts the token names\. {OF_BUSINESS}",
            ["accounts", "usage"],
            id="no inspection",
        ),
        pytest.param(
            lambda sandbox: sandbox.accept(TOKEN, waba_ids=["77"]),
            r"problem: accounts: The token names 1 account: 77\. The account 77 cannot be read: .*\. "
            r"Check the id, and assign the account to the system user or person of the token\.",
            ["token_expiry", "permissions", "accounts", "usage"],
            id="an account that is not there",
        ),
        pytest.param(
            lambda sandbox: sandbox.accept(TOKEN, expires_in=90_000),
            r"warning: token_expiry: The token expires in 1 day, on \d{4}-\d\d-\d\d\. Make a new token in time: "
            r"https://business\.facebook\.com/settings/system-users\. That of a system user can stay valid\.",
            ["token_expiry", "permissions", "accounts", "usage"],
            id="soon expired",
        ),
    ],
)
async def test_what_is_wrong_with_the_token(mode: ModeName, accept: Accept, line: str, later: list[str]) -> None:
    async with serving(mode) as (sandbox, client):
        accept(sandbox)
        diagnosis = await client.diagnose()
    text = "\n".join(not_ok(diagnosis))
    assert re.fullmatch(line, text), text
    assert names(diagnosis) == [*OF_HOST, "token", *later]
    assert diagnosis.is_ok == ("problem" not in line)


async def test_a_missing_permission_that_only_businesses_need_is_no_warning() -> None:
    async with serving() as (sandbox, client):
        sandbox.accept(TOKEN, scopes=["whatsapp_business_management"])
        diagnosis = await client.diagnose()
    assert not_ok(diagnosis) == []
    assert of(diagnosis, "permissions").finding == (
        "The token has the permission whatsapp_business_management. It lacks business_management, which only the list "
        "of the accounts that a business owns needs."
    )


async def test_an_account_that_is_given_is_read_with_its_own_token() -> None:
    asked = list[str]()

    def provide(node_id: str, _: str | None) -> str:
        asked.append(node_id)
        return TOKEN

    async with serving(access_token=provide) as (sandbox, client):
        sandbox.accept(TOKEN, waba_ids=())
        sandbox.spend(SMALL_WABA, 4000)
        diagnosis = await client.diagnose(waba_id=int(SMALL_WABA))
    assert set(asked) == {SMALL_WABA}
    assert of(diagnosis, "accounts").finding == f"The token can read the account {SMALL_WABA}."
    assert str(of(diagnosis, "usage")) == (
        f"warning: usage: Used: 80 % of the hourly quota of the account {SMALL_WABA}. Make fewer calls for an hour."
    )


async def test_the_usage_of_the_app_and_of_a_full_account() -> None:
    async with Sandbox(app_quota=100, quota=1) as sandbox:
        sandbox.spend(LARGE_WABA, 2)
        async with PhoneNumberClient(TOKEN, base_url=sandbox.url) as client:
            diagnosis = await client.diagnose()
    assert str(of(diagnosis, "usage")) == (
        f"problem: usage: Used: 300 % of the hourly quota of the account {LARGE_WABA} and 4 % of the hourly quota of "
        "the app. Wait 1 hour: until then calls are rejected."
    )
    assert of(diagnosis, "accounts").status == "warning"  # nobody knows whether it can be read
    assert of(diagnosis, "accounts").remedy == "Try again later."


@pytest.mark.parametrize(
    ("secret", "finding"),
    [
        (None, "The app accepts no token without a proof of its secret."),
        ("wrong", "The app secret is not that of the token's app."),
        ("right", 'The token is valid, of the type SYSTEM_USER, of the app "Invented App" (500600700800900).'),
    ],
)
async def test_the_app_secret(secret: str | None, finding: str) -> None:
    async with (
        Sandbox(app_secret="right") as sandbox,
        PhoneNumberClient(TOKEN, base_url=sandbox.url, app_secret=secret) as client,
    ):
        diagnosis = await client.diagnose()
    check = of(diagnosis, "token")
    assert check.finding == finding
    assert (check.remedy is None) == diagnosis.is_ok == (secret == "right")


async def test_a_provider_without_a_token_leaves_the_host() -> None:
    def provide(*_: object) -> str:
        return ""

    async with serving(access_token=provide) as (_, client):
        diagnosis = await client.diagnose()
    [line] = not_ok(diagnosis)
    assert line == (
        "problem: token: There is no token to send: access_token() must be a string that is not empty: give the one "
        "that Meta issued. Set WA_ACCESS_TOKEN, or fix your provider."
    )
    assert names(diagnosis) == [*OF_HOST, "token"]


@pytest.mark.parametrize("fault", [Fault.error(2, headers={"Retry-After": "9"}), Fault.error(4), Fault.html()])
async def test_trouble_of_the_api_says_nothing_of_the_token(fault: Fault) -> None:
    async with serving(retry=RetryPolicy(max_attempts=1)) as (sandbox, client):
        sandbox.plan(Fault.delay(0), times=1)
        sandbox.plan(fault)
        diagnosis = await client.diagnose()
    check = of(diagnosis, "token")
    assert check.status == "warning"
    assert check.finding.startswith("The token could not be checked: ")
    assert (check.remedy, names(diagnosis)[-1]) == ("Try again later.", "token")


async def test_a_token_that_may_not_be_inspected_and_is_no_good() -> None:
    async with serving() as (sandbox, client):
        sandbox.accept(TOKEN, may_inspect=False)
        sandbox.plan(Fault.delay(0), times=2)
        sandbox.plan(Fault.error(190, "No"))
        diagnosis = await client.diagnose()
    assert str(of(diagnosis, "token")) == (
        f"problem: token: The API does not accept the token. Meta says: No. {NEW_TOKEN}"
    )


# --- the way to the API


def ok(**headers: str) -> Play:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return respond('{"error":{"code":104}}', status="400 Bad Request", headers=f"{VERSION}{lines}")


async def host_of(**settings: Any) -> tuple[Diagnosis, str]:
    async with PhoneNumberClient(TOKEN, **settings) as client:
        diagnosis = await client.diagnose()
    assert not diagnosis.is_ok
    assert names(diagnosis) == [*LOCAL, "host"], "nothing may be said of the token"
    return diagnosis, str(diagnosis.checks[-1])


async def test_a_host_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    line = (await host_of(base_url="http://127.0.0.1:9"))[1]
    assert line.startswith("problem: host: 127.0.0.1:9 cannot be reached: cannot connect to 127.0.0.1:9 (")
    assert line.endswith("). Check the network: a firewall must let connections to 127.0.0.1:9 through.")
    monkeypatch.setenv("HTTP_PROXY", "http://user:canary@127.0.0.1:1")
    line = (await host_of(base_url="http://127.0.0.1:9"))[1]
    assert line.endswith(" HTTP_PROXY names a proxy that this client does not use: pass trust_env=True.")


async def test_a_name_that_is_not_known() -> None:
    line = (await host_of(base_url="https://graph.invalid"))[1]
    assert line.startswith("problem: host: graph.invalid cannot be reached: cannot connect to graph.invalid:443 (")
    assert line.endswith("). Check the network, and the name graph.invalid in base_url (WA_BASE_URL).")


async def test_a_certificate_that_is_not_trusted(tmp_path: Path) -> None:
    identity = make_identity(tmp_path, "graph.test")
    async with RawServer([ok()], tls=identity.server()) as server, ConnectProxy(server.port) as proxy:
        line = (await host_of(base_url="https://graph.test", proxy=f"http://{proxy.address}"))[1]
    assert line.startswith(
        f"problem: host: graph.test cannot be reached through the proxy http://{proxy.address}: the certificate of "
        "graph.test:443 is not trusted ("
    )
    assert line.endswith(
        "Check the clock of this machine and its trusted certificates. If a firewall replaces certificates, name the "
        "file with its own in SSL_CERT_FILE."
    )


async def test_a_certificate_that_is_trusted(tmp_path: Path) -> None:
    identity = make_identity(tmp_path, "graph.test")
    async with (
        RawServer([ok()], tls=identity.server()) as server,
        ConnectProxy(server.port) as proxy,
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=identity.client()), proxy=f"http://{proxy.address}"
        ) as http,
        PhoneNumberClient(TOKEN, base_url="https://graph.test", session=http) as client,
    ):
        diagnosis = await client.diagnose()
    assert str(of(diagnosis, "host")) == "ok: host: graph.test responds, and its certificate is trusted."


@pytest.mark.parametrize(
    ("status", "reason", "remedy"),
    [
        (
            "403 Forbidden",
            "the proxy rejected the connection (HTTP 403): it does not allow this host",
            f"{OF_PROXY} NO_PROXY names exceptions.",
        ),
        (
            "407 Proxy Authentication Required",
            "the proxy rejected the connection (HTTP 407): it wants a user name and a password, in its address",
            "Put them into the address of the proxy: http://user:password@proxy.example:3128.",
        ),
    ],
)
async def test_a_proxy_that_rejects_the_connection(status: str, reason: str, remedy: str) -> None:
    async with RawServer([raw(f"HTTP/1.1 {status}\r\n\r\n".encode())]) as proxy:
        address = proxy.url.replace("//", "//user:canary@")
        line = (await host_of(base_url="https://graph.test", proxy=address))[1]
    assert line == f"problem: host: graph.test cannot be reached through the proxy {proxy.url}: {reason}. {remedy}"


async def test_a_proxy_that_is_not_there() -> None:
    line = (await host_of(base_url="https://graph.test", proxy="http://user:canary@127.0.0.1:9"))[1]
    assert "cannot be reached through the proxy http://127.0.0.1:9: cannot connect to the proxy 127.0.0.1:9 (" in line
    assert "canary" not in line
    assert line.endswith("whether it allows graph.test. NO_PROXY names exceptions.")


async def test_a_proxy_of_plain_http_that_wants_a_password() -> None:
    async with RawServer([respond("<html>", status="407 Proxy Authentication Required")]) as proxy:
        line = (await host_of(base_url="http://graph.test", proxy=proxy.url))[1]
    assert line == (
        f"problem: host: graph.test cannot be reached through the proxy {proxy.url}: the proxy wants a user name and a "
        "password. Put them into the address of the proxy: http://user:password@proxy.example:3128."
    )


@pytest.mark.parametrize("body", ["<html>", "[]", '{"error":"x"}', '{"error":{"code":"x"}}'])
async def test_another_server(body: str) -> None:
    async with RawServer([respond(body)]) as server:
        line = (await host_of(base_url=server.url))[1]
    assert line == (
        f"problem: host: {server.url.removeprefix('http://')} responds with HTTP 200, but not as the Graph API does. "
        "Check base_url (WA_BASE_URL): a proxy or another server may have responded."
    )


async def test_a_host_that_hangs_up_or_does_not_respond() -> None:
    async with RawServer([hang_up]) as server:
        line = (await host_of(base_url=server.url))[1]
    assert line.endswith("the server closed the connection. Check base_url (WA_BASE_URL), and try again.")
    async with RawServer([hang]) as server, PhoneNumberClient(TOKEN, base_url=server.url) as client:
        started = time.monotonic()
        diagnosis = await client.diagnose(total_timeout=0.05)
        assert time.monotonic() - started < 5
    host = server.url.removeprefix("http://")
    assert diagnosis.checks[-1].finding == f"{host} does not respond in time."
    assert diagnosis.checks[-1].remedy == f"Check the network: a firewall must let connections to {host} through."


async def test_a_borrowed_session_that_cannot_send() -> None:
    trace = aiohttp.TraceConfig()

    async def fail(*_: object) -> None:
        raise LookupError

    trace.on_request_start.append(fail)
    async with aiohttp.ClientSession(trace_configs=[trace]) as http:
        line = (await host_of(base_url="http://127.0.0.1:9", session=http))[1]
    assert "aiohttp raised LookupError. Check its proxy, middlewares and trace_configs." in line


@pytest.mark.parametrize(
    ("seconds", "finding"),
    [
        (-7_300, "The clock of this machine is 2 hours ahead of that of the API."),
        (100, "The clock of this machine is 1 minute behind that of the API."),
        (864_030, "The clock of this machine is 10 days behind that of the API."),
    ],
)
async def test_a_wrong_clock(seconds: float, finding: str) -> None:
    async with against(ok(Date=formatdate(time.time() + seconds, usegmt=True)), hang_up) as (_, client):
        diagnosis = await client.diagnose()
    assert str(of(diagnosis, "clock")) == (
        f"warning: clock: {finding} Set it, best by NTP: certificates, times of expiry and your logs depend on it."
    )


@pytest.mark.parametrize("headers", [{}, {"Date": "today"}])
async def test_a_clock_that_nobody_knows_has_no_check(headers: dict[str, str]) -> None:
    async with against(ok(**headers), hang_up) as (_, client):
        assert names(await client.diagnose()) == [*LOCAL, "host", "api_version", "token"]


async def test_an_old_version_and_none() -> None:
    async with serving(api_version="v19.0") as (_, client):
        diagnosis = await client.diagnose()
    assert str(of(diagnosis, "api_version")) == (
        "warning: api_version: The version v19.0 was requested, and the API serves v21.0. "
        "Set api_version (WA_API_VERSION) to a version that Meta supports, such as v21.0."
    )
    plain = respond('{"error":{"code":104}}', status="400 Bad Request", headers="Date: 0\r\n")
    async with against(plain, hang_up) as (_, client):
        assert names(await client.diagnose()) == [*LOCAL, "host", "token"]


async def test_what_is_installed_is_named() -> None:
    async with serving() as (_, client):
        diagnosis = await client.diagnose()
    assert of(diagnosis, "versions").finding.startswith("wa_phone_async ")
    assert f"aiohttp {aiohttp.__version__}" in of(diagnosis, "versions").finding
    assert "xtras: " in of(diagnosis, "extras").finding


# --- arguments, and a client that is closed


async def test_arguments_are_checked_and_a_closed_client_is_an_error() -> None:
    async with serving() as (_, client):
        with pytest.raises(InvalidArgumentError, match="total_timeout"):
            await client.diagnose(total_timeout=0)
        with pytest.raises(InvalidArgumentError, match="waba_id"):
            await client.diagnose(waba_id="x")
        with pytest.raises(InvalidArgumentError, match="total_timeout"):
            await client.session.inspect_token(total_timeout=0)
        with pytest.raises(InvalidArgumentError, match="waba_id"):
            await client.list_token_accounts(waba_id="x")
    with pytest.raises(RuntimeError, match="this client is closed"):
        await client.diagnose()


# --- the accounts of a token


async def test_the_accounts_of_a_token_have_their_names() -> None:
    async with serving() as (sandbox, client):
        sandbox.accept(TOKEN, waba_ids=[SMALL_WABA, "77", LARGE_WABA])
        assert await client.list_token_accounts() == [
            BusinessAccount(SMALL_WABA, "Café Bakery 1"),
            BusinessAccount("77"),
            BusinessAccount(LARGE_WABA, "Corner Bakery 2"),
        ]
        sandbox.accept(TOKEN, waba_ids=())
        assert await client.list_token_accounts() == []
        sandbox.accept(TOKEN, may_inspect=False)
        with pytest.raises(BadRequestError, match="must provide an app access token"):
            await client.list_token_accounts()


async def test_an_error_that_is_of_no_account_ends_the_list_and_its_calls() -> None:
    async with serving() as (sandbox, client):
        sandbox.plan(Fault.error(190), node=SMALL_WABA)
        sandbox.plan(Fault.delay(600), node=EMPTY_WABA)
        with pytest.raises(AuthenticationError):
            await client.list_token_accounts()
        assert [task for task in asyncio.all_tasks() if "map_bounded" in repr(task)] == []


# --- secrets


async def test_the_token_is_in_the_url_and_nowhere_else(caplog: pytest.LogCaptureFixture) -> None:
    token = "EAAcanary+/0Zk9=="
    events = list[Event]()
    caplog.set_level(1)
    caplog.set_level(1, "asyncio")
    for tokens in (None, ["another"]):
        async with (
            Sandbox(tokens=tokens) as sandbox,
            PhoneNumberClient(
                token, base_url=sandbox.url, on_event=events.append, app_secret="canary-secret"
            ) as client,
        ):
            asyncio.get_running_loop().set_debug(True)
            diagnosis = await client.diagnose()
            asyncio.get_running_loop().set_debug(False)
            requests = list(sandbox.requests)
        assert [request.query.get("input_token") for request in requests[:2]] == [None, token]
        texts = [
            repr(diagnosis),
            str(diagnosis),
            pickle.dumps(diagnosis).decode("latin-1"),
            repr(requests),
            repr(client),
        ]
        assert [text for text in (*texts, repr(events), *everything_logged(caplog)) if "canary" in text] == []
    assert "Malformed access token [hidden]" in str(diagnosis)
    assert {event.path for event in events if isinstance(event, CallFinished)} == {"debug_token", LARGE_WABA}


async def test_a_response_that_echoes_the_token_shows_none() -> None:
    token = "EAAcanary+/0Zk9=="
    data = {"is_valid": False, "error": {"message": f"no {token}."}, "application": token, "scopes": [token]}
    info = respond(json.dumps({"data": data}))
    async with RawServer([ok(), info]) as server, PhoneNumberClient(token, base_url=server.url) as client:
        diagnosis = await client.diagnose()
    assert str(of(diagnosis, "token")) == (f"problem: token: The token is invalid. Meta says: no [hidden]. {NEW_TOKEN}")
    assert "canary" not in repr(diagnosis)


# --- Redis


class Pinged(Throttle):
    """A limiter with a store that may be away."""

    def __init__(self, reason: str | None) -> None:
        super().__init__()
        self.reason = reason

    async def ping(self, seconds: float) -> str | None:
        assert 0 < seconds <= 2
        return self.reason


async def test_a_limiter_with_a_store_is_pinged() -> None:
    async with serving(throttle=Pinged(None)) as (_, client):
        assert str(of(await client.diagnose(), "redis")) == "ok: redis: Redis responds."
    async with PhoneNumberClient(TOKEN, base_url="http://127.0.0.1:9", throttle=Pinged("it is slow")) as client:
        diagnosis = await client.diagnose()
    assert names(diagnosis) == [*LOCAL, "host", "redis"]
    assert str(of(diagnosis, "redis")) == (
        "problem: redis: Redis does not respond (it is slow): each process keeps quotas of its own. "
        "Start Redis, or check its address."
    )


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (None, "there is no connection"),
        (b"-NOAUTH Authentication required.\r\n", "it rejects the password"),
        (b"-NOPERM this user has no permissions\r\n", "its user may not do this"),
        (b"-WRONGPASS invalid\r\n", "it rejects the password"),
        (b"-LOADING Redis is loading\r\n", "BusyLoadingError"),
        (b"", "no response within 0.2 s"),
        (b"+HELLO\r\n", "AttributeError"),
    ],
)
async def test_why_redis_does_not_respond(reply: bytes | None, reason: str) -> None:
    pytest.importorskip("redis", reason="the extra `redis` is not installed")
    from wa_phone_async.ratelimit.redis import RedisThrottle  # noqa: PLC0415 - an optional package

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            for _ in range(data.count(b"*")):
                writer.write(reply or b"")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1] if reply is not None else 9
        assert await RedisThrottle(f"redis://:canary@127.0.0.1:{port}/0", app_id="1").ping(0.2) == reason


@pytest.mark.skipif(COMMAND is None, reason="there is no redis-server")
async def test_a_redis_that_responds(tmp_path: Path) -> None:
    pytest.importorskip("redis", reason="the extra `redis` is not installed")
    from wa_phone_async.ratelimit.redis import RedisThrottle  # noqa: PLC0415 - an optional package

    redis = RedisServer(tmp_path)
    redis.start()
    try:
        assert await RedisThrottle(redis.url, app_id="1").ping() is None
    finally:
        redis.kill()
