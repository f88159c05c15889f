"""Invented accounts, the same on every machine.

A row is computed from the ordinal of its account and its own index. So a large account costs little until it is read.

The first 250 rows of an account show every value of every enum, as Meta's OpenAPI description and SDKs name them (read
2026-11-22). They also show what breaks strict parsers: `null`, `""`, absent members, empty objects, and a bare number
for `throughput`. Some are test numbers, and some are in the WhatsApp Business app as well. These are in use without any
code, as in published captures (read 2026-11-28).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias, TypeVar

import attrs

Row: TypeAlias = dict[str, Any]
"""A phone number with all its members, under the names that the live service uses."""

T = TypeVar("T")

EMPTY_WABA = "100200300400000"
"""The id of the account without numbers."""

SMALL_WABA = "100200300400003"
"""The id of the account with 3 numbers."""

LARGE_WABA = "100200300400250"
"""The id of the account with 250 numbers: three pages of at most 100."""

SEEDED: Mapping[str, int] = {EMPTY_WABA: 0, SMALL_WABA: 3, LARGE_WABA: 250}
"""The accounts that every sandbox has, and how many numbers each of them has."""

BUSINESS_ID = "200300400500600"
"""The id of the business that owns the accounts. It is no WABA, and is rejected where a WABA is expected."""

BUSINESS = {"id": BUSINESS_ID, "name": "Invented Shops Ltd"}
"""The node of the business."""

USER_ID = "600700800900100"
"""The id of a system user. It is no WABA and no number."""

APP_ID = "500600700800900"
"""The id of an app. It is no WABA and no number."""

OTHER_NODES: Mapping[str, tuple[str, Row]] = {
    USER_ID: ("User", {"id": USER_ID, "name": "Invented System User"}),
    APP_ID: ("Application", {"id": APP_ID, "name": "Invented App"}),
}
"""The nodes without numbers and accounts, by their ids: the name of their type, and their members."""

NUMBERS_PER_ACCOUNT = 1_000_000
"""How many numbers an account may have before its ids run into those of the next account."""

_FIRST_NUMBER_ID = 300_000_000_000_000

_LONGEST_ID = 20

_CYCLE = 250

_STATUSES = (
    "PENDING",
    "DISCONNECTED",
    "FLAGGED",
    "LINKED",
    "UNLINKED",
    "BANNED",
    "RESTRICTED",
    "RATE_LIMITED",
    "MIGRATED",
    "DELETED",
    "UNVERIFIED",
    "UNKNOWN",
)
_REGISTERED = frozenset({"CONNECTED", "FLAGGED", "LINKED", "RESTRICTED", "RATE_LIMITED"})
_RATINGS = ("GREEN", "GREEN", "YELLOW", "GREEN", "RED", "NA", "UNKNOWN")
_VERIFICATIONS = {"PENDING": "NOT_VERIFIED", "UNVERIFIED": "UNVERIFIED"}
_CERT_STATUSES = (
    "APPROVED",
    "NAME_PENDING_REVIEW",
    "NAME_NOT_APPROVED",
    "ACCOUNT_REVIEW_NOT_STARTED",
    "LIMITED_ACCESS",
)
_NAME_STATUSES = (
    "APPROVED",
    "AVAILABLE_WITHOUT_REVIEW",
    "PENDING_REVIEW",
    "DECLINED",
    "EXPIRED",
    "NONE",
    "NON_EXISTS",
)
_TIERS = ("TIER_250", "TIER_1K", "TIER_10K", "TIER_100K", "TIER_UNLIMITED", "TIER_50", None)
_PORTFOLIO_TIERS = (
    "TIER_250",
    "TIER_2K",
    "TIER_10K",
    "TIER_100K",
    "TIER_UNLIMITED",
    "TIER_50",
    "UNTIERED",
)
_PLATFORMS = ("CLOUD_API", "CLOUD_API", "ON_PREMISE")
_OBA_STATUSES = ("NOT_STARTED", "PENDING", "APPROVED", "REJECTED")
_HEALTH = ("AVAILABLE", "LIMITED", "BLOCKED")
_HEALTH_ERRORS: Mapping[str, Row] = {
    "LIMITED": {
        "error_code": 141010,
        "error_description": "The Business has not passed business verification.",
        "possible_solution": "Visit business settings and start or resolve the business verification request.",
    },
    "BLOCKED": {
        "error_code": 141006,
        "error_description": "There is an error with the payment method.",
        "possible_solution": "There was an error with your payment method. Please add a new payment method.",
    },
}
"""Why the business of a number cannot send freely (from published responses, read 2026-11-28)."""

_CURRENCIES = ("USD", "BRL", "GBP", "INR", "BWP", "EUR", "CAD")
_REVIEWS = ("APPROVED", "APPROVED", "PENDING", "REJECTED")

_ADJECTIVES = ("Blue", "Café", "Corner", "Golden", "Harbour", "Little", "Old Mill", "Río", "Sunny", "Zürich")
_TRADES = (
    "Bakery",
    "Barbers",
    "Bicycles",
    "Books",
    "Ceramics",
    "Cheese",
    "Coffee",
    "Dental",
    "Diner",
    "Florist",
    "Framing",
    "Garden",
    "Grocers",
    "Hardware",
    "Ice Cream",
    "Knitwear",
    "Laundry",
    "Music",
    "Optics",
    "Pharmacy",
    "Pizza",
    "Shoes",
    "Tailors",
    "Toys",
    "Travel",
)


@attrs.frozen
class _Country:
    code: str
    dial_code: str
    display: str
    """The format of a number: `{a}` becomes three digits and `{b}` two. Formats differ, as in published responses."""


_COUNTRIES = (
    _Country("US", "1", "+1 {a}-555-01{b}"),
    _Country("BR", "55", "+55 21 {a}5-55{b}"),
    _Country("GB", "44", "+44 7555 0{a}{b}"),
    _Country("IN", "91", "+91 555{b} 55{a}"),
    _Country("BW", "267", "+267 55 5{b} {a}"),
    _Country("DE", "49", "+49 1555 {a}{b}00"),
    _Country("CA", "1", "+1 ({a}) 555-01{b}"),
)


def seeded_rows(ordinal: int, count: int) -> Iterator[Row]:
    """Generate the numbers of an account."""
    for index in range(count):
        yield seeded_row(ordinal, index)


def seeded_row(ordinal: int, index: int) -> Row:
    """Make one number of an account."""
    template, display = _TEMPLATES[index % _CYCLE]
    serial = f"{20100 + (ordinal * 257 + index) % 79900:05}"
    number = display.format(a=serial[:3], b=serial[3:])
    if index % 20 == 19:
        number = digits_of(number)  # some published responses show bare digits
    named = {"id": number_id(ordinal, index), "display_phone_number": number}
    return {**template, **named, "health_status": _health_of(named["id"], template["health_status"])}


def _health_of(number: str, health: Row) -> Row:
    """Add the entities on which the health of a number depends: itself and its business."""
    if not health:
        return health
    level = health["can_send_message"]
    business = {"entity_type": "BUSINESS", "id": BUSINESS_ID, "can_send_message": level}
    if level in _HEALTH_ERRORS:
        business["errors"] = [_HEALTH_ERRORS[level]]
    return {**health, "entities": [{"entity_type": "PHONE_NUMBER", "id": number, **_AVAILABLE}, business]}


_AVAILABLE = {"can_send_message": "AVAILABLE"}


def number_id(ordinal: int, serial: int) -> str:
    """Return the id of a number: 15 digits that tell its account and its index there."""
    return str(_FIRST_NUMBER_ID + ordinal * NUMBERS_PER_ACCOUNT + serial)


def account_ordinal(number: str) -> int:
    """Return the ordinal of the account of a number's id; negative for any other id."""
    if len(number) > _LONGEST_ID:  # `int` rejects texts of thousands of digits
        return -1
    return (int(number) - _FIRST_NUMBER_ID) // NUMBERS_PER_ACCOUNT


