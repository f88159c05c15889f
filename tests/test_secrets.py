"""No token and no app secret is in anything that people read, whatever fails and whatever the API echoes."""

import asyncio
import base64
import json
import logging
import pickle
import re
import string
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from clients import next_retry
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from misbehaving import Play, RawServer, hang, hang_up, raw, reset, respond, time_out
from passing_time import settle
from secrecy import (
    Call,
    check_cancelled,
    check_without_server,
    debugging,
    error_of,
    everything_logged,
    everything_shown,
)

from wa_phone_async import (
    ALL_FIELDS,
    Event,
    GraphAPIError,
    GraphSession,
    InvalidArgumentError,
    PhoneNumberClient,
    RetryPolicy,
    TokenProvider,
    WaPhoneError,
)
from wa_phone_async.client import Settings
from wa_phone_async.sandbox import LARGE_WABA, SMALL_WABA, Fault, Sandbox, VirtualTimeLoop

TOKEN = "EAAcanary+/token=="
SECRET = "canary&app?secret"
NUMBER: dict[str, Any] = {"phone_number": "16315551000", "verified_name": "Acme", "cc": "1"}
QUICK = RetryPolicy(first_wait=0.001, max_attempts=2)
PASSWORD = "canary:of=a+proxy"
PROXY = f"http://canary-user:{quote(PASSWORD, safe='')}@127.0.0.1:1"
FORMS = [
    form
    for secret in (TOKEN, SECRET, PASSWORD, f"canary-user:{PASSWORD}")
    for form in (secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode().rstrip("="))
]


def assert_no_secret(text: str) -> None:
    for form in FORMS:
        assert form not in text, f"a secret is shown: …{text[max(0, text.index(form) - 300) : text.index(form)]}…"


def assert_no_secret_in(error: BaseException) -> None:
    for text in everything_shown(error):
        assert_no_secret(text)


