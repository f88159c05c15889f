"""Arguments: what is right goes out as the API wants it, and what is wrong says so before anything is sent."""

import json
import string
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async.checks import (
    check_api_version,
    check_at_least_one,
    check_node_id,
    check_page,
    check_path,
    check_seconds,
    check_secret,
    read_base_url,
)
from wa_phone_async.errors import InvalidArgumentError
from wa_phone_async.models import ALL_FIELDS, AccountMode, MessagingLimitTier
from wa_phone_async.query import (
    Filter,
    Sort,
    create_body,
    fields_with,
    list_params,
    optional_fields,
    read_fields,
    split_fields,
)
from wa_phone_async.redaction import conceal

new_number = partial(
    create_body,
    phone_number="16315551000",
    verified_name="Acme",
    cc="1",
    migrate_phone_number=None,
    preverified_id=None,
)
page = partial(check_page, limit=100, after=None, before=None, max_items=None)
listing = partial(list_params, fields=None, filtering=None, sort=None)

NODE_ID = "waba_id must be the id of the account, a string of digits, not "
DIGITS = "phone_number must be 7 to 15 digits, the first not 0, without + or blanks, not "
DIAL_CODE = "cc must be a country's dial code of 1 to 3 digits, without +, not "
NAME = "verified_name must have 2 to 75 characters, not "
LIMIT = "limit must be a whole number from 1 to 100, not "
FIELDS = "fields must be names such as ['id', 'status'] or 'id,status', not "
FILTERING = "filtering must be one Filter or several, not "
VERSION = "api_version must be of the form 'v23.0', not "
URL = "base_url must be http:// or https:// with a host and no user, query or fragment, such as 'https://graph.facebook.com'"
TOKEN_MISSING = "access_token must be a string that is not empty: the one that Meta issued"
TOKEN_BROKEN = "access_token has blanks, line breaks or characters that no token has: was it read whole?"
PATH = "path must be relative and without a query, such as '1234/phone_numbers', not "

Call = Callable[[Any], object]
WRONG: dict[str, tuple[Call, str, list[Any]]] = {
    "waba_id": (
        partial(check_node_id, "waba_id"),
        NODE_ID,
        ["../me", "1?x=1", "", 5, None, "1 ", "1\n", "+1", "-1", "1.0", "\u0661", "\u00b2", b"1", "1/2"],
    ),
    "phone_number": (
        lambda value: new_number(phone_number=value),
        DIGITS,
        [
            "+16315551000",
            "1631 555 1000",
            "1-631-555",
            "",
            "0123456789",
            "123456",
            "1" * 16,
            16315551000,
            None,
            "1234567\n",
        ],
    ),
    "verified_name": (lambda value: new_number(verified_name=value), NAME, ["A", "", "A" * 76, 12, ["A", "B"]]),
    "cc": (lambda value: new_number(cc=value), DIAL_CODE, ["+1", "", "1234", 1, "1 ", "US"]),
    "migrate_phone_number": (
        lambda value: new_number(migrate_phone_number=value),
        "migrate_phone_number must be True or False, not ",
        ["true", 1, ""],
    ),
    "preverified_id": (
        lambda value: new_number(preverified_id=value),
        "preverified_id must be the id of the preverified number, a string of digits, not ",
        ["", 5, "abc"],
    ),
    "limit": (lambda value: page(limit=value), LIMIT, [0, 101, -1, True, "10", 10.0]),
    "max_items": (
        lambda value: page(max_items=value),
        "max_items must be a whole number from 0 up, not ",
        [-1, True, "10", 1.0],
    ),
    "after": (
        lambda value: page(after=value),
        "after must be a cursor of an earlier page, a string, not ",
        ["", 5, b"QVFI"],
    ),
    "before": (
        lambda value: page(before=value),
        "before must be a cursor of an earlier page, a string, not ",
        ["", 5, b"QVFI"],
    ),
    "fields": (
        lambda value: listing(fields=value),
        FIELDS,
        [
            "",
            [],
            [""],
            ",",
            "id,",
            ",id",
            "id,,status",
            "id status",
            "id;status",
            "id&x=1",
            "id\u00e9",
            "\u00e9",
            "id{",
            "id}",
            "id{}",
            "{id}",
            "id{a}{b",
            "1d",
            "a.b",
            "a.limit(1",
            "owner {id}",
            ["id", 5],
            5,
            b"id",
            ["id", None],
            {"id": 1}.values(),
        ],
    ),
    "filtering": (lambda value: listing(filtering=value), FILTERING, [[], "account_mode", ["account_mode"], {}, 5]),
    "sort": (
        lambda value: listing(sort=value),
        "sort must be a Sort or the API's own text for one, not ",
        ["", 5, ["creation_time"]],
    ),
    "api_version": (
        check_api_version,
        VERSION,
        ["23.0", "v23", "v23.0.1", "V23.0", "", 23.0, "v23.0/", "v.0", "v23.0\n", None, "v\u0662.0"],
    ),
    "path": (
        check_path,
        PATH,
        ["", "/1", "1/", "1//2", "../me", "1?x=1", "1#x", "https://x", "1/%2e", 5, "1 2", "1\n"],
    ),
    "timeout": (
        partial(check_seconds, "timeout"),
        "timeout must be a number of seconds above 0, not ",
        [0, -1, 0.0, float("inf"), float("nan"), "1", None, True],
    ),
    "max_attempts": (
        partial(check_at_least_one, "max_attempts"),
        "max_attempts must be a whole number from 1 up, not ",
        [0, -1, 1.0, "1", True, None],
    ),
    "Filter.field": (
        lambda value: Filter(value, "LIVE"),
        "Filter's field must be a field's name, not ",
        ["", "account mode", "Account_Mode", 5, "a\n"],
    ),
    "Filter.operator": (
        lambda value: Filter("account_mode", "LIVE", value),
        "Filter's operator must be a word like 'EQUAL', not ",
        ["", "equal", "=", 5, "EQUAL\n"],
    ),
    "Filter.value": (
        lambda value: Filter("account_mode", value),
        "Filter's value must be plain JSON, not ",
        [None, {}, {1}, b"LIVE", float("nan"), float("-inf"), [{1}], ["a", float("nan")]],
    ),
    "Filter.flag": (
        lambda value: Filter("is_official_business_account", value),
        "Filter('is_official_business_account', …) wants True or False, not ",
        ["false", "true", 0, 1, [True]],
    ),
}
EACH_WRONG = [
    pytest.param(call, value, text, id=f"{name}={value!r:.30}")
    for name, (call, text, values) in WRONG.items()
    for value in values
]


