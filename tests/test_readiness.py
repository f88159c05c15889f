"""How far a number has come: verified, registered, name approved; what is unknown, what is final, and what is next."""

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async import (
    ALL_FIELDS,
    CodeVerificationStatus,
    HostPlatform,
    NameStatus,
    PhoneNumber,
    PhoneNumberClient,
    PhoneNumberStatus,
    UnifiedCertStatus,
    is_ready,
    read_readiness,
)
from wa_phone_async.readiness import STATE_FIELDS, OnboardingStep, describe, is_pending, next_step
from wa_phone_async.sandbox import LARGE_WABA, Sandbox

LIVE = PhoneNumber(
    "1",
    status="CONNECTED",
    code_verification_status="EXPIRED",
    host_platform="CLOUD_API",
    name_status="APPROVED",
)
REFERENCE = PhoneNumber(
    "1",
    status="LINKED",
    code_verification_status="VERIFIED",
    host_platform="CLOUD_API",
    unified_cert_status="APPROVED",
)
NEW = {
    "status": "PENDING",
    "code_verification_status": "NOT_VERIFIED",
    "host_platform": "NOT_APPLICABLE",
    "name_status": "PENDING_REVIEW",
}
CONNECTED = {"code_verification_status": "VERIFIED", "status": "CONNECTED", "host_platform": "CLOUD_API"}
VERIFY, REGISTER, REVIEW, DONE, STOP = OnboardingStep

WORKING = ("CONNECTED", "LINKED", "FLAGGED", "RESTRICTED", "RATE_LIMITED")
BROKEN = ("PENDING", "UNVERIFIED", "UNLINKED", "DISCONNECTED", "DELETED", "MIGRATED", "BANNED")
UNSAID = ("UNKNOWN", "SOMETHING_NEW", None)
# (status, platform): whether the number is registered with the Cloud API
REGISTERED: dict[tuple[str | None, str | None], bool | None] = {
    **{(status, platform): False for status in (*WORKING, *UNSAID) for platform in ("ON_PREMISE", "NOT_APPLICABLE")},
    **{(status, "CLOUD_API"): True for status in (*WORKING, *UNSAID)},
    **{(status, platform): False for status in BROKEN for platform in (*HostPlatform, "SOMETHING_NEW", None)},
    **{(status, platform): True for status in WORKING for platform in ("SOMETHING_NEW", None)},
    **{(status, platform): None for status in UNSAID for platform in ("SOMETHING_NEW", None)},
}
CODES = {
    "VERIFIED": True,
    "NOT_VERIFIED": False,
    "UNVERIFIED": False,
    "EXPIRED": None,
    "SOMETHING_NEW": None,
    None: None,
}


def number(**fields: Any) -> PhoneNumber:
    return PhoneNumber("1", **fields)


def states(number: PhoneNumber) -> tuple[bool | None, bool | None, bool | None]:
    readiness = read_readiness(number)
    return readiness.verified, readiness.registered, readiness.name_approved


@pytest.mark.parametrize("ready", [LIVE, REFERENCE], ids=["live", "reference"])
def test_a_number_is_ready_in_the_words_of_the_live_service_and_of_the_reference(ready: PhoneNumber) -> None:
    assert is_ready(ready)
    assert states(ready) == (True, True, True)
    assert (read_readiness(ready).is_final, read_readiness(ready).reasons) == (False, ())


def test_a_new_number_is_none_of_the_three_and_may_become_all() -> None:
    readiness = read_readiness(number(**NEW))
    assert states(number(**NEW)) == (False, False, False)
    assert (readiness.is_ready, readiness.is_final) == (False, False)
    assert readiness.reasons == (
        "not verified (code_verification_status NOT_VERIFIED)",
        "not registered (status PENDING, host_platform NOT_APPLICABLE)",
        "not approved by name (name_status PENDING_REVIEW)",
    )


def test_what_the_api_did_not_say_is_unknown() -> None:
    readiness = read_readiness(PhoneNumber("1"))
    assert states(PhoneNumber("1")) == (None, None, None)
    assert (readiness.is_ready, readiness.is_final) == (False, False)
    assert readiness.reasons == tuple(
        f"not known to be {what} (the API did not say)" for what in ("verified", "registered", "approved by name")
    )


def test_a_value_that_meta_adds_tomorrow_is_unknown() -> None:
    tomorrow = number(status="OFFLINE", code_verification_status="SOON", host_platform="MOON", name_status="FINE")
    assert states(tomorrow) == (None, None, None)
    assert read_readiness(tomorrow).reasons[1] == "not known to be registered (status OFFLINE, host_platform MOON)"


