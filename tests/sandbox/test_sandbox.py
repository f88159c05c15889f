import ast
import asyncio
import json
import logging
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import wa_phone_async.sandbox
from wa_phone_async.sandbox import EMPTY_WABA, LARGE_WABA, SMALL_WABA, Fault, Sandbox
from wa_phone_async.sandbox.log import hide_text

PACKAGE = Path(wa_phone_async.sandbox.__file__).parent
NEW = {"phone_number": "16315551000", "verified_name": "Acme", "cc": "1"}
NO_RESPONSE = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as served:
        yield served


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    # A new connection for each call: aiohttp retries a GET by itself if a kept connection is dropped.
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer token"}, connector=connector) as opened:
        yield opened


async def get(
    session: aiohttp.ClientSession, sandbox: Sandbox, waba_id: str = SMALL_WABA, **query: str
) -> tuple[int, bytes]:
    async with session.get(f"{sandbox.url}/v23.0/{waba_id}/phone_numbers", params=query) as response:
        return response.status, await response.read()


async def post(
    session: aiohttp.ClientSession, sandbox: Sandbox, waba_id: str = EMPTY_WABA, members: Any = NEW
) -> tuple[int, bytes]:
    async with session.post(f"{sandbox.url}/v23.0/{waba_id}/phone_numbers", json=members) as response:
        return response.status, await response.read()


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():
            await asyncio.sleep(0.001)


# The front door


def test_it_shares_no_code_with_the_client() -> None:
    for file in set(PACKAGE.glob("*.py")) - {PACKAGE / "pytest_plugin.py"}:  # which brings the two together
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            for name in names:
                top = name.partition(".")[0]
                assert top in {*sys.stdlib_module_names, "aiohttp", "attrs", "pytest", "wa_phone_async"}
                assert top != "wa_phone_async" or name.startswith("wa_phone_async.sandbox")


def test_the_front_door_is_complete() -> None:
    assert sorted(wa_phone_async.sandbox.__all__) == sorted(
        name for name in vars(wa_phone_async.sandbox) if name[0].isupper()
    )


async def test_the_program_in_the_docstring_runs() -> None:
    text = wa_phone_async.sandbox.__doc__ or ""
    lines = [line.removeprefix("    ") for line in text.splitlines() if line.startswith("    ")]
    program = "async def main():\n" + "\n".join(f"    {line}" for line in lines)
    names: dict[str, Any] = {}
    exec(compile(program, "docstring", "exec"), names)
    await names["main"]()


async def test_250_numbers_in_three_calls(sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
    numbers: list[Any] = []
    query = {"limit": "100"}
    while True:
        _, body = await get(session, sandbox, LARGE_WABA, **query)
        page = json.loads(body)
        numbers += page["data"]
        if "next" not in page["paging"]:
            break
        query["after"] = page["paging"]["cursors"]["after"]
    assert len({row["id"] for row in numbers}) == 250
    assert len(sandbox.requests) == 3


async def test_a_created_number_is_listed_and_counted(sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
    _, body = await post(session, sandbox)
    number = json.loads(body)["id"]
    assert [each.id for each in sandbox.created] == [number]
    _, listed = await get(session, sandbox, EMPTY_WABA)
    assert [row["id"] for row in json.loads(listed)["data"]] == [number]
    assert [row["id"] for row in sandbox.numbers(EMPTY_WABA)] == [number]


async def test_added_accounts_and_changes_are_listed(sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
    sandbox.add_waba("123456789012345", [{"id": "1", "status": "PENDING"}, {"id": "2"}])
    sandbox.update_number("123456789012345", "1", status="CONNECTED")
    sandbox.remove_number("123456789012345", "2")
    _, body = await get(session, sandbox, "123456789012345", fields="status")
    assert json.loads(body)["data"] == [{"status": "CONNECTED", "id": "1"}]
    sandbox.add_waba("123456789012346", 7)
    _, body = await get(session, sandbox, "123456789012346")
    assert len(json.loads(body)["data"]) == 7


async def test_a_business_of_any_number_of_accounts(session: aiohttp.ClientSession) -> None:
    async with Sandbox(accounts=1_000_000, numbers_per_account=7) as sandbox:
        sandbox.add_waba("123456789012345", 5)
        ids = sandbox.waba_ids
        assert (len(ids), ids[-1], len(set(ids[:1000]))) == (1_000_001, "123456789012345", 1000)
        url = f"{sandbox.url}/v23.0/{sandbox.business_id}/owned_whatsapp_business_accounts"
        async with session.get(url, params={"limit": "2"}) as response:
            assert [row["id"] for row in (await response.json())["data"]] == ids[:2]
        for waba_id, count in ((ids[0], 7), (ids[999_999], 7), (ids[-1], 5), (LARGE_WABA, 100)):
            _, body = await get(session, sandbox, waba_id, limit="100")
            assert len(json.loads(body)["data"]) == count


def test_the_business_owns_the_three_accounts_by_default() -> None:
    assert list(Sandbox().waba_ids) == [EMPTY_WABA, SMALL_WABA, LARGE_WABA]
    assert list(Sandbox(accounts=0).waba_ids) == []
    assert len(Sandbox(accounts=1).numbers("110000000000000")) == 3


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"accounts": -1}, "accounts must be 0 or more, or None for the three seeded ones, not -1"),
        ({"numbers_per_account": -1}, "numbers_per_account must be from 0 to 999999, not -1"),
        ({"numbers_per_account": 1_000_000}, "numbers_per_account must be from 0 to 999999, not 1000000"),
    ],
    ids=str,
)
def test_a_number_of_accounts_out_of_range_is_invalid(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=f"^{text}$"):
        Sandbox(**options)


