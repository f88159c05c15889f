"""Phone numbers for programs: exact JSON, JSON Lines, and CSV with stable columns."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from wa_phone_async import PhoneNumber, to_dict

from .output import escape_json, printable, use_utf8, write


class Writer(Protocol):
    """Writes a list as it comes, page by page."""

    left_out: Sequence[str]
    """The titles of columns for which there was no room."""

    def page(self, waba_id: str, numbers: Sequence[PhoneNumber]) -> None:
        """Write one page of an account."""
        ...

    def end(self) -> None:
        """Write what belongs at the end of a list that is complete."""
        ...


class JsonLines:
    """One JSON object on each line: `to_dict(number)`.

    Args:
        with_waba_id: Whether each object begins with the account that it is from.
    """

    left_out: Sequence[str] = ()

    def __init__(self, *, with_waba_id: bool) -> None:
        self._with_waba_id = with_waba_id
        use_utf8()

    def page(self, waba_id: str, numbers: Sequence[PhoneNumber]) -> None:
        """Write one page of an account."""
        write("".join(f"{self.line(waba_id, number)}\n" for number in numbers))

    def line(self, waba_id: str, number: PhoneNumber) -> str:
        """A number as one line of JSON."""
        members = to_dict(number)
        return to_json({"waba_id": waba_id, **members} if self._with_waba_id else members)

    def end(self) -> None:
        """Nothing ends JSON Lines."""


class JsonArray(JsonLines):
    """One JSON array of all numbers, each on a line of its own.

    It is closed only when the list is complete, so that no program takes a part for the whole.
    """

    _before_row = "[\n"

    def page(self, waba_id: str, numbers: Sequence[PhoneNumber]) -> None:
        """Write one page of an account."""
        for number in numbers:
            write(f"{self._before_row}{self.line(waba_id, number)}")
            self._before_row = ",\n"

    def end(self) -> None:
        """Close the array."""
        write("[]\n" if self._before_row == "[\n" else "\n]\n")


class Csv:
    """Comma-separated values under a line of column names, which depends on nothing but the fields asked for.

    The columns are `waba_id`, `id`, the other fields in the order in which they were asked for, and `extra`: as JSON,
    whatever came besides.

    Args:
        fields: The fields asked for.
    """

    left_out: Sequence[str] = ()

    def __init__(self, fields: Sequence[str]) -> None:
        self._fields = ("id", *(name for name in dict.fromkeys(fields) if name != "id"))
        self._has_header = False
        self._escapes = sys.stdout.isatty()
        use_utf8()

    def page(self, waba_id: str, numbers: Sequence[PhoneNumber]) -> None:
        """Write one page of an account."""
        rows = [self._row(waba_id, number) for number in numbers]
        if not self._has_header:
            self._has_header = True
            rows.insert(0, ["waba_id", *self._fields, "extra"])
        if self._escapes:
            rows = [[printable(cell) for cell in row] for row in rows]
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        write(text.getvalue())

    def end(self) -> None:
        """Write the column names, should nothing have come to stand under them."""
        self.page("", ())

    def _row(self, waba_id: str, number: PhoneNumber) -> list[str]:
        rest = {name: value for name, value in number.extra.items() if name not in self._fields}
        return [waba_id, *cells(number, self._fields), to_json(rest) if rest else ""]


def cells(number: PhoneNumber, fields: Iterable[str]) -> list[str]:
    """Fields of a number as text: as they came, structures as JSON, and nothing for what did not come."""
    members = to_dict(number)
    if number.platform_type is not None:
        members["platform_type"] = str(number.platform_type)
    return [_text(members.get(name)) for name in fields]


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else to_json(value)


def to_json(value: Any) -> str:
    """JSON on one line, in which control characters are escapes."""
    return escape_json(json.dumps(value, ensure_ascii=False))
