"""What the API sends, as frozen values. Fields and enums have the API's own names.

Every enum is open: a value that Meta adds tomorrow stays the plain string that came. Every field but `id` may be
`None`, since the API sends only the fields that you request. Members that no field knows are in `extra`.

Fields and values are from Meta's v23.0 OpenAPI description of this edge, its guides, its SDKs and published captures of
live responses, read 2026-11-22. Where these disagree, this module has the fields and values of all of them. Meanings
were compared again with Meta's pages of 2025 and 2026 on 2026-11-28, in stored copies.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, SupportsIndex, TypeVar, overload

import attrs

from .redaction import hide_queries

T = TypeVar("T")


class Extra(Mapping[str, Any]):
    """A JSON object by name: the members that no field knows, or a nested object. It equals a `dict` like it.

    It is a read-only mapping. Do not change a value in it either: values that are read in a row share one `Extra` if
    their members are equal. You can pickle and copy it, unlike a `types.MappingProxyType`.

    Its `repr` hides the queries of URLs, since those of webhooks may hold secrets. The members have them.
    """

    __slots__ = ("members",)

    members: Mapping[str, Any]
    """The members themselves. Do not change them."""

    def __init__(self, items: Mapping[str, Any] | None = None) -> None:
        self.members = items or {}

    def __getitem__(self, key: str) -> Any:
        return self.members[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.members)

    def __len__(self) -> int:
        return len(self.members)

    def __repr__(self) -> str:
        return repr(hide_queries(dict(getattr(self, "members", {}))))  # missing if a traceback shows it too early

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.members,)  # for pickle protocols 0 and 1, which cannot pickle slots by themselves


NO_EXTRA = Extra()
"""The empty `Extra`. All values without unknown members share it."""


class PhoneNumberStatus(StrEnum):
    """Whether a number works. The reference says `LINKED` where the live service says `CONNECTED`.

    A number must be connected to send and receive messages, says Meta's guide to business phone numbers (September
    2026, read 2026-11-28). The values are from Meta's v23.0 OpenAPI description, the older references of this edge and
    its node, and published captures, read 2026-11-22.
    """

    PENDING = "PENDING"
    """The number is not ready yet. Its code or its registration is missing, or Meta has not processed its name.

    Numbers were seen in this state for more than a week (public bug reports, read 2026-11-28).
    """
    LINKED = "LINKED"
    """The number works. This value is in Meta's v23.0 reference, and in no published capture."""
    UNLINKED = "UNLINKED"
    """The number does not work. This value is in Meta's v23.0 reference, and in no published capture."""
    CONNECTED = "CONNECTED"
    """The number works. The live service sends this value, and the v23.0 reference of this edge lacks it."""
    DISCONNECTED = "DISCONNECTED"
    """The number was connected, and no longer is."""
    DELETED = "DELETED"
    """The number was removed from its account. This is final."""
    MIGRATED = "MIGRATED"
    """The number moved to another account. This is final."""
    BANNED = "BANNED"
    """Meta has banned the number. Waiting does not help. An appeal may: Meta's webhook reference of September 2026
    has an event that reinstates accounts (read 2026-11-28)."""
    RESTRICTED = "RESTRICTED"
    """The number has reached its messaging limit. It may reply to customers, and may not start conversations.

    Help pages of five providers, which paraphrase Meta's own, read 2026-11-28.
    """
    RATE_LIMITED = "RATE_LIMITED"
    """Its meaning is not documented. This client takes it for a number that works within limits, which is a guess."""
    FLAGGED = "FLAGGED"
    """The number works, and its quality is low. This is an older value.

    Meta ended this state on 2025-10-07 (its page on changes of messaging limits, October 2025, read 2026-11-28).
    """
    UNVERIFIED = "UNVERIFIED"
    """No code has proven the ownership of the number."""
    UNKNOWN = "UNKNOWN"
    """Meta does not say."""


