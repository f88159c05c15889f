"""Requests: their URLs, and how an API error amends a request, each cause once."""

from typing import Any
from urllib.parse import parse_qs, parse_qsl

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async.call.missing_fields import OUTSIDE_REFERENCE
from wa_phone_async.call.request import Dialect, GraphRequest, amend, final_error
from wa_phone_async.call.response import read_api_error
from wa_phone_async.call.writes import Write
from wa_phone_async.errors import AuthenticationError, BadRequestError, GraphAPIError, RateLimitError, ServerError
from wa_phone_async.models import ALL_FIELDS
from wa_phone_async.query import Sort, optional_fields

PATH = "102290129340398/phone_numbers"
LIST = GraphRequest(path=PATH, params={"limit": "100"})
SORTED = GraphRequest(path=PATH, params={"sort": Sort.LAST_ONBOARDED_TIME_DESC})
FULL = GraphRequest(
    path=PATH, params={"fields": ",".join(ALL_FIELDS)}, optional_fields=optional_fields(PATH, ",".join(ALL_FIELDS))
)
CREATE = GraphRequest(path=PATH, write=Write(path=PATH, body={"phone_number": "16315551000"}))

ALWAYS_LIVE = ("name_status", "throughput", "last_onboarded_time")
"""A server without one of them is made from the reference, and lacks all that the reference lacks."""
ONE_BY_ONE = [name for name in ALL_FIELDS if name not in {"id", "display_phone_number", *ALWAYS_LIVE}]

TOKEN_REJECTED = AuthenticationError("Error validating access token", http_status=401, code=190)
SORT_REJECTED = BadRequestError("(#100) Cannot sort by last_onboarded_time.desc_ascending", http_status=400, code=100)


def sent(message: str, *, code: int, http_status: int = 400, token: str = "EAAG") -> GraphAPIError:
    return read_api_error({"error": {"message": message, "code": code}}, http_status=http_status, secrets=(token,))


TOO_MUCH = sent("Please reduce the amount of data you're asking for, then retry your request", code=1, http_status=500)


def nonexisting(
    field: str, *, code: int = 100, token: str = "EAAG", node: str = "WhatsAppBusinessPhoneNumber"
) -> GraphAPIError:
    text = f"(#100) Tried accessing nonexisting field ({field}) on node type ({node})"
    return sent(text, code=code, token=token)


def amended(request: GraphRequest, error: GraphAPIError) -> GraphRequest:
    other = amend(request, error)
    assert other is not None
    return other


def fields_of(request: GraphRequest) -> list[str]:
    return parse_qs(request.query_string())["fields"][0].split(",")


# --- a request


def test_a_request_knows_its_node_and_whether_it_writes() -> None:
    assert (LIST.node_id, LIST.is_write, str(LIST)) == ("102290129340398", False, f"GET {PATH}")
    assert (CREATE.node_id, CREATE.is_write, str(CREATE)) == ("102290129340398", True, f"POST {PATH}")
    assert GraphRequest(path="1234").node_id == "1234"


@pytest.mark.parametrize(
    ("request_", "quota_id"),
    [
        (LIST, "102290129340398"),
        (GraphRequest(path="1234", waba_id="5678"), "5678"),
        (GraphRequest(path="1234", waba_id=None), None),
    ],
    ids=["head of the path", "named", "no account"],
)
def test_a_request_knows_whose_quota_it_uses(request_: GraphRequest, quota_id: str | None) -> None:
    assert request_.quota_id == quota_id
    assert attrs.evolve(request_, params={"limit": "1"}).quota_id == quota_id


def test_no_repr_shows_the_body_of_a_write() -> None:
    assert "16315551000" not in repr(CREATE)


@pytest.mark.parametrize(
    ("params", "query"),
    [
        ({}, ""),
        ({"limit": "100", "after": "QVFI=="}, "limit=100&after=QVFI%3D%3D"),
        ({"fields": "owner{id,name}"}, "fields=owner%7Bid%2Cname%7D"),
        ({"filtering": '[{"value":"a b&c"}]'}, "filtering=%5B%7B%22value%22%3A%22a%20b%26c%22%7D%5D"),
    ],
    ids=["none", "cursor", "fields", "filter"],
)
def test_parameters_are_percent_encoded(params: dict[str, str], query: str) -> None:
    assert GraphRequest(path=PATH, params=params).query_string() == query


