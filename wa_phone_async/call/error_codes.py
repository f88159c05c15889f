"""Meta's error codes: one table, with one line for each code.

`response` makes an error by its row, `retry` retries by it, and the throttle learns from it whose quota is used.
The HTTP status counts only where the row names no class, since Meta sends throttling as HTTP 400 and a missing
permission as HTTP 500.

The codes were read on 2026-11-22 in Meta's error-code page, its Graph guides and its v23.0 OpenAPI description. Codes
with another source say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import attrs

from wa_phone_async.errors import (
    AuthenticationError,
    BadRequestError,
    ConflictError,
    GraphAPIError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    UnprocessableEntityError,
)
from wa_phone_async.ratelimit.limiter import Scope

UNKNOWN_ERROR: Final = 1
"""Meta does not know what went wrong. With one text it means that the page is too large: see `needs_smaller_page`."""
INVALID_PARAMETER: Final = 100
"""A parameter is invalid, such as a field or a sort order that the server does not have."""
NO_SUCH_OBJECT: Final = 33
"""The subcode of an `INVALID_PARAMETER` that is the id in the path."""
WRONG_PIN: Final = 133005
"""The PIN of two-step verification is wrong, and Meta counted the guess."""
WRONG_CODE: Final = 136025
"""The verification code is wrong, and Meta counted the guess."""
TOO_MANY_REGISTRATIONS: Final = 133016
"""The number was registered and deregistered too often, and is blocked."""

AS_STATED: Final = 0.0
"""The length of a block that only a text of the error states, if anything does."""
_MINUTE: Final = 60.0
_HOUR: Final = 3600.0


@attrs.frozen
class ErrorCode:
    """What one error code means: a row of `ERROR_CODES`."""

    meaning: str
    """What went wrong. It is the text of an error that Meta sends without a message."""
    error: type[GraphAPIError] | None = None
    """The class of the error. `None`: the HTTP status decides."""
    quota: Scope | None = attrs.field(default=None, kw_only=True)
    """Whose quota of calls is used. Meta then did not look at the request, so it counted no guess. `None`: no quota."""
    retry: Literal["reads", "reads if 5xx", "never"] | None = attrs.field(default=None, kw_only=True)
    """Which calls are retried.

    `"reads"`: Meta's trouble passes. A write may have happened, so it is not retried.
    `"reads if 5xx"`: the same, but only with an HTTP status of 500 or more.
    `"never"`: a retry does harm. It prolongs a block, or it counts as a guess.
    `None`: after a `RateLimitError` every call; after another error reads, if Meta says `is_transient`.
    """
    of_number: bool = attrs.field(default=False, kw_only=True)
    """Whether Meta rejected the state of one number, or a code or PIN for it. Then the write did not happen, even if
    Meta says `is_transient`."""
    blocks_for: float | None = attrs.field(default=None, kw_only=True)
    """Seconds for which the number is blocked, unless a text of the error states them. `None`: it is not blocked."""
    to_do: str | None = attrs.field(default=None, kw_only=True)
    """What to do, in sentences with `{id}` for the number: the `hint` of the error. `None`: it has no such hint."""


_Key: TypeAlias = int | tuple[int | None, int | None] | None

ERROR_CODES: Final[Mapping[_Key, ErrorCode]] = {
    None: ErrorCode("the response has no error code", retry="reads if 5xx"),
    # The access token
    0: ErrorCode("the access token was rejected", AuthenticationError),
    102: ErrorCode("the session of the access token has ended", AuthenticationError),
    104: ErrorCode("the access token is missing, or its signature is wrong", AuthenticationError),
    190: ErrorCode("the access token is expired, revoked or malformed", AuthenticationError),
    # Graph's own text is "An active access token must be used to query information about the current user".
    2500: ErrorCode("the access token is missing, or is not valid for this request", AuthenticationError),
    # Permissions
    3: ErrorCode("the app lacks a capability or a permission", PermissionDeniedError),
    10: ErrorCode("the permission was not granted, or was removed", PermissionDeniedError),
    **dict.fromkeys(range(200, 300), ErrorCode("the access token lacks a permission", PermissionDeniedError)),
    368: ErrorCode("the account is blocked for a violation of a policy", PermissionDeniedError, retry="never"),
    131005: ErrorCode("access was denied", PermissionDeniedError),
    131031: ErrorCode("the account is locked", PermissionDeniedError),
    # Parameters and objects
    INVALID_PARAMETER: ErrorCode("a parameter is invalid"),
    (INVALID_PARAMETER, NO_SUCH_OBJECT): ErrorCode(
        "there is no such object, or this token may not see it", NotFoundError
    ),
    (INVALID_PARAMETER, 2388012): ErrorCode("the account has this number already", ConflictError),
    # Of `register`: "Cannot Create Certificate" (chatwoot's pull request 12556 of September 2025, read 2026-11-28).
    (INVALID_PARAMETER, 2388001): ErrorCode(
        "the display name is not ready: register later, since each try counts", retry="never", of_number=True
    ),
    # Meta documents it for message templates only (a changelog that quotes Meta's entries, read 2026-11-28).
    131059: ErrorCode("the cursor is invalid: begin the list again", BadRequestError, retry="never"),
    2388012: ErrorCode("the account has this number already", ConflictError),
    33: ErrorCode("there is no such object", NotFoundError),
    803: ErrorCode("there is no object of this name", NotFoundError),
    # Public issues of 2021 to 2026 have it as HTTP 400, with the status that the URL sent (chatwoot's issue 14738, read
    # 2026-11-28).
    2200: ErrorCode("the callback URL could not be verified: check its verify token, and that it responds"),
    # Quotas of calls
    4: ErrorCode("the app has used its quota", RateLimitError, quota="app"),
    341: ErrorCode("the app has reached a limit", RateLimitError, quota="app"),
    17: ErrorCode("the user of the access token has used the quota", RateLimitError, quota="token"),
    32: ErrorCode("the page has used its quota", RateLimitError, quota="waba"),
    **dict.fromkeys(range(80000, 80007), ErrorCode("another product's quota is used", RateLimitError, quota="waba")),
    80007: ErrorCode("the WhatsApp Business account has used its quota", RateLimitError, quota="waba"),
    80008: ErrorCode("the WhatsApp Business account has used its quota", RateLimitError, quota="waba"),
    80009: ErrorCode("another product's quota is used", RateLimitError, quota="waba"),
    80014: ErrorCode("another product's quota is used", RateLimitError, quota="waba"),
    # Other rate limits
    613: ErrorCode("a custom rate limit was reached", RateLimitError),
    130429: ErrorCode("too many messages were sent", RateLimitError),
    131048: ErrorCode("the number is restricted for spam", RateLimitError, retry="never"),
    131056: ErrorCode("too many messages were sent to one person", RateLimitError),
    # Meta's own trouble
    **dict.fromkeys((UNKNOWN_ERROR, -1), ErrorCode("unknown error", ServerError, retry="reads if 5xx")),
    2: ErrorCode("the API is down for a moment", ServerError, retry="reads"),
    131000: ErrorCode("the API failed", ServerError, retry="reads"),
    131016: ErrorCode("a service of the API is down for a moment", ServerError, retry="reads"),
    131057: ErrorCode("the account is in maintenance", ServerError, retry="reads"),
    133004: ErrorCode("the server is down for a moment", ServerError, retry="reads"),
    # It passes in a few minutes (Meta's error-code page, read 2026-11-28).
    2494100: ErrorCode("the number is in maintenance: try again in a few minutes", ServerError, retry="reads"),
    131045: ErrorCode("the registration of the number has an error: register it first", ServerError),
    133000: ErrorCode("the number is deregistered in part: deregister it again, then register it", ServerError),
    # One number, its codes and its PIN
    WRONG_PIN: ErrorCode("the PIN is wrong", retry="never", of_number=True),
    WRONG_CODE: ErrorCode("the code is wrong", retry="never", of_number=True, blocks_for=AS_STATED),
    133006: ErrorCode("the number is not verified: verify it first", retry="never", of_number=True),
    133008: ErrorCode("too many wrong PINs were sent", retry="never", of_number=True, blocks_for=AS_STATED),
    133009: ErrorCode("PINs were sent too fast", retry="never", of_number=True, blocks_for=AS_STATED),
    133010: ErrorCode("the number is not registered: register it first", retry="never", of_number=True),
    133015: ErrorCode("the number was just deleted", retry="never", of_number=True, blocks_for=5 * _MINUTE),
    TOO_MANY_REGISTRATIONS: ErrorCode(
        "too many registrations", RateLimitError, retry="never", of_number=True, blocks_for=72 * _HOUR
    ),
    # Also for a verified number, as HTTP 400 (Meta's "Business phone numbers", read 2026-11-28).
    136024: ErrorCode(
        "no code can be sent: the number may be verified already, so read its code_verification_status first",
        retry="never",
        of_number=True,
        blocks_for=AS_STATED,
    ),
    # A diary of July 2026 saw a text that asks to wait one hour. A measurement of 2026-09-11 saw it for a new number,
    # with the text "not eligible, since it is not being migrated" and no wait. So only a text says how long.
    (136024, 2388091): ErrorCode(
        "the number is not eligible for a code", retry="never", of_number=True, blocks_for=AS_STATED
    ),
    # Usernames: Kapso's page on them and Alibaba Cloud's reference of July 2026, read 2026-11-28.
    147001: ErrorCode(
        "the username is not available",
        ConflictError,
        retry="never",
        of_number=True,
        to_do="The username is not available: somebody else has it, or Meta does not give it away. "
        "`wa-phone username suggest {id}` lists those that Meta keeps for you"
        ' (in Python: `client.suggest_usernames("{id}")`).',
    ),
    147002: ErrorCode(
        "the account may not have a username",
        PermissionDeniedError,
        retry="never",
        of_number=True,
        to_do="Meta does not let this account have a username so far. Another username does not help.",
    ),
    147003: ErrorCode(
        "the Facebook account of the username is not linked",
        retry="never",
        of_number=True,
        to_do="A Facebook account has this name. Link it to your business in Meta Business Suite, and claim the "
        "username again.",
    ),
    147004: ErrorCode(
        "the Instagram account of the username is not linked",
        retry="never",
        of_number=True,
        to_do="An Instagram account has this name. Link it to your business in Meta Business Suite, and claim the "
        "username again.",
    ),
    147005: ErrorCode(
        "another number of your business portfolio has the username",
        ConflictError,
        retry="never",
        of_number=True,
        to_do="Another number of your business portfolio has this username. Choose another one, or move it here: "
        "`wa-phone username claim {id} USERNAME --transfer`"
        ' (in Python: `client.claim_username("{id}", username, transfer_action="force_transfer")`). '
        "The other number loses it then.",
    ),
}
"""What each code means, or each code with a subcode. `None` is an error without a code."""

_OTHER: Final = ErrorCode("an error that this library does not know")

_ERROR_OF_STATUS: Final[Mapping[int, type[GraphAPIError]]] = {
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}
"""The class of an error where its code names none. Any other 5xx is a `ServerError`, the rest a `BadRequestError`."""


def meaning_of(code: int | None, subcode: int | None = None) -> ErrorCode:
    """Look up what a code means, with its subcode if there is a row for both."""
    return ERROR_CODES.get((code, subcode)) or ERROR_CODES.get(code, _OTHER)


def is_known(code: int | None, subcode: int | None = None) -> bool:
    """Whether the table has a row for a code, alone or with its subcode."""
    return meaning_of(code, subcode) is not _OTHER


def error_class(code: int | None, subcode: int | None, http_status: int) -> type[GraphAPIError]:
    """Choose the class of an error: by its code, or else by its HTTP status."""
    of_status = _ERROR_OF_STATUS.get(http_status, ServerError if http_status >= 500 else BadRequestError)
    return meaning_of(code, subcode).error or of_status


def is_missing_permission(code: int | None) -> bool:
    """Whether a code says that the token lacks a permission, or that its user may not see the object."""
    return code is not None and (code == 10 or 200 <= code < 300)


def throttled_scope(error: RateLimitError) -> Scope:
    """Say whose rate limit was reached. It is the account's, unless the code names another."""
    return meaning_of(error.code).quota or "waba"


def needs_smaller_page(code: int | None, message: str) -> bool:
    """Whether only a smaller page helps: code 1 with one text, as HTTP 500 (seen on other edges, read 2026-11-22)."""
    return code == UNKNOWN_ERROR and "reduce the amount of data" in message.lower()