class QualityRating(StrEnum):
    """How the people who get a number's messages rate them. `NA` and `UNKNOWN` both mean: not rated yet.

    Meta's v23.0 OpenAPI description, its guide to phone numbers and published captures, read 2026-11-22.
    """

    GREEN = "GREEN"
    """High quality."""
    YELLOW = "YELLOW"
    """Medium quality."""
    RED = "RED"
    """Low quality."""
    UNKNOWN = "UNKNOWN"
    """Not rated yet, as this edge says it."""
    NA = "NA"
    """Not rated yet, as the number's own node says it."""


class CodeVerificationStatus(StrEnum):
    """Whether a code has proven the ownership of a number.

    `EXPIRED` says only that the last code lapsed. Healthy, connected numbers have it. Test numbers and numbers shared
    with the WhatsApp Business app never need a code: they are connected, and stay `NOT_VERIFIED`. Meta's v23.0 OpenAPI
    description and published captures, read 2026-11-22 and 2026-11-28.
    """

    VERIFIED = "VERIFIED"
    """A code has proven the ownership."""
    NOT_VERIFIED = "NOT_VERIFIED"
    """No code has proven it yet, as this edge says it."""
    UNVERIFIED = "UNVERIFIED"
    """No code has proven it yet, as the number's own node says it."""
    EXPIRED = "EXPIRED"
    """The last code lapsed. This says nothing about the number."""


class UnifiedCertStatus(StrEnum):
    """The state of the name's review, in the reference. The live service has no such field: see `NameStatus`.

    Meta's v23.0 OpenAPI description, read 2026-11-22.
    """

    APPROVED = "APPROVED"
    """The name is approved."""
    NAME_PENDING_REVIEW = "NAME_PENDING_REVIEW"
    """The name is in review."""
    NAME_NOT_APPROVED = "NAME_NOT_APPROVED"
    """Meta has declined the name."""
    ACCOUNT_REVIEW_NOT_STARTED = "ACCOUNT_REVIEW_NOT_STARTED"
    """The review of the account has not started."""
    LIMITED_ACCESS = "LIMITED_ACCESS"
    """Limited access, in the reference's words. No other source explains it (searched 2026-11-28)."""


class AccountMode(StrEnum):
    """Whether a number serves customers or tests. Meta's v23.0 OpenAPI description, read 2026-11-22."""

    LIVE = "LIVE"
    """The number serves customers."""
    SANDBOX = "SANDBOX"
    """The number is for tests."""


class HostPlatform(StrEnum):
    """Where a number is hosted. Only `CLOUD_API` means: registered with the Cloud API.

    Meta's v23.0 OpenAPI description and a dated measurement of the live service, read 2026-11-22.
    """

    CLOUD_API = "CLOUD_API"
    """The number is registered with the Cloud API. It may be in the Business app as well: see `is_on_biz_app`."""
    ON_PREMISE = "ON_PREMISE"
    """The number is in the WhatsApp Business app only. It was also the word for servers of the business.

    That On-Premises API ended on 2025-10-23 (public bug reports, read 2026-11-28).
    """
    NOT_APPLICABLE = "NOT_APPLICABLE"
    """The number is registered nowhere."""


class MessagingLimitTier(StrEnum):
    """How many people a business may write to first, outside of the service windows that they open by writing to it.

    The limit counts unique people in any 24 hours, and holds for the whole portfolio since 2025-10-07. It goes from 250
    to 2,000, 10,000, 100,000 and no limit, within 6 hours. A low quality does not lower it. Meta's page on messaging
    limits of September 2026, read 2026-11-28. The values are from Meta's v23.0 OpenAPI description, its business SDK
    for Python and its guide to webhooks, read 2026-11-22.
    """

    TIER_NOT_SET = "TIER_NOT_SET"
    """The number was not used to send a message yet. Webhooks send this value."""
    TIER_50 = "TIER_50"
    """50 people in 24 hours."""
    TIER_250 = "TIER_250"
    """250 people in 24 hours. A new portfolio begins here."""
    TIER_1K = "TIER_1K"
    """1,000 people in 24 hours. Only the limit of one number had this value, before 2025-10-07, and old webhooks."""
    TIER_2K = "TIER_2K"
    """2,000 people in 24 hours. Only the limit of a portfolio has this value."""
    TIER_10K = "TIER_10K"
    """10,000 people in 24 hours."""
    TIER_100K = "TIER_100K"
    """100,000 people in 24 hours."""
    TIER_UNLIMITED = "TIER_UNLIMITED"
    """No limit."""
    UNTIERED = "UNTIERED"
    """No tier applies."""


