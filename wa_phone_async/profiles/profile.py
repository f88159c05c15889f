"""One business profile: how it is read, which values Meta takes, and the write that sets them.

`GET` and `POST /{phone_number_id}/whatsapp_business_profile`. An update changes the members that it has, and no others.
Sources, all read 2026-11-28:

- Meta's two pages "Business profiles" of the Cloud API (copies of 4 November 2025, 16 and 30 June 2026) have the
  members and their limits. Older copies, and Meta's Postman collection, limit `description` to 256 characters.
- Without `fields`, the response has `messaging_product` alone (captured by a public program).
- An empty text clears `address`, `description` and `email`, and `[]` clears `websites` (dualhook.com/docs, and a public
  program that tried each member). An empty `about` is rejected with code 131000, and Meta's page says so too. An empty
  `vertical` is allowed by Meta's page, and rejected with code 100 according to three public programs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias, TypedDict, cast
from urllib.parse import urlsplit

from wa_phone_async.call.writes import Write
from wa_phone_async.checks import split_url
from wa_phone_async.decoding.converter import from_dict
from wa_phone_async.errors import DecodeError, InvalidArgumentError
from wa_phone_async.models import BusinessProfile, BusinessVertical, Page
from wa_phone_async.query import list_params
from wa_phone_async.session import GraphSession

EDGE: Final = "whatsapp_business_profile"
PROFILE_FIELDS: Final = ("about", "address", "description", "email", "profile_picture_url", "websites", "vertical")
"""The fields of a profile. `messaging_product` comes with them."""
SETTINGS: Final = ("about", "address", "description", "email", "websites", "vertical")
"""What an update can set and a read shows. The picture is set by a handle, which no read shows."""
NEVER_CLEARED: Final = frozenset({"about", "vertical"})
"""What cannot be made empty again once it is set."""

_LONGEST: Final[Mapping[str, int]] = {"about": 139, "address": 256, "description": 512, "email": 128}
_LONGEST_WEBSITE: Final = 256
_MOST_WEBSITES: Final = 2

Websites: TypeAlias = str | Iterable[str]
"""The URLs of a profile: one, or up to two. Empty: none."""


class ProfileChanges(TypedDict, total=False):
    """The settings to change. One that is missing or `None` stays as it is."""

    about: str | None
    address: str | None
    description: str | None
    email: str | None
    websites: Websites | None
    vertical: BusinessVertical | str | None


def read_changes(changes: ProfileChanges) -> dict[str, Any]:
    """Check the settings to change, and return those that are given, as the API takes them.

    Raises:
        InvalidArgumentError: Meta would reject a value.
        TypeError: A profile has no such setting.
    """
    if unknown := changes.keys() - set(SETTINGS):
        raise TypeError(f"a business profile has no {', '.join(sorted(unknown))}; it has {', '.join(SETTINGS)}")
    return {name: _read_setting(name, value) for name, value in changes.items() if value is not None}


def check_not_empty(changes: Mapping[str, Any]) -> None:
    """Require at least one setting to change."""
    if not changes:
        raise InvalidArgumentError("about", "given, or another member of the profile", hint="nothing is to be changed")


def _read_setting(name: str, value: Any) -> str | list[str]:
    if name == "websites":
        return _read_websites(value)
    if name == "vertical":
        return _read_text(name, value, "a category such as 'RETAIL'").upper()
    text = _read_text(name, value, f"a text of at most {_LONGEST[name]} characters")
    if name == "about" and not text:
        hint = "it can be replaced, and not cleared"
        raise InvalidArgumentError("about", f"1 to {_LONGEST['about']} characters long", hint=hint)
    if len(text) > _LONGEST[name]:
        hint = f"it has {len(text)}"
        raise InvalidArgumentError(name, f"at most {_LONGEST[name]} characters long", hint=hint)
    if name == "email" and text and not re.fullmatch(r"[^\s@]+@[^\s@]+", text):
        raise InvalidArgumentError("email", "an address such as 'shop@example.com', or empty to clear it", value)
    return text


def _read_text(name: str, value: object, expected: str) -> str:
    """Return a text without blanks around it."""
    if not isinstance(value, str):
        raise InvalidArgumentError(name, expected, type(value))
    return value.strip()


def _read_websites(value: object) -> list[str]:
    expected = f"up to {_MOST_WEBSITES} URLs"
    if not isinstance(value, Iterable):
        raise InvalidArgumentError("websites", expected, cast("type[Any]", type(value)))
    given = [value] if isinstance(value, str) else cast("Iterable[object]", value)
    sites = [_read_text("websites", site, expected) for site in given]
    sites = list(filter(None, sites))  # an empty one clears them
    if len(sites) > _MOST_WEBSITES:
        raise InvalidArgumentError("websites", expected, hint=f"there are {len(sites)}")
    for site in sites:
        if re.search(r"\s", site) or split_url(site) is None:
            expected = "URLs that begin with http:// or https://, and have a host and no blanks"
            raise InvalidArgumentError("websites", expected, site)
        if len(site) > _LONGEST_WEBSITE:
            hint = f"one has {len(site)}"
            raise InvalidArgumentError("websites", f"at most {_LONGEST_WEBSITE} characters each", hint=hint)
    return sites


def update_profile(phone_number_id: str, changes: Mapping[str, Any]) -> Write:
    """Change members of a profile."""
    return Write(
        path=f"{phone_number_id}/{EDGE}",
        body={"messaging_product": "whatsapp", **changes},
        operation="update_business_profile",
        advice=f"The profile of {phone_number_id} may have changed: read it with get_business_profile. It is safe to "
        "set the same values again.",
        phone_number_id=phone_number_id,
    )


async def fetch_profile(
    session: GraphSession,
    phone_number_id: str,
    *,
    fields: Iterable[str] | str | None = None,
    waba_id: str | None = None,
    total_timeout: float | None = None,
) -> BusinessProfile:
    """Read a profile. The response is a list with one row.

    Raises:
        WaPhoneError: The API rejected the request, or no valid response came.
    """
    params = list_params(
        fields=PROFILE_FIELDS if fields is None else fields, filtering=None, sort=None, known_fields=PROFILE_FIELDS
    )
    page = await session.get(
        f"{phone_number_id}/{EDGE}", Page[BusinessProfile], params, waba_id=waba_id, total_timeout=total_timeout
    )
    if not page.data:
        raise DecodeError(f"the response for the profile of {phone_number_id} has no profile", http_status=200)
    profile = page.data[0]
    # Meta's Postman collection shows the members inside an object of this name (read 2026-11-28).
    nested: Any = profile.extra.get("business_profile")
    return profile if nested is None else from_dict(BusinessProfile, nested)


def settings_of(profile: BusinessProfile) -> dict[str, Any]:
    """Return the settings of a profile as plain JSON, each in a form in which it can be compared."""
    return comparable({name: getattr(profile, name) for name in SETTINGS})


def comparable(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings in a form in which they can be compared: Meta writes some another way than they were set.

    A setting that is empty is an empty text or list. A URL without a path gets a slash: Meta's page sets one without
    and reads it with one. That `UNDEFINED` means no category is a guess.
    """
    return {name: _comparable(name, value) for name, value in settings.items()}


def _comparable(name: str, value: Any) -> Any:
    if name == "websites":
        return [_with_path(site) for site in value or ()]
    if name == "vertical" and value == BusinessVertical.UNDEFINED:
        return ""
    return str(value or "").strip()


def _with_path(site: str) -> str:
    try:
        parts = urlsplit(site)
    except ValueError:  # it is Meta's, and may be anything
        return site
    return parts._replace(netloc=parts.netloc.lower(), path=parts.path or "/").geturl() if parts.netloc else site
