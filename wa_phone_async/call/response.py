"""What an answer says: the JSON of a good one, or the refusal that it is. Pure: bytes and headers in, a value out."""

from __future__ import annotations

import re
from typing import Any

from wa_phone_async.decoding.converter import Json, read_json
from wa_phone_async.errors import BadRequestError, DecodeError, RateLimitError
from wa_phone_async.redaction import redact
from wa_phone_async.usage import Usage, server_wait

from .error_codes import read_refusal


def read_answer(body: bytes, *, http_status: int, usage: Usage | None, secrets: tuple[str, ...]) -> Any:
    """The JSON of an answer that is no refusal.

    Args:
        body: The answer's body, decompressed.
        http_status: Its status.
        usage: What its headers say about the budgets.
        secrets: What to hide in every text of a refusal, should the API echo it.

    Raises:
        GraphAPIError: It is a refusal, whatever its status: errors come with HTTP 200 too.
        DecodeError: It is no JSON, or a redirect.
    """
    if 300 <= http_status < 400:
        text = f"the answer is a redirect (HTTP {http_status}), and redirects are never followed"
        raise DecodeError(text, http_status=http_status)
    if http_status < 400:
        payload: Json = read_json(body, http_status=http_status)
        if not (isinstance(payload, dict) and payload.get("error")):
            return payload
    else:
        payload = _read_json_if_any(body)
    refusal = read_refusal(payload, http_status=http_status, secrets=secrets)
    waits = refusal.retry_after, server_wait(usage, is_throttled=isinstance(refusal, RateLimitError))
    refusal.retry_after = max(filter(None, waits), default=None)
    if isinstance(refusal, RateLimitError):
        refusal.usage = usage
    raise refusal


def unreadable(
    body: bytes, *, http_status: int, content_type: str, asked: str, host: str, secrets: tuple[str, ...]
) -> DecodeError:
    """The error of a good answer that is no JSON, which says where it came from, and nothing of what it says.

    Args:
        body: The answer's body, decompressed.
        http_status: Its status.
        content_type: Its header of this name. A page of HTML is another server's, which will answer so again.
        asked: The method and the path that were asked for, without the query.
        host: Who answered, with the port where there is one.
        secrets: What to hide, should the header echo it.
    """
    media_type = content_type.partition(";")[0].strip()
    shown = f" {redact(media_type, secrets)}" if re.fullmatch(r"[\w.+-]+/[\w.+-]+", media_type) else ""
    why = f"not JSON ({len(body)} bytes)" if body else "empty"
    is_page = bool(body) and media_type.lower() == "text/html"
    text = f"{asked}: HTTP {http_status}{shown} from {host}, which is {why}"
    return DecodeError(text, http_status=http_status, garbled=not is_page)


def check_success(payload: Json, *, http_status: int) -> None:
    """Refuse the answer to a write that says that it failed, and not why.

    Raises:
        BadRequestError: It does. Without a code nobody knows whether it happened all the same.
    """
    if isinstance(payload, dict) and payload.get("success") is False:
        raise BadRequestError("the API answered success: false, and not why", http_status=http_status)


def _read_json_if_any(body: bytes) -> Any:
    try:
        return read_json(body)
    except DecodeError:
        return None
