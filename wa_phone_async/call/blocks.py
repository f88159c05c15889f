"""How long a refusal blocks one number, where Meta says so: for guesses, codes and registrations.

Meta's page of WhatsApp error codes, read 2026-11-22: of 133008 and 133009 the wait stands in the details, 133015 lasts
5 minutes and 133016 72 hours. 136024/2388091 asks to wait one hour (a diary of July 2026). No other call is concerned.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

_BLOCKS: Final = frozenset({133008, 133009, 133015, 133016, 136024, 136025})

_KNOWN: Final[Mapping[tuple[int, int | None], float]] = {
    (133015, None): 300.0,
    (133016, None): 72 * 3600.0,
    (136024, 2388091): 3600.0,
}
"""Seconds that a code with a subcode means, or a code with any."""

# The wording is nowhere fixed, and may be in the language of the user.
_COUNT = r"(?<![\d.,])(\d{1,6}(?:[.,]\d{1,3})?)"
_UNIT = r"(d(?:ays?|[ií]as?)?|h(?:(?:ou)?rs?|oras?)?|m(?:in\w{0,8})?|s(?:e[cg]\w{0,8})?)\b"
_PART = rf"{_COUNT}\s*{_UNIT}"
_PARTS: Final = re.compile(_PART, re.IGNORECASE)
_SPAN: Final = re.compile(rf"{_PART}(?:(?:\s|,|and|e|y){{0,5}}{_PART}){{0,3}}", re.IGNORECASE)
_CLOCK: Final = re.compile(r"\b(\d{1,3}):(\d\d):(\d\d)\b")
_LONGEST: Final = 366 * 86_400.0  # more is no wait
_SECONDS: Final[Mapping[str, float]] = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0}


def read_block(code: int | None, subcode: int | None, error: Mapping[str, Any]) -> float | None:
    """The seconds for which a refusal blocks its number: the longest wait in its texts, or what its code means.

    Args:
        code: Its code.
        subcode: Its subcode.
        error: The error as it came.
    """
    if code is None or code not in _BLOCKS:
        return None
    said = max((wait for text in _texts(error) for wait in _waits(text) if wait <= _LONGEST), default=0.0)
    return said or _KNOWN.get((code, subcode)) or _KNOWN.get((code, None))


def _texts(error: Mapping[str, Any]) -> Iterator[str]:
    """The texts that may say a wait; a bare number in the details is one of seconds."""
    details: Any = error.get("error_data")
    if isinstance(details, dict):
        details = cast("dict[str, Any]", details).get("details")
    if isinstance(details, int | str) and not isinstance(details, bool):
        yield f"{details} s" if re.fullmatch(r"\d{1,6}", str(details).strip()) else str(details)
    for name in ("error_user_msg", "message"):
        if isinstance(error.get(name), str):
            yield error[name]


def _waits(text: str) -> Iterator[float]:
    """Every length of time in a text, in seconds."""
    for span in _SPAN.finditer(text):
        parts = _PARTS.findall(span[0])
        yield sum(float(count.replace(",", ".")) * _SECONDS[unit[0].lower()] for count, unit in parts)
    for hours, minutes, seconds in _CLOCK.findall(text):
        yield 3600.0 * int(hours) + 60.0 * int(minutes) + int(seconds)
