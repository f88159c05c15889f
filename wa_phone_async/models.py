"""What the API sends, as frozen values under the API's own names.

Every enum is open: a value that Meta adds tomorrow stays the plain string that came. Every field but `id` is
optional, since the API leaves out what was not asked for. What no field knows is in `extra`.

Values and fields were read on 2026-11-22 in Meta's v23.0 OpenAPI description of this edge, its guides, its SDKs
and published captures of live answers; where they disagree, the union is here.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

import attrs

T = TypeVar("T")


class Extra(Mapping[str, Any]):
    """The members of an object that no field knows, by name: a read-only mapping, equal to a `dict` of the same items.

    Values read in a row share one where their members are equal, so nothing in it is to be changed either. Unlike
    `types.MappingProxyType` it can be pickled and copied.
    """

    __slots__ = ("members",)

    members: Mapping[str, Any]
    """The members themselves, which are not to be changed. It has a public name since builders fill it."""

    def __init__(self, items: Mapping[str, Any] | None = None) -> None:
        self.members = items or {}

    def __getitem__(self, key: str) -> Any:
        return self.members[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.members)

    def __len__(self) -> int:
        return len(self.members)

    def __repr__(self) -> str:
        return repr(self.members)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.members,)  # by every protocol: the first two would refuse what has slots


NO_EXTRA = Extra()
"""The one empty `Extra` that every value without unknown members shares."""


class PhoneNumberStatus(StrEnum):
    """Whether a number works. `LINKED` is the reference's word, `CONNECTED` the live service's.

    Meta's v23.0 OpenAPI description, the older references of this edge and its node, and published captures, read
    2026-11-22.
    """

    PENDING = "PENDING"
    """Not ready yet: a code or the registration is missing."""
    LINKED = "LINKED"
    """It works. Meta's v23.0 reference has it, and no published capture."""
    UNLINKED = "UNLINKED"
    """It does not work. Meta's v23.0 reference has it, and no published capture."""
    CONNECTED = "CONNECTED"
    """It works: what the live service says of healthy numbers, and v23.0 leaves out for this edge."""
    DISCONNECTED = "DISCONNECTED"
    """It was connected and is not any more."""
    DELETED = "DELETED"
    """It was taken off the account, which is final."""
    MIGRATED = "MIGRATED"
    """It moved to another account, which is final."""
    BANNED = "BANNED"
    """Meta has banned it, which is final."""
    RESTRICTED = "RESTRICTED"
    """It works within limits that Meta has set after a violation."""
    RATE_LIMITED = "RATE_LIMITED"
    """It works, and has reached a limit of messages."""
    FLAGGED = "FLAGGED"
    """It works, and its quality is low."""
    UNVERIFIED = "UNVERIFIED"
    """Its ownership was not proven by a code."""
    UNKNOWN = "UNKNOWN"
    """Meta does not say."""


class QualityRating(StrEnum):
    """How the receivers of messages rate them. `NA` and `UNKNOWN` both mean: not rated yet.

    Meta's v23.0 OpenAPI description, its guide to phone numbers and published captures, read 2026-11-22.
    """

    GREEN = "GREEN"
    """High."""
    YELLOW = "YELLOW"
    """Medium."""
    RED = "RED"
    """Low."""
    UNKNOWN = "UNKNOWN"
    """Not rated yet, in the words of this edge."""
    NA = "NA"
    """Not rated yet, in the words of the number's own node."""


class CodeVerificationStatus(StrEnum):
    """Whether the number's ownership was proven by a code.

    `EXPIRED` says only that the last code lapsed: healthy, connected numbers have it. Meta's v23.0 OpenAPI description
    and published captures, read 2026-11-22.
    """

    VERIFIED = "VERIFIED"
    """It was."""
    NOT_VERIFIED = "NOT_VERIFIED"
    """It was not, in the words of this edge."""
    UNVERIFIED = "UNVERIFIED"
    """It was not, in the words of the number's own node."""
    EXPIRED = "EXPIRED"
    """The last code lapsed, which says nothing of the number."""


class UnifiedCertStatus(StrEnum):
    """The reference's state of the name review. The live service has no such field: see `NameStatus`.

    Meta's v23.0 OpenAPI description, read 2026-11-22.
    """

    APPROVED = "APPROVED"
    """The name is approved."""
    NAME_PENDING_REVIEW = "NAME_PENDING_REVIEW"
    """The name is in review."""
    NAME_NOT_APPROVED = "NAME_NOT_APPROVED"
    """The name was declined."""
    ACCOUNT_REVIEW_NOT_STARTED = "ACCOUNT_REVIEW_NOT_STARTED"
    """The review of the account has not begun."""
    LIMITED_ACCESS = "LIMITED_ACCESS"
    """Limited access, in the reference's words."""