@given(st.dictionaries(st.text(), st.text(min_size=1)))
def test_parameters_arrive_as_they_are(params: dict[str, str]) -> None:
    params.pop("sort", None)
    query = GraphRequest(path=PATH, params=params).query_string()
    assert dict(parse_qsl(query, keep_blank_values=True)) == params
    assert query.isascii()


@given(st.lists(st.characters(exclude_categories=["Cs"]) | st.just("\ud800"), max_size=20).map("".join))
def test_any_cursor_that_json_can_hold_can_be_sent(cursor: str) -> None:
    query = GraphRequest(path=PATH, params={"after": cursor}).query_string()
    assert parse_qs(query, keep_blank_values=True, errors="surrogatepass") == {"after": [cursor]}


# --- the dialects


@pytest.mark.parametrize(
    ("sort", "live"),
    [
        (Sort.CREATION_TIME_ASC, "creation_time_ascending"),
        (Sort.CREATION_TIME_DESC, "creation_time_descending"),
        (Sort.LAST_ONBOARDED_TIME_ASC, "last_onboarded_time_ascending"),
        (Sort.LAST_ONBOARDED_TIME_DESC, "last_onboarded_time_descending"),
    ],
    ids=str,
)
def test_a_sort_has_two_spellings(sort: Sort, live: str) -> None:
    assert Dialect().spell(sort) == live
    assert Dialect(sort_spelling="reference").spell(sort) == sort.value
    assert GraphRequest(path=PATH, params={"sort": sort}).query_string() == f"sort={live}"


@pytest.mark.parametrize("spelling", ["live", "reference"])
@pytest.mark.parametrize("text", ["creation_time.asc", "last_onboarded_time", '["creation_time_descending"]'])
def test_a_plain_string_goes_out_as_it_is(text: str, spelling: Any) -> None:
    assert Dialect(spelling).spell(text) == text


def test_missing_fields_are_left_out_of_all_fields() -> None:
    dialect = Dialect(missing_fields=frozenset({"unified_cert_status", "username"}))
    assert fields_of(attrs.evolve(FULL, dialect=dialect)) == [
        name for name in ALL_FIELDS if name not in {"unified_cert_status", "username"}
    ]


def test_a_missing_field_that_the_caller_named_is_not_left_out() -> None:
    request = GraphRequest(
        path=PATH, params={"fields": "id,username"}, dialect=Dialect(missing_fields=frozenset({"username"}))
    )
    assert fields_of(request) == ["id", "username"]


# --- amended requests


def test_a_sort_that_the_api_rejects_gets_the_other_spelling_only_once() -> None:
    other = amended(SORTED, SORT_REJECTED)
    assert other.query_string() == "sort=last_onboarded_time.desc"
    assert amend(other, SORT_REJECTED) is None


def test_the_spelling_goes_both_ways() -> None:
    request = attrs.evolve(SORTED, dialect=Dialect(sort_spelling="reference"))
    assert amended(request, SORT_REJECTED).query_string() == "sort=last_onboarded_time_descending"


@pytest.mark.parametrize("http_status", [200, 400, 422])
@pytest.mark.parametrize("text", ["Invalid parameter", "", "Unexpected value", "Param must be one of {a, b}"])
def test_a_sort_gets_the_other_spelling_whatever_the_text_and_status(text: str, http_status: int) -> None:
    other = amended(SORTED, sent(text, code=100, http_status=http_status))
    assert other.query_string() == "sort=last_onboarded_time.desc"
    assert amend(other, SORT_REJECTED) is None


def test_if_both_spellings_are_rejected_the_first_error_is_raised() -> None:
    other = amended(SORTED, SORT_REJECTED)
    second = sent("Invalid parameter", code=100, http_status=422)
    second.attempts = 2
    assert final_error(other, second) is SORT_REJECTED
    assert SORT_REJECTED.attempts == 2
    assert final_error(SORTED, second) is second


@pytest.mark.parametrize(
    ("code", "http_status"), [(190, 401), (80008, 400), (2, 500)], ids=["token", "quota", "server"]
)
def test_trouble_that_is_not_about_the_second_spelling_is_raised_itself(code: int, http_status: int) -> None:
    error = sent("No", code=code, http_status=http_status)
    assert final_error(amended(SORTED, SORT_REJECTED), error) is error