@pytest.mark.parametrize(("call", "value", "text"), EACH_WRONG)
def test_a_wrong_argument_says_what_is_wrong_and_what_would_be_right(call: Call, value: object, text: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        call(value)
    assert isinstance(caught.value, ValueError)
    assert str(caught.value).startswith(f"{text}{value!r}")


@pytest.mark.parametrize("migrate", [None, False])
def test_a_name_is_wanted_unless_migrating(*, migrate: bool | None) -> None:
    with pytest.raises(
        InvalidArgumentError, match=r"^verified_name is missing: 2 to 75 characters, unless migrate_phone"
    ):
        new_number(verified_name=None, migrate_phone_number=migrate)


def test_a_walk_goes_one_way() -> None:
    with pytest.raises(InvalidArgumentError, match=r"^after and before exclude each other: .* give one of them$"):
        page(after="a", before="b")


@pytest.mark.parametrize(
    "url",
    [
        "graph.facebook.com",
        "ftp://graph.facebook.com",
        "file:///etc",
        "http://",
        "https:///v23.0",
        "",
        None,
        5,
        "https://user:pass@graph.facebook.com",
        "https://graph.facebook.com?a=1",
        "https://graph.facebook.com#a",
        "https://graph.facebook.com/?",
        "https://graph.facebook.com/#",
        "https://graph. facebook.com",
        "https://a.com\n",
        "https://[::1",
        "http://localhost:99999",
        "http://localhost:port",
        "//graph.facebook.com",
    ],
)
def test_a_wrong_base_url_is_told_and_not_shown(url: object) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        read_base_url(url)
    assert str(caught.value) == URL


@pytest.mark.parametrize(
    ("token", "text"),
    [
        ("", TOKEN_MISSING),
        (None, TOKEN_MISSING),
        (5, TOKEN_MISSING),
        (b"EAAG", TOKEN_MISSING),
        ("EAAG secret", TOKEN_BROKEN),
        ("EAAGsecret\n", TOKEN_BROKEN),
        ("EAAGsecret\r\nHost: evil", TOKEN_BROKEN),
        ("EAAG\u00e9", TOKEN_BROKEN),
        ("EAAG\x7f", TOKEN_BROKEN),
        ("EAAG\x00", TOKEN_BROKEN),
    ],
    ids=repr,
)
def test_a_wrong_token_is_told_and_never_shown(token: object, text: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        check_secret("access_token", conceal(token))
    assert str(caught.value) == text


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
def test_printable_ascii_can_be_a_token(token: str) -> None:
    check_secret("access_token", conceal(token))


@pytest.mark.parametrize("waba_id", ["1", "0", "102290129340398", "1" * 40])
def test_ids_are_digits(waba_id: str) -> None:
    check_node_id("waba_id", waba_id)


@given(st.text())
def test_an_id_that_passes_changes_no_url(waba_id: str) -> None:
    try:
        check_node_id("waba_id", waba_id)
    except InvalidArgumentError:
        assert not waba_id or set(waba_id) - set(string.digits)
    else:
        assert urlsplit(f"https://host/v23.0/{waba_id}/phone_numbers").path.split("/")[2] == waba_id


@pytest.mark.parametrize("path", ["1", "1234/phone_numbers", "me", "1/a-b_c/2"])
def test_paths_are_relative(path: str) -> None:
    check_path(path)


@pytest.mark.parametrize("version", ["v23.0", "v2.12", "v100.0"])
def test_versions_look_like_metas(version: str) -> None:
    check_api_version(version)


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("https://graph.facebook.com", "https://graph.facebook.com"),
        ("https://graph.facebook.com/", "https://graph.facebook.com"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:80/proxy//", "http://[::1]:80/proxy"),
        ("HTTPS://proxy/graph", "HTTPS://proxy/graph"),
    ],
)
def test_a_base_url_loses_only_the_slash_at_its_end(url: str, read: str) -> None:
    assert read_base_url(url) == read


@pytest.mark.parametrize("seconds", [1, 0.001, 10**400, 1e300], ids=["1", "0.001", "huge int", "huge float"])
def test_seconds_are_numbers_above_0(seconds: float) -> None:
    check_seconds("timeout", seconds)


@pytest.mark.parametrize(
    "place",
    [
        {"limit": 1},
        {"limit": 100},
        {"limit": None},
        {"max_items": 0},
        {"max_items": 10**6},
        {"after": "a"},
        {"before": "b"},
    ],
    ids=str,
)
def test_a_page_may_begin_anywhere(place: dict[str, Any]) -> None:
    page(**place)


# --- lists


def test_a_list_without_wishes_sends_no_parameter() -> None:
    assert listing() == {}


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ("id", "id"),
        ("id,status", "id,status"),
        (" id , status ", "id,status"),
        (["id", "status"], "id,status"),
        (("id",), "id"),
        pytest.param(iter(["id", "status"]), "id,status", id="an iterator of names"),
        ({"id": 1, "status": 2}, "id,status"),
        (["id,status", " owner{id}"], "id,status,owner{id}"),
        ("owner{id,name}", "owner{id,name}"),
        ("owner{id, name}", "owner{id,name}"),
        ("a{b{c,d},e{f}},g", "a{b{c,d},e{f}},g"),
        ("phone_numbers.limit(50).after(CUR){id,status}", "phone_numbers.limit(50).after(CUR){id,status}"),
        (ALL_FIELDS, ",".join(ALL_FIELDS)),
    ],
    ids=str,
)
def test_fields_are_sent_as_they_are_meant(fields: Any, sent: str) -> None:
    assert listing(fields=fields) == {"fields": sent}


