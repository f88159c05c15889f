"""Pages: what a response of a list says, and which page comes next."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from books import Book, raw_page
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async import DecodeError, InvalidArgumentError, PhoneNumber
from wa_phone_async.decoding.plain_page import LARGE_PAGE
from wa_phone_async.models import Cursors
from wa_phone_async.pagination.page import PageCursor, Paging, RawPage, page_reader, read_page, read_paging
from wa_phone_async.query import Follow, ListQuery


def read_bytes(body: bytes, http_status: int) -> RawPage[PhoneNumber] | None:
    read = page_reader(PhoneNumber).read_bytes
    assert read is not None
    return read(body, http_status)


# What a page says


@pytest.mark.parametrize(
    ("paging", "expected"),
    [
        (None, Paging()),
        ({}, Paging()),
        ({"cursors": None, "next": None}, Paging()),
        ({"cursors": {}}, Paging()),
        ({"cursors": {"after": "A"}}, Paging(Cursors(after="A"))),
        ({"cursors": {"before": "B"}}, Paging(Cursors(before="B"))),
        ({"cursors": {"before": "B", "after": "A"}, "next": ""}, Paging(Cursors("B", "A"))),
        ({"cursors": {"after": "A"}, "next": "https://x/?after=Z"}, Paging(Cursors(after="A"), has_next=True)),
        ({"next": "https://x/?limit=2&after=A%3D%3D"}, Paging(Cursors(after="A=="), has_next=True)),
        ({"previous": "https://x/?before=B"}, Paging(Cursors(before="B"), has_previous=True)),
        ({"next": "https://x/?limit=2"}, Paging(has_next=True)),
        ({"next": "http://[::1/?after=A"}, Paging(has_next=True)),
        ({"next": "after=A"}, Paging(has_next=True)),
    ],
    ids=lambda value: "" if isinstance(value, Paging) else json.dumps(value),
)
def test_paging_may_lack_any_part_and_a_missing_cursor_is_read_from_the_link(paging: object, expected: Paging) -> None:
    assert read_paging(paging) == expected


@pytest.mark.parametrize(
    ("paging", "text"),
    [
        (5, "expected an object @ $.paging"),
        ([1], "expected an object @ $.paging"),
        ({"cursors": "A"}, "expected an object @ $.paging.cursors"),
        ({"next": 5}, "expected a string @ $.paging.next"),
        ({"previous": True}, "expected a string @ $.paging.previous"),
        ({"cursors": {"after": 5}}, "expected a string @ $.paging.cursors.after"),
        ({"cursors": {"before": {"x": 1}}}, "expected a string @ $.paging.cursors.before"),
        ({"cursors": {"after": "A" * 16_385}}, "expected at most 16384 characters @ $.paging.cursors.after"),
        ({"next": "https://x/?" + "a=1&" * 4_096}, "expected at most 16384 characters @ $.paging.next"),
    ],
    ids=str,
)
def test_paging_of_another_type_is_an_error_with_its_path(paging: object, text: str) -> None:
    with pytest.raises(DecodeError) as caught:
        read_paging(paging, http_status=200)
    assert (str(caught.value), caught.value.http_status) == (text, 200)


def test_a_cursor_may_be_as_long_as_any_url() -> None:
    assert read_paging({"cursors": {"after": "A" * 16_384}}).cursors.after == "A" * 16_384


def test_a_large_page_is_read_to_the_same_page() -> None:
    rows = [{"id": str(number), "verified_name": "Acme " * 10, "a": number} for number in range(3_000)]
    payload = {"data": rows, "paging": {"cursors": {"after": "A"}, "next": "https://x/"}, "summary": {"total": 3_000}}
    body = json.dumps(payload).encode()
    assert len(body) > LARGE_PAGE
    assert read_bytes(body, 200) == read_page(payload, PhoneNumber, http_status=200)
    assert read_bytes(b" " * LARGE_PAGE + b'{"error":{"code":190}}', 200) is None


@pytest.mark.parametrize("size", [1, 3_000])
def test_a_page_of_misfits_has_one_error_of_one_line(size: int) -> None:
    body = json.dumps({"data": [{"padding": "x" * 100}] * size}).encode()
    more = " (and at least 99 more)" if size > 1 else ""
    with pytest.raises(DecodeError) as caught:
        read_bytes(body, 200) or read_page(json.loads(body), PhoneNumber, http_status=200)
    assert str(caught.value) == f"required field missing @ $.data[0].id{more}"


def test_a_page_keeps_other_members_without_links() -> None:
    payload = {
        "data": [{"id": "1"}],
        "paging": {"next": "https://x/?access_token=t"},
        "summary": {"total_count": 1, "paging": {"next": "https://x/?access_token=t", "cursors": {}}},
    }
    read = read_page(payload, PhoneNumber, http_status=200)
    assert read.rows == [PhoneNumber("1")]
    assert dict(read.extra) == {"summary": {"total_count": 1, "paging": {"cursors": {}}}}


@pytest.mark.parametrize("payload", [None, 5, "", [], {}, {"data": None}, {"data": {}}], ids=repr)
def test_a_payload_without_an_array_of_rows_is_an_error(payload: Any) -> None:
    with pytest.raises(DecodeError, match=r"expected an array @ \$\.data"):
        read_page(payload, PhoneNumber, http_status=200)


@pytest.mark.parametrize(("rows", "path"), [([{}], "$.data[0].id"), ([{"id": "1"}, 5], "$.data[1]")], ids=str)
def test_the_error_of_an_invalid_row_says_where_it_is(rows: Sequence[object], path: str) -> None:
    with pytest.raises(DecodeError) as caught:
        read_page({"data": rows}, PhoneNumber, http_status=200)
    assert str(caught.value).endswith(f"@ {path}")


# Which page comes next


@given(
    size=st.integers(0, 60),
    limit=st.integers(1, 30),
    max_items=st.none() | st.integers(1, 70),
    follow=st.sampled_from(["next", "after"]),
)
def test_the_last_page_is_known_when_it_comes(size: int, limit: int, max_items: int | None, follow: Follow) -> None:
    book, cursor = Book(size), PageCursor[int](ListQuery(limit=limit, max_items=max_items, follow=follow))
    while (params := cursor.next_params()) is not None:
        page = book.page(params)
        is_last = cursor.is_last(page)
        cursor.take(page)
        assert cursor.at_end == is_last


def test_what_to_follow_is_checked() -> None:
    with pytest.raises(InvalidArgumentError, match="follow must be 'next' or 'after', not 'last'"):
        PageCursor[int](ListQuery(follow="last"))  # type: ignore[arg-type]  # what is tested


def test_no_more_pages_are_prefetched_than_may_wait_nor_after_the_last() -> None:
    cursor = PageCursor[int](ListQuery(max_items=5))
    assert [cursor.pages_to_prefetch(waiting, most=2) for waiting in (-1, 0, 1, 2, 3)] == [3, 2, 1, 0, 0]
    cursor.take(raw_page([1, 2, 3], after="A", has_next=True))
    assert cursor.pages_to_prefetch(1, most=2) == 1
    cursor.take(raw_page([4, 5, 6], after="B", has_next=True))
    assert cursor.pages_to_prefetch(0, most=2) == 0  # the pages that wait have all five
    cursor = PageCursor[int](ListQuery())
    cursor.take(raw_page([1], after="A"))
    assert cursor.pages_to_prefetch(0, most=2) == 0  # nothing follows
