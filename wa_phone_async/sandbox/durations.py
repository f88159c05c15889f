"""Lengths of time, in seconds and in the words of an error."""

import math

HOUR = 3600.0
"""Seconds."""


def in_words(seconds: float) -> str:
    """Write a length of time in words, rounded up to a whole second: `11 hours 59 minutes 1 second`."""
    left = math.ceil(seconds)
    words: list[str] = []
    for unit, length in (("hour", 3600), ("minute", 60), ("second", 1)):
        count, left = divmod(left, length)
        if count:
            words.append(f"{count} {unit}{'s' * (count > 1)}")
    return " ".join(words)
