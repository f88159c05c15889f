"""Responses: any bytes with any HTTP status are a value or a documented error."""

import json
import pickle
from typing import Any

import pytest
from api_errors import PAYLOADS, STATUSES, TOKEN
from clients import against
from hypothesis import example, given
from hypothesis import strategies as st
from misbehaving import respond

from wa_phone_async import AuthenticationError, PermissionDeniedError, errors
from wa_phone_async.call import response
from wa_phone_async.call.response import explain_not_json, read_api_error, read_response
from wa_phone_async.decoding.converter import Json
from wa_phone_async.errors import BadRequestError, DecodeError, GraphAPIError, RateLimitError, ServerError, WaPhoneError
from wa_phone_async.models import CreatedPhoneNumber, PhoneNumber
from wa_phone_async.pagination.page import read_page
from wa_phone_async.usage import read_usage

WABA_ID = "102290129340398"
# On a stack of 8 MB, CPython 3.14 and 3.15 follow some 65,000 levels.
DEEP = b"[" * 200_000 + b"]" * 200_000
DEEPER_THAN_PYTHON_FOLLOWS = b"[" * 900 + b"]" * 900


def read(body: bytes, http_status: int = 200, headers: dict[str, str] | None = None) -> Json:
    usage = read_usage(headers or {}, WABA_ID)
    value: Json = read_response(body, http_status=http_status, usage=usage, secrets=lambda: (TOKEN,))
    return value


def api_error(body: bytes, http_status: int, headers: dict[str, str] | None = None) -> GraphAPIError:
    with pytest.raises(GraphAPIError) as caught:
        read(body, http_status, headers)
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
        error = error_of_a_page(body, http_status, model)
        if error is not None:
            assert error.http_status == http_status
            assert TOKEN not in f"{error} {error!r} {vars(error)}"
            assert error.__context__ is None


def error_of_a_page(body: bytes, http_status: int, model: type[Any]) -> GraphAPIError | DecodeError | None:
    try:
        read_page(read(body, http_status), model, http_status=http_status)
    except (GraphAPIError, DecodeError) as error:
        return error
    return None


@given(any_json.filter(lambda value: not isinstance(value, dict) or "error" not in value), st.integers(200, 299))
def test_a_successful_response_is_its_json(value: Json, http_status: int) -> None:
    assert read(json.dumps(value).encode(), http_status) == value


BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@given(any_json.filter(lambda value: not isinstance(value, dict) or "error" not in value), st.integers(200, 299))
def test_a_byte_order_mark_before_the_json_is_skipped(value: Json, http_status: int) -> None:
    assert read(BYTE_ORDER_MARK + json.dumps(value).encode(), http_status) == value


def test_a_byte_order_mark_before_an_error_is_skipped() -> None:
    error = api_error(BYTE_ORDER_MARK + b'{"error": {"message": "No", "code": 190}}', 400)
    assert (type(error), error.message) == (errors.AuthenticationError, "No")


async def test_a_list_with_a_byte_order_mark_is_read() -> None:
    body = BYTE_ORDER_MARK + b'{"data": [{"id": "1", "verified_name": "\xef\xbb\xbfAcme"}]}'
    async with against(respond(body)) as (_, client):
        assert await client.list_phone_numbers("1234") == [PhoneNumber("1", verified_name="\ufeffAcme")]


@pytest.mark.parametrize("error", [None, False, "", {}, []], ids=repr)
def test_an_empty_error_is_none(error: Json) -> None:
    assert read(json.dumps({"error": error, "data": []}).encode()) == {"error": error, "data": []}


@pytest.mark.parametrize("http_status", [300, 301, 302, 303, 304, 307, 308, 399])
@pytest.mark.parametrize("body", [b"", b"{}", b'{"error": {"code": 4}}'], ids=["empty", "json", "error"])
def test_a_redirect_is_never_followed(body: bytes, http_status: int) -> None:
    with pytest.raises(DecodeError) as caught:
        read(body, http_status, {"Location": "https://evil.example/"})
    assert str(caught.value) == (
        f"the response is a redirect (HTTP {http_status}), and redirects are not followed: check base_url"
    )
    assert (caught.value.http_status, caught.value.garbled) == (http_status, False)


@pytest.mark.parametrize(
    ("body", "garbled"),
    [(b"", True), (b"<html>", True), (b'{"data": [', True), (b"\xff", True), (DEEP, False)],
    ids=["empty", "html", "cut", "not utf-8", "deep"],
)
def test_a_good_status_without_json_is_an_error(body: bytes, *, garbled: bool) -> None:
    with pytest.raises(DecodeError) as caught:
        read(body)
    assert (caught.value.http_status, caught.value.garbled) == (200, garbled)


