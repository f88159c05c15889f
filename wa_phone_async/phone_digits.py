"""Which number a displayed one is: compared by digits, the country code included, and loosely only where that is known.

`display_phone_number` comes in many formats, `+1 631-555-5555` and bare digits among them, and need not have the digits
that were registered (published captures, read 2026-11-22). One case is known, and a table holds it: a Brazilian mobile
number was shown without its ninth digit. Others are said to be like it (a 1 in Mexican and a 9 in Argentine mobile
numbers), and no capture shows them: what is not in the table is another number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Literal

from .errors import InvalidArgumentError
from .models import PhoneNumber

Likeness = Literal["exact", "loose"]
"""How alike two numbers are: the same digits, or the same but for one that the API may leave out."""

_MAY_LACK: Final = (
    # Brazil: country, area, 9 and eight digits. Where these begin with 2 to 5, they are a fixed line of its own.
    re.compile(r"(55[1-9][0-9])9([6-9][0-9]{7})"),
)
"""Numbers with digits that the API may leave out when it shows them: those between the groups."""

_MOST_DIGITS: Final = 15  # E.164


def read_digits(text: str) -> str:
    """The digits of a number, in whatever way it is written."""
    return re.sub(r"[^0-9]", "", text)


def whole_number(phone_number: str, cc: str | None) -> str:
    """All digits of a number that is given with or without its country code.

    Args:
        phone_number: Its digits. One that begins with `cc` is taken to have its country code.
        cc: The country's dial code, digits; `None` where the number has it.

    Raises:
        InvalidArgumentError: Both together are longer than any number.
    """
    digits = phone_number if cc is None or phone_number.startswith(cc) else cc + phone_number
    if len(digits) > _MOST_DIGITS:
        raise InvalidArgumentError(
            f"phone_number must have at most 15 digits with its country code, not {len(digits)}: does cc belong to it?"
        )
    return digits


def shortest_form(digits: str) -> str:
    """A number without the digits that the API may leave out: equal for all forms of one number."""
    for pattern in _MAY_LACK:
        if parts := pattern.fullmatch(digits):
            return "".join(parts.groups())
    return digits


def likeness(digits: str, displayed: str) -> Likeness | None:
    """Whether a displayed number is the one with these digits; `None` where it is another.

    Args:
        digits: All digits of the number, country code first.
        displayed: A number as the API shows it.
    """
    shown = read_digits(displayed)
    if shown == digits:
        return "exact"
    return "loose" if shortest_form(shown) == shortest_form(digits) else None


def missing_code(digits: str, displayed: str) -> str | None:
    """The country code with which these digits are a displayed number; `None` where none makes them that.

    Args:
        digits: The digits of a number, perhaps without its country code.
        displayed: A number as the API shows it.
    """
    codes = (read_digits(displayed)[:length] for length in (1, 2, 3))
    return next((code for code in codes if likeness(code + digits, displayed)), None)


def alike(digits: str, numbers: Iterable[PhoneNumber]) -> list[PhoneNumber]:
    """Those of a list that may be the number with these digits: exactly alike, or where none is, loosely."""
    found: dict[Likeness | None, list[PhoneNumber]] = {"exact": [], "loose": [], None: []}
    for number in numbers:
        found[likeness(digits, number.display_phone_number or "")].append(number)
    return found["exact"] or found["loose"]
