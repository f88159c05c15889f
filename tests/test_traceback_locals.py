"""No local variable of any frame shows a secret, whichever call breaks, and at whichever moment.

Sentry and rich show these variables. So each public operation runs with secrets that a search finds, and breaks: before
its first step, after each step of the loop, by a time-out, by a connection that is cut, and by a bad response.
"""

import asyncio
import importlib.util
import inspect
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Unpack

import aiohttp
import pytest
from misbehaving import Connection, Play, RawServer, hang, hang_up, raw, reset, respond, time_out
from passing_time import settle
from secrecy import everything_shown

from wa_phone_async import (
    BulkEdit,
    GraphSession,
    InvalidArgumentError,
    ListQuery,
    PhoneNumberCache,
    PhoneNumberClient,
    RetryPolicy,
    TokenProvider,
    Write,
)
from wa_phone_async.call.tokens import appsecret_proof
from wa_phone_async.client import Settings
from wa_phone_async.export import write
from wa_phone_async.files.lines_on_disk import make_line
from wa_phone_async.redaction import Secret

TOKEN = "EAAcanary" + "0Zk9" * 40
SECRET = "c0ffee" * 5 + "c0"
PIN = "271828"
CODE = "314-159"
PROOF = str(appsecret_proof(TOKEN, SECRET))
VERIFY = "canary-of-a-verify-token"
URL = "https://shop.example/hook"
CANARIES = (TOKEN, SECRET, PROOF, CODE, PIN, "314159", VERIFY)
PARTS = [part for canary in CANARIES for part in {canary[:24], canary[-24:]}]
WABA, ID = "100200300400003", "300000001000000"
NUMBER: dict[str, Any] = {"phone_number": "16315551000", "verified_name": "Acme", "cc": "1"}
QUICK = RetryPolicy(first_wait=0.001, max_attempts=2)

Operation = Callable[[PhoneNumberClient, Path], Awaitable[object]]


async def read_pages(client: PhoneNumberClient, _: Path) -> None:
    async with client.list_phone_numbers(WABA, read_ahead=2) as paginator:
        async for page in paginator.pages():
            assert page.data is not None


async def check_health(client: PhoneNumberClient, _: Path) -> None:
    await client.check_health([WABA, "7"])


async def audit_webhooks(client: PhoneNumberClient, _: Path) -> None:
    await client.audit_webhooks([WABA, "7"])


async def set_webhooks(client: PhoneNumberClient, directory: Path) -> None:
    journal = directory / f"{random.random()}"
    await tell(client.set_webhooks([ID], URL, verify_token=VERIFY, journal=journal))


async def clear_webhooks(client: PhoneNumberClient, directory: Path) -> None:
    await tell(client.clear_webhooks([WABA], on="accounts", journal=directory / f"{random.random()}"))


async def undo_webhooks(client: PhoneNumberClient, directory: Path) -> None:
    values = {"old": {"subscribed": True, "url": URL}, "new": {"subscribed": False, "url": None}}
    past = past_journal(directory, client, "webhooks.set", {"kind": "account", "target": WABA, **values})
    await tell(client.undo_webhooks(past, verify_tokens={URL: VERIFY}, journal=past.with_suffix(".undo"), app_id="7"))


def past_journal(directory: Path, client: PhoneNumberClient, kind: str, edit: dict[str, Any]) -> Path:
    """Write the journal of one edit that is done. It is no operation, so it does not use the package."""
    path, plan = directory / f"{random.random()}", {"edit": kind, "base_url": client.session.base_url}
    content, checksum = b"", 0
    header = {"journal": "wa_phone_async edits", "version": 1, "plan": plan, "id": "7"}
    for entry in (header, {"edit": edit}, {"of": 0, "state": "done"}):
        line, checksum = make_line(entry, checksum)
        content += line
    path.write_bytes(content)
    return path


async def tell(edits: BulkEdit) -> None:
    for edit in (await edits).edits:
        if edit.why is not None:  # no error has it, so this one shows it
            raise LookupError(edit.why)


async def list_many(client: PhoneNumberClient, _: Path) -> None:
    async with client.list_many([WABA, "7"]) as listings:
        async for listing in listings:
            if listing.error:
                raise listing.error


async def list_fleet(client: PhoneNumberClient, _: Path) -> None:
    async with client.list_fleet("7") as listings:
        async for listing in listings:
            if listing.error:
                raise listing.error


async def watch(client: PhoneNumberClient, _: Path) -> None:
    async for change in client.watch(WABA, interval=0.001):
        assert change.field


async def diagnose(client: PhoneNumberClient, _: Path) -> None:
    while True:  # it ends in no error
        assert "EAAcanary" not in repr(await client.diagnose())
        await asyncio.sleep(0)


