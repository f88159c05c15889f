"""The writes on a number: what each sends, when it is retried, and what its error says after a lost response."""

import asyncio
import json
import logging
import pickle
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import aiohttp
import attrs
import clients
import pytest
from clients import TOKEN
from misbehaving import Play, RawServer, hang, hang_up, raw, reset, respond, time_out

from wa_phone_async import (
    AuthenticationError,
    BadRequestError,
    Extra,
    GraphAPIError,
    InvalidArgumentError,
    OutcomeUnknownError,
    PhoneNumber,
    PhoneNumberClient,
    RateLimitError,
    RetryPolicy,
    SuccessResponse,
    Throttle,
    TransportError,
    Write,
)
from wa_phone_async.call.writes import verify_code
from wa_phone_async.events import CallFinished
from wa_phone_async.redaction import HIDDEN, Secret
from wa_phone_async.sandbox import EMPTY_WABA, SEEDED_PIN, SMALL_WABA, Fault, Sandbox

CODE, PIN = "471830", "905172"
ID = "300000001000000"
"""A number of the small account, which is registered."""

QUICK = RetryPolicy(first_wait=0.001, max_attempts=3)
serving, against = partial(clients.serving, retry=QUICK), partial(clients.against, retry=QUICK)


@attrs.frozen
class Case:
    """One of the writes: how it is called, what arrives, and what its error says."""

    name: str
    call: Callable[..., Awaitable[SuccessResponse]]
    path: str
    body: dict[str, Any]
    field: str | None
    advice: str
    method: str = "POST"


WRITES = [
    Case(
        "request_code",
        lambda client, **options: client.request_code(ID, **options),
        f"{ID}/request_code",
        {"code_method": "SMS", "language": "en_US"},
        None,
        f"A code may have been sent to {ID}, and no field shows it. Wait for the code before you request another: "
        "Meta counts requests.",
    ),
    Case(
        "verify_code",
        lambda client, **options: client.verify_code(ID, CODE, **options),
        f"{ID}/verify_code",
        {"code": CODE},
        "code_verification_status",
        f"The code may have been accepted. Then code_verification_status of {ID} is VERIFIED: read it before you send "
        "a code again. Meta counts wrong codes.",
    ),
    Case(
        "register",
        lambda client, **options: client.register(ID, pin=PIN, **options),
        f"{ID}/register",
        {"messaging_product": "whatsapp", "pin": PIN},
        "host_platform",
        f"{ID} may be registered, or may be so soon. Then its host_platform (or platform_type) is CLOUD_API and "
        "is_pin_enabled is true: read them before you register it again.",
    ),
    Case(
        "deregister",
        lambda client, **options: client.deregister(ID, **options),
        f"{ID}/deregister",
        {},
        "host_platform",
        f"{ID} may be deregistered. Then its host_platform (or platform_type) is NOT_APPLICABLE: read it before you "
        "deregister it again.",
    ),
    Case(
        "set_two_step_verification_pin",
        lambda client, **options: client.set_two_step_verification_pin(ID, PIN, **options),
        ID,
        {"pin": PIN},
        "is_pin_enabled",
        f"The new PIN of {ID} may be set. Then is_pin_enabled is true, but if there was a PIN before, no field shows "
        "which one is valid. It is safe to set the same PIN again.",
    ),
    Case(
        "request_display_name",
        lambda client, **options: client.request_display_name(ID, "Acme Shoes", **options),
        ID,
        {"new_display_name": "Acme Shoes"},
        "new_display_name",
        f"The name may have been requested. Then new_display_name of {ID} is that name: read it before you request it "
        "again.",
    ),
    Case(
        "release_username",
        lambda client, **options: client.release_username(ID, **options),
        f"{ID}/username",
        {},
        None,
        f"{ID} may have lost its username: read it with get_username before you release it again.",
        "DELETE",
    ),
]
each_write = pytest.mark.parametrize("write", WRITES, ids=[write.name for write in WRITES])


async def new_number(client: PhoneNumberClient) -> str:
    created = await client.create_phone_number(EMPTY_WABA, phone_number="16315551000", verified_name="Acme", cc="1")
    return created.id