def test_a_field_is_left_out_before_the_sort_is_respelled() -> None:
    request = attrs.evolve(FULL, params={**FULL.params, "sort": Sort.CREATION_TIME_ASC})
    other = amended(request, nonexisting("username"))
    assert other.dialect == Dialect("live", frozenset({"username"}))
    assert amended(other, nonexisting("username")).dialect == Dialect("reference", frozenset({"username"}))


@pytest.mark.parametrize("code", [12, 100, 131009, 999_999])
@pytest.mark.parametrize("http_status", [200, 400, 404, 422, 500])
def test_a_missing_field_is_dropped_whatever_the_code_and_status(code: int, http_status: int) -> None:
    text = f"(#{code}) username field is deprecated for versions v24.0 and higher"
    assert "username" not in fields_of(amended(FULL, sent(text, code=code, http_status=http_status)))


def test_fields_that_an_error_does_not_name_are_guessed_and_not_remembered() -> None:
    error = sent("The requested fields are not available for this account", code=100, http_status=422)
    other = amended(FULL, error)
    assert set(fields_of(other)) == set(ALL_FIELDS) - set(OUTSIDE_REFERENCE)
    assert Dialect().learn(other) == Dialect()
    assert amend(other, error) is None


def test_a_field_that_does_not_exist_is_dropped_and_only_once() -> None:
    other = amended(FULL, nonexisting("unified_cert_status"))
    assert "unified_cert_status" not in fields_of(other)
    assert len(fields_of(other)) == len(ALL_FIELDS) - 1
    assert amend(other, nonexisting("unified_cert_status")) is None


@pytest.mark.parametrize("token", ["username", "field", "nonexisting", "t", "100"])
def test_a_field_is_dropped_although_a_toy_token_hides_its_name_in_the_text(token: str) -> None:
    other = amended(FULL, nonexisting("username", token=token))
    assert "username" not in fields_of(other)


def test_a_page_is_halved_although_a_toy_token_hides_the_reason_in_the_text() -> None:
    error = sent("Please reduce the amount of data", code=1, http_status=500, token="amount")
    assert error.message == "Please reduce the [hidden] of data"
    assert amended(LIST, error).params == {"limit": "50"}


def test_fields_are_dropped_one_after_the_other_down_to_the_essential_ones() -> None:
    request = FULL
    for name in ONE_BY_ONE:
        request = amended(request, nonexisting(name))
    assert fields_of(request) == ["id", "display_phone_number", *ALWAYS_LIVE]
    request = amended(request, nonexisting("name_status"))
    assert fields_of(request) == ["id", "display_phone_number"]
    for name in ("id", "display_phone_number"):
        assert amend(request, nonexisting(name)) is None


@pytest.mark.parametrize("name", ALWAYS_LIVE)
def test_a_server_without_a_field_of_the_live_service_is_the_reference(name: str) -> None:
    request = amended(FULL, nonexisting(name))
    assert not {*OUTSIDE_REFERENCE}.intersection(fields_of(request))
    assert Dialect().learn(request).missing_fields == {*OUTSIDE_REFERENCE}


def test_too_much_data_halves_the_limit_down_to_1() -> None:
    request, limits = LIST, list[str]()
    while (other := amend(request, TOO_MUCH)) is not None:
        request = other
        limits.append(request.params["limit"])
    assert limits == ["50", "25", "12", "6", "3", "1"]


def test_without_a_limit_the_apis_own_is_halved() -> None:
    assert amended(GraphRequest(path=PATH), TOO_MUCH).params == {"limit": "12"}