async def read_cache(client: PhoneNumberClient, _: Path) -> object:
    return await PhoneNumberCache(client).phone_numbers(WABA)


async def export(client: PhoneNumberClient, directory: Path) -> object:
    return await write(client.list_phone_numbers(WABA), directory / "numbers.jsonl")


async def paginate(client: PhoneNumberClient, _: Path) -> object:
    return await client.session.paginate(f"{WABA}/message_templates", dict)


async def get_business_profiles(client: PhoneNumberClient, _: Path) -> None:
    for each in await client.get_business_profiles([ID]):
        if each.error is not None:
            raise each.error


async def update_business_profiles(client: PhoneNumberClient, directory: Path) -> None:
    await tell(client.update_business_profiles([ID], about="New", journal=directory / f"{random.random()}"))


async def undo_business_profiles(client: PhoneNumberClient, directory: Path) -> None:
    edit = {"kind": "number", "target": ID, "old": {"about": "Old"}, "new": {"about": "New"}}
    past = past_journal(directory, client, "profiles.update", edit)
    await tell(client.undo_business_profiles(past, journal=past.with_suffix(".undo")))


OPERATIONS: dict[str, Operation] = {
    "list_phone_numbers": lambda client, _: client.list_phone_numbers(WABA, fields="id").collect(),
    "start_list": lambda client, _: client.start_list(WABA, ListQuery()).collect(),
    "pages": read_pages,
    "list_many": list_many,
    "list_fleet": list_fleet,
    "check_health": check_health,
    "watch": watch,
    "wait_until": lambda client, _: client.wait_until(ID, lambda _: False, interval=0.001),
    "list_business_accounts": lambda client, _: client.list_business_accounts("7").collect(),
    "list_token_accounts": lambda client, _: client.list_token_accounts(),
    "inspect_token": lambda client, _: client.session.inspect_token(),
    "diagnose": diagnose,
    "get_phone_number": lambda client, _: client.get_phone_number(ID),
    "create_phone_number": lambda client, _: client.create_phone_number(WABA, **NUMBER),
    "request_code": lambda client, _: client.request_code(ID),
    "verify_code": lambda client, _: client.verify_code(ID, CODE),
    "register": lambda client, _: client.register(ID, pin=PIN),
    "deregister": lambda client, _: client.deregister(ID),
    "set_two_step_verification_pin": lambda client, _: client.set_two_step_verification_pin(ID, PIN),
    "request_display_name": lambda client, _: client.request_display_name(ID, "Acme"),
    "wait_for_display_name": lambda client, _: client.wait_for_display_name(ID, "Acme", interval=0.001),
    "get_username": lambda client, _: client.get_username(ID),
    "suggest_usernames": lambda client, _: client.suggest_usernames(ID),
    "claim_username": lambda client, _: client.claim_username(ID, "acme"),
    "release_username": lambda client, _: client.release_username(ID),
    "ensure_phone_number": lambda client, _: client.ensure_phone_number(WABA, **NUMBER, recheck_delays=()),
    "get_business_profile": lambda client, _: client.get_business_profile(ID),
    "get_business_profiles": get_business_profiles,
    "update_business_profile": lambda client, _: client.update_business_profile(ID, about="New"),
    "update_business_profiles": update_business_profiles,
    "undo_business_profiles": undo_business_profiles,
    "get": lambda client, _: client.session.get(WABA, dict),
    "paginate": paginate,
    "post": lambda client, _: client.session.post(Write(path=f"{ID}/register", body={"pin": Secret(PIN)}), dict),
    "audit_webhooks": audit_webhooks,
    "set_webhooks": set_webhooks,
    "clear_webhooks": clear_webhooks,
    "undo_webhooks": undo_webhooks,
    "cache": read_cache,
    "export": export,
}
WITHOUT_REQUEST = {"__init__", "aclose", "dispatch", "from_env", "last_usage", "shortest_timeout", "subscribe"}
WITHOUT_REQUEST |= {"start_fleet"}  # `list_fleet` is made of it
each_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)


@pytest.mark.parametrize("kind", [PhoneNumberClient, GraphSession])
def test_every_public_operation_is_among_them(kind: Any) -> None:
    methods = {name for name, _ in inspect.getmembers(kind, callable) if not name.startswith("_")}
    assert methods - WITHOUT_REQUEST - OPERATIONS.keys() == set()


# --- what is shown


def secrets_shown(error: BaseException) -> set[str]:
    """The lines that show a secret, or the beginning or the end of one."""
    lines = (line for text in (*everything_shown(error), *rich_locals(error)) for line in text.splitlines())
    return {line for line in lines if any(is_in(part, line) for part in PARTS)}