def explained(error: WaPhoneError, body: bytes, http_status: int, headers: dict[str, str]) -> str:
    explain_not_json(
        error,
        body,
        http_status=http_status,
        headers=headers,
        request="GET /v23.0/1234/phone_numbers",
        host="127.0.0.1:8080",
        secrets=(TOKEN,),
    )
    return str(error)


HTML = {"Content-Type": "text/html; charset=utf-8"}
PAGE_HINT = "it is a page of HTML from a proxy or another server, so check base_url"


@pytest.mark.parametrize(
    ("http_status", "body", "headers", "text"),
    [
        (403, b"<html>", HTML, f"not JSON (text/html, 6 bytes): {PAGE_HINT} (HTTP 403)"),
        (404, b"Not here", HTML, f"not JSON (text/html, 8 bytes): {PAGE_HINT} (HTTP 404)"),
        (401, b"\xef\xbb\xbf \n<!DOCTYPE html><p>", {}, f"not JSON (23 bytes): {PAGE_HINT} (HTTP 401)"),
        (400, b"<HTML lang='en'>", {}, f"not JSON (16 bytes): {PAGE_HINT} (HTTP 400)"),
        (502, b"<html>", HTML, f"not JSON (text/html, 6 bytes): {PAGE_HINT} (HTTP 502)"),
        (404, b"Not here", {"Content-Type": "text/plain"}, "not JSON (text/plain, 8 bytes) (HTTP 404)"),
        (404, b"<Error/>", {"Content-Type": "application/xml"}, "not JSON (application/xml, 8 bytes) (HTTP 404)"),
        (403, b"", HTML, "empty (text/html, 0 bytes) (HTTP 403)"),
        (407, b"<html>", HTML, "not JSON (text/html, 6 bytes): the proxy wants a user name and a password (HTTP 407)"),
        (407, b"", {}, "empty (0 bytes): the proxy wants a user name and a password (HTTP 407)"),
        (500, b"\x1f\x9d", {"Content-Encoding": "Compress"}, "not JSON (encoded as compress, 2 bytes) (HTTP 500)"),
        (500, b"no", {"Content-Encoding": f"x {TOKEN}"}, "not JSON (2 bytes) (HTTP 500)"),
    ],
)
def test_an_api_error_without_json_says_what_came_instead_of_it(
    http_status: int, body: bytes, headers: dict[str, str], text: str
) -> None:
    error = api_error(body, http_status)
    kind = type(error)
    assert explained(error, body, http_status, headers) == (
        f"GET /v23.0/1234/phone_numbers: the response from 127.0.0.1:8080 is {text}"
    )
    assert (type(error), error.code) == (kind, None)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_an_error_with_json_stays_as_it_is() -> None:
    body = b'{"error": {"message": "No", "code": 100}}'
    assert explained(api_error(body, 400), body, 400, HTML) == "No (HTTP 400, code 100)"
    deep = DecodeError("nested too deeply", http_status=200)
    assert explained(deep, DEEP, 200, HTML) == "nested too deeply"


@pytest.mark.parametrize(
    ("body", "content_type", "text", "garbled"),
    [
        (b"<html>", "text/html; charset=utf-8", "not JSON (HTTP 200, text/html, 6 bytes): check base_url", False),
        (b"<html>", "Text/HTML", "not JSON (HTTP 200, Text/HTML, 6 bytes): check base_url", False),
        (b"", "text/html", "empty (HTTP 200, text/html, 0 bytes)", True),
        (b"{]", "application/json", "not JSON (HTTP 200, application/json, 2 bytes)", True),
        (b"{]", "", "not JSON (HTTP 200, 2 bytes)", True),
        (b"{]", "any words", "not JSON (HTTP 200, 2 bytes)", True),
        (b"{]", f"text/{TOKEN}", "not JSON (HTTP 200, text/[hidden], 2 bytes)", True),
    ],
)
def test_the_error_of_what_is_not_json_says_where_it_came_from(
    body: bytes, content_type: str, text: str, *, garbled: bool
) -> None:
    error = DecodeError("not JSON", http_status=200, garbled=True)
    explained(error, body, 200, {"Content-Type": content_type})
    assert str(error) == f"GET /v23.0/1234/phone_numbers: the response from 127.0.0.1:8080 is {text}"
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
def test_without_an_error_code_the_status_decides_the_class(body: bytes, http_status: int, kind: str) -> None:
    error = api_error(body, http_status)
    assert type(error) is getattr(errors, kind)
    assert str(error) == f"the response has no error code (HTTP {http_status})"
    assert error.__context__ is None


