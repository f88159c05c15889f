"""Business profiles for people and for programs."""

from __future__ import annotations

import sys
from typing import Any, Final, Literal, cast

from wa_phone_async import BusinessProfile, NumberProfile, WaPhoneError, to_dict
from wa_phone_async.cli.errors import sentence
from wa_phone_async.export.rows import Columns
from wa_phone_async.redaction import printable

from .edits import shown
from .output import broken, complain, spell_out_unknown, terminal_width, write
from .rows import RowView, rows_in

COLUMNS: Final[Columns] = {
    "waba_id": str,
    "id": str,
    "display_phone_number": str,
    "about": str,
    "address": str,
    "description": str,
    "email": str,
    "websites": dict,
    "vertical": str,
    "profile_picture_url": str,
    "extra": dict,
}
"""The members of a profile as an object or a row. Its number is named as in exports, so `--ids` takes the file."""

_INDENT: Final = " " * 8
_HIDDEN: Final = ("messaging_product", "profile_picture_url")
"""What is not for people: what is always the same, and a long URL that expires."""


class TextProfiles:
    """Profiles for people: a line each in a pipe, and lines that fit the width on a terminal."""

    def __init__(self) -> None:
        self._width = terminal_width(sys.stdout)
        spell_out_unknown()

    def show(self, found: NumberProfile) -> None:
        """Write a profile."""
        head = " ".join(filter(None, (found.phone_number_id, found.display_phone_number)))
        profile = cast("BusinessProfile", found.profile)
        members = {name: value for name, value in to_dict(profile).items() if name not in _HIDDEN}
        text = printable(f"{head}: {shown(members) or 'nothing is set'}")
        lines = [text] if self._width is None else broken(text, self._width, later=_INDENT)
        write("".join(f"{line}\n" for line in lines))

    def end(self) -> None:
        """Do nothing: lines have no end."""


def view_of(form: Literal["table", "json", "jsonl", "csv"]) -> RowView[NumberProfile]:
    """Make what writes profiles in a format."""
    return TextProfiles() if form == "table" else rows_in(form, COLUMNS, _row)


def say_failed(found: NumberProfile) -> None:
    """Say that a profile, or the numbers of an account, could not be read."""
    complain(f"{found.phone_number_id or found.waba_id}: {sentence(cast('WaPhoneError', found.error))}")


def _row(found: NumberProfile) -> dict[str, Any]:
    profile = cast("BusinessProfile", found.profile)
    named = {"waba_id": found.waba_id, "id": found.phone_number_id, "display_phone_number": found.display_phone_number}
    members = {name: getattr(profile, name) for name in COLUMNS if name not in named}
    websites = None if profile.websites is None else list(profile.websites)
    return {**named, **members, "websites": websites, "extra": dict(profile.extra) or None}
