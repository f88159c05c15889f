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


def data(first: int, more: dict[str, Any], missing: tuple[str, ...]) -> bytes:
    """The rows of a page."""
    chance = random.Random(first)
    rows = [{**row(first + index, chance), **more} for index in range(ROWS)]
    rows = [{name: value for name, value in row.items() if name not in missing} for row in rows]
    return json.dumps(rows, separators=(",", ":")).encode()


def page(first: int = 0, *, more: dict[str, Any] | None = None, missing: tuple[str, ...] = ()) -> bytes:
    """A page with another one behind it.

    Args:
        first: Which number is the first.
        more: Fields that each number has beside those of the reference.
        missing: Fields that each number lacks.
    """
    paging = {"cursors": {"before": "QVFI" * 10, "after": "QVFJ" * 10}, "next": "https://graph.example/?after=QVFJ"}
    return b'{"data":' + data(first, more or {}, missing) + b',"paging":' + json.dumps(paging).encode() + b"}"
