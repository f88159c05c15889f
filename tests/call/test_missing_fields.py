"""Which fields a server does not have, whatever the code and the wording of its error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async.call.missing_fields import OUTSIDE_REFERENCE, is_of_another_node, missing_fields
from wa_phone_async.call.response import read_api_error
from wa_phone_async.models import ALL_FIELDS

OURS = ALL_FIELDS[1:]
OF_NUMBER = "on node type (WhatsAppBusinessPhoneNumber)"

NAMING = [
    "(#100) Tried accessing nonexisting field ({})",
    f"(#100) Tried accessing nonexisting field ({{}}) {OF_NUMBER}",
    "(#100) Tried accessing nonexisting field ({}) on node type (WhatsAppBusinessAccountToNumberCurrentStatus)",
    "(#12) {} field is deprecated for versions v24.0 and higher",
    "(#12) {} is deprecated for versions v24.0 and higher",
    "(#12) cannot_access_{}_field is deprecated for versions v2.0 and higher{} field is deprecated for versions v2.0",
    "(#100) Unknown field: {}",
    "(#100) Invalid field '{}' requested",
    "(#100) fields: {} is not valid",
    "(#3) The field {} does not exist in this version. Available in v22.0",
    'Cannot query field "{}" on type',
    "(#100) FIELD {} WAS REMOVED.",
    "(#100) Unknown property `{}`",
]


@pytest.mark.parametrize("field", OURS)
@pytest.mark.parametrize("wording", NAMING)
def test_a_field_that_a_text_names_is_missing(wording: str, field: str) -> None:
    assert missing_fields(wording.replace("{}", field)) == (field,)
    assert missing_fields(wording.replace("{}", field).upper()) == (field,)


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("Invalid fields: username, status", {"username", "status"}),
        ("Tried accessing nonexisting fields (status, username)", {"status", "username"}),
        (
            "(#12) messaging_limit_tier field is deprecated. Use whatsapp_business_manager_messaging_limit instead",
            {"messaging_limit_tier"},
        ),
        (
            "(#12) messaging_limit_tier is deprecated, use whatsapp_business_manager_messaging_limit",
            {"messaging_limit_tier"},
        ),
        ("Invalid parameter: account_mode", {"account_mode"}),
    ],
)
def test_a_text_may_name_several_fields_or_a_better_one(text: str, missing: set[str]) -> None:
    assert set(missing_fields(text)) == missing


@pytest.mark.parametrize(
    "text",
    [
        "Invalid field requested. Available fields: name_status, code_verification_status",
        "(#100) Param fields[4] must be one of {NAME_STATUS, CODE_VERIFICATION_STATUS}",
        "Unknown field colour; supported fields are id, name_status and code_verification_status",
    ],
)
def test_where_a_text_says_which_fields_there_are_all_others_are_missing(text: str) -> None:
    assert set(OURS) - set(missing_fields(text)) == {"name_status", "code_verification_status"}


@pytest.mark.parametrize(
    "text",
    [
        "The requested fields are not available for this account",
        "Invalid fields parameter. Check field names and format specifications",
        "(#100) A field does not exist",
        "(#12) One of the fields is deprecated",
    ],
)
def test_where_no_field_is_named_those_outside_the_reference_are_missing(text: str) -> None:
    assert missing_fields(text) == OUTSIDE_REFERENCE
    assert "name_status" in OUTSIDE_REFERENCE
    assert "unified_cert_status" not in OUTSIDE_REFERENCE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "(#100) Invalid parameter",
        "(#100) Tried accessing nonexisting field (colour)",
        "(#100) Tried accessing nonexisting field (id)",
        "(#100) Tried accessing nonexisting field (phone_numbers)",
        "(#100) Cannot sort by last_onboarded_time.desc_ascending",
        "(#100) Cannot sort by last_onboarded_time, a field that does not exist",
        "Invalid parameter: last_onboarded_time_descending is not one of creation_time.asc, last_onboarded_time.asc",
        "(#100) Filtering field account_mode is invalid",
        "(#100) Invalid cursor: the field username does not exist",
        "(#1) An unknown error occurred: see our status page",
        "(#100) Missing required field",
        "(#100) The status of the number does not allow this",
    ],
)
def test_an_error_with_another_reason_names_no_missing_field(text: str) -> None:
    assert missing_fields(text) == ()


@pytest.mark.parametrize(
    "node",
    ["Business", "User", "WhatsAppBusinessAccount", "Application", "Page", "WhatsAppBusinessPreVerifiedPhoneNumber"],
)
def test_on_a_node_that_is_no_phone_number_no_field_is_missing(node: str) -> None:
    text = f"(#100) Tried accessing nonexisting field (display_phone_number) on node type ({node})"
    assert is_of_another_node(text)
    assert missing_fields(text) == ()


@pytest.mark.parametrize("node", ["WhatsAppBusinessPhoneNumber", "WhatsAppBusinessAccountToNumberCurrentStatus"])
def test_a_phone_number_has_two_types(node: str) -> None:
    assert not is_of_another_node(f"Tried accessing nonexisting field (x) on node type ({node})")


@pytest.mark.parametrize("token", ["EAAG", "status", "field", "e"])
@pytest.mark.parametrize(
    "sent",
    [
        {"message": f"Tried accessing nonexisting field (status) {OF_NUMBER}", "code": 100},
        {"message": "Invalid parameter", "code": 100, "error_data": {"details": "Unknown field status"}},
        {"message": "Invalid parameter", "code": 100, "error_user_msg": "The field status does not exist."},
        {"message": "(#12) status field is deprecated for versions v24.0 and higher", "code": 12},
    ],
    ids=["message", "details", "sentence for people", "code 12"],
)
def test_an_error_has_the_fields_as_they_were_sent(sent: dict[str, object], token: str) -> None:
    assert read_api_error({"error": sent}, http_status=400, secrets=(token,)).missing_fields == ("status",)


@given(st.text(), st.sampled_from(NAMING), st.sampled_from(OURS))
def test_whatever_else_a_text_says_only_fields_of_ours_are_missing(text: str, wording: str, field: str) -> None:
    for whole in (text, f"{text} {wording.replace('{}', field)}"):
        assert set(missing_fields(whole)) <= set(OURS)
