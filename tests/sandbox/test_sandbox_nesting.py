"""Numbers that are nested in the rows of accounts: field expansion."""

import asyncio
import json
import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import pytest

from wa_phone_async.sandbox import BUSINESS_ID, EMPTY_WABA, LARGE_WABA, SMALL_WABA, Fault, Sandbox
from wa_phone_async.sandbox.modes import LIVE_DEFAULT_FIELDS, ModeName
from wa_phone_async.sandbox.nesting import NESTED_FORMS
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


async def test_each_nested_list_may_count_as_a_further_call_of_the_app() -> None:
    async with Sandbox(app_quota=8, nested_calls=1) as sandbox:
        await page(sandbox, fields="id,phone_numbers")  # counts as four calls
        assert (await error(sandbox, fields="id,phone_numbers.limit(0)"))[1] == 100  # as one
        await page(sandbox, fields="id")
        await page(sandbox, SMALL_WABA, fields="phone_numbers")  # as two
        assert (await error(sandbox, fields="id"))[1] == 4


# What goes wrong

FIELDS = "id,phone_numbers.limit(2){id}"


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [(Fault.error(1, status=400), 400, 1), (Fault.error(200), 403, 200), (Fault.error(2, status=500), 500, 2)],
    ids=str,
)
async def test_one_account_fails_each_page_that_nests_its_numbers(fault: Fault, status: int, code: int) -> None:
    async with Sandbox(app_quota=100) as sandbox:
        sandbox.set_nested(SMALL_WABA, fault)
        for _ in range(2):
            assert (await error(sandbox, fields=FIELDS))[:2] == (status, code)
        assert (await error(sandbox, SMALL_WABA, fields=FIELDS))[:2] == (status, code)
        assert len((await page(sandbox, fields="id"))["data"]) == 3
        assert len((await page(sandbox, fields=FIELDS, limit="1"))["data"]) == 1
        assert (await page(sandbox, f"{SMALL_WABA}/phone_numbers"))["data"]
        sandbox.set_nested(SMALL_WABA, "usual")
        await page(sandbox, fields=FIELDS)


async def test_all_lists_of_a_kind_fail() -> None:
    async with Sandbox(mode="reference") as sandbox:
        sandbox.set_nested("owned", Fault.error(1, status=400))
        assert (await error(sandbox, fields=FIELDS))[:2] == (400, 1)
        await page(sandbox, fields="id,name")
        await page(sandbox, CLIENT, fields=FIELDS)
        await page(sandbox, SMALL_WABA, fields=FIELDS)


async def test_a_response_to_a_nested_call_is_unreadable_cut_dropped_or_late() -> None:
    async with Sandbox() as sandbox:
        for fault in (Fault.raw("{"), Fault.cut(clean=True), Fault.html(200)):
            sandbox.set_nested(SMALL_WABA, fault)
            with pytest.raises(json.JSONDecodeError):
                await get(sandbox, fields=FIELDS)
        for fault in (Fault.cut(), Fault.drop_before(), Fault.drop_after(reset=True)):
            sandbox.set_nested(SMALL_WABA, fault)
            with pytest.raises(aiohttp.ClientError):
                await get(sandbox, fields=FIELDS)
        for fault in (Fault.delay(60), Fault.delay_response(60)):
            sandbox.set_nested(SMALL_WABA, fault)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(get(sandbox, fields=FIELDS), 0.1)
        await page(sandbox, fields="id")


def test_each_nested_list_takes_its_time(virtual_time: asyncio.Runner) -> None:
    async def main() -> list[float]:
        loop, took = asyncio.get_running_loop(), list[float]()
        async with Sandbox(latency=1, nested_latency=10) as sandbox:
            for path, fields in ((OWNED, "id"), (OWNED, FIELDS), (SMALL_WABA, FIELDS), (SMALL_WABA, "id")):
                began = loop.time()
                await page(sandbox, path, fields=fields)
                took.append(round(loop.time() - began))
        return took

    assert virtual_time.run(main()) == [1, 31, 11, 1]


@pytest.mark.parametrize("mode", MODE_NAMES)
async def test_a_nested_list_hides_numbers(mode: ModeName) -> None:
    async with Sandbox(mode=mode) as sandbox:
        await page(sandbox, fields=FIELDS)
        sandbox.set_nested(SMALL_WABA, "absent")
        assert (await page(sandbox, fields=FIELDS))["data"][1] == {"id": SMALL_WABA}
        sandbox.set_nested(SMALL_WABA, "empty")
        assert (await page(sandbox, fields=FIELDS))["data"][1] == {"id": SMALL_WABA, "phone_numbers": {"data": []}}
        assert len((await page(sandbox, f"{SMALL_WABA}/phone_numbers"))["data"]) == 3


