"""Keeps secrets out of all that people read: reprs, logs, error texts, tracebacks."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any, Final

HIDDEN: Final = "[hidden]"
_MAX_LEVELS: Final = 20
_MIN_CHARACTERS: Final = 4  # fewer characters appear in any text by chance


class Secret(str):
    """A string whose `repr` hides it. So it does not show among the local variables of a traceback.

    In all else it is a `str`, and aiohttp sends it as it is. A slice of it, or an f-string with it, is a plain string
    again: wrap such a string at once.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"'{HIDDEN}'"


class SecretBytes(bytes):
    """Bytes whose `repr` hides them, such as the body of a write with a code or a PIN."""

    def __repr__(self) -> str:
        return f"b'{HIDDEN}'"


def conceal(value: object) -> Secret:
    """Wrap a secret. What is no string becomes an empty `Secret`, which every check rejects.

    Call it first in a function, and assign the result to the parameter: then no traceback shows what was passed.
    """
    return Secret(value) if isinstance(value, str) else Secret()


def redact(
    value: dict[str, Any] | list[Any] | str | float | None, secrets: tuple[str, ...], *, levels: int = _MAX_LEVELS
) -> Any:
    """Hide every secret in every string of a JSON value. Use it for the texts of errors, never for data.

    It finds a secret as it is, percent-encoded, and in Base64, also as a part of what was encoded. It finds a secret of
    digits as a number, too.

    Args:
        value: The value.
        secrets: The secrets.
        levels: How deep to search. What is nested more deeply is hidden completely.
    """
    if isinstance(value, str):
        for secret in secrets:
            value = _hide(secret, value)
        return value
    if isinstance(value, dict | list) and not levels:
        return HIDDEN
    if isinstance(value, dict):
        return {redact(key, secrets): redact(item, secrets, levels=levels - 1) for key, item in value.items()}
    if isinstance(value, list):
        return [redact(item, secrets, levels=levels - 1) for item in value]
    if type(value) is int and any(secret.isdecimal() and int(secret) == value for secret in secrets):
        return HIDDEN
    return value


def _hide(secret: str, text: str) -> str:
    """Hide each form of a secret in a text."""
    for form in (secret, *_base64_forms(secret)):
        text = text.replace(form, HIDDEN)
    return re.sub(_percent_encoded(secret), HIDDEN, text) if "%" in text else text


def _percent_encoded(secret: str) -> str:
    """Return a pattern for a secret in a URL. Encoders differ in what they encode, and some encode twice."""
    escapes = ("".join(f"%(?:25)*(?:{byte:02X}|{byte:02x})" for byte in character.encode()) for character in secret)
    return "".join(f"(?:{re.escape(character)}|{escape})" for character, escape in zip(secret, escapes, strict=True))


def _base64_forms(secret: str) -> Iterator[str]:
    """Yield a secret in Base64: alone, and as a part of other data.

    Base64 encodes three bytes as four characters. So there are three forms of a part, for 0, 1 or 2 bytes before it in
    its triple. Only the characters that do not depend on the bytes around it are in a form.
    """
    data = secret.encode()
    for encode in (base64.standard_b64encode, base64.urlsafe_b64encode):
        yield encode(data).decode().rstrip("=")
        for before in range(3):
            first, end = -(-8 * before // 6), 8 * (before + len(data)) // 6
            if end - first >= _MIN_CHARACTERS:
                yield encode(bytes(before) + data).decode()[first:end]
