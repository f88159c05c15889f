"""The models: frozen values with the API's own names and open enums."""

import copy
import pickle
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import attrs
import pytest

from wa_phone_async.models import (
    ALL_FIELDS,
    NO_EXTRA,
    AccountMode,
    CodeVerificationStatus,
    CreatedPhoneNumber,
    Cursors,
    Extra,
    HostPlatform,
    MessagingLimitTier,
    NameStatus,
    Page,
    PhoneNumber,
    PhoneNumberStatus,
    QualityRating,
    Throughput,
    ThroughputLevel,
    UnifiedCertStatus,
)

# All values that are in Meta's reference, its guides, its SDKs or captures of live responses.
ENUMS: dict[type[StrEnum], str] = {
    PhoneNumberStatus: "PENDING LINKED UNLINKED CONNECTED DISCONNECTED DELETED MIGRATED BANNED RESTRICTED RATE_LIMITED "
    "FLAGGED UNVERIFIED UNKNOWN",
    QualityRating: "GREEN YELLOW RED UNKNOWN NA",
    CodeVerificationStatus: "VERIFIED NOT_VERIFIED UNVERIFIED EXPIRED",
    UnifiedCertStatus: "APPROVED NAME_PENDING_REVIEW NAME_NOT_APPROVED ACCOUNT_REVIEW_NOT_STARTED LIMITED_ACCESS",
    AccountMode: "LIVE SANDBOX",
    HostPlatform: "CLOUD_API ON_PREMISE NOT_APPLICABLE",
    MessagingLimitTier: "TIER_NOT_SET TIER_50 TIER_250 TIER_1K TIER_2K TIER_10K TIER_100K TIER_UNLIMITED UNTIERED",
    NameStatus: "APPROVED AVAILABLE_WITHOUT_REVIEW DECLINED EXPIRED PENDING_REVIEW NON_EXISTS NONE",
    ThroughputLevel: "STANDARD HIGH NOT_APPLICABLE",
}
REFERENCE_FIELDS = (
    "id display_phone_number verified_name status quality_rating country_code country_dial_code "
    "code_verification_status unified_cert_status account_mode host_platform messaging_limit_tier "
    "is_official_business_account username"
)
LIVE_FIELDS = (
    "name_status throughput last_onboarded_time whatsapp_business_manager_messaging_limit is_pin_enabled health_status "
    "new_display_name is_on_biz_app official_business_account is_preverified_number webhook_configuration"
)

NUMBER = PhoneNumber("1", status=PhoneNumberStatus.CONNECTED, throughput=Throughput("HIGH"), extra=Extra({"a": [1]}))
VALUES = [
    NUMBER,
    Throughput("HIGH", Extra({"b": 1})),
    CreatedPhoneNumber("1"),
    Cursors("b", "a"),
    Page(data=(NUMBER,), cursors=Cursors(after="a"), has_next=True, extra=Extra({"summary": {}})),
]
each_value = pytest.mark.parametrize("value", VALUES, ids=[type(value).__name__ for value in VALUES])


@pytest.mark.parametrize(("enum", "values"), ENUMS.items(), ids=[enum.__name__ for enum in ENUMS])
def test_enums_have_every_known_value(enum: type[StrEnum], values: str) -> None:
    assert {member.value for member in enum} == set(values.split())
    assert all(member.name == member.value == str(member) for member in enum)


def test_all_fields_are_those_of_the_model() -> None:
    assert set(ALL_FIELDS) >= set(f"{REFERENCE_FIELDS} {LIVE_FIELDS}".split())
    assert set(ALL_FIELDS) | {"extra"} == set(attrs.fields_dict(PhoneNumber))


def test_only_the_id_is_required() -> None:
    number = PhoneNumber("106540352242922")
    assert number.extra is NO_EXTRA
    assert {getattr(number, name) for name in ALL_FIELDS if name != "id"} == {None}
    with pytest.raises(TypeError):
        PhoneNumber()  # type: ignore[call-arg]  # the id is required


