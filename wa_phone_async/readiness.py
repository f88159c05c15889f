"""How far a number has come: what the API's states mean, what is missing, and which onboarding step is next.

A number is ready when it is verified, registered, and its name is approved. These are three things, and some states
never pass by themselves.

Each rule is a table from what the API says to yes or no. A value that is in no table, or that the API did not send, is
unknown, which is not a no. The reference and the live service use different words for the same: `LINKED` and
`CONNECTED`, `unified_cert_status` and `name_status`. The meanings are from Meta's guides and published captures, read
2026-11-22 and 2026-11-28.

Test numbers and numbers shared with the WhatsApp Business app are connected on the Cloud API without any code. Their
`code_verification_status` stays `NOT_VERIFIED`. So a registration says more than the code (published captures).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum
from typing import Final

import attrs

from .models import CodeVerificationStatus, HostPlatform, NameStatus, PhoneNumber, PhoneNumberStatus, UnifiedCertStatus

_Table = Mapping[str | None, bool]

_VERIFIED: Final[_Table] = {
    CodeVerificationStatus.VERIFIED: True,
    CodeVerificationStatus.NOT_VERIFIED: False,
    CodeVerificationStatus.UNVERIFIED: False,
}
"""Without `EXPIRED`: it says only that the last code lapsed. Then the registration decides."""

_WORKING: Final[_Table] = {
    PhoneNumberStatus.CONNECTED: True,
    PhoneNumberStatus.LINKED: True,
    PhoneNumberStatus.FLAGGED: True,  # an older value
    PhoneNumberStatus.RESTRICTED: True,  # it can reply, and cannot start conversations
    PhoneNumberStatus.RATE_LIMITED: True,  # a guess: Meta does not document it
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
    HostPlatform.ON_PREMISE: False,  # it is in the WhatsApp Business app only
    HostPlatform.NOT_APPLICABLE: False,
}

_APPROVED: Final[_Table] = {
    NameStatus.APPROVED: True,
    NameStatus.AVAILABLE_WITHOUT_REVIEW: True,  # it is in use; a review may come later
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

# What waiting does not change.
_FINAL_STATUSES: Final = frozenset({PhoneNumberStatus.BANNED, PhoneNumberStatus.DELETED, PhoneNumberStatus.MIGRATED})
_FINAL_NAMES: Final = frozenset({NameStatus.DECLINED, NameStatus.EXPIRED, UnifiedCertStatus.NAME_NOT_APPROVED})
PASSABLE_NAMES: Final = frozenset(
    {NameStatus.PENDING_REVIEW, *(name for name, is_approved in _APPROVED.items() if is_approved)}
)
"""States of a new name with which a declined name is not the end: the new one may still take its place."""

_PENDING_STATUSES: Final = frozenset({PhoneNumberStatus.PENDING, PhoneNumberStatus.UNVERIFIED})
_PENDING_CODES: Final = frozenset({CodeVerificationStatus.NOT_VERIFIED, CodeVerificationStatus.UNVERIFIED})

STATE_FIELDS: Final = (
    "status",
    "code_verification_status",
    "host_platform",
    "name_status",
    "new_name_status",
    "unified_cert_status",
)
"""The fields that say how far a number has come. The API sends most of them only if you request them."""


@attrs.frozen(kw_only=True)
class Readiness:
    """How far a number has come on its way to being used. `None` means that the API did not say."""

    verified: bool | None
    """Whether it needs no code: a code has proven its ownership, or it is registered with the Cloud API already."""
    registered: bool | None
    """Whether it is registered with the Cloud API and works there, perhaps within limits.

    A number that is `RESTRICTED` or `RATE_LIMITED` counts as registered. It cannot start conversations for now.
    """
    name_approved: bool | None
    """Whether the name that customers see is approved, or may be used before its review."""
    is_final: bool
    """Whether waiting alone never makes it ready. It is banned, deleted or migrated; or its name is declined or
    expired, and nobody has requested another name."""
    reasons: tuple[str, ...]
    """Why it is not ready: a phrase for each thing that is final, missing or unknown. Empty if it is ready."""

    @property
    def is_ready(self) -> bool:
        """Whether it is verified, registered, and its name approved. An unknown counts as no."""
        return bool(self.verified and self.registered and self.name_approved)


def read_readiness(number: PhoneNumber) -> Readiness:
    """Read how far a number has come. Request `ALL_FIELDS` first: a missing field makes a state unknown."""
    registered = _is_registered(number)
    verified = _VERIFIED.get(number.code_verification_status)
    if registered and _HOSTED.get(number.host_platform):
        verified = True  # whatever the code says: no code is missing for what is registered
    elif verified is None:
        # A connected number was verified before. Without a registration, the status may say that it is unverified.
        verified = True if registered else _VERIFIED.get(number.status)
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
    """Whether a number can be used: it is verified, registered, and its name approved. An unknown counts as no."""
    return read_readiness(number).is_ready


def is_pending(number: PhoneNumber) -> bool:
    """Whether a number may change soon: it is not in use and not verified, or a name is in review.

    An unknown counts as no. A number in use needs no code, so `NOT_VERIFIED` promises no change there.
    """
    is_in_use = _is_registered(number) or (number.is_on_biz_app and _WORKING.get(number.status))
    is_unverified = number.status in _PENDING_STATUSES or number.code_verification_status in _PENDING_CODES
    return (
        (is_unverified and not is_in_use)
        or NameStatus.PENDING_REVIEW in {number.name_status, number.new_name_status}
        or number.unified_cert_status == UnifiedCertStatus.NAME_PENDING_REVIEW
    )


class OnboardingStep(Enum):
    """What a number needs next on its way from the account's list to its approved name."""

    VERIFY = "a code that proves that it is yours"
    REGISTER = "a PIN with which it is registered"
    REVIEW = "time: Meta reviews its name"
    DONE = "nothing"
    STOP = "your decision, since waiting does not help"