@pytest.fixture(autouse=True)
def quiet_logs(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No log record of any logger at any level shows a secret, in asyncio's debug mode too."""
    caplog.set_level(1)
    yield
    for text in everything_logged(caplog):
        assert_no_secret(text)


@asynccontextmanager
async def client_of(url: str, token: str | TokenProvider = TOKEN, **settings: Any) -> AsyncIterator[PhoneNumberClient]:
    async with (
        debugging(),
        PhoneNumberClient(token, base_url=url, app_secret=SECRET, retry=QUICK, **settings) as client,
    ):
        yield client


async def read(client: PhoneNumberClient) -> object:
    return await client.list_phone_numbers(SMALL_WABA, fields="id")


async def write(client: PhoneNumberClient) -> object:
    return await client.create_phone_number(SMALL_WABA, **NUMBER)


reads_and_writes = pytest.mark.parametrize("call", [read, write], ids=["read", "write"])


ECHO = f"{TOKEN} {SECRET} {quote(TOKEN, safe='')} {base64.b64encode(TOKEN.encode()).decode()}"


@reads_and_writes
@pytest.mark.parametrize("status", [200, 400, 401, 500])
@pytest.mark.parametrize("code", [None, 100, 190, 80008, 2])
async def test_what_the_api_echoes_is_hidden_in_every_text(code: int | None, status: int, call: Call) -> None:
    fault = Fault.error(
        code,
        f"Malformed access token {ECHO}",
        status=status,
        type=ECHO,
        user_title=ECHO,
        user_msg=f"Sie senden {ECHO}",
        data={"details": ECHO, "deeper": [{ECHO: [ECHO]}], "number": 5},
        headers={"Retry-After": "0"},
    )
    with Sandbox() as sandbox:
        sandbox.plan(fault, times=9)
        async with client_of(sandbox.url) as client:
            error = await error_of(call, client)
        assert isinstance(error, WaPhoneError)
        assert_no_secret_in(error)
        if isinstance(error, GraphAPIError):
            assert error.message.startswith("Malformed access token [hidden] [hidden]")
            assert error.error_data


@reads_and_writes
async def test_an_error_that_is_only_a_text_is_hidden_too(call: Call) -> None:
    with Sandbox() as sandbox:
        sandbox.plan(Fault.raw(f'{{"error":"no {ECHO}"}}', status=400), times=9)
        async with client_of(sandbox.url) as client:
            assert_no_secret_in(await error_of(call, client))


@pytest.mark.graph_sandbox(tokens=["another"])
async def test_the_sandboxes_own_echo_is_hidden(graph_sandbox: Sandbox) -> None:
    async with client_of(graph_sandbox.url) as client:
        error = await error_of(read, client)
    assert "Malformed access token [hidden]" in str(error)
    assert_no_secret_in(error)


@reads_and_writes
async def test_the_token_of_an_earlier_attempt_is_hidden_too(call: Call) -> None:
    def provide(_: str, rejected: str | None) -> str:
        return TOKEN if rejected is None else "another"

    with Sandbox() as sandbox:
        sandbox.plan(Fault.error(190, ECHO, user_msg=ECHO), times=9)
        async with client_of(sandbox.url, provide) as client:
            error = await error_of(call, client)
    assert isinstance(error, WaPhoneError)
    assert error.attempts == 2
    assert_no_secret_in(error)


NEXT = f'"paging":{{"next":"https://graph.intern.facebook.com/?access_token={quote(TOKEN, safe="")}"}}'


@reads_and_writes
@pytest.mark.parametrize(
    "play",
    [
        pytest.param(hang_up, id="closed"),
        pytest.param(reset, id="reset"),
        pytest.param(time_out, id="time-out"),
        pytest.param(raw(f"HTTP/1.1 {ECHO}\r\n\r\n".encode()), id="garbage"),
        pytest.param(respond(f"<html>{ECHO}</html>"), id="html"),
        pytest.param(respond(f'{{"data":[],{NEXT}'), id="cut cleanly"),
        pytest.param(respond(f'{{"data":[{{}}],{NEXT}}}'), id="a row without id"),
        pytest.param(respond(f'{{"data":5,{NEXT}}}'), id="an invalid value"),
        pytest.param(respond(f'{{"data":[{{"id":["{TOKEN}"],"status":5}}],{NEXT}}}'), id="a wrong type"),
        pytest.param(respond(f'{{"data":[],{NEXT}}}'), id="next without a cursor"),
        pytest.param(respond(b"\xff" + ECHO.encode()), id="no utf-8"),
        pytest.param(respond(ECHO * 100), id="larger than max_body"),
        pytest.param(respond(ECHO, headers="Content-Encoding: gzip\r\n"), id="damaged gzip"),
        pytest.param(respond(f'["{ECHO}",' + "[" * 1500), id="nested too deep"),
        pytest.param(respond(status="302 Found", headers=f"Location: https://x/?t={TOKEN}\r\n"), id="a redirect"),
        pytest.param(
            respond(status="400 Bad Request", headers=f'WWW-Authenticate: OAuth "{ECHO}"\r\nSet-Cookie: t={TOKEN}\r\n'),
            id="headers",
        ),
    ],
)
async def test_no_bad_response_makes_a_secret_visible(play: Play, call: Call) -> None:
    async with RawServer([play]) as server, client_of(server.url, max_body=5000) as client:
        error = await error_of(call, client)
        assert isinstance(error, WaPhoneError)
        assert_no_secret_in(error)
        assert_no_secret(repr([request.target for request in server.requests]))


@reads_and_writes
async def test_a_missing_server_makes_no_secret_visible(call: Call) -> None:
    await check_without_server(call, client_of, assert_no_secret_in)


@reads_and_writes
async def test_a_cancellation_makes_no_secret_visible(call: Call) -> None:
    await check_cancelled(call, client_of, assert_no_secret_in)


async def test_a_cancellation_during_a_wait_makes_no_secret_visible() -> None:
    rejected = respond(f'{{"error":{{"message":"{TOKEN}","code":2}}}}', status="503 Service Unavailable")
    async with RawServer([rejected]) as server, debugging():
        long_wait = RetryPolicy(first_wait=60)
        async with PhoneNumberClient(TOKEN, base_url=server.url, app_secret=SECRET, retry=long_wait) as client:
            waiting = next_retry(client)
            task = asyncio.create_task(error_of(read, client))
            await waiting.wait()
            await settle()
            task.cancel()
            error = await task
            assert isinstance(error, asyncio.CancelledError)
            assert_no_secret_in(error)


async def test_closing_makes_no_secret_visible() -> None:
    async with RawServer([hang]) as server, client_of(server.url) as client:
        task = asyncio.create_task(error_of(read, client))
        await server.received.wait()
        await client.aclose()
        for error in (await task, await error_of(read, client)):
            assert_no_secret_in(error)


async def test_a_closed_borrowed_session_makes_no_secret_visible() -> None:
    async with aiohttp.ClientSession() as http:
        client = PhoneNumberClient(TOKEN, session=http, app_secret=SECRET)
    assert_no_secret_in(await error_of(read, client))


# Any token, in any form


Encode = Callable[[str], str]


def percent(text: str) -> str:
    return quote(text, safe="")


def base64_within(before: int, after: int, encode: Callable[[bytes], bytes]) -> Encode:
    """The token within a longer text: its place in a triple of bytes decides its Base64 form."""
    return lambda text: encode(b"x" * before + text.encode() + b"yz"[:after]).decode()


ENCODINGS: dict[str, Encode] = {
    "raw": str,
    "percent-encoded": percent,
    "percent-encoded in lower case": lambda text: re.sub("%..", lambda escape: escape[0].lower(), percent(text)),
    "percent-encoded but for slashes": quote,
    "percent-encoded twice": lambda text: percent(percent(text)),
    **{
        f"Base64, {before} bytes before, {after} after, {encode.__name__}": base64_within(before, after, encode)
        for before in range(3)
        for after in range(3)
        for encode in (base64.standard_b64encode, base64.urlsafe_b64encode)
    },
}
CODES = (None, 2, 4, 100, 190, 80008)


def forms_of(secret: str) -> Iterator[str]:
    """The forms of a secret that must be nowhere. Of Base64, only the part that does not depend on its neighbours."""
    for name, encode in ENCODINGS.items():
        form = encode(secret)
        yield form[4:-4] if name.startswith("Base64") else form


def error_with(echo: str, code: int | None) -> Play:
    error = {"message": echo, "type": echo, "code": code, "fbtrace_id": echo, "error_user_title": f"Sie senden {echo}"}
    more = {"error_user_msg": echo, "is_transient": echo, "error_subcode": echo, "error_data": {echo: [echo]}}
    challenge = f'WWW-Authenticate: OAuth "Facebook Platform" "invalid_token" "{echo}"\r\nRetry-After: 0\r\n'
    return respond(json.dumps({"error": {**error, **more}}), status="400 Bad Request", headers=challenge)


PLACES: dict[str, Callable[[str], Play]] = {
    **{f"an error {code}": partial(error_with, code=code) for code in CODES},
    "a text for an error": lambda echo: respond(json.dumps({"error": echo}), status="500 Oops"),
    "an error's code": lambda echo: respond(json.dumps({"error": {"code": echo}}), status="400 No"),
    "an HTML page": lambda echo: respond(f"<html>{echo}</html>", status="502 Bad Gateway"),
    "the status line": lambda echo: respond("{}", status=f"401 {echo}"),
    "no HTTP": lambda echo: raw(f"HTTP/9 {echo}\r\n\r\n".encode()),
    "a header without a colon": lambda echo: raw(f"HTTP/1.1 200 OK\r\n{echo}\r\n\r\n".encode()),
    "all headers": lambda echo: respond(
        status="429 Too Many",
        headers="".join(
            f"{name}: {echo}\r\n"
            for name in ("facebook-api-version", "X-App-Usage", "X-Business-Use-Case-Usage", "Retry-After", "Date", "X")
        ),
    ),
    "a redirect": lambda echo: respond(status="302 Found", headers=f"Location: https://x/?t={echo}\r\n"),
    "a next link": lambda echo: respond(
        json.dumps({"data": [], "paging": {"next": f"https://x/?access_token={echo}"}})
    ),
    "a row": lambda echo: respond(json.dumps({"data": [{"id": [echo], "status": 5}]})),
    "a member's name": lambda echo: respond(json.dumps({"data": [{echo: echo}], "id": [5], echo: 5})),
    "an array": lambda echo: respond(json.dumps([echo])),
    "half a response": lambda echo: respond(f'{{"data":[{{"id":"{echo}'),
}

LETTERS_AND_DIGITS = string.ascii_letters + string.digits
tokens = st.builds(  # begins as a real one, so it cannot be a name of ours
    "EAAG{}".format,
    st.text(LETTERS_AND_DIGITS, min_size=16, max_size=196)
    | st.text(LETTERS_AND_DIGITS + "+/=%|._-~&?#", min_size=16, max_size=80),
)


class LogCollector(logging.Handler):
    """Collects all log records of every level."""

    def __init__(self) -> None:
        super().__init__(1)
        self.texts = list[str]()

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(f"{self.format(record)} {vars(record)!r}")


async def all_that_is_shown(play: Play, call: Call, token: str, secret: str) -> list[str]:
    """All that a response makes visible: the error in each form, the events, and the log."""
    events, collector, log = list[Event](), LogCollector(), logging.getLogger()
    log.addHandler(collector)
    try:
        async with RawServer([play]) as server:
            how: Settings = {"retry": QUICK, "app_secret": secret, "on_event": events.append, "base_url": server.url}
            async with PhoneNumberClient(token, **how) as client:
                error = await error_of(call, client)
                texts = [repr(client), repr(client.session), repr(client.last_usage(SMALL_WABA))]
    finally:
        log.removeHandler(collector)
    assert isinstance(error, WaPhoneError)
    return [*texts, repr(events), *collector.texts, *everything_shown(error), pickle.dumps(error).decode("latin-1")]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    secrets=st.tuples(tokens, tokens),
    echoed=st.integers(0, 1),
    encode=st.sampled_from([*ENCODINGS]),
    place=st.sampled_from([*PLACES]),
    call=st.sampled_from([read, write]),
)
def test_no_form_of_an_echoed_secret_is_shown(
    secrets: tuple[str, str], echoed: int, encode: str, place: str, call: Call
) -> None:
    play = PLACES[place](ENCODINGS[encode](secrets[echoed]))
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        shown = runner.run(all_that_is_shown(play, call, *secrets))
    for secret in secrets:
        for form in forms_of(secret):
            assert not [text for text in shown if form in text]