def is_in(secret: str, line: str) -> bool:
    """Whether a line has a secret. Addresses and longer numbers may have the digits of a short one by chance."""
    if secret not in line or not secret.isdecimal():
        return secret in line
    return bool(re.search(rf"(?<![0-9.]){secret}(?![0-9])", re.sub("0x[0-9a-f]+", "", line)))


def rich_locals(error: BaseException) -> Iterator[str]:
    """The local variables as rich shows them: only the first 80 characters of a string."""
    if not importlib.util.find_spec("rich"):  # of the extra `cli`
        return
    pretty = importlib.import_module("rich.pretty")
    pending: list[BaseException | None] = [error]
    while pending:
        link = pending.pop()
        frames = link.__traceback__ if link is not None else None
        while frames is not None:
            for value in frames.tb_frame.f_locals.values():
                yield pretty.traverse(value, max_length=10, max_string=80).render()
            frames = frames.tb_next
        pending += [] if link is None else [link.__cause__, link.__context__]


def test_the_search_finds_what_it_is_for() -> None:
    def fail(pin: str, token: str) -> None:
        raise KeyError(len(pin), len(token))

    with pytest.raises(KeyError) as caught:
        fail(PIN, TOKEN)
    shown = secrets_shown(caught.value)
    assert f"    pin = {PIN!r}" in shown
    assert f"    token = {TOKEN!r}" in shown


# --- what breaks

TOKEN_IN_HEADERS = f"Set-Cookie: t={TOKEN}\r\nX-Echo: {SECRET} {PIN}\r\n"
NEXT = f'"paging":{{"cursors":{{"after":"A"}},"next":"https://x/?access_token={TOKEN}&after=A"}}'
PAGE = respond(f'{{"id":"7","success":true,"data":[{{"id":"7"}}],{NEXT}}}', headers=TOKEN_IN_HEADERS)
LAST = respond('{"id":"7","success":true,"data":[]}', headers=TOKEN_IN_HEADERS)
HEAD = f"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n{TOKEN_IN_HEADERS}\r\n".encode()


async def provide(_: str, rejected: str | None) -> str:
    await asyncio.sleep(0)
    return TOKEN if rejected is None else f"{TOKEN}2"


@asynccontextmanager
async def client_of(
    url: str, token: str | TokenProvider = TOKEN, **settings: Unpack[Settings]
) -> AsyncIterator[PhoneNumberClient]:
    settings = {"base_url": url, "app_secret": SECRET, "retry": QUICK, **settings}
    async with PhoneNumberClient(token, **settings) as client:
        yield client


async def end_of(operation: Operation, client: PhoneNumberClient, directory: Path) -> BaseException | None:
    """The error of an operation, or that of its cancellation: those that poll go on after errors."""
    task = asyncio.ensure_future(operation(client, directory))
    for _ in range(100):
        await asyncio.sleep(0 if task.done() else 0.001)
    return await cancelled(task)


async def cancelled(task: asyncio.Future[object]) -> BaseException | None:
    """The error of a task that is cancelled now, with all of its frames."""
    task.cancel()
    try:
        await task
    except (AttributeError, TypeError):
        raise  # the operation is written wrongly here
    except BaseException as error:  # noqa: BLE001 - a cancellation is one too
        return error
    return None


@pytest.mark.unmeasured
@each_operation
@pytest.mark.parametrize("token", [TOKEN, provide], ids=["token", "provider"])
async def test_a_cancellation_after_any_step_shows_no_secret(
    operation: Operation, token: str | TokenProvider, tmp_path: Path
) -> None:
    async with RawServer([PAGE, LAST, LAST, LAST, PAGE]) as server:
        for steps in range(150):
            server.requests.clear()
            async with client_of(server.url, token) as client:
                task = asyncio.ensure_future(operation(client, tmp_path))
                for _ in range(steps):
                    await asyncio.sleep(0)
                was_done = task.done()
                error = await cancelled(task)
            if error is not None:
                assert secrets_shown(error) == set(), f"after {steps} steps"
            if was_done:
                break


@each_operation
async def test_an_end_before_the_first_step_shows_no_secret(operation: Operation, tmp_path: Path) -> None:
    async with client_of("http://127.0.0.1:9") as client:
        not_started = operation(client, tmp_path)
        assert isinstance(not_started, Coroutine)
        with pytest.raises(KeyError) as caught:
            not_started.throw(KeyError())
        assert secrets_shown(caught.value) == set()


async def stall(connection: Connection) -> None:
    await connection.send(HEAD + b'{"data":[')
    await settle()
    await time_out(connection)


