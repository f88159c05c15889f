"""Requests, responses and API errors as values."""

import json
import re
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, TypeGuard, cast

import attrs

JSON_TYPE = "application/json; charset=UTF-8"


# Requests are printed in the reports of failed tests, which often end in public logs: no secret may be in their repr.


_SECRETS = ("access_token", "input_token", "appsecret_proof", "code", "pin", "verify_token")


def _hidden(query: Mapping[str, str]) -> dict[str, str]:
    """Mask what a printed query must not show."""
    return {name: "…" for name in _SECRETS if name in query}


def _without_secrets(body: bytes) -> str:
    """Mask the codes, PINs and verify tokens in a printed body, in JSON or in a form."""
    return repr(
        re.sub(rb"""(\b(?:code|pin|verify_token)(?:"\s*:\s*|=))("(?:[^"\\]|\\.)*"|[^,}&\s]*)""", rb"\1***", body)
    )


@attrs.frozen(eq=False)
class Request:
    """One request as the sandbox received it."""

    method: str
    """`GET`, `POST`, …"""

    path: str
    """The path with its version, such as `/v23.0/1234/phone_numbers`."""

    node: str
    """The id in the path, such as `1234`; empty if there is none."""

    query: Mapping[str, str] = attrs.field(repr=lambda query: repr({**query, **_hidden(query)}))
    """The decoded parameters of the URL. A token sent there is kept, and hidden when printed."""

    headers: Mapping[str, str] = attrs.field(repr=False)
    """All headers, found by name in upper or lower case. They hold the token, so they are not printed."""

    body: bytes = attrs.field(repr=_without_secrets)
    """The raw body. Codes and PINs are hidden when printed."""

    peer_port: int
    """The caller's port. Requests with the same `peer_port` came over the same connection."""

    at: float
    """When it arrived, in seconds of the sandbox's clock."""

    status: int | None = None
    """The HTTP status of the response; `None` while the request is in flight or if the connection was dropped."""

    def json(self) -> Any:
        """Parse the body as JSON."""
        return json.loads(self.body)


@attrs.frozen
class Response:
    """One response, ready to be sent."""

    status: int
    """The HTTP status."""

    body: bytes
    """The raw body."""

    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """Further headers."""


@attrs.frozen
class GraphError:
    """An API error. A member that is `None` is left out of the body."""

    status: int
    """The HTTP status."""

    code: int | None
    """Meta's error code."""

    message: str
    """The message for developers."""

    type: str | None = "OAuthException"
    """Meta's error type."""

    subcode: int | None = None
    """Meta's `error_subcode`."""

    is_transient: bool | None = None
    """Meta's `is_transient`: whether the error passes by itself."""

    user_title: str | None = None
    """Meta's `error_user_title`, for people."""

    user_msg: str | None = None
    """Meta's `error_user_msg`, for people."""

    data: Any = None
    """Meta's `error_data`, any JSON."""

    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """Further headers, such as `Retry-After`."""

    def body(self, trace_id: str) -> bytes:
        """Return the JSON body, with the trace id of its response."""
        members = {
            "message": self.message,
            "type": self.type,
            "code": self.code,
            "error_subcode": self.subcode,
            "is_transient": self.is_transient,
            "error_user_title": self.user_title,
            "error_user_msg": self.user_msg,
            "error_data": self.data,
            "fbtrace_id": trace_id,
        }
        return dumps({"error": {name: value for name, value in members.items() if value is not None}})


class RejectedError(Exception):
    """Ends a request with an API error. It is raised and caught inside the sandbox only."""

    def __init__(self, error: GraphError) -> None:
        super().__init__(error)
        self.error = error


def rejected(message: str, *, status: int = 400, code: int = 100, **details: Any) -> RejectedError:
    """Make the error for a request that the API does not accept. Default: code 100, an invalid parameter."""
    return RejectedError(GraphError(status, code, f"(#{code}) {message}", **details))


USUAL_STATUS: Mapping[int, int] = {
    **dict.fromkeys([0, 102, 104, 190], 401),
    **dict.fromkeys([10, *range(200, 300), 368, 131005, 131031], 403),
    803: 404,
    **dict.fromkeys([1, 3, 131000, 131016, 131045, 131057, 133000], 500),
    **dict.fromkeys([2, 133004], 503),
}
"""The HTTP status of each code where it is not 400 (Meta's error-code page, read 2026-11-22)."""


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Return whether a JSON value is an object."""
    return isinstance(value, dict)


def is_array(value: object) -> TypeGuard[list[object]]:
    """Return whether a JSON value is an array."""
    return isinstance(value, list)


def dumps(value: object) -> bytes:
    """Encode as Graph does: without blanks, in ASCII. A number that JSON does not have becomes `null`."""
    try:
        return _encode(value).encode()
    except ValueError:
        return _encode(_finite(value)).encode()


_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if isfinite(value) else None
    if is_object(value):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in cast("Sequence[object]", value)]
    return value
