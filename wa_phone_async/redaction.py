"""Keeps secrets out of all that people read: reprs, logs, error texts, tracebacks. It escapes control characters."""

from __future__ import annotations

import base64
import html
import re
import string
import sys
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, SupportsIndex, overload

HIDDEN: Final = "[hidden]"
_MAX_LEVELS: Final = 20  # of nested JSON
_MAX_LAYERS: Final = 8  # of escapes
_LONG: Final = 8  # a secret of so many characters does not appear in a text by chance
_LONG_BASE64: Final = 6  # nor does a part of so many characters in Base64


class Secret(str):
    """A string whose `repr` hides it. So it does not show among the local variables of a traceback.

    A slice is a `Secret` too, since rich and structlog show the first 80 characters of a long string. In all else it is
    a `str`, and aiohttp sends it as it is. An f-string with it is a plain string again: wrap such a string at once.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"'{HIDDEN}'"

    def __getitem__(self, key: SupportsIndex | slice[Any, Any, Any], /) -> Secret:
        return Secret(super().__getitem__(key))


class SecretBytes(bytes):
    """Bytes whose `repr` hides them, such as the body of a write with a code or a PIN. So does a slice of them."""

    def __repr__(self) -> str:
        return f"b'{HIDDEN}'"

    @overload
    def __getitem__(self, key: SupportsIndex, /) -> int: ...
    @overload
    def __getitem__(self, key: slice[Any, Any, Any], /) -> SecretBytes: ...
    def __getitem__(self, key: SupportsIndex | slice[Any, Any, Any], /) -> int | SecretBytes:
        return SecretBytes(super().__getitem__(key)) if isinstance(key, slice) else super().__getitem__(key)


def conceal(value: object) -> Secret:
    """Wrap a secret. What is no string becomes an empty `Secret`, which every check rejects.

    Call it first in a function, and assign the result to the parameter: then no traceback shows what was passed.
    """
    return Secret(value) if isinstance(value, str) else Secret()


def conceal_each(value: str | Mapping[str, str] | None) -> Secret | dict[str, Secret] | None:
    """Wrap a secret, or each secret of a mapping. Call it first in a function; see `conceal`."""
    if isinstance(value, Mapping):
        return {name: conceal(secret) for name, secret in value.items()}
    return None if value is None else conceal(value)


def redact(
    value: dict[str, Any] | list[Any] | str | float | None, secrets: Sequence[str], *, levels: int = _MAX_LEVELS
) -> Any:
    """Hide every secret in every string and number of a JSON value. Use it for the texts of errors, never for data.

    A secret of 8 characters or more is hidden wherever it stands, in the names of members too. A shorter one, such as
    a PIN, is hidden only where no letter or digit adjoins, because its characters appear in other words and numbers.

    It finds a secret as it is, with the escapes of a URL, of JSON or of HTML, and in Base64, also as a part of what was
    encoded. It finds a secret of digits as a number too. The time is in proportion to the size of the value.

    Args:
        value: The value.
        secrets: The secrets.
        levels: How deep to search. What is nested more deeply is hidden completely.
    """
    secrets = [secret for secret in secrets if secret]
    return _redact(value, secrets, [form for secret in secrets for form in _forms(secret)], levels)


def _redact(
    value: dict[str, Any] | list[Any] | str | float | None,
    secrets: Sequence[str],
    forms: list[tuple[str, bool]],
    levels: int,
) -> Any:
    if isinstance(value, str):
        return _hide(value, forms)
    if isinstance(value, dict | list) and not levels:
        return HIDDEN
    if isinstance(value, dict):
        return {
            _redact(key, secrets, forms, 1): _redact(item, secrets, forms, levels - 1) for key, item in value.items()
        }
    if isinstance(value, list):
        return [_redact(item, secrets, forms, levels - 1) for item in value]
    if type(value) is int or (isinstance(value, float) and value.is_integer()):
        return HIDDEN if _is_secret_number(str(abs(int(value))), secrets) else value
    return value


def _is_secret_number(digits: str, secrets: Sequence[str]) -> bool:
    """Whether a number is a secret of digits, which has lost its leading zeros, or has a long one in it."""
    return any(
        digits == (secret.lstrip("0") or "0") or (len(secret) >= _LONG and secret in digits) for secret in secrets
    )


# --- in a text


def _hide(text: str, forms: list[tuple[str, bool]]) -> str:
    """Hide each place of a form in a text, under all of its layers of escapes.

    Encoders differ in what they escape, and some escape twice. So this undoes one layer after the other and searches
    each. It does not search with one pattern for all, because such a pattern can take exponential time.
    """
    spans = list[tuple[int, int]]()
    plain: str = text
    places: Sequence[int] = range(len(text) + 1)
    for _ in range(_MAX_LAYERS):
        spans += [(places[start], places[end]) for start, end in _find(plain, forms)]
        layer, places = _unescape(plain, places)
        if layer == plain:
            return _cover(text, spans)
        plain = layer
    return HIDDEN


def _find(text: str, forms: list[tuple[str, bool]]) -> Iterator[tuple[int, int]]:
    """Yield where each form begins and ends. A short one counts only if no letter or digit adjoins."""
    for form, is_long in forms:
        start = text.find(form)
        while start >= 0:
            end = start + len(form)
            adjoins = text[max(start - 1, 0) : start].isalnum() or text[end : end + 1].isalnum()
            if is_long or not adjoins:
                yield start, end
            start = text.find(form, end if is_long else start + 1)


def _cover(text: str, spans: list[tuple[int, int]]) -> str:
    """Put one `HIDDEN` in the place of each span, or of those that overlap."""
    shown, covered = list[str](), 0
    for start, end in sorted(spans):
        if start >= covered:
            shown += [text[covered:start], HIDDEN]
        covered = max(covered, end)
    return "".join(shown) + text[covered:]


_ESCAPES: Final = re.compile(
    r"(?P<bytes>(?:%[0-9A-Fa-f]{2})+)"  # of a URL
    r"|\\(?P<plain>[\"'\\/bfnrt])"  # of JSON and of Python, as the next three
    r"|\\u(?P<high>[Dd][89ABab][0-9A-Fa-f]{2})\\u(?P<low>[Dd][C-Fc-f][0-9A-Fa-f]{2})"
    r"|\\u(?P<unit>[0-9A-Fa-f]{4})"
    r"|\\x(?P<byte>[0-9A-Fa-f]{2})"
    r"|&#(?:(?P<decimal>[0-9]{1,7})|[Xx](?P<hex>[0-9A-Fa-f]{1,6}));"  # of HTML
    r"|(?P<name>&[A-Za-z]{2,31}[0-9]{0,2};)"
)
_CONTROLS: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def _unescape(text: str, places: Sequence[int]) -> tuple[str, Sequence[int]]:
    """Undo one layer of escapes.

    Args:
        text: The text.
        places: Where each of its characters, and its end, is in the text that people read.

    Returns:
        The same for the layer below. It is the same text if there are no escapes.
    """
    plain, below, end = list[str](), list[int](), 0
    for escape in _ESCAPES.finditer(text):
        start = escape.start()
        plain.append(text[end:start])
        below += places[end:start]
        characters = _characters(escape)
        plain.append(characters)
        for character in characters:
            below.append(places[start])
            if escape["bytes"]:  # a character of a URL has three characters for each of its bytes
                start += 3 * len(character.encode(errors="surrogateescape"))
        end = escape.end()
    return ("".join(plain) + text[end:], [*below, *places[end:]]) if plain else (text, places)


def _characters(escape: re.Match[str]) -> str:
    """Return what an escape stands for. An unknown one stands for itself."""
    kind = str(escape.lastgroup)
    code = escape[kind]
    match kind:
        case "bytes":
            return bytes.fromhex(code.replace("%", "")).decode(errors="surrogateescape")
        case "plain":
            return _CONTROLS.get(code, code)
        case "name":
            return html.unescape(code)
        case "low":
            return chr(0x10000 + ((int(escape["high"], 16) & 0x3FF) << 10) + (int(code, 16) & 0x3FF))
        case _:
            number = int(code, 10 if kind == "decimal" else 16)
            return chr(number) if number <= sys.maxunicode else escape[0]


# --- the forms of a secret


def _forms(secret: str) -> set[tuple[str, bool]]:
    """Make each form of a secret, with whether it is so long that it is hidden anywhere."""
    forms, plain, layer = set(_base64_forms(secret)), "", secret
    while layer != plain:  # what looks like an escape in the secret itself is undone with those around it
        forms.add((layer, len(layer) >= _LONG))
        # A `%` or a `\u` before a secret takes its first characters for those of an escape, if they are hexadecimal.
        begin = layer[:4]
        for taken in range(1, 1 + len(begin) - len(begin.lstrip(string.hexdigits))):
            if len(layer) - taken >= _LONG:
                forms.add((layer[taken:], True))
        plain, layer = layer, _unescape(layer, range(len(layer) + 1))[0]
    return forms


def _base64_forms(secret: str) -> Iterator[tuple[str, bool]]:
    """Yield a secret in Base64: alone, and as a part of other data.

    Base64 encodes three bytes as four characters. So there are three forms of a part, for 0, 1 or 2 bytes before it in
    its triple. Only the characters that do not depend on the bytes around it are in a form.
    """
    data = secret.encode(errors="surrogatepass")
    for encode in (base64.standard_b64encode, base64.urlsafe_b64encode):
        alone = encode(data).decode().rstrip("=")
        yield alone, len(alone) > _LONG_BASE64
        for before in range(3):
            first, end = -(-8 * before // 6), 8 * (before + len(data)) // 6
            if end - first >= _LONG_BASE64:
                yield encode(bytes(before) + data).decode()[first:end], True


# --- the queries of URLs


def hide_queries(value: dict[str, Any] | list[Any] | str | float | None, *, levels: int = _MAX_LEVELS) -> Any:
    """Hide the query and the user of every URL in a JSON value. Use it for what people read, never for data.

    The URLs of webhooks may hold secrets there. From the first `?` or `#` on, the rest of the string is hidden.

    Args:
        value: The value.
        levels: How deep to search. What is nested more deeply is hidden completely.
    """
    if isinstance(value, str):
        return _QUERY.sub(rf"\1?{HIDDEN}", _USER.sub(f"//{HIDDEN}@", value)) if "//" in value else value
    if isinstance(value, dict | list) and not levels:
        return HIDDEN
    if isinstance(value, dict):
        return {hide_queries(key): hide_queries(item, levels=levels - 1) for key, item in value.items()}
    if isinstance(value, list):
        return [hide_queries(item, levels=levels - 1) for item in value]
    return value


_USER: Final = re.compile(r"//[^\s/?#]*@")
_QUERY: Final = re.compile(r"(?<!\S)((?>\S*?//)[^\s?#]*+)[?#].+", re.DOTALL)  # it reads each word once


_JOINERS: Final = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"  # of emoji, and of letters in Persian


def printable(text: str) -> str:
    r"""Make a text safe to show, and one line long: control characters become escapes such as `\x1b`.

    In a name they could move the cursor of a terminal, change colours or rename the window. Those that change the
    direction of writing could make one number look like another. Half of a surrogate pair becomes an escape as well.
    """
    return text if text.isprintable() else "".join(map(_printable, text))


def _printable(character: str) -> str:
    if character.isprintable() or character in _JOINERS:
        return character
    if character in "\n\t" or unicodedata.category(character) == "Zs":
        return " "
    return character.encode("unicode_escape").decode("ascii")
