"""Webhooks: only signed ones are read, and what they concern is found on every level."""

import copy
import hashlib
import hmac
import json
import pickle
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import CIMultiDict, MultiDict, MultiDictProxy

from wa_phone_async import (
    DecodeError,
    InvalidArgumentError,
    WaPhoneError,
    WebhookNotice,
    WebhookSignatureError,
    answer_challenge,
    parse_webhook,
    verify_webhook,
)

SECRET = "an-invented-app-secret"
WABA, OTHER_WABA = "102290129340398", "102290129340399"
NUMBER, NUMBER_ID = "16315551000", "106540352242922"
FIELDS = (
    "account_alerts",
    "account_review_update",
    "account_settings_update",
    "account_update",
    "business_capability_update",
    "business_username_updates",
    "phone_number_name_update",
    "phone_number_quality_update",
    "security",
)
BODY = json.dumps({"object": "whatsapp_business_account", "entry": []}).encode()


def signature_of(body: bytes, app_secret: str = SECRET) -> str:
    return f"sha256={hmac.new(app_secret.encode(), body, hashlib.sha256).hexdigest()}"


def notices(payload: object) -> list[WebhookNotice]:
    return parse_webhook(json.dumps(payload).encode())


def delivery(*changes: object, waba_id: object = WABA) -> dict[str, Any]:
    return {"object": "whatsapp_business_account", "entry": [{"id": waba_id, "time": 1, "changes": list(changes)}]}


# --- the signature