class NameStatus(StrEnum):
    """The state of the name's review, in the live service.

    Meta's guides to phone numbers and published captures, read 2026-11-22; its guide to business phone numbers of
    September 2026, read 2026-11-28.
    """

    APPROVED = "APPROVED"
    """The name is approved."""
    AVAILABLE_WITHOUT_REVIEW = "AVAILABLE_WITHOUT_REVIEW"
    """The name may be used, and is not reviewed yet. The review begins at a higher limit, and may decline the name.

    Meta's guide to display names, in a copy of March 2026, read 2026-11-28.
    """
    DECLINED = "DECLINED"
    """Meta has declined the name."""
    EXPIRED = "EXPIRED"
    """The certificate of the name has lapsed. The number cannot be registered with it."""
    PENDING_REVIEW = "PENDING_REVIEW"
    """The name is in review."""
    NON_EXISTS = "NON_EXISTS"
    """There is no certificate of a name. This is an older word for `NONE`."""
    NONE = "NONE"
    """There is no certificate of a name. The number cannot be registered without one."""


class ThroughputLevel(StrEnum):
    """How many messages a number may send in a second.

    Published captures, read 2026-11-22; Meta's page on throughput of September 2026, read 2026-11-28.
    """

    STANDARD = "STANDARD"
    """Up to 80 messages a second; 20 if the number is in the WhatsApp Business app as well."""
    HIGH = "HIGH"
    """Up to 1,000 messages a second. Meta upgrades a number to it, which takes up to a minute."""
    NOT_APPLICABLE = "NOT_APPLICABLE"
    """No level applies."""


@attrs.frozen
class Throughput:
    """How fast a number may send messages. Published captures, read 2026-11-22."""

    level: ThroughputLevel | str | None = None
    """The level, an open enum. `None`: the API did not send it."""
    extra: Extra = attrs.field(default=NO_EXTRA, hash=False)
    """Members that no field knows."""