async def state(client: PhoneNumberClient, phone_number_id: str) -> tuple[Any, ...]:
    fields = ["status", "code_verification_status", "host_platform", "is_pin_enabled"]
    number: PhoneNumber = await client.get_phone_number(phone_number_id, fields=fields)
    return number.status, number.code_verification_status, number.host_platform, number.is_pin_enabled


# Without errors


async def test_the_whole_way() -> None:
    async with serving() as (sandbox, client):
        number = await new_number(client)
        assert await state(client, number) == ("PENDING", "NOT_VERIFIED", "NOT_APPLICABLE", False)
        assert await client.request_code(number, code_method="VOICE", language="pt_BR") == SuccessResponse(success=True)
        [code] = sandbox.inbox
        assert (code.phone_number_id, code.code_method, code.language) == (number, "VOICE", "pt_BR")
        assert await client.verify_code(number, code.code) == SuccessResponse(success=True)
        assert await state(client, number) == ("PENDING", "VERIFIED", "NOT_APPLICABLE", False)
        assert await client.register(number, pin=PIN, data_localization_region="DE") == SuccessResponse(success=True)
        assert await state(client, number) == ("CONNECTED", "VERIFIED", "CLOUD_API", True)
        assert await client.set_two_step_verification_pin(number, "112233") == SuccessResponse(success=True)
        assert await client.deregister(number) == SuccessResponse(success=True)
        assert await state(client, number) == ("DISCONNECTED", "VERIFIED", "NOT_APPLICABLE", True)
        assert len(sandbox.requests) == 10


async def test_the_reference_names_the_number_that_was_verified() -> None:
    async with serving("reference") as (sandbox, client):
        number = await new_number(client)
        await client.request_code(number)
        assert await client.verify_code(number, sandbox.inbox[0].code) == SuccessResponse(success=True, id=number)


@each_write
async def test_what_is_sent(write: Case) -> None:
    async with against(respond('{"success":true,"more":1}')) as (server, client):
        assert await write.call(client) == SuccessResponse(success=True, extra=Extra({"more": 1}))
    [request] = server.requests
    assert (request.method, json.loads(request.body)) == (write.method, write.body)
    assert request.target == f"/v23.0/{write.path}"


@pytest.mark.parametrize("code", ["123-830", "123830"])
async def test_a_code_comes_with_its_hyphen_or_without(code: str) -> None:
    async with against(respond('{"success":true}')) as (server, client):
        await client.verify_code(ID, code)
    assert json.loads(server.requests[0].body) == {"code": "123830"}


@pytest.mark.parametrize("code_method", ["sms", "SMS", "Sms", " sms\n"])
async def test_a_code_method_is_sent_in_capital_letters(code_method: Any) -> None:
    async with against(respond('{"success":true}')) as (server, client):
        await client.request_code(ID, code_method=code_method)
    assert json.loads(server.requests[0].body) == {"code_method": "SMS", "language": "en_US"}


@pytest.mark.parametrize("phone_number_id", [int(ID), f" {ID}", f"{ID}\n", f"\ufeff{ID}\xa0"])
async def test_an_id_may_be_an_int_or_have_blanks_around_it(phone_number_id: Any) -> None:
    async with against(*[respond('{"success":true}')] * 5) as (server, client):
        await client.request_code(phone_number_id, waba_id=phone_number_id)
        await client.verify_code(phone_number_id, "123830")
        await client.register(phone_number_id, pin=PIN)
        await client.deregister(phone_number_id)
        await client.set_two_step_verification_pin(phone_number_id, PIN)
    targets = [request.target.removeprefix(f"/v23.0/{ID}") for request in server.requests]
    assert targets == ["/request_code", "/verify_code", "/register", "/deregister", ""]


async def test_all_arguments_of_a_registration() -> None:
    async with against(respond('{"success":true}')) as (server, client):
        await client.register(ID, pin=PIN, data_localization_region="DE")
    assert json.loads(server.requests[0].body) == {
        "messaging_product": "whatsapp",
        "pin": PIN,
        "data_localization_region": "DE",
    }


