"""Usernames: what is read, claimed and released, and what the errors say."""

import json
from typing import Any

import pytest
from clients import against, serving
from misbehaving import respond

from wa_phone_async import (
    BadRequestError,
    BusinessUsername,
    ConflictError,
    Extra,
    OutcomeUnknownError,
    PermissionDeniedError,
    PhoneNumberClient,
    SuccessResponse,
    UsernameStatus,
    Write,
)
from wa_phone_async.sandbox import SMALL_WABA, Fault, Sandbox
from wa_phone_async.sandbox.modes import ModeName

ID, OTHER, THIRD = "300000001000000", "300000001000001", "300000001000002"
NONE = BusinessUsername()

each_mode = pytest.mark.parametrize("mode", ["live", "reference"])


def updates(sandbox: Sandbox) -> list[dict[str, Any]]:
    """The values of the webhooks about usernames."""
    changes = [json.loads(webhook.body)["entry"][0]["changes"][0] for webhook in sandbox.webhooks]
    return [change["value"] for change in changes if change["field"] == "business_username_updates"]


def register_all(sandbox: Sandbox) -> None:
    for number in (OTHER, THIRD):
        sandbox.update_number(SMALL_WABA, number, platform_type="CLOUD_API")


@each_mode
async def test_the_whole_way(mode: ModeName) -> None:
    status = {"live": UsernameStatus.RESERVED, "reference": UsernameStatus.APPROVED}[mode]
    async with serving(mode) as (sandbox, client):
        register_all(sandbox)
        assert await client.get_username(OTHER) == NONE
        [*suggested] = await client.suggest_usernames(OTHER)
        assert "caf.bakery" in suggested
        assert await client.claim_username(OTHER, "caf.bakery") == BusinessUsername("caf.bakery", status)
        assert "caf.bakery" not in await client.suggest_usernames(ID)
        assert await client.get_username(OTHER) == BusinessUsername("caf.bakery", status)
        sandbox.set_username(OTHER, "caf.bakery")  # it is approved
        assert await client.release_username(OTHER) == SuccessResponse(success=True)
        assert await client.get_username(OTHER) == NONE
        digits = "552120355558"
        assert updates(sandbox) == [
            {"display_phone_number": digits, "username": "caf.bakery", "status": status},
            {"display_phone_number": digits, "username": "caf.bakery", "status": "approved"},
            {"display_phone_number": digits, "status": "deleted"},
        ]


@each_mode
async def test_what_is_only_reserved_may_stay(mode: ModeName) -> None:
    async with serving(mode) as (_, client):
        await client.claim_username(ID, "Acme")
        await client.release_username(ID)
        assert (await client.get_username(ID)).username == {"live": "Acme", "reference": None}[mode]


@each_mode
async def test_a_username_moves_between_numbers_only_on_request(mode: ModeName) -> None:
    async with serving(mode) as (sandbox, client):
        register_all(sandbox)
        with pytest.raises(ConflictError) as caught:
            await client.claim_username(OTHER, "SHOP.0")
        assert caught.value.code == 147005
        assert str(caught.value).startswith(
            "Another number of your business portfolio has this username. Choose another one, or move it here: "
            f"`wa-phone username claim {OTHER} USERNAME --transfer` (in Python: "
            f'`client.claim_username("{OTHER}", username, transfer_action="force_transfer")`). '
            "The other number loses it then."
        )
        await client.claim_username(OTHER, "shop.0", transfer_action="force_transfer")
        assert await client.get_username(ID) == NONE
        assert (await client.get_username(OTHER)).username == "shop.0"
        assert updates(sandbox)[0] == {"display_phone_number": "12035550157", "status": "deleted"}
        # The one that another account's number has claimed
        sandbox.add_waba("7", [{"id": "700", "display_phone_number": "+1 555 0100", "platform_type": "CLOUD_API"}])
        with pytest.raises(ConflictError):
            await client.claim_username("700", "shop.0")


async def test_a_username_of_somebody_else_is_not_available() -> None:
    async with serving() as (sandbox, client):
        sandbox.take_username("Acme")
        with pytest.raises(ConflictError, match=f"`wa-phone username suggest {ID}` lists those") as caught:
            await client.claim_username(ID, "acme")
        assert caught.value.code == 147001
        sandbox.update_number(SMALL_WABA, ID, verified_name="Acme")
        assert "acme" not in await client.suggest_usernames(ID)


