"""A plain value as JSON on one line."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any, Final

_JOINER: Final = "\N{ZERO WIDTH JOINER}"  # one emoji of several needs it


def to_json(value: Any) -> str:
    r"""A plain value as JSON on one line, with times in ISO 8601.

    What could move a cursor or turn the direction of text is an escape such as `\u202e`. It is the same JSON, and a
    terminal may show it.

    Raises:
        ValueError: A number is infinite or not a number, or a text has half of a surrogate pair. See `rows.offer`.
    """
    text = _encode(value)
    return text if text.isprintable() else _UNUSUAL.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    if character.isprintable() or character == _JOINER:
        return character
    character.encode()  # half of a surrogate pair raises: strict readers take it neither in UTF-8 nor as an escape
    return json.dumps(character)[1:-1]


_encode: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=datetime.isoformat).encode
_UNUSUAL: Final = re.compile("[^ -~]")