# Arguments


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda client: client.request_code("me"), "phone_number_id must be the id of the phone number"),
        (lambda client: client.request_code(ID, waba_id="me"), "waba_id must be the id of the account"),
        (lambda client: client.request_code(ID, total_timeout=0), "total_timeout must be a number of seconds above 0"),
        (
            lambda client: client.request_code(ID, code_method="call"),
            "code_method must be 'SMS' or 'VOICE', not 'call'",
        ),
        (lambda client: client.request_code(ID, code_method="\u017fms"), "code_method must be 'SMS' or 'VOICE'"),
        (lambda client: client.request_code(ID, code_method=""), "code_method must be 'SMS' or 'VOICE', not ''"),
        (lambda client: client.request_code(ID, code_method=["SMS"]), "code_method must be 'SMS' or 'VOICE'"),
        (lambda client: client.request_code(ID, language="English"), "such as 'en' or 'en_US', not 'English'"),
        (lambda client: client.request_code(ID, language="en-US"), "language must be a language's code"),
        (lambda client: client.request_code(ID, language=None), "language must be a language's code"),
        *(
            (lambda client, code=code: client.verify_code(ID, code), "code must be a string of the 6 digits that came")
            for code in (
                "47183",
                "4718300",
                "47-1830",
                "471--830",
                "471 830",
                " 471830",
                "471830\n",
                "\uff14\uff17\uff11\uff18\uff13\uff10",
                471830,
                None,
            )
        ),
        *(
            (lambda client, pin=pin: client.register(ID, pin=pin), "pin must be a string of 6 digits")
            for pin in (
                "90517",
                "9051720",
                "905-172",
                "90517x",
                "\uff19\uff10\uff15\uff11\uff17\uff12",
                "",
                905172,
                None,
            )
        ),
        (lambda client: client.set_two_step_verification_pin(ID, "90517"), "pin must be a string of 6 digits"),
        (lambda client: client.register(ID, pin=PIN, data_localization_region="de"), "data_localization_region must"),
        (lambda client: client.register(ID, pin=PIN, data_localization_region=5), "data_localization_region must"),
        (lambda client: client.register(ID, pin=PIN, timeout=0), "timeout must be a number of seconds above 0"),
        (lambda client: client.register("", pin=PIN), "phone_number_id must be the id of the phone number"),
        (lambda client: client.request_display_name(ID, " "), "name must be a text of 1 to 512 characters"),
        (lambda client: client.request_display_name(ID, "x" * 513), "name must be a text of 1 to 512 characters"),
        (lambda client: client.request_display_name(ID, None), "name must be a text of 1 to 512 characters"),
        (lambda client: client.wait_for_display_name(ID, ""), "name must be a text of 1 to 512 characters"),
        (lambda client: client.wait_for_display_name(ID, waba_id="me"), "waba_id must be the id of the account"),
        (lambda client: client.wait_for_display_name(ID, interval=0), "interval must be a number of seconds above 0"),
        *(
            (lambda client, name=name: client.claim_username(ID, name), f"username must be 3 to 35 letters.*{problem}")
            for name, problem in (
                ("@acme", "it has no @ and no blanks"),
                ("ac", "it has no @ and no blanks"),
                ("a" * 36, "it has no @ and no blanks"),
                ("acmé", "it has no @ and no blanks"),
                (None, "it has no @ and no blanks"),
                ("1._2", "it needs a letter"),
                (".acme", "no dot stands at its ends"),
                ("acme.", "no dot stands at its ends"),
                ("ac..me", "no dot stands at its ends"),
                ("WWWacme", "it does not begin with www"),
            )
        ),
        (
            lambda client: client.claim_username(ID, "acme", transfer_action="force"),
            "transfer_action must be 'none' or 'force_transfer', not 'force'",
        ),
        (lambda client: client.get_username("me"), "phone_number_id must be the id of the phone number"),
        (lambda client: client.suggest_usernames("me"), "phone_number_id must be the id of the phone number"),
        (lambda client: client.release_username("me"), "phone_number_id must be the id of the phone number"),
        (lambda client: client.deregister("1/2"), "phone_number_id must be the id of the phone number"),
    ],
)
async def test_an_invalid_argument_raises_before_anything_is_sent(call: Callable[..., Any], text: str) -> None:
    async with serving() as (sandbox, client):
        with pytest.raises(InvalidArgumentError, match=text) as caught:
            await call(client)
        assert sandbox.requests == []
    for secret in ("47183", "90517", "471-", "905-"):
        assert secret not in str(caught.value)


