"""Words that are almost known ones: a value, a field or an order with a typing error.

For a wrong value of a filter, the API may send no rows and no error, which looks like a true result. That is a guess:
no source says what it does. So a word that is almost a known one is an error here. Any other word is sent as it is,
since Meta adds values and fields without notice.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from .errors import InvalidArgumentError

_SHORTEST: Final = 4
"""Letters of the shortest word that is guessed. A shorter one, such as `NA` or `id`, is too much like other words."""


def known_spelling(text: str, known: Iterable[str], *, argument: str, expected: str) -> str:
    """Return a known word if `text` differs from it at most in case, and else `text` itself.

    Args:
        text: The word as it was given.
        known: The known words, in the spelling of the API.
        argument: The name of the argument, for the error.
        expected: What the argument must be, for the error.

    Raises:
        InvalidArgumentError: The word is almost a known one.
    """
    words = dict.fromkeys(known)
    if text in words:
        return text
    folded = text.casefold()
    for word in words:
        if word.casefold() == folded:
            return word
    if near := [str(word) for word in words if len(word) >= _SHORTEST and _is_near(folded, word.casefold())]:
        raise InvalidArgumentError(argument, expected, text, hint=f"did you mean {' or '.join(near)}?")
    return text


def _is_near(text: str, word: str) -> bool:
    """Whether one letter is added, left out or replaced, or two neighbours are swapped.

    A digit is never a typing error: `TIER_1K` and `TIER_10K` are two values.
    """
    shorter = min(len(text), len(word))
    start = next((i for i in range(shorter) if text[i] != word[i]), shorter)
    end = next((i for i in range(shorter - start) if text[-1 - i] != word[-1 - i]), shorter - start)
    given, meant = text[start : len(text) - end], word[start : len(word) - end]
    if any(character.isdigit() for character in given + meant):
        return False
    is_one = len(given) <= 1 and len(meant) <= 1
    return is_one or (len(given) == 2 and given == meant[::-1])
