"""What the fast path gives: a page with nothing but rows and `paging`."""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar

import attrs

T = TypeVar("T")


@attrs.frozen
class PlainPage(Generic[T]):
    """A page with nothing but rows and `paging`."""

    rows: list[T]
    paging: object = attrs.field(repr=False)  # its links hold the token


class PageReader(Protocol):
    """Reads the bytes of a page of one model."""

    def __call__(self, body: bytes) -> PlainPage[Any] | None:
        """Return the page, with the same rows as the core path gives. `None` leaves the page to the core path."""
        ...
