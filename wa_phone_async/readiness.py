"""How far a number has come: verified, registered and name-approved are three things, and some states are final.

Every rule is a table from what the API says to yes or no; what is in no table, or was not sent, is unknown and not no.
The reference and the live service say the same under different names: `LINKED` and `CONNECTED`, `unified_cert_status`
and `name_status`. What the values mean was read in Meta's guides and published captures, 2026-11-22.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from .models import CodeVerificationStatus, HostPlatform, NameStatus, PhoneNumber, PhoneNumberStatus, UnifiedCertStatus

_Table = Mapping[str | None, bool]

_VERIFIED: Final[_Table] = {
    CodeVerificationStatus.VERIFIED: True,
    CodeVerificationStatus.NOT_VERIFIED: False,
    CodeVerificationStatus.UNVERIFIED: False,
}
"""`EXPIRED` says only that the last code lapsed, so that the registration decides."""

_WORKING: Final[_Table] = {
    PhoneNumberStatus.CONNECTED: True,
    PhoneNumberStatus.LINKED: True,
    PhoneNumberStatus.FLAGGED: True,  # these three limit a number that works
    PhoneNumberStatus.RESTRICTED: True,
    PhoneNumberStatus.RATE_LIMITED: True,
    PhoneNumberStatus.PENDING: False,
    PhoneNumberStatus.UNVERIFIED: False,
    PhoneNumberStatus.UNLINKED: False,
    PhoneNumberStatus.DISCONNECTED: False,
    PhoneNumberStatus.DELETED: False,
    PhoneNumberStatus.MIGRATED: False,
    PhoneNumberStatus.BANNED: False,
}

_HOSTED: Final[_Table] = {
    HostPlatform.CLOUD_API: True,
    HostPlatform.ON_PREMISE: False,  # or in the WhatsApp Business app, which reads the same
    HostPlatform.NOT_APPLICABLE: False,
}

_APPROVED: Final[_Table] = {
    NameStatus.APPROVED: True,
    NameStatus.AVAILABLE_WITHOUT_REVIEW: True,
    NameStatus.PENDING_REVIEW: False,
    NameStatus.DECLINED: False,
    NameStatus.EXPIRED: False,
    NameStatus.NON_EXISTS: False,
    NameStatus.NONE: False,
}

_CERTIFIED: Final[_Table] = {
    UnifiedCertStatus.APPROVED: True,
    UnifiedCertStatus.NAME_PENDING_REVIEW: False,
    UnifiedCertStatus.NAME_NOT_APPROVED: False,
    UnifiedCertStatus.ACCOUNT_REVIEW_NOT_STARTED: False,
    UnifiedCertStatus.LIMITED_ACCESS: False,
}

_FINAL_STATUSES: Final = frozenset({PhoneNumberStatus.BANNED, PhoneNumberStatus.DELETED, PhoneNumberStatus.MIGRATED})
_FINAL_NAMES: Final = frozenset({NameStatus.DECLINED, NameStatus.EXPIRED, UnifiedCertStatus.NAME_NOT_APPROVED})
_HOPEFUL_NAMES: Final = frozenset(
    {NameStatus.PENDING_REVIEW, *(name for name, is_good in _APPROVED.items() if is_good)}
)

STATE_FIELDS: Final = (
    "status",
    "code_verification_status",
    "host_platform",
    "name_status",
    "new_name_status",
    "unified_cert_status",
)
"""The fields that say how far a number has come; the API sends most of them only when asked."""


@attrs.frozen(kw_only=True)
class Readiness:
    """How far a number has come on the way to being used. `None` means that the API did not say."""

    verified: bool | None
    """Whether its ownership was proven by a code. A number that is registered was, unless the API says otherwise."""
    registered: bool | None
    """Whether it is registered with the Cloud API and works there, if only within limits."""
    name_approved: bool | None
    """Whether the name that customers see is approved, or needs no review."""
    is_final: bool
    """Whether waiting alone does not make it ready: it is banned, deleted or migrated, or its name is declined or
    expired and no other was asked for."""
    reasons: tuple[str, ...]
    """Why it is not ready, a phrase for each thing that is final, missing or unknown; empty where it is ready."""

    @property
    def is_ready(self) -> bool:
        """Whether all three are known to be so."""
        return bool(self.verified and self.registered and self.name_approved)


def read_readiness(number: PhoneNumber) -> Readiness:
    """How far a number has come, from the fields that were read of it; ask for `ALL_FIELDS` to have them all."""
    registered = _both(_WORKING.get(number.status), _HOSTED.get(number.host_platform))
    verified = _VERIFIED.get(number.code_verification_status)
    if verified is None:
        verified = True if registered else _VERIFIED.get(number.status)  # a status too can be `UNVERIFIED`
    name_approved = _APPROVED.get(number.name_status)
    if name_approved is None:
        name_approved = _CERTIFIED.get(number.unified_cert_status)
    final = _final_states(number)
    missing = (
        _missing(number, "verified", verified, "code_verification_status"),
        _missing(number, "registered", registered, "status", "host_platform"),
        _missing(number, "approved by name", name_approved, "name_status", "unified_cert_status"),
    )
    return Readiness(
        verified=verified,
        registered=registered,
        name_approved=name_approved,
        is_final=bool(final),
        reasons=(*final, *filter(None, missing)),
    )


def is_ready(number: PhoneNumber) -> bool:
    """Whether a number can be used: verified, registered, and its name approved, all three known to be so."""
    return read_readiness(number).is_ready


def describe(number: PhoneNumber, *fields: str) -> str:
    """What some fields say, as `status PENDING, name_status APPROVED`, without those that did not come."""
    values = {name: getattr(number, name) for name in fields}
    return ", ".join(f"{name} {value}" for name, value in values.items() if value is not None) or "the API did not say"


def _both(one: bool | None, other: bool | None) -> bool | None:  # noqa: FBT001 - two answers to one question
    """No where either says no, else yes where either says yes."""
    known = {one, other} - {None}
    return all(known) if known else None


def _missing(number: PhoneNumber, what: str, state: bool | None, *fields: str) -> str:  # noqa: FBT001 - the answer
    if state:
        return ""
    return f"{'not known to be' if state is None else 'not'} {what} ({describe(number, *fields)})"


def _final_states(number: PhoneNumber) -> tuple[str, ...]:
    """What does not pass by itself. A name is not final while another one is in review, or waits to be registered."""
    names = () if number.new_name_status in _HOPEFUL_NAMES else (number.name_status or number.unified_cert_status,)
    states = (number.status in _FINAL_STATUSES and number.status, *(name in _FINAL_NAMES and name for name in names))
    return tuple(f"{state} is final" for state in states if state)
