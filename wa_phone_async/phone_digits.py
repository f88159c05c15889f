"""Which displayed number is which: all digits must be equal, the country code too.

`display_phone_number` comes in many formats, such as `+1 631-555-5555` and bare digits. It may lack digits that were
registered (published captures, read 2026-11-22). One case is known, and it is in a table here: a Brazilian mobile
number was shown without its ninth digit. People say the same of the 1 in Mexican and the 9 in Argentine mobile numbers,
but no capture shows it. So in all cases that are not in the table, other digits are another number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Literal

from .errors import InvalidArgumentError
from .models import PhoneNumber

Likeness = Literal["exact", "loose"]
"""How alike two numbers are. `exact`: all digits are equal. `loose`: all but those that the API may leave out."""

_MAY_LACK: Final = (
    # Brazil: country, area, 9 and eight digits. Eight digits that begin with 2 to 5 are a fixed line, another number.
    re.compile(r"(55[1-9][0-9])9([6-9][0-9]{7})"),
)
"""Numbers that the API may show without some digits. These digits stand between the two groups of a pattern."""

_MOST_DIGITS: Final = 15  # E.164


def read_digits(text: str) -> str:
    """Return the digits of a number, whatever else is in it."""
    return re.sub(r"[^0-9]", "", text)


def whole_number(phone_number: str, cc: str | None) -> str:
    """Return all digits of a number, with its country code first.

    Args:
        phone_number: The digits of the number. If they begin with `cc`, they already have the country code.
        cc: The dial code of the country, digits. `None`: the number has it.

    Raises:
        InvalidArgumentError: Both together are longer than any phone number.
    """
    digits = phone_number if cc is None or phone_number.startswith(cc) else cc + phone_number
    if len(digits) > _MOST_DIGITS:
        raise InvalidArgumentError(
            "phone_number", "at most 15 digits long together with cc", len(digits), hint="check that cc belongs to it"
        )
    return digits


def shortest_form(digits: str) -> str:
    """Return a number without the digits that the API may leave out. It is the same for all forms of one number."""
    for pattern in _MAY_LACK:
        if parts := pattern.fullmatch(digits):
            return "".join(parts.groups())
    return digits


def likeness(digits: str, displayed: str) -> Likeness | None:
    """Compare a displayed number with these digits; `None` if it is another number.

    Args:
        digits: All digits of the number, country code first.
        displayed: A number as the API shows it.
    """
    other = read_digits(displayed)
    if other == digits:
        return "exact"
    return "loose" if shortest_form(other) == shortest_form(digits) else None


def missing_code(digits: str, displayed: str) -> str | None:
    """Return the country code that these digits lack to be a displayed number; `None` if no code makes them equal.

    Args:
        digits: The digits of a number, perhaps without its country code.
        displayed: A number as the API shows it.
    """
    codes = (read_digits(displayed)[:length] for length in (1, 2, 3))
    return next((code for code in codes if likeness(code + digits, displayed)), None)


def alike(digits: str, numbers: Iterable[PhoneNumber]) -> list[PhoneNumber]:
    """Return the numbers that are exactly alike; if there is none, those that are loosely alike."""
    found: dict[Likeness | None, list[PhoneNumber]] = {"exact": [], "loose": [], None: []}
    for number in numbers:
        found[likeness(digits, number.display_phone_number or "")].append(number)
    return found["exact"] or found["loose"]
