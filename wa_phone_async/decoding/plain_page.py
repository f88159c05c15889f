"""What the fast path gives: a page with nothing but rows and `paging`; and what all readers of pages share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar, cast

import attrs

T = TypeVar("T")
F = TypeVar("F", bound=Callable[[Any], Any])

LARGE_PAGE: Final = 160 * 1024
"""Bytes of a page from which on reading it takes care of its cost. 100 numbers with all fields have 126 KiB."""
LONGEST_LINK: Final = 16 * 1024
"""The characters of the longest link or cursor. No server takes a URL of that length."""


def once_for_each_model(make: F) -> F:
    """Keep what a function of a model returned. Its readers are made once, and may learn from what they read."""
    return cast("F", functools.lru_cache(maxsize=256)(make))


@attrs.define(on_setattr=attrs.setters.NO_OP)  # made for each page; frozen takes three times as long
class PlainPage(Generic[T]):
    """A page with nothing but rows, and in `paging` two cursors and two links."""

    rows: list[T]
    before: str | None
    after: str | None
    next: str | None = attrs.field(repr=False)  # the links hold the token
    previous: str | None = attrs.field(repr=False)


PlainAccount: TypeAlias = tuple[str, str | None, bytes | None]
"""An account: its id, its name, and the JSON of its page of numbers. `None`: it came without."""


class PageReader(Protocol):
    """Reads the bytes of a page of one model."""

    def __call__(self, body: bytes) -> PlainPage[Any] | None:
        """Return the page, with the same rows as the core path gives. `None` leaves the page to the core path."""
        ...