names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*", fullmatch=True)
trees = st.recursive(
    names, lambda inner: st.builds("{}{{{}}}".format, names, st.lists(inner, min_size=1, max_size=3).map(",".join))
)


@given(st.lists(trees, min_size=1, max_size=5))
def test_any_tree_of_names_passes_and_is_split_at_its_top(fields: list[str]) -> None:
    assert read_fields(fields) == read_fields(",".join(fields)) == ",".join(fields)
    assert split_fields(read_fields(fields)) == fields


@given(st.text(alphabet="ab{}(),. \n&=", max_size=12))
def test_fields_that_pass_are_balanced(fields: str) -> None:
    try:
        sent = read_fields(fields)
    except InvalidArgumentError:
        return
    assert sent.count("{") == sent.count("}")
    assert all(split_fields(sent))


def test_commas_in_modifiers_split_nothing() -> None:
    assert split_fields("a.in(1,2){b,c},d") == ["a.in(1,2){b,c}", "d"]


@pytest.mark.parametrize(
    ("fields", "optional"),
    [
        (None, frozenset()),
        ("id,status", frozenset()),
        (",".join(ALL_FIELDS[1:]), frozenset()),
        (",".join(ALL_FIELDS), frozenset(ALL_FIELDS) - {"id"}),
        (",".join([*reversed(ALL_FIELDS), "owner{id}"]), frozenset(ALL_FIELDS) - {"id"}),
    ],
    ids=["default", "some", "all but one", "all", "all and more"],
)
def test_only_who_asks_for_all_fields_can_do_without_some(fields: str | None, optional: frozenset[str]) -> None:
    assert optional_fields(fields) == optional


