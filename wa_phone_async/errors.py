"""What can go wrong, as a tree. Each branch needs another action of the caller.

    WaPhoneError
    ├── InvalidArgumentError      (also ValueError)    an argument is invalid and nothing was sent: fix the call
    ├── MissingTokenError                              an account has no token, and nothing was sent: add its token
    ├── TransportError                                 no complete response: check the network
    │   └── RequestTimeoutError   (also TimeoutError)  no complete response in time
    ├── LedgerError                                    a ledger of registrations failed, and nothing was sent
    ├── OutcomeUnknownError                            a write may have happened: check before you send it again
    ├── AmbiguousNumberError                           several numbers match: choose one by its id
    ├── DecodeError                                    a response is invalid
    ├── PaginationError                                a list cannot go on, or would never end
    ├── ExportError               (also OSError)       a file was not written
    ├── JournalError              (also OSError)       a journal was not written: nothing more was sent
    ├── WaitError                                      waiting does not help: somebody must act on the number
    │   └── WaitTimeoutError      (also TimeoutError)  a number did not change in time: wait again, or give up
    ├── StaleListingError                              an account changed during each read: read it again later
    ├── WebhookSignatureError                          a webhook is not from Meta: respond with HTTP 403
    └── GraphAPIError                                  the API rejected the request
        ├── BadRequestError                            a parameter is missing or invalid
        ├── AuthenticationError                        the access token is missing, expired or revoked
        ├── PermissionDeniedError                      the access token is valid, but may not do this
        ├── NotFoundError                              there is no such object, or the token may not see it
        ├── ConflictError                              the object exists already
        ├── UnprocessableEntityError                   the request is valid, but impossible
        ├── RateLimitError                             there were too many calls: wait
        └── ServerError                                the API failed

You can pickle every error and add notes to it. No error holds a secret.
"""

from __future__ import annotations

import math
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .models import PhoneNumber
    from .usage import Usage

FailedAt: TypeAlias = Literal["dns", "connection", "tls", "proxy", "response"]
"""Where a call failed that got no response."""
CLOSED: Final = "this client is closed: enter it again with 'async with', or make a new one"
"""The text of the `RuntimeError` for a call on a closed client."""
_NOT_SHOWN: Final = object()  # `None` can be the wrong value
_LONGEST_SHOWN: Final = 60  # characters; tokens are longer
_LARGEST_SHOWN: Final = 10**_LONGEST_SHOWN


class WaPhoneError(Exception):
    """The base class of all errors that this library raises on purpose."""

    attempts: int = 0
    """How many attempts the call made, the first one included."""
    retry_after: float | None = None
    """Seconds that the server asks you to wait, or `None` if it does not say."""
    retryable: bool = False
    """Whether a retry of the same call is safe and may succeed."""
    seconds_left: float | None = None
    """Seconds that were left of the call's `total_timeout` when it failed, or `None` if it had none."""

    def __reduce__(self) -> tuple[Any, ...]:
        # The one of `Exception` calls `__init__` with `args` alone, without the keyword-only parameters.
        return _rebuild, (type(self), self.args), self.__dict__


def _rebuild(kind: type[WaPhoneError], args: tuple[Any, ...]) -> WaPhoneError:
    error = kind.__new__(kind, *args)
    error.args = args  # `TimeoutError` sets them in `__init__`, which is not called
    return error


class InvalidArgumentError(WaPhoneError, ValueError):
    """An argument is wrong, and nothing was sent: "limit must be a whole number from 1 to 100, not 0".

    Args:
        argument: What has to change, by its name.
        expected: What would be right, in words that follow "must be".
        given: The value that is wrong. Pass its class where the value says too little, or must not be shown. Pass
            nothing for a secret.
        hint: Why it is wrong, or what to do. It ends the sentence.
    """

    argument: str
    """What has to change: an argument, an environment variable such as `WA_ACCESS_TOKEN`, or an extra to install."""
    expected: str
    """What would be right, such as `a whole number from 1 to 100`."""
    given: str | None
    """The wrong value as the sentence shows it, or `None` where it is not shown. A long string is only described: it
    could be a token in the wrong place."""
    hint: str | None
    """Why it is wrong, or what to do; `None` where `expected` says enough."""

    def __init__(self, argument: str, expected: str, given: object = _NOT_SHOWN, *, hint: str | None = None) -> None:
        super().__init__(argument, expected)
        self.argument = argument
        self.expected = expected
        self.given = None if given is _NOT_SHOWN else _shown(given)
        self.hint = hint

    def __str__(self) -> str:
        given = "" if self.given is None else f", not {self.given}"
        hint = "" if self.hint is None else f": {self.hint}"
        return f"{self.argument} must be {self.expected}{given}{hint}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self) if vars(self) else ''!r})"  # empty if a traceback shows its making