def index_in_account(ordinal: int, number: str) -> int:
    """Return the index of a number's id in an account; out of range for a number of another account."""
    return int(number) - int(number_id(ordinal, 0))


def account_row(waba_id: str, ordinal: int) -> Row:
    """Make the row of an account. Its members were not checked against Meta's reference."""
    shop = f"{_pick(_ADJECTIVES, ordinal)} {_pick(_TRADES, ordinal // len(_ADJECTIVES))}"
    return {
        "id": waba_id,
        "name": f"{shop} {ordinal}",
        "currency": _pick(_CURRENCIES, ordinal),
        "timezone_id": str(1 + ordinal % 100),
        "message_template_namespace": f"{ordinal:08x}_0000_0000_0000_000000000000",
        "account_review_status": _pick(_REVIEWS, ordinal),
        "business_verification_status": "verified",
        "ownership_type": "SELF",
        "owner_business_info": dict(BUSINESS),
        "health_status": {
            **_AVAILABLE,
            "entities": [
                {"entity_type": "WABA", "id": waba_id, **_AVAILABLE},
                {"entity_type": "BUSINESS", "id": BUSINESS_ID, **_AVAILABLE},
                {"entity_type": "APP", "id": APP_ID, **_AVAILABLE},
            ],
        },
    }


def created_row(number: str, display: str, verified_name: str, *, preverified: bool) -> Row:
    """Make a number that was created just now: not verified, not registered, its name in review."""
    return {
        "id": number,
        "display_phone_number": display,
        "verified_name": verified_name,
        "status": "PENDING",
        "quality_rating": "UNKNOWN",
        "code_verification_status": "NOT_VERIFIED",
        "unified_cert_status": "NAME_PENDING_REVIEW",
        "name_status": "PENDING_REVIEW",
        "account_mode": "LIVE",
        "platform_type": "NOT_APPLICABLE",
        "throughput": {"level": "NOT_APPLICABLE"},
        "is_official_business_account": False,
        "is_pin_enabled": False,
        "is_on_biz_app": False,
        "is_preverified_number": preverified,
    }