@attrs.frozen
class PhoneNumber:
    """A phone number of a WhatsApp Business Account.

    A field is `None` if the API sent `null` or did not send the field. It is `None` as well if what came does not fit.
    Then `extra` has it, under the name of the field. Without `fields=`, the client requests `DEFAULT_FIELDS`. Meta's
    v23.0 OpenAPI description, its guides, its SDKs and published captures, read 2026-11-22.
    """

    id: str
    """Meta's id of the number: 15 or 16 decimal digits. It is not the phone number itself."""
    display_phone_number: str | None = None
    """The phone number as Meta shows it. It may lack digits that were registered, such as Brazil's ninth digit."""
    verified_name: str | None = None
    """The name of the business, as customers see it."""
    status: PhoneNumberStatus | str | None = None
    """Whether the number works. The live service sends it only if you request it."""
    quality_rating: QualityRating | str | None = None
    """How the people who get its messages rate them. See `is_rated`."""
    country_code: str | None = None
    """The country of the number, as two letters."""
    country_dial_code: str | None = None
    """The dial code of the country, as digits."""
    code_verification_status: CodeVerificationStatus | str | None = None
    """Whether a code has proven the ownership. `EXPIRED` is no failure. Some numbers in use stay `NOT_VERIFIED`."""
    unified_cert_status: UnifiedCertStatus | str | None = None
    """The state of the name's review, in the reference. The live service rejects a request for this field."""
    account_mode: AccountMode | str | None = None
    """Whether the number serves customers or tests."""
    host_platform: HostPlatform | str | None = None
    """Where the number is hosted. The live service calls it `platform_type`, unless you request it by this name."""
    messaging_limit_tier: MessagingLimitTier | str | None = None
    """The limit of people to write to first. Deprecated, and often absent.

    It was the number's own. Since v24.0 it is the portfolio's (Meta's page on messaging limits of September 2026, read
    2026-11-28).
    """
    is_official_business_account: bool | None = None
    """Whether the account has Meta's badge."""
    username: str | None = None
    """The username of the business, often an empty string."""
    name_status: NameStatus | str | None = None
    """The state of the review of `verified_name`, in the live service."""
    new_name_status: NameStatus | str | None = None
    """The state of the review of a newer name, which was requested since."""
    throughput: Throughput | None = None
    """How fast the number may send. A value that is no object stays in `extra`; a bare number was seen."""
    last_onboarded_time: datetime | None = None
    """When the number was onboarded last, with a time zone. A Unix time is read as one."""
    whatsapp_business_manager_messaging_limit: MessagingLimitTier | str | None = None
    """The portfolio's limit of people to write to first. All its numbers share it since October 2025."""
    is_pin_enabled: bool | None = None
    """Whether two-step verification is on: the number has a PIN.

    It does not prove that your PIN is the one. Registering a number that is registered already succeeds, and does not
    change its PIN (Meta's pages on the evolution of the account model, June 2026, read 2026-11-28).
    """
    is_on_biz_app: bool | None = None
    """Whether the number is in the WhatsApp Business app. With `CLOUD_API` as its platform, both share the number.

    Meta's guide to onboarding users of the Business app, 2026, read 2026-11-28.
    """
    health_status: Extra | None = attrs.field(default=None, hash=False)
    """Whether the number can send messages, and why not: `can_send_message` is `AVAILABLE`, `LIMITED` or `BLOCKED`.

    `entities` has the same of the number, its account, its business and the app, each with `errors`. An error has
    `error_code`, `error_description` and `possible_solution`. Meta's page on the health status, read 2026-11-28.
    """
    new_display_name: str | None = None
    """A newer name that was requested. `new_name_status` has the state of its review.

    Meta's guide to display names, in a copy of March 2026, and its business SDK for Python 26.0.3, read 2026-11-28.
    """
    official_business_account: Extra | None = attrs.field(default=None, hash=False)
    """The state of a request for Meta's badge, as `oba_status`.

    Meta's business SDK for Python 26.0.3 and its changelog of June 2025, read 2026-11-28.
    """
    is_preverified_number: bool | None = None
    """Whether the number is one of a partner's pre-verified numbers.

    Meta's business SDK for Python 26.0.3, read 2026-11-28.
    """
    webhook_configuration: Extra | None = attrs.field(default=None, hash=False)
    """The URLs of webhooks: of the number, else of its account, else of the app.

    The members are `phone_number`, `whatsapp_business_account` and `application`. The first one that is set counts.

    Texts for people hide the queries of these URLs, since they may hold secrets. The data has them. Meta's page on
    overrides of webhooks of June 2026, and published captures, read 2026-11-28.
    """
    extra: Extra = attrs.field(default=NO_EXTRA, hash=False)
    """Members that no field knows, such as `search_visibility`. Fields that Meta adds tomorrow are here, too."""

    @property
    def platform_type(self) -> HostPlatform | str | None:
        """The same as `host_platform`, by the name that the live service uses."""
        return self.host_platform

    @property
    def is_rated(self) -> bool:
        """Whether the number has a quality rating: `None`, `""`, `NA` and `UNKNOWN` mean that it has none."""
        return self.quality_rating not in {None, "", QualityRating.NA, QualityRating.UNKNOWN}


ALL_FIELDS: tuple[str, ...] = tuple(field.name for field in attrs.fields(PhoneNumber) if field.name != "extra")
"""All fields of `PhoneNumber`: pass it as `fields=`. The client leaves out a field that the API does not have.

The first list takes one more call for each field that the live service does not have. Then the client knows them.

Width costs, most of it for `health_status`. A response of 100 numbers has 125 kB of JSON, 76 kB without
`health_status`, and 37 kB with the 14 fields of the reference. Decoding takes 0.5, 0.2 and 0.1 ms with the extra
`speed`, and 1.1, 0.6 and 0.3 ms without. A number takes 2.9, 0.7 and 0.7 kB of memory (`benchmarks/decoding.py`,
2026-11-28, CPython 3.11). What the width costs Meta's servers is not known. If a page is too much for them, the client
requests smaller pages.
"""


