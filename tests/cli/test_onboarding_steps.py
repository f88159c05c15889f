"""Which step of the onboarding comes next: a table, and laws."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async import (
    CodeVerificationStatus,
    HostPlatform,
    NameStatus,
    PhoneNumber,
    PhoneNumberStatus,
    is_ready,
    read_readiness,
)

pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")

from wa_phone_async.cli.commands.onboarding_steps import Step, next_step

ID = "300000000000000"

NEW = {
    "code_verification_status": "NOT_VERIFIED",
    "status": "PENDING",
    "host_platform": "NOT_APPLICABLE",
    "name_status": "PENDING_REVIEW",
}
CONNECTED = {"code_verification_status": "VERIFIED", "status": "CONNECTED", "host_platform": "CLOUD_API"}


def number(**fields: Any) -> PhoneNumber:
    return PhoneNumber(ID, **fields)


class TestNextStep:
    @pytest.mark.parametrize(
        ("fields", "step"),
        [
            ({}, Step.VERIFY),
            (NEW, Step.VERIFY),
            ({**NEW, "code_verification_status": "UNVERIFIED"}, Step.VERIFY),
            ({**NEW, "code_verification_status": "EXPIRED"}, Step.VERIFY),
            ({**NEW, "code_verification_status": "SOMETHING_NEW"}, Step.VERIFY),
            ({**NEW, "name_status": "APPROVED"}, Step.VERIFY),
            ({**NEW, "code_verification_status": "VERIFIED"}, Step.REGISTER),
            ({"code_verification_status": "VERIFIED"}, Step.REGISTER),
            ({**CONNECTED, "status": "DISCONNECTED"}, Step.REGISTER),
            ({**CONNECTED, "host_platform": "ON_PREMISE"}, Step.REGISTER),
            (CONNECTED, Step.REVIEW),
            ({**CONNECTED, "name_status": "PENDING_REVIEW"}, Step.REVIEW),
            ({**CONNECTED, "name_status": "NON_EXISTS"}, Step.REVIEW),
            ({**CONNECTED, "unified_cert_status": "NAME_PENDING_REVIEW", "status": "LINKED"}, Step.REVIEW),
            ({**CONNECTED, "code_verification_status": "NOT_VERIFIED", "name_status": "APPROVED"}, Step.VERIFY),
            ({**CONNECTED, "name_status": "APPROVED"}, Step.DONE),
            ({**CONNECTED, "code_verification_status": "EXPIRED", "name_status": "APPROVED"}, Step.DONE),
            ({**CONNECTED, "status": "FLAGGED", "name_status": "AVAILABLE_WITHOUT_REVIEW"}, Step.DONE),
            ({**NEW, "name_status": "DECLINED"}, Step.STOP),
            ({**CONNECTED, "name_status": "EXPIRED"}, Step.STOP),
            ({**CONNECTED, "name_status": "DECLINED", "new_name_status": "PENDING_REVIEW"}, Step.REVIEW),
            ({"status": "BANNED"}, Step.STOP),
            ({**CONNECTED, "status": "MIGRATED", "name_status": "APPROVED"}, Step.STOP),
        ],
    )
    def test_by_what_the_api_reports(self, fields: dict[str, str], step: Step) -> None:
        assert next_step(number(**fields)) is step

    @pytest.mark.parametrize(
        ("confirmed", "step"),
        [
            ({Step.VERIFY}, Step.REGISTER),
            ({Step.VERIFY, Step.REGISTER}, Step.REVIEW),
            ({Step.REGISTER}, Step.VERIFY),
        ],
    )
    def test_what_the_api_has_confirmed_is_not_repeated_where_a_reading_is_late(
        self, confirmed: set[Step], step: Step
    ) -> None:
        assert next_step(number(**NEW), confirmed) is step

    @given(
        st.builds(
            PhoneNumber,
            id=st.just(ID),
            status=st.none() | st.sampled_from(PhoneNumberStatus),
            code_verification_status=st.none() | st.sampled_from(CodeVerificationStatus),
            host_platform=st.none() | st.sampled_from(HostPlatform),
            name_status=st.none() | st.sampled_from(NameStatus),
            new_name_status=st.none() | st.sampled_from(NameStatus),
        ),
        st.sets(st.sampled_from([Step.VERIFY, Step.REGISTER])),
    )
    def test_laws(self, number: PhoneNumber, confirmed: set[Step]) -> None:
        step, readiness = next_step(number, confirmed), read_readiness(number)
        assert step not in confirmed
        assert (step is Step.STOP) == readiness.is_final
        assert (step is Step.DONE) == (is_ready(number) and not readiness.is_final)
        assert step is not Step.REGISTER or readiness.verified or Step.VERIFY in confirmed
        assert (
            step in {Step.STOP, Step.DONE} or next_step(number, {*confirmed, step}) is not step or step is Step.REVIEW
        )
