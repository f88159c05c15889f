"""What can go wrong, as a tree: each branch is something else that the caller can do about it.

    WaPhoneError
    ├── InvalidArgumentError      (also ValueError)    mend the call: nothing was sent
    ├── TransportError                                 no answer: the network, or the server, is not there
    │   └── RequestTimeoutError   (also TimeoutError)  no answer in time
    ├── OutcomeUnknownError                            a write whose answer was lost: look before repeating it
    ├── AmbiguousNumberError                           several numbers may be the one that is meant: say which by its id
    ├── DecodeError                                    an answer that cannot be read
    ├── PaginationError                                a list that would never end, or cannot go on
    ├── ExportError               (also OSError)       a file that could not be written whole
    ├── WaitError                                      a state that was waited for, and cannot come by waiting
    │   └── WaitTimeoutError      (also TimeoutError)  a state that did not come in time: look at what is there
    ├── StaleListingError                              a listing was outdated each time it was read: ask again later
    ├── WebhookSignatureError                          a webhook that Meta did not sign: answer 403
    └── GraphAPIError                                  the API's own refusal, with all that it said
        ├── BadRequestError                            a parameter is wrong
        ├── AuthenticationError                        the token is missing, expired or revoked
        ├── PermissionDeniedError                      the token is good, and may not do this
        ├── NotFoundError                              no such object, or not visible to this token
        ├── ConflictError                              it is there already
        ├── UnprocessableEntityError                   well-formed, and impossible
        ├── RateLimitError                             throttled: wait
        └── ServerError                                the API's own trouble

Every error can be pickled, takes notes, and holds no secret.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .models import PhoneNumber
    from .usage import Usage

CLOSED: Final = "this client is closed: enter it again with 'async with', or make a new one"
"""What a `RuntimeError` says for a call on a closed client."""


class WaPhoneError(Exception):
    """The base of every error that this library raises on purpose."""

    attempts: int = 0
    """How many times the call was tried before it failed, the first one included."""
    retry_after: float | None = None
    """Seconds that the server asked to wait, or `None` where it named none."""
    retryable: bool = False
    """Whether the same call may be made again: it can do no harm, and it may help."""
    seconds_left: float | None = None
    """Seconds that were left of the call's `total_timeout` when it failed, or `None` without one."""

    def __reduce__(self) -> tuple[Any, ...]:
        # `Exception` would call `__init__` with `args` alone and so lose every keyword-only parameter.
        return _rebuild, (type(self), self.args), self.__dict__


def _rebuild(kind: type[WaPhoneError], args: tuple[Any, ...]) -> WaPhoneError:
    error = kind.__new__(kind, *args)
    error.args = args  # `TimeoutError` leaves them to `__init__`
    return error


class InvalidArgumentError(WaPhoneError, ValueError):
    """An argument was refused before anything was sent; the text says what would be right."""


class TransportError(WaPhoneError):
    """No whole answer came: no connection, a connection that broke, or an answer that was cut."""

    sent: bool
    """Whether the request may have reached the server. `False` means that it provably has not."""

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent


class RequestTimeoutError(TransportError, TimeoutError):
    """No whole answer came in time."""


class OutcomeUnknownError(WaPhoneError):
    """A write was sent and its answer was lost, so that it may or may not have happened.

    It is never repeated by itself. Look before you send it again: the text says where.
    """

    operation: str
    """Which write it was: the name of the client's method."""
    waba_id: str | None
    """The account that was written to; of a number, `None` where no account was named."""
    phone_number: str | None
    """The number that was to be created, as it was passed; `None` for another write."""
    phone_number_id: str | None
    """Meta's id of the number that was written to; `None` for a create."""
    field: str | None
    """The field of the number that tells whether it happened; `None` where none does, as after a create, for which the
    list of numbers tells."""
    reason: str
    """What happened to the answer, in a few words."""

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        operation: str = "create_phone_number",
        waba_id: str | None = None,
        phone_number: str | None = None,
        phone_number_id: str | None = None,
        field: str | None = None,
    ) -> None:
        super().__init__(message)
        self.operation = operation
        self.waba_id = waba_id
        self.phone_number = phone_number
        self.phone_number_id = phone_number_id
        self.field = field
        self.reason = reason


