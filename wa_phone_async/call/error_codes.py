"""What a refusal means: which error it is, whether it passes, and whether a write may have happened all the same.

Decided by code first and by status second, since throttling arrives as HTTP 400 and a missing permission as 500.
The codes were read on 2026-11-22 in Meta's error-code page, its Graph guides and its v23.0 OpenAPI description.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from wa_phone_async.decoding.converter import Json
from wa_phone_async.errors import (
    AuthenticationError,
    BadRequestError,
    ConflictError,
    DecodeError,
    GraphAPIError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    TransportError,
    UnprocessableEntityError,
    WaPhoneError,
)
from wa_phone_async.ratelimit.budget import Scope
from wa_phone_async.redaction import redact

from .blocks import read_block
from .request import UNKNOWN_ERROR, asks_for_less

_CODES: Final[Mapping[int | None, type[GraphAPIError]]] = {
    **dict.fromkeys((0, 102, 104, 190), AuthenticationError),
    **dict.fromkeys((3, 10, *range(200, 300), 368, 131005, 131031), PermissionDeniedError),
    **dict.fromkeys((33, 803), NotFoundError),
    2388012: ConflictError,
    **dict.fromkeys((4, 17, 32, 341, 613), RateLimitError),
    **dict.fromkeys((*range(80000, 80010), 80014, 130429, 131048, 131056, 133016), RateLimitError),
    **dict.fromkeys((1, 2, 131000, 131016, 131045, 131057, 133000, 133004), ServerError),
}
"""Code → error. Code 100 says only that something is wrong, so there the status decides."""

_CODES_WITH_SUBCODE: Final[Mapping[tuple[int | None, int | None], type[GraphAPIError]]] = {
    (100, 33): NotFoundError,
    (100, 2388012): ConflictError,
}

_STATUSES: Final[Mapping[int, type[GraphAPIError]]] = {
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}
"""Status → error, where the code does not say. Any other 4xx is a `BadRequestError`, any 5xx a `ServerError`."""

_PASSES: Final = frozenset({2, 131000, 131016, 131057, 133004})
"""Meta's own trouble that passes by itself; so does code 1 with a 5xx."""

_OF_A_NUMBER: Final = frozenset({133005, 133006, 133008, 133009, 133010, 133015, 133016, 136024, 136025})
"""Refused for what a number is, or for the codes and PINs that were guessed for it: nothing was done."""

_NEVER_REPEATED: Final = frozenset({368, 131048}) | _OF_A_NUMBER
"""Blocks for hours or days, of which more calls make more, and guesses, which are counted."""

_CALL_BUDGETS: Final = frozenset({4, 17, 32, 341, *range(80000, 80010), 80014})
"""Limits of calls as such: what they refuse was not looked at, and so counts as no guess."""

_SCOPES: Final[Mapping[int | None, Scope]] = {4: "app", 341: "app", 17: "token", 80007: "waba", 80008: "waba"}


def read_refusal(payload: Json, *, http_status: int, secrets: tuple[str, ...]) -> GraphAPIError:
    """The error that an answer holds, whatever its shape: leniently, since real bodies lack any of the members.

    Args:
        payload: The JSON of the answer, or `None` where it had none.
        http_status: The answer's status, even 200.
        secrets: What to hide in every text, should the API echo it.
    """
    error: Json = payload.get("error") if isinstance(payload, dict) else None
    facts: dict[str, Any] = redact(error, secrets) if isinstance(error, dict) else {"message": redact(error, secrets)}
    bare: dict[str, Any] = error if isinstance(error, dict) else {}  # a PIN may have the digits of a code
    code, subcode = _read_code(bare.get("code")), _read_code(bare.get("error_subcode"))
    transient: Json = facts.get("is_transient")
    data: Json = facts.get("error_data")
    return _error_type(code, subcode, http_status)(
        _read_text(facts.get("message")) or "refused without an error that can be read",
        http_status=http_status,
        code=code,
        error_subcode=subcode,
        type=_read_text(facts.get("type")),
        fbtrace_id=_read_text(facts.get("fbtrace_id")),
        is_transient=transient if isinstance(transient, bool) else None,
        error_user_title=_read_text(facts.get("error_user_title")),
        error_user_msg=_read_text(facts.get("error_user_msg")),
        error_data=data if isinstance(data, dict | str) else None,
        retry_after=read_block(code, subcode, facts),
    )


def is_retryable(error: WaPhoneError, *, is_write: bool, is_counted: bool = False) -> bool:
    """Whether the same call may be made again: it helps, and it cannot happen twice.

    Args:
        error: In what it ended.
        is_write: Whether it changes something.
        is_counted: Whether the API counts how often it is asked. Then a refusal that names no limit of calls may have
            been counted.
    """
    if isinstance(error, GraphAPIError):
        may_be_counted = is_counted and error.code not in _CALL_BUDGETS
        return (_is_throttled(error) and not may_be_counted) or (not is_write and _passes(error))
    if isinstance(error, TransportError):
        return not (is_write and error.sent)
    return not is_write and isinstance(error, DecodeError) and error.garbled


def lost_outcome(error: WaPhoneError) -> str | None:
    """Why a write that ended in this error may have happened, in a few words; `None` where it has not."""
    if isinstance(error, RequestTimeoutError) and error.sent:
        return "no answer in time"
    if isinstance(error, TransportError) and error.sent:
        return "the connection broke before the answer"
    if isinstance(error, DecodeError):
        return f"an answer that cannot be read (HTTP {error.http_status})"
    if isinstance(error, GraphAPIError) and not isinstance(error, RateLimitError | AuthenticationError):
        unsure = error.code is None or error.code == UNKNOWN_ERROR or error.code in _PASSES
        is_transient = error.is_transient and error.code not in _OF_A_NUMBER
        if is_transient or (unsure and not 300 <= (error.http_status or 0) < 500):
            return f"an error that does not say whether it happened: {error}"
    return None


def throttled_scope(error: RateLimitError) -> Scope:
    """Whose rate limit a throttled call met. The WABA's, where the code names no other."""
    return _SCOPES.get(error.code, "waba")


def _error_type(code: int | None, subcode: int | None, http_status: int) -> type[GraphAPIError]:
    by_status = _STATUSES.get(http_status, ServerError if http_status >= 500 else BadRequestError)
    return _CODES_WITH_SUBCODE.get((code, subcode)) or _CODES.get(code, by_status)


def _is_throttled(error: GraphAPIError) -> bool:
    return isinstance(error, RateLimitError) and error.code not in _NEVER_REPEATED


def _passes(error: GraphAPIError) -> bool:
    if error.code in _NEVER_REPEATED or asks_for_less(error):
        return False
    server_trouble = (error.http_status or 0) >= 500 and error.code in {None, UNKNOWN_ERROR}
    if error.is_transient is None:
        return server_trouble or error.code in _PASSES
    return error.is_transient or error.code in _PASSES or (server_trouble and error.code == UNKNOWN_ERROR)


def _read_code(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return value if isinstance(value, int) else None


def _read_text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