def next_step(number: PhoneNumber, confirmed: Collection[OnboardingStep] = ()) -> OnboardingStep:
    """Say which onboarding step is next, from the state of the number alone. So any run can go on where another ended.

    If the API does not say whether the number is verified, the step is `VERIFY`. An example is an `EXPIRED` code
    before the registration. A new code is enough in any case, and registering alone would not be.

    Args:
        number: The number as you read it last, with `ALL_FIELDS`.
        confirmed: Steps that the API has confirmed since, although a later read may not show them yet. They never
            come next again.
    """
    readiness = read_readiness(number)
    if readiness.is_final:
        return OnboardingStep.STOP
    if not readiness.verified and OnboardingStep.VERIFY not in confirmed:
        return OnboardingStep.VERIFY
    if not readiness.registered and OnboardingStep.REGISTER not in confirmed:
        return OnboardingStep.REGISTER
    return OnboardingStep.DONE if readiness.is_ready else OnboardingStep.REVIEW


def describe(number: PhoneNumber, *fields: str) -> str:
    """Write what these fields say, as `status PENDING, name_status APPROVED`. It leaves out fields that are `None`."""
    values = {name: getattr(number, name) for name in fields}
    return ", ".join(f"{name} {value}" for name, value in values.items() if value is not None) or "the API did not say"


def _is_registered(number: PhoneNumber) -> bool | None:
    """Whether a number is registered with the Cloud API and works there. What is unknown does not count."""
    return _both(_WORKING.get(number.status), _HOSTED.get(number.host_platform))


def _both(one: bool | None, other: bool | None) -> bool | None:  # noqa: FBT001 - both say the same kind of thing
    """`False` if either is `False`, else `True` if either is `True`, else `None`."""
    known = {one, other} - {None}
    return all(known) if known else None


def _missing(number: PhoneNumber, what: str, state: bool | None, *fields: str) -> str:  # noqa: FBT001 - what it is about
    if state:
        return ""
    return f"{'not known to be' if state is None else 'not'} {what} ({describe(number, *fields)})"


def _final_states(number: PhoneNumber) -> tuple[str, ...]:
    # A declined name is not final while another one is in review, or is approved and waits for a registration.
    names = () if number.new_name_status in PASSABLE_NAMES else (number.name_status or number.unified_cert_status,)
    states = (number.status in _FINAL_STATUSES and number.status, *(name in _FINAL_NAMES and name for name in names))
    return tuple(f"{state} is final" for state in states if state)
