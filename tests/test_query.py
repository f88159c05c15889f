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
from wa_phone_async.models import ALL_FIELDS, DEFAULT_FIELDS, AccountMode, MessagingLimitTier
from wa_phone_async.query import (
    ACCOUNT_FIELDS,
    ESSENTIAL_FIELDS,
    NUMBER_FIELDS,
    Filter,
    Sort,
    Verbatim,
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
        ["", "account mode", "1account", "account-mode", 5, "a\n"],
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


names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*", fullmatch=True).filter(lambda name: name.lower() not in NUMBER_FIELDS)
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
        (",".join(DEFAULT_FIELDS[:-1]), frozenset()),
        (",".join(ALL_FIELDS), frozenset(ALL_FIELDS) - ESSENTIAL_FIELDS),
        (",".join([*reversed(ALL_FIELDS), "owner{id}"]), frozenset(ALL_FIELDS) - ESSENTIAL_FIELDS),
        (",".join([*DEFAULT_FIELDS, "username"]), frozenset(DEFAULT_FIELDS) - ESSENTIAL_FIELDS),
    ],
    ids=["none", "some", "all but one", "default but one", "all", "all and more", "default and more"],
)
def test_only_fields_that_nobody_named_are_optional(fields: str | None, optional: frozenset[str], path: str) -> None:
    assert optional_fields(path, fields) == optional
    if fields is not None:
        assert optional_fields(path, listing(fields=fields)["fields"]) == optional


@pytest.mark.parametrize("path", ["1234/owned_whatsapp_business_accounts", "1234/message_templates", "1234/owner"])
def test_on_another_path_no_field_is_optional(path: str) -> None:
    assert optional_fields(path, ",".join(ALL_FIELDS)) == frozenset()
    assert optional_fields(path, ",".join(DEFAULT_FIELDS)) == frozenset()


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


# --- typing errors


def sent_filter(field: str, value: Any, operator: str = "EQUAL", *, check: bool = True) -> tuple[str, Any]:
    [condition] = json.loads(listing(filtering=Filter(field, value, operator, check=check))["filtering"])
    return condition["field"], condition["value"]


@pytest.mark.parametrize(
    ("field", "given", "sent"),
    [
        ("account_mode", "live", "LIVE"),
        ("account_mode", "Sandbox", "SANDBOX"),
        ("ACCOUNT_MODE", "LIVE", "LIVE"),
        ("Account_Mode", "lIVE", "LIVE"),
        ("messaging_limit_tier", "tier_1k", "TIER_1K"),
        ("messaging_limit_tier", "Tier_10K", "TIER_10K"),
        ("messaging_limit_tier", ["tier_50", "TIER_250", "tier_unlimited"], ["TIER_50", "TIER_250", "TIER_UNLIMITED"]),
        ("quality_rating", "na", "NA"),
        ("quality_rating", "Red", "RED"),
        ("platform_type", "cloud_api", "CLOUD_API"),
        ("Is_Official_Business_Account", True, True),
    ],
)
def test_what_differs_only_in_case_is_sent_in_the_known_spelling(field: str, given: Any, sent: Any) -> None:
    assert sent_filter(field, given) == (field.lower(), sent)
    assert Filter(field, given) == Filter(field.lower(), sent)


@pytest.mark.parametrize("tier", MessagingLimitTier)
@pytest.mark.parametrize("field", ["messaging_limit_tier", "whatsapp_business_manager_messaging_limit"])
def test_every_tier_is_sent_as_it_is(field: str, tier: MessagingLimitTier) -> None:
    assert sent_filter(field, tier) == (field, tier.value)
    assert sent_filter(field, tier.value) == (field, tier.value)


