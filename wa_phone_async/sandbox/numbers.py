"""What a POST must say to make a phone number (Meta's reference and its guide to registering, read 2026-11-22)."""

import re
from collections.abc import Mapping
from typing import Any

import attrs

from .messages import invalid

_NAME_LENGTHS = (2, 75)  # Meta's v23.0 OpenAPI description


@attrs.frozen
class NewNumber:
    """A number to be made."""

    digits: str
    """All its digits, country code first."""
    verified_name: str
    is_preverified: bool


def read_new_number(members: Mapping[str, Any]) -> NewNumber:
    """Read and check the members of a POST, or refuse it.

    The reference wants the whole number, the guide takes it with or without its country code. A number that begins
    with `cc` is taken as whole.
    """
    number = _matching(members, "phone_number", r"[1-9][0-9]{6,14}", "digits without + or blanks")
    country = ""
    if members.get("cc") is not None:
        country = _matching(members, "cc", r"[0-9]{1,3}", "one to three digits")
    migrates = str(members.get("migrate_phone_number", "")).lower() == "true"
    name = str(members.get("verified_name", ""))
    if not (_NAME_LENGTHS[0] <= len(name) <= _NAME_LENGTHS[1] or (migrates and not name)):
        raise invalid("The parameter verified_name is required, with 2 to 75 characters")
    digits = number if number.startswith(country) else country + number
    return NewNumber(digits, name, is_preverified=bool(members.get("preverified_id")))


def _matching(members: Mapping[str, Any], name: str, pattern: str, wanted: str) -> str:
    value = members.get(name)
    if value is None:
        raise invalid(f"The parameter {name} is required.")
    if not re.fullmatch(pattern, str(value)):
        raise invalid(f"Param {name} must be {wanted}")
    return str(value)