class AccountMode(StrEnum):
    """Whether the number serves customers or tests. Meta's v23.0 OpenAPI description, read 2026-11-22."""

    LIVE = "LIVE"
    """It serves customers."""
    SANDBOX = "SANDBOX"
    """It is for tests."""


class HostPlatform(StrEnum):
    """Where the number is hosted. Numbers of the WhatsApp Business app read `ON_PREMISE`.

    Meta's v23.0 OpenAPI description and a dated measurement of the live service, read 2026-11-22.
    """

    CLOUD_API = "CLOUD_API"
    """It is registered with the Cloud API."""
    ON_PREMISE = "ON_PREMISE"
    """It is on servers of the business, or in the WhatsApp Business app."""
    NOT_APPLICABLE = "NOT_APPLICABLE"
    """It is registered nowhere."""


class MessagingLimitTier(StrEnum):
    """How many customers may be written to first in a day, for the number or for the whole portfolio.

    Meta's v23.0 OpenAPI description, its business SDK for Python and its guide to webhooks, read 2026-11-22.
    """

    TIER_NOT_SET = "TIER_NOT_SET"
    """No limit was set yet; webhooks have it."""
    TIER_50 = "TIER_50"
    """50 customers a day."""
    TIER_250 = "TIER_250"
    """250 customers a day."""
    TIER_1K = "TIER_1K"
    """1,000 customers a day: a number's own limit only, and old webhooks."""
    TIER_2K = "TIER_2K"
    """2,000 customers a day: the portfolio's limit."""
    TIER_10K = "TIER_10K"
    """10,000 customers a day."""
    TIER_100K = "TIER_100K"
    """100,000 customers a day."""
    TIER_UNLIMITED = "TIER_UNLIMITED"
    """No limit."""
    UNTIERED = "UNTIERED"
    """No tier applies."""


class NameStatus(StrEnum):
    """The live service's state of the name review.

    Meta's guides to phone numbers and published captures, read 2026-11-22.
    """

    APPROVED = "APPROVED"
    """The name is approved."""
    AVAILABLE_WITHOUT_REVIEW = "AVAILABLE_WITHOUT_REVIEW"
    """The name may be used without a review."""
    DECLINED = "DECLINED"
    """The name was declined."""
    EXPIRED = "EXPIRED"
    """The name's certificate has lapsed."""
    PENDING_REVIEW = "PENDING_REVIEW"
    """The name is in review."""
    NON_EXISTS = "NON_EXISTS"
    """There is no certificate of a name; an older word for it."""
    NONE = "NONE"
    """There is no certificate of a name."""


class ThroughputLevel(StrEnum):
    """How many messages a second the number may send. Meta's guides and published captures, read 2026-11-22."""

    STANDARD = "STANDARD"
    """80 messages a second."""
    HIGH = "HIGH"
    """More than `STANDARD`, by Meta's upgrade."""
    NOT_APPLICABLE = "NOT_APPLICABLE"
    """No level applies."""


@attrs.frozen
class Throughput:
    """How fast the number may send. Published captures, read 2026-11-22."""

    level: ThroughputLevel | str | None = None
    """The level, as an open enum."""
    extra: Extra = attrs.field(default=NO_EXTRA, hash=False)
    """Members that no field knows."""