# Arguments and providers


@pytest.mark.parametrize(
    "arguments",
    [
        {"access_token": TOKEN.encode()},
        {"access_token": f"{TOKEN}\n{TOKEN}"},
        {"access_token": f"Bearer {TOKEN}"},
        {"access_token": f"'{TOKEN}'"},
        {"access_token": f"two {TOKEN}"},
        {"access_token": [TOKEN]},
        {"access_token": TOKEN, "app_secret": SECRET.encode()},
        {"access_token": TOKEN, "app_secret": f"{SECRET} {SECRET}"},
        {"access_token": TOKEN, "app_secret": SECRET, "api_version": "23"},
        {"access_token": TOKEN, "app_secret": SECRET, "base_url": "ftp://x"},
        {"access_token": TOKEN, "app_secret": SECRET, "timeout": 0},
        {"access_token": TOKEN, "app_secret": SECRET, "max_body": 0},
        {"access_token": TOKEN, "app_secret": SECRET, "session": "none"},
        {"access_token": TOKEN, "proxy": PROXY, "timeout": 0},
        {"access_token": TOKEN, "proxy": PROXY, "trust_env": "yes"},
        {"access_token": TOKEN, "proxy": PROXY.encode()},
        {"access_token": TOKEN, "proxy": f"{PROXY}\r\nX: 1"},
        {"access_token": TOKEN, "proxy": f"{PROXY}/path"},
        {"access_token": TOKEN, "proxy": f"{PROXY}..invalid"},
        {"access_token": TOKEN, "proxy": PROXY.replace("http", "socks5")},
        {"access_token": TOKEN, "proxy": PROXY.partition("//")[2]},
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("kind", [PhoneNumberClient, GraphSession])
def test_an_invalid_setting_makes_no_secret_visible(kind: type[Any], arguments: dict[str, Any]) -> None:
    error = error_of_making(lambda: kind(**arguments))
    assert_no_secret_in(error)


def error_of_making(make: Callable[[], object]) -> InvalidArgumentError:
    """The error without the frames of this module: their variables are the caller's own."""
    try:
        make()
    except InvalidArgumentError as error:
        frames = error.__traceback__
        while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
            frames = frames.tb_next
        return error.with_traceback(frames)
    raise AssertionError("it was valid")


@pytest.mark.parametrize("value", [f"{PROXY}/path", f"{PROXY}..invalid", PROXY.replace("http", "socks5"), f"{PROXY} x"])
def test_an_invalid_proxy_of_the_environment_makes_no_secret_visible(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    monkeypatch.setenv("WA_ACCESS_TOKEN", TOKEN)
    for make in (lambda: PhoneNumberClient.from_env(trust_env=True), lambda: GraphSession(TOKEN, trust_env=True)):
        error = error_of_making(make)
        assert error.argument == "HTTPS_PROXY"
        assert_no_secret_in(error)


ECHO_OF_A_PROXY = f"{PASSWORD} {base64.b64encode(f'canary-user:{PASSWORD}'.encode()).decode()} {PROXY}"


@reads_and_writes
@pytest.mark.parametrize(
    "play",
    [
        pytest.param(hang_up, id="closed"),
        pytest.param(reset, id="reset"),
        pytest.param(hang, id="time-out"),
        *(
            pytest.param(
                respond(f"<html>{ECHO_OF_A_PROXY}", status=f"{status} {ECHO_OF_A_PROXY}", headers="Retry-After: 0\r\n"),
                id=str(status),
            )
            for status in (200, 302, 403, 407, 429, 502)
        ),
        pytest.param(respond(json.dumps({"error": {"message": ECHO_OF_A_PROXY}}), status="400 No"), id="an error"),
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_the_password_of_a_proxy_is_shown_nowhere(scheme: str, play: Play, call: Call) -> None:
    async with (
        RawServer([play]) as proxy,
        client_of(f"{scheme}://graph.test", proxy=PROXY.replace(":1", f":{proxy.port}"), timeout=0.2) as client,
    ):
        error = await error_of(call, client)
        assert isinstance(error, WaPhoneError)
        assert_no_secret_in(error)
        assert_no_secret(f"{client!r} {client.session!r} {client.session._transports.route!r}")


async def test_the_password_of_a_proxy_of_a_borrowed_session_is_shown_nowhere() -> None:
    for invalid in ("127.0.0.1:99999", "[::1", "proxy..example"):
        async with aiohttp.ClientSession(proxy=PROXY.replace("127.0.0.1:1", invalid)) as http:
            client = PhoneNumberClient(TOKEN, session=http, app_secret=SECRET, retry=QUICK)
            for call in (read, write):
                error = await error_of(call, client)
                assert isinstance(error, WaPhoneError)
                assert_no_secret_in(error)


def test_from_env_makes_no_secret_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WA_ACCESS_TOKEN", TOKEN)
    monkeypatch.setenv("WA_APP_SECRET", SECRET)
    monkeypatch.setenv("WA_API_VERSION", "none")
    makes: list[Callable[[], object]] = [
        PhoneNumberClient.from_env,
        lambda: PhoneNumberClient.from_env(app_secret=f"{SECRET} {SECRET}"),
        lambda: PhoneNumberClient.from_env(app_secret=SECRET, timeout=0),
    ]
    for make in makes:
        assert_no_secret_in(error_of_making(make))
    monkeypatch.setenv("WA_ACCESS_TOKEN", "")
    assert_no_secret_in(error_of_making(makes[2]))


async def late_and_invalid(*_: object) -> str:
    await asyncio.sleep(0)
    return f"two {TOKEN}"


@pytest.mark.parametrize(
    "provider",
    [
        pytest.param(lambda *_: f"{TOKEN}\n{TOKEN}", id="a line break"),
        pytest.param(lambda *_: TOKEN.encode(), id="bytes"),
        pytest.param(late_and_invalid, id="async"),
    ],
)
@reads_and_writes
async def test_an_invalid_token_of_a_provider_makes_no_secret_visible(provider: TokenProvider, call: Call) -> None:
    async with client_of("http://127.0.0.1:9", provider) as client:
        error = await error_of(call, client)
    assert isinstance(error, InvalidArgumentError)
    assert_no_secret_in(error)


async def test_a_provider_that_fails_after_a_rejection_makes_no_secret_visible() -> None:
    def provide(_: str, rejected: str | None) -> str:
        if rejected is not None:
            raise LookupError("no other token")
        return TOKEN

    with Sandbox(tokens=["another"]) as sandbox:
        async with client_of(sandbox.url, provide) as client:
            error = await error_of(read, client)
    assert isinstance(error, LookupError)
    assert_no_secret_in(error)


@pytest.mark.parametrize("arguments", [{"limit": 0}, {"fields": ""}, {"after": "A", "before": "B"}], ids=str)
async def test_an_invalid_argument_makes_no_secret_visible(arguments: dict[str, Any]) -> None:
    async with client_of("http://127.0.0.1:9") as client:
        with pytest.raises(InvalidArgumentError) as caught:
            client.list_phone_numbers(SMALL_WABA, **arguments)
        assert_no_secret_in(caught.value)


# Without errors


async def test_no_url_has_a_secret_and_no_repr_shows_one() -> None:
    urls: list[str] = []

    async def note(_session: object, _context: object, params: aiohttp.TraceRequestStartParams) -> None:
        urls.append(f"{params.url} {params.headers!r}")

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(note)
    with Sandbox(app_secret=SECRET) as sandbox:
        async with client_of(sandbox.url, trace_configs=[trace]) as client:
            paginator = client.list_phone_numbers(LARGE_WABA)
            page = await paginator.first_page()
            await paginator
            created = await write(client)
            rows: object = await client.session.get(f"{LARGE_WABA}/phone_numbers", dict, {"limit": "1"})
            for thing in (client, client.session, paginator, page, created, rows):
                assert_no_secret(f"{thing!r} {thing!s}")
        for request in sandbox.requests:
            assert_no_secret(f"{request.path} {dict(request.query)!r}")
    assert len(urls) == len(sandbox.requests)
    assert_no_secret(" ".join(urls))


async def test_the_token_goes_to_our_own_host_alone() -> None:
    async with RawServer([respond('{"data":[]}')]) as other:
        for status in ("301 Moved", "307 Temporary"):
            moved = respond(status=status, headers=f"Location: {other.url}/\r\n")
            async with RawServer([moved]) as server, client_of(server.url) as client:
                for call in (read, write):
                    assert isinstance(await error_of(call, client), WaPhoneError)
        linked = respond(f'{{"data":[],"paging":{{"cursors":{{"after":"A"}},"next":"{other.url}/?after=A"}}}}')
        async with RawServer([linked, respond('{"data":[]}')]) as server, client_of(server.url) as client:
            assert await read(client) == []
            assert len(server.requests) == 2
    assert other.connections == 0


# A short token


@pytest.mark.graph_sandbox(mode="live")
@pytest.mark.parametrize("token", ["t", "unified_cert_status", "field", "100"])
async def test_a_toy_token_breaks_no_call_and_garbles_no_message(graph_sandbox: Sandbox, token: str) -> None:
    async with PhoneNumberClient(token, base_url=graph_sandbox.url, retry=QUICK) as client:
        numbers = await client.list_phone_numbers(SMALL_WABA, fields=ALL_FIELDS)
        assert {number.id for number in numbers} == {row["id"] for row in graph_sandbox.numbers(SMALL_WABA)}
        await client.wait_until(numbers[0].id, lambda number: bool(number.id), total_timeout=5)
        graph_sandbox.plan(Fault.error(3, "(#3) Application does not have the capability to make this API call"))
        with pytest.raises(GraphAPIError) as caught:
            await client.get_phone_number(numbers[0].id)
        assert caught.value.message == "(#3) Application does not have the capability to make this API call"
