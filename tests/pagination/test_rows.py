"""An awaited list is a list in all that a program does with one."""

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async import BusinessAccount, PhoneNumber, PhoneNumberClient, Rows, WabaListing
from wa_phone_async.pagination.rows import rows_of
from wa_phone_async.sandbox import BUSINESS_ID, EMPTY_WABA, LARGE_WABA, Sandbox

NUMBERS = [PhoneNumber(str(place)) for place in range(5)]


@given(items=st.lists(st.integers() | st.text()), start=st.integers(-9, 9), stop=st.integers(-9, 9))
def test_it_equals_its_list_in_every_operation(items: list[Any], start: int, stop: int) -> None:
    rows = Rows(items)
    assert rows == items
    assert isinstance(rows, list)
    assert repr(rows) == repr(items)
    assert json.dumps(rows) == json.dumps(items)
    assert rows[start:stop] == items[start:stop]
    assert [*reversed(rows)] == items[::-1]
    assert rows + items == items * 2
    assert rows[::2] == items[::2]
    assert sorted(map(str, rows)) == sorted(map(str, items))
    match rows:
        case [first, *rest]:
            assert [first, *rest] == items
        case _:
            assert items == []


def test_it_changes_like_a_list() -> None:
    rows = Rows(NUMBERS)
    rows.append(rows.pop(0))
    rows[0] = NUMBERS[0]
    del rows[1:]
    assert rows == NUMBERS[:1]
    assert type(rows[:1]) is Rows
    assert type(rows[0]) is PhoneNumber


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_can_be_pickled_and_copied_with_its_class(protocol: int) -> None:
    for rows in (Rows(NUMBERS), rows_of((), BusinessAccount)):
        for other in (pickle.loads(pickle.dumps(rows, protocol)), copy.copy(rows), copy.deepcopy(rows)):
            assert (other, type(other), other.model) == (rows, Rows, rows.model)
            assert other is not rows


def test_it_knows_the_class_of_its_rows() -> None:
    assert Rows(NUMBERS).model is PhoneNumber
    assert Rows([{"id": "1"}]).model is dict
    assert Rows[Any]().model is PhoneNumber
    assert rows_of((), WabaListing)[:0].model is WabaListing


async def test_whatever_is_awaited_is_one(graph_sandbox: Sandbox) -> None:
    async with PhoneNumberClient("any", base_url=graph_sandbox.url) as client:
        numbers = await client.list_phone_numbers(LARGE_WABA)
        assert type(numbers) is type(await client.list_phone_numbers(LARGE_WABA).collect()) is Rows
        assert (await client.list_phone_numbers(EMPTY_WABA)).model is PhoneNumber
        assert (await client.list_business_accounts(BUSINESS_ID, max_items=0)).model is BusinessAccount
        assert (await client.list_token_accounts()).model is BusinessAccount
        assert (await client.list_many([])).model is WabaListing
        assert (await client.list_fleet(BUSINESS_ID)).model is WabaListing
        assert (await client.session.paginate(f"{EMPTY_WABA}/phone_numbers", dict)).model is dict