DEFAULT_FIELDS: tuple[str, ...] = (
    "id",
    "display_phone_number",
    "verified_name",
    "status",
    "quality_rating",
    "name_status",
    "code_verification_status",
    "host_platform",
    "throughput",
    "whatsapp_business_manager_messaging_limit",
    "account_mode",
    "is_official_business_account",
    "last_onboarded_time",
)
"""The fields of a number that the client requests if you pass no `fields=`.

The live service sends five of them only on request, such as `status` and `name_status`. The client leaves out a field
that the server does not have, and remembers that. `whatsapp_business_manager_messaging_limit` came with v24.0 (Meta's
business SDK for Python and its guides, read 2026-11-22), so v23.0 may lack it. Then the first list takes one more call.
Request more with `fields=(*DEFAULT_FIELDS, "health_status")`.

The set costs no call. A response of 100 numbers has 44 kB of JSON, and 35 kB with `META_DEFAULT`. Decoding takes 0.12
and 0.13 ms with the extra `speed`, and 0.32 and 0.28 ms without (`benchmarks/decoding.py --widths`, 2026-11-28, CPython
3.11).
"""


@attrs.frozen
class BusinessAccount:
    """A WhatsApp Business Account (WABA) of a business. Meta's references of its lists, read 2026-11-22."""

    id: str
    """Meta's id of the account, digits: the `waba_id` of all calls for it."""
    name: str | None = None
    """The name that the business uses for it. Customers see the `verified_name` of each number instead."""
    extra: Extra = attrs.field(default=NO_EXTRA, hash=False)
    """All other members, such as `currency`."""


@attrs.frozen
class CreatedPhoneNumber:
    """The response to a create. The number exists now. It is unverified, and no code was sent yet.

    Meta's v23.0 reference and its guide to registering numbers, read 2026-11-22.
    """

    id: str
    """Meta's id of the new number."""
    extra: Extra = attrs.field(default=NO_EXTRA, hash=False)
    """Members that no field knows."""


@attrs.frozen
class SuccessResponse:
    """The response to a write on a number: the API has done it. Meta's v23.0 OpenAPI description, read 2026-11-22."""

    success: bool
    """Always `True`: the client raises an error for any other response."""
    id: str | None = None
    """Meta's id of the number. `None`: the response does not name it."""
    extra: Extra = attrs.field(default=NO_EXTRA, hash=False)
    """Members that no field knows."""


class UsernameStatus(StrEnum):
    """The state of a username. A changelog of Meta's entries of June 2026 and partners' pages, read 2026-11-28."""

    APPROVED = "approved"
    """People see it."""
    RESERVED = "reserved"
    """It is kept for the number. People see it once usernames are there in their region."""
    DELETED = "deleted"
    """It was released, or Meta has revoked it."""


@attrs.frozen
class BusinessUsername:
    """The username of a number. Partners' pages about Meta's edge `username`, read 2026-11-28."""

    username: str | None = None
    """The username, without `@`. `None` or empty: the number has none. The response to a claim leaves it out."""
    status: UsernameStatus | str | None = None
    """Whether people see it, an open enum. `None`: the API did not send it."""
    extra: Extra = attrs.field(default=NO_EXTRA, hash=False)
    """Members that no field knows."""


