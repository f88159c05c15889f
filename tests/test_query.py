"""Options of a list and of a create: valid ones become request parameters, invalid ones say what would be right."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async.call.writes import create_phone_number
from wa_phone_async.errors import InvalidArgumentError
from wa_phone_async.models import ALL_FIELDS, AccountMode, MessagingLimitTier
from wa_phone_async.query import (
    ChosenFields,
    Filter,
    Sort,
    accounts_edge,
    fields_with,
    list_params,
    optional_fields,
    read_fields,
    split_fields,
)

new_number = partial(
    create_phone_number,
    "102290129340398",
    phone_number="16315551000",
    verified_name="Acme",
    cc="1",
    migrate_phone_number=None,
    preverified_id=None,
)
listing = partial(list_params, fields=None, filtering=None, sort=None)

Call = Callable[[Any], object]
INVALID: list[tuple[str, Call, str, list[Any]]] = [
    (
        "verified_name",
        lambda value: new_number(verified_name=value),
        "2 to 75 characters long",
        ["A", "", 12, ["A", "B"]],
    ),
    (
        "migrate_phone_number",
        lambda value: new_number(migrate_phone_number=value),
        "True or False",
        ["true", 1, ""],
    ),
    (
        "preverified_id",
        lambda value: new_number(preverified_id=value),
        "the id of the preverified number, a string that is not empty",
        ["", " ", 5.0, True, b"12", ["12"]],
    ),
    (
        "fields",
        lambda value: listing(fields=value),
        "names such as 'id,status'",
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
    (
        "filtering",
        lambda value: listing(filtering=value),
        "one Filter or several",
        [[], "account_mode", ["account_mode"], {}, 5],
    ),
    (
        "sort",
        lambda value: listing(sort=value),
        "an order such as 'creation_time.desc'",
        ["", 5, ["creation_time"]],
    ),
    ("kind", accounts_edge, "'owned' or 'client'", ["", "OWNED", None, ["owned"]]),
    (
        "Filter.field",
        lambda value: Filter(value, "LIVE"),
        "the name of a field",
        ["", "account mode", "Account_Mode", 5, "a\n"],
    ),
    (
        "Filter.operator",
        lambda value: Filter("account_mode", "LIVE", value),
        "a word such as 'EQUAL'",
        ["", "equal", "=", 5, "EQUAL\n"],
    ),
    (
        "Filter.value",
        lambda value: Filter("account_mode", value),
        "plain JSON",
        [None, {}, {1}, b"LIVE", float("nan"), float("-inf"), [{1}], ["a", float("nan")]],
    ),
    (
        "Filter.value",
        lambda value: Filter("is_official_business_account", value),
        "True or False for is_official_business_account",
        ["false", "true", 0, 1, [True]],
    ),
]
EACH_INVALID = [
    pytest.param(name, call, expected, value, id=f"{name}={value!r:.30}")
    for name, call, expected, values in INVALID
    for value in values
]


@pytest.mark.parametrize(("name", "call", "expected", "value"), EACH_INVALID)
def test_an_invalid_option_says_what_would_be_right(name: str, call: Call, expected: str, value: object) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        call(value)
    assert str(caught.value) == f"{name} must be {expected}, not {value!r}"
    assert (caught.value.argument, caught.value.expected, caught.value.given) == (name, expected, repr(value))
    assert isinstance(caught.value, ValueError)


def test_a_name_that_is_too_long_is_counted() -> None:
    with pytest.raises(InvalidArgumentError, match=r"^verified_name must be 2 to 75 .*, not a string of 76 characters"):
        new_number(verified_name="A" * 76)


@pytest.mark.parametrize("migrate", [None, False])
def test_only_a_migration_needs_no_name(*, migrate: bool | None) -> None:
    with pytest.raises(
        InvalidArgumentError,
        match=r"^verified_name must be 2 to 75 characters long: only a migration can leave it out",
    ):
        new_number(verified_name=None, migrate_phone_number=migrate)


# --- lists


def test_a_list_without_options_sends_no_parameter() -> None:
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


@pytest.mark.parametrize("path", ["1234", "1234/phone_numbers"])
@pytest.mark.parametrize(
    ("fields", "optional"),
    [
        (None, frozenset()),
        ("id,status", frozenset()),
        (",".join(ALL_FIELDS[1:]), frozenset()),
        (",".join(ALL_FIELDS), frozenset(ALL_FIELDS) - {"id"}),
        (",".join([*reversed(ALL_FIELDS), "owner{id}"]), frozenset(ALL_FIELDS) - {"id"}),
        (ChosenFields("id,status"), frozenset({"status"})),
    ],
    ids=["default", "some", "all but one", "all", "all and more", "chosen by the package"],
)
def test_only_fields_that_nobody_named_are_optional(fields: str | None, optional: frozenset[str], path: str) -> None:
    assert optional_fields(path, fields) == optional
    if fields is not None:
        assert optional_fields(path, listing(fields=fields)["fields"]) == optional


@pytest.mark.parametrize("path", ["1234/owned_whatsapp_business_accounts", "1234/message_templates", "1234/owner"])
def test_on_another_path_no_field_is_optional(path: str) -> None:
    assert optional_fields(path, ",".join(ALL_FIELDS)) == frozenset()
    assert optional_fields(path, ChosenFields("id,status")) == frozenset()


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
    assert new_number().body == {"phone_number": "16315551000", "verified_name": "Acme", "cc": "1"}
    assert new_number(cc=None, verified_name=None, migrate_phone_number=True, preverified_id="12").body == {
        "phone_number": "16315551000",
        "migrate_phone_number": True,
        "preverified_id": "12",
    }
    assert (
        new_number(preverified_id="preverified_12345").body["preverified_id"] == "preverified_12345"
    )  # the reference's
    assert new_number(preverified_id=12).body["preverified_id"] == "12"
    assert new_number(preverified_id=" 12\n").body["preverified_id"] == "12"
    assert new_number(migrate_phone_number=False).body["migrate_phone_number"] is False


@pytest.mark.parametrize("cc", ["1", "+1", 1])
@pytest.mark.parametrize("phone_number", ["+1 (631) 555-1000", "+16315551000", "16315551000"])
def test_a_create_sends_what_the_api_takes(phone_number: str, cc: Any) -> None:
    body = new_number(phone_number=phone_number, cc=cc).body
    assert body == {"phone_number": "16315551000", "verified_name": "Acme", "cc": "1"}


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
    assert new_number(**right).body.items() >= right.items()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("id", "id,status"),
        (["status", "id"], "status,id"),
        (iter(["id", "name"]), "id,name,status"),
        ("owner{status}", "owner{status},status"),
    ],
)
def test_a_field_that_is_needed_is_requested_once(fields: Any, expected: str) -> None:
    assert fields_with("status", fields) == expected


@pytest.mark.parametrize("fields", ["all", ["all"]])
def test_all_is_no_field_and_the_error_names_the_constant(fields: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^fields must be ALL_FIELDS for all that a number has, not 'all'$"):
        read_fields(fields)