@given(st.binary(), st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
def test_the_right_signature_is_accepted_for_any_body(body: bytes, app_secret: str) -> None:
    if app_secret[0] not in "\"'`":  # quotes around it are an error
        verify_webhook(body, signature_of(body, app_secret), app_secret)
        verify_webhook(body, signature_of(body, app_secret), f"\ufeff{app_secret}\n")


@given(st.binary(), st.text(st.characters()))
@example(BODY, signature_of(BODY)[:-1])
@example(BODY, signature_of(BODY) + "0")
@example(BODY, signature_of(BODY) + "\ud800")
@example(BODY, signature_of(BODY).upper())
@example(BODY, signature_of(BODY).removeprefix("sha256="))
@example(BODY, signature_of(BODY, "another-app-secret"))
@example(BODY, signature_of(BODY + b" "))
@example(BODY, "sha256=")
@example(BODY, "sha256=é")
def test_any_other_signature_is_an_error(body: bytes, signature: str) -> None:
    with pytest.raises(WebhookSignatureError):
        verify_webhook(body, signature, SECRET)


@pytest.mark.parametrize("signature", [None, "", signature_of(BODY).encode()], ids=["none", "empty", "bytes"])
def test_a_missing_signature_is_an_error(signature: Any) -> None:
    with pytest.raises(WebhookSignatureError, match="X-Hub-Signature-256 is missing, empty or not a string"):
        verify_webhook(BODY, signature, SECRET)


def test_signatures_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = list[tuple[object, object]]()

    def compare(one: object, other: object) -> bool:
        compared.append((one, other))
        return True

    monkeypatch.setattr(hmac, "compare_digest", compare)
    verify_webhook(BODY, "sha256=\ud800é", SECRET)
    assert compared == [(signature_of(BODY).encode(), b"sha256=\xed\xa0\x80\xc3\xa9")]


def test_the_body_may_be_a_buffer() -> None:
    buffers: list[Any] = [bytearray(BODY), memoryview(BODY)]
    for body in buffers:
        verify_webhook(body, signature_of(BODY), SECRET)
        assert parse_webhook(body) == []


@pytest.mark.parametrize("body", [BODY.decode(), {"entry": []}, None], ids=["text", "parsed", "none"])
def test_a_body_that_is_not_bytes_is_an_error(body: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^body must be the webhook's raw bytes, as they came, not "):
        verify_webhook(body, signature_of(BODY), SECRET)
    with pytest.raises(InvalidArgumentError, match=r"^body must be the webhook's raw bytes, as they came, not "):
        parse_webhook(body)


@pytest.mark.parametrize("app_secret", ["", None, "two words", "line\nline"])
def test_an_invalid_secret_is_an_error_even_if_the_signature_matches(app_secret: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^app_secret must be (a string that is not empty|printable ASCII)"):
        verify_webhook(BODY, signature_of(BODY, app_secret or ""), app_secret)


@pytest.mark.parametrize(
    ("body", "signature", "app_secret"),
    [
        (BODY, "sha256=0123456789", SECRET),
        (BODY, None, SECRET),
        (BODY, signature_of(BODY), f"{SECRET}\n{SECRET}"),
        (BODY.decode(), signature_of(BODY), SECRET),
    ],
    ids=["wrong", "missing", "no secret", "no bytes"],
)
def test_no_error_shows_the_secret_or_the_signature(body: Any, signature: str | None, app_secret: str) -> None:
    with pytest.raises(WaPhoneError) as caught:
        verify_webhook(body, signature, app_secret)
    assert_hidden(caught.value, "an-invented", "0123456789", signature_of(BODY).removeprefix("sha256="))


# --- the challenge

TOKEN = "an-invented-verify-token"
CHALLENGE = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": TOKEN}


@pytest.mark.parametrize(
    "query",
    [
        CHALLENGE,
        MultiDict(CHALLENGE),
        CIMultiDict(CHALLENGE),
        MultiDictProxy(MultiDict(CHALLENGE)),
        parse_qs(urlencode(CHALLENGE)),
        {**CHALLENGE, "more": None},
    ],
    ids=lambda query: type(query).__name__,
)
def test_the_challenge_is_returned_from_any_mapping(query: Mapping[str, object]) -> None:
    challenge = answer_challenge(query, TOKEN)
    assert challenge == "1158201444"
    assert type(challenge) is str


@pytest.mark.parametrize(("given", "own"), [(TOKEN, f"{TOKEN}\n"), (f" {TOKEN}", f"\ufeff{TOKEN}"), ("é ü", "é ü")])
def test_what_stands_around_a_verify_token_does_not_matter(given: str, own: str) -> None:
    assert answer_challenge({**CHALLENGE, "hub.verify_token": given}, own) == "1158201444"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"hub.verify_token": "somebody-elses"}, "hub.verify_token is missing or not yours"),
        ({"hub.verify_token": TOKEN[:-1]}, "hub.verify_token is missing or not yours"),
        ({"hub.verify_token": TOKEN.upper()}, "hub.verify_token is missing or not yours"),
        ({"hub.verify_token": ""}, "hub.verify_token is missing or not yours"),
        ({"hub.verify_token": None}, "hub.verify_token is missing or not yours"),
        ({"hub.verify_token": [TOKEN, TOKEN]}, "hub.verify_token is missing or not yours"),
        ({"hub.verify_token": []}, "hub.verify_token is missing or not yours"),
        ({"hub.verify_token": TOKEN.encode()}, "hub.verify_token is missing or not yours"),
        ({"hub.verify_token": "\ud800"}, "hub.verify_token is missing or not yours"),
        ({"hub.mode": "unsubscribe"}, "hub.mode is not 'subscribe'"),
        ({"hub.mode": None}, "hub.mode is not 'subscribe'"),
        ({"hub.challenge": ""}, "hub.challenge is missing or empty"),
        ({"hub.challenge": None}, "hub.challenge is missing or empty"),
    ],
)
def test_any_other_request_for_a_challenge_is_an_error(changes: dict[str, object], why: str) -> None:
    for query in (CHALLENGE | changes, {name: value for name, value in (CHALLENGE | changes).items() if value}):
        with pytest.raises(WebhookSignatureError, match=f"^{why}") as caught:
            answer_challenge(query, TOKEN)
        assert_hidden(caught.value, TOKEN, "somebody-elses")