def test_a_rejected_token_amends_a_read_and_a_create_once() -> None:
    for request in (LIST, CREATE):
        other = amended(request, TOKEN_REJECTED)
        assert (other.query_string(), other.write) == (request.query_string(), request.write)
        assert amend(other, TOKEN_REJECTED) is None


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (LIST, SORT_REJECTED),
        (attrs.evolve(SORTED, params={"sort": "creation_time.asc"}), SORT_REJECTED),
        (SORTED, nonexisting("phone_numbers", node="Business")),
        (SORTED, BadRequestError("Unsupported get request", http_status=400, code=100, error_subcode=33)),
        (SORTED, BadRequestError("Cannot sort", http_status=400, code=131009)),
        (LIST, nonexisting("username")),
        (attrs.evolve(FULL, optional_fields=frozenset()), nonexisting("username")),
        (FULL, nonexisting("id")),
        (FULL, nonexisting("phone_numbers")),
        (FULL, nonexisting("username", node="WhatsAppBusinessAccount")),
        (FULL, sent("The app may not read the field username", code=10)),
        (FULL, sent("The field username was read too often", code=4)),
        (FULL, BadRequestError("username", http_status=400, code=100)),
        (attrs.evolve(LIST, params={"limit": "1"}), TOO_MUCH),
        (attrs.evolve(LIST, params={"limit": "0"}), TOO_MUCH),
        (attrs.evolve(LIST, params={"limit": "many"}), TOO_MUCH),
        (CREATE, TOO_MUCH),
        (GraphRequest(path="1234"), TOO_MUCH),
        (GraphRequest(path="1234", params={"fields": "id", "limit": "100"}), TOO_MUCH),
        (LIST, ServerError("An unknown error occurred", http_status=500, code=1)),
        (LIST, sent("Please reduce the amount of data", code=4)),
        (LIST, RateLimitError("Too many calls", http_status=400, code=80008)),
    ],
    ids=[
        "no sort",
        "the caller's own sort",
        "a sort on another node",
        "a sort of no object",
        "another code for a sort",
        "no fields",
        "fields by name",
        "no id",
        "not one of the fields",
        "a field of another node",
        "a field without permission",
        "a field and a quota",
        "a field's name alone",
        "one row",
        "no row",
        "a limit of another kind",
        "a create",
        "a node",
        "a node with a limit",
        "another unknown error",
        "another code for too much",
        "throttled",
    ],
)
def test_an_error_that_no_change_avoids_amends_nothing(request_: GraphRequest, error: GraphAPIError) -> None:
    assert amend(request_, error) is None


def test_one_call_may_need_several_remedies() -> None:
    request = attrs.evolve(FULL, params={**FULL.params, "sort": Sort.CREATION_TIME_ASC, "limit": "10"})
    for error in (TOKEN_REJECTED, nonexisting("username"), SORT_REJECTED, TOO_MUCH, nonexisting("status")):
        request = amended(request, error)
    assert request.params["limit"] == "5"
    assert request.dialect == Dialect("reference", frozenset({"username", "status"}))


errors = st.sampled_from([TOKEN_REJECTED, SORT_REJECTED, TOO_MUCH, *map(nonexisting, ALL_FIELDS)])


@given(st.data())
def test_any_sequence_of_errors_ends_and_sends_no_request_twice(data: st.DataObject) -> None:
    request: GraphRequest | None = attrs.evolve(
        FULL, params={**FULL.params, "sort": Sort.CREATION_TIME_ASC, "limit": "100"}
    )
    sent = list[tuple[str, bool]]()
    for _ in range(1 + 1 + len(ALL_FIELDS) + 7):
        if request is None:
            break
        sent.append((request.query_string(), "token" in request.amended))
        request = amend(request, data.draw(errors))
    assert request is None or len(request.amended) == len(sent)
    assert len(set(sent)) == len(sent)


def test_every_remedy_together_ends() -> None:
    request = attrs.evolve(FULL, params={**FULL.params, "sort": Sort.CREATION_TIME_ASC, "limit": "100"})
    errors, times = [TOKEN_REJECTED, SORT_REJECTED, TOO_MUCH, *map(nonexisting, [*ONE_BY_ONE, "throughput"])], 0
    while remedies := [other for error in errors if (other := amend(request, error))]:
        request, times = remedies[0], times + 1
    assert times == 1 + 1 + 6 + len(ONE_BY_ONE) + 1


# --- what is learned


def test_the_dialect_learns_what_an_amended_request_has_proved() -> None:
    sort, field = amended(SORTED, SORT_REJECTED), amended(FULL, nonexisting("username"))
    learned = Dialect().learn(sort).learn(field)
    assert learned == Dialect("reference", frozenset({"username"}))


def test_a_request_without_a_sort_keeps_the_spelling_that_was_learned() -> None:
    learned = Dialect("reference", frozenset({"status"})).learn(amended(FULL, nonexisting("username")))
    assert learned == Dialect("reference", frozenset({"status", "username"}))
