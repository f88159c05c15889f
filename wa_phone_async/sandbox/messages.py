"""What comes in and what goes out, as values: a request, an answer, and Graph's error envelope."""

import json
import re
from collections.abc import Mapping
from typing import Any, TypeGuard

import attrs

JSON_TYPE = "application/json; charset=UTF-8"


def _hidden(query: Mapping[str, str]) -> dict[str, str]:
    """Blot out what a printed request must not show."""
    return {name: "…" for name in ("access_token", "appsecret_proof", "code", "pin") if name in query}


def _without_secrets(body: bytes) -> str:
    """Blot out codes and PINs of a printed body, in JSON or in a form."""
    return repr(re.sub(rb"""(\b(?:code|pin)(?:"\s*:\s*|=))("[^"]*"|[^,}&\s]*)""", rb"\1***", body))


@attrs.frozen(eq=False)
class Request:
    """One request as the sandbox saw it."""

    method: str
    """`GET`, `POST`, …"""

    path: str
    """The path with its version, `/v23.0/1234/phone_numbers`."""

    node: str
    """The id in the path, `1234`; empty if there is none."""

    query: Mapping[str, str] = attrs.field(repr=lambda query: repr({**query, **_hidden(query)}))
    """The parameters of the URL, decoded. An `access_token` sent there is kept, for tests to find."""

    headers: Mapping[str, str] = attrs.field(repr=False)
    """All headers; names in any case. Not in the repr: they hold the token."""

    body: bytes = attrs.field(repr=_without_secrets)
    """The body as sent; a printed one hides codes and PINs."""

    peer_port: int
    """The caller's port: two requests of one `peer_port` came over one connection."""

    at: float
    """When it came, in seconds of the sandbox's clock."""

    status: int | None = None
    """The HTTP status answered; `None` while it is in flight, and for ever if the connection was dropped."""

    def json(self) -> Any:
        """Give the body, read as JSON."""
        return json.loads(self.body)


@attrs.frozen
class Answer:
    """One answer, ready for the wire."""

    status: int
    """The HTTP status."""

    body: bytes
    """The body as sent."""

    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """More headers."""


@attrs.frozen
class GraphError:
    """An error as the Graph API words it. What is `None` is left out of the body."""

    status: int
    """The HTTP status."""

    code: int | None
    """Meta's error code."""

    message: str
    """What it says, for developers."""

    type: str | None = "OAuthException"
    """Meta's error type."""

    subcode: int | None = None
    """Meta's `error_subcode`."""

    is_transient: bool | None = None
    """Whether it will pass."""

    user_title: str | None = None
    """`error_user_title`, to be shown to people."""

    user_msg: str | None = None
    """`error_user_msg`, to be shown to people."""

    data: Any = None
    """`error_data`, any JSON."""

    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """More headers, such as `Retry-After`."""

    def body(self, trace_id: str) -> bytes:
        """Give the JSON body, under the trace id of its answer."""
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


class Refusal(Exception):  # noqa: N818 - the API refuses; nothing went wrong in the sandbox
    """Raised inside the sandbox to end a request with an error."""

    def __init__(self, error: GraphError) -> None:
        super().__init__(error)
        self.error = error


def invalid(message: str, *, status: int = 400, code: int = 100, **facts: Any) -> Refusal:
    """Refuse a request for what it says; code 100 unless told."""
    return Refusal(GraphError(status, code, f"(#{code}) {message}", **facts))


USUAL_STATUS: Mapping[int, int] = {
    **dict.fromkeys([0, 102, 104, 190], 401),
    **dict.fromkeys([10, *range(200, 300), 368, 131005, 131031], 403),
    803: 404,
    **dict.fromkeys([1, 3, 131000, 131016, 131045, 131057, 133000], 500),
    **dict.fromkeys([2, 133004], 503),
}
"""The HTTP status that goes with a code where it is not 400 (Meta's error-code page, read 2026-11-22)."""


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Say whether a JSON value is an object."""
    return isinstance(value, dict)


def is_array(value: object) -> TypeGuard[list[object]]:
    """Say whether a JSON value is an array."""
    return isinstance(value, list)


def dumps(value: object) -> bytes:
    """Encode as Graph does: no blanks, ASCII only."""
    return json.dumps(value, separators=(",", ":")).encode()