@pytest.mark.parametrize(
    ("field", "given", "meant"),
    [
        ("account_mode", "LIV", "LIVE"),
        ("account_mode", "LIVEE", "LIVE"),
        ("account_mode", "LOVE", "LIVE"),
        ("account_mode", "LVIE", "LIVE"),
        ("account_mode", "ive", "LIVE"),
        ("account_mode", "live ", "LIVE"),
        ("account_mode", "sandobx", "SANDBOX"),
        ("account_mode", "SAND-BOX", "SANDBOX"),
        ("messaging_limit_tier", "TIER_100", "TIER_100K"),
        ("messaging_limit_tier", "TEIR_1K", "TIER_1K"),
        ("messaging_limit_tier", "TIER10K", "TIER_10K"),
        ("messaging_limit_tier", "TIER_1KK", "TIER_1K"),
        ("messaging_limit_tier", "TIER_UNLIMITTED", "TIER_UNLIMITED"),
        ("quality_rating", "GREN", "GREEN"),
        ("host_platform", "CLOUDAPI", "CLOUD_API"),
        ("status", "CONECTED", "CONNECTED"),
    ],
)
def test_a_value_with_a_typing_error_says_what_was_meant(field: str, given: str, meant: str) -> None:
    text = f"Filter.value must be a value of {field}, not {given!r}: did you mean {meant}?"
    for value in (given, [meant, given]):
        with pytest.raises(InvalidArgumentError) as caught:
            Filter(field, value)
        assert str(caught.value) == text
        assert sent_filter(field, value, check=False) == (field, value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("account_mode", "BETA"),
        ("account_mode", "NOWHERE"),
        ("account_mode", ""),
        ("account_mode", "L1VE"),
        ("account_mode", "LIVE2"),
        ("messaging_limit_tier", "TIER_5K"),
        ("messaging_limit_tier", "TIER_20K"),
        ("messaging_limit_tier", "TIER_1000K"),
        ("messaging_limit_tier", "TIER_K1"),
        ("messaging_limit_tier", "TIER_51"),
        ("quality_rating", "NO"),
        ("quality_rating", "N"),
        ("quality_rating", "READ"),
        ("quality_rating", "WED"),
        ("status", "PAUSED"),
        ("status", "OFFLINE"),
        ("verified_name", "live"),
        ("country_code", "br"),
        ("colour", "live"),
        ("creation_time", 5),
        ("account_mode", [["live"], 5, True]),
    ],
    ids=str,
)
def test_every_other_value_is_sent_as_it_is(field: str, value: Any) -> None:
    assert sent_filter(field, value) == (field, value)


@pytest.mark.parametrize("operator", ["CONTAIN", "NOT_CONTAIN", "STARTS_WITH", "ENDS_WITH"])
def test_a_part_of_a_value_is_no_typing_error(operator: str) -> None:
    assert sent_filter("account_mode", "liv", operator) == ("account_mode", "liv")


def test_the_list_of_values_that_you_pass_stays_as_it_is() -> None:
    values = ["live", "SANDBOX"]
    assert sent_filter("account_mode", values, "IN") == ("account_mode", ["LIVE", "SANDBOX"])
    assert values == ["live", "SANDBOX"]


@pytest.mark.parametrize("given", ["acount_mode", "account_moed", "accountmode", "ACCOUNT_MODES"])
def test_a_filters_field_with_a_typing_error_says_what_was_meant(given: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        Filter(given, "LIVE")
    assert str(caught.value) == f"Filter.field must be the name of a field, not {given!r}: did you mean account_mode?"
    assert sent_filter(given, "live", check=False) == (given, "live")


def test_without_the_check_a_boolean_may_be_a_text() -> None:
    assert sent_filter("is_new", "maybe", check=False) == ("is_new", "maybe")
    with pytest.raises(InvalidArgumentError, match="plain JSON"):
        Filter("is_new", float("nan"), check=False)


@pytest.mark.parametrize("name", NUMBER_FIELDS)
def test_the_case_of_a_known_field_does_not_matter(name: str) -> None:
    for other in (name.upper(), name.title(), f" {name.capitalize()} "):
        assert listing(fields=other) == {"fields": name}
        assert listing(fields=["id", other]) == {"fields": f"id,{name}"}
        assert listing(fields=f"{other.strip()}.limit(5){{ID,Naem}}") == {"fields": f"{name}.limit(5){{ID,Naem}}"}


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("statsu", "status"),
        ("STAUTS", "status"),
        ("user_name", "username"),
        ("quality_ratin", "quality_rating"),
        ("display_phone_numbers", "display_phone_number"),
        ("plattform_type", "platform_type"),
        ("namestatus", "name_status"),
    ],
)
def test_a_field_with_a_typing_error_says_what_was_meant(given: str, meant: str) -> None:
    text = f"fields must be names such as 'id,status', not {given!r}: did you mean {meant}?"
    for fields in (given, f"id, {given}", ["id", given], f"id,{given}{{id}}", f"id,{given}.limit(1)"):
        with pytest.raises(InvalidArgumentError) as caught:
            listing(fields=fields)
        assert str(caught.value) == text