def _shown(value: object) -> str:
    """A wrong value for people. The error keeps only this text, since it is logged and pickled."""
    if isinstance(value, type):
        return value.__name__
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, int) and not -_LARGEST_SHOWN < value < _LARGEST_SHOWN:
        return "a long int"  # `repr` raises for thousands of digits
    text = repr(value)
    if len(text) <= _LONGEST_SHOWN:
        return text
    return f"a string of {len(value)} characters" if isinstance(value, str) else f"a long {type(value).__name__}"


class MissingTokenError(WaPhoneError):
    """A `TokenMap` has no token for an account, and no common token. Nothing was sent."""

    waba_id: str
    """The id without a token: the account that the call names, or the id at the head of its path."""
    filename: str | None
    """The file of the `TokenMap`; `None` if the tokens came from a program."""

    def __init__(self, waba_id: str, filename: str | None) -> None:
        source = "the TokenMap" if filename is None else filename
        super().__init__(
            f"no token for {waba_id} in {source}, and no common token: nothing was sent. Add a token for this account. "
            "For a number, name its account with waba_id="
        )
        self.waba_id = waba_id
        self.filename = filename


class LedgerError(WaPhoneError):
    """The ledger of registrations failed. Nothing was sent, since the ledger could not count it.

    The text says what to do.
    """

    ledger: str
    """Which one: the path of its file, or `Redis`."""
    reason: str
    """Why it failed, in a few words: `another process has locked it for 5 s`."""

    def __init__(self, ledger: str, reason: str, advice: str) -> None:
        super().__init__(f"the ledger of registrations ({ledger}) failed: {reason}. Nothing was sent. {advice}")
        self.ledger = ledger
        self.reason = reason


class TransportError(WaPhoneError):
    """There is no complete response: the connection failed or broke, or the response was cut off."""

    sent: bool
    """Whether the request may have reached the server. `False`: it certainly did not."""
    failed_at: FailedAt = "response"
    """Where it failed: `dns` is the address of the host, `connection` the way to it, `tls` its certificate, and `proxy`
    the proxy. `response`: there was a connection."""
    is_permanent: bool = False
    """Whether a retry cannot help: the server's certificate is not trusted, or the proxy rejects the connection."""
    reason: str | None = None
    """What went wrong, in a few words: `cannot connect to graph.facebook.com:443 (Name or service not known)`. `None`
    if the time was up."""

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent


class RequestTimeoutError(TransportError, TimeoutError):
    """There was no complete response in time."""


class OutcomeUnknownError(WaPhoneError):
    """A write was sent and its response was lost. The write may have happened.

    This library does not retry it. Check first if it happened: the text says how.
    """

    operation: str
    """The write: the name of the client's method."""
    waba_id: str | None
    """The account of the write. `None` if the write named a number and no account."""
    phone_number: str | None
    """The number to create, as you passed it. `None` for other writes."""
    phone_number_id: str | None
    """Meta's id of the number that the write was about. `None` for a create."""
    field: str | None
    """The field of the number that shows whether the write happened. `None` if no field does. After a create the list
    of numbers shows it."""
    reason: str
    """What happened to the response, in a few words."""

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
    """Several numbers of an account match the one that you passed. Continue with the id of the right one.

    It can be a single number too, if it matches only without its country code. The text says what to do.
    """

    waba_id: str
    """The account."""
    phone_number: str
    """The number, as you passed it."""
    phone_number_ids: tuple[str, ...]
    """Meta's ids of the numbers that match."""

    def __init__(self, message: str, *, waba_id: str, phone_number: str, phone_number_ids: tuple[str, ...]) -> None:
        super().__init__(message)
        self.waba_id = waba_id
        self.phone_number = phone_number
        self.phone_number_ids = phone_number_ids