@pytest.mark.parametrize("verify_token", ["", " \n", None, b"token", 5])
def test_an_empty_verify_token_is_an_error_even_if_it_matches(verify_token: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^verify_token must be a string that is not empty: give"):
        answer_challenge({**CHALLENGE, "hub.verify_token": ""}, verify_token)


@pytest.mark.parametrize("query", [urlencode(CHALLENGE), None, [*CHALLENGE.items()]], ids=["text", "none", "pairs"])
def test_a_query_that_is_no_mapping_is_an_error_without_its_token(query: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^query must be a mapping of the names in the URL's ") as caught:
        answer_challenge(query, TOKEN)
    assert_hidden(caught.value, TOKEN)


def test_verify_tokens_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = list[tuple[object, object]]()

    def compare(one: object, other: object) -> bool:
        compared.append((one, other))
        return True

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert answer_challenge({**CHALLENGE, "hub.verify_token": "é"}, TOKEN) == "1158201444"
    assert compared == [("é".encode(), TOKEN.encode())]


def assert_hidden(error: WaPhoneError, *texts: str) -> None:
    """Check that neither the error nor the local variables of its traceback show these texts."""
    shown = f"{error!r} {vars(error)}"
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename != __file__:
            shown += repr(frame.f_locals)
    assert "[hidden]" in shown
    for text in texts:
        assert text not in shown


# --- what a webhook concerns


TRAFFIC = """
    automatic_events calls consumer_profile flows group_lifecycle_update group_participants_update group_settings_update
    group_status_update history message_echoes message_template_components_update message_template_quality_update
    message_template_status_update messages messaging_handovers partner_solutions payment_configuration_update
    smb_app_state_sync smb_message_echoes standby template_category_update template_correct_category_detection
    tracking_events user_id_update user_preferences
"""
NAMED = {"display_phone_number": NUMBER}
LIMIT = {"max_daily_conversations_per_business": "TIER_2K"}


@pytest.mark.parametrize(
    ("field", "value", "member"),
    [
        ("phone_number_quality_update", {**NAMED, "event": "ONBOARDING"}, "status"),
        ("phone_number_quality_update", {**NAMED, "current_limit": "TIER_UNLIMITED"}, "throughput"),
        (
            "phone_number_name_update",
            {"phone_number": "+1 631-555-1000"},
            "name_status",
        ),
        ("account_update", {"event": "VERIFIED_ACCOUNT", "phone_number": int(NUMBER)}, None),
        ("security", {**NAMED, "event": "PIN_CHANGED", "requester": "1"}, "is_pin_enabled"),
        ("business_username_updates", {**NAMED, "username": "x", "status": "approved"}, "username"),
        ("something_new", {"metadata": {**NAMED, "phone_number_id": NUMBER_ID}}, None),
    ],
)
def test_each_field_concerns_its_account_and_number(field: str, value: dict[str, Any], member: str | None) -> None:
    [notice] = notices(delivery({"field": field, "value": value}))
    assert notice.field == field
    assert notice.waba_ids == {WABA}
    assert notice.digits == {NUMBER}
    assert notice.members is None if member is None else member in (notice.members or ())
    assert notice.may_change_numbers
    assert not notice.is_business_wide


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("account_alerts", {"entity_type": "PHONE_NUMBER", "entity_id": NUMBER_ID}),
        ("account_alerts", {"entity_type": "PHONE_NUMBER", "entity_id": int(NUMBER_ID)}),
        ("account_settings_update", {"phone_number_settings": {"phone_number_id": NUMBER_ID, "calling": {}}}),
        ("something_new", {"phone_number_id": NUMBER_ID}),
        ("something_new", {"metadata": {"phone_number_id": NUMBER_ID}}),
    ],
)
def test_a_field_may_name_a_number_by_its_id(field: str, value: dict[str, Any]) -> None:
    [notice] = notices(delivery({"field": field, "value": value}))
    assert notice.waba_ids == {WABA}
    assert notice.phone_number_ids == {NUMBER_ID}
    assert not notice.digits
    assert notice.may_change_numbers


