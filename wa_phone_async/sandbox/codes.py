"""Verification codes: they arrive in an inbox, lapse after a while, and lock after too many wrong guesses.

From Meta's guide to registering numbers and its error pages, read 2026-11-22. Meta does not publish how many codes may
be requested or how long one is valid. Those figures are the sandbox's own.
"""

import functools
import hashlib
import re
from collections import deque
from collections.abc import Mapping
from typing import Any

import attrs

from .data import Row, digits_of
from .durations import HOUR, in_words
from .messages import RejectedError, rejected
from .modes import Mode
from .reviews import Reviews

CODES_AN_HOUR = 5
"""How many codes may be requested in an hour."""

CODE_LIFE = 600.0
"""Seconds for which a code is valid."""

VERIFICATION_SHOWN = 14 * 24 * HOUR
"""Seconds after which a verified number shows `EXPIRED`. Nothing else changes then."""

CODE_GUESSES = 5
"""Wrong guesses after which no code is accepted for `CODE_LOCK`."""

CODE_LOCK = 12 * HOUR
"""Seconds (Meta's page on errors of embedded signup says: about 12 hours)."""


@attrs.frozen
class Code:
    """A code as it arrives on a phone."""

    phone_number_id: str
    """The id of the number that received it."""
    phone_number: str
    """The digits of the number that received it."""
    code: str = attrs.field(repr=False)
    """As the message shows it, `123-830`. Send it to the API without the hyphen."""
    code_method: str
    """`SMS` or `VOICE`."""
    language: str
    """The language of the message, such as `en_US`."""
    at: float
    """When it was sent, in seconds of the sandbox's clock."""


@attrs.define
class _CodeState:
    """The codes of one number: which one is valid, and what counts against further ones."""

    requested_at: deque[float] = attrs.field(factory=deque[float])
    sent: int = 0
    code: str | None = attrs.field(default=None, repr=False)
    """The code that is valid now, without its hyphen."""
    verified: int = 0
    """How often the number was verified."""
    wrong: int = 0
    """Wrong guesses since the last right one."""
    locked_until: float = 0.0
    has_lapsed_unverified: bool = False
    """Whether the last code lapsed while the number was not verified. Only this tells two `EXPIRED` apart."""


class Codes:
    """The codes of all numbers.

    Args:
        mode: Decides which languages are accepted.
        reviews: Changes numbers, at once or later.
    """

    def __init__(self, mode: Mode, reviews: Reviews) -> None:
        self.inbox: list[Code] = []
        self._mode = mode
        self._reviews = reviews
        self._states: dict[str, _CodeState] = {}

    def is_verified(self, row: Row) -> bool:
        """Return whether a number was ever verified."""
        # `EXPIRED` has two causes: a verification of long ago, which still counts, or a first code that lapsed unused.
        status = row.get("code_verification_status")
        return status == "VERIFIED" or (status == "EXPIRED" and not self._state(row).has_lapsed_unverified)

    def send(self, row: Row, members: Mapping[str, Any], now: float) -> None:
        """Send a code. It replaces the last one.

        Raises:
            RejectedError: A member is missing or invalid, too many codes were requested, or the number is verified
                (Meta's "Business phone numbers", read 2026-11-28; the text is the sandbox's own).
        """
        method = read_member(members, "code_method", "SMS|VOICE")
        language = read_member(members, "language", self._mode.code_languages)
        if row.get("code_verification_status") == "VERIFIED":
            raise rejected(
                "Code couldn't be sent",
                code=136024,
                user_title="Code couldn't be sent",
                user_msg="The phone number is verified already.",
            )
        state = self._state(row)
        while state.requested_at and state.requested_at[0] <= now - HOUR:
            state.requested_at.popleft()
        if len(state.requested_at) >= CODES_AN_HOUR:
            raise rejected(
                "Code couldn't be sent",
                code=136024,
                subcode=2388367,
                is_transient=False,
                user_title="Code couldn't be sent",
                user_msg="You have requested codes too often. Try again later.",
            )
        state.requested_at.append(now)
        state.sent += 1
        state.code = _invented_code(row["id"], state.sent)
        if state.has_lapsed_unverified:
            # A new code opens the verification again: the number is not verified yet, and no longer expired.
            state.has_lapsed_unverified = False
            self._update(row, "NOT_VERIFIED")
        shown = f"{state.code[:3]}-{state.code[3:]}"
        self.inbox.append(
            Code(row["id"], digits_of(row.get("display_phone_number") or ""), shown, method, language, now)
        )
        self._reviews.schedule.add(now + CODE_LIFE, functools.partial(self._lapse, row["id"], state.code))

    def verify(self, row: Row, members: Mapping[str, Any], now: float) -> None:
        """Verify a number with the code that was sent last."""
        code = read_member(members, "code", "[0-9]{6}")
        state = self._state(row)
        if now < state.locked_until:
            raise _wrong_code(f"You have guessed too often. Try again in {in_words(state.locked_until - now)}.")
        if code != state.code:
            state.wrong += 1
            if state.wrong >= CODE_GUESSES:
                state.wrong, state.locked_until = 0, now + CODE_LOCK
            raise _wrong_code("The code that you have entered is incorrect.")
        # A code works once: `None` makes every further guess wrong, this code included.
        state.code, state.wrong, state.has_lapsed_unverified = None, 0, False
        state.verified += 1
        self._update(row, "VERIFIED")
        self._reviews.schedule.add(now + VERIFICATION_SHOWN, functools.partial(self._expire, row["id"], state.verified))

    def _lapse(self, number: str, code: str) -> None:
        """End a code, unless it was used or replaced meanwhile, or its number is gone."""
        state, row = self._states[number], self._reviews.row(number)
        if row and state.code == code:
            state.code = None
            state.has_lapsed_unverified = not self.is_verified(row)  # before the status changes, which it reads
            self._update(row, "EXPIRED")

    def _expire(self, number: str, verified: int) -> None:
        """Show `EXPIRED` for a number, unless it was verified again meanwhile or is gone."""
        row = self._reviews.row(number)
        if row and self._states[number].verified == verified:
            self._update(row, "EXPIRED")

    def _update(self, row: Row, status: str) -> None:
        self._reviews.update(row["id"], {"code_verification_status": status})

    def _state(self, row: Row) -> _CodeState:
        return self._states.setdefault(row["id"], _CodeState())


def read_member(members: Mapping[str, Any], name: str, pattern: str) -> str:
    """Return a member of a POST as text.

    Raises:
        RejectedError: The member is missing or invalid. The message does not show its value, which may be a secret.
    """
    if members.get(name) is None:
        raise rejected(f"The parameter {name} is required.")
    if not re.fullmatch(pattern, str(members[name])):
        raise rejected(f"Param {name} is not valid")
    return str(members[name])


def _invented_code(number: str, serial: int) -> str:
    """Invent a code, the same on every machine."""
    return f"{int(hashlib.sha256(f'{number}:{serial}'.encode()).hexdigest(), 16) % 1_000_000:06}"


def _wrong_code(text: str) -> RejectedError:
    return rejected(
        "Couldn't verify code",
        code=136025,
        subcode=2388093,
        user_title="Code couldn't be verified",
        user_msg=text,
    )