class DecodeError(WaPhoneError):
    """A response is invalid: it is not JSON, too large, or a redirect, or a value in it has the wrong type."""

    http_status: int | None
    """The HTTP status of the response, or `None` if the value did not come from a response."""
    garbled: bool
    """Whether the body is not JSON, for example because it was cut off. A retry may then succeed. `False` for HTML with
    a 2xx status: that comes from another server, so `base_url` is wrong."""

    def __init__(self, message: str, *, http_status: int | None = None, garbled: bool = False) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.garbled = garbled


class PaginationError(WaPhoneError):
    """A list would never end, or it has another page and no cursor for it."""

    cursor: str | None
    """The cursor that came twice, or after which all pages were empty. `None` if there was no cursor."""

    def __init__(self, message: str, *, cursor: str | None = None) -> None:
        super().__init__(message)
        self.cursor = cursor


class ExportError(WaPhoneError, OSError):
    """A file could not be written completely, and nothing of it was left. Or the kept parts of an export are damaged.

    The text says what is there, and what to do.
    """

    # These replace the attributes of `OSError`. With its own it would build another text, and lose them in a pickle.
    errno: int | None = None
    """The error number of the system, such as `errno.ENOSPC`; `None` where a file is damaged."""
    filename: str | None = None
    """The file to write, or the damaged one."""

    def __init__(self, message: str, *, errno: int | None = None, filename: str | None = None) -> None:
        super().__init__(message)
        self.errno = errno
        self.filename = filename


class JournalError(WaPhoneError, OSError):
    """The journal of a bulk edit cannot be written, so nothing more was sent. Or the journal is damaged.

    What the journal has is true. Free the disk, and run the same edit with the same journal: it goes on.
    """

    # As in `ExportError`.
    errno: int | None = None
    """The error number of the system, such as `errno.ENOSPC`; `None` where the journal is damaged."""
    filename: str | None = None
    """The journal."""

    def __init__(self, message: str, *, errno: int | None = None, filename: str | None = None) -> None:
        super().__init__(message)
        self.errno = errno
        self.filename = filename


class WaitError(WaPhoneError):
    """A number cannot reach the state that you wait for unless somebody acts. The text says why."""

    phone_number_id: str
    """Meta's id of the number."""
    last_seen: PhoneNumber | None
    """The number as it was read last, or `None` if no read succeeded."""

    def __init__(self, message: str, *, phone_number_id: str, last_seen: PhoneNumber | None) -> None:
        super().__init__(message)
        self.phone_number_id = phone_number_id
        self.last_seen = last_seen


class WaitTimeoutError(WaitError, TimeoutError):
    """A number did not reach the state in time. If its last read failed, `__cause__` is the error of it."""


class StaleListingError(WaPhoneError):
    """An account changed each time the cache read it, so the cache has no listing that is still true."""

    waba_id: str
    """The account."""

    def __init__(self, message: str, *, waba_id: str) -> None:
        super().__init__(message)
        self.waba_id = waba_id


class WebhookSignatureError(WaPhoneError):
    """A webhook has no signature, or a wrong one, or a request for a challenge has no verify token, or a wrong one.

    Meta did not send it, or your app secret or verify token is another app's. Respond with HTTP 403.
    """