@pytest.mark.parametrize(
    ("code", "kind", "hint"),
    [
        (147002, PermissionDeniedError, "Another username does not help"),
        (147003, BadRequestError, "A Facebook account has this name"),
        (147004, BadRequestError, "An Instagram account has this name"),
    ],
)
async def test_other_errors_say_what_to_do(code: int, kind: type[Exception], hint: str) -> None:
    async with serving() as (sandbox, client):
        sandbox.plan(Fault.error(code, is_transient=True), times=9)
        with pytest.raises(kind, match=f"{hint}.*code {code}"):
            await client.claim_username(ID, "acme")
        assert len(sandbox.requests) == 1


@pytest.mark.parametrize(
    ("number", "claim", "text"),
    [
        (OTHER, {"username": "acme"}, "Phone number is not registered"),
        (ID, {"username": "acme.com"}, "Param username is not a valid username"),
        (ID, {"username": "acme", "transfer_action": "none"}, None),
    ],
)
async def test_what_the_api_checks(number: str, claim: dict[str, Any], text: str | None) -> None:
    async with serving() as (_, client):
        if text is None:
            assert (await client.claim_username(number, **claim)).username == "acme"
            return
        with pytest.raises(BadRequestError, match=text):
            await client.claim_username(number, **claim)


async def test_the_sandbox_checks_the_transfer_action() -> None:
    async with serving() as (_, client):
        body = {"username": "acme", "transfer_action": "take"}
        with pytest.raises(BadRequestError, match="Param transfer_action must be one of"):
            await client.session.post(Write(path=f"{ID}/username", body=body), dict)


async def test_meta_may_revoke_a_username() -> None:
    async with serving() as (sandbox, client):
        sandbox.revoke_username(ID)
        assert await client.get_username(ID) == NONE
        assert updates(sandbox) == [{"display_phone_number": "12035550157", "status": "deleted", "context": "revoked"}]


@pytest.mark.parametrize(
    ("body", "username"),
    [
        ('{"status":"reserved"}', BusinessUsername("acme", UsernameStatus.RESERVED)),
        ('{"success":true}', BusinessUsername("acme", extra=Extra({"success": True}))),
        ('{"status":"queued","username":"Acme"}', BusinessUsername("Acme", "queued")),
    ],
)
async def test_the_response_to_a_claim(body: str, username: BusinessUsername) -> None:
    async with against(respond(body)) as (server, client):
        assert await client.claim_username(ID, "acme", waba_id=7) == username
    [request] = server.requests
    assert (request.method, request.target) == ("POST", f"/v23.0/{ID}/username")
    assert json.loads(request.body) == {"username": "acme", "transfer_action": "none"}


@pytest.mark.parametrize("body", ["{}", '{"status":null}', '{"success":"yes"}', "[]", '{"status":'])
async def test_a_claim_whose_response_says_nothing_is_unknown(body: str) -> None:
    async with against(respond(body)) as (server, client):
        with pytest.raises(OutcomeUnknownError) as caught:
            await client.claim_username(ID, "acme", waba_id="7")
        assert len(server.requests) == 1
    error = caught.value
    assert (error.operation, error.phone_number_id, error.waba_id, error.attempts) == ("claim_username", ID, "7", 1)
    assert str(error).endswith(f"{ID} may have the username: read it with get_username before you claim it again.")


@pytest.mark.parametrize(
    ("body", "usernames"),
    [
        ('{"data":[{"username_suggestions":["a","b","a"]},{"username_suggestions":["c"]}]}', ["a", "b", "c"]),
        ('{"data":[{"username_suggestions":[1,null,"a"]},7,{"username_suggestions":"b"},{}]}', ["a"]),
        ('{"data":{}}', []),
        ("{}", []),
    ],
)
async def test_suggestions_in_any_form(body: str, usernames: list[str]) -> None:
    async with against(respond(body)) as (_, client):
        assert await client.suggest_usernames(ID, waba_id="7") == usernames


async def test_a_response_without_a_username() -> None:
    async with against(respond('{"username":"","more":1}'), respond('{"username":["a"]}')) as (_, client):
        assert await client.get_username(ID, waba_id="7") == BusinessUsername("", extra=Extra({"more": 1}))
        assert await client.get_username(ID) == BusinessUsername(extra=Extra({"username": ["a"]}))


async def test_the_id_of_an_account_has_no_username() -> None:
    async with serving() as (_, client):
        with pytest.raises(BadRequestError, match=f"{SMALL_WABA} is a WhatsApp Business Account"):
            await client.get_username(SMALL_WABA)


async def test_a_closed_client_raises() -> None:
    client = PhoneNumberClient("t")
    await client.aclose()
    for call in (client.get_username(ID), client.suggest_usernames(ID), client.claim_username(ID, "acme")):
        with pytest.raises(RuntimeError, match="this client is closed"):
            await call
