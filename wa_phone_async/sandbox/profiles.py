"""Business profiles: the edge `whatsapp_business_profile` of a number.

The members, their limits and the categories of the reference are from Meta's pages "Business profiles" (November 2025,
June 2026) and their older copies. What the live service rejects beyond that, and the texts of its errors, are from
public programs: an empty `about` is error 131000, and an empty `vertical` or `UNDEFINED` is error 100. All were read
2026-11-28. The texts for websites and for mail addresses are guesses.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from .codes import read_member
from .data import NUMBERS_PER_ACCOUNT, Row
from .messages import is_array, rejected
from .modes import Mode
from .query import read_profile_fields

DEFAULT_ABOUT = "Hey there! I am using WhatsApp."
"""What a new number says of itself, as a guess: new numbers of the app say so."""

_LONGEST = {"address": 256, "description": 512, "email": 128}
_LONGEST_ABOUT = 139
_LONGEST_WEBSITE = 256
_MOST_WEBSITES = 2

_VERTICALS = (
    *("OTHER", "AUTO", "BEAUTY", "APPAREL", "EDU", "ENTERTAIN", "EVENT_PLAN", "FINANCE", "GROCERY", "GOVT", "HOTEL"),
    *("HEALTH", "NONPROFIT", "PROF_SERVICES", "RETAIL", "TRAVEL", "RESTAURANT"),
)
_LIVE_VERTICALS = (
    *_VERTICALS,
    *("ALCOHOL", "ONLINE_GAMBLING", "PHYSICAL_GAMBLING", "OTC_DRUGS", "MATRIMONY_SERVICE"),
)
_REFERENCE_VERTICALS = ("UNDEFINED", *_VERTICALS, "NOT_A_BIZ", "")


class Profiles:
    """The profiles of numbers. They are made when they are first read, the same in each sandbox.

    Args:
        mode: How the Graph API behaves.
    """

    def __init__(self, mode: Mode) -> None:
        self._mode = mode
        self._changes: dict[str, Row] = {}

    def change(self, number: str, members: Mapping[str, Any]) -> None:
        """Change members of a profile, whatever they are."""
        self._changes[number] = {**self._changes.get(number, {}), **members}

    def read(self, number: str, query: Mapping[str, str]) -> Row:
        """Carry out a GET. A member that is empty is left out of the row."""
        profile = {**_seeded(int(number) % NUMBERS_PER_ACCOUNT), **self._changes.get(number, {})}
        names = [field.name for field in read_profile_fields(query, profile)]
        members = {name: profile[name] for name in names if profile.get(name) not in (None, "", [])}
        return {"data": [{**members, "messaging_product": "whatsapp"}]}

    def write(self, number: str, members: Mapping[str, Any]) -> Row:
        """Carry out a POST. A member that it does not have stays as it is.

        Raises:
            RejectedError: A member is invalid. Then none changes.
        """
        read_member(members, "messaging_product", "whatsapp")
        changes: Row = {}
        if "about" in members:
            changes["about"] = self._about(members["about"])
        for name, longest in _LONGEST.items():
            if name in members:
                changes[name] = _text(name, members[name], longest)
        if changes.get("email") and not re.fullmatch(r"[^\s@]+@[^\s@]+\.[^\s@]+", changes["email"]):
            raise rejected("Param email must be a valid email address")
        if "websites" in members:
            changes["websites"] = _websites(members["websites"])
        if "vertical" in members:
            changes["vertical"] = self._vertical(members["vertical"])
        if "profile_picture_handle" in members:
            handle = read_member(members, "profile_picture_handle", r"\S+")
            changes["profile_picture_url"] = f"https://pps.whatsapp.net/v/{handle[-8:]}"
        self.change(number, changes)
        return {"success": True}

    def _about(self, value: object) -> str:
        if value == "" and self._mode.name == "live":
            raise rejected("Something went wrong", status=500, code=131000)
        if not (isinstance(value, str) and 1 <= len(value) <= _LONGEST_ABOUT):
            raise rejected(f"Param about must be a string of length 1-{_LONGEST_ABOUT}")
        return value

    def _vertical(self, value: object) -> str:
        known = _LIVE_VERTICALS if self._mode.name == "live" else _REFERENCE_VERTICALS
        if not (isinstance(value, str) and value in known):
            allowed = ", ".join(filter(None, known))
            raise rejected(f'Param vertical must be one of {{{allowed}}} - got "{value}".')
        return value


def _seeded(index: int) -> Row:
    """Make the profile of a number: one of three has all members, one some, and one only what Meta sets."""
    if index % 3 == 2:
        return {"about": DEFAULT_ABOUT}
    shop: Row = {"about": "Made by hand since 1950", "email": f"shop{index}@example.com", "vertical": "RETAIL"}
    if index % 3:
        return shop
    return {
        **shop,
        "address": f"{index + 1} Invented Lane, Sampleton",
        "description": "We sell what we invent.",
        "profile_picture_url": f"https://pps.whatsapp.net/v/picture{index}",
        "websites": [f"https://shop{index}.example.com/"],
    }


def _text(name: str, value: object, longest: int) -> str:
    if not (isinstance(value, str) and len(value) <= longest):
        raise rejected(f"Param {name} must be a maximum of {longest} characters")
    return value


def _websites(value: object) -> list[str]:
    """Read websites: an array, or its JSON as a text, as in the sample of Meta's page. A slash is added to a host."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = [value]
    if not is_array(value) or len(value) > _MOST_WEBSITES:
        raise rejected(f"Param websites must be an array of at most {_MOST_WEBSITES} URLs")
    sites = list[str]()
    for site in value:
        parts = re.fullmatch(r"(https?://[^/?#\s]+)([/?#]\S*)?", site) if isinstance(site, str) else None
        if parts is None or len(parts[0]) > _LONGEST_WEBSITE:
            raise rejected(f"Param websites must have URLs of at most {_LONGEST_WEBSITE} characters")
        sites.append(parts[1] + (parts[2] or "/"))
    return sites