@pytest.mark.unmeasured
@each_operation
@pytest.mark.parametrize("play", [time_out, stall])
@pytest.mark.parametrize(("own", "around"), [(7200.0, 30.0), (30.0, None)], ids=["around the call", "of the client"])
async def test_a_time_out_shows_no_secret(
    operation: Operation, play: Play, own: float, around: float | None, tmp_path: Path
) -> None:
    async def limited(client: PhoneNumberClient, directory: Path) -> None:
        async with asyncio.timeout(around):
            await operation(client, directory)

    async with RawServer([play, play, hang]) as server, client_of(server.url, timeout=own) as client:
        error = await end_of(limited, client, tmp_path)
        assert error is not None
        assert secrets_shown(error) == set()


def cut(_: str, end: int) -> Play:
    return raw((HEAD + b'{"data":[]}')[:end])


def rejected(echo: str, code: int) -> Play:
    return respond(f'{{"error":{{"code":{code},"message":"{echo}"}}}}', status="400 Bad Request")


BREAKS: dict[str, Callable[[str], Play]] = {
    "closed": lambda _: hang_up,
    "reset": lambda _: reset,
    **{f"cut after {end} bytes": partial(cut, end=end) for end in (1, 12, 20, 60, len(HEAD), len(HEAD) + 5)},
    "not HTTP": lambda echo: raw(f"HTTP/9 {echo}\r\n\r\n".encode()),
    "a bad header": lambda echo: raw(f"HTTP/1.1 200 OK\r\n{echo}\r\n\r\n".encode()),
    "not JSON": respond,
    "cut JSON": lambda echo: respond(f'{{"data":[{{"id":"{echo}'),
    "invalid values": lambda echo: respond(f'{{"data":[{{"id":["{echo}"]}}],"id":["{echo}"],"success":["{echo}"]}}'),
    "too large": lambda echo: respond(f'{{"echo":"{echo * 200}"}}'),
    "damaged gzip": lambda echo: respond(echo, headers="Content-Encoding: gzip\r\n"),
    "a redirect": lambda echo: respond(status="302 Found", headers=f"Location: https://x/?t={echo}\r\n"),
    **{f"error {code}": partial(rejected, code=code) for code in (1, 100, 190, 133005, 136025)},
}
OF_A_WRITE = {"verify_code": "314159", "register": PIN, "set_two_step_verification_pin": PIN, "post": PIN}


@pytest.mark.unmeasured
@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("make_play", BREAKS.values(), ids=BREAKS)
async def test_a_bad_response_shows_no_secret(name: str, make_play: Callable[[str], Play], tmp_path: Path) -> None:
    echo = f"{TOKEN} {SECRET} {PROOF} {OF_A_WRITE.get(name, '')}"
    async with RawServer([make_play(echo)]) as server, client_of(server.url, max_body=5000) as client:
        if error := await end_of(OPERATIONS[name], client, tmp_path):  # a `dict` may have any values
            assert secrets_shown(error) == set()


HOOKS = ("on_request_start", "on_request_headers_sent", "on_connection_create_start", "on_response_chunk_received")


@pytest.mark.unmeasured
@each_operation
@pytest.mark.parametrize("hook", HOOKS)
async def test_a_hook_of_a_borrowed_session_that_fails_shows_no_secret(
    operation: Operation, hook: str, tmp_path: Path
) -> None:
    async def fail(*_: object) -> None:
        raise LookupError

    trace = aiohttp.TraceConfig()
    getattr(trace, hook).append(fail)
    async with (
        RawServer([LAST]) as server,
        aiohttp.ClientSession(trace_configs=[trace]) as http,
        PhoneNumberClient(TOKEN, session=http, base_url=server.url, app_secret=SECRET, retry=QUICK) as client,
    ):
        if error := await end_of(operation, client, tmp_path):
            assert secrets_shown(error) == set()


async def test_a_parameter_that_must_not_be_there_is_not_shown() -> None:
    async with client_of("http://127.0.0.1:9") as client:
        for name, value in (("access_token", TOKEN), ("appsecret_proof", PROOF), ("input_token", TOKEN)):
            with pytest.raises(InvalidArgumentError) as caught:
                await client.session.get(WABA, dict, {name: value})
            assert secrets_shown(own_frames(caught.value)) == set()
            with pytest.raises(InvalidArgumentError) as caught:
                client.session.paginate(WABA, dict, {name: value})
            assert secrets_shown(own_frames(caught.value)) == set()


def own_frames(error: BaseException) -> BaseException:
    """The error without the frames of this file."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    return error.with_traceback(frames)