class GraphAPIError(WaPhoneError):
    """The API rejected the request. The attributes are all that it sent about the reason.

    The text begins with the `hint`, if there is one. Then follow Meta's sentence for people, or else Meta's title for
    people, and the message. Without a sentence for people, it also has the details of `error_data`: WhatsApp gives the
    reason there.
    Only `message` and `http_status` are always there: real errors lack `type`, `fbtrace_id`, even `code`
    (Meta's Graph error guide and published captures, read 2026-11-22).
    """

    message: str
    """Meta's message for developers, or else what the code means. The words change: decide by `code` instead."""
    http_status: int | None
    """The HTTP status of the response. Throttling often has 400, and some errors have 200. `None` only in a
    `RateLimitError` for a call that was not sent."""
    code: int | None
    """Meta's error code, or `None`."""
    error_subcode: int | None
    """Meta's subcode, or `None`."""
    type: str | None
    """Meta's error type, such as `OAuthException`. It says little: an invalid parameter has that one too."""
    fbtrace_id: str | None
    """Meta's id of the request, for Meta's support."""
    is_transient: bool | None
    """Whether Meta says that the trouble passes, or `None` if it does not say."""
    error_user_title: str | None
    """Meta's title to show to people, in their language, or `None`."""
    error_user_msg: str | None
    """Meta's sentence to show to people, in their language, or `None`."""
    error_data: Mapping[str, Any] | str | None
    """Meta's details: a mapping, a string or `None`."""
    node_type: str | None = None
    """Graph's name for the type of the id in the path, such as `Business`, if the API named it; else `None`.

    For an id of the wrong kind, `hint` says what the id is."""
    hint: str | None = None
    """What is wrong with the id or with the token's permissions, and what to do, in sentences for people. They begin
    the text of the error. `None`: nothing more is known than what the API said."""
    missing_fields: tuple[str, ...] = ()
    """The fields of `ALL_FIELDS` that the server does not have, by the text of the error. A call with `ALL_FIELDS` or
    `DEFAULT_FIELDS` leaves them out and goes on by itself."""
    needs_smaller_page: bool = False
    """Whether the response would be too large, and only a smaller page helps. A list halves its pages by itself."""

    def __init__(
        self,
        message: str,
        *,
        http_status: int | None,
        code: int | None = None,
        error_subcode: int | None = None,
        type: str | None = None,  # noqa: A002 - the API's own name
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
        for_people = self.error_user_msg or self.error_user_title or ""
        words = self.message
        if for_people.rstrip(".") not in words:
            words = f"{for_people.rstrip('.')}: {words}"
        details = "" if self.error_user_msg else self._details().rstrip(". \n")
        if details not in words:
            words = f"{words.rstrip('. ')}: {details}"
        if self.hint is not None:
            words = f"{self.hint} The API said: {words}"
        return f"{words} ({', '.join(facts)})"

    def _details(self) -> str:
        """Return the details of `error_data`, as far as they are a text or a number."""
        data = self.error_data
        details: object = data if data is None or isinstance(data, str) else data.get("details")
        return str(details) if isinstance(details, str | int) and not isinstance(details, bool) else ""

    def __repr__(self) -> str:
        names = "http_status", "code", "error_subcode"
        has = vars(self)  # some are missing if a traceback shows the error while it is made
        facts = [f", {name}={has[name]}" for name in names if has.get(name) is not None]
        return f"{type(self).__name__}({has.get('message', '')!r}{''.join(facts)})"


def _whole(seconds: float) -> float:
    """Round seconds up, for people."""
    return math.ceil(round(seconds, 3)) if seconds < math.inf else seconds


class BadRequestError(GraphAPIError):
    """A parameter is missing, invalid or unknown to the API."""


class AuthenticationError(GraphAPIError):
    """The access token is missing, malformed, expired or revoked."""

    is_shared: bool = False
    """Whether other accounts use the same token, as far as the client knows. It does if it has one token for all
    accounts, or if its provider returned for one account the token that was rejected for another."""


def concerns_all(error: object) -> TypeGuard[AuthenticationError]:
    """Whether the API rejected a token that other accounts use too. Then every other call would fail like this one."""
    return isinstance(error, AuthenticationError) and error.is_shared


class PermissionDeniedError(GraphAPIError):
    """The access token is valid but may not do this, or Meta blocks the account for a violation of its policy."""

    permission: str | None = None
    """The missing permission, such as `whatsapp_business_management`, or `None` if the API did not name it."""


class NotFoundError(GraphAPIError):
    """There is no such object, or this token may not see it. The API does not tell which of the two it is."""


class ConflictError(GraphAPIError):
    """The object exists already, or the username is taken."""


class UnprocessableEntityError(GraphAPIError):
    """The request is valid, but the API cannot do it."""


class RateLimitError(GraphAPIError):
    """There were too many calls. `retry_after` has the seconds to wait, if they are known."""

    sent: bool = True
    """Whether the request was sent. `False`: the quota is used, and the wait for it is longer than you allow. Or the
    number has used its ten registrations of 72 hours. There is then no `http_status`."""
    usage: Usage | None = None
    """What the last response reported of the quotas, or `None`."""


class ServerError(GraphAPIError):
    """The API failed. Some of its failures pass: see `retryable`."""