class AmbiguousNumberError(WaPhoneError):
    """Several numbers of an account may be the one that is meant: go on with the id of the right one.

    It may be one number too, which is the one that is meant if a country code was left out: the text says what to do.
    """

    waba_id: str
    """The account."""
    phone_number: str
    """The number that was looked for, as it was passed."""
    phone_number_ids: tuple[str, ...]
    """Meta's ids of the numbers that may be it."""

    def __init__(self, message: str, *, waba_id: str, phone_number: str, phone_number_ids: tuple[str, ...]) -> None:
        super().__init__(message)
        self.waba_id = waba_id
        self.phone_number = phone_number
        self.phone_number_ids = phone_number_ids


class DecodeError(WaPhoneError):
    """An answer came that cannot be read: not JSON, too large, a redirect, or values of the wrong shape."""

    http_status: int | None
    """The status of the answer, or `None` where the value did not come from one."""
    garbled: bool
    """Whether it was no JSON at all, as when it is cut on the way, so that asking again may help. A page of HTML with a
    good status is not: it comes from another server, at a wrong `base_url`."""

    def __init__(self, message: str, *, http_status: int | None = None, garbled: bool = False) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.garbled = garbled


class PaginationError(WaPhoneError):
    """A list that would never end, or that says it goes on and does not say where."""

    cursor: str | None
    """The cursor that came twice, or after which only empty pages came; `None` where there was none."""

    def __init__(self, message: str, *, cursor: str | None = None) -> None:
        super().__init__(message)
        self.cursor = cursor


class ExportError(WaPhoneError, OSError):
    """A file could not be written whole, so that no part of it was left; the text says what is there instead."""

    # Names of our own: where `OSError` has its own ones, it speaks in its own way, and loses them when it is pickled.
    errno: int | None = None
    """The system's number of what went wrong, such as `errno.ENOSPC`, or `None`."""
    filename: str | None = None
    """The file that was to be written."""

    def __init__(self, message: str, *, errno: int | None = None, filename: str | None = None) -> None:
        super().__init__(message)
        self.errno = errno
        self.filename = filename


class WaitError(WaPhoneError):
    """A number will not be as it was waited for, unless somebody does something about it; the text says why."""

    phone_number_id: str
    """The number that was waited for."""
    last_seen: PhoneNumber | None
    """The number as it was read last, or `None` where it could not be read once."""

    def __init__(self, message: str, *, phone_number_id: str, last_seen: PhoneNumber | None) -> None:
        super().__init__(message)
        self.phone_number_id = phone_number_id
        self.last_seen = last_seen


class WaitTimeoutError(WaitError, TimeoutError):
    """A number was not as it was waited for in time; `__cause__` is why its last reading failed, if it did."""


class StaleListingError(WaPhoneError):
    """A cache was told that an account had changed each time it read it, so that it has no listing to give."""

    waba_id: str
    """The account."""

    def __init__(self, message: str, *, waba_id: str) -> None:
        super().__init__(message)
        self.waba_id = waba_id


class WebhookSignatureError(WaPhoneError):
    """A webhook has no signature, or not that of its body: answer it with HTTP 403. Nothing of it was read."""


