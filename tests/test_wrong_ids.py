"""Ids of the wrong kind: each call names what the id is, and what to do instead."""

import pickle
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from clients import serving

from wa_phone_async import (
    META_DEFAULT,
    BadRequestError,
    GraphAPIError,
    NotFoundError,
    PermissionDeniedError,
    PhoneNumber,
    PhoneNumberClient,
)
from wa_phone_async.call.hints import hint_of
from wa_phone_async.call.request import GraphRequest
from wa_phone_async.call.response import read_api_error
from wa_phone_async.call.writes import Write
from wa_phone_async.export import errors_row
from wa_phone_async.sandbox import APP_ID, BUSINESS_ID, SMALL_WABA, USER_ID, Fault
from wa_phone_async.sandbox.modes import ModeName

NUMBER_ID = "300000001000002"
DIGITS = "15550001000"
both_modes = pytest.mark.parametrize("mode", ["live", "reference"])

TYPES = {
    BUSINESS_ID: "Business",
    NUMBER_ID: "WhatsAppBusinessPhoneNumber",
    SMALL_WABA: "WhatsAppBusinessAccount",
    USER_ID: "User",
    APP_ID: "Application",
    DIGITS: None,
}
OF_TOKEN = "Give the id of an account instead: `wa-phone accounts` lists those of your token."
OF_ACCOUNT = (
    "Give the id of a phone number instead: `wa-phone list WABA_ID` lists those of an account "
    "(in Python: `client.list_phone_numbers(waba_id)`)."
)
OF_BUSINESS = "Give the id of a business instead: Meta's business settings show it."
NEEDS_ACCOUNT = {
    BUSINESS_ID: (
        f"{BUSINESS_ID} is a business. `wa-phone accounts {BUSINESS_ID}` lists its accounts "
        f'(in Python: `client.list_business_accounts("{BUSINESS_ID}")`).'
    ),
    NUMBER_ID: (
        f"{NUMBER_ID} is the id of a phone number. Give the id of its account instead: `wa-phone accounts` lists the "
        f'accounts of your token (in Python: `client.get_phone_number("{NUMBER_ID}")` reads the number).'
    ),
    USER_ID: f"{USER_ID} is a user. {OF_TOKEN}",
    APP_ID: f"{APP_ID} is an app. {OF_TOKEN}",
    DIGITS: f"{DIGITS} looks like a phone number. That is a guess. {OF_TOKEN}",
}
NEEDS_NUMBER = {
    BUSINESS_ID: (
        f"{BUSINESS_ID} is a business. `wa-phone accounts {BUSINESS_ID}` lists its accounts, and "
        "`wa-phone list WABA_ID` the ids of their numbers "
        f'(in Python: `client.list_business_accounts("{BUSINESS_ID}")`).'
    ),
    SMALL_WABA: (
        f"{SMALL_WABA} is a WhatsApp Business Account (WABA). `wa-phone list {SMALL_WABA}` lists the ids of its numbers"
        f' (in Python: `client.list_phone_numbers("{SMALL_WABA}")`).'
    ),
    USER_ID: f"{USER_ID} is a user. {OF_ACCOUNT}",
    APP_ID: f"{APP_ID} is an app. {OF_ACCOUNT}",
    DIGITS: f"{DIGITS} looks like a phone number. That is a guess. {OF_ACCOUNT}",
}
NEEDS_BUSINESS = {
    SMALL_WABA: (
        f"{SMALL_WABA} is a WhatsApp Business Account (WABA). Give the id of a business instead. "
        f"`wa-phone list {SMALL_WABA}` lists the numbers of this account "
        f'(in Python: `client.list_phone_numbers("{SMALL_WABA}")`).'
    ),
    NUMBER_ID: f"{NUMBER_ID} is the id of a phone number. {OF_BUSINESS}",
    USER_ID: f"{USER_ID} is a user. {OF_BUSINESS}",
    APP_ID: f"{APP_ID} is an app. {OF_BUSINESS}",
    DIGITS: f"{DIGITS} looks like a phone number. That is a guess. {OF_BUSINESS}",
}
Call = Callable[[PhoneNumberClient, str], Awaitable[Any]]


async def watch(client: PhoneNumberClient, waba_id: str) -> None:
    async for _ in client.watch(waba_id):
        pass


async def list_many(client: PhoneNumberClient, waba_id: str) -> None:
    async with client.list_many([waba_id]) as listings:
        [listing] = [listing async for listing in listings]
    assert isinstance(listing.error, GraphAPIError)
    assert errors_row(listing)["message"] == f"{listing.error.hint} The API said: {listing.error.message}"
    raise listing.error


