"""Readers of responses that have learned nothing yet."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from wa_phone_async.decoding import converter
from wa_phone_async.decoding.plain_page import PlainPage
from wa_phone_async.pagination.expanded import expanded_page_reader
from wa_phone_async.pagination.page import page_reader


@contextlib.contextmanager
def fresh_readers() -> Iterator[None]:
    """Read with a converter and a fast path of their own, and by the switches of the present environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(converter, "_converter", converter._make_converter())
        _forget()
        yield
    _forget()


def _forget() -> None:
    for made_once in (converter.plain_page_reader, converter.plain_accounts_reader, page_reader, expanded_page_reader):
        made_once.cache_clear()  # type: ignore[union-attr]  # of `functools.lru_cache`


def read_plain_page(body: bytes, model: type[Any]) -> PlainPage[Any] | None:
    """Read a page by the fast path, as new as it is now. `None`: it leaves the page to the core path."""
    read = converter.plain_page_reader(model)
    return None if read is None else read(body)