class GraphAPIError(WaPhoneError):
    """The API refused, and this is everything that it said.

    Its text begins with the sentence that is meant for people, where there is one, or else their title.
    Only `message` and `http_status` are always there: real bodies lack `type`, `fbtrace_id`, even `code`
    (Meta's Graph error guide and published captures, read 2026-11-22).
    """

    message: str
    """What Meta says, for developers. Its wording is not stable: decide by `code`."""
    http_status: int | None
    """The status of the answer. Throttling often arrives as 400, and an error even as 200. `None` only in a
    `RateLimitError` for a call that was not sent."""
    code: int | None
    """Meta's error code, or `None`."""
    error_subcode: int | None
    """Meta's subcode, or `None`."""
    type: str | None
    """Meta's error type, such as `OAuthException`. It says little: even a bad parameter has that one."""
    fbtrace_id: str | None
    """The id that Meta's support asks for."""
    is_transient: bool | None
    """Whether Meta says that it will pass, or `None` where it does not say."""
    error_user_title: str | None
    """A title to show to people, in their language."""
    error_user_msg: str | None
    """A sentence to show to people, in their language."""
    error_data: Mapping[str, Any] | str | None
    """Details as they came: a mapping, a string or `None`."""

    def __init__(
        self,
        message: str,
        *,
        http_status: int | None,
        code: int | None = None,
        error_subcode: int | None = None,
        type: str | None = None,  # noqa: A002 - the API's own name for it
        fbtrace_id: str | None = None,
        is_transient: bool | None = None,
        error_user_title: str | None = None,
        error_user_msg: str | None = None,
        error_data: Mapping[str, Any] | str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.http_status = http_status
        self.code = code
        self.error_subcode = error_subcode
        self.type = type
        self.fbtrace_id = fbtrace_id
        self.is_transient = is_transient
        self.error_user_title = error_user_title
        self.error_user_msg = error_user_msg
        self.error_data = error_data
        self.retry_after = retry_after

    def __str__(self) -> str:
        facts = [] if self.http_status is None else [f"HTTP {self.http_status}"]
        if self.code is not None:
            subcode = "" if self.error_subcode is None else f"/{self.error_subcode}"
            facts.append(f"code {self.code}{subcode}")
        if self.retry_after is not None:
            facts.append(f"retry after {_whole(self.retry_after)} s")
        if self.fbtrace_id is not None:
            facts.append(f"trace {self.fbtrace_id}")
        told = (self.error_user_msg or self.error_user_title or "").rstrip(".")
        words = self.message if told in self.message else f"{told}: {self.message}"
        return f"{words} ({', '.join(facts)})"

    def __repr__(self) -> str:
        names = "http_status", "code", "error_subcode"
        facts = [f", {name}={value}" for name in names if (value := getattr(self, name)) is not None]
        return f"{type(self).__name__}({self.message!r}{''.join(facts)})"


def _whole(seconds: float) -> float:
    """Seconds for people: whole ones, and never fewer."""
    return math.ceil(round(seconds, 3)) if seconds < math.inf else seconds


class BadRequestError(GraphAPIError):
    """A parameter is missing, malformed or not known to the API."""


class AuthenticationError(GraphAPIError):
    """The access token is missing, malformed, expired or revoked."""

    is_shared: bool = False
    """Whether it is the token of other accounts as well, as far as is known: so it is where the client has one token
    for all, and where a provider gave for one account what was rejected for another."""


class PermissionDeniedError(GraphAPIError):
    """The token is good and may not do this, or Meta blocks the account for a violation of its policy."""


class NotFoundError(GraphAPIError):
    """There is no such object, or this token may not see it; Graph does not tell these two apart."""


class ConflictError(GraphAPIError):
    """It is there already."""


class UnprocessableEntityError(GraphAPIError):
    """The request is well-formed, and what it asks for cannot be done."""


class RateLimitError(GraphAPIError):
    """Too many calls: `retry_after` says for how many seconds, where that is known."""

    sent: bool = True
    """Whether the request was sent. `False`: the quota is used, and the wait would be longer than the caller allows.
    Then there is no `http_status`."""
    usage: Usage | None = None
    """What the last answer said about the budgets, or `None`."""


class ServerError(GraphAPIError):
    """Meta's own trouble, of which some passes by itself."""