def test_a_verbatim_field_is_sent_as_it_is() -> None:
    assert listing(fields=Verbatim("STATUS, statsu")) == {"fields": "STATUS,statsu"}
    assert listing(fields=["Id", Verbatim("STATUS"), Verbatim("statsu")]) == {"fields": "id,STATUS,statsu"}
    assert listing(fields=Verbatim("all")) == {"fields": "all"}
    assert listing(fields=fields_with("status", Verbatim("statsu")))["fields"] == "statsu,status"
    with pytest.raises(InvalidArgumentError, match=r"^fields must be names"):
        listing(fields=Verbatim("a b"))


@pytest.mark.parametrize(
    "fields", ["idd", "ids", "i", "colour", "state", "status2", "statuses", "owner{statsu}", "a.limit(1){Status}"]
)
def test_every_other_field_is_sent_as_it_is(fields: str) -> None:
    assert listing(fields=fields) == {"fields": fields}


@given(st.lists(trees | st.sampled_from(NUMBER_FIELDS).map(str.upper), min_size=1, max_size=5))
def test_fields_that_were_read_are_not_changed_again(fields: list[str]) -> None:
    once = read_fields(fields)
    assert read_fields(once) == once
    assert type(read_fields(once)) is type(once)


def test_the_fields_of_an_account_are_others() -> None:
    accounts = partial(listing, known_fields=ACCOUNT_FIELDS)
    assert accounts(fields="ID,Name,userame") == {"fields": "id,name,userame"}
    with pytest.raises(InvalidArgumentError, match=r"did you mean currency\?$"):
        accounts(fields="curency")
    assert listing(fields="curency") == {"fields": "curency"}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("CREATION_TIME.DESC", "creation_time.desc"),
        ("Last_Onboarded_Time", "last_onboarded_time"),
        ("creation_time_ASCENDING", "creation_time_ascending"),
        ('["Creation_Time_Descending"]', '["creation_time_descending"]'),
    ],
)
def test_the_case_of_a_known_sort_does_not_matter(given: str, sent: str) -> None:
    assert listing(sort=given) == {"sort": sent}
    assert not isinstance(listing(sort=given)["sort"], Sort)
    assert listing(sort=Verbatim(given)) == {"sort": given}


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("creation_time.dsec", "creation_time.desc"),
        ("creation_time_desc", "creation_time.desc"),
        ("creationtime", "creation_time"),
        ("last_onboarded_time_acsending", "last_onboarded_time_ascending"),
    ],
)
def test_a_sort_with_a_typing_error_says_what_was_meant(given: str, meant: str) -> None:
    text = f"sort must be an order such as 'creation_time.desc', not {given!r}: did you mean {meant}?"
    with pytest.raises(InvalidArgumentError) as caught:
        listing(sort=given)
    assert str(caught.value) == text
    assert listing(sort=Verbatim(given))["sort"] == given


@pytest.mark.parametrize("sort", ["verified_name", "id.asc", "creation_time.random", '["a", "b"]', "creation_time2"])
def test_every_other_sort_is_sent_as_it_is(sort: str) -> None:
    assert listing(sort=sort) == {"sort": sort}


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
