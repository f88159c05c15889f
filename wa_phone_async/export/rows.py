"""What an export writes: its columns, a number as a row of them, and a failed account as a row.

The columns come from the model, so a new field of `PhoneNumber` becomes a column by itself.
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

from wa_phone_async import Extra, InvalidArgumentError, PhoneNumber, WabaListing, WaPhoneError, to_dict
from wa_phone_async.decoding.converter import OTHER_NAMES
from wa_phone_async.query import field_names

Row: TypeAlias = dict[str, Any]
"""A number by the names of its columns: strings, numbers, booleans, times in UTC, and plain JSON."""

Columns: TypeAlias = Mapping[str, type[Any]]
"""The names of columns in their order, and the type of each. `dict` stands for plain JSON."""

Exportable: TypeAlias = WabaListing | PhoneNumber
"""What an export takes: all numbers of an account, or one number."""

Plain: TypeAlias = dict[str, Any] | list[Any] | str | float | datetime | None
"""A value that a row may hold."""

BATCH_ROWS: Final = 1_000
"""Rows that are made at a time. They take about 20 ms and a megabyte."""

T = TypeVar("T")
V = TypeVar("V", bound=Plain | list[Row])


def _kind_of(annotation: Any) -> type[Any]:
    """The type of a field's column. Where a field may hold several types, the first one decides."""
    if get_origin(annotation) in {Union, UnionType}:
        annotation = next(kind for kind in get_args(annotation) if kind is not NoneType)
    kinds = (str, bool, int, float, datetime)  # `bool` before `int`, since it is an `int` too
    return next((kind for kind in kinds if isinstance(annotation, type) and issubclass(annotation, kind)), dict)


_FIELDS: Final[Columns] = {field.name: _kind_of(field.type) for field in attrs.fields(PhoneNumber)}

COLUMNS: Final[Columns] = MappingProxyType({"waba_id": str, **_FIELDS})
"""All columns in their order: `waba_id`, the fields of `PhoneNumber`, and `extra`; and the type of each.

`str`, `bool`, `int`, `float` and `datetime` are themselves. `dict` is plain JSON. Each value may be `None`.
"""

_KNOWN: Final = {*COLUMNS, *OTHER_NAMES}  # you may request `host_platform` as `platform_type` too

_ERROR_FACTS: Final = ("code", "error_subcode", "http_status", "fbtrace_id", "retry_after")


def columns_of(fields: Iterable[str] | str | None) -> Columns:
    """The columns of an export of these fields: `waba_id`, `id`, the other fields in their order, and `extra`.

    Args:
        fields: The fields that you request from the API; default: every field of `PhoneNumber`. A field that
            `PhoneNumber` does not know is a column of plain JSON.

    Raises:
        InvalidArgumentError: `fields` holds no names of fields.
    """
    if fields is None:
        return COLUMNS
    kinds = {name: _FIELDS.get(OTHER_NAMES.get(name, name), dict) for name in ("id", *field_names(fields))}
    return {"waba_id": str, **kinds, "extra": dict}


def row_of(waba_id: str | None, number: PhoneNumber) -> Row:
    """A number as a row of all columns.

    Args:
        waba_id: The account of the number, or `None` if you do not know it.
        number: The number.
    """
    row: Row = {"waba_id": waba_id, **dict(zip(_FIELDS, _values(number), strict=True))}
    for name, plain in _PLAIN.items():
        if row[name] is not None:
            row[name] = plain(row[name])
    return row


def rows_of(item: Exportable, columns: Columns = COLUMNS) -> Iterator[Row]:
    """The rows of an account or a number, with these columns. A failed account has no rows."""
    if isinstance(item, WabaListing):
        numbers = () if item.error is not None else item.phone_numbers
        return (_choose(row_of(item.waba_id, number), columns) for number in numbers)
    if isinstance(item, PhoneNumber):
        return iter((_choose(row_of(None, item), columns),))
    raise InvalidArgumentError("items", "WabaListing or PhoneNumber objects", type(item))


def each_number_once(listing: WabaListing) -> WabaListing:
    """The same listing with each id once. Of several rows of a number, it has the one that was read last.

    Pages may shift while a list is read, so a number can come on two pages. See `Job`.
    """
    numbers = {number.id: number for number in listing.phone_numbers}
    if len(numbers) == len(listing.phone_numbers):
        return listing
    return attrs.evolve(listing, phone_numbers=tuple(numbers.values()))


def _choose(row: Row, columns: Columns) -> Row:
    """The same row with these columns only.

    A requested field that the model does not know arrives in `extra`. It moves from there into its own column.
    """
    if columns is COLUMNS:
        return row
    extra: dict[str, Any] = row["extra"] or {}
    values = {**extra, **row, **{other: row[name] for other, name in OTHER_NAMES.items()}}
    rest = {name: value for name, value in extra.items() if name in _KNOWN or name not in columns}
    return {**{name: values.get(name) for name in columns}, "extra": rest or None}


def errors_row(listing: WabaListing) -> Row:
    """Why an account could not be listed, as a row of plain JSON without any secret.

    Its members are `waba_id`, `error` (the name of the error's class), `message`, and the facts of an API error:
    `code`, `error_subcode`, `http_status`, `fbtrace_id`, and `retry_after` in seconds. A fact that the API did not
    send is `None`.

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
    """The row of a failed account. All else has none."""
    if isinstance(item, WabaListing) and item.error is not None:
        yield errors_row(item)


def writable(value: Plain) -> Any:
    """The same plain value, changed where a format cannot hold it or a reader cannot read it.

    Half of a surrogate pair becomes U+FFFD: JSON can carry it, and UTF-8 cannot. An infinite number becomes `None`, as
    in JavaScript.
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
    """Rows in lists of at most `BATCH_ROWS`, which bounds the memory that they take."""
    rest = iter(rows)
    while batch := list(islice(rest, BATCH_ROWS)):
        yield batch


def offer(value: V, take: Callable[[V], T]) -> T:
    """Hand a value over, and hand it over again as `writable` where `take` cannot hold it.

    Nearly every value fits, so only the others pay for the look at each of their parts.
    """
    try:
        return take(value)
    except ValueError:
        return take(writable(value))


def _message(error: WaPhoneError) -> str:
    """The API's own sentence if there is one, since `str` would add the facts that have columns of their own."""
    return str(getattr(error, "message", error))


def _in_utc(time: datetime) -> datetime:
    """The same instant in UTC, or the nearest one in the years 1 to 9999."""
    if time.tzinfo is None:
        return time.replace(tzinfo=UTC)
    try:
        return time.astimezone(UTC)
    except OverflowError:
        return _FIRST if time.year == 1 else _LAST


def _plain_extra(extra: Extra) -> dict[str, Any] | None:
    return to_dict(extra) or None  # no member came that no field knows: that is nothing, and no empty object


_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)
_values: Final = attrgetter(*_FIELDS)
_MADE_PLAIN: Final[Mapping[type[Any], Callable[[Any], Any]]] = {str: str, datetime: _in_utc, dict: to_dict}
_PLAIN: Final = {
    **{name: _MADE_PLAIN[kind] for name, kind in _FIELDS.items() if kind in _MADE_PLAIN},
    "extra": _plain_extra,
}