ACCOUNT_CALLS: dict[str, Call] = {
    "list": lambda client, waba_id: client.list_phone_numbers(waba_id).collect(),
    "list_many": list_many,
    "watch": watch,
    "create": lambda client, waba_id: client.create_phone_number(
        waba_id, phone_number="16315551000", verified_name="Acme", cc="1"
    ),
    "ensure": lambda client, waba_id: client.ensure_phone_number(
        waba_id, phone_number="16315551000", verified_name="Acme", cc="1"
    ),
}
NUMBER_CALLS: dict[str, Call] = {
    "get": lambda client, number_id: client.get_phone_number(number_id),
    "wait_until": lambda client, number_id: client.wait_until(number_id, lambda _: True),
    "request_code": lambda client, number_id: client.request_code(number_id),
    "verify_code": lambda client, number_id: client.verify_code(number_id, "123456"),
    "register": lambda client, number_id: client.register(number_id, pin="123456"),
    "deregister": lambda client, number_id: client.deregister(number_id),
    "get_profile": lambda client, number_id: client.get_business_profile(number_id),
    "update_profile": lambda client, number_id: client.update_business_profile(number_id, about="New"),
}
CASES = [
    pytest.param(call, node, hints[node], id=f"{name}-{TYPES[node] or 'digits'}")
    for hints, calls in (
        (NEEDS_ACCOUNT, ACCOUNT_CALLS),
        (NEEDS_NUMBER, NUMBER_CALLS),
        (
            NEEDS_BUSINESS,
            {"accounts": lambda client, business_id: client.list_business_accounts(business_id).collect()},
        ),
    )
    for name, call in calls.items()
    for node in hints
]


@both_modes
@pytest.mark.parametrize(("call", "node", "hint"), CASES)
async def test_a_wrong_id_is_named(call: Call, node: str, hint: str, mode: ModeName) -> None:
    async with serving(mode) as (sandbox, client):
        with pytest.raises(NotFoundError if node == DIGITS else BadRequestError) as caught:
            await call(client, node)
        assert (caught.value.hint, caught.value.node_type) == (hint, TYPES[node])
        assert str(caught.value).startswith(f"{hint} The API said: {caught.value.message} (HTTP ")
        assert len(sandbox.requests) == 1
        assert pickle.loads(pickle.dumps(caught.value)).hint == hint


@both_modes
@pytest.mark.parametrize("node", [BUSINESS_ID, SMALL_WABA, USER_ID, APP_ID])
async def test_no_object_becomes_a_number_full_of_none(node: str, mode: ModeName) -> None:
    async with serving(mode) as (_, client):
        with pytest.raises(
            NotFoundError, match=f"the object {node} has none of the fields of a phone number"
        ) as caught:
            await client.get_phone_number(node, fields=META_DEFAULT)
        known = node == SMALL_WABA  # a business, a user and an app have an id and a name
        assert caught.value.hint == (
            NEEDS_NUMBER[node] if known else f"{node} is not the id of a phone number. {OF_ACCOUNT}"
        )
        assert caught.value.node_type == (TYPES[node] if known else None)


async def test_a_server_that_ignores_unknown_fields_gives_no_number_full_of_none() -> None:
    async with serving() as (sandbox, client):
        sandbox.plan(Fault.raw(f'{{"id":"{BUSINESS_ID}","name":"Acme"}}'))
        with pytest.raises(NotFoundError, match="is not the id of a phone number"):
            await client.get_phone_number(BUSINESS_ID)
        assert await client.get_phone_number(NUMBER_ID, fields="id") == PhoneNumber(NUMBER_ID)  # as requested


@pytest.mark.parametrize(
    "text", ["(#100) Tried accessing nonexisting field ({})", "Tried accessing nonexisting field ({})"]
)
async def test_an_error_without_the_type_says_what_the_id_is_not(text: str) -> None:
    async with serving() as (sandbox, client):
        sandbox.plan(Fault.error(100, text.format("phone_numbers")))
        with pytest.raises(BadRequestError) as caught:
            await client.list_phone_numbers("102290129340398")
        assert caught.value.hint == f"102290129340398 is not the id of a WhatsApp Business Account (WABA). {OF_TOKEN}"
        sandbox.plan(Fault.error(100, text.format("display_phone_number")))
        with pytest.raises(BadRequestError) as caught:
            await client.get_phone_number("102290129340398")
        assert caught.value.hint == f"102290129340398 is not the id of a phone number. {OF_ACCOUNT}"


@pytest.mark.parametrize(
    "text",
    [
        "Unsupported post request. Object with ID '{}' does not exist, or does not support this operation",
        "(#100) Unsupported post request",
    ],
)
async def test_a_write_that_the_object_does_not_support_says_what_the_id_has_to_be(text: str) -> None:
    async with serving() as (sandbox, client):
        subcode = 33 if "{}" in text else None
        fault = Fault.error(100, text.format(SMALL_WABA), subcode=subcode)
        may_not = f"{SMALL_WABA} may not be the id of a phone number. {OF_ACCOUNT}"
        for write in (
            client.register(SMALL_WABA, pin="123456"),
            client.set_two_step_verification_pin(SMALL_WABA, "123456"),
        ):
            sandbox.plan(fault)
            with pytest.raises(GraphAPIError) as caught:
                await write
            assert caught.value.hint == may_not
        sandbox.plan(fault)
        with pytest.raises(GraphAPIError) as caught:
            await client.create_phone_number(SMALL_WABA, phone_number="16315551000", verified_name="Acme", cc="1")
        account = "a WhatsApp Business Account (WABA)"
        assert caught.value.hint == f"{SMALL_WABA} may not be the id of {account}. {OF_TOKEN}"