@pytest.mark.parametrize(
    ("rating", "is_rated"),
    [
        (QualityRating.GREEN, True),
        (QualityRating.YELLOW, True),
        (QualityRating.RED, True),
        ("PURPLE", True),
        (QualityRating.NA, False),
        (QualityRating.UNKNOWN, False),
        ("NA", False),
        ("", False),
        (None, False),
    ],
)
def test_is_rated_treats_na_and_unknown_alike(rating: str | None, *, is_rated: bool) -> None:
    assert PhoneNumber("1", quality_rating=rating).is_rated is is_rated


def test_platform_type_is_a_read_only_name_of_host_platform() -> None:
    number = PhoneNumber("1", host_platform=HostPlatform.CLOUD_API)
    assert number.platform_type is HostPlatform.CLOUD_API
    with pytest.raises(AttributeError):
        number.platform_type = "ON_PREMISE"  # type: ignore[misc]  # it is frozen


@each_value
def test_models_are_frozen_and_slotted(value: Any) -> None:
    name = attrs.fields(type(value))[0].name
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(value, name, "2")
    assert not hasattr(value, "__dict__")


@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))],
    ids=["copy", "deep", "pickle"],
)
@each_value
def test_models_are_values(value: Any, duplicate: Callable[[Any], Any]) -> None:
    other = duplicate(value)
    assert other == value
    assert hash(other) == hash(value)
    assert repr(other) == repr(value)


def test_extra_counts_in_comparisons_and_not_in_hashes() -> None:
    one, other = PhoneNumber("1", extra=Extra({"a": []})), PhoneNumber("1", extra=Extra({"a": {}}))
    assert one != other
    assert hash(one) == hash(other)


def test_extra_is_a_read_only_mapping_equal_to_a_dict() -> None:
    extra = Extra({"a": 1, "b": [2]})
    assert extra == {"a": 1, "b": [2]}
    assert (extra["a"], extra.get("c"), "b" in extra, len(extra), list(extra)) == (1, None, True, 2, ["a", "b"])
    assert repr(extra) == "{'a': 1, 'b': [2]}"
    with pytest.raises(TypeError):
        extra["a"] = 2  # type: ignore[index]  # it is read-only


def test_a_repr_hides_the_queries_of_urls_and_the_data_has_them() -> None:
    url = "https://user:secret@shop.example/hook?token=secret"
    webhooks = Extra({"application": url, "more": [{url: url}]})
    number = PhoneNumber("1", webhook_configuration=webhooks, extra=Extra({"webhook_configuration": url}))
    for text in (f"{webhooks}", f"{number}", f"{Page(data=(number,))}", f"{[number]!r}"):
        assert "secret" not in text
        assert "'https://[hidden]@shop.example/hook?[hidden]'" in text
    assert webhooks["application"] == url
    assert pickle.loads(pickle.dumps(number)) == number


@pytest.mark.parametrize("extra", [NO_EXTRA, Extra(), Extra({})])
def test_no_extra_is_empty_and_false(extra: Extra) -> None:
    assert not extra
    assert extra == {}


def test_a_page_is_a_sequence_of_its_rows() -> None:
    page = Page(data=("a", "b"), cursors=Cursors("x", "y"))
    assert len(page) == 2
    assert list(page) == ["a", "b"]
    assert (page.cursors.before, page.cursors.after, page.has_next) == ("x", "y", False)
    assert page.extra is NO_EXTRA
    assert not Page[str]()


def test_a_status_prints_and_compares_as_its_word() -> None:
    assert f"{PhoneNumberStatus.CONNECTED}" == "CONNECTED"
    assert NUMBER.status == "CONNECTED"


def test_a_page_has_its_rows_and_cursors_under_the_names_that_people_guess() -> None:
    page = Page(data=(1, 2, 3), cursors=Cursors("b", "a"), has_next=True)
    assert page.items == page.data == tuple(page)
    assert (page[0], page[-1], page[1:]) == (1, 3, (2, 3))
    assert (page.next_cursor, page.previous_cursor) == ("a", None)
    page = Page[int](cursors=Cursors("b", "a"), has_previous=True)
    assert (page.next_cursor, page.previous_cursor) == (None, "b")
