"""No code and no PIN is in anything that people read, whatever fails and whatever the API echoes."""

import base64
import json
import pickle
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from misbehaving import Play, RawServer, hang_up, raw, reset, respond, time_out
from secrecy import (
    Call,
    check_cancelled,
    check_without_server,
    debugging,
    error_of,
    everything_logged,
    everything_shown,
)

from wa_phone_async import GraphAPIError, PhoneNumberClient, RetryPolicy, WaPhoneError
from wa_phone_async.redaction import HIDDEN, SecretBytes, redact
from wa_phone_async.sandbox import SMALL_WABA, Fault, Sandbox

TOKEN = "an-invented-token"
SECRET = "047183"
DASHED = "047-183"
ID = "300000001000000"
QUICK = RetryPolicy(first_wait=0.001, max_attempts=2)

CALLS: dict[str, Call] = {
    "verify_code": lambda client: client.verify_code(ID, DASHED),
    "register": lambda client: client.register(ID, pin=SECRET, timeout=30.0),
    "set_pin": lambda client: client.set_two_step_verification_pin(ID, SECRET),
}
each_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


def assert_no_secret(text: str) -> None:
    """No form of the secret is in the text by itself. Addresses and longer numbers may have its digits by chance."""
    text = re.sub(r"0x[0-9a-f]+", "", text)
    encoded = base64.b64encode(SECRET.encode()).decode()
    for form in (rf"(?<![0-9.]){SECRET}(?![0-9])", DASHED, encoded, rf"(?<![0-9.]){int(SECRET)}(?![0-9])"):
        assert not re.search(form, text), text


def assert_no_secret_in(error: BaseException) -> None:
    for text in everything_shown(error):
        assert_no_secret(text)


