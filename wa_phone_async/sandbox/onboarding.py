"""The way of a number from unverified to registered: the POSTs on its node, one by one.

Verified, registered and name-approved are three things, and none of them brings another. Meta's guides to registering
numbers and to two-step verification, its error page and its v23.0 OpenAPI description, read 2026-11-22.
"""

import functools
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from .codes import Codes, read_member
from .data import Row
from .messages import Refusal, invalid
from .modes import Mode
from .pins import Pins, read_pin
from .reviews import Reviews, onboarded, pin_changed
from .written_waits import HOUR

REGIONS = "AU|ID|IN|JP|SG|KR|DE|CH|GB|BR|BH|ZA|AE|CA"
"""Where data may be kept."""

MOVES = 10
"""How often a number may be registered or deregistered within `MOVES_WINDOW`; one time more blocks it as long."""

MOVES_WINDOW = 72 * HOUR
"""Seconds."""

PAUSE = 300.0
"""Seconds for which a number that was deregistered cannot be registered again."""

_REGISTERED: Row = {
    "status": "CONNECTED",
    "platform_type": "CLOUD_API",
    "throughput": {"level": "STANDARD"},
    "is_pin_enabled": True,
}
_DEREGISTERED: Row = {
    "status": "DISCONNECTED",
    "platform_type": "NOT_APPLICABLE",
    "throughput": {"level": "NOT_APPLICABLE"},
}


@attrs.define
class _Moves:
    """When a number was registered and deregistered, as far as that counts."""

    times: deque[float] = attrs.field(factory=deque[float])
    blocked_until: float = 0.0
    paused_until: float = 0.0


class Onboarding:
    """What is written to a number.

    Args:
        mode: Which way of being the Graph API it has.
        reviews: Who changes numbers and tells of it.
    """

    def __init__(self, mode: Mode, reviews: Reviews) -> None:
        self.codes: Codes = Codes(mode, reviews)
        self._pins = Pins()
        self._temper = mode
        self._reviews = reviews
        self._moves: dict[str, _Moves] = {}
        self._edges: Mapping[str, Callable[[Row, Mapping[str, Any], float], None]] = {
            "": self._set_pin,
            "request_code": self.codes.send,
            "verify_code": self.codes.verify,
            "register": self._register,
            "deregister": self._deregister,
        }

    def has(self, edge: str) -> bool:
        """Whether this edge of a number is written to; `""` is its node."""
        return edge in self._edges

    def write(self, edge: str, row: Row, members: Mapping[str, Any], now: float) -> Row:
        """Do what a POST asks for and give its answer, or refuse it."""
        self._edges[edge](row, members, now)
        answers_id = edge == "verify_code" and self._temper.verifies_with_id
        return {"success": True, "id": row["id"]} if answers_id else {"success": True}

    def _set_pin(self, row: Row, members: Mapping[str, Any], now: float) -> None:
        pin = read_pin(members)
        if not _is_registered(row):
            raise invalid("Phone number not registered on the WhatsApp Business Platform", code=133010)
        self._pins.keep(row, pin)
        self._reviews.happen(row["id"], pin_changed, now)

    def _register(self, row: Row, members: Mapping[str, Any], now: float) -> None:
        read_member(members, "messaging_product", "whatsapp")
        read_pin(members)
        if members.get("data_localization_region") is not None:
            read_member(members, "data_localization_region", REGIONS)
        moves = self._move(row, now)
        if now < moves.paused_until:
            raise invalid("The phone number was recently deleted: wait 5 minutes before you register it", code=133015)
        if not self.codes.is_verified(row):
            raise invalid("Phone number needs to be verified before registering", code=133006)
        self._pins.keep(row, self._pins.check(row, members, now))
        if _is_registered(row):  # again, as after a new name
            self._reviews.change(row["id"], _REGISTERED)
        else:
            self._reviews.happen(row["id"], functools.partial(onboarded, changes=_REGISTERED), now)

    def _deregister(self, row: Row, _: Mapping[str, Any], now: float) -> None:
        if row.get("is_on_biz_app"):
            raise invalid("Deregister endpoint is not available for SMB businesses.")
        if not _is_registered(row):
            raise invalid("Phone number is not registered", subcode=2207051)
        self._move(row, now).paused_until = now + PAUSE
        self._reviews.change(row["id"], _DEREGISTERED)

    def _move(self, row: Row, now: float) -> _Moves:
        """Count a registration or its end, or refuse what is one too many."""
        moves = self._moves.setdefault(row["id"], _Moves())
        while moves.times and moves.times[0] <= now - MOVES_WINDOW:
            moves.times.popleft()
        if now >= moves.blocked_until and len(moves.times) >= MOVES:
            moves.blocked_until = now + MOVES_WINDOW
        if now < moves.blocked_until:
            raise _too_many_moves()
        moves.times.append(now)
        return moves


def _is_registered(row: Row) -> bool:
    return row.get("platform_type") == "CLOUD_API"


def _too_many_moves() -> Refusal:
    return invalid(
        "Too many attempts to register or deregister this phone number: it is blocked for 72 hours", code=133016
    )