def rejected(message: str, code: int = 100, subcode: int | None = None) -> GraphAPIError:
    raw = {"message": message, "code": code, "error_subcode": subcode}
    return read_api_error({"error": raw}, http_status=400, secrets=())


GONE = "Unsupported get request. Object with ID '1' does not exist"
FIELD = "(#100) Tried accessing nonexisting field ({}) on node type ({})"


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("1/phone_numbers", rejected(GONE, subcode=33)),  # the API has said all that is known
        ("1/phone_numbers", rejected("Cannot sort by name_ascending")),
        ("1/phone_numbers", rejected(FIELD.format("colour", "WhatsAppBusinessAccountToNumberCurrentStatus"))),
        ("1/message_templates", rejected(FIELD.format("message_templates", "Business"))),
        ("1", rejected(FIELD.format("colour", "WhatsAppBusinessPhoneNumber"))),
        ("1", rejected(FIELD.format("colour", "WhatsAppBusinessAccount"))),  # `session.get` may mean the account
        ("1", rejected(FIELD.format("status", "Business"))),
        ("1", rejected("(#100) Tried accessing nonexisting field (username)")),
        ("1/message_templates", rejected("(#200) You do not have permission", code=200)),
        ("1", rejected("Application does not have the capability", code=3)),
        ("1", rejected("blocked", code=368)),
    ],
)
def test_an_error_that_is_not_about_the_id_has_no_hint(path: str, error: GraphAPIError) -> None:
    assert hint_of(error, GraphRequest(path=path)) is None


def test_a_write_of_your_own_may_be_on_any_object() -> None:
    request = GraphRequest(path="1", write=Write(path="1", body={}))
    assert hint_of(rejected("(#100) Unsupported post request", subcode=33), request) is None


WHERE = "Business settings → Users → System users"


@pytest.mark.parametrize("code", [10, 200, 299])
@pytest.mark.parametrize("permission", ["whatsapp_business_management", "business_management"])
async def test_a_missing_permission_is_named_with_the_place_to_grant_it(code: int, permission: str) -> None:
    async with serving() as (sandbox, client):
        sandbox.plan(Fault.error(code, f"(#{code}) Requires {permission} permission to manage the object"))
        with pytest.raises(PermissionDeniedError) as caught:
            await client.list_phone_numbers(SMALL_WABA)
    assert caught.value.permission == permission
    assert str(caught.value).startswith(
        f"The token lacks the permission {permission}. Grant it in {WHERE} → Generate new token, and use the new token."
        f" The API said: (#{code}) Requires {permission}"
    )


async def test_without_a_name_in_the_error_the_usual_permission_is_named() -> None:
    async with serving() as (sandbox, client):
        sandbox.plan(Fault.error(200, "(#200) You do not have permission to access this field"))
        with pytest.raises(PermissionDeniedError) as caught:
            await client.list_phone_numbers(SMALL_WABA)
    assert caught.value.permission is None
    assert caught.value.hint == (
        f"The token may not do this with {SMALL_WABA}. It needs the permission whatsapp_business_management ({WHERE} → "
        "Generate new token), and its system user needs the account (Assign assets)."
    )


def test_the_accounts_of_a_business_need_two_permissions() -> None:
    error = rejected("(#200) You do not have permission", code=200)
    hint = hint_of(error, GraphRequest(path="1/owned_whatsapp_business_accounts"))
    assert hint is not None
    assert "It needs the permissions whatsapp_business_management and business_management (" in hint


def test_a_preverified_number_is_none_yet() -> None:
    error = rejected(FIELD.format("display_phone_number", "WhatsAppBusinessPreVerifiedPhoneNumber"))
    assert hint_of(error, GraphRequest(path="1")) == f"1 is not the id of a phone number. {OF_ACCOUNT}"


async def test_a_hint_shows_no_secret() -> None:
    async with serving(access_token=BUSINESS_ID) as (_, client):  # as if the token stood in the place of the id
        with pytest.raises(BadRequestError) as caught:
            await client.list_phone_numbers(BUSINESS_ID)
    assert BUSINESS_ID not in str(caught.value)


@pytest.mark.parametrize("hint", [*NEEDS_ACCOUNT.values(), *NEEDS_NUMBER.values(), *NEEDS_BUSINESS.values()])
def test_the_command_line_shows_no_python(hint: str) -> None:
    errors = pytest.importorskip("wa_phone_async.cli.errors", reason="the extra `cli` is not installed")
    error = rejected("(#100) on node type (Business)")
    error.hint = hint
    shown = errors.sentence(error)
    assert "client." not in shown
    assert "  " not in shown
    assert shown.endswith(". The API said: (#100) on node type (Business) (HTTP 400, code 100)")
