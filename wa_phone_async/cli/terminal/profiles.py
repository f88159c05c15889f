"""Business profiles for people and for programs."""

from __future__ import annotations

from typing import Any, Final, cast

from wa_phone_async import BusinessProfile, NumberProfile, WaPhoneError, to_dict
from wa_phone_async.cli.errors import sentence
from wa_phone_async.export.rows import Columns

from .edits import shown
from .output import complain
from .rows import RowView, view_in
from .writers import Format

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

_HIDDEN: Final = ("messaging_product", "profile_picture_url")
"""What is not for people: what is always the same, and a long URL that expires."""


def view_of(form: Format) -> RowView[NumberProfile]:
    """Make what writes profiles in a format."""
    return view_in(form, COLUMNS, _row, _text)


def _text(found: NumberProfile) -> str:
    head = " ".join(filter(None, (found.phone_number_id, found.display_phone_number)))
    profile = cast("BusinessProfile", found.profile)
    members = {name: value for name, value in to_dict(profile).items() if name not in _HIDDEN}
    return f"{head}: {shown(members) or 'nothing is set'}"


def say_failed(found: NumberProfile) -> None:
    """Say that a profile, or the numbers of an account, could not be read."""
    complain(f"{found.phone_number_id or found.waba_id}: {sentence(cast('WaPhoneError', found.error))}")


def _row(found: NumberProfile) -> dict[str, Any]:
    profile = cast("BusinessProfile", found.profile)
    named = {"waba_id": found.waba_id, "id": found.phone_number_id, "display_phone_number": found.display_phone_number}
    members = {name: getattr(profile, name) for name in COLUMNS if name not in named}
    websites = None if profile.websites is None else list(profile.websites)
    return {**named, **members, "websites": websites, "extra": dict(profile.extra) or None}