@pytest.fixture(autouse=True)
def quiet_logs(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(1)
    yield
    for text in everything_logged(caplog):
        assert_no_secret(text)


@asynccontextmanager
async def client_of(url: str, **settings: Any) -> AsyncIterator[PhoneNumberClient]:
    async with debugging(), PhoneNumberClient(TOKEN, base_url=url, retry=QUICK, **settings) as client:
        yield client


ECHO = f"{SECRET} ({quote(SECRET)}) {base64.b64encode(SECRET.encode()).decode()}"


@each_call
@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("code", [None, 1, 100, 190, 133005, 133008, 136025, 80008])
async def test_what_the_api_echoes_is_hidden_in_every_text(code: int | None, status: int, call: Call) -> None:
    fault = Fault.error(
        code,
        f"Wrong: {ECHO}",
        status=status,
        type=ECHO,
        user_title=ECHO,
        user_msg=ECHO,
        data={"details": ECHO, "sent": [{"pin": SECRET, "as_number": int(SECRET)}]},
        headers={"Retry-After": "0"},
    )
    with Sandbox() as sandbox:
        sandbox.plan(fault, times=9)
        async with client_of(sandbox.url) as client:
            error = await error_of(call, client)
        assert isinstance(error, WaPhoneError)
        assert_no_secret_in(error)
        assert_no_secret(repr(pickle.dumps(error)))
        assert_no_secret(repr(sandbox.requests))
        if isinstance(error, GraphAPIError):
            assert error.message.startswith(f"Wrong: {HIDDEN} ({HIDDEN}) {HIDDEN}")
            assert error.code == code


async def test_a_pin_with_the_digits_of_an_error_code_hides_no_code() -> None:
    body = '{"error":{"message":"(#133005) Wrong PIN 133005","code":"133005"}}'
    async with (
        RawServer([respond(body, status="400 Bad Request")]) as server,
        PhoneNumberClient(TOKEN, base_url=server.url) as client,
    ):
        with pytest.raises(GraphAPIError) as caught:
            await client.register(ID, pin="133005")
    assert (caught.value.code, caught.value.message) == (133005, f"(#{HIDDEN}) Wrong PIN {HIDDEN}")


@each_call
@pytest.mark.parametrize(
    "play",
    [
        pytest.param(hang_up, id="closed"),
        pytest.param(reset, id="reset"),
        pytest.param(time_out, id="time-out"),
        pytest.param(raw(f"HTTP/1.1 {ECHO}\r\n\r\n".encode()), id="garbage"),
        pytest.param(respond(f"<html>{ECHO}</html>"), id="html"),
        pytest.param(respond(f'{{"success":"{SECRET}"}}'), id="a wrong type"),
        pytest.param(respond(f'{{"id":"{SECRET}"}}'), id="an invalid value"),
        pytest.param(respond(f'{{"success":false,"pin":"{SECRET}"}}'), id="not successful"),
        pytest.param(respond(ECHO * 1000), id="larger than max_body"),
        pytest.param(respond(status="302 Found", headers=f"Location: https://x/?t={SECRET}\r\n"), id="a redirect"),
    ],
)
async def test_no_bad_response_makes_a_code_visible(play: Play, call: Call) -> None:
    async with RawServer([play]) as server, client_of(server.url, max_body=5000) as client:
        error = await error_of(call, client)
        assert isinstance(error, WaPhoneError)
        assert_no_secret_in(error)
        assert json.loads(server.requests[0].body)
        assert_no_secret(repr([request.target for request in server.requests]))


@each_call
async def test_a_missing_server_makes_no_code_visible(call: Call) -> None:
    await check_without_server(call, client_of, assert_no_secret_in)


@each_call
async def test_a_cancellation_makes_no_code_visible(call: Call) -> None:
    await check_cancelled(call, client_of, assert_no_secret_in)


@each_call
async def test_a_token_provider_that_fails_makes_no_code_visible(call: Call) -> None:
    def provide(*_: object) -> str:
        raise LookupError("no token")

    async with PhoneNumberClient(provide, base_url="http://127.0.0.1:9") as client:
        assert_no_secret_in(await error_of(call, client))


INVALID: dict[str, Call] = {
    "a code": lambda client: client.verify_code(ID, f"{DASHED} "),
    "bytes": lambda client: client.verify_code(ID, SECRET.encode()),  # type: ignore[arg-type]  # the mistake
    "a pin": lambda client: client.register(ID, pin=f"{SECRET}x"),
    "a region": lambda client: client.register(ID, pin=SECRET, data_localization_region="x"),
    "a time-out": lambda client: client.register(ID, pin=SECRET, timeout=-1),
    "an id": lambda client: client.register("x", pin=SECRET),
    "an account": lambda client: client.verify_code(ID, SECRET, waba_id="x"),
    "a new pin": lambda client: client.set_two_step_verification_pin(ID, DASHED),
}


@pytest.mark.parametrize("call", INVALID.values(), ids=INVALID)
async def test_an_invalid_argument_makes_no_code_visible(call: Call) -> None:
    async with client_of("http://127.0.0.1:9") as client:
        error = await error_of(call, client)
        assert isinstance(error, WaPhoneError)
        assert_no_secret_in(error)


async def test_without_errors_no_url_no_event_and_no_record_shows_a_code() -> None:
    shown = list[str]()

    async def note(_session: object, _context: object, params: Any) -> None:
        shown.append(f"{params.url} {params!r}")

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(note)
    trace.on_request_end.append(note)
    with Sandbox() as sandbox:
        async with client_of(
            sandbox.url, trace_configs=[trace], on_event=lambda event: shown.append(f"{event!r}")
        ) as client:
            number = sandbox.numbers(SMALL_WABA)[0]["id"]
            sandbox.update_number(SMALL_WABA, number, code_verification_status="NOT_VERIFIED")
            await client.request_code(number)
            await client.verify_code(number, sandbox.inbox[0].code)
            response = await client.set_two_step_verification_pin(number, SECRET)
            await client.register(number, pin=SECRET)
            shown.extend([repr(response), repr(sandbox.requests), repr(sandbox.inbox), repr(sandbox.webhooks)])
            code = sandbox.inbox[0].code.replace("-", "")
            assert all(code not in text for text in shown)
            for text in shown:
                assert_no_secret(text)


@given(st.from_regex(r"[0-9]{6}", fullmatch=True), st.text(st.sampled_from(" .,:;()=\n")), st.integers())
def test_a_secret_of_digits_is_hidden_as_a_number_too(secret: str, text: str, number: int) -> None:
    value = {"a": [int(secret), f"{text}{secret}{text}"], "b": number, "c": True, "d": 1.5}
    hidden = redact(value, (secret,))
    assert hidden["a"] == [HIDDEN, f"{text}{HIDDEN}{text}"]
    assert hidden["b"] == (HIDDEN if abs(number) == int(secret) else number)
    assert (hidden["c"], hidden["d"]) == (True, 1.5)


def test_secret_bytes_are_bytes_with_a_hidden_repr() -> None:
    secret = SecretBytes(b"pin")
    assert (secret, repr(secret)) == (b"pin", f"b'{HIDDEN}'")
