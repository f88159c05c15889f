"""The members of a POST that creates a phone number (Meta's reference and guide to registering, read 2026-11-22)."""

import re
from collections.abc import Mapping
from typing import Any

import attrs

from .messages import rejected

_NAME_LENGTHS = (2, 75)  # Meta's v23.0 OpenAPI description
_MOST_DIGITS = 15  # E.164
_SHORTEST = {  # digits of a national number, where they are known (Google's libphonenumber 9.0.43, read 2026-11-28)
    10: "1 7 30 52 54 55 57 58 63 86 90 91 92 225 229 234",
    9: "27 31 33 34 39 40 41 44 48 51 56 61 66 81 82 84 94 212 221 233 244 251 254 255 256 351 380 420 593 971 998",
    8: "32 36 45 46 47 60 64 65 216 226 353 502 503 506 591 595 598 852 853 886 965 968 972 973 974",
}
_NATIONAL_DIGITS = {code: digits for digits, codes in _SHORTEST.items() for code in codes.split()}
_FEWEST_ELSEWHERE = 7


@attrs.frozen
class NewNumber:
    """A number to create."""

    digits: str
    """All digits, with the country code."""
    readings: tuple[str, ...]
    """All digits of each number that the members may mean: one, or two. `digits` is the likelier one."""
    verified_name: str
    is_preverified: bool


def read_new_number(members: Mapping[str, Any]) -> NewNumber:
    """Read and check the members of a POST.

    The reference wants the whole number. The guide accepts it with or without its country code. Meta does not say how
    it tells the two apart, so this is a guess: a number that begins with `cc` counts as whole if the rest is as long as
    a national number of that country.

    Raises:
        RejectedError: A member is missing or invalid.
    """
    number = _matching(members, "phone_number", r"[1-9][0-9]{6,14}", "digits without + or blanks")
    country = ""
    if members.get("cc") is not None:
        country = _matching(members, "cc", r"[0-9]{1,3}", "one to three digits")
    # A number that migrates has a name already, so its name may be left out.
    migrates = str(members.get("migrate_phone_number", "")).lower() == "true"
    name = str(members.get("verified_name", ""))
    if not (_NAME_LENGTHS[0] <= len(name) <= _NAME_LENGTHS[1] or (migrates and not name)):
        raise rejected("The parameter verified_name is required, with 2 to 75 characters")
    readings = _readings(number, country)
    return NewNumber(readings[0], readings, name, is_preverified=bool(members.get("preverified_id")))


def _readings(number: str, country: str) -> tuple[str, ...]:
    """Return all digits of each number that was possibly meant, the likelier one first."""
    national = country + number
    if not country or not number.startswith(country):
        return (national,)
    if len(national) > _MOST_DIGITS:
        return (number,)
    is_whole = len(number) - len(country) >= _NATIONAL_DIGITS.get(country, _FEWEST_ELSEWHERE)
    return (number, national) if is_whole else (national, number)


def _matching(members: Mapping[str, Any], name: str, pattern: str, wanted: str) -> str:
    value = members.get(name)
    if value is None:
        raise rejected(f"The parameter {name} is required.")
    if not re.fullmatch(pattern, str(value)):
        raise rejected(f"Param {name} must be {wanted}")
    return str(value)
