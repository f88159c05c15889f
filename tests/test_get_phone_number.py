"""`get_phone_number`: one number by its id."""

from typing import Any

import pytest
from clients import QUICK, TOKEN, serving

from wa_phone_async import (
    ALL_FIELDS,
    META_DEFAULT,
    AuthenticationError,
    BadRequestError,
    InvalidArgumentError,
    NotFoundError,
    PhoneNumber,
    PhoneNumberClient,
    RateLimitError,
    ServerError,
    Sort,
    Throttle,
)
from wa_phone_async.sandbox import BUSINESS_ID, EMPTY_WABA, LARGE_WABA, SMALL_WABA, Fault, Sandbox
from wa_phone_async.sandbox.modes import ModeName

both_modes = pytest.mark.parametrize("mode", ["reference", "live"])


@both_modes
@pytest.mark.parametrize("waba_id", [SMALL_WABA, LARGE_WABA])
async def test_a_number_is_the_same_as_in_the_list(waba_id: str, mode: ModeName) -> None:
    async with serving(mode) as (_, client):
        listed = await client.list_phone_numbers(waba_id, fields=ALL_FIELDS, limit=50).first_page()
        for number in listed:
            assert await client.get_phone_number(number.id, fields=ALL_FIELDS) == number


async def test_a_node_that_is_too_much_data_is_requested_once() -> None:
    async with serving() as (sandbox, client):
        sandbox.plan(Fault.error(1, "Please reduce the amount of data you're asking for, then retry"), times=9)
        with pytest.raises(ServerError, match="reduce the amount of data") as caught:
            await client.get_phone_number("300000001000000", fields=ALL_FIELDS)
        assert (caught.value.needs_smaller_page, caught.value.attempts, len(sandbox.requests)) == (True, 1, 1)


async def test_the_fields_of_metas_choice_have_no_status() -> None:
    async with serving() as (sandbox, client):
        [row, *_] = sandbox.numbers(SMALL_WABA)
        number = await client.get_phone_number(row["id"], fields=META_DEFAULT)
        assert isinstance(number, PhoneNumber)
        assert (number.id, number.display_phone_number) == (row["id"], row["display_phone_number"])
        assert (number.status, number.name_status, number.is_pin_enabled) == (None, None, None)
        [request] = sandbox.requests
        assert (request.method, request.path, request.query) == ("GET", f"/v23.0/{row['id']}", {})


async def test_only_the_requested_fields_and_the_id_come() -> None:
    async with serving() as (sandbox, client):
        row = sandbox.numbers(SMALL_WABA)[0]
        assert await client.get_phone_number(row["id"], fields="status") == PhoneNumber(row["id"], status=row["status"])


async def test_numbers_of_every_kind_of_account_are_found() -> None:
    async with Sandbox(accounts=1_000_000) as sandbox, PhoneNumberClient(TOKEN, base_url=sandbox.url) as client:
        created = await client.create_phone_number(EMPTY_WABA, phone_number="16315551000", verified_name="Acme")
        named = {"display_phone_number": "+1 631-555-1000"}
        sandbox.add_waba("1234", [{"id": "1", **named}, {"id": "2", **named}])
        sandbox.add_waba("1235", 5)
        sandbox.add_waba("1236", [{"id": "3", **named}])
        sandbox.add_waba("1236", 2)
        last = sandbox.waba_ids[999_999]
        for waba_id in (EMPTY_WABA, SMALL_WABA, "1234", "1235", "1236", last, sandbox.waba_ids[5]):
            for row in sandbox.numbers(waba_id):
                assert (await client.get_phone_number(row["id"])).id == row["id"]
        assert (await client.get_phone_number(created.id)).verified_name == "Acme"


@both_modes
@pytest.mark.parametrize("phone_number_id", ["1", "300000002999999", "9" * 5000, "300000003000000"])
async def test_a_number_that_does_not_exist(phone_number_id: str, mode: ModeName) -> None:
    async with serving(mode) as (sandbox, client):
        with pytest.raises(NotFoundError):
            await client.get_phone_number(phone_number_id)
        assert len(sandbox.requests) == 1


async def test_a_field_that_a_number_lacks_is_rejected_with_the_type_of_its_node() -> None:
    async with serving() as (sandbox, client):
        row = sandbox.numbers(SMALL_WABA)[0]
        with pytest.raises(BadRequestError, match=r"\(colour\) on node type \(WhatsAppBusinessPhoneNumber\)"):
            await client.get_phone_number(row["id"], fields=["colour"])
        assert len(sandbox.requests) == 1


