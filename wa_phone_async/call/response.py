"""From the bytes of a response to its JSON, or to the error that it is. Nothing here does I/O."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Generic, TypeVar, cast

import attrs

from wa_phone_async.decoding.converter import Json, read_json, read_model
from wa_phone_async.decoding.plain_page import once_for_each_model
from wa_phone_async.errors import (
    BadRequestError,
    DecodeError,
    GraphAPIError,
    PermissionDeniedError,
    RateLimitError,
    WaPhoneError,
)
from wa_phone_async.redaction import redact
from wa_phone_async.usage import Usage, server_wait

from .error_codes import error_class, meaning_of, needs_smaller_page
from .missing_fields import NODE_TYPE, missing_fields

T = TypeVar("T")


@attrs.frozen
class Reader(Generic[T]):
    """How the response of a call is read, once its status says that there is a value."""

    read: Callable[[Any, int], T]
    """Reads its JSON. The second argument is the HTTP status, for the error."""
    read_bytes: Callable[[bytes, int], T | None] | None = None
    """Reads the bytes of a usual response, which saves parsing them into dicts. `None` leaves it to `read`. The second
    argument is the HTTP status, for the error."""


@once_for_each_model
def model_reader(model: type[T]) -> Reader[T]:
    """Return the reader of one value: of a node, or of an edge as a whole."""

    def read(payload: Any, http_status: int) -> T:
        return read_model(payload, model, http_status=http_status)

    return Reader(read)


@once_for_each_model
def write_reader(model: type[T]) -> Reader[T]:
    """Return the reader of the response to a write, which may say that the write failed."""

    def read(payload: Json, http_status: int) -> T:
        if isinstance(payload, dict) and "success" in payload:
            check_success(payload, http_status=http_status)
        return read_model(payload, model, http_status=http_status)

    return Reader(read)


def read_response(body: bytes, *, http_status: int, usage: Usage | None, secrets: Callable[[], tuple[str, ...]]) -> Any:
    """Read the JSON of a response, or raise the error that it is.

    Args:
        body: The body, decompressed.
        http_status: The HTTP status.
        usage: What the headers report of the quotas.
        secrets: Returns the texts to hide in the error, since the API may echo them.

    Raises:
        GraphAPIError: The API rejected the request. It may do so with HTTP 200 too.
        DecodeError: The body is not JSON, or the response is a redirect.
    """
    if 300 <= http_status < 400:
        text = f"the response is a redirect (HTTP {http_status}), and redirects are not followed: check base_url"
        raise DecodeError(text, http_status=http_status)
    if http_status < 400:
        payload: Json = read_json(body, http_status=http_status)
        if not (isinstance(payload, dict) and payload.get("error")):
            return payload
    else:
        payload = _read_json_if_any(body)
    error = read_api_error(payload, http_status=http_status, secrets=secrets())
    waits = error.retry_after, server_wait(usage, is_throttled=isinstance(error, RateLimitError))
    error.retry_after = max(filter(None, waits), default=None)
    if isinstance(error, RateLimitError):
        error.usage = usage
    raise error


def read_api_error(payload: Json, *, http_status: int, secrets: tuple[str, ...]) -> GraphAPIError:
    """Read the error in a response, whatever its form: real errors lack any of their members.

    Args:
        payload: The JSON of the response, or `None` if it has none.
        http_status: The HTTP status, which can be 200.
        secrets: Texts to hide in the error, since the API may echo them.
    """
    sent: Json = payload.get("error") if isinstance(payload, dict) else None
    raw: dict[str, Any] = sent if isinstance(sent, dict) else {"message": sent}
    raw = {name: _shortened(raw[name]) for name in _MEMBERS if name in raw}
    # All decisions are made from what the API sent. `redact` can hide a code or a word that a secret is equal to.
    code, subcode = _read_code(raw.get("code")), _read_code(raw.get("error_subcode"))
    transient: Json = raw.get("is_transient")
    message = _read_text(raw.get("message")) or ""
    facts: dict[str, Any] = redact(raw, secrets)
    data: Json = facts.get("error_data")
    error = error_class(code, subcode, http_status)(
        _read_text(facts.get("message")) or meaning_of(code, subcode).meaning,
        http_status=http_status,
        code=code,
        error_subcode=subcode,
        type=_read_text(facts.get("type")),
        fbtrace_id=_read_text(facts.get("fbtrace_id")),
        is_transient=transient if isinstance(transient, bool) else None,
        error_user_title=_read_text(facts.get("error_user_title")),
        error_user_msg=_read_text(facts.get("error_user_msg")),
        error_data=data if isinstance(data, dict | str) else None,
        retry_after=read_block(code, subcode, raw),
    )
    error.needs_smaller_page = needs_smaller_page(code, message)
    if node_type := NODE_TYPE.search(message):
        error.node_type = redact(node_type[1], secrets)
    if isinstance(error, PermissionDeniedError) and (permission := _PERMISSION.search(message)):
        error.permission = redact(permission[0], secrets)
    error.missing_fields = missing_fields(". ".join(reversed([*_texts(raw)])))
    return error


_PERMISSION: Final = re.compile(r"\b(?:whatsapp_)?business_(?:management|messaging|manage_events)\b")
_MEMBERS: Final = (
    *("message", "type", "code", "error_subcode", "is_transient", "fbtrace_id"),
    *("error_user_title", "error_user_msg", "error_data"),
)
_LARGEST_BODY: Final = 2**20
_LARGEST_MEMBER: Final = 10_000


def _shortened(value: Json) -> Json:
    """Return a member of an error, or a note if it is too large: reading and redacting it would block the event loop.

    No part of it is kept, since its end could be half of a secret.
    """
    size = _size(value, _LARGEST_MEMBER)
    return value if size <= _LARGEST_MEMBER else f"[more than {_LARGEST_MEMBER} characters or values]"


def _size(value: Json, most: int, *, levels: int = 20) -> int:
    """Count the characters and values in JSON, as deep as `redact` keeps it. Counting ends soon after `most`."""
    if isinstance(value, str):
        return len(value)
    if not isinstance(value, dict | list) or not levels:
        return value.bit_length() // 3 if isinstance(value, int) else 1
    size = len(value)
    for item in itertools.chain(value, value.values()) if isinstance(value, dict) else value:
        if size > most:
            break
        size += _size(item, most - size, levels=levels - 1)
    return size


def explain_not_json(
    error: WaPhoneError,
    body: bytes,
    *,
    http_status: int,
    headers: Mapping[str, str],
    request: str,
    host: str,
    secrets: tuple[str, ...],
) -> None:
    """Say in an error what its response is, if that is not JSON. It says where the body came from, not what is in it.

    Meta sends JSON with each status. So a proxy or another server sent something else, most often a page of HTML. After
    a 2xx status, a retry would get the same page.

    Args:
        error: The error, as `read_response` raised it. It gets another text.
        body: The body, decompressed.
        http_status: The HTTP status.
        headers: The headers of the response.
        request: The method and the path, without the query.
        host: The host that responded, with its port if it has one.
        secrets: Texts to hide, since the headers may echo them.
    """
    if isinstance(error, GraphAPIError):
        if http_status < 400 or _read_json_if_any(body) is not None:
            return
    elif not (isinstance(error, DecodeError) and error.garbled):
        return
    media_type = headers.get("Content-Type", "").partition(";")[0].strip()
    encoding = headers.get("Content-Encoding", "").strip().lower()
    is_page = bool(body) and (media_type.lower() in _PAGES or _PAGE.match(body) is not None)
    facts = [
        redact(media_type, secrets) if re.fullmatch(r"[\w.+-]+/[\w.+-]+", media_type) else "",
        f"encoded as {redact(encoding, secrets)}" if re.fullmatch(r"[a-z0-9-]{1,20}", encoding) else "",
        f"{len(body)} bytes",
    ]
    hint = ": check base_url" if is_page else ""
    if isinstance(error, DecodeError):
        facts.insert(0, f"HTTP {http_status}")  # an API error adds its status itself
        error.garbled = not is_page
    elif http_status == _PROXY_AUTHENTICATION:
        hint = ": the proxy wants a user name and a password"
    elif is_page:
        hint = ": it is a page of HTML from a proxy or another server, so check base_url"
    kind = "not JSON" if body else "empty"
    if isinstance(error, GraphAPIError) and len(body) > _LARGEST_BODY:
        kind = "too long for an API error"
    text = f"{request}: the response from {host} is {kind} ({', '.join(filter(None, facts))}){hint}"
    error.args = (text,)
    if isinstance(error, GraphAPIError):
        error.message = text


_PAGES: Final = ("text/html", "application/xhtml+xml")
_PAGE: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html)\b", re.IGNORECASE)
_PROXY_AUTHENTICATION: Final = 407


def check_success(payload: Json, *, http_status: int) -> None:
    """Check that the response to a write does not say that it failed, as `false` or as the word.

    Raises:
        BadRequestError: It says `success: false`. There is no code, so the write may have happened.
    """
    success = payload.get("success") if isinstance(payload, dict) else None
    if success is False or (isinstance(success, str) and success.lower() == "false"):
        raise BadRequestError("the API sent success: false without a reason", http_status=http_status)


def _read_json_if_any(body: bytes) -> Any:
    """Read the JSON of an API error. `None`: it is not JSON, or so long that it is none of Meta's."""
    if len(body) > _LARGEST_BODY:
        return None
    try:
        return read_json(body)
    except DecodeError:
        return None


