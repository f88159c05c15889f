"""The members of a POST that creates a phone number (Meta's reference and guide to registering, read 2026-11-22)."""

import re
from collections.abc import Mapping
from typing import Any

import attrs

from .messages import rejected

_NAME_LENGTHS = (2, 75)  # Meta's v23.0 OpenAPI description


@attrs.frozen
class NewNumber:
    """A number to create."""

    digits: str
    """All digits, with the country code."""
    verified_name: str
    is_preverified: bool


def read_new_number(members: Mapping[str, Any]) -> NewNumber:
    """Read and check the members of a POST.

    The reference wants the whole number. The guide accepts it with or without its country code. So a number that begins
    with `cc` counts as whole.

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
    digits = number if number.startswith(country) else country + number
    return NewNumber(digits, name, is_preverified=bool(members.get("preverified_id")))


def _matching(members: Mapping[str, Any], name: str, pattern: str, wanted: str) -> str:
    value = members.get(name)
    if value is None:
        raise rejected(f"The parameter {name} is required.")
    if not re.fullmatch(pattern, str(value)):
        raise rejected(f"Param {name} must be {wanted}")
    return str(value)