def digits_of(text: str) -> str:
    """Return the digits of a displayed number."""
    return re.sub(r"\D", "", text)


def _template(index: int) -> tuple[Row, str]:
    """Make what the rows of one index share in all accounts, and the format of their number."""
    pair = index // 2  # of every two rows the first is CONNECTED, and the second shows another status
    country = _pick(_COUNTRIES, index)
    status = "CONNECTED" if index % 2 == 0 else _pick(_STATUSES, pair)
    row = {
        "id": "",
        "display_phone_number": "",
        "verified_name": f"{_pick(_ADJECTIVES, index)} {_TRADES[index // len(_ADJECTIVES)]}",
        "status": status,
        "country_code": country.code,
        "country_dial_code": country.dial_code,
        "account_mode": "SANDBOX" if index % 11 == 4 else "LIVE",
        "unified_cert_status": _pick(_CERT_STATUSES, index),
        "name_status": _pick(_NAME_STATUSES, index),
        "messaging_limit_tier": _pick(_TIERS, index),
        "whatsapp_business_manager_messaging_limit": _pick(_PORTFOLIO_TIERS, index),
        "is_official_business_account": index % 11 == 0,
        "official_business_account": {"oba_status": _pick(_OBA_STATUSES, index)},
        "search_visibility": "NON_VISIBLE" if index % 5 == 3 else "VISIBLE",
        "health_status": {"can_send_message": _pick(_HEALTH, index)},
        "webhook_configuration": {"application": "https://shop.example/webhooks"},
        "is_preverified_number": index % 13 == 6,
        "is_on_biz_app": False,
        "creation_time": _time(hours=7 * index),
        "last_onboarded_time": _time(hours=7 * (index * 37 % _CYCLE), seconds=index),
        "owner": dict(BUSINESS),
        **(_registered(status, pair) if status in _REGISTERED else _unregistered(status)),
        **_username(index),
        **_newer_name(index),
        **(_without_code(index) if status in _REGISTERED else {}),
    }
    return _with_oddities(row, index), country.display


def _registered(status: str, pair: int) -> Row:
    return {
        "quality_rating": _pick(_RATINGS, pair),
        "quality_score": {"score": _pick(_RATINGS, pair), "date": 1_700_000_000 + pair},
        "code_verification_status": "EXPIRED" if pair % 3 else "VERIFIED",  # EXPIRED on a number that works
        "platform_type": _pick(_PLATFORMS, pair),
        "throughput": {"level": "HIGH" if status == "CONNECTED" and pair % 4 == 3 else "STANDARD"},
        "is_pin_enabled": True,
    }


def _without_code(index: int) -> Row:
    """Return what differs in a number that needs no code: it is for tests, or shared with the Business app."""
    in_use = {"code_verification_status": "NOT_VERIFIED", "platform_type": "CLOUD_API"}
    if index % 17 == 8:
        return {**in_use, "is_on_biz_app": True, "throughput": {"level": "STANDARD"}}
    if index % 70 == 56:
        return {**in_use, "verified_name": "Test Number", "name_status": "AVAILABLE_WITHOUT_REVIEW"}
    return {}


def _unregistered(status: str) -> Row:
    return {
        "quality_rating": "UNKNOWN",
        "code_verification_status": _VERIFICATIONS.get(status, "EXPIRED"),
        "platform_type": "NOT_APPLICABLE",
        "throughput": {"level": "NOT_APPLICABLE"},
        "is_pin_enabled": False,
    }


def _username(index: int) -> Row:
    """Return the username in one of the forms seen: a name, `null`, `""`, or no member at all."""
    return _pick(({"username": f"shop.{index}"}, {"username": None}, {"username": ""}, {}), index)


def _newer_name(index: int) -> Row:
    """Return a newer name that was requested, for a few numbers."""
    if index % 25 != 10:
        return {}
    return {"new_display_name": f"New {_pick(_TRADES, index)}", "new_name_status": _pick(_NAME_STATUSES, index // 25)}


def _with_oddities(row: Row, index: int) -> Row:
    """Add what breaks strict parsers."""
    if index % 6 == 5:  # a number that was not onboarded through Embedded Signup lacks it
        del row["last_onboarded_time"]
    odd: dict[int, Row] = {
        24: {"webhook_configuration": {}, "health_status": {}},
        49: {"throughput": {}},
        99: {"throughput": 80},
        119: {"quality_rating": None},
        124: {"webhook_configuration": [], "official_business_account": "NOT_STARTED"},
        149: {"verified_name": ""},
        199: {"messaging_limit_tier": "", "name_status": None, "new_name_status": None},
    }
    return row | odd.get(index, {})


def _time(**offset: int) -> str:
    """Write a time as Meta does: with an offset without a colon."""
    return f"{datetime(2024, 1, 1, tzinfo=UTC) + timedelta(**offset):%Y-%m-%dT%H:%M:%S%z}"


def _pick(values: Sequence[T], index: int) -> T:
    return values[index % len(values)]


_TEMPLATES = tuple(_template(index) for index in range(_CYCLE))