async def test_the_cursors_of_a_nested_list_may_be_valid_there_only() -> None:
    async with Sandbox() as sandbox:
        sandbox.set_nested(LARGE_WABA, "own_cursors")
        first = (await page(sandbox, LARGE_WABA, fields=FIELDS))["phone_numbers"]
        after = first["paging"]["cursors"]["after"]
        assert dict(parse_qsl(urlsplit(first["paging"]["next"]).query))["after"] == after
        assert (await error(sandbox, f"{LARGE_WABA}/phone_numbers", after=after))[:2] == (400, 100)
        fields = f"id,phone_numbers.after({after}).limit(2){{id}}"
        second = (await page(sandbox, LARGE_WABA, fields=fields))["phone_numbers"]
        own = await page(sandbox, f"{LARGE_WABA}/phone_numbers", fields="id", limit="4")
        assert first["data"] + second["data"] == own["data"]


async def test_a_nested_list_may_have_a_link_and_no_cursor() -> None:
    async with Sandbox() as sandbox:
        for waba_id in (EMPTY_WABA, SMALL_WABA, LARGE_WABA):
            sandbox.set_nested(waba_id, "no_cursor")
        paging = (await page(sandbox, LARGE_WABA, fields=FIELDS))["phone_numbers"]["paging"]
        assert set(paging) == {"next"}
        assert "after" not in dict(parse_qsl(urlsplit(paging["next"]).query))
        whole = await page(sandbox, SMALL_WABA, fields="phone_numbers")
        assert set(whole["phone_numbers"]["paging"]) == {"cursors"}
        assert "phone_numbers" not in await page(sandbox, EMPTY_WABA, fields=FIELDS)


async def test_an_empty_page_has_no_cursor_to_be_valid_there_only() -> None:
    async with Sandbox(mode="reference") as sandbox:
        sandbox.set_nested(EMPTY_WABA, "own_cursors")
        assert (await page(sandbox, EMPTY_WABA, fields=FIELDS))["phone_numbers"] == {"data": []}


async def test_too_large_a_response_is_an_error() -> None:
    async with Sandbox(largest_response=10_000) as sandbox:
        fields = "id,phone_numbers.limit(100)"
        message = "Please reduce the amount of data you're asking for, then retry your request"
        assert await error(sandbox, fields=fields) == (500, 1, message)
        assert len((await page(sandbox, fields=fields, limit="2"))["data"]) == 2
        assert (await error(sandbox, f"{LARGE_WABA}/phone_numbers", limit="100"))[0] == 500
    async with Sandbox(accounts=60, numbers_per_account=100) as sandbox:
        assert await error(sandbox, fields=fields, limit="60") == (500, 1, message)
    async with Sandbox(accounts=60, numbers_per_account=100, largest_response=None) as sandbox:
        assert len((await page(sandbox, fields=fields, limit="60"))["data"]) == 60


@pytest.mark.parametrize(
    ("name", "form", "text"),
    [
        (
            SMALL_WABA,
            "hidden",
            f"form must be a Fault or one of {', '.join(NESTED_FORMS)}, not 'hidden'",
        ),
        ("client", "absent", "form 'absent' is for one account; for a kind, pass a Fault or 'usual'"),
    ],
)
def test_an_invalid_form_is_an_error(name: str, form: Any, text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        Sandbox().set_nested(name, form)


# Fleets


async def test_an_account_is_owned_a_clients_or_both() -> None:
    async with Sandbox(mode="reference") as sandbox:
        sandbox.add_waba("71", 1)
        sandbox.add_waba("72", 1, kind="client")
        sandbox.add_waba("73", 1, kind="all")
        sandbox.add_waba(SMALL_WABA, [{"id": "7"}], kind="client")
        sandbox.add_waba("74", [{"id": "7"}], kind="client")
        owned, client = [(await page(sandbox, path, fields=FIELDS))["data"] for path in (OWNED, CLIENT)]
        assert [row["id"] for row in owned] == [EMPTY_WABA, SMALL_WABA, LARGE_WABA, "71", "73"]
        assert [row["id"] for row in client] == ["72", "73", SMALL_WABA, "74"]
        assert owned[1] == client[2]
        assert client[2]["phone_numbers"]["data"] == client[3]["phone_numbers"]["data"] == [{"id": "7"}]
        assert len({row["phone_numbers"]["data"][0]["id"] for row in [*owned[3:], *client[:2]]}) == 3


def test_an_account_needs_a_known_kind() -> None:
    options: dict[str, Any] = {"kind": "both"}
    with pytest.raises(ValueError, match=r"^kind must be one of owned, client, all, not 'both'$"):
        Sandbox().add_waba("77", **options)


async def test_generated_accounts_have_chosen_sizes() -> None:
    def count(position: int) -> int:
        return 0 if position % 20 == 3 else position

    async with Sandbox(accounts=40, numbers_per_account=count, largest_response=None) as sandbox:
        rows = (await page(sandbox, fields="id,phone_numbers.limit(100){id}", limit="100"))["data"]
        assert [len(row.get("phone_numbers", {"data": []})["data"]) for row in rows] == [*map(count, range(40))]
        assert len(sandbox.numbers(sandbox.waba_ids[39])) == 39
    with pytest.raises(ValueError, match=r"^numbers_per_account must be from 0 to 999999, not -1$"):
        Sandbox(accounts=2, numbers_per_account=lambda position: -position).numbers("110000000000001")