@pytest.mark.parametrize("entity_type", ["BUSINESS", "CURRENT_STATUS_ID", None])
def test_an_alert_about_anything_else_names_no_number(entity_type: str | None) -> None:
    value = {"entity_type": entity_type, "entity_id": NUMBER_ID}
    [notice] = notices(delivery({"field": "account_alerts", "value": value}))
    assert notice.waba_ids == {WABA}
    assert not notice.phone_number_ids


@pytest.mark.parametrize(
    ("field", "value", "is_business_wide"),
    [
        ("business_capability_update", {"max_phone_numbers_per_business": 25}, True),
        ("phone_number_quality_update", {**NAMED, **LIMIT}, True),
        ("phone_number_quality_update", {**NAMED, "old_limit": "TIER_250", "current_limit": "TIER_2K"}, True),
        ("phone_number_quality_update", {**NAMED, "current_limit": "TIER_UNLIMITED"}, False),
        ("account_update", LIMIT, False),
        ("account_review_update", {"decision": "APPROVED"}, False),
    ],
)
def test_a_limit_concerns_the_whole_business(field: str, value: dict[str, Any], *, is_business_wide: bool) -> None:
    [notice] = notices(delivery({"field": field, "value": value}))
    assert notice.is_business_wide == is_business_wide
    assert notice.may_change_numbers


@pytest.mark.parametrize("field", TRAFFIC.split())
def test_traffic_changes_no_number(field: str) -> None:
    [notice] = notices(delivery({"field": field, "value": {"metadata": NAMED}}))
    assert notice.members == frozenset()
    assert not notice.may_change_numbers


@pytest.mark.parametrize("field", [None, "something_new", "Messages", "messages_v2", "message_template_new_update"])
def test_an_unknown_field_may_change_any_member(field: str | None) -> None:
    [notice] = notices(delivery({"field": field}))
    assert notice.members is None
    assert notice.may_change_numbers


def test_no_documented_field_tells_of_quality() -> None:
    told = {member for field in FIELDS for member in WebhookNotice(field).members or ()}
    assert not told & {"quality_rating", "quality_score", "code_verification_status"}


@pytest.mark.parametrize("topic", ["page", "instagram", "user", ""])
def test_a_webhook_of_another_product_has_no_notices(topic: str) -> None:
    assert notices(delivery({"field": "feed"}) | {"object": topic}) == []


@pytest.mark.parametrize("topic", ["whatsapp_business_account", "whatsapp_account", None, 5, {}])
def test_any_other_object_counts_as_whatsapp(topic: object) -> None:
    assert len(notices(delivery({"field": "security"}) | {"object": topic})) == 1


@pytest.mark.parametrize(
    "payload",
    [
        {"entry": [{"id": WABA, "changes": [{"field": "security", "value": {"phone_number": NUMBER}}]}]},
        {"entry": [{"id": WABA, "changes": [{"value": {"field": "security", "phone_number": NUMBER}}]}]},
        {"entry": [{"id": WABA, "changes": [{"value": {"phone_number": NUMBER}}], "field": "security"}]},
        {"entry": [{"id": WABA, "changes": [{"value": {"phone_number": NUMBER}}]}], "field": "security"},
        {"entry": [{"id": WABA, "changes": {"field": "security", "value": {"phone_number": NUMBER}}}]},
        {"entry": [{"id": WABA, "changes": [{"field": "security", "phone_number": NUMBER}]}]},
        {"entry": [{"id": WABA, "changes": [], "field": "security", "value": {"phone_number": NUMBER}}]},
        {"entry": [{"id": WABA, "field": "security", "value": {"phone_number": NUMBER}, "object": "anything"}]},
        {"entry": {"id": int(WABA), "field": "security", "value": {"phone_number": NUMBER}}},
        {"id": WABA, "field": "security", "value": {"phone_number": NUMBER}},
        {"entry": [{"id": WABA, "changes": [{"field": "security", "value": None, "phone_number": NUMBER}]}]},
    ],
)
def test_members_are_found_on_every_level(payload: object) -> None:
    [notice] = notices(payload)
    assert notice.field == "security"
    assert notice.waba_ids == {WABA}
    assert notice.digits == {NUMBER}