async def test_a_field_that_the_live_service_lacks_is_left_out_of_all_fields() -> None:
    async with serving() as (sandbox, client):
        row = sandbox.numbers(SMALL_WABA)[0]
        for _ in range(2):
            assert (await client.get_phone_number(row["id"], fields=ALL_FIELDS)).status == row["status"]
        assert [request.status for request in sandbox.requests] == [400, 200, 200]


@both_modes
@pytest.mark.parametrize("node", [SMALL_WABA, BUSINESS_ID], ids=["account", "business"])
async def test_an_id_that_is_no_phone_numbers_is_rejected_at_once(node: str, mode: ModeName) -> None:
    async with serving(mode) as (sandbox, client):
        with pytest.raises(BadRequestError, match=r"\(display_phone_number\) on node type \((WhatsApp)?Business"):
            await client.get_phone_number(node, fields=ALL_FIELDS)
        assert len(sandbox.requests) == 1
        with pytest.raises(BadRequestError, match=r"\(phone_numbers\) on node type \(Business\)"):
            await client.list_phone_numbers(BUSINESS_ID, fields=ALL_FIELDS, sort=Sort.CREATION_TIME_ASC)
        assert len(sandbox.requests) == 2
        row = sandbox.numbers(SMALL_WABA)[0]
        assert (await client.get_phone_number(row["id"], fields=ALL_FIELDS)).status == row["status"]


async def test_an_edge_that_a_number_lacks_is_rejected() -> None:
    async with serving() as (sandbox, client):
        row = sandbox.numbers(SMALL_WABA)[0]
        with pytest.raises(BadRequestError, match=r"\(owned\) on node type \(WhatsAppBusinessPhoneNumber\)"):
            await client.session.get(f"{row['id']}/owned", dict, waba_id=None)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"phone_number_id": "me"}, "phone_number_id must be the id of the phone number"),
        ({"phone_number_id": "1", "waba_id": "me"}, "waba_id must be the id of the account"),
        ({"phone_number_id": "1", "fields": ""}, "fields must be names"),
        ({"phone_number_id": "1", "total_timeout": 0}, "total_timeout must be a number of seconds above 0"),
    ],
    ids=str,
)
async def test_an_invalid_argument_raises_before_anything_is_sent(arguments: dict[str, Any], text: str) -> None:
    async with serving() as (sandbox, client):
        with pytest.raises(InvalidArgumentError, match=text):
            await client.get_phone_number(**arguments)
        assert sandbox.requests == []


# Whose token, and whose quota


async def test_with_waba_id_the_token_and_the_quota_are_the_accounts() -> None:
    calls = list[str]()

    def provide(node_id: str, _: str | None) -> str:
        calls.append(node_id)
        return TOKEN

    async with Sandbox() as sandbox:
        number = sandbox.numbers(SMALL_WABA)[0]["id"]
        async with PhoneNumberClient(provide, base_url=sandbox.url, retry=QUICK, throttle=Throttle(quota=1)) as client:
            await client.get_phone_number(number, waba_id=SMALL_WABA)
            with pytest.raises(RateLimitError, match=f"WABA {SMALL_WABA} or the app has used its hourly quota"):
                await client.get_phone_number(number, waba_id=SMALL_WABA)
            for _ in range(3):
                await client.get_phone_number(number)
    assert calls == [SMALL_WABA, SMALL_WABA, number, number, number]


async def test_a_rejected_token_is_renewed_with_the_same_id() -> None:
    calls = list[tuple[str, str | None]]()

    def provide(node_id: str, rejected: str | None) -> str:
        calls.append((node_id, rejected))
        return "new" if rejected else "old"

    async with Sandbox(tokens=["new"]) as sandbox:
        number = sandbox.numbers(SMALL_WABA)[0]["id"]
        async with PhoneNumberClient(provide, base_url=sandbox.url) as client:
            await client.get_phone_number(number, waba_id=SMALL_WABA)
            assert calls == [(SMALL_WABA, None), (SMALL_WABA, "old")]
            sandbox.revoke("new")
            with pytest.raises(AuthenticationError):
                await client.get_phone_number(number, waba_id=SMALL_WABA)


async def test_the_api_counts_it_on_the_account_of_the_number() -> None:
    async with Sandbox(quota=1) as sandbox, PhoneNumberClient(TOKEN, base_url=sandbox.url, retry=QUICK) as client:
        number = sandbox.numbers(SMALL_WABA)[0]["id"]
        await client.get_phone_number(number)
        with pytest.raises(RateLimitError):
            await client.get_phone_number(number, total_timeout=1)


async def test_it_is_retried_like_every_read() -> None:
    async with serving() as (sandbox, client):
        number = sandbox.numbers(SMALL_WABA)[0]["id"]
        sandbox.plan(Fault.status(503), times=2)
        assert (await client.get_phone_number(number)).id == number
        assert [request.status for request in sandbox.requests] == [503, 503, 200]