@pytest.mark.parametrize("waba_id", ["", "me", "12x", "²"])
def test_an_account_needs_an_id_of_digits(waba_id: str) -> None:
    with pytest.raises(ValueError, match=r"^waba_id must be a string of digits, not "):
        Sandbox().add_waba(waba_id)


async def test_tokens_change_while_it_serves(session: aiohttp.ClientSession) -> None:
    async with Sandbox(tokens=["other"]) as sandbox:
        assert (await get(session, sandbox))[0] == 401
        sandbox.accept("token")
        assert (await get(session, sandbox))[0] == 200
        sandbox.revoke("token")
        assert (await get(session, sandbox))[0] == 401


async def test_a_clock_of_your_own_decides_the_quotas(session: aiohttp.ClientSession) -> None:
    now = 0.0
    async with Sandbox(quota=1, clock=lambda: now) as sandbox:
        assert [(await get(session, sandbox))[0] for _ in range(2)] == [200, 400]
        now = 3600.0
        assert (await get(session, sandbox))[0] == 200
        assert sandbox.requests[-1].at == 3600.0


async def test_calls_of_others_use_quota(session: aiohttp.ClientSession) -> None:
    async with Sandbox(quota=3) as sandbox:
        sandbox.spend(SMALL_WABA, 3)
        assert (await get(session, sandbox))[0] == 400


def test_without_a_clock_no_quota_can_be_spent() -> None:
    with pytest.raises(RuntimeError, match="no clock before it serves: open it first"):
        Sandbox().spend(SMALL_WABA, 1)


def test_an_unknown_mode_is_invalid() -> None:
    with pytest.raises(ValueError, match="mode must be one of live, reference, not 'sweet'"):
        Sandbox(mode="sweet")  # type: ignore[arg-type]  # the mistake that the test is about


async def test_the_reference_has_other_default_fields(session: aiohttp.ClientSession) -> None:
    async with Sandbox(mode="reference") as sandbox:
        _, body = await get(session, sandbox)
        assert json.loads(body)["data"][0]["status"] == "CONNECTED"


# Recorded requests


