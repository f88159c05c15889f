"""Both ways to read a page: the core path, and the fast path that leaves unusual pages to it."""

from collections.abc import Callable
from typing import Any

from wa_phone_async.call.response import read_response
from wa_phone_async.errors import DecodeError, GraphAPIError
from wa_phone_async.pagination.page import RawPage, page_reader, read_page


def by_core(body: bytes, model: type[Any]) -> RawPage[Any]:
    payload = read_response(body, http_status=200, usage=None, secrets=tuple)
    return read_page(payload, model, http_status=200)


def by_both(body: bytes, model: type[Any]) -> RawPage[Any]:
    read = page_reader(model).read_bytes
    return (None if read is None else read(body, 200)) or by_core(body, model)


def outcome(read: Callable[[bytes, type[Any]], RawPage[Any]], body: bytes, model: type[Any]) -> tuple[object, ...]:
    """A value with the types of all its parts, or an error with its text."""
    try:
        page = read(body, model)
    except (DecodeError, GraphAPIError) as error:
        return type(error), str(error), vars(error), error.__context__
    return page, repr(page)
