"""Large pages, parsed row by row.

`json` parses a whole page before anybody can look at a row of it. An array of empty arrays takes 24 times its size.
So of a large page each row is read as soon as it is parsed. If rows do not fit, reading ends with the last row, or
after `MAX_MISFITS` of them. The rest of such a page is not parsed at all.

The JSON of each value, such as a row, is still parsed by `json`. Only what is around the rows is read here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, TypeAlias

from wa_phone_async.errors import DecodeError

from .converter import JSON_DECODER, read_json

RowsReader: TypeAlias = Callable[[Iterator[object]], list[Any]]
"""Reads the JSON of rows, one after the other, or raises a `DecodeError`."""

_MOST_MEMBERS: Final = 16  # Meta's pages have two to four
_COMMA: Final = re.compile(r"[ \t\n\r]*,[ \t\n\r]*")
_MARK: Final = re.compile(r"[ \t\n\r]*([{}\[\]:,])[ \t\n\r]*")


def read_large_page(body: bytes, read_rows: RowsReader, *, http_status: int) -> dict[str, Any] | None:
    """Read the body of a page to its members. `data` is then the list that the reader of the rows returned.

    Args:
        body: The body, decompressed.
        read_rows: Reads the rows.
        http_status: The status of the response, for the error.

    Returns:
        `None` if this is no usual page, which is for `json` to parse: no object, an API error (a member `error`), a
        member twice, or many members.

    Raises:
        DecodeError: The body is not JSON, or `data` is no array, or a row does not fit the model.
    """
    parse = partial(_read_members, read_rows=read_rows, http_status=http_status)
    members: dict[str, Any] | None = read_json(body, http_status=http_status, parse=parse)
    return members


def _read_members(text: str, read_rows: RowsReader, http_status: int) -> dict[str, Any] | None:
    source = _Source(text)
    members: dict[str, Any] = {}
    mark = source.mark()
    if mark not in {"{", "["}:
        return None
    if mark == "{" and not source.is_at("}"):
        mark = ","
    while mark == ",":
        name = source.name()
        if name == "error" or name in members or len(members) == _MOST_MEMBERS:
            return None
        if name != "data":
            members[name] = source.value()
        elif source.mark() == "[":
            members[name] = read_rows(source.items())
        else:
            raise DecodeError("expected an array @ $.data", http_status=http_status)
        mark = source.mark()
    if "data" not in members:
        raise DecodeError("expected an array @ $.data", http_status=http_status)
    source.end(mark)
    return members


class _Source:
    """A text of JSON, and how far it is read. What is no JSON raises a `ValueError`."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def is_at(self, mark: str) -> bool:
        """Whether a mark comes next."""
        return self._text.startswith(mark, self._at)

    def mark(self) -> str:
        """Go past a bracket, a comma or a colon, and return it. It is empty if something else comes next."""
        found = _MARK.match(self._text, self._at)
        if found is None:
            if self._at == len(self._text):
                raise ValueError
            return ""
        self._at = found.end()
        return found[1]

    def value(self) -> Any:
        """Parse the value that comes next."""
        value, self._at = JSON_DECODER.raw_decode(self._text, self._at)
        return value

    def name(self) -> str:
        """Parse the name of a member, and go past its colon."""
        name = self.value()
        if type(name) is not str or self.mark() != ":":
            raise ValueError
        return name

    def items(self) -> Iterator[Any]:
        """Parse the items of an array one by one, after its first bracket."""
        text, more = self._text, not self.is_at("]")
        while more:  # without a method call, for there may be many
            item, self._at = JSON_DECODER.raw_decode(text, self._at)
            yield item
            if comma := _COMMA.match(text, self._at):
                self._at = comma.end()
            else:
                more = False
        if self.mark() != "]":
            raise ValueError

    def end(self, mark: str) -> None:
        """Check that the last mark ends an object, and that nothing follows."""
        if mark != "}" or self._at < len(self._text):
            raise ValueError