@pytest.mark.parametrize(
    ("fields", "verified"),
    [
        ({"code_verification_status": "VERIFIED"}, True),
        ({"code_verification_status": "EXPIRED"}, None),  # the code lapsed, used or not
        ({"code_verification_status": "EXPIRED", "status": "CONNECTED"}, True),
        ({"code_verification_status": "EXPIRED", "host_platform": "CLOUD_API"}, True),
        ({"status": "LINKED"}, True),
        ({"status": "UNVERIFIED"}, False),
        ({"status": "UNVERIFIED", "code_verification_status": "VERIFIED"}, True),
        ({"status": "CONNECTED", "code_verification_status": "NOT_VERIFIED"}, False),  # on a platform that is unknown
        ({"host_platform": "CLOUD_API", "code_verification_status": "NOT_VERIFIED"}, True),  # as a list has it unasked
        ({"code_verification_status": "UNVERIFIED"}, False),
    ],
)
def test_an_expired_code_is_no_failure(fields: dict[str, str], verified: object) -> None:
    assert read_readiness(number(**fields)).verified is verified


@pytest.mark.parametrize(
    ("fields", "registered"),
    [
        ({"status": "CONNECTED"}, True),
        ({"host_platform": "CLOUD_API"}, True),
        ({"status": "FLAGGED", "host_platform": "CLOUD_API"}, True),
        ({"status": "RESTRICTED"}, True),
        ({"status": "RATE_LIMITED"}, True),
        ({"status": "UNKNOWN", "host_platform": "CLOUD_API"}, True),
        ({"status": "PENDING", "host_platform": "CLOUD_API"}, False),
        ({"status": "DISCONNECTED", "host_platform": "CLOUD_API"}, False),
        ({"status": "UNLINKED"}, False),
        ({"status": "CONNECTED", "host_platform": "ON_PREMISE"}, False),  # by the Business app, not by the Cloud API
        ({"status": "CONNECTED", "host_platform": "NOT_APPLICABLE"}, False),
        ({"status": "UNKNOWN"}, None),
    ],
)
def test_registered_means_with_the_cloud_api_and_working(fields: dict[str, str], registered: object) -> None:
    assert read_readiness(number(**fields)).registered is registered


# Test numbers and numbers shared with the Business app need no code


@pytest.mark.parametrize("is_on_biz_app", [True, False, None])
@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize(("status", "platform"), REGISTERED)
def test_the_states_of_a_number_follow_from_four_members(
    status: str | None, platform: str | None, code: str | None, *, is_on_biz_app: bool | None
) -> None:
    members = {"status": status, "host_platform": platform, "code_verification_status": code}
    read = number(**members, is_on_biz_app=is_on_biz_app, name_status="APPROVED")
    registered = REGISTERED[status, platform]
    if registered and platform == "CLOUD_API":
        verified: bool | None = True  # whatever the code says
    elif CODES[code] is None:
        verified = True if registered else False if status == "UNVERIFIED" else None
    else:
        verified = CODES[code]
    is_final = status in {"BANNED", "DELETED", "MIGRATED"}
    is_in_use = registered or (is_on_biz_app and status in WORKING)
    is_unverified = code in {"NOT_VERIFIED", "UNVERIFIED"} or status in {"PENDING", "UNVERIFIED"}

    assert states(read) == (verified, registered, True)
    assert is_ready(read) == bool(verified and registered)
    assert is_pending(read) == (is_unverified and not is_in_use)
    assert next_step(read) is (STOP if is_final else VERIFY if not verified else DONE if registered else REGISTER)


def test_the_table_of_states_knows_every_value() -> None:
    assert {status for status, _ in REGISTERED} == {*PhoneNumberStatus, *UNSAID}
    assert {platform for _, platform in REGISTERED} == {*HostPlatform, "SOMETHING_NEW", None}
    assert len(REGISTERED) == len({*PhoneNumberStatus, *UNSAID}) * (len(HostPlatform) + 2)
    assert {*CODES} == {*CodeVerificationStatus, "SOMETHING_NEW", None}


@pytest.mark.parametrize("is_on_biz_app", [True, False])
def test_a_number_that_never_gets_a_code_is_ready(*, is_on_biz_app: bool) -> None:
    in_use = number(**CONNECTED | {"code_verification_status": "NOT_VERIFIED"}, is_on_biz_app=is_on_biz_app)
    named = attrs.evolve(in_use, name_status="AVAILABLE_WITHOUT_REVIEW")
    assert (is_ready(named), next_step(named), is_pending(named)) == (True, DONE, False)
    assert (next_step(in_use), is_pending(in_use)) == (REVIEW, False)
    assert is_pending(attrs.evolve(in_use, name_status="PENDING_REVIEW"))  # its name may change soon
    assert not is_pending(attrs.evolve(in_use, status=None))  # as a list has it by default