@attrs.frozen
class PhoneNumber:
    """A phone number of a WhatsApp Business Account.

    A field is `None` where the API sent `null`, or did not send it at all; without `fields`, the live service
    sends neither `status` nor any name review. Meta's v23.0 OpenAPI description, its guides, its SDKs and published
    captures, read 2026-11-22.
    """

    id: str
    """Meta's id of the number: 15 or 16 decimal digits, and not the number itself."""
    display_phone_number: str | None = None
    """The number as Meta shows it. It need not have the digits that were registered (Brazil's ninth digit)."""
    verified_name: str | None = None
    """The business's name, as customers see it."""
    status: PhoneNumberStatus | str | None = None
    """Whether the number works. Not part of the live default answer: ask for it."""
    quality_rating: QualityRating | str | None = None
    """How receivers rate its messages; `is_rated` says whether they do."""
    country_code: str | None = None
    """The country of the number, two letters."""
    country_dial_code: str | None = None
    """The country's dial code, digits."""
    code_verification_status: CodeVerificationStatus | str | None = None
    """Whether ownership was proven by a code. `EXPIRED` is no failure."""
    unified_cert_status: UnifiedCertStatus | str | None = None
    """The reference's state of the name review; the live service refuses to be asked for it."""
    account_mode: AccountMode | str | None = None
    """Whether it serves customers or tests."""
    host_platform: HostPlatform | str | None = None
    """Where it is hosted. The live service calls it `platform_type` when it is not asked by this name."""
    messaging_limit_tier: MessagingLimitTier | str | None = None
    """The number's own daily limit of new customers; deprecated, and often absent."""
    is_official_business_account: bool | None = None
    """Whether the account carries Meta's badge."""
    username: str | None = None
    """The business's username; often empty."""
    name_status: NameStatus | str | None = None
    """The state of the review of `verified_name`."""
    new_name_status: NameStatus | str | None = None
    """The state of the review of a name that was asked for since."""
    throughput: Throughput | None = None
    """How fast it may send. Something else than an object (a bare number was seen) stays in `extra`."""
    last_onboarded_time: datetime | None = None
    """When it was onboarded last, with its time zone. A text that is no time stays in `extra`."""
    whatsapp_business_manager_messaging_limit: MessagingLimitTier | str | None = None
    """The portfolio's daily limit of new customers, which all its numbers share since October 2025."""
    is_pin_enabled: bool | None = None
    """Whether two-step verification is on."""
    extra: Extra = attrs.field(default=NO_EXTRA, hash=False)
    """Members that no field knows, such as `webhook_configuration`, and fields that Meta adds."""

    @property
    def platform_type(self) -> HostPlatform | str | None:
        """The live service's name of `host_platform`."""
        return self.host_platform

    @property
    def is_rated(self) -> bool:
        """Whether the quality rating is a rating: `None`, `""`, `NA` and `UNKNOWN` are none."""
        return self.quality_rating not in {None, "", QualityRating.NA, QualityRating.UNKNOWN}


ALL_FIELDS: tuple[str, ...] = tuple(field.name for field in attrs.fields(PhoneNumber) if field.name != "extra")
"""Every field that `PhoneNumber` knows, to be passed as `fields=`. Those that the API lacks are left out of it."""


@attrs.frozen
class BusinessAccount:
    """A WhatsApp Business Account (WABA) of a business. Meta's references of its lists, read 2026-11-22."""

    id: str
    """Meta's id of the account: the `waba_id` of all calls on it."""
    name: str | None = None
    """Its name, as the business manages it; customers see each number's `verified_name`."""
    extra: Extra = attrs.field(default=NO_EXTRA, hash=False)
    """All other members, such as `currency`."""


@attrs.frozen
class CreatedPhoneNumber:
    """The answer to a create: the number exists now, unverified, and no code has been sent yet.

    Meta's v23.0 reference and its guide to registering numbers, read 2026-11-22.
    """

    id: str
    """Meta's id of the new number."""
    extra: Extra = attrs.field(default=NO_EXTRA, hash=False)
    """Members that no field knows."""


@attrs.frozen
class SuccessResponse:
    """The answer to a write on a number: it was done. Meta's v23.0 OpenAPI description, read 2026-11-22."""

    success: bool
    """Always `True`: an answer that says otherwise is an error."""
    id: str | None = None
    """Meta's id of the number, where the answer names it."""
    extra: Extra = attrs.field(default=NO_EXTRA, hash=False)
    """Members that no field knows."""


@attrs.frozen
class Cursors:
    """Where a page begins and ends. They may become invalid when the item that they point at is removed.

    Meta's Graph guide to paging, read 2026-11-22.
    """

    before: str | None = None
    """Asks for the page before this one."""
    after: str | None = None
    """Asks for the page after this one. The last page has it too."""


@attrs.frozen(kw_only=True)
class Page(Generic[T]):
    """One answer of a list: rows in the order in which they came. Meta's Graph guide to paging, read 2026-11-22."""

    data: tuple[T, ...] = ()
    """The rows."""
    cursors: Cursors = Cursors()
    """Where the page begins and ends."""
    has_next: bool = False
    """Whether the list goes on after this page, in its own order: also where the walk goes back."""
    has_previous: bool = False
    """Whether the list has something before this page."""
    extra: Extra = attrs.field(default=NO_EXTRA, hash=False)
    """Other top-level members of the answer, such as `summary`, without any link."""

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[T]:
        return iter(self.data)
