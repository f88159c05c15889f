"""Faults planned for calls to come, as values, and the queue that hands them out."""

from collections.abc import Mapping
from typing import Any, Literal, Self, TypedDict, Unpack

import attrs

from .messages import JSON_TYPE, USUAL_STATUS, Answer, GraphError


class Facts(TypedDict, total=False):
    """What else an error of the Graph API may say."""

    type: str | None
    subcode: int | None
    is_transient: bool | None
    user_title: str | None
    user_msg: str | None
    data: Any


@attrs.frozen
class Fault:
    """What goes wrong with one call. Made by the constructors below; `attrs.evolve` combines them.

    A fault that brings an answer of its own stands in for the Graph API: the call counts against no budget
    and has no effect, unless `takes_effect` says that it was done all the same.
    """

    reply: GraphError | Answer | None = None
    """What is answered instead."""

    takes_effect: bool = False
    """Whether the call is carried out although `reply` is answered, as when Graph fails after the fact."""

    delay_before: float = 0.0
    """Seconds before the effect."""

    delay_after: float = 0.0
    """Seconds between the effect and the answer."""

    drop: Literal["before", "after"] | None = None
    """When the connection is dropped: before the effect, or after it."""

    reset: bool = False
    """Whether a drop is a reset (RST), not an orderly end (FIN)."""

    cuts: Literal["short", "clean"] | None = None
    """How the body is cut: short of its announced length, or with a length to match."""

    keep: int | None = None
    """Bytes of a cut body that are sent; half of it if `None`."""

    @classmethod
    def status(cls, status: int, *, headers: Mapping[str, str] | None = None) -> Self:
        """Answer with a bare status, without a body."""
        return cls(reply=Answer(status, b"", dict(headers or {})))

    @classmethod
    def error(
        cls,
        code: int | None,
        message: str | None = None,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        takes_effect: bool = False,
        **facts: Unpack[Facts],
    ) -> Self:
        """Answer with an error of the Graph API.

        Args:
            code: Its code; `None` leaves it out.
            message: Its message, `(#code) A planned error` unless told.
            status: The HTTP status, the usual one of the code unless told; 200 makes an error in a success.
            headers: More headers, such as `Retry-After`.
            takes_effect: Whether the call is carried out all the same.
            **facts: `subcode`, `is_transient`, `type`, `user_title`, `user_msg` and `data` of the error.
        """
        usual = 400 if code is None else USUAL_STATUS.get(code, 400)
        head = "" if code is None else f"(#{code}) "
        text = f"{head}A planned error" if message is None else message
        more = dict(headers or {})
        error = GraphError(usual if status is None else status, code, text, headers=more, **facts)
        return cls(reply=error, takes_effect=takes_effect)

    @classmethod
    def drop_before(cls, *, reset: bool = False) -> Self:
        """Drop the connection before the call takes effect."""
        return cls(drop="before", reset=reset)

    @classmethod
    def drop_after(cls, *, reset: bool = False) -> Self:
        """Drop the connection when the call has taken effect, unanswered."""
        return cls(drop="after", reset=reset)

    @classmethod
    def delay(cls, seconds: float) -> Self:
        """Wait before the effect."""
        return cls(delay_before=seconds)

    @classmethod
    def delay_response(cls, seconds: float) -> Self:
        """Wait between the effect and the answer."""
        return cls(delay_after=seconds)

    @classmethod
    def cut(cls, keep: int | None = None, *, clean: bool = False) -> Self:
        """Send the first `keep` bytes of the body, half of it unless told, and end the connection.

        With `clean` the length announced is that of the part: JSON that ends in the middle, and nobody says so.
        """
        return cls(cuts="clean" if clean else "short", keep=keep)

    @classmethod
    def html(cls, status: int = 503) -> Self:
        """Answer with a page of a proxy."""
        body = b"<!DOCTYPE html><html><body><h1>Service Unavailable</h1></body></html>"
        return cls(reply=Answer(status, body, {"Content-Type": "text/html; charset=utf-8"}))

    @classmethod
    def raw(
        cls,
        body: bytes | str,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        takes_effect: bool = False,
    ) -> Self:
        """Answer with exactly this. The content type is JSON's unless `headers` names another."""
        content = body.encode() if isinstance(body, str) else body
        reply = Answer(status, content, {"Content-Type": JSON_TYPE, **(headers or {})})
        return cls(reply=reply, takes_effect=takes_effect)

    def cut_body(self, body: bytes) -> bytes:
        """Give the part of a body that is sent."""
        if self.cuts is None:
            return body
        return body[: len(body) // 2 if self.keep is None else self.keep]


NO_FAULT = Fault()
"""What goes wrong with most calls: nothing."""


@attrs.define
class _Planned:
    fault: Fault
    times: int
    method: str | None
    node: str | None

    def concerns(self, method: str, node: str) -> bool:
        return self.method in {None, method} and self.node in {None, node}


class Plan:
    """Planned faults, first in, first out among those that concern a call."""

    def __init__(self) -> None:
        self._planned: list[_Planned] = []

    def __len__(self) -> int:
        """Give the number of calls still to go wrong."""
        return sum(planned.times for planned in self._planned)

    def add(self, fault: Fault, times: int, method: str | None, node: str | None) -> None:
        """Plan a fault for the next `times` calls of a method and a node."""
        self._planned.append(_Planned(fault, times, method, node))

    def take(self, method: str, node: str) -> Fault:
        """Give the fault of a call, and use it up once."""
        for place, planned in enumerate(self._planned):
            if planned.concerns(method, node):
                planned.times -= 1
                if not planned.times:
                    del self._planned[place]
                return planned.fault
        return NO_FAULT