@pytest.mark.parametrize("value", [float("inf"), [float("nan")], {1}, b"1", {("a",): Secret(CODE)}], ids=repr)
def test_the_body_of_a_write_is_json(value: object) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^body must be plain JSON, without NaN and Infinity$") as caught:
        Write(path="1/edge", body={"a": value})
    assert caught.value.__context__ is None


@each_write
async def test_a_closed_client_raises(write: Case) -> None:
    client = PhoneNumberClient(TOKEN)
    await client.aclose()
    with pytest.raises(RuntimeError, match="this client is closed"):
        await write.call(client)


# Whose token, and whose quota


@each_write
async def test_with_waba_id_the_token_and_the_quota_are_the_accounts(write: Case) -> None:
    calls = list[str]()

    def provide(node_id: str, _: str | None) -> str:
        calls.append(node_id)
        return TOKEN

    admitted = list[str | None]()
    async with (
        RawServer([respond('{"success":true}')]) as server,
        PhoneNumberClient(provide, base_url=server.url, throttle=Throttle(quota=1)) as client,
    ):
        client.subscribe(lambda event: admitted.append(event.node_id))
        for _ in range(3):
            await write.call(client)
        await write.call(client, waba_id=SMALL_WABA)
        with pytest.raises(RateLimitError, match=f"WABA {SMALL_WABA} or the app has used its hourly quota"):
            await write.call(client, waba_id=SMALL_WABA)
    assert calls == [ID, ID, ID, SMALL_WABA, SMALL_WABA]
    assert set(admitted) == {ID}


# After a lost response


LOST: dict[str, Play] = {
    "closed": hang_up,
    "reset": reset,
    "cut": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"),
    "garbage": raw(b"\0garbage\r\n\r\n"),
    "time-out": time_out,
    "503": respond("<html>", status="503 Service Unavailable"),
    "500 with code 1": respond('{"error":{"message":"?","code":1}}', status="500 Error"),
    "503 with code 2": respond('{"error":{"message":"?","code":2,"is_transient":true}}', status="503 Error"),
    "503 with code 133004": respond('{"error":{"message":"?","code":133004}}', status="503 Error"),
    "no JSON": respond('{"success":tr'),
    "empty": respond(""),
    "an empty object": respond("{}"),
    "an invalid value": respond('{"success":"yes"}'),
    "a list": respond("[]"),
    "not successful": respond('{"success":false}'),
    "not successful, in a word": respond('{"success":"False"}'),
}


@each_write
@pytest.mark.parametrize("play", LOST.values(), ids=LOST)
async def test_after_a_lost_response_the_error_says_what_to_read(write: Case, play: Play) -> None:
    async with against(play) as (server, client):
        with pytest.raises(OutcomeUnknownError) as caught:
            await write.call(client)
        assert len(server.requests) == 1
    error = caught.value
    assert (error.operation, error.phone_number_id, error.phone_number) == (write.name, ID, None)
    assert (error.waba_id, error.field, error.attempts, error.retryable) == (None, write.field, 1, False)
    assert str(error) == f"The outcome of {write.name} is unknown: {error.reason}. {write.advice}"
    assert (error.__cause__, error.__context__) == (None, None)
    assert vars(pickle.loads(pickle.dumps(error))) == vars(error)


@each_write
async def test_the_error_names_the_account_if_the_call_did(write: Case) -> None:
    async with against(hang_up) as (_, client):
        with pytest.raises(OutcomeUnknownError) as caught:
            await write.call(client, waba_id=SMALL_WABA)
    assert caught.value.waba_id == SMALL_WABA


