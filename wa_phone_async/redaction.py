"""Keeping secrets out of everything that people read: reprs, logs, errors, tracebacks."""

from __future__ import annotations

import base64
from typing import Any, Final
from urllib.parse import quote

HIDDEN: Final = "[hidden]"
_DEEPEST: Final = 20


class Secret(str):
    """A string whose `repr` hides it, so that no traceback's local variables show it.

    It is a `str` everywhere else: aiohttp puts it on the wire as it is. What is *derived* from it (a slice,
    an f-string) is a plain string again, so derive nothing from it that is not wrapped at once.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"'{HIDDEN}'"


def conceal(value: object) -> Secret:
    """A secret as a `Secret`, and anything that is no string as an empty one, which no check lets pass.

    It replaces a parameter before anything can fail, so that no traceback shows what was passed.
    """
    return Secret(value) if isinstance(value, str) else Secret()


def redact(
    value: dict[str, Any] | list[Any] | str | float | None, secrets: tuple[str, ...], *, levels: int = _DEEPEST
) -> Any:
    """The same value with every secret hidden in every string of it; what lies deeper than `levels` is hidden whole.

    It is for the texts of errors, never for data. A secret is found as it is, percent-encoded, and in Base64.
    """
    if isinstance(value, str):
        for secret in secrets:
            for form in _forms(secret):
                value = value.replace(form, HIDDEN)
        return value
    if isinstance(value, dict | list) and not levels:
        return HIDDEN
    if isinstance(value, dict):
        return {redact(key, secrets): redact(item, secrets, levels=levels - 1) for key, item in value.items()}
    if isinstance(value, list):
        return [redact(item, secrets, levels=levels - 1) for item in value]
    return value


def _forms(secret: str) -> tuple[str, ...]:
    encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
    return secret, quote(secret, safe=""), encoded