def test_an_error_with_http_200_is_an_api_error() -> None:
    error = api_error(b'{"error": {"message": "Service temporarily unavailable", "code": 2}, "data": []}', 200)
    assert type(error) is ServerError
    assert (error.http_status, error.code) == (200, 2)


def test_what_the_api_echoes_of_a_secret_is_hidden() -> None:
    error = api_error(f'{{"error": {{"message": "Malformed access token {TOKEN}", "code": 190}}}}'.encode(), 401)
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
    ids=["throttled", "stated", "estimated", "the longest", "down, stated", "down, with an estimate", "a bad request"],
)
def test_an_api_error_has_the_wait_that_the_server_asks_for(
    body: bytes, http_status: int, headers: dict[str, str], kind: type[WaPhoneError], retry_after: float | None
) -> None:
    error = api_error(body, http_status, headers)
    assert type(error) is kind
    assert error.retry_after == retry_after


def test_a_good_list_is_read_whole() -> None:
    body = b'{"data": [{"id": "1"}], "paging": {"cursors": {"after": "a"}, "next": "https://x"}, "summary": {"n": 1}}'
    listing = read_page(read(body), PhoneNumber, http_status=200)
    assert listing.rows == [PhoneNumber("1")]
    assert (listing.paging.cursors.after, listing.paging.has_next) == ("a", True)
    assert listing.extra == {"summary": {"n": 1}}


# --- reading an API error


def test_every_fact_is_kept() -> None:
    error = read_api_error(
        {
            "error": {
                "message": "(#80008) There have been too many calls to this WhatsApp Business account.",
                "type": "OAuthException",
                "code": 80008,
                "error_subcode": 2446079,
                "is_transient": True,
                "error_data": {"messaging_product": "whatsapp", "details": "Too many"},
                "error_user_title": "Muitas chamadas",
                "error_user_msg": "Aguarde um pouco",
                "fbtrace_id": "AxYz",
                "href": "https://developers.facebook.com",
            }
        },
        http_status=400,
        secrets=(TOKEN,),
    )
    assert vars(error) == {
        "message": "(#80008) There have been too many calls to this WhatsApp Business account.",
        "http_status": 400,
        "code": 80008,
        "error_subcode": 2446079,
        "type": "OAuthException",
        "fbtrace_id": "AxYz",
        "is_transient": True,
        "error_user_title": "Muitas chamadas",
        "error_user_msg": "Aguarde um pouco",
        "error_data": {"messaging_product": "whatsapp", "details": "Too many"},
        "retry_after": None,
        "needs_smaller_page": False,
        "missing_fields": (),
    }
    assert type(error) is RateLimitError


@pytest.mark.parametrize("secret", ["133009", "5", "min", "1", "true", "t"])
def test_a_decision_is_made_by_what_was_sent_and_not_by_what_is_shown(secret: str) -> None:
    sent = {"code": "133009", "is_transient": True, "message": "wait", "error_data": {"details": "5 min 1 s"}}
    error = read_api_error({"error": sent}, http_status=400, secrets=(secret,))
    assert (error.code, error.is_transient, error.retry_after) == (133009, True, 301.0)


NO_CODE = "the response has no error code"


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (None, NO_CODE),
        ([], NO_CODE),
        ("Service Unavailable", NO_CODE),
        ({}, NO_CODE),
        ({"error": None}, NO_CODE),
        ({"error": True}, NO_CODE),
        ({"error": {}}, NO_CODE),
        ({"error": {"message": ""}}, NO_CODE),
        ({"error": {"message": {"text": "No"}}}, NO_CODE),
        ({"error": ["No"]}, NO_CODE),
        ({"error": "No"}, "No"),
        ({"error": {"message": "No"}}, "No"),
    ],
    ids=str,
)
def test_an_error_of_any_form_is_read(payload: Json, message: str) -> None:
    error = read_api_error(payload, http_status=400, secrets=())
    assert type(error) is BadRequestError
    assert str(error) == f"{message} (HTTP 400)"
    assert (error.code, error.error_subcode, error.type, error.fbtrace_id) == (None, None, None, None)
    assert (error.is_transient, error.error_data) == (None, None)


