"""The PINs of two-step verification, and how often they may be guessed.

Meta's page of WhatsApp error codes, read 2026-11-22: 133005 is a wrong PIN, 133008 too many, 133009 too fast, and the
wait is in the details. How many are too many is not published: those figures are this sandbox's own.
"""

from collections.abc import Mapping
from typing import Any

import attrs

from .codes import read_member
from .data import Row
from .messages import Refusal, invalid
from .written_waits import HOUR, written_wait

SEEDED_PIN = "123456"
"""The PIN of the numbers that were there from the beginning with two-step verification."""

PIN_GUESSES = 5
"""Wrong guesses after which no PIN is taken for a while."""

PIN_LOCK = 12 * HOUR
"""How long that is, in seconds."""

HASTY_GUESSES = 3
"""Wrong guesses within `HASTE` after which the next one has to wait as long."""

HASTE = 60.0
"""Seconds."""


@attrs.define
class _Guard:
    """What is remembered of the PIN of one number."""

    pin: str = attrs.field(default=SEEDED_PIN, repr=False)
    wrong_at: list[float] = attrs.field(factory=list[float])
    hasty_until: float = 0.0
    locked_until: float = 0.0


class Pins:
    """The PINs of all numbers."""

    def __init__(self) -> None:
        self._guards: dict[str, _Guard] = {}

    def check(self, row: Row, members: Mapping[str, Any], now: float) -> str:
        """Take the right PIN, or any where there is none yet, and give it; count a wrong one."""
        pin = read_pin(members)
        guard = self._guard(row)
        if now < guard.locked_until:
            raise _wait(133008, "Too many two-step verification PIN guesses", guard.locked_until - now)
        if now < guard.hasty_until:
            raise _wait(133009, "Two-step verification PIN was guessed too fast", guard.hasty_until - now)
        if row.get("is_pin_enabled") and pin != guard.pin:
            self._count(guard, now)
            raise invalid("Two-step verification PIN mismatch", code=133005)
        guard.wrong_at.clear()
        return pin

    def keep(self, row: Row, pin: str) -> None:
        """Remember the PIN of a number."""
        self._guard(row).pin = pin

    def _count(self, guard: _Guard, now: float) -> None:
        guard.wrong_at.append(now)
        if len(guard.wrong_at) >= PIN_GUESSES:
            guard.wrong_at.clear()
            guard.locked_until = now + PIN_LOCK
        elif len(guard.wrong_at) >= HASTY_GUESSES and guard.wrong_at[-HASTY_GUESSES] > now - HASTE:
            guard.hasty_until = now + HASTE

    def _guard(self, row: Row) -> _Guard:
        return self._guards.setdefault(row["id"], _Guard())


def read_pin(members: Mapping[str, Any]) -> str:
    """Read a PIN, or refuse it."""
    return read_member(members, "pin", "[0-9]{6}")


def _wait(code: int, message: str, seconds: float) -> Refusal:
    details = f"Please try again in {written_wait(seconds)}."
    return invalid(message, code=code, data={"messaging_product": "whatsapp", "details": details})