async def test_every_request_is_recorded(sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
    began = asyncio.get_running_loop().time()
    await get(session, sandbox, fields="id,status", access_token="t")
    await post(session, sandbox)
    read, written = sandbox.requests
    assert (read.method, read.path) == ("GET", f"/v23.0/{SMALL_WABA}/phone_numbers")
    assert (read.node, read.query, read.status) == (SMALL_WABA, {"fields": "id,status", "access_token": "t"}, 200)
    assert read.headers["authorization"] == "Bearer token"
    assert (written.method, written.node, written.json()) == ("POST", EMPTY_WABA, NEW)
    assert began <= read.at <= written.at <= asyncio.get_running_loop().time()
    assert written.peer_port != read.peer_port


async def test_one_connection_has_one_port(sandbox: Sandbox) -> None:
    async with aiohttp.ClientSession() as session:
        for _ in range(2):
            await get(session, sandbox)
    first, second = sandbox.requests
    assert first.peer_port == second.peer_port
    assert first.status == 400  # no token


async def test_a_request_in_flight_is_recorded_without_a_status(
    sandbox: Sandbox, session: aiohttp.ClientSession
) -> None:
    sandbox.plan(Fault.delay(0.05))
    task = asyncio.create_task(get(session, sandbox))
    await until(lambda: bool(sandbox.requests))
    assert sandbox.requests[0].status is None
    await get(session, sandbox)
    await task
    assert [request.status for request in sandbox.requests] == [200, 200]


async def test_recorded_requests_may_be_cleared_at_any_time(sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
    sandbox.plan(Fault.delay(0.02))
    task = asyncio.create_task(get(session, sandbox))
    await until(lambda: bool(sandbox.requests))
    sandbox.requests.clear()
    assert (await task)[0] == 200
    assert sandbox.requests == []


@pytest.mark.parametrize(("path", "node"), [("/", ""), ("/123", "123"), ("/v23.0/me/phone_numbers", "")])
async def test_the_node_of_a_path(sandbox: Sandbox, session: aiohttp.ClientSession, path: str, node: str) -> None:
    async with session.get(sandbox.url + path) as response:
        assert response.status in {400, 404}
    assert sandbox.requests[0].node == node


# Faults


@pytest.mark.parametrize("reset", [False, True])
async def test_a_drop_before_the_effect(
    sandbox: Sandbox,
    session: aiohttp.ClientSession,
    reset: bool,  # noqa: FBT001 - a table
) -> None:
    sandbox.plan(Fault.drop_before(reset=reset), method="POST")
    with pytest.raises(NO_RESPONSE):
        await post(session, sandbox)
    assert sandbox.created == []
    assert sandbox.requests[0].status is None
    assert sandbox.faults_left == 0


@pytest.mark.parametrize("reset", [False, True])
async def test_a_drop_after_the_effect(
    sandbox: Sandbox,
    session: aiohttp.ClientSession,
    reset: bool,  # noqa: FBT001 - a table
) -> None:
    sandbox.plan(Fault.drop_after(reset=reset))
    with pytest.raises(NO_RESPONSE):
        await post(session, sandbox)
    assert len(sandbox.created) == 1
    assert sandbox.requests[0].status is None


async def test_an_error_instead_of_the_effect(sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
    sandbox.plan(Fault.error(80008, headers={"Retry-After": "3"}), times=2, node=EMPTY_WABA)
    url = f"{sandbox.url}/v25.0/{EMPTY_WABA}/phone_numbers"
    async with session.post(url, json=NEW) as response:
        assert response.status == 400
        assert response.headers["Retry-After"] == "3"
        assert response.headers["facebook-api-version"] == "v25.0"
        assert (await response.json())["error"]["fbtrace_id"] == response.headers["x-fb-trace-id"]
    assert sandbox.created == []
    assert sandbox.faults_left == 1
    assert (await get(session, sandbox))[0] == 200  # another node
    assert sandbox.requests[0].status == 400


async def test_an_error_after_the_effect(sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
    sandbox.plan(Fault.error(2, takes_effect=True))
    assert (await post(session, sandbox))[0] == 503
    assert len(sandbox.created) == 1


async def test_an_error_in_a_success(sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
    sandbox.plan(Fault.error(1, status=200))
    status, body = await get(session, sandbox)
    assert status == 200
    assert json.loads(body)["error"]["code"] == 1


async def test_responses_that_are_not_from_graph(sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
    sandbox.plan(Fault.status(502))
    sandbox.plan(Fault.html(503))
    sandbox.plan(Fault.raw(b"\xff", status=418))
    assert await get(session, sandbox) == (502, b"")
    status, body = await get(session, sandbox)
    assert (status, body[:9]) == (503, b"<!DOCTYPE")
    assert await get(session, sandbox) == (418, b"\xff")


async def test_a_body_cut_short(sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
    sandbox.plan(Fault.cut())
    with pytest.raises(aiohttp.ClientPayloadError):
        await post(session, sandbox)
    assert len(sandbox.created) == 1


async def test_a_body_cut_clean(sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
    sandbox.plan(Fault.cut(9, clean=True))
    assert await get(session, sandbox) == (200, b'{"data":[')


@pytest.mark.parametrize(("fault", "effects"), [(Fault.delay(60.0), 0), (Fault.delay_response(60.0), 1)])
async def test_a_delay_before_or_after_the_effect(
    sandbox: Sandbox, session: aiohttp.ClientSession, fault: Fault, effects: int
) -> None:
    sandbox.plan(fault)
    call = asyncio.create_task(post(session, sandbox))
    await until(lambda: seen(sandbox) == (1, effects))
    call.cancel()
    assert sandbox.requests[0].status is None


def seen(sandbox: Sandbox) -> tuple[int, int]:
    return len(sandbox.requests), len(sandbox.created)


async def test_a_caller_who_disconnects_does_not_stop_the_effect(
    sandbox: Sandbox, session: aiohttp.ClientSession
) -> None:
    sandbox.plan(Fault.delay(0.1))
    sandbox.plan(Fault(delay_after=0.1, drop="after"))
    sandbox.plan(Fault(delay_after=0.1, cuts="short"))
    for serial in range(3):
        await leave(session, sandbox, {**NEW, "phone_number": f"1631555100{serial}"})
    await until(lambda: len(sandbox.created) == 3)
    await until(lambda: not sandbox._server._in_flight)  # the responses that nobody reads


async def leave(session: aiohttp.ClientSession, sandbox: Sandbox, members: Any) -> None:
    count = len(sandbox.requests)
    call = asyncio.create_task(post(session, sandbox, members=members))
    await until(lambda: len(sandbox.requests) > count)
    call.cancel()
    await asyncio.wait([call])


async def test_latency_delays_every_response(session: aiohttp.ClientSession) -> None:
    async with Sandbox(latency=0.05) as sandbox:
        began = time.perf_counter()
        await get(session, sandbox)
        assert time.perf_counter() - began >= 0.05


# Opening and closing


def test_without_serving_there_is_no_url() -> None:
    with pytest.raises(RuntimeError, match="is not serving, so it has no URL: open it with `async with` or `with`"):
        _ = Sandbox().url


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as found:
            found.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("host", "start"),
    [
        ("127.0.0.1", "http://127.0.0.1:"),
        ("localhost", "http://localhost:"),
        ("::1", "http://[::1]:"),
        ("::", "http://[::]:"),
        ("", "http://"),
    ],
)
async def test_its_url_reaches_it_whatever_its_host_is(host: str, start: str) -> None:
    if ":" in host and not has_ipv6():
        pytest.skip("there is no IPv6 here")
    async with Sandbox(host=host) as sandbox, aiohttp.ClientSession() as session:
        assert sandbox.url.startswith(start)
        assert (await get(session, sandbox))[0] == 400


def test_the_zone_of_an_address_is_written_as_in_a_url() -> None:
    class Listener:
        class Socket:
            def getsockname(self) -> tuple[str, int, int, int]:
                return ("fe80::1%eth0", 8080, 0, 2)

        sockets = (Socket(),)

    sandbox = Sandbox(host="fe80::1%eth0")
    listener: Any = Listener()
    sandbox._server._listener = listener
    assert sandbox.url == "http://[fe80::1%25eth0]:8080"


async def test_it_serves_once_at_a_time_and_again_afterwards() -> None:
    sandbox = Sandbox()
    async with sandbox:
        with pytest.raises(RuntimeError, match="is serving already: create another `Sandbox` for another port"):
            await sandbox.__aenter__()
    async with sandbox, aiohttp.ClientSession() as session:
        assert (await get(session, sandbox))[0] == 400
    await sandbox.__aexit__()
    sandbox.__exit__()


async def test_a_port_in_use_is_an_error_and_leaves_nothing_open(sandbox: Sandbox) -> None:
    port = int(sandbox.url.rpartition(":")[2])
    with pytest.raises(OSError, match=str(port)):
        async with Sandbox(port=port):
            pass
    with pytest.raises(OSError, match=str(port)), Sandbox(port=port):
        pass


async def test_closing_aborts_calls_in_flight_at_once(session: aiohttp.ClientSession) -> None:
    before = asyncio.all_tasks()
    async with Sandbox() as sandbox:
        sandbox.plan(Fault.delay(60.0), times=3)
        calls = [asyncio.create_task(post(session, sandbox)) for _ in range(3)]
        await until(lambda: len(sandbox.requests) == 3)
        began = time.perf_counter()
    assert time.perf_counter() - began < 1.0
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(result, NO_RESPONSE) for result in results)
    assert sandbox.created == []
    assert asyncio.all_tasks() <= before | set(calls)


async def test_closing_leaves_no_task_of_idle_silent_or_gone_callers(session: aiohttp.ClientSession) -> None:
    before = asyncio.all_tasks()
    async with Sandbox() as sandbox, aiohttp.ClientSession() as keeping:
        await get(keeping, sandbox)  # its connection stays open
        silent = await connect(sandbox, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n123")
        sandbox.plan(Fault.delay(60.0))
        await leave(session, sandbox, NEW)
        await until(lambda: None in transports(sandbox))
        await until(lambda: len(sandbox._server._in_flight) == 2)
    assert asyncio.all_tasks() <= before
    silent.close()


def transports(sandbox: Sandbox) -> list[object]:
    assert sandbox._server._connections is not None
    return [connection.transport for connection in sandbox._server._connections.connections]


async def connect(sandbox: Sandbox, sent: bytes) -> asyncio.StreamWriter:
    _, writer = await asyncio.open_connection("127.0.0.1", int(sandbox.url.rpartition(":")[2]))
    writer.write(sent)
    return writer


async def test_closing_does_not_wait_for_a_caller_who_does_not_read() -> None:
    async with Sandbox() as sandbox:
        sandbox.plan(Fault.raw(b"x" * 20_000_000))
        writer = await connect(sandbox, b"GET /v23.0/1/phone_numbers HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(lambda: bool(sandbox.requests) and sandbox.requests[0].status == 200)
        began = time.perf_counter()
    assert time.perf_counter() - began < 1.0
    writer.close()


async def test_a_caller_who_disconnects_within_a_request_is_ignored(
    sandbox: Sandbox, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    writer = await connect(sandbox, b"POST /v23.0/1/phone_numbers HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
    await until(lambda: bool(sandbox._server._in_flight))
    writer.transport.abort()
    await until(lambda: not sandbox._server._in_flight)
    async with session.get(f"{sandbox.url}/v23.0/{SMALL_WABA}/phone_numbers") as response:
        assert response.status == 200
    assert len(sandbox.requests) == 1
    assert not caplog.records


async def test_a_fault_of_its_own_is_a_rejection_that_shows_no_token(
    sandbox: Sandbox, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("the token is a-secret-token")

    monkeypatch.setattr(sandbox._api.store, "account", fail)
    async with session.get(f"{sandbox.url}/v23.0/{SMALL_WABA}/phone_numbers?access_token=a-secret-token") as response:
        assert response.status == 400
        assert "The sandbox cannot serve this request" in await response.text()
    [record] = caplog.records
    assert record.name == "wa_phone_async.sandbox"
    assert re.fullmatch(
        r"the sandbox cannot serve a request: ZeroDivisionError in fail, .*test_sandbox\.py:\d+", record.getMessage()
    )
    assert "a-secret-token" not in caplog.text


def test_an_error_that_was_never_raised_has_no_place() -> None:
    error = ValueError("a-secret-token")
    record = logging.LogRecord("x", 40, "x.py", 1, "%s failed", ("it",), (ValueError, error, None))
    assert hide_text(record)
    assert record.getMessage() == "it failed: ValueError"
    assert record.exc_info is None
    plain = logging.LogRecord("x", 40, "x.py", 1, "%s failed", ("it",), None)
    assert hide_text(plain)
    assert plain.getMessage() == "it failed"


def test_in_development_mode_nothing_warns(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        """
import asyncio, aiohttp, gc
from wa_phone_async.sandbox import SMALL_WABA, Fault, Sandbox

async def call(session, sandbox):
    async with session.get(f"{sandbox.url}/v23.0/{SMALL_WABA}/phone_numbers") as response:
        return await response.read()

async def main():
    asyncio.get_running_loop().slow_callback_duration = 60  # a busy machine is no error
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer x"}) as session:
        async with Sandbox() as sandbox:
            await call(session, sandbox)
            for fault in (Fault.drop_before(reset=True), Fault.drop_after(), Fault.cut(), Fault.delay(60)):
                sandbox.plan(fault, times=2)
            calls = [asyncio.create_task(call(session, sandbox)) for _ in range(8)]
            await asyncio.sleep(0.3)
        return await asyncio.gather(*calls, return_exceptions=True)

asyncio.run(main())
with Sandbox() as sandbox:
    pass
gc.collect()
""",
        encoding="utf-8",
    )
    command = [sys.executable, "-X", "dev", "-W", "error", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PACKAGE.parents[1])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_thread_serves_code_without_a_loop() -> None:
    with Sandbox(quota=2) as sandbox:
        assert len(sandbox.numbers(LARGE_WABA)) == 250
        sandbox.plan(Fault.status(500))
        assert asyncio.run(statuses(sandbox, 3)) == [500, 200, 200]
        sandbox.spend(SMALL_WABA, 1)
        assert asyncio.run(statuses(sandbox, 1)) == [400]
        assert len(sandbox.requests) == 4
        address = ("127.0.0.1", int(sandbox.url.rpartition(":")[2]))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    assert not any(thread.name == "graph-sandbox" for thread in threading.enumerate())


async def statuses(sandbox: Sandbox, count: int) -> list[int]:
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer token"}) as session:
        return [(await get(session, sandbox))[0] for _ in range(count)]
