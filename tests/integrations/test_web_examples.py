"""The example services, started as their first lines say, with the sandbox as their API and hundreds of callers."""

import asyncio
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from scripts import EXAMPLES, load_example

from wa_phone_async import (
    AuthenticationError,
    BadRequestError,
    DecodeError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    StaleListingError,
    TransportError,
    WaPhoneError,
    WebhookSignatureError,
)
from wa_phone_async.sandbox import Fault, Sandbox

pytestmark = pytest.mark.unmeasured  # processes, and hundreds of connections

TOKEN, APP_SECRET, VERIFY_TOKEN = SECRETS = ("a-secret-token", "an-app-secret", "a-verify-token")
PATHS = ("phone_numbers", "phone_numbers.jsonl", "phone_numbers/cached")
GRACE = 5.0  # seconds that both examples give to calls in flight before they end
TIMEOUT = 30.0  # seconds; nothing here takes a third of it
SIGNS_OF_LEAKS = re.compile("Unclosed|was destroyed|never retrieved|never awaited|ResourceWarning|Exception ignored")

NEEDS_FASTAPI = pytest.mark.skipif(
    find_spec("fastapi") is None or find_spec("uvicorn") is None, reason="fastapi and uvicorn are not installed"
)
EXAMPLE = pytest.mark.parametrize(
    "example", ["aiohttp_app", pytest.param("fastapi_app", marks=NEEDS_FASTAPI)], scope="module"
)

Json = dict[str, Any]