async def test_the_error_of_a_create_names_its_operation_and_number() -> None:
    async with against(hang_up) as (_, client):
        with pytest.raises(OutcomeUnknownError) as caught:
            await client.create_phone_number("1234", phone_number="16315551000", verified_name="Acme")
    error = caught.value
    assert (error.operation, error.waba_id, error.phone_number) == ("create_phone_number", "1234", "16315551000")
    assert (error.phone_number_id, error.field) == (None, None)


async def test_a_success_may_come_as_a_word_and_the_id_as_a_whole_number() -> None:
    async with against(respond('{"success":"true","id":106540352242922}')) as (_, client):
        assert await client.deregister(ID) == SuccessResponse(success=True, id="106540352242922")


async def test_success_false_is_an_unknown_outcome_too() -> None:
    async with against(respond('{"success":false}')) as (_, client):
        with pytest.raises(OutcomeUnknownError, match="the API sent success: false without a reason") as caught:
            await client.verify_code(ID, CODE)
    assert "code_verification_status" in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "is_done"),
    [(Fault.drop_before(), False), (Fault.drop_after(), True), (Fault.error(2, takes_effect=True), True)],
    ids=["before", "after", "503"],
)
async def test_the_field_that_the_error_names_shows_what_happened(fault: Fault, *, is_done: bool) -> None:
    async with serving() as (sandbox, client):
        number = await new_number(client)

        async def lose(call: Awaitable[SuccessResponse]) -> str | None:
            sandbox.plan(fault, method="POST")
            with pytest.raises(OutcomeUnknownError) as caught:
                await call
            return caught.value.field

        assert await lose(client.request_code(number)) is None
        assert len(sandbox.inbox) == is_done
        await client.request_code(number)
        assert await lose(client.verify_code(number, sandbox.inbox[-1].code)) == "code_verification_status"
        assert (await state(client, number))[1] == ("VERIFIED" if is_done else "NOT_VERIFIED")
        if not is_done:
            await client.verify_code(number, sandbox.inbox[-1].code)
        assert await lose(client.register(number, pin=PIN)) == "host_platform"
        assert (await state(client, number))[2:] == (("CLOUD_API", True) if is_done else ("NOT_APPLICABLE", False))
        if not is_done:
            await client.register(number, pin=PIN)
        assert await lose(client.deregister(number)) == "host_platform"
        assert (await state(client, number))[2] == ("NOT_APPLICABLE" if is_done else "CLOUD_API")


# After an API error


@each_write
@pytest.mark.parametrize(
    ("code", "subcode", "retry_after"),
    [
        (133005, None, None),
        (133006, None, None),
        (133008, None, None),
        (133009, None, None),
        (133010, None, None),
        (133015, None, 300.0),
        (133016, None, 259_200.0),
        (136024, 2388091, None),
        (136024, 2388367, None),
        (136025, 2388093, None),
        (613, None, None),
        (131048, None, None),
        (130429, None, None),
    ],
)
@pytest.mark.parametrize("status", [400, 429])
@pytest.mark.parametrize("is_transient", [None, True])
async def test_an_error_about_the_number_is_not_retried_and_throttles_nobody_else(  # noqa: PLR0917 - a table
    write: Case,
    code: int,
    subcode: int | None,
    retry_after: float | None,
    status: int,
    is_transient: bool | None,  # noqa: FBT001 - the same
) -> None:
    events = list[Any]()
    async with serving(on_event=events.append) as (sandbox, client):
        fault = Fault.error(code, status=status, subcode=subcode, is_transient=is_transient)
        sandbox.plan(fault, times=3)
        with pytest.raises(GraphAPIError) as caught:
            await write.call(client)
        error = caught.value
        assert (error.code, error.error_subcode, error.retry_after) == (code, subcode, retry_after)
        assert (len(sandbox.requests), error.attempts, error.retryable) == (1, 1, False)
        assert [type(event) for event in events] == [CallFinished]