@pytest.mark.parametrize(
    ("fields", "approved", "is_final"),
    [
        ({"name_status": "AVAILABLE_WITHOUT_REVIEW"}, True, False),
        ({"name_status": "DECLINED"}, False, True),
        ({"name_status": "EXPIRED"}, False, True),
        ({"name_status": "NONE"}, False, False),
        ({"name_status": "NON_EXISTS"}, False, False),
        ({"name_status": "DECLINED", "new_name_status": "PENDING_REVIEW"}, False, False),
        ({"name_status": "DECLINED", "new_name_status": "APPROVED"}, False, False),  # once it is registered again
        ({"name_status": "DECLINED", "new_name_status": "DECLINED"}, False, True),
        ({"name_status": "DECLINED", "new_name_status": "NONE"}, False, True),
        ({"unified_cert_status": "NAME_PENDING_REVIEW"}, False, False),
        ({"unified_cert_status": "ACCOUNT_REVIEW_NOT_STARTED"}, False, False),
        ({"unified_cert_status": "LIMITED_ACCESS"}, False, False),
        ({"unified_cert_status": "NAME_NOT_APPROVED"}, False, True),
        ({"name_status": "APPROVED", "unified_cert_status": "NAME_NOT_APPROVED"}, True, False),  # the live word counts
        ({"name_status": "SOMETHING", "unified_cert_status": "APPROVED"}, True, False),
    ],
)
def test_the_name_has_a_review_of_its_own(fields: dict[str, str], approved: object, is_final: object) -> None:
    readiness = read_readiness(number(**fields))
    assert (readiness.name_approved, readiness.is_final) == (approved, is_final)


@pytest.mark.parametrize("status", ["BANNED", "DELETED", "MIGRATED"])
def test_some_states_are_final(status: str) -> None:
    readiness = read_readiness(number(status=status, host_platform="CLOUD_API", name_status="APPROVED"))
    assert readiness.is_final
    assert not readiness.is_ready
    assert readiness.reasons[0] == f"{status} is final"


@pytest.mark.parametrize("status", ["PENDING", "DISCONNECTED", "UNLINKED", "UNVERIFIED", "RESTRICTED", "UNKNOWN"])
def test_other_states_may_change(status: str) -> None:
    assert not read_readiness(number(status=status, name_status="PENDING_REVIEW")).is_final


def values(enum: Any) -> st.SearchStrategy[str | None]:
    return st.none() | st.sampled_from([str(value) for value in enum]) | st.just("SOMETHING_NEW")


@given(
    st.builds(
        PhoneNumber,
        id=st.just("1"),
        status=values(PhoneNumberStatus),
        code_verification_status=values(CodeVerificationStatus),
        host_platform=values(HostPlatform),
        name_status=values(NameStatus),
        new_name_status=values(NameStatus),
        unified_cert_status=values(UnifiedCertStatus),
    )
)
def test_ready_means_all_three_and_not_final_and_reasons_say_why_not(number: PhoneNumber) -> None:
    readiness = read_readiness(number)
    assert is_ready(number) == readiness.is_ready == (states(number) == (True, True, True))
    assert not (readiness.is_ready and readiness.is_final)
    assert bool(readiness.reasons) != readiness.is_ready


# What may change soon


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, False),
        ({"status": "CONNECTED", "name_status": "APPROVED", "code_verification_status": "VERIFIED"}, False),
        ({"code_verification_status": "EXPIRED"}, False),
        ({"name_status": "DECLINED", "new_name_status": "NONE"}, False),
        ({"unified_cert_status": "APPROVED"}, False),
        ({"status": "SOMETHING_NEW"}, False),
        ({"status": "PENDING"}, True),
        ({"status": "UNVERIFIED"}, True),
        ({"code_verification_status": "NOT_VERIFIED"}, True),
        ({"code_verification_status": "UNVERIFIED"}, True),
        ({"name_status": "PENDING_REVIEW"}, True),
        ({"name_status": "APPROVED", "new_name_status": "PENDING_REVIEW"}, True),
        ({"unified_cert_status": "NAME_PENDING_REVIEW"}, True),
    ],
)
def test_pending_is_not_verified_yet_or_in_review(members: dict[str, str], *, expected: bool) -> None:
    assert is_pending(number(**members)) is expected


# Which onboarding step is next