class Service:
    """An example as a process of its own, on a free port."""

    def __init__(self, example: str, api_url: str, directory: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.output = directory / "output.txt"
        self._command = (sys.executable, "-W", "error", str(EXAMPLES / f"{example}.py"))
        self._environment = {
            **os.environ,
            "PORT": str(port),
            "WA_BASE_URL": api_url,
            "WA_ACCESS_TOKEN": TOKEN,
            "WA_APP_SECRET": APP_SECRET,
            "WA_VERIFY_TOKEN": VERIFY_TOKEN,
        }

    def start(self) -> None:
        """Start it, and wait until it listens."""
        with self.output.open("a") as output:
            self.process = subprocess.Popen(
                self._command, env=self._environment, stdout=output, stderr=subprocess.STDOUT
            )
        while not self._listens():
            assert self.process.poll() is None, self.output.read_text()
            time.sleep(0.01)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", int(self.url.rpartition(":")[2]))).close()
        except ConnectionRefusedError:
            return False
        return True

    def wait(self) -> None:
        """Wait until it has ended as it should, and has left nothing behind."""
        assert self.process.wait(TIMEOUT) in {0, -signal.SIGTERM}
        output = self.output.read_text()
        assert not SIGNS_OF_LEAKS.search(output), output
        assert not [secret for secret in SECRETS if secret in output], output

    def stop(self) -> None:
        self.process.terminate()
        self.wait()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(tokens=[TOKEN], app_secret=APP_SECRET) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def service(example: str, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(example, sandbox.url, tmp_path_factory.mktemp(example))
    service.start()
    yield service
    service.stop()


@pytest.fixture
async def http(service: Service) -> AsyncIterator[aiohttp.ClientSession]:
    """Any number of callers, each with a connection of its own."""
    async with aiohttp.ClientSession(service.url, connector=aiohttp.TCPConnector(limit=0)) as http:
        yield http


@pytest.fixture
def waba_id(sandbox: Sandbox) -> str:
    """An account of its own for each test, of 250 healthy numbers: three pages."""
    waba_id = str(700_000 + len(sandbox.waba_ids))
    sandbox.add_waba(waba_id, healthy_numbers(250))
    return waba_id


def healthy_numbers(count: int) -> list[Json]:
    serials = (f"555 0{serial:06}" for serial in range(count))
    return [{"display_phone_number": f"+1 {serial}", "status": "CONNECTED"} for serial in serials]


def ids_of(sandbox: Sandbox, waba_id: str) -> set[str]:
    return {number["id"] for number in sandbox.numbers(waba_id)}


def calls_for(sandbox: Sandbox, waba_id: str) -> int:
    return sum(request.node == waba_id for request in list(sandbox.requests))


async def get(http: aiohttp.ClientSession, path: str, **params: str | int) -> Json:
    async with http.get(path, params=params) as response:
        assert response.status == 200, await response.text()
        return dict(await response.json())


async def lines_of(http: aiohttp.ClientSession, waba_id: str, **params: str) -> list[Json]:
    async with http.get(f"/wabas/{waba_id}/phone_numbers.jsonl", params=params) as response:
        assert (response.status, response.content_type) == (200, "application/jsonl")
        return [json.loads(line) async for line in response.content]


# Pages


async def list_by_pages(http: aiohttp.ClientSession, waba_id: str) -> list[str]:
    """Return all ids of an account, page by page, as a caller gets them."""
    page = await get(http, f"/wabas/{waba_id}/phone_numbers", limit=10)
    ids = [number["id"] for number in page["data"]]
    while page["next"]:
        page = await get(http, f"/wabas/{waba_id}/phone_numbers", limit=10, after=page["next"])
        ids += [number["id"] for number in page["data"]]
    return ids


@EXAMPLE
async def test_each_of_200_callers_at_once_gets_its_own_pages(http: aiohttp.ClientSession, sandbox: Sandbox) -> None:
    accounts = [str(800_000 + index) for index in range(20)]
    for index, account in enumerate(accounts):
        sandbox.add_waba(account, 21 + index)
    requested = accounts * 10
    lists = await asyncio.gather(*(list_by_pages(http, account) for account in requested))
    for account, ids in zip(requested, lists, strict=True):
        assert len(ids) == len(set(ids))
        assert set(ids) == ids_of(sandbox, account)


# Cache


@EXAMPLE
async def test_200_callers_at_once_cost_one_listing(
    http: aiohttp.ClientSession, sandbox: Sandbox, waba_id: str
) -> None:
    responses = await asyncio.gather(*(get(http, f"/wabas/{waba_id}/phone_numbers/cached") for _ in range(200)))
    assert {number["id"] for number in responses[0]["data"]} == ids_of(sandbox, waba_id)
    assert all(response == responses[0] for response in responses)
    assert calls_for(sandbox, waba_id) == 3


@EXAMPLE
async def test_callers_who_leave_take_nothing_from_the_others(
    http: aiohttp.ClientSession, sandbox: Sandbox, waba_id: str
) -> None:
    sandbox.plan(Fault.delay(0.5), node=waba_id)
    path = f"/wabas/{waba_id}/phone_numbers/cached"
    callers = [asyncio.create_task(get(http, path))]
    while not calls_for(sandbox, waba_id):
        await asyncio.sleep(0.01)
    callers += [asyncio.create_task(get(http, path)) for _ in range(199)]
    await asyncio.sleep(0.1)  # it must hold whenever they leave
    for caller in callers[1::2]:
        caller.cancel()
    responses = await asyncio.gather(*callers[::2])
    assert all(len(response["data"]) == 250 for response in responses)
    assert calls_for(sandbox, waba_id) == 3


@EXAMPLE
async def test_after_a_webhook_the_cache_reads_again(
    http: aiohttp.ClientSession, service: Service, sandbox: Sandbox, waba_id: str
) -> None:
    path = f"/wabas/{waba_id}/phone_numbers/cached"
    before = (await get(http, path))["data"]
    assert not [number for number in before if number.get("quality_rating") == "RED"]
    sandbox.rate_quality(before[7]["id"], "RED")  # no webhook tells of it
    assert (await get(http, path))["data"] == before
    sandbox.deliver_to(f"{service.url}/webhook")
    try:
        sandbox.upgrade_throughput(before[7]["id"])
        while not (sandbox.deliveries and sandbox.deliveries[-1].status == 200):
            await asyncio.sleep(0.01)
    finally:
        sandbox.deliver_to(None)
        sandbox.deliveries.clear()
    after = (await get(http, path))["data"]
    assert [number["id"] for number in after if number.get("quality_rating") == "RED"] == [before[7]["id"]]


@EXAMPLE
async def test_a_webhook_that_meta_did_not_sign_changes_nothing(
    http: aiohttp.ClientSession, sandbox: Sandbox, waba_id: str
) -> None:
    await get(http, f"/wabas/{waba_id}/phone_numbers/cached")
    webhook = sandbox.notify(waba_id, "account_update", {"event": "VERIFIED_ACCOUNT"})
    forged = webhook.signature.translate(str.maketrans("0123456789abcdef", "123456789abcdef0"))
    for headers in ({}, {"X-Hub-Signature-256": forged}, {"X-Hub-Signature-256": "sha256="}):
        async with http.post("/webhook", data=webhook.body, headers=headers) as response:
            assert response.status == 403
    await get(http, f"/wabas/{waba_id}/phone_numbers/cached")
    assert calls_for(sandbox, waba_id) == 3
    async with http.post("/webhook", data=webhook.body, headers={"X-Hub-Signature-256": webhook.signature}) as response:
        assert (response.status, await response.json()) == (200, [waba_id])
    await get(http, f"/wabas/{waba_id}/phone_numbers/cached")
    assert calls_for(sandbox, waba_id) == 6


@EXAMPLE
async def test_an_invalid_webhook_with_a_signature_is_not_delivered_again(
    http: aiohttp.ClientSession, sandbox: Sandbox, waba_id: str
) -> None:
    await get(http, f"/wabas/{waba_id}/phone_numbers/cached")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wa_phone_async.sandbox.webhooks.dumps", lambda _: b"[1, 2")
        garbled = sandbox.notify(waba_id, "account_update", {})
    async with http.post("/webhook", data=garbled.body, headers={"X-Hub-Signature-256": garbled.signature}) as response:
        assert (response.status, await response.json()) == (200, [])
    await get(http, f"/wabas/{waba_id}/phone_numbers/cached")
    assert calls_for(sandbox, waba_id) == 6


@EXAMPLE
async def test_a_webhook_may_be_large_up_to_a_limit(http: aiohttp.ClientSession) -> None:
    for megabytes, status in ((3, 403), (5, 413)):
        async with http.post("/webhook", data=io.BytesIO(bytes(megabytes * 10**6))) as response:
            assert response.status == status


CHALLENGE = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": VERIFY_TOKEN}


@EXAMPLE
async def test_meta_gets_its_challenge_back_when_it_verifies_the_webhook(http: aiohttp.ClientSession) -> None:
    async with http.get("/webhook", params=CHALLENGE) as response:
        assert (response.status, response.content_type) == (200, "text/plain")
        assert await response.text() == "1158201444"


@EXAMPLE
@pytest.mark.parametrize(
    "changes", [{"hub.verify_token": "another"}, {"hub.mode": "unsubscribe"}, {"hub.challenge": ""}]
)
async def test_nobody_else_gets_a_challenge_back(http: aiohttp.ClientSession, changes: dict[str, str]) -> None:
    for query in (CHALLENGE | changes, {name: value for name, value in CHALLENGE.items() if name not in changes}):
        async with http.get("/webhook", params=query) as response:
            assert response.status == 403
            assert "1158201444" not in await response.text()


# Streams


@EXAMPLE
async def test_a_stream_is_the_whole_account_with_a_number_a_line(
    http: aiohttp.ClientSession, sandbox: Sandbox, waba_id: str
) -> None:
    lines = await lines_of(http, waba_id)
    assert len(lines) == 250
    assert {line["id"] for line in lines} == ids_of(sandbox, waba_id)


@EXAMPLE
async def test_the_stream_of_an_empty_account_is_empty(http: aiohttp.ClientSession, sandbox: Sandbox) -> None:
    sandbox.add_waba("710000")
    assert await lines_of(http, "710000") == []


@EXAMPLE
async def test_a_stream_that_fails_says_where_to_go_on(
    http: aiohttp.ClientSession, sandbox: Sandbox, waba_id: str
) -> None:
    sandbox.plan(Fault.delay(0), node=waba_id)  # the first page is well
    sandbox.plan(Fault.error(10), node=waba_id)
    *lines, last = await lines_of(http, waba_id)
    assert len(lines) == 100
    assert last["error"] == "PermissionDeniedError"
    rest = await lines_of(http, waba_id, after=last["after"])
    assert len(rest) == 150
    assert {line["id"] for line in (*lines, *rest)} == ids_of(sandbox, waba_id)


@EXAMPLE
async def test_a_stream_that_fails_before_its_first_line_has_its_status(
    http: aiohttp.ClientSession, sandbox: Sandbox, waba_id: str
) -> None:
    sandbox.plan(Fault.error(10), node=waba_id)
    async with http.get(f"/wabas/{waba_id}/phone_numbers.jsonl") as response:
        assert response.status == 502


async def leave_in_the_middle(http: aiohttp.ClientSession, sandbox: Sandbox, waba_id: str, path: str) -> int:
    """Count the calls for a caller who left after one of a thousand pages, while another caller got 30 responses."""
    sandbox.add_waba(waba_id, 100_000)
    other = str(int(waba_id) + 50_000)
    sandbox.add_waba(other, 10)
    for node in (waba_id, other):
        sandbox.plan(Fault.delay(0.02), times=1_000, node=node)

    async def call() -> None:
        async with http.get(f"/wabas/{waba_id}/{path}") as response:
            await response.read()

    caller = asyncio.create_task(call())
    while calls_for(sandbox, waba_id) < 2:
        await asyncio.sleep(0.01)
    caller.cancel()
    at_leaving = calls_for(sandbox, waba_id)
    for _ in range(30):  # one after the other, so the one who left would have got as many
        await get(http, f"/wabas/{other}/phone_numbers")
    return calls_for(sandbox, waba_id) - at_leaving


@EXAMPLE
async def test_a_caller_who_leaves_a_stream_ends_its_calls(
    http: aiohttp.ClientSession, sandbox: Sandbox, waba_id: str
) -> None:
    assert await leave_in_the_middle(http, sandbox, waba_id, "phone_numbers.jsonl") <= 2  # in flight meanwhile


@pytest.mark.parametrize("example", ["aiohttp_app"], scope="module")
async def test_with_aiohttp_the_last_caller_who_leaves_ends_a_listing_for_the_cache(
    http: aiohttp.ClientSession, sandbox: Sandbox, waba_id: str
) -> None:
    assert await leave_in_the_middle(http, sandbox, waba_id, "phone_numbers/cached") <= 2


# Errors

ERRORS = [
    (InvalidArgumentError("limit", "such as this"), 422, "limit must be such as this"),
    (BadRequestError("such as this", http_status=400), 400, "such as this (HTTP 400)"),
    (NotFoundError("such as this", http_status=404), 404, "such as this (HTTP 404)"),
    (WebhookSignatureError("such as this"), 403, "such as this"),
    (RateLimitError("inside", http_status=400, retry_after=1.2), 503, "RateLimitError"),
    (StaleListingError("inside", waba_id="1"), 503, "StaleListingError"),
    (AuthenticationError("inside", http_status=401), 502, "AuthenticationError"),
    (PermissionDeniedError("inside", http_status=403), 502, "PermissionDeniedError"),
    (ServerError("inside", http_status=500), 502, "ServerError"),
    (DecodeError("inside"), 502, "DecodeError"),
    (TransportError("inside"), 502, "TransportError"),
    (RequestTimeoutError("inside"), 504, "RequestTimeoutError"),
]


@EXAMPLE
@pytest.mark.parametrize(("error", "status", "text"), ERRORS)
def test_each_error_has_its_status(example: str, error: WaPhoneError, status: int, text: str) -> None:
    waits = {"retry_after": 2} if error.retry_after else {}
    assert load_example(example).response_to(error) == (status, {"error": text, **waits})


@EXAMPLE
@pytest.mark.parametrize("fault", [Fault.error(190), Fault.error(10), Fault.drop_before(), Fault.status(500)])
async def test_an_error_has_its_status_on_every_path(
    http: aiohttp.ClientSession, sandbox: Sandbox, waba_id: str, fault: Fault
) -> None:
    async def get_status(path: str) -> tuple[int, str | None]:
        async with http.get(path) as response:
            return response.status, response.headers.get("Retry-After")

    accounts = [str(int(waba_id) + offset) for offset in (0, 10_000, 20_000)]
    for account in accounts:
        sandbox.add_waba(account, 1)
        sandbox.plan(fault, times=6, node=account)  # three attempts; aiohttp sends each twice if it is cut off
    paths = [f"/wabas/{account}/{name}" for account, name in zip(accounts, PATHS, strict=True)]
    assert await asyncio.gather(*map(get_status, paths)) == [(502, None)] * 3


@EXAMPLE
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/wabas/1234/phone_numbers", 404),
        ("/wabas/1234/phone_numbers.jsonl", 404),
        ("/wabas/1234/phone_numbers/cached", 404),
        ("/wabas/no-id/phone_numbers", 422),
        ("/wabas/700000/phone_numbers?limit=0", 422),
        ("/wabas/700000/phone_numbers?limit=many", 422),
        ("/wabas/700000/phone_numbers?after=", 422),
        ("/nothing", 404),
    ],
)
async def test_a_callers_mistake_has_a_status_of_its_own(http: aiohttp.ClientSession, path: str, status: int) -> None:
    async with http.get(path) as response:
        assert response.status == status


@EXAMPLE
@pytest.mark.parametrize("path", PATHS)
async def test_the_error_of_a_used_up_quota_says_when_to_come_back(
    http: aiohttp.ClientSession, sandbox: Sandbox, waba_id: str, path: str
) -> None:
    sandbox.spend(waba_id, 5_000)
    for calls in (1, 1):  # the second time, nothing is sent
        async with http.get(f"/wabas/{waba_id}/{path}") as response:
            assert response.status == 503
            wait = int(response.headers["Retry-After"])
            assert 3_000 < wait <= 3_900
            assert await response.json() == {"error": "RateLimitError", "retry_after": wait}
        assert calls_for(sandbox, waba_id) == calls


# Health


@EXAMPLE
async def test_health_has_the_last_usage(http: aiohttp.ClientSession, sandbox: Sandbox, waba_id: str) -> None:
    assert await get(http, "/health") == {"usage": None}
    assert await get(http, "/health", waba_id=waba_id) == {"usage": None}
    sandbox.spend(waba_id, 2_500)
    await get(http, f"/wabas/{waba_id}/phone_numbers")
    usage = (await get(http, "/health", waba_id=waba_id))["usage"]
    assert usage["waba"]["calls_percent"] == 50


# Restarts


@EXAMPLE
async def test_a_restart_finishes_what_is_in_flight_and_ends_in_time(
    example: str, sandbox: Sandbox, tmp_path: Path, waba_id: str
) -> None:
    service = Service(example, sandbox.url, tmp_path)
    service.start()
    endless, stuck = (str(int(waba_id) + offset) for offset in (60_000, 70_000))
    sandbox.add_waba(endless, 100_000)
    sandbox.plan(Fault.delay(0.1), times=1_000, node=endless)
    sandbox.add_waba(stuck, 1)
    sandbox.plan(Fault.delay(TIMEOUT), times=10, node=stuck)
    sandbox.plan(Fault.delay(0.5), times=200, node=waba_id)

    async def get_status(http: aiohttp.ClientSession, account: str) -> int | None:
        try:
            async with http.get(f"/wabas/{account}/phone_numbers") as response:
                await response.read()
                return response.status
        except aiohttp.ClientConnectionError:
            return None

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(service.url, connector=connector) as http:
        async with http.get(f"/wabas/{endless}/phone_numbers.jsonl") as stream:
            assert await stream.content.readline()
            hung = asyncio.create_task(get_status(http, stuck))
            callers = [asyncio.create_task(get_status(http, waba_id)) for _ in range(100)]
            while not (calls_for(sandbox, stuck) and calls_for(sandbox, waba_id) == 100):
                await asyncio.sleep(0.01)
            terminated = time.monotonic()
            service.process.terminate()
            with pytest.raises(aiohttp.ClientPayloadError):  # cut: nobody must take it for a complete one
                await stream.read()
        assert await asyncio.gather(*callers) == [200] * 100
        assert await hung in {None, 500}
    service.wait()
    assert time.monotonic() - terminated < GRACE + 10

    service.start()
    async with aiohttp.ClientSession(service.url) as http:
        assert await get_status(http, waba_id) == 200
    service.stop()


@EXAMPLE
def test_a_missing_setting_is_named_at_the_start(example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WA_ACCESS_TOKEN", TOKEN)
    command = (sys.executable, str(EXAMPLES / f"{example}.py"))
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=TIMEOUT, check=False)
    assert done.returncode > 0
    assert "KeyError: 'WA_APP_SECRET'" in done.stderr
