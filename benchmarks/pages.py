"""Seeded pages of phone numbers, as the Graph API sends them: 100 numbers with the 14 fields of the reference."""

import json
import random
from typing import Any

ROWS = 100
WORDS = {
    "status": ("CONNECTED", "PENDING", "FLAGGED"),
    "quality_rating": ("GREEN", "YELLOW", "UNKNOWN"),
    "country_code": ("US", "CH", "BR"),
    "country_dial_code": ("1", "41", "55"),
    "code_verification_status": ("VERIFIED", "EXPIRED"),
    "unified_cert_status": ("APPROVED", "NAME_PENDING_REVIEW"),
    "account_mode": ("LIVE", "SANDBOX"),
    "host_platform": ("CLOUD_API", "ON_PREMISE"),
    "messaging_limit_tier": ("TIER_250", "TIER_1K"),
}


def row(index: int, chance: random.Random) -> dict[str, Any]:
    """A number with the 14 fields of the reference."""
    return {
        "id": str(300_000_000_000_000 + index),
        "display_phone_number": f"+1 555-{index:07}",
        "verified_name": f"{chance.choice(('Blue Bakery', 'Café Río', 'Old Mill Books', 'Zürich Optics'))} {index}",
        **{name: chance.choice(words) for name, words in WORDS.items()},
        "is_official_business_account": chance.random() < 0.2,
        "username": f"shop_{index}",
    }


def live(index: int) -> dict[str, Any]:
    """Return the other fields of `ALL_FIELDS`, as the live service sends them."""
    states = {"can_send_message": "AVAILABLE", "can_receive_call_sip": "AVAILABLE"}
    ids = {"PHONE_NUMBER": str(300_000_000_000_000 + index), "WABA": "1234", "BUSINESS": "5678", "APP": "9012"}
    return {
        "name_status": "APPROVED",
        "new_name_status": "NONE",
        "throughput": {"level": "STANDARD"},
        "last_onboarded_time": f"2026-03-01T12:{index % 60:02}:00+0000",
        "whatsapp_business_manager_messaging_limit": "TIER_2K",
        "is_pin_enabled": True,
        "is_on_biz_app": False,
        "health_status": {
            "can_send_message": "AVAILABLE",
            "entities": [{"entity_type": kind, "id": id_, **states} for kind, id_ in ids.items()],
        },
        "official_business_account": {"oba_status": "NOT_STARTED"},
        "is_preverified_number": False,
        "webhook_configuration": {"application": "https://shop.example/webhooks"},
    }


def data(first: int, more: dict[str, Any], missing: tuple[str, ...], *, wide: bool = False) -> bytes:
    """The rows of a page."""
    chance = random.Random(first)
    others = live if wide else lambda _: more
    rows = [{**row(first + index, chance), **others(first + index)} for index in range(ROWS)]
    rows = [{name: value for name, value in row.items() if name not in missing} for row in rows]
    return json.dumps(rows, separators=(",", ":")).encode()


def page(
    first: int = 0, *, more: dict[str, Any] | None = None, missing: tuple[str, ...] = (), wide: bool = False
) -> bytes:
    """A page with another one behind it.

    Args:
        first: Which number is the first.
        more: Fields that each number has beside those of the reference.
        missing: Fields that each number lacks.
        wide: Whether each number has the fields of `live` instead of `more`.
    """
    paging = {"cursors": {"before": "QVFI" * 10, "after": "QVFJ" * 10}, "next": "https://graph.example/?after=QVFJ"}
    return (
        b'{"data":' + data(first, more or {}, missing, wide=wide) + b',"paging":' + json.dumps(paging).encode() + b"}"
    )