@pytest.mark.parametrize(
    ("filtering", "sent"),
    [
        (Filter("account_mode", AccountMode.LIVE), '[{"field":"account_mode","operator":"EQUAL","value":"LIVE"}]'),
        (
            Filter("is_official_business_account", value=False),
            '[{"field":"is_official_business_account","operator":"EQUAL","value":false}]',
        ),
        (
            [Filter("account_mode", "SANDBOX"), Filter("messaging_limit_tier", [MessagingLimitTier.TIER_1K], "IN")],
            (
                '[{"field":"account_mode","operator":"EQUAL","value":"SANDBOX"},'
                '{"field":"messaging_limit_tier","operator":"IN","value":["TIER_1K"]}]'
            ),
        ),
        (
            iter([Filter("creation_time", 5, "GREATER_THAN")]),
            '[{"field":"creation_time","operator":"GREATER_THAN","value":5}]',
        ),
    ],
    ids=["enum", "boolean", "several", "iterator"],
)
def test_filters_are_sent_as_json(filtering: Any, sent: str) -> None:
    assert listing(filtering=filtering) == {"filtering": sent}


@given(
    st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.lists(st.characters(exclude_categories=["Cs"]) | st.just("\ud800"), max_size=20).map("".join)
)
def test_a_filters_value_arrives_as_it_is(value: Any) -> None:
    [condition] = json.loads(listing(filtering=Filter("a", value))["filtering"])
    assert condition["value"] == value
    assert type(condition["value"]) is type(value)


def test_the_sorts_are_the_references() -> None:
    assert list(Sort) == [
        "creation_time.asc",
        "creation_time.desc",
        "last_onboarded_time.asc",
        "last_onboarded_time.desc",
    ]


@pytest.mark.parametrize("sort", [Sort.CREATION_TIME_ASC, "last_onboarded_time_descending"])
def test_a_sort_stays_what_it_is_to_be_spelled_later(sort: str) -> None:
    assert listing(sort=sort)["sort"] is sort


# --- creates


def test_a_create_sends_what_was_given_and_no_more() -> None:
    assert new_number() == {"phone_number": "16315551000", "verified_name": "Acme", "cc": "1"}
    assert new_number(cc=None, verified_name=None, migrate_phone_number=True, preverified_id="12") == {
        "phone_number": "16315551000",
        "migrate_phone_number": True,
        "preverified_id": "12",
    }
    assert new_number(migrate_phone_number=False)["migrate_phone_number"] is False


@pytest.mark.parametrize(
    "right",
    [
        {"phone_number": "1234567"},
        {"phone_number": "1" * 15},
        {"verified_name": "Ab"},
        {"verified_name": "A" * 75},
        {"cc": "1"},
        {"cc": "972"},
    ],
    ids=str,
)
def test_the_ends_of_each_range_are_right(right: dict[str, Any]) -> None:
    assert new_number(**right).items() >= right.items()


def test_a_token_in_the_place_of_an_id_is_not_shown() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        check_node_id("waba_id", "EAAG" + "x" * 180)
    assert "EAAG" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("id", "id,status"),
        (["status", "id"], "status,id"),
        (iter(["id", "name"]), "id,name,status"),
        ("owner{status}", "owner{status},status"),
    ],
)
def test_a_field_that_is_needed_is_asked_for_once(fields: Any, expected: str) -> None:
    assert fields_with("status", fields) == expected


@pytest.mark.parametrize("fields", ["all", ["all"]])
def test_all_is_no_field_and_its_name_is_told(fields: Any) -> None:
    with pytest.raises(
        InvalidArgumentError, match=r"^fields='all' names no field: give fields=ALL_FIELDS for all that"
    ):
        read_fields(fields)
