"""How long somebody has to wait, as an error says it."""

import math

HOUR = 3600.0
"""Seconds."""


def written_wait(seconds: float) -> str:
    """Write seconds in words, none of them too few: `11 hours 59 minutes 1 second`."""
    left = math.ceil(seconds)
    words: list[str] = []
    for unit, length in (("hour", 3600), ("minute", 60), ("second", 1)):
        count, left = divmod(left, length)
        if count:
            words.append(f"{count} {unit}{'s' * (count > 1)}")
    return " ".join(words)
