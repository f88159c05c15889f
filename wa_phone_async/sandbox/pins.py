"""The PINs of two-step verification, and the limits on guesses.

From Meta's page of WhatsApp error codes, read 2026-11-22: 133005 is a wrong PIN, 133008 is for too many guesses and
133009 for guesses that are too fast. The details of the error say how long to wait. Meta does not publish the limits.
Those figures are the sandbox's own.
"""

from collections.abc import Mapping
from typing import Any

import attrs

from .codes import read_member
from .data import Row
from .durations import HOUR, in_words
from .messages import RejectedError, rejected

SEEDED_PIN = "123456"
"""The PIN of every number that has two-step verification from the beginning."""

PIN_GUESSES = 5
"""Wrong guesses after which no PIN is accepted for `PIN_LOCK`."""

PIN_LOCK = 12 * HOUR
"""Seconds."""

FAST_GUESSES = 3
"""Wrong guesses within `FAST_GUESS_WINDOW` after which no PIN is accepted for as long."""

FAST_GUESS_WINDOW = 60.0
"""Seconds."""


@attrs.define
class _PinState:
    """The PIN of one number, and what counts against further guesses."""

    pin: str = attrs.field(default=SEEDED_PIN, repr=False)
    wrong_at: list[float] = attrs.field(factory=list[float])
    """The times of the wrong guesses since the last right one or the last lock."""
    too_fast_until: float = 0.0
    locked_until: float = 0.0


class Pins:
    """The PINs of all numbers."""

    def __init__(self) -> None:
        self._states: dict[str, _PinState] = {}

    def check(self, row: Row, members: Mapping[str, Any], now: float) -> str:
        """Return the PIN in a POST. A number without two-step verification accepts any PIN.

        Raises:
            RejectedError: The PIN is invalid or wrong, or no PIN is accepted at present.
        """
        pin = read_pin(members)
        state = self._state(row)
        # A guess during a wait is not counted, so the wait does not become longer.
        if now < state.locked_until:
            raise _wait(133008, "Too many two-step verification PIN guesses", state.locked_until - now)
        if now < state.too_fast_until:
            raise _wait(133009, "Two-step verification PIN was guessed too fast", state.too_fast_until - now)
        if row.get("is_pin_enabled") and pin != state.pin:
            self._count(state, now)
            raise rejected("Two-step verification PIN mismatch", code=133005)
        state.wrong_at.clear()
        return pin

    def keep(self, row: Row, pin: str) -> None:
        """Store the PIN of a number."""
        self._state(row).pin = pin

    def _count(self, state: _PinState, now: float) -> None:
        state.wrong_at.append(now)
        if len(state.wrong_at) >= PIN_GUESSES:
            state.wrong_at.clear()  # after the lock the count begins at 0
            state.locked_until = now + PIN_LOCK
        elif len(state.wrong_at) >= FAST_GUESSES and state.wrong_at[-FAST_GUESSES] > now - FAST_GUESS_WINDOW:
            state.too_fast_until = now + FAST_GUESS_WINDOW

    def _state(self, row: Row) -> _PinState:
        return self._states.setdefault(row["id"], _PinState())


def read_pin(members: Mapping[str, Any]) -> str:
    """Return the PIN in a POST.

    Raises:
        RejectedError: The PIN is missing or is not six digits.
    """
    return read_member(members, "pin", "[0-9]{6}")


def _wait(code: int, message: str, seconds: float) -> RejectedError:
    details = f"Please try again in {in_words(seconds)}."
    return rejected(message, code=code, data={"messaging_product": "whatsapp", "details": details})
