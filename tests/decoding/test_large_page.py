"""A large page is read row by row: to the same values, and no further than is needed."""

import contextlib
import json
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async import DecodeError, PhoneNumber
from wa_phone_async.decoding.converter import read_json, read_rows
from wa_phone_async.decoding.large_page import read_large_page
from wa_phone_async.pagination.page import RawPage, read_page

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab,]}", max_size=2), inner, max_size=3),
    max_leaves=8,
)
ROW = st.fixed_dictionaries({"id": st.text("12", max_size=2)}, optional={"a": ANY, "status": ANY})
BLANKS = st.text(" \t\r\n", max_size=2)
PIECES = st.sampled_from([*'{}[]:," \n1', '"data"', '{"data":[', '"error"', "null", "nul"])


def read(body: bytes | str, model: type[Any] = PhoneNumber) -> dict[str, Any] | None:
    rows_reader = partial(read_rows, model=model, http_status=200, path="$.data")
    return read_large_page(body.encode() if isinstance(body, str) else body, rows_reader, http_status=200)


def failure(body: bytes | str, model: type[Any] = PhoneNumber) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        read(body, model)
    assert (caught.value.http_status, caught.value.__context__) == (200, None)
    return caught.value


def parsed_whole(page: Any, model: type[Any]) -> RawPage[Any] | DecodeError:
    try:
        return read_page(page, model, http_status=200)
    except DecodeError as error:
        return error


@given(
    data=st.lists(ROW | ANY, max_size=4) | ANY,
    others=st.dictionaries(st.sampled_from(["summary", "x", ""]), ANY, max_size=3),
    is_first=st.booleans(),
    indent=st.none() | st.integers(0, 1),
    model=st.sampled_from([PhoneNumber, dict]),
    blanks=st.tuples(BLANKS, BLANKS),
)
def test_it_is_read_as_if_it_were_parsed_whole(
    data: Any, others: dict[str, Any], *, is_first: bool, indent: int | None, model: Any, blanks: tuple[str, str]
) -> None:
    page = {"data": data, **others} if is_first else {**others, "data": data}
    body = f"{blanks[0]}{json.dumps(page, indent=indent)}{blanks[1]}"
    expected = parsed_whole(page, model)
    if isinstance(expected, DecodeError):
        assert str(failure(body, model)) == str(expected)
    else:
        found = read(body, model)
        assert found == {**page, "data": expected.rows}
        assert (list(found or ()), repr(found)) == (list(page), repr({**page, "data": expected.rows}))


@given(st.lists(PIECES, max_size=9).map("".join))
def test_no_text_is_read_that_is_not_json(text: str) -> None:
    with contextlib.suppress(DecodeError):
        found = read(text)
        assert found is None or found.keys() == read_json(text.encode()).keys()


@pytest.mark.parametrize(
    "body",
    [
        *(
            "",
            "{",
            '{"data"',
            '{"data":',
            '{"data":[',
            '{"data":[]',
            '{"data":[],',
            '{"data":[],}',
            '{"data":[]}}',
            '{"data":[]]',
        ),
        *('{"data":[{"id":"1"}', '{"data":[{"id":"1"},]}', '{"data":[{"id":"1"} {"id":"2"}]}', '{"data":[{"id":"1"}}'),
        *('{5:1,"data":[]}', '{"a",1}', '{"data" []}', '{"x":NaN,"data":[]}', '{"data":[{"id":NaN}]}', '{,"data":[]}'),
        *(b'{"data":[{"id":"\xff"}]}', '{"data":[{"id":"1"}],"a":01}', '{"data":[{"id":"1"}],"a":tru}'),
    ],
)
def test_the_error_of_what_is_not_json_is_the_usual_one(body: bytes | str) -> None:
    raw = body.encode() if isinstance(body, str) else body
    with pytest.raises(DecodeError) as usual:
        read_json(raw, http_status=200)
    error = failure(body)
    assert (str(error), error.garbled) == (str(usual.value), True)


@pytest.mark.parametrize("rest", ["", "]", ',"paging":{}}', "not even JSON"])
def test_what_follows_a_hundred_misfits_is_not_parsed(rest: str) -> None:
    rows = ",".join(["0"] * 100)
    text = str(failure(f'{{"data":[{rows},{rest}'))
    assert text == "expected an object, not a number @ $.data[0] (and at least 99 more)"


@pytest.mark.parametrize("rest", ["", "}", ",not even JSON"])
def test_what_follows_an_array_with_a_misfit_is_not_parsed(rest: str) -> None:
    assert str(failure(f'{{"data":[{{"id":"1"}},{{}}]{rest}')) == "required field missing @ $.data[1].id"


@pytest.mark.parametrize("body", ['{"data":{"x":[0', '{"data":5', "[0,0", "[", '{"data":"x"', "{}", '{"paging":{}}'])
def test_a_page_without_an_array_of_rows_is_an_error_at_once(body: str) -> None:
    assert str(failure(body)) == "expected an array @ $.data"


@pytest.mark.parametrize(
    "body",
    [
        *("5", '"data"', "<html></html>", "null"),
        *('{"error":{"code":190},"data":[0]}', '{"data":[],"error":null}', '{"data":[{"id":"1"}],"data":[]}'),
        json.dumps({**{f"name_{index}": index for index in range(17)}, "data": [0]}),
    ],
)
def test_what_is_no_usual_page_is_left_to_json(body: str) -> None:
    assert read(body) is None


def test_a_byte_order_mark_before_it_is_skipped() -> None:
    assert read(b'\xef\xbb\xbf{"data":[{"id":"1"}]}') == {"data": [PhoneNumber("1")]}


def test_a_row_that_is_nested_too_deeply_is_an_error() -> None:
    deep = "[" * 100_000 + "]" * 100_000
    assert "nested too deeply" in str(failure(f'{{"data":[{{"id":"1","a":{deep}}}]}}'))
