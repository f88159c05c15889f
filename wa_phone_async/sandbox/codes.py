"""Codes that prove that a number is somebody's: sent to an inbox, guessed a few times, and lapsed after a while.

Meta's guide to registering numbers and its error pages, read 2026-11-22. How often a code may be asked for and how long
it holds is not published: those figures are this sandbox's own.
"""

import functools
import hashlib
import re
from collections import deque
from collections.abc import Mapping
from typing import Any

import attrs

from .data import Row, digits_of
from .messages import Refusal, invalid
from .modes import Mode
from .reviews import Reviews
from .written_waits import HOUR, written_wait

CODES_AN_HOUR = 5
"""How many codes may be asked for in an hour."""

CODE_LIFE = 600.0
"""Seconds after which a code lapses."""

VERIFICATION_SHOWN = 14 * 24 * HOUR
"""Seconds after which a verified number reads `EXPIRED`, which means nothing else."""

CODE_GUESSES = 5
"""Wrong guesses after which codes are not taken for a while."""

CODE_LOCK = 12 * HOUR
"""How long that is, in seconds (Meta's page on errors of embedded signup: about 12 hours)."""


@attrs.frozen
class Code:
    """A code as it arrives on a phone."""

    phone_number_id: str
    """The id of the number it was sent to."""
    phone_number: str
    """The digits of the number it was sent to."""
    code: str = attrs.field(repr=False)
    """As the message shows it, `123-830`: the API takes it without the hyphen."""
    code_method: str
    """`SMS` or `VOICE`."""
    language: str
    """The language of the message, such as `en_US`."""
    at: float
    """When it was sent, in seconds of the sandbox's clock."""


@attrs.define
class _Proof:
    """What is remembered of the codes of one number."""

    asked_at: deque[float] = attrs.field(factory=deque[float])
    sent: int = 0
    code: str | None = attrs.field(default=None, repr=False)
    verified: int = 0
    wrong: int = 0
    locked_until: float = 0.0
    has_lapsed_unverified: bool = False


class Codes:
    """The codes of all numbers.

    Args:
        mode: Which languages are taken.
        reviews: Who changes numbers, at once or later.
    """

    def __init__(self, mode: Mode, reviews: Reviews) -> None:
        self.inbox: list[Code] = []
        self._temper = mode
        self._reviews = reviews
        self._proofs: dict[str, _Proof] = {}

    def is_verified(self, row: Row) -> bool:
        """Whether it was proven ever: an `EXPIRED` number was, unless its first code has lapsed."""
        status = row.get("code_verification_status")
        return status == "VERIFIED" or (status == "EXPIRED" and not self._proof(row).has_lapsed_unverified)

    def send(self, row: Row, members: Mapping[str, Any], now: float) -> None:
        """Send a code, which takes the place of the last one."""
        method = read_member(members, "code_method", "SMS|VOICE")
        language = read_member(members, "language", self._temper.code_languages)
        proof = self._proof(row)
        while proof.asked_at and proof.asked_at[0] <= now - HOUR:
            proof.asked_at.popleft()
        if len(proof.asked_at) >= CODES_AN_HOUR:
            raise invalid(
                "Code couldn't be sent",
                code=136024,
                subcode=2388367,
                is_transient=False,
                user_title="Code couldn't be sent",
                user_msg="You have requested codes too often. Try again later.",
            )
        proof.asked_at.append(now)
        proof.sent += 1
        proof.code = _invented_code(row["id"], proof.sent)
        if proof.has_lapsed_unverified:
            proof.has_lapsed_unverified = False
            self._change(row, "NOT_VERIFIED")
        shown = f"{proof.code[:3]}-{proof.code[3:]}"
        self.inbox.append(
            Code(row["id"], digits_of(row.get("display_phone_number") or ""), shown, method, language, now)
        )
        self._reviews.agenda.add(now + CODE_LIFE, functools.partial(self._lapse, row["id"], proof.code))

    def verify(self, row: Row, members: Mapping[str, Any], now: float) -> None:
        """Take the code that was sent last, and no other one."""
        code = read_member(members, "code", "[0-9]{6}")
        proof = self._proof(row)
        if now < proof.locked_until:
            raise _wrong_code(f"You have guessed too often. Try again in {written_wait(proof.locked_until - now)}.")
        if code != proof.code:
            proof.wrong += 1
            if proof.wrong >= CODE_GUESSES:
                proof.wrong, proof.locked_until = 0, now + CODE_LOCK
            raise _wrong_code("The code that you have entered is incorrect.")
        proof.code, proof.wrong, proof.has_lapsed_unverified = None, 0, False
        proof.verified += 1
        self._change(row, "VERIFIED")
        self._reviews.agenda.add(now + VERIFICATION_SHOWN, functools.partial(self._expire, row["id"], proof.verified))

    def _lapse(self, number: str, code: str) -> None:
        """A code that nobody has used is of no use any more."""
        proof, row = self._proofs[number], self._reviews.row(number)
        if row and proof.code == code:
            proof.code = None
            proof.has_lapsed_unverified = not self.is_verified(row)
            self._change(row, "EXPIRED")

    def _expire(self, number: str, verified: int) -> None:
        """A number that was verified a while ago, and not again since, reads so; nothing else changes."""
        row = self._reviews.row(number)
        if row and self._proofs[number].verified == verified:
            self._change(row, "EXPIRED")

    def _change(self, row: Row, status: str) -> None:
        self._reviews.change(row["id"], {"code_verification_status": status})

    def _proof(self, row: Row) -> _Proof:
        return self._proofs.setdefault(row["id"], _Proof())


def read_member(members: Mapping[str, Any], name: str, pattern: str) -> str:
    """Read a member of a POST, or refuse it. What it is stands in no message."""
    if members.get(name) is None:
        raise invalid(f"The parameter {name} is required.")
    if not re.fullmatch(pattern, str(members[name])):
        raise invalid(f"Param {name} is not valid")
    return str(members[name])


def _invented_code(number: str, serial: int) -> str:
    """Make up a code, the same on every machine."""
    return f"{int(hashlib.sha256(f'{number}:{serial}'.encode()).hexdigest(), 16) % 1_000_000:06}"


def _wrong_code(text: str) -> Refusal:
    return invalid(
        "Couldn't verify code",
        code=136025,
        subcode=2388093,
        user_title="Code couldn't be verified",
        user_msg=text,
    )
