"""Keeping secrets out of everything that people read: reprs, logs, errors, tracebacks."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any, Final

HIDDEN: Final = "[hidden]"
_DEEPEST: Final = 20
_FEWEST_CHARACTERS: Final = 4  # fewer stand in any text by chance


class Secret(str):
    """A string whose `repr` hides it, so that no traceback's local variables show it.

    It is a `str` everywhere else: aiohttp puts it on the wire as it is. What is *derived* from it (a slice,
    an f-string) is a plain string again, so derive nothing from it that is not wrapped at once.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"'{HIDDEN}'"


class SecretBytes(bytes):
    """Bytes whose `repr` hides them, such as the body of a write that holds a code or a PIN."""

    def __repr__(self) -> str:
        return f"b'{HIDDEN}'"


def conceal(value: object) -> Secret:
    """A secret as a `Secret`, and anything that is no string as an empty one, which no check lets pass.

    It replaces a parameter before anything can fail, so that no traceback shows what was passed.
    """
    return Secret(value) if isinstance(value, str) else Secret()


def redact(
    value: dict[str, Any] | list[Any] | str | float | None, secrets: tuple[str, ...], *, levels: int = _DEEPEST
) -> Any:
    """The same value with every secret hidden in every string of it; what lies deeper than `levels` is hidden whole.

    It is for the texts of errors, never for data. A secret is found as it is, percent-encoded, and in Base64, also
    where it is a part of what was encoded, and one of digits as a number too.
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
    """The text without any form of a secret."""
    for form in (secret, *_base64_forms(secret)):
        text = text.replace(form, HIDDEN)
    return re.sub(_percent_encoded(secret), HIDDEN, text) if "%" in text else text


def _percent_encoded(secret: str) -> str:
    """A pattern of a secret in a URL: encoders leave different characters as they are, and some encode twice."""
    escapes = ("".join(f"%(?:25)*(?:{byte:02X}|{byte:02x})" for byte in character.encode()) for character in secret)
    return "".join(f"(?:{re.escape(character)}|{escape})" for character, escape in zip(secret, escapes, strict=True))


def _base64_forms(secret: str) -> Iterator[str]:
    """A secret in Base64 by itself, and what of it is always there when 0, 1 or 2 bytes of a triple come before it."""
    data = secret.encode()
    for encode in (base64.standard_b64encode, base64.urlsafe_b64encode):
        yield encode(data).decode().rstrip("=")
        for before in range(3):
            first, end = -(-8 * before // 6), 8 * (before + len(data)) // 6
            if end - first >= _FEWEST_CHARACTERS:
                yield encode(bytes(before) + data).decode()[first:end]
