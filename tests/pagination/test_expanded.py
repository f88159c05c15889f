"""Pages of accounts that come with their numbers: on both decoding paths, each account is read as its own list is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from readers import fresh_readers

from wa_phone_async import DecodeError, PhoneNumber
from wa_phone_async.decoding.converter import FAST_PATH_SWITCH
from wa_phone_async.decoding.plain_page import LARGE_PAGE
from wa_phone_async.pagination.expanded import ExpandedAccount, ExpandedPage, expanded_page_reader
from wa_phone_async.pagination.page import RawPage, page_reader

PATHS = "on", "off"

NAME = st.sampled_from(["Río Barbers", "", None])
SCALAR = st.none() | st.booleans() | st.integers(0, 10**20) | st.text(max_size=3)
ANY = SCALAR | st.lists(SCALAR, max_size=2) | st.dictionaries(st.text(max_size=3), SCALAR, max_size=2)
NUMBER = st.fixed_dictionaries(
    {"id": st.text("123", min_size=1, max_size=3)},
    optional={"status": ANY, "throughput": ANY, "unknown": ANY, "last_onboarded_time": ANY, "platform_type": ANY},
)
CURSORS = st.fixed_dictionaries({}, optional={"before": st.text("ab", max_size=2), "after": st.text("ab", max_size=2)})
PAGING = st.fixed_dictionaries(
    {}, optional={"cursors": CURSORS, "next": st.just("https://graph.facebook.com/?access_token=t&after=x")}
)
NESTED = st.fixed_dictionaries({"data": st.lists(NUMBER, max_size=3)}, optional={"paging": PAGING, "summary": ANY})
ACCOUNT = st.fixed_dictionaries(
    {"id": st.text("456", min_size=1, max_size=3)}, optional={"name": NAME, "phone_numbers": NESTED | ANY, "more": ANY}
)


def read(payload: object, path: str) -> ExpandedPage | DecodeError:
    body = json.dumps(payload).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FAST_PATH_SWITCH, path)
        with fresh_readers():
            try:
                return read_body(body)
            except DecodeError as error:
                return error


def read_body(body: bytes) -> ExpandedPage:
    reader = expanded_page_reader()
    assert reader.read_bytes is not None
    page = reader.read_bytes(body, 200)
    page = reader.read(json.loads(body), 200) if page is None else page
    assert isinstance(page, ExpandedPage)
    return page


def accounts_of(page: ExpandedPage | DecodeError) -> list[ExpandedAccount]:
    assert isinstance(page, ExpandedPage), page
    return page.rows


def own_page(payload: object) -> RawPage[PhoneNumber] | None:
    """Read the first page of an account's own list."""
    try:
        return page_reader(PhoneNumber).read(payload, 200)
    except DecodeError:
        return None


@pytest.mark.parametrize("path", PATHS)
@given(rows=st.lists(ACCOUNT, max_size=4), paging=PAGING, padding=st.sampled_from([0, LARGE_PAGE]))
def test_each_account_is_read_as_its_own_list_is(
    rows: list[dict[str, Any]], paging: dict[str, Any], padding: int, path: str
) -> None:
    page = read({"data": rows, "paging": paging, "padding": " " * padding}, path)

    accounts = accounts_of(page)
    assert [account.id for account in accounts] == [row["id"] for row in rows]
    assert [account.name for account in accounts] == [row.get("name") for row in rows]
    for account, row in zip(accounts, rows, strict=True):
        payload = row.get("phone_numbers")
        own = None if payload is None else own_page(payload)
        assert account.numbers == own
        assert account.is_invalid == (payload is not None and own is None)
    assert isinstance(page, ExpandedPage)
    assert page.paging == page_reader(PhoneNumber).read({"data": [], "paging": paging}, 200).paging


@given(st.lists(ACCOUNT, max_size=3))
def test_both_paths_read_the_same(rows: list[dict[str, Any]]) -> None:
    usual = [{name: value for name, value in row.items() if name != "more"} for row in rows]
    assert accounts_of(read({"data": usual}, "on")) == accounts_of(read({"data": usual}, "off"))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("padding", [0, LARGE_PAGE])
@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ({}, "expected an array @ $.data"),
        ({"data": {}}, "expected an array @ $.data"),
        ({"data": [{"id": "1"}, {"name": "a"}]}, "required field missing @ $.data[1].id"),
        ({"data": [3]}, "expected an object, not a number @ $.data[0]"),
        ({"data": [{"id": "1"}], "paging": 3}, "expected an object @ $.paging"),
    ],
    ids=str,
)
def test_an_invalid_page_is_an_error(payload: dict[str, Any], text: str, padding: int, path: str) -> None:
    error = read({**payload, "padding": " " * padding}, path)
    assert isinstance(error, DecodeError)
    assert str(error) == text
    assert error.http_status == 200


@pytest.mark.parametrize("path", PATHS)
def test_one_account_with_invalid_numbers_spoils_no_other(path: str) -> None:
    good = {"data": [{"id": "7", "status": "CONNECTED"}]}
    rows = [{"id": "1", "phone_numbers": good}, {"id": "2", "phone_numbers": {"data": [{"status": "x"}]}}]
    first, second = accounts_of(read({"data": rows}, path))
    assert first.numbers is not None
    assert [number.id for number in first.numbers.rows] == ["7"]
    assert (second.numbers, second.is_invalid) == (None, True)


def test_an_api_error_is_left_to_the_reader_of_errors() -> None:
    reader = expanded_page_reader()
    assert reader.read_bytes is not None
    assert reader.read_bytes(b'{"error": {"code": 1}}', 200) is None
    assert reader.read_bytes(b'{"error": {"code": 1}, "x": "%s"}' % (b" " * LARGE_PAGE), 200) is None


def test_the_size_of_a_large_page_is_known() -> None:
    row = {"id": "1", "name": "x" * LARGE_PAGE}
    for path in PATHS:
        page = read({"data": [row]}, path)
        assert isinstance(page, ExpandedPage)
        assert page.size > LARGE_PAGE
