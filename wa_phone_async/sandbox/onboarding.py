"""Onboarding: the POSTs on the node of a number, from a verified code to the registration.

Verified, registered and name-approved are three states, and none implies another.

From Meta's guides to registering numbers and to two-step verification, its error page and its v23.0 OpenAPI
description, read 2026-11-22.
"""

import functools
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from .codes import Codes, read_member
from .data import Row
from .durations import HOUR
from .messages import rejected
from .modes import Mode
from .names import DisplayNames
from .pins import Pins, read_pin
from .reviews import Reviews, onboarded, pin_changed

REGIONS = "AU|ID|IN|JP|SG|KR|DE|CH|GB|BR|BH|ZA|AE|CA"
"""The countries in which data may be stored."""

MAX_REGISTRATIONS = 10
"""How often a number may be registered or deregistered within `REGISTRATION_WINDOW`. One more blocks it as long."""

REGISTRATION_WINDOW = 72 * HOUR
"""Seconds."""

REREGISTER_WAIT = 300.0
"""Seconds after which a deregistered number may be registered again."""

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
class _History:
    """The registrations and deregistrations of one number that still count."""

    times: deque[float] = attrs.field(factory=deque[float])
    blocked_until: float = 0.0
    """The end of the block for too many registrations."""
    deregistered_until: float = 0.0
    """The end of the wait after a deregistration."""


class Onboarding:
    """The POSTs on the node of a number.

    Args:
        mode: How the Graph API behaves.
        reviews: Changes numbers and makes webhooks.
    """

    def __init__(self, mode: Mode, reviews: Reviews) -> None:
        self.codes: Codes = Codes(mode, reviews)
        self._pins = Pins()
        self._names = DisplayNames(mode, reviews)
        self._mode = mode
        self._reviews = reviews
        self._histories: dict[str, _History] = {}
        self._edges: Mapping[str, Callable[[Row, Mapping[str, Any], float], None]] = {
            "": self._write_node,
            "request_code": self.codes.send,
            "verify_code": self.codes.verify,
            "register": self._register,
            "deregister": self._deregister,
        }

    def has(self, edge: str) -> bool:
        """Return whether a number accepts a POST on this edge; `""` is its node."""
        return edge in self._edges

    def write(self, edge: str, row: Row, members: Mapping[str, Any], now: float) -> Row:
        """Carry out a POST and return the members of its response.

        Raises:
            RejectedError: A member is invalid, or the state of the number does not allow it.
        """
        self._edges[edge](row, members, now)
        has_id = edge == "verify_code" and self._mode.verifies_with_id
        return {"success": True, "id": row["id"]} if has_id else {"success": True}

    def _write_node(self, row: Row, members: Mapping[str, Any], now: float) -> None:
        if "new_display_name" in members:
            self._names.request(row, members, now)
        else:
            self._set_pin(row, members, now)

    def _set_pin(self, row: Row, members: Mapping[str, Any], now: float) -> None:
        pin = read_pin(members)
        if not _is_registered(row):
            raise rejected("Phone number not registered on the WhatsApp Business Platform", code=133010)
        self._pins.keep(row, pin)
        self._reviews.apply(row["id"], pin_changed, now)

    def _register(self, row: Row, members: Mapping[str, Any], now: float) -> None:
        read_member(members, "messaging_product", "whatsapp")
        read_pin(members)
        if members.get("data_localization_region") is not None:
            read_member(members, "data_localization_region", REGIONS)
        # Before the checks below: a registration that they reject counts too.
        history = self._count(row, now)
        if now < history.deregistered_until:
            raise rejected("The phone number was recently deleted: wait 5 minutes before you register it", code=133015)
        if not self.codes.is_verified(row):
            raise rejected("Phone number needs to be verified before registering", code=133006)
        self._pins.keep(row, self._pins.check(row, members, now))
        changes = _REGISTERED | self._names.after_registration(row)
        if _is_registered(row):  # a second registration, as after a new name, makes no webhook
            self._reviews.update(row["id"], changes)
        else:
            self._reviews.apply(row["id"], functools.partial(onboarded, changes=changes), now)

    def _deregister(self, row: Row, _: Mapping[str, Any], now: float) -> None:
        if row.get("is_on_biz_app"):
            raise rejected("Deregister endpoint is not available for SMB businesses.")
        if not _is_registered(row):
            raise rejected("Phone number is not registered", subcode=2207051)
        self._count(row, now).deregistered_until = now + REREGISTER_WAIT
        self._reviews.update(row["id"], _DEREGISTERED)

    def _count(self, row: Row, now: float) -> _History:
        """Count a registration or deregistration, or reject it if it is one too many."""
        history = self._histories.setdefault(row["id"], _History())
        while history.times and history.times[0] <= now - REGISTRATION_WINDOW:
            history.times.popleft()
        # The block has a fixed end: what is rejected during it does not make it longer.
        if now >= history.blocked_until and len(history.times) >= MAX_REGISTRATIONS:
            history.blocked_until = now + REGISTRATION_WINDOW
        if now < history.blocked_until:
            raise rejected(
                "Too many attempts to register or deregister this phone number: it is blocked for 72 hours", code=133016
            )
        history.times.append(now)
        return history


def _is_registered(row: Row) -> bool:
    return row.get("platform_type") == "CLOUD_API"