def test_a_notice_has_what_meta_says_and_when() -> None:
    value = {"display_phone_number": NUMBER, "decision": "APPROVED", "rejection_reason": None}
    entry = {"id": WABA, "time": 1739321024, "changes": [{"field": "phone_number_name_update", "value": value}]}
    [notice] = notices({"object": "whatsapp_business_account", "entry": [entry]})
    assert notice.value == value
    assert notice.time == datetime(2025, 2, 12, 0, 43, 44, tzinfo=UTC)
    assert pickle.loads(pickle.dumps(notice)) == notice
    assert len({notice, copy.deepcopy(notice)}) == 1
    assert "APPROVED" not in repr(notice)


@pytest.mark.parametrize("time", [None, True, 1.5, "soon", -1, 10**12, 10**30, [], {}], ids=repr)
def test_an_invalid_time_is_none(time: object) -> None:
    [notice] = notices({"entry": [{"id": WABA, "time": time, "changes": [{"field": "security"}]}]})
    assert notice.time is None
    assert notice.value == {}


def test_a_shared_account_is_named_in_waba_info() -> None:
    value = {"event": "PARTNER_ADDED", "waba_info": {"waba_id": OTHER_WABA, "owner_business_id": "7"}}
    [notice] = notices(delivery({"field": "account_update", "value": value}))
    assert notice.waba_ids == {WABA, OTHER_WABA}


@pytest.mark.parametrize("waba_id", [None, True, 1.5, "", "abc", "\uff11\uff12", [], {}], ids=repr)
def test_an_invalid_id_names_nothing(waba_id: object) -> None:
    [notice] = notices(delivery({"field": "security"}, waba_id=waba_id))
    assert notice == WebhookNotice("security", time=notice.time)


@pytest.mark.parametrize("change", [None, 1, "text", [], [None]], ids=repr)
def test_an_invalid_change_concerns_its_account(change: object) -> None:
    [notice] = notices(delivery(change))
    assert notice == WebhookNotice(None, frozenset({WABA}), time=notice.time)
    assert notice.may_change_numbers


def test_a_thousand_entries_are_read_in_order() -> None:
    entries = [{"id": str(number), "changes": [{"field": "security"}] * 2} for number in range(1000)]
    assert [notice.waba_ids for notice in notices({"entry": entries})] == [
        {str(number)} for number in range(1000) for _ in range(2)
    ]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not JSON \\(0 bytes\\)"),
        (b"{", "not JSON \\(1 bytes\\)"),
        (b"\xff", "not JSON"),
        (b"1" * 5000, "not JSON"),  # more digits than Python reads
        (b"[" * 100_000, "nested too deeply"),
        (b"[]", "invalid"),
        (b"null", "invalid"),
        (b'{"entry": null}', "invalid"),
        (b'{"entry": [1]}', "invalid"),
        (b'{"entry": [[]]}', "invalid"),
    ],
    ids=repr,
)
def test_an_invalid_webhook_is_an_error(body: bytes, why: str) -> None:
    with pytest.raises(DecodeError, match=f"^the webhook is {why}"):
        parse_webhook(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(WABA),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["entry", "changes", "field", "value", "id", "waba_id", "waba_info", "phone_number"])
            | st.sampled_from(["object", "metadata", "phone_number_settings", "phone_number_id", "entity_id"])
            | st.text(),
            inner,
        )
    ),
)


@given(st.binary() | JSON.map(lambda payload: json.dumps(payload).encode()))
def test_any_signed_bytes_give_notices_or_the_documented_error(body: bytes) -> None:
    verify_webhook(body, signature_of(body), SECRET)
    try:
        found = parse_webhook(body)
    except DecodeError:
        return
    for notice in found:
        for name in (*notice.waba_ids, *notice.digits, *notice.phone_number_ids):
            assert name.isdecimal()
            assert name.isascii()
