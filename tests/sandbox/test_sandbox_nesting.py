"""Numbers that are nested in the rows of accounts: field expansion."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import pytest

from wa_phone_async.sandbox import BUSINESS_ID, EMPTY_WABA, LARGE_WABA, SMALL_WABA, Fault, Sandbox
from wa_phone_async.sandbox.modes import LIVE_DEFAULT_FIELDS, ModeName
from wa_phone_async.sandbox.query import Field, read_fields, write_fields

OWNED, CLIENT = (f"{BUSINESS_ID}/{kind}_whatsapp_business_accounts" for kind in ("owned", "client"))
MODE_NAMES: tuple[ModeName, ...] = ("live", "reference")


async def get(sandbox: Sandbox, path: str = OWNED, **query: str) -> tuple[int, Any]:
    """Return the status and the parsed body of a response."""
    async with (
        aiohttp.ClientSession(headers={"Authorization": "Bearer token"}) as session,
        session.get(f"{sandbox.url}/v23.0/{path}", params=query) as response,
    ):
        return response.status, json.loads(await response.read())


async def page(sandbox: Sandbox, path: str = OWNED, **query: str) -> Any:
    status, body = await get(sandbox, path, **query)
    assert status == 200, body
    return body


async def error(sandbox: Sandbox, path: str = OWNED, **query: str) -> tuple[int, int, str]:
    status, body = await get(sandbox, path, **query)
    return status, body["error"]["code"], body["error"]["message"]


# The fields


def test_fields_are_read_with_their_modifiers_and_written_again() -> None:
    text = "id,phone_numbers.after(x=).limit(5){id,owner{id}},name"
    inner = (Field("id"), Field("owner", (Field("id"),)))
    numbers = Field("phone_numbers", inner, (("after", "x="), ("limit", "5")))
    assert read_fields(text) == (Field("id"), numbers, Field("name"))
    assert write_fields(read_fields(text)) == text


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ("phone_numbers.", 2500),
        ("phone_numbers.limit", 2500),
        ("phone_numbers.limit(1", 2500),
        ("phone_numbers.limit(1){}", 2500),
        ("phone_numbers.limit(1)id", 2500),
        ("phone_numbers{id}.limit(1)", 2500),
        ("phone_numbers.as(numbers)", 2500),
        ("phone_numbers.limit(1).limit(2)", 2500),
        ("phone_numbers.limit()", 100),
        ("phone_numbers.limit(0)", 100),
        ("phone_numbers.after(x)", 100),
        ("phone_numbers.after(x).before(y)", 100),
        ("phone_numbers{name}", 100),
        ("name.limit(1)", 100),
    ],
)
@pytest.mark.parametrize("mode", MODE_NAMES)
async def test_invalid_nested_fields_are_rejected(mode: ModeName, fields: str, code: int) -> None:
    async with Sandbox(mode=mode) as sandbox:
        assert (await error(sandbox, fields=fields))[:2] == (400, code)
        assert (await error(sandbox, SMALL_WABA, fields=fields))[:2] == (400, code)


# The lists


async def test_a_nested_list_is_the_page_of_the_accounts_own_edge() -> None:
    async with Sandbox() as sandbox:
        fields = "name,phone_numbers.limit(40){id,status}"
        _, small, large = (await page(sandbox, fields=fields))["data"]
        assert list(large) == ["name", "phone_numbers", "id"]
        for waba_id, row in ((SMALL_WABA, small), (LARGE_WABA, large)):
            own = await page(sandbox, f"{waba_id}/phone_numbers", fields="id,status", limit="40")
            assert row["phone_numbers"]["data"] == own["data"]
            assert row["phone_numbers"]["paging"]["cursors"] == own["paging"]["cursors"]
            assert ("next" in row["phone_numbers"]["paging"]) == ("next" in own["paging"]) == (waba_id == LARGE_WABA)
            assert await page(sandbox, waba_id, fields=fields) == row


async def test_a_nested_page_continues_at_the_accounts_own_edge_and_in_its_node() -> None:
    async with Sandbox() as sandbox:
        node = await page(sandbox, LARGE_WABA, fields="phone_numbers.limit(60){id}")
        after = node["phone_numbers"]["paging"]["cursors"]["after"]
        own = await page(sandbox, f"{LARGE_WABA}/phone_numbers", fields="id", limit="60", after=after)
        nested = await page(sandbox, LARGE_WABA, fields=f"phone_numbers.after({after}).limit(60){{id}}")
        assert nested["phone_numbers"]["data"] == own["data"] != node["phone_numbers"]["data"]
        assert set(nested["phone_numbers"]["paging"]) == {"cursors", "previous", "next"}


async def test_nested_lists_have_25_numbers_and_the_usual_fields_by_default() -> None:
    async with Sandbox() as sandbox:
        row = await page(sandbox, LARGE_WABA, fields="phone_numbers")
        assert len(row["phone_numbers"]["data"]) == 25
        assert list(row["phone_numbers"]["data"][0]) == list(LIVE_DEFAULT_FIELDS)


async def test_a_nested_link_has_the_token_and_another_host() -> None:
    async with Sandbox() as sandbox:
        row = await page(sandbox, LARGE_WABA, fields="phone_numbers.limit(2){id}")
        link = urlsplit(row["phone_numbers"]["paging"]["next"])
        assert (link.netloc, link.path) == ("graph.intern.facebook.com", f"/v23.0/{LARGE_WABA}/phone_numbers")
        after = row["phone_numbers"]["paging"]["cursors"]["after"]
        query = {"access_token": "token", "fields": "id", "pretty": "0", "limit": "2", "after": after}
        assert dict(parse_qsl(link.query)) == query


async def test_an_account_without_numbers_differs_between_the_modes() -> None:
    async with Sandbox(mode="live") as sandbox:
        assert await page(sandbox, EMPTY_WABA, fields="phone_numbers") == {"id": EMPTY_WABA}
    async with Sandbox(mode="reference") as sandbox:
        assert await page(sandbox, EMPTY_WABA, fields="phone_numbers") == {
            "phone_numbers": {"data": []},
            "id": EMPTY_WABA,
        }


async def test_a_large_nested_limit_differs_between_the_modes() -> None:
    async with Sandbox(mode="live") as sandbox:
        row = await page(sandbox, LARGE_WABA, fields="phone_numbers.limit(1000){id}")
        assert len(row["phone_numbers"]["data"]) == 100
    async with Sandbox(mode="reference") as sandbox:
        assert (await error(sandbox, LARGE_WABA, fields="phone_numbers.limit(101){id}"))[:2] == (400, 100)


async def test_the_accounts_of_clients_nest_numbers_in_the_reference_mode_only() -> None:
    async with Sandbox(mode="live", accounts=1) as sandbox:
        assert (await error(sandbox, CLIENT, fields="id,phone_numbers"))[:2] == (400, 100)
        assert len((await page(sandbox, CLIENT, fields="id,name"))["data"]) == 3
        assert "phone_numbers" in (await page(sandbox, SMALL_WABA, fields="phone_numbers"))
        sandbox.set_nested("client", "usual")
        assert "phone_numbers" in (await page(sandbox, CLIENT, fields="id,phone_numbers"))["data"][1]
    async with Sandbox(mode="reference", accounts=1) as sandbox:
        assert "phone_numbers" in (await page(sandbox, CLIENT, fields="id,phone_numbers"))["data"][1]


async def test_a_change_of_a_number_shows_in_the_next_nested_list() -> None:
    async with Sandbox() as sandbox:
        fields = "id,phone_numbers{id,status}"
        row = (await page(sandbox, fields=fields))["data"][1]
        number = row["phone_numbers"]["data"][0]["id"]
        sandbox.update_number(SMALL_WABA, number, status="BANNED")
        assert (await page(sandbox, fields=fields))["data"][1]["phone_numbers"]["data"][0]["status"] == "BANNED"
        sandbox.remove_number(SMALL_WABA, number)
        assert len((await page(sandbox, fields=fields))["data"][1]["phone_numbers"]["data"]) == 2
        sandbox.add_waba("77", [{"id": "7"}])
        assert (await page(sandbox, fields=fields))["data"][3]["phone_numbers"]["data"] == [{"id": "7"}]


async def test_a_nested_call_uses_one_call_of_the_app_and_none_of_the_accounts() -> None:
    async with Sandbox(quota=1, app_quota=2) as sandbox:
        for _ in range(2):
            await page(sandbox, fields="id,phone_numbers")
        assert (await error(sandbox, fields="id,phone_numbers"))[1] == 4


@pytest.mark.parametrize("fault", [Fault.error(2), Fault.error(1, status=400), Fault.error(200)])
async def test_one_account_fails_each_page_that_nests_its_numbers(fault: Fault) -> None:
    async with Sandbox() as sandbox:
        sandbox.set_nested(SMALL_WABA, fault)
        for _ in range(2):
            status, _ = await get(sandbox, fields="id,phone_numbers")
            assert status != 200
        assert len((await page(sandbox, fields="id"))["data"]) == 3
        assert len((await page(sandbox, fields="id,phone_numbers", limit="1"))["data"]) == 1
        assert (await page(sandbox, f"{SMALL_WABA}/phone_numbers"))["data"]
        sandbox.set_nested(SMALL_WABA, "usual")
        await page(sandbox, fields="id,phone_numbers")
