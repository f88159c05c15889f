"""Phone numbers for programs: JSON, and the JSON Lines and CSV that `wa-phone export` writes too."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Literal, Protocol, TypeVar

from wa_phone_async.decoding.converter import to_dict
from wa_phone_async.export import plain_json
from wa_phone_async.export.formats import Encoder, make_encoder
from wa_phone_async.export.rows import Batch, batches, columns_of, offer
from wa_phone_async.models import BusinessAccount, PhoneNumber
from wa_phone_async.redaction import hide_queries, printable
from wa_phone_async.workflows.listing import WabaListing

from .output import use_utf8, write

R_contra = TypeVar("R_contra", PhoneNumber, BusinessAccount, contravariant=True)


class PageWriter(Protocol[R_contra]):
    """Writes a list of numbers or of accounts as it comes, page by page."""

    left_out: Sequence[str]
    """The titles of columns that the terminal was too narrow for."""

    def page(self, waba_id: str, numbers: Sequence[R_contra], /) -> None:
        """Write one page of an account."""
        ...

    def end(self) -> None:
        """Write what ends a complete list."""
        ...


class JsonArray:
    """One JSON array of all numbers, each as `to_dict(number)` on a line of its own.

    The array is closed only when the list is complete, so no program takes a part of it for the whole.

    Args:
        with_waba_id: Whether each object begins with the account of the number.
        first: The members with which each object begins.
    """

    left_out: Sequence[str] = ()

    def __init__(self, *, with_waba_id: bool, first: Sequence[str] = ()) -> None:
        self._with_waba_id = with_waba_id
        self._first = first
        self._before_row = "[\n"
        use_utf8()

    def page(self, waba_id: str, numbers: Sequence[PhoneNumber | BusinessAccount]) -> None:
        """Write one page of an account."""
        account = {"waba_id": waba_id} if self._with_waba_id else {}
        for number in numbers:
            members = to_dict(number)
            first = {name: members[name] for name in self._first if name in members}
            write(f"{self._before_row}{to_json({**account, **first, **members})}")
            self._before_row = ",\n"

    def end(self) -> None:
        """Close the array."""
        write("[]\n" if self._before_row == "[\n" else "\n]\n")


class ExportedRows:
    """JSON Lines or CSV, line by line the same bytes as in a file of `wa-phone export` with the same fields.

    Args:
        form: The format.
        fields: The fields that were requested. Each is a column.
    """

    left_out: Sequence[str] = ()

    def __init__(self, form: Literal["jsonl", "csv"], fields: str) -> None:
        self._columns = columns_of(fields)
        self._make_encoder = make_encoder(form, self._columns)
        self._is_shown = form == "csv" and sys.stdout.isatty()  # JSON has escapes of its own
        use_utf8()

    @functools.cached_property
    def _encoder(self) -> Encoder:
        # Made with the first page, since CSV writes its header then: an API error leaves stdout empty.
        return self._make_encoder(lambda data: write(data.decode()))

    def page(self, waba_id: str, numbers: Sequence[PhoneNumber]) -> None:
        """Write one page of an account."""
        listing = WabaListing(waba_id=waba_id, phone_numbers=tuple(numbers))
        for batch in batches([listing], self._columns):
            shown: Batch = {name: [*map(_shown, values)] for name, values in batch.items()} if self._is_shown else batch
            offer(shown, self._encoder.write)

    def end(self) -> None:
        """Write the header of a CSV that has no rows."""
        _ = self._encoder


class ColumnRows:
    """JSON Lines or CSV with exactly these columns.

    Args:
        form: The format.
        columns: Members of each number or account, in `extra` too.
    """

    left_out: Sequence[str] = ()

    def __init__(self, form: Literal["jsonl", "csv"], columns: Sequence[str]) -> None:
        self._columns = columns
        self._make_encoder = make_encoder(form, dict.fromkeys(columns, str))
        use_utf8()

    @functools.cached_property
    def _encoder(self) -> Encoder:
        # Made with the first page, since CSV writes its header then: an API error leaves stdout empty.
        return self._make_encoder(lambda data: write(data.decode()))

    def page(self, _: str, numbers: Sequence[PhoneNumber | BusinessAccount]) -> None:
        """Write one page."""
        rows = [to_dict(number) for number in numbers]
        batch: Batch = {name: [row.get(name) for row in rows] for name in self._columns}
        offer(batch, self._encoder.write)

    def end(self) -> None:
        """Write the header of a CSV that has no rows."""
        _ = self._encoder


def cells(number: PhoneNumber | BusinessAccount, fields: Iterable[str]) -> list[str]:
    """Fields of a number or of an account for people.

    Strings stay as they are, structures become JSON, and what did not come is empty.

    The queries of URLs are hidden, since they may hold secrets.
    """
    members = hide_queries(to_dict(number))
    if isinstance(number, PhoneNumber):
        if number.platform_type is not None:
            members["platform_type"] = str(number.platform_type)
        if number.throughput is not None and not number.throughput.extra:
            members["throughput"] = number.throughput.level
    return [_text(members.get(name)) for name in fields]


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else to_json(value)


def _shown(value: Any) -> Any:
    return printable(value) if isinstance(value, str) else value


def to_json(value: Any) -> str:
    """A plain value as JSON on one line, which a terminal may show."""
    return offer(value, plain_json.to_json)