class BusinessVertical(StrEnum):
    """The category of a business in its profile, with the words that WhatsApp shows for it.

    The first 18 values are from Meta's page "Business profiles" of the Cloud API (copies of 2023 to June 2026). The
    next five are from an API error that lists what Meta accepts, as a public program has it. All were read 2026-11-28.
    """

    OTHER = "OTHER"
    """Any other business."""
    AUTO = "AUTO"
    """Automotive."""
    BEAUTY = "BEAUTY"
    """Beauty, spa and salon."""
    APPAREL = "APPAREL"
    """Clothing and apparel."""
    EDU = "EDU"
    """Education."""
    ENTERTAIN = "ENTERTAIN"
    """Entertainment."""
    EVENT_PLAN = "EVENT_PLAN"
    """Event planning and service."""
    FINANCE = "FINANCE"
    """Finance and banking."""
    GROCERY = "GROCERY"
    """Food and grocery."""
    GOVT = "GOVT"
    """Public service."""
    HOTEL = "HOTEL"
    """Hotel and lodging."""
    HEALTH = "HEALTH"
    """Medical and health."""
    NONPROFIT = "NONPROFIT"
    """Non-profit."""
    PROF_SERVICES = "PROF_SERVICES"
    """Professional services."""
    RETAIL = "RETAIL"
    """Shopping and retail."""
    TRAVEL = "TRAVEL"
    """Travel and transportation."""
    RESTAURANT = "RESTAURANT"
    """Restaurant."""
    NOT_A_BIZ = "NOT_A_BIZ"
    """Not a business. The list of the API error lacks it."""
    ALCOHOL = "ALCOHOL"
    """Alcoholic beverages."""
    ONLINE_GAMBLING = "ONLINE_GAMBLING"
    """Online gambling and gaming."""
    PHYSICAL_GAMBLING = "PHYSICAL_GAMBLING"
    """Gambling and gaming on the spot."""
    OTC_DRUGS = "OTC_DRUGS"
    """Over-the-counter drugs."""
    MATRIMONY_SERVICE = "MATRIMONY_SERVICE"
    """Matrimony service."""
    UNDEFINED = "UNDEFINED"
    """None was chosen. Meta's page of 2023 lists it. Three public programs say that the API rejects it in an update."""


@attrs.frozen
class BusinessProfile:
    """What customers see of a business when they open a number: each number has a profile of its own.

    Meta's pages "Business profiles" (November 2025, June 2026), read 2026-11-28. A member is `None` if it is not set,
    or was not requested.
    """

    about: str | None = None
    """The text beneath the picture and the buttons, 1 to 139 characters."""
    address: str | None = None
    """The address, up to 256 characters."""
    description: str | None = None
    """What the business does, up to 512 characters."""
    email: str | None = None
    """The address for mail, up to 128 characters."""
    profile_picture_url: str | None = None
    """Where Meta keeps the picture. You set one by its handle: `profile_picture_handle`."""
    websites: tuple[str, ...] | None = None
    """Up to two URLs. Meta may write them another way, such as with a slash at the end."""
    vertical: BusinessVertical | str | None = None
    """The category of the business."""
    messaging_product: str | None = None
    """Always `whatsapp`."""
    extra: Extra = attrs.field(default=NO_EXTRA, hash=False)
    """Members that no field knows."""


@attrs.frozen
class Cursors:
    """Where a page begins and ends. A cursor may become invalid when its row is removed.

    Meta's Graph guide to paging, read 2026-11-22.
    """

    before: str | None = None
    """Pass it as `before=` to get the page before this one. `None`: the API sent none."""
    after: str | None = None
    """Pass it as `after=` to get the page after this one. The last page has one, too. `None`: the API sent none."""


@attrs.frozen(kw_only=True)
class Page(Generic[T]):
    """One response of a list, with its rows in the order in which they came.

    Meta's Graph guide to paging, read 2026-11-22.
    """

    data: tuple[T, ...] = ()
    """The rows."""
    cursors: Cursors = Cursors()
    """Where the page begins and ends."""
    has_next: bool = False
    """Whether the list has a page after this one. It means the order of the list, also if you read it backwards."""
    has_previous: bool = False
    """Whether the list has a page before this one."""
    extra: Extra = attrs.field(default=NO_EXTRA, hash=False)
    """Other top-level members of the response, such as `summary`, without links."""

    @property
    def items(self) -> tuple[T, ...]:
        """The rows: the same as `data`, which is the API's name for them."""
        return self.data

    @property
    def next_cursor(self) -> str | None:
        """Pass it as `after=` to get the next page. `None`: this is the last one."""
        return self.cursors.after if self.has_next else None

    @property
    def previous_cursor(self) -> str | None:
        """Pass it as `before=` to get the page before this one. `None`: this is the first one."""
        return self.cursors.before if self.has_previous else None

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[T]:
        return iter(self.data)

    @overload
    def __getitem__(self, index: SupportsIndex, /) -> T: ...

    @overload
    def __getitem__(self, index: slice, /) -> tuple[T, ...]: ...

    def __getitem__(self, index: Any, /) -> Any:
        rows: Any = self.data
        return rows[index]