@pytest.mark.parametrize(
    ("code", "read"),
    [
        (190, 190),
        (0, 0),
        (-1, -1),
        ("190", 190),
        ("0190", 190),
        (True, None),
        (False, None),
        (190.0, None),
        ("", None),
        ("abc", None),
        ("-1", -1),
        ("--1", None),
        ("-", None),
        ("\u0661\u0669\u0660", None),
        ("\u00b2", None),
        ("9" * 10, None),
        ("9" * 5000, None),
        ([190], None),
        (None, None),
    ],
    ids=lambda value: f"{value!r:.12}",
)
def test_a_code_is_a_whole_number_or_the_text_of_one(code: Json, read: int | None) -> None:
    error = read_api_error({"error": {"code": code, "error_subcode": code}}, http_status=400, secrets=())
    assert (error.code, error.error_subcode) == (read, read)
    assert type(error.code) in {int, type(None)}


@pytest.mark.parametrize("transient", ["true", 1, None, [], {}], ids=repr)
def test_is_transient_is_a_boolean_or_none(transient: Json) -> None:
    error = read_api_error({"error": {"is_transient": transient}}, http_status=400, secrets=())
    assert error.is_transient is None


@pytest.mark.parametrize(
    ("data", "read"),
    [({"a": [1]}, {"a": [1]}), ('{"blame": 1}', '{"blame": 1}'), ("", ""), (5, None), ([1], None), (None, None)],
    ids=repr,
)
def test_details_are_a_mapping_or_a_string(data: Json, read: object) -> None:
    assert read_api_error({"error": {"error_data": data}}, http_status=400, secrets=()).error_data == read


@given(PAYLOADS, STATUSES)
def test_any_json_is_an_error_that_prints_pickles_and_holds_no_secret(payload: Json, http_status: int) -> None:
    error = read_api_error(payload, http_status=http_status, secrets=(TOKEN,))
    assert error.http_status == http_status
    assert TOKEN not in f"{error} {error!r} {vars(error)}"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_an_error_that_is_nested_too_deep_keeps_its_facts() -> None:
    deep: Any = TOKEN
    for _ in range(900):
        deep = [deep]
    sent = {"error": {"message": "No", "code": 190, "error_data": {"a": deep}}}
    error = read_api_error(sent, http_status=400, secrets=(TOKEN,))
    assert (error.message, error.code) == ("No", 190)
    assert TOKEN not in repr(error.error_data)


@pytest.mark.parametrize("member", ["message", "type", "fbtrace_id", "error_user_title", "error_data"])
@pytest.mark.parametrize(
    "large",
    [
        *("x" * 10_001, "\\n" * 5_001, TOKEN * 500, [0] * 10_001, [[TOKEN] * 100] * 500),
        *({"details": [10**4_000] * 9}, {TOKEN * 500: 1}, {"a": {"b": {"c": "x" * 10_000}}}),
    ],
    ids=range(8),
)
def test_a_large_member_of_an_error_is_only_described(member: str, large: Json) -> None:
    sent: dict[str, Any] = {"code": 133016, "message": "No", "error_data": {"details": "Why"}, member: large}
    error = read_api_error({"error": sent}, http_status=400, secrets=(TOKEN,))
    note = "[more than 10000 characters or values]"
    read = {"message": error.message, "type": error.type, "fbtrace_id": error.fbtrace_id}
    read |= {"error_user_title": error.error_user_title, "error_data": str(error.error_data)}
    assert read[member] == note
    assert (error.code, len(str(error)) < 200, TOKEN not in str(error)) == (133016, True, True)


def test_what_an_error_does_not_keep_is_not_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[Json]()

    def redact(value: Json, _: object) -> Json:
        seen.append(value)
        return value

    monkeypatch.setattr(response, "redact", redact)
    read_api_error({"error": {"message": "No", "others": [0] * 1_000}}, http_status=400, secrets=())
    assert seen == [{"message": "No"}]


@pytest.mark.parametrize("body", [b'{"error":{"code":190,"x":"' + b"x" * 2**20 + b'"}}', b"[" + b"0," * 2**19 + b"0]"])
def test_a_body_that_is_too_long_for_an_api_error_is_not_parsed(body: bytes) -> None:
    error = api_error(body, 403)
    assert (type(error), error.code) == (PermissionDeniedError, None)
    text = explained(error, body, 403, {})
    assert text.endswith(f" 127.0.0.1:8080 is too long for an API error ({len(body)} bytes) (HTTP 403)")


def test_a_long_body_of_http_200_is_parsed() -> None:
    body = b'{"error":{"code":190,"message":"No"},"x":"' + b"x" * 2**20 + b'"}'
    error = api_error(body, 200)
    assert (type(error), error.code) == (AuthenticationError, 190)
    assert explained(error, body, 200, {}) == "No (HTTP 200, code 190)"
    garbled = DecodeError("the response is not JSON", http_status=200, garbled=True)
    assert "is not JSON (HTTP 200, " in explained(garbled, body[:-1], 200, {})