@each_write
@pytest.mark.parametrize(("code", "subcode", "status"), [(100, 2207051, 400), (131045, None, 500), (133000, None, 500)])
async def test_an_error_that_no_wait_helps_is_not_retried(
    write: Case, code: int, subcode: int | None, status: int
) -> None:
    async with serving() as (sandbox, client):
        sandbox.plan(Fault.error(code, status=status, subcode=subcode), times=3)
        with pytest.raises(GraphAPIError) as caught:
            await write.call(client)
        assert (caught.value.code, caught.value.retry_after, len(sandbox.requests)) == (code, None, 1)


@each_write
async def test_a_bare_429_may_have_been_counted_and_is_not_retried(write: Case) -> None:
    async with against(respond("", status="429 Too Many", headers="Retry-After: 7\r\n")) as (server, client):
        with pytest.raises(RateLimitError) as caught:
            await write.call(client)
        assert (caught.value.retry_after, len(server.requests)) == (7.0, 1)


@each_write
@pytest.mark.parametrize("code", [4, 17, 80007, 80008])
def test_throttled_by_a_limit_of_calls_it_is_retried(write: Case, code: int, virtual_time: asyncio.Runner) -> None:
    async def main() -> None:
        async with serving(retry=RetryPolicy(max_wait=120)) as (sandbox, client):
            sandbox.plan(Fault.error(code), times=2)
            sandbox.plan(Fault.raw('{"success":true}'))
            assert (await write.call(client)).success
            assert [request.at for request in sandbox.requests] == pytest.approx([0, 60, 180])

    virtual_time.run(main())


@each_write
async def test_with_a_rejected_token_it_is_sent_again_with_another_one(write: Case) -> None:
    def provide(_: str, rejected: str | None) -> str:
        return "a-new-token" if rejected else "an-old-token"

    rejected = respond('{"error":{"message":"expired","code":190}}', status="401 Unauthorized")
    async with RawServer([rejected, respond('{"success":true}')]) as server:
        async with PhoneNumberClient(provide, base_url=server.url) as client:
            assert (await write.call(client)).success
        assert len(server.requests) == 2


@each_write
async def test_with_its_only_token_rejected_it_is_not_sent_again(write: Case) -> None:
    async with Sandbox(tokens=[]) as sandbox, PhoneNumberClient(TOKEN, base_url=sandbox.url) as client:
        with pytest.raises(AuthenticationError):
            await write.call(client)
        assert len(sandbox.requests) == 1


@each_write
async def test_without_a_connection_it_is_retried_and_was_not_sent(write: Case) -> None:
    async with RawServer([hang]) as server:
        url = server.url
    async with PhoneNumberClient(TOKEN, base_url=url, retry=QUICK) as client:
        with pytest.raises(TransportError) as caught:
            await write.call(client)
    assert (caught.value.attempts, caught.value.sent) == (3, False)


# Waits of the sandbox


async def test_wrong_pins_are_counted_once_each_and_the_wait_is_read() -> None:
    async with serving() as (_, client):
        for _ in range(3):
            with pytest.raises(BadRequestError) as caught:
                await client.register(ID, pin=PIN)
            assert (caught.value.code, caught.value.retry_after) == (133005, None)
        with pytest.raises(BadRequestError) as caught:
            await client.register(ID, pin=SEEDED_PIN)
        assert (caught.value.code, caught.value.retry_after) == (133009, 60.0)
        assert "retry after 60 s" in str(caught.value)
        await client.list_phone_numbers(SMALL_WABA)  # nobody else waits


def test_waits_of_hours_are_read_from_the_text_of_the_error(virtual_time: asyncio.Runner) -> None:
    async def main() -> None:
        async with serving() as (_, client):
            for _ in range(5):
                with pytest.raises(BadRequestError):
                    await client.register(ID, pin=PIN)
                await asyncio.sleep(600)
            with pytest.raises(BadRequestError) as caught:
                await client.register(ID, pin=SEEDED_PIN)
            assert caught.value.code == 133008
            assert caught.value.retry_after == pytest.approx(12 * 3600 - 600, abs=1)
            await asyncio.sleep(caught.value.retry_after or 0)
            await client.register(ID, pin=SEEDED_PIN)
            await client.deregister(ID)
            with pytest.raises(BadRequestError) as caught:
                await client.register(ID, pin=SEEDED_PIN)
            assert (caught.value.code, caught.value.retry_after) == (133015, 300.0)

    virtual_time.run(main())


