"""What a fast path gives: a page of nothing but rows and `paging`."""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar

import attrs

T = TypeVar("T")


@attrs.frozen
class PlainPage(Generic[T]):
    """A page that has nothing but rows and `paging`, as a fast path reads it from its bytes."""

    rows: list[T]
    paging: object = attrs.field(repr=False)  # its links hold the token


class PageReader(Protocol):
    """Reads the bytes of pages of one model."""

    def __call__(self, body: bytes) -> PlainPage[Any] | None:
        """The page: the very rows that the core path would give. `None` leaves it to the core path."""
        ...
