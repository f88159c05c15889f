"""The columns of every export, a number as a row of them, and a failed account as one.

The columns come from the model, so that a new field is a column by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from math import isfinite
from operator import attrgetter
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Final, TypeAlias, TypeVar, Union, get_args, get_origin

import attrs

from wa_phone_async import Extra, InvalidArgumentError, PhoneNumber, WaPhoneError, to_dict
from wa_phone_async.workflows.bulk import WabaListing

Row: TypeAlias = dict[str, Any]
"""A number under the names of `COLUMNS`: strings, numbers and booleans as they are, times in UTC, plain JSON."""

Exportable: TypeAlias = WabaListing | PhoneNumber
"""What has rows."""

Plain: TypeAlias = dict[str, Any] | list[Any] | str | float | datetime | None
"""What a row is made of."""

BATCH_ROWS: Final = 1_000
"""How many rows are made at a time: some 20 ms of work, and a megabyte."""

T = TypeVar("T")


def _kind_of(annotation: Any) -> type[Any]:
    """What a column of a field holds; where a field may hold one of several, the first of them decides."""
    if get_origin(annotation) in {Union, UnionType}:
        annotation = next(kind for kind in get_args(annotation) if kind is not NoneType)
    kinds = (str, bool, int, float, datetime)  # `bool` before `int`, which it is as well
    return next((kind for kind in kinds if isinstance(annotation, type) and issubclass(annotation, kind)), dict)


_FIELDS: Final[Mapping[str, type[Any]]] = {field.name: _kind_of(field.type) for field in attrs.fields(PhoneNumber)}

COLUMNS: Final[Mapping[str, type[Any]]] = MappingProxyType({"waba_id": str, **_FIELDS})
"""The columns in their order: `waba_id`, the fields of `PhoneNumber`, and `extra`; and what each one holds.

`str`, `bool`, `int`, `float` and `datetime` are themselves, and `dict` is plain JSON. Any of them can be `None`.
"""

_ERROR_FACTS: Final = ("code", "error_subcode", "http_status", "fbtrace_id", "retry_after")


def row_of(waba_id: str | None, number: PhoneNumber) -> Row:
    """A number as one row.

    Args:
        waba_id: Its account, or `None` where that is not known.
        number: The number.
    """
    row: Row = {"waba_id": waba_id, **dict(zip(_FIELDS, _values(number), strict=True))}
    for name, plain in _PLAIN.items():
        if row[name] is not None:
            row[name] = plain(row[name])
    return row


def rows_of(item: Exportable) -> Iterator[Row]:
    """The rows of an account, none where it failed; or that of a number, whose account is not known."""
    if isinstance(item, WabaListing):
        numbers = () if item.error is not None else item.phone_numbers
        return (row_of(item.waba_id, number) for number in numbers)
    if isinstance(item, PhoneNumber):
        return iter((row_of(None, item),))
    raise InvalidArgumentError("items", "WabaListing or PhoneNumber objects", type(item))


def errors_row(listing: WabaListing) -> Row:
    """Why an account could not be listed, as one row of plain JSON without any secret.

    Its members are `waba_id`, the error's class as `error`, `message`, and what a refusal says besides: `code`,
    `error_subcode`, `http_status`, `fbtrace_id` and `retry_after` in seconds, each `None` where it was not said.

    Raises:
        InvalidArgumentError: The listing has no error.
    """
    if listing.error is None:
        raise InvalidArgumentError("listing", "one that failed", hint=f"listing.error of {listing.waba_id} is None")
    return {
        "waba_id": listing.waba_id,
        "error": type(listing.error).__name__,
        "message": _message(listing.error),
        **{name: getattr(listing.error, name, None) for name in _ERROR_FACTS},
    }


def error_rows_of(item: Exportable) -> Iterator[Row]:
    """The row of an account that failed, and none for any other."""
    if isinstance(item, WabaListing) and item.error is not None:
        yield errors_row(item)


def writable(value: Plain) -> Any:
    """The same plain value, such that every format can hold it and every reader can read it.

    Half of a surrogate pair, which JSON can carry and UTF-8 cannot, becomes U+FFFD; a number that is beyond every
    double becomes `None`, as in JavaScript.
    """
    if isinstance(value, str):
        return re.sub("[\ud800-\udfff]", "\ufffd", value)
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {writable(key): writable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [writable(item) for item in value]
    return value


def batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows in lists of bounded length, so that only so many are in memory at a time."""
    rest = iter(rows)
    while batch := list(islice(rest, BATCH_ROWS)):
        yield batch


def offer(batch: list[Row], take: Callable[[list[Row]], T]) -> T:
    """Hand a batch over; once more and `writable`, where it is refused for what it holds."""
    try:
        return take(batch)
    except ValueError:
        return take([writable(row) for row in batch])


def _message(error: WaPhoneError) -> str:
    """What the API says, where it said something: `str` would have the other facts once more."""
    return str(getattr(error, "message", error))


def _in_utc(time: datetime) -> datetime:
    """The same instant in UTC, or the nearest one that UTC's years 1 to 9999 hold."""
    if time.tzinfo is None:
        return time.replace(tzinfo=UTC)
    try:
        return time.astimezone(UTC)
    except OverflowError:
        return _FIRST if time.year == 1 else _LAST


def _plain_json(value: Any) -> Any:
    return None if isinstance(value, Extra) and not value else to_dict(value)


_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)
_values: Final = attrgetter(*_FIELDS)
_MADE_PLAIN: Final[Mapping[type[Any], Callable[[Any], Any]]] = {str: str, datetime: _in_utc, dict: _plain_json}
_PLAIN: Final = {name: _MADE_PLAIN[kind] for name, kind in _FIELDS.items() if kind in _MADE_PLAIN}