# Time


def test_register_has_a_time_out_of_its_own(virtual_time: asyncio.Runner) -> None:
    async def main() -> None:
        async with serving(timeout=5) as (sandbox, client):
            sandbox.plan(Fault.delay(100))
            await client.register(ID, pin=SEEDED_PIN)
            began = asyncio.get_running_loop().time()
            cases: list[tuple[dict[str, Any], float]] = [({}, 120), ({"timeout": 15}, 15), ({"total_timeout": 30}, 30)]
            for options, seconds in cases:
                sandbox.plan(Fault.delay(1000))
                with pytest.raises(OutcomeUnknownError, match="no response in time"):
                    await client.register(ID, pin=SEEDED_PIN, **options)
                assert asyncio.get_running_loop().time() - began == pytest.approx(seconds, abs=0.5)
                began = asyncio.get_running_loop().time()
            sandbox.plan(Fault.delay(1000))
            with pytest.raises(OutcomeUnknownError, match="no response in time"):
                await client.deregister(ID)
            assert asyncio.get_running_loop().time() - began == pytest.approx(5, abs=0.5)

    virtual_time.run(main())


@pytest.mark.parametrize(("policys", "seconds"), [(20.0, 120.0), (200.0, 120.0)])
def test_a_shorter_total_time_out_of_the_policy_does_not_cut_a_registration(
    policys: float, seconds: float, virtual_time: asyncio.Runner
) -> None:
    async def main() -> None:
        async with serving(retry=RetryPolicy(total_timeout=policys)) as (sandbox, client):
            sandbox.plan(Fault.delay(1000))
            with pytest.raises(OutcomeUnknownError, match="no response in time"):
                await client.register(ID, pin=SEEDED_PIN)
            assert asyncio.get_running_loop().time() == pytest.approx(seconds, abs=0.5)

    virtual_time.run(main())


@each_write
async def test_cancelled_after_it_was_sent_it_logs_that_it_may_have_happened(
    write: Case, caplog: pytest.LogCaptureFixture
) -> None:
    async with against(hang) as (server, client):
        writing = asyncio.ensure_future(write.call(client))
        await server.received.wait()
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
    [record] = caplog.records
    assert (record.name, record.levelno) == ("wa_phone_async", logging.WARNING)
    assert record.getMessage().endswith("was cancelled after it was sent: it may have happened")


# Other writes of a session


async def test_any_write_may_have_a_time_out_of_its_own() -> None:
    async with against(time_out, timeout=7200) as (_, client):
        write = Write(path="1", body={}, timeout=aiohttp.ClientTimeout(sock_read=30))
        with pytest.raises(OutcomeUnknownError, match="no response in time"):
            await client.session.post(write, dict)


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({}, "POST 1/edge is unknown: {reason}. It may have happened: check before you send it again."),
        ({"operation": "move", "advice": "Read is_moved."}, "move is unknown: {reason}. Read is_moved."),
    ],
    ids=["not named", "named"],
)
async def test_the_error_of_any_write_has_its_operation_and_advice(named: dict[str, Any], said: str) -> None:
    async with against(hang_up) as (_, client):
        with pytest.raises(OutcomeUnknownError) as caught:
            await client.session.post(Write(path="1/edge", body={}, **named), dict, waba_id="2")
    error = caught.value
    assert str(error) == f"The outcome of {said.format(reason=error.reason)}"
    assert (error.operation, error.waba_id) == (named.get("operation", "POST 1/edge"), "2")


async def test_only_a_write_can_be_posted() -> None:
    wrong: Any = "1/edge"
    async with serving() as (sandbox, client):
        with pytest.raises(InvalidArgumentError, match=r"write must be an instance of Write, such as Write\(path="):
            await client.session.post(wrong, dict)
        assert sandbox.requests == []


def test_a_write_keeps_its_code_hidden() -> None:
    write = verify_code(ID, Secret("471-830"))
    assert repr(write.body) == f"{{'code': '{HIDDEN}'}}"
    assert "body" not in repr(write)