def _read_code(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and re.fullmatch("-?[0-9]{1,9}", value):
        return int(value)
    return value if isinstance(value, int) else None


def _read_text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


# --- how long an error blocks a number

# Meta documents no wording, and `error_user_msg` is in the language of the user. So any length of time counts.
_COUNT = r"(?<![\d.,])(\d{1,6}(?:[.,]\d{1,3})?)"
_UNIT = r"(d(?:ays?|[ií]as?)?|h(?:(?:ou)?rs?|oras?)?|m(?:in\w{0,8})?|s(?:e[cg]\w{0,8})?)\b"
_PART = rf"{_COUNT}\s*{_UNIT}"
_PARTS: Final = re.compile(_PART, re.IGNORECASE)
_SPAN: Final = re.compile(rf"{_PART}(?:(?:\s|,|and|e|y){{0,5}}{_PART}){{0,3}}", re.IGNORECASE)
_CLOCK: Final = re.compile(r"\b(\d{1,3}):(\d\d):(\d\d)\b")
_LONGEST: Final = 366 * 86_400.0  # a longer time is something else, such as the age of an account
_SECONDS: Final[Mapping[str, float]] = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0}


def read_block(code: int | None, subcode: int | None, error: Mapping[str, Any]) -> float | None:
    """Read for how many seconds an error blocks its number: as its texts state, or else as is usual for its code.

    Meta's page of WhatsApp error codes (read 2026-11-22) says that the details of 133008 and 133009 state the wait.

    Args:
        code: The code of the error.
        subcode: Its subcode.
        error: The error as it was sent.

    Returns:
        `None` if the code blocks no number, or if nothing says how long.
    """
    usual = meaning_of(code, subcode).blocks_for
    if usual is None:
        return None
    # The longest one is never too short: a text may name the time of the guesses too, as in "3 guesses in 10 minutes".
    stated = max((wait for text in _texts(error) for wait in _waits(text) if wait <= _LONGEST), default=0.0)
    return stated or usual or None


def _texts(error: Mapping[str, Any]) -> Iterator[str]:
    """Yield the texts of an error, the message last. A bare number in the details is a number of seconds."""
    details: Any = error.get("error_data")
    if isinstance(details, dict):
        details = cast("dict[str, Any]", details).get("details")
    if isinstance(details, int | str) and not isinstance(details, bool):
        yield f"{details} s" if re.fullmatch(r"\d{1,6}", str(details).strip()) else str(details)
    for name in ("error_user_msg", "message"):
        if isinstance(error.get(name), str):
            yield error[name]


def _waits(text: str) -> Iterator[float]:
    """Yield every length of time in a text, in seconds."""
    for span in _SPAN.finditer(text):
        parts = _PARTS.findall(span[0])
        yield sum(float(count.replace(",", ".")) * _SECONDS[unit[0].lower()] for count, unit in parts)
    for hours, minutes, seconds in _CLOCK.findall(text):
        yield 3600.0 * int(hours) + 60.0 * int(minutes) + int(seconds)
