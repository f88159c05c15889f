"""Answers: whatever bytes come with whatever status, they are a value or a documented error."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wa_phone_async import errors
from wa_phone_async.call.response import read_answer, unreadable
from wa_phone_async.decoding.converter import Json
from wa_phone_async.errors import BadRequestError, DecodeError, GraphAPIError, RateLimitError, ServerError, WaPhoneError
from wa_phone_async.models import CreatedPhoneNumber, PhoneNumber
from wa_phone_async.pagination.page import read_page
from wa_phone_async.usage import read_usage

WABA_ID = "102290129340398"
TOKEN = "EAAGsecretsecretsecretsecret"
DEEP = b"[" * 50_000 + b"]" * 50_000
DEEPER_THAN_PYTHON_FOLLOWS = b"[" * 900 + b"]" * 900


def answer(body: bytes, http_status: int = 200, headers: dict[str, str] | None = None) -> Json:
    value: Json = read_answer(body, http_status=http_status, usage=read_usage(headers or {}, WABA_ID), secrets=(TOKEN,))
    return value


def refusal(body: bytes, http_status: int, headers: dict[str, str] | None = None) -> GraphAPIError:
    with pytest.raises(GraphAPIError) as caught:
        answer(body, http_status, headers)
    return caught.value


any_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.lists(st.characters(exclude_categories=["Cs"]) | st.just("\ud800"), max_size=20).map("".join)
    | st.just(TOKEN),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.just("error"), inner, max_size=4),
    max_leaves=10,
)
paging = st.fixed_dictionaries(
    {}, optional={"cursors": st.dictionaries(st.sampled_from(["before", "after"]), any_json), "next": any_json}
)
listings = st.fixed_dictionaries(
    {}, optional={"data": st.lists(st.fixed_dictionaries({"id": st.text()})) | any_json, "paging": paging | any_json}
)
statuses = st.sampled_from(
    [200, 201, 204, 206, 301, 304, 400, 401, 403, 404, 409, 418, 422, 429, 500, 503]
) | st.integers(100, 599)


@given(st.binary() | (any_json | listings).map(lambda value: json.dumps(value).encode()), statuses)
@example(b"", 200)
@example(DEEP, 200)
@example(DEEP, 500)
@example(b'{"error": ' + DEEPER_THAN_PYTHON_FOLLOWS + b"}", 400)
@example(b'{"error": {"message": "No", "error_data": ' + DEEPER_THAN_PYTHON_FOLLOWS + b"}}", 200)
@example(b'{"data": [], "summary": ' + DEEPER_THAN_PYTHON_FOLLOWS + b"}", 200)
@example(b'{"data": [{"id": "1", "a": ' + DEEPER_THAN_PYTHON_FOLLOWS + b"}]}", 200)
@example(b'{"data": [], "paging": {"next": "http://[", "cursors": {"after": "\\ud800"}}}', 200)
@example(b'{"error": {"message": "\\ud800", "code": 1e999}}', 400)
@example(b"\xef\xbb\xbf{}", 200)
def test_any_bytes_are_a_value_or_a_documented_error(body: bytes, http_status: int) -> None:
    for model in (PhoneNumber, CreatedPhoneNumber, dict):
        error = failure_of_a_list(body, http_status, model)
        if error is not None:
            assert error.http_status == http_status
            assert TOKEN not in f"{error} {error!r} {vars(error)}"
            assert error.__context__ is None


def failure_of_a_list(body: bytes, http_status: int, model: type[Any]) -> GraphAPIError | DecodeError | None:
    try:
        read_page(answer(body, http_status), model, http_status=http_status)
    except (GraphAPIError, DecodeError) as error:
        return error
    return None


@given(any_json.filter(lambda value: not isinstance(value, dict) or "error" not in value), st.integers(200, 299))
def test_a_good_answer_is_its_json(value: Json, http_status: int) -> None:
    assert answer(json.dumps(value).encode(), http_status) == value


@pytest.mark.parametrize("error", [None, False, "", {}, []], ids=repr)
def test_an_empty_error_is_none(error: Json) -> None:
    assert answer(json.dumps({"error": error, "data": []}).encode()) == {"error": error, "data": []}


@pytest.mark.parametrize("http_status", [300, 301, 302, 303, 304, 307, 308, 399])
@pytest.mark.parametrize("body", [b"", b"{}", b'{"error": {"code": 4}}'], ids=["empty", "json", "refusal"])
def test_a_redirect_is_never_followed(body: bytes, http_status: int) -> None:
    with pytest.raises(DecodeError) as caught:
        answer(body, http_status, {"Location": "https://evil.example/"})
    assert str(caught.value) == f"the answer is a redirect (HTTP {http_status}), and redirects are never followed"
    assert (caught.value.http_status, caught.value.garbled) == (http_status, False)


@pytest.mark.parametrize(
    ("body", "garbled"),
    [(b"", True), (b"<html>", True), (b'{"data": [', True), (b"\xff", True), (DEEP, False)],
    ids=["empty", "html", "cut", "not utf-8", "deep"],
)
def test_a_good_status_with_no_json_is_told(body: bytes, *, garbled: bool) -> None:
    with pytest.raises(DecodeError) as caught:
        answer(body)
    assert (caught.value.http_status, caught.value.garbled) == (200, garbled)


@pytest.mark.parametrize(
    ("body", "content_type", "text", "garbled"),
    [
        (
            b"<html>",
            "text/html; charset=utf-8",
            "HTTP 200 text/html from 127.0.0.1:8080, which is not JSON (6 b",
            False,
        ),
        (b"<html>", "Text/HTML", "HTTP 200 Text/HTML from 127.0.0.1:8080, which is not JSON (6 bytes)", False),
        (b"", "text/html", "HTTP 200 text/html from 127.0.0.1:8080, which is empty", True),
        (b"{", "application/json", "HTTP 200 application/json from 127.0.0.1:8080, which is not JSON (1 byte", True),
        (b"{", "", "HTTP 200 from 127.0.0.1:8080, which is not JSON", True),
        (b"{", "any words", "HTTP 200 from 127.0.0.1:8080, which is not JSON", True),
        (b"{", f"text/{TOKEN}", "HTTP 200 text/[hidden] from 127.0.0.1:8080, which is not JSON", True),
    ],
)
def test_what_is_no_json_is_named_by_where_it_came_from(
    body: bytes, content_type: str, text: str, *, garbled: bool
) -> None:
    asked = "GET /v23.0/1234/phone_numbers"
    error = unreadable(
        body, http_status=200, content_type=content_type, asked=asked, host="127.0.0.1:8080", secrets=(TOKEN,)
    )
    assert str(error).startswith(f"{asked}: {text}")
    assert (error.http_status, error.garbled) == (200, garbled)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b'{"error": {', b"\xff", DEEP, b"{}", b"[]", b"null"], ids=lambda b: str(b[:9])
)
@pytest.mark.parametrize(
    ("http_status", "kind"),
    [
        (400, "BadRequestError"),
        (401, "AuthenticationError"),
        (403, "PermissionDeniedError"),
        (404, "NotFoundError"),
        (409, "ConflictError"),
        (418, "BadRequestError"),
        (422, "UnprocessableEntityError"),
        (429, "RateLimitError"),
        (500, "ServerError"),
        (503, "ServerError"),
    ],
)
def test_a_refusal_without_an_error_to_read_is_typed_by_its_status(body: bytes, http_status: int, kind: str) -> None:
    error = refusal(body, http_status)
    assert type(error) is getattr(errors, kind)
    assert str(error) == f"refused without an error that can be read (HTTP {http_status})"
    assert error.__context__ is None


def test_an_error_with_http_200_is_a_refusal() -> None:
    error = refusal(b'{"error": {"message": "Service temporarily unavailable", "code": 2}, "data": []}', 200)
    assert type(error) is ServerError
    assert (error.http_status, error.code) == (200, 2)


def test_what_the_api_echoes_of_a_secret_is_hidden() -> None:
    error = refusal(f'{{"error": {{"message": "Malformed access token {TOKEN}", "code": 190}}}}'.encode(), 401)
    assert str(error) == "Malformed access token [hidden] (HTTP 401, code 190)"


THROTTLED = b'{"error": {"message": "Too many calls", "code": 80008}}'
FULL = {"X-Business-Use-Case-Usage": json.dumps({WABA_ID: [{"call_count": 100, "estimated_time_to_regain_access": 5}]})}


@pytest.mark.parametrize(
    ("body", "http_status", "headers", "kind", "retry_after"),
    [
        (THROTTLED, 400, {}, RateLimitError, None),
        (THROTTLED, 400, {"Retry-After": "30"}, RateLimitError, 30.0),
        (THROTTLED, 400, FULL, RateLimitError, 300.0),
        (THROTTLED, 400, FULL | {"Retry-After": "600"}, RateLimitError, 600.0),
        (b"<html>", 503, {"Retry-After": "30"}, ServerError, 30.0),
        (b"<html>", 503, FULL, ServerError, None),
        (b"{}", 400, FULL, BadRequestError, None),
    ],
    ids=["throttled", "told", "estimated", "the longest", "down, told", "down, with an estimate", "a bad request"],
)
def test_a_refusal_knows_how_long_the_server_wants_it_to_wait(
    body: bytes, http_status: int, headers: dict[str, str], kind: type[WaPhoneError], retry_after: float | None
) -> None:
    error = refusal(body, http_status, headers)
    assert type(error) is kind
    assert error.retry_after == retry_after


def test_a_good_list_is_read_whole() -> None:
    body = b'{"data": [{"id": "1"}], "paging": {"cursors": {"after": "a"}, "next": "https://x"}, "summary": {"n": 1}}'
    listing = read_page(answer(body), PhoneNumber, http_status=200)
    assert listing.rows == [PhoneNumber("1")]
    assert (listing.paging.cursors.after, listing.paging.has_next) == ("a", True)
    assert listing.extra == {"summary": {"n": 1}}
