"""Which fields a server does not have, read from the text of an API error. One unknown field fails a whole request.

The API has no code and no wording of its own for it. These texts were seen, and others are like them:

- `Tried accessing nonexisting field (X) on node type (Y)`: code 100, on the live service (measured 2026-09-09).
- `(#12) X field is deprecated for versions v2.8 and higher`: code 12, on other nodes of Graph (public code, read
  2026-11-28). No source has it for phone numbers.
- `The requested fields are not available for this account`: code 100, HTTP 422, in Meta's v23.0 OpenAPI description of
  this edge, read 2026-11-28. It names no field.
- `Invalid field requested. Available fields: name_status, code_verification_status`: code 100, in the same file for
  the node of a number.
"""

from __future__ import annotations

import re
from typing import Final

from wa_phone_async.models import ALL_FIELDS

_OURS: Final = tuple(name for name in ALL_FIELDS if name != "id")
"""The fields that a request can go without: all but the id."""

_OF_REFERENCE: Final = frozenset(
    {
        "display_phone_number",
        "verified_name",
        "status",
        "quality_rating",
        "country_code",
        "country_dial_code",
        "code_verification_status",
        "unified_cert_status",
        "account_mode",
        "host_platform",
        "messaging_limit_tier",
        "is_official_business_account",
        "username",
    }
)
"""The fields of Meta's v23.0 reference of this edge, read 2026-11-22."""

OUTSIDE_REFERENCE: Final = tuple(name for name in _OURS if name not in _OF_REFERENCE)
"""The fields of `ALL_FIELDS` that the reference does not have."""

_ALWAYS_LIVE: Final = frozenset({"name_status", "throughput", "last_onboarded_time"})
"""Fields outside the reference that the live service has on every version: Meta's guides and samples of this edge
have them (read 2026-11-22). A server without one of them is made from the reference."""


def all_missing(named: frozenset[str]) -> frozenset[str]:
    """Return all fields that a server does not have, if its error has named some of them.

    Graph names one field at a time. Without this rule, the first list would take a call for each.
    """
    return named | frozenset(OUTSIDE_REFERENCE) if named & _ALWAYS_LIVE else named


NODE_TYPE: Final = re.compile(r"on node type \((\w+)\)", re.IGNORECASE)
"""Graph's name for the type of the id in the path, in the text of an API error."""
_NONEXISTING: Final = re.compile(r"nonexisting fields? \(([\w, ]+)\)")
_OFFERS: Final = re.compile(
    r"\b(?:(?:available|supported|allowed|valid|known|accepted) (?:fields|values|names)|one of)\b(.*)", re.DOTALL
)
_OF_ANOTHER_PARAMETER: Final = re.compile(r"\bsort|\border by\b|filter|cursor")
_OF_FIELDS: Final = re.compile(r"\bfields?\b|deprecat")
_ARE_MISSING: Final = re.compile(
    r"(?:not|no longer) (?:be )?(?:available|supported|exist|found|valid)"
    r"|unavailable|invalid|unknown|unsupported|nonexist|unrecogni[sz]ed|deprecat|removed"
)
_LONGEST: Final = 10_000  # characters of a text that are read: Graph's own have some hundred
# A name is a whole word, and not the beginning of a sort order such as `creation_time.asc`.
_WORD: Final = re.compile(r"(?<![\w.])\w+(?!\.?\w)")


def is_of_another_node(text: str) -> bool:
    """Whether an API error says that the id in the path is not that of a phone number.

    The node of a number is a `WhatsAppBusinessPhoneNumber`. The rows of the list are
    `WhatsAppBusinessAccountToNumberCurrentStatus` (Meta's reference of the edge, read 2026-11-28). A number of the
    pre-verified pool has a type of its own, and almost none of the fields.
    """
    node = NODE_TYPE.search(text)
    return node is not None and ("number" not in node[1].lower() or "preverified" in node[1].lower())


def missing_fields(text: str) -> tuple[str, ...]:
    """Read which fields of `ALL_FIELDS` a server does not have.

    Args:
        text: The texts of an API error, as they were sent.

    Returns:
        The fields to leave out. It is `OUTSIDE_REFERENCE` if the text says that fields are missing and names none of
        ours. It is empty if the error has another reason.
    """
    # Graph's own text for code 12 can be two sentences without a blank: `… v2.0 and higherusername field is …`.
    text = text[:_LONGEST].lower().replace("higher", "higher ")
    if is_of_another_node(text):
        return ()
    if named := _NONEXISTING.search(text):
        return _named(named[1])
    if _OF_ANOTHER_PARAMETER.search(text):
        return ()
    if (offer := _OFFERS.search(text)) and (offered := _named(offer[1])):
        return tuple(name for name in _OURS if name not in offered)
    # Words such as `status` stand in other texts too, unless they are marked as a name.
    is_of_fields = _OF_FIELDS.search(text) is not None
    # Only the first sentence counts that names a field. A later one may name the field to request instead.
    for sentence in re.split(r"[.;:]\s|\buse\b", text):
        names = _named(sentence)
        if marked := tuple(n for n in names if is_of_fields or "_" in n or re.search(rf"[\"'`(]{n}[\"'`)]", sentence)):
            return marked
    return OUTSIDE_REFERENCE if re.search(r"\bfields?\b", text) and _ARE_MISSING.search(text) else ()


def _named(text: str) -> tuple[str, ...]:
    words = set(_WORD.findall(text))
    return tuple(name for name in _OURS if name in words)
