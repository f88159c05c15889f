"""Planned faults: what goes wrong with the next calls, and the queue of them."""

from collections.abc import Mapping
from typing import Any, Literal, Self, TypedDict, Unpack

import attrs

from .messages import JSON_TYPE, USUAL_STATUS, GraphError, Response


class ErrorDetails(TypedDict, total=False):
    """Further members of an API error."""

    type: str | None
    subcode: int | None
    is_transient: bool | None
    user_title: str | None
    user_msg: str | None
    data: Any


@attrs.frozen
class Fault:
    """What goes wrong with one call. Use the constructors below, and `attrs.evolve` to combine them.

    A fault with a `reply` replaces the Graph API. The call then uses no quota and has no effect, unless `takes_effect`.
    """

    reply: GraphError | Response | None = None
    """The response or API error that is sent instead."""

    takes_effect: bool = False
    """Whether the call takes effect although `reply` is sent, as when Graph fails after its work is done."""

    delay_before: float = 0.0
    """Seconds of delay before the effect."""

    delay_after: float = 0.0
    """Seconds of delay between the effect and the response."""

    drop: Literal["before", "after"] | None = None
    """When the connection is dropped: before or after the effect. `None` drops nothing."""

    reset: bool = False
    """Whether the drop is a reset (RST) instead of an orderly end (FIN)."""

    cuts: Literal["short", "clean"] | None = None
    """How the body is cut: `"short"` announces the whole length, `"clean"` that of the part. `None` cuts nothing."""

    keep: int | None = None
    """How many bytes of a cut body are sent; `None` sends half of it."""

    @classmethod
    def status(cls, status: int, *, headers: Mapping[str, str] | None = None) -> Self:
        """Send a bare status, without a body."""
        return cls(reply=Response(status, b"", dict(headers or {})))

    @classmethod
    def error(
        cls,
        code: int | None = None,
        message: str | None = None,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        takes_effect: bool = False,
        **details: Unpack[ErrorDetails],
    ) -> Self:
        """Send an API error: `Fault.error(80008)`, or `Fault.error(status=500)`.

        Args:
            code: Its code; `None` leaves the code out.
            message: Its message; default: `(#code) A planned error`.
            status: The HTTP status; default: the usual one of the code. 200 makes an error in a successful response.
            headers: Further headers, such as `Retry-After`.
            takes_effect: Whether the call takes effect all the same.
            **details: `subcode`, `is_transient`, `type`, `user_title`, `user_msg` and `data` of the error.
        """
        usual = 400 if code is None else USUAL_STATUS.get(code, 400)
        head = "" if code is None else f"(#{code}) "
        text = f"{head}A planned error" if message is None else message
        more = dict(headers or {})
        error = GraphError(usual if status is None else status, code, text, headers=more, **details)
        return cls(reply=error, takes_effect=takes_effect)

    @classmethod
    def drop_before(cls, *, reset: bool = False) -> Self:
        """Drop the connection before the call takes effect."""
        return cls(drop="before", reset=reset)

    @classmethod
    def drop_after(cls, *, reset: bool = False) -> Self:
        """Drop the connection after the call has taken effect. Its response is lost."""
        return cls(drop="after", reset=reset)

    @classmethod
    def delay(cls, seconds: float) -> Self:
        """Delay the effect by this many seconds."""
        return cls(delay_before=seconds)

    @classmethod
    def delay_response(cls, seconds: float) -> Self:
        """Delay the response by this many seconds after the effect."""
        return cls(delay_after=seconds)

    @classmethod
    def cut(cls, keep: int | None = None, *, clean: bool = False) -> Self:
        """Send only the first `keep` bytes of the body and close the connection.

        Args:
            keep: How many bytes are sent; default: half of the body.
            clean: Announce the length of the part. Then the JSON ends in the middle, and HTTP reports nothing wrong.
        """
        return cls(cuts="clean" if clean else "short", keep=keep)

    @classmethod
    def html(cls, status: int = 503) -> Self:
        """Send the HTML page of a proxy."""
        body = b"<!DOCTYPE html><html><body><h1>Service Unavailable</h1></body></html>"
        return cls(reply=Response(status, body, {"Content-Type": "text/html; charset=utf-8"}))

    @classmethod
    def raw(
        cls,
        body: bytes | str,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        takes_effect: bool = False,
    ) -> Self:
        """Send exactly this body. The content type is JSON, unless `headers` has another."""
        content = body.encode() if isinstance(body, str) else body
        reply = Response(status, content, {"Content-Type": JSON_TYPE, **(headers or {})})
        return cls(reply=reply, takes_effect=takes_effect)

    def cut_body(self, body: bytes) -> bytes:
        """Return the part of a body that is sent."""
        if self.cuts is None:
            return body
        return body[: len(body) // 2 if self.keep is None else self.keep]


NO_FAULT = Fault()
"""The fault of a call for which none is planned: nothing goes wrong."""


@attrs.define
class _Planned:
    fault: Fault
    times: int
    method: str | None
    node: str | None

    def matches(self, method: str, node: str) -> bool:
        return self.method in {None, method} and self.node in {None, node}


class Plan:
    """Planned faults. A call takes the oldest one that matches its method and node."""

    def __init__(self) -> None:
        self._planned: list[_Planned] = []

    def __len__(self) -> int:
        """The number of calls that are still planned to go wrong."""
        return sum(planned.times for planned in self._planned)

    def add(self, fault: Fault, times: int, method: str | None, node: str | None) -> None:
        """Plan a fault for the next `times` calls of a method and a node; `None` matches any."""
        self._planned.append(_Planned(fault, times, method, node))

    def take(self, method: str, node: str) -> Fault:
        """Return the fault of a call, and count it as used once."""
        # The oldest fault may be for another method or node. It stays in the queue and does not block those behind it.
        for index, planned in enumerate(self._planned):
            if planned.matches(method, node):
                planned.times -= 1
                if not planned.times:
                    del self._planned[index]
                return planned.fault
        return NO_FAULT
