"""Phone numbers: read what a caller writes, and tell which displayed number it is.

A create takes a number with or without its country code, beside `cc` (Meta's guide to registering numbers, read
2026-11-22). Digits alone do not tell which of the two it is: with `cc=91`, `9123456789` is +91 91234 56789 or
+91 23456789. So a number has one or two readings, and nothing here chooses between them.

`display_phone_number` comes in many formats, such as `+1 631-555-5555` and bare digits. It may lack digits that were
registered. A published capture shows this for the ninth digit of a Brazilian mobile number (read 2026-11-22). People
say the same of the 1 in Mexican and the 9 in Argentine mobile numbers. No capture shows these two, so they are a guess.
It is the safe one: without it, a number that is there could be created again. In all other cases, other digits are
another number.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final, Literal, SupportsIndex

import attrs

from .errors import InvalidArgumentError
from .models import PhoneNumber

Likeness = Literal["exact", "loose"]
"""How alike two numbers are. `exact`: all digits are equal. `loose`: all but those that the API may leave out."""

_MAY_LACK: Final = (
    # Brazil: country, area, 9 and eight digits. Eight digits that begin with 2 to 5 are a fixed line, another number.
    re.compile(r"(55[1-9][0-9])9([6-9][0-9]{7})"),
    # Mexico: country, 1 for a mobile number, and ten digits.
    re.compile(r"(52)1([2-9][0-9]{9})"),
    # Argentina: country, 9 for a mobile number, and ten digits: the area codes are 11 and those from 220 to 3999.
    re.compile(r"(54)9((?:11|[23][0-9])[0-9]{8})"),
)
"""Numbers that the API may show without some digits. These digits stand between the two groups of a pattern."""

_KEEPS_ZERO: Final = frozenset({"39", "225", "226", "229", "242", "378", "992"})
"""Countries where a national number may begin with 0, and keeps it behind the country code. Italy and Ivory Coast are
the best known (metadata of Google's libphonenumber 9.0.43, read 2026-11-28)."""

_DIAL_CODE: Final = re.compile(
    r"1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|[2-9][0-9]{2}"  # ITU-T E.164: none begins another
)
_FULL_WIDTH: Final = {0xFF01 + offset: 0x21 + offset for offset in range(94)}  # as Japanese keyboards type ASCII

_MIN_DIGITS: Final = 7  # the pattern in Meta's v23.0 OpenAPI description, read 2026-11-22
_MAX_DIGITS: Final = 15  # E.164
_EXPECTED: Final = "7 to 15 digits, such as '16315551000' or '+1 (631) 555-1000'"
_CODE_EXPECTED: Final = "a country's dial code of 1 to 3 digits, such as '1' or '+44'"
_SHAPE: Final = re.compile(r"\+? *[0-9](?:[ .-]*[0-9])*")
_FAULTS: Final = (  # the first that is found in a number names what is wrong
    (r"[0-9][.,]?[0-9]*e[+-]?[0-9]+$", "a spreadsheet rounded it: format the column as text"),
    (r"(?:ext|extn|extension|x|#)[ .:=]*[0-9]+$", "an extension cannot be registered: leave it out"),
    (r"[^\W\d_]", "it has letters: write digits"),
    (r"[^\x00-\x7f]", "it has characters that are not ASCII: write the digits 0 to 9"),
    (r"[,;/|\n\r\t]", "it may be several numbers: give one, with blanks or hyphens between its digits"),
    (r"^[^.]*\.[^.]*$", "a single dot may be a decimal point: leave it out, and format the column as text"),
    (r"[0-9].*\+", "a + may stand only before the country code"),
    (r"^\(?-", "it begins with a minus sign"),
)


@attrs.frozen
class GivenNumber:
    """A phone number as a caller gave it: what to send, and which numbers it may be."""

    digits: str
    """What the API takes: digits alone, 7 to 15, the first not 0."""
    cc: str | None
    """The country's dial code, digits. `None`: it was not given."""
    readings: tuple[str, ...]
    """All digits of each number that this may be, country code first. There are one or two."""
    has_code: bool
    """Whether each reading is known to include the country code: there was a `+`, or `cc` was given."""


def read_phone_number(phone_number: object, cc: object = None) -> GivenNumber:
    """Read a phone number and the dial code of its country.

    Args:
        phone_number: The number, with or without its country code. It may begin with `+`, and have blanks, hyphens,
            parentheses or several dots between its digits.
        cc: The dial code of the country, with or without `+`. `None`: the number has it.

    Raises:
        InvalidArgumentError: One of them is invalid, or they disagree.
    """
    code = None if cc is None else _read_dial_code(cc)
    if not isinstance(phone_number, str):
        hint = f"pass a string, since a value of the type {type(phone_number).__name__} may have lost digits or a +"
        raise InvalidArgumentError("phone_number", _EXPECTED, phone_number, hint=hint)
    text = _plain(phone_number)
    digits = read_digits(text)
    has_plus = text.lstrip("( ").startswith("+")
    known = dial_code(digits) if has_plus else code
    _check_shape(phone_number, text, keeps_zero=known in _KEEPS_ZERO)
    if has_plus and code is not None and known != code:
        raise InvalidArgumentError(
            "phone_number",
            f"a number of the country code {code}, as cc says",
            phone_number,
            hint=f"its + is followed by {known or 'no country code'}; correct one of them",
        )
    readings: tuple[str, ...]
    if digits.startswith("0"):
        # The API takes no leading 0 (the pattern in Meta's v23.0 OpenAPI description, read 2026-11-22).
        if digits.startswith("00") or has_plus or code not in _KEEPS_ZERO:
            raise InvalidArgumentError("phone_number", _EXPECTED, phone_number, hint=_about_zero(digits))
        digits = f"{code}{digits}"
        readings = (digits,)
    elif has_plus or code is None:
        readings = (digits,)
    else:
        readings = ((digits,) if digits.startswith(code) else ()) + (code + digits,)
    if not _MIN_DIGITS <= len(digits) <= _MAX_DIGITS:
        raise InvalidArgumentError("phone_number", _EXPECTED, phone_number, hint=f"it has {len(digits)}")
    # Only the last reading can be too long, since it has the country code before the digits.
    if possible := readings if len(readings[-1]) <= _MAX_DIGITS else readings[:-1]:
        return GivenNumber(digits, code, possible, has_code=has_plus or code is not None)
    raise InvalidArgumentError(
        "phone_number",
        "at most 15 digits long together with cc",
        len(readings[0]),
        hint="check that cc belongs to it",
    )


def _check_shape(phone_number: str, text: str, *, keeps_zero: bool) -> None:
    """Reject what is no number, or may be two, by its name."""
    for pattern, hint in _FAULTS:
        if re.search(pattern, text, re.IGNORECASE):
            raise InvalidArgumentError("phone_number", _EXPECTED, phone_number, hint=hint)
    if re.search(r"\( *0", text) and (not keeps_zero or re.search(r"\( *0+ *\)", text)):
        hint = "a 0 in parentheses is dialled only within the country: leave it out"
        raise InvalidArgumentError("phone_number", _EXPECTED, phone_number, hint=hint)
    open_text = re.sub(r"\( *(\+? *[0-9](?:[ .-]*[0-9])*) *\)", r" \1 ", text).strip()
    if not _SHAPE.fullmatch(open_text):
        hint = "it may have +, digits, and blanks, hyphens, dots or pairs of parentheses between them"
        raise InvalidArgumentError("phone_number", _EXPECTED, phone_number, hint=hint)


def _about_zero(digits: str) -> str:
    if digits.startswith("00"):
        return "it begins with 00: write + before the country code"
    return "it begins with 0, which is dialled only within the country: leave it out"


def _read_dial_code(cc: object) -> str:
    """Return a dial code as the API takes it, without `+`."""
    given = cc
    # A string first, since `isinstance` takes many times as long for a protocol.
    if not isinstance(cc, str) and isinstance(cc, SupportsIndex) and not isinstance(cc, bool):
        given = str(cc.__index__())
    code = re.fullmatch(r"\+? *([1-9][0-9]{0,2})", _plain(given)) if isinstance(given, str) else None
    if code is None:
        raise InvalidArgumentError("cc", _CODE_EXPECTED, cc)
    return code[1]


def _plain(text: str) -> str:
    """Return a text with ASCII for full-width characters, blanks and hyphens, without marks that nobody sees."""
    if text.isascii():  # as mostly: nothing to replace
        return text.strip()
    characters = (
        "" if category == "Cf" else " " if category == "Zs" else "-" if category == "Pd" or each == "\u2212" else each
        for each in text.translate(_FULL_WIDTH)
        if (category := unicodedata.category(each))
    )
    return "".join(characters).strip()


def read_digits(text: str) -> str:
    """Return the digits of a number, whatever else is in it."""
    return re.sub(r"[^0-9]", "", text)


def dial_code(digits: str) -> str | None:
    """Return the country code with which all digits of a number begin; `None` if no country has it."""
    code = _DIAL_CODE.match(digits)
    return code and code[0]


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


def alike(readings: Iterable[str], numbers: Iterable[PhoneNumber]) -> list[PhoneNumber]:
    """Return the numbers that may be one that was given.

    Each reading counts by itself: the numbers that are exactly alike, or else those that are loosely alike. A number
    that is listed twice, since pages shift, is returned once.

    Args:
        readings: All digits of each number that it may be, country code first.
        numbers: Numbers as they are listed.
    """
    listed = {number.id: number for number in numbers}
    found = dict[str, PhoneNumber]()
    for digits in readings:
        by_likeness: dict[Likeness | None, list[PhoneNumber]] = {"exact": [], "loose": [], None: []}
        for number in listed.values():
            by_likeness[likeness(digits, number.display_phone_number or "")].append(number)
        found.update((number.id, number) for number in by_likeness["exact"] or by_likeness["loose"])
    return list(found.values())