@pytest.mark.parametrize(
    ("fields", "step"),
    [
        ({}, VERIFY),
        (NEW, VERIFY),
        ({**NEW, "code_verification_status": "UNVERIFIED"}, VERIFY),
        ({**NEW, "code_verification_status": "EXPIRED"}, VERIFY),
        ({**NEW, "code_verification_status": "SOMETHING_NEW"}, VERIFY),
        ({**NEW, "name_status": "APPROVED"}, VERIFY),
        ({**NEW, "code_verification_status": "VERIFIED"}, REGISTER),
        ({"code_verification_status": "VERIFIED"}, REGISTER),
        ({**CONNECTED, "status": "DISCONNECTED"}, REGISTER),
        ({**CONNECTED, "host_platform": "ON_PREMISE"}, REGISTER),
        (CONNECTED, REVIEW),
        ({**CONNECTED, "name_status": "PENDING_REVIEW"}, REVIEW),
        ({**CONNECTED, "name_status": "NON_EXISTS"}, REVIEW),
        ({**CONNECTED, "unified_cert_status": "NAME_PENDING_REVIEW", "status": "LINKED"}, REVIEW),
        ({**CONNECTED, "code_verification_status": "NOT_VERIFIED", "name_status": "APPROVED"}, DONE),
        ({**CONNECTED, "name_status": "APPROVED"}, DONE),
        ({**CONNECTED, "code_verification_status": "EXPIRED", "name_status": "APPROVED"}, DONE),
        ({**CONNECTED, "status": "FLAGGED", "name_status": "AVAILABLE_WITHOUT_REVIEW"}, DONE),
        ({**NEW, "name_status": "DECLINED"}, STOP),
        ({**CONNECTED, "name_status": "EXPIRED"}, STOP),
        ({**CONNECTED, "name_status": "DECLINED", "new_name_status": "PENDING_REVIEW"}, REVIEW),
        ({"status": "BANNED"}, STOP),
        ({**CONNECTED, "status": "MIGRATED", "name_status": "APPROVED"}, STOP),
    ],
)
def test_the_next_step_follows_from_what_the_api_reports(fields: dict[str, str], step: OnboardingStep) -> None:
    assert next_step(number(**fields)) is step


@pytest.mark.parametrize(
    ("confirmed", "step"),
    [
        ({VERIFY}, REGISTER),
        ({VERIFY, REGISTER}, REVIEW),
        ({REGISTER}, VERIFY),
    ],
)
def test_a_confirmed_step_does_not_come_again_although_a_read_is_late(
    confirmed: set[OnboardingStep], step: OnboardingStep
) -> None:
    assert next_step(number(**NEW), confirmed) is step


@given(
    st.builds(
        PhoneNumber,
        id=st.just("1"),
        status=st.none() | st.sampled_from(PhoneNumberStatus),
        code_verification_status=st.none() | st.sampled_from(CodeVerificationStatus),
        host_platform=st.none() | st.sampled_from(HostPlatform),
        name_status=st.none() | st.sampled_from(NameStatus),
        new_name_status=st.none() | st.sampled_from(NameStatus),
    ),
    st.sets(st.sampled_from([VERIFY, REGISTER])),
)
def test_the_next_step_is_never_a_confirmed_one_and_ends_when_ready_or_final(
    number: PhoneNumber, confirmed: set[OnboardingStep]
) -> None:
    step, readiness = next_step(number, confirmed), read_readiness(number)
    assert step not in confirmed
    assert (step is STOP) == readiness.is_final
    assert (step is DONE) == (is_ready(number) and not readiness.is_final)
    assert step is not REGISTER or readiness.verified or VERIFY in confirmed
    assert step in {REVIEW, STOP, DONE} or next_step(number, {*confirmed, step}) is not step


# In words, and from the sandbox


def test_a_description_leaves_out_what_did_not_come() -> None:
    assert describe(REFERENCE, *STATE_FIELDS) == (
        "status LINKED, code_verification_status VERIFIED, host_platform CLOUD_API, unified_cert_status APPROVED"
    )
    assert describe(PhoneNumber("1"), "status") == "the API did not say"


async def test_the_sandbox_has_ready_numbers_that_never_had_a_code() -> None:
    async with Sandbox() as sandbox, PhoneNumberClient("any-token", base_url=sandbox.url) as client:
        numbers = await client.list_phone_numbers(LARGE_WABA, fields=ALL_FIELDS)
    ready = [number for number in numbers if is_ready(number) and number.code_verification_status == "NOT_VERIFIED"]
    assert {number.is_on_biz_app for number in ready} == {True, False}
    assert "Test Number" in {number.verified_name for number in ready}


@pytest.mark.parametrize("mode", ["live", "reference"])
async def test_all_fields_say_all_three_in_both_modes(mode: Any) -> None:
    async with Sandbox(mode=mode) as sandbox, PhoneNumberClient("any-token", base_url=sandbox.url) as client:
        numbers = await client.list_phone_numbers(LARGE_WABA, fields=ALL_FIELDS)
    ready = [number for number in numbers if is_ready(number)]
    assert ready
    assert all(number.host_platform == "CLOUD_API" for number in ready)
    known = [state for number in numbers[:100] for state in states(number)]
    assert known.count(None) < len(known) / 4
