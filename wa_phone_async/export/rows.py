"""What an export writes: its columns, a number as a row of them, and a failed account as a row.

The columns come from the model, so a new field of `PhoneNumber` becomes a column by itself.

Rows are written in batches, which hold them column by column. All values of a column have one type, so a format decides
once for each column how to write it, and not once for each value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from itertools import chain, islice, repeat, tee
from math import isfinite
from operator import attrgetter
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Final, TypeAlias, TypeVar, Union, get_args, get_origin

import attrs

from wa_phone_async.decoding.converter import OTHER_NAMES, to_dict
from wa_phone_async.errors import GraphAPIError, InvalidArgumentError, WaPhoneError
from wa_phone_async.models import NO_EXTRA, Extra, PhoneNumber
from wa_phone_async.query import META_DEFAULT, Fields, field_names
from wa_phone_async.workflows.listing import WabaListing

Row: TypeAlias = dict[str, Any]
"""A number by the names of its columns: strings, numbers, booleans, times in UTC, and plain JSON."""

Columns: TypeAlias = Mapping[str, type[Any]]
"""The names of columns in their order, and the type of each. `dict` stands for plain JSON."""

Batch: TypeAlias = dict[str, Sequence[Any]]
"""Some rows, column by column: the values of each column. A string may be a member of a `StrEnum`."""

Exportable: TypeAlias = WabaListing | PhoneNumber
"""What an export takes: all numbers of an account, or one number."""

Plain: TypeAlias = dict[str, Any] | Sequence[Any] | str | float | datetime | None
"""A value that a row may hold."""

BATCH_ROWS: Final = 1_000
"""Rows that are made at a time. They take about 10 ms and a megabyte."""

T = TypeVar("T")
V = TypeVar("V", bound=Plain)


def _kind_of(annotation: Any) -> type[Any]:
    """The type of a field's column. Where a field may hold several types, the first one decides."""
    if get_origin(annotation) in {Union, UnionType}:
        annotation = next(kind for kind in get_args(annotation) if kind is not NoneType)
    kinds = (str, bool, int, float, datetime)  # `bool` before `int`, since it is an `int` too
    return next((kind for kind in kinds if isinstance(annotation, type) and issubclass(annotation, kind)), dict)


def kinds_of(model: type[Any]) -> Columns:
    """The columns of a model: its fields, and the type of each."""
    return {field.name: _kind_of(field.type) for field in attrs.fields(model)}


_FIELDS: Final[Columns] = kinds_of(PhoneNumber)

_FIRST_COLUMNS: Final[Columns] = {"waba_id": str, "id": str, "also_in": dict}

COLUMNS: Final[Columns] = MappingProxyType({**_FIRST_COLUMNS, **_FIELDS})
"""All columns in their order: `waba_id`, `id`, `also_in`, the other fields of `PhoneNumber`, and `extra`; and the type
of each.

`also_in` has the other accounts of the number, if a `Job` found some.

`str`, `bool`, `int`, `float` and `datetime` are themselves. `dict` is plain JSON. Each value may be `None`.
"""

_ERROR_FACTS: Final[Columns] = {
    "code": int,
    "error_subcode": int,
    "http_status": int,
    "fbtrace_id": str,
    "retry_after": float,
}

ERROR_COLUMNS: Final[Columns] = MappingProxyType({"waba_id": str, "error": str, "message": str, **_ERROR_FACTS})
"""The columns of `errors_row`."""


def columns_of(fields: Fields) -> Columns:
    """The columns of an export of these fields: `waba_id`, `id`, `also_in`, the other fields in order, and `extra`.

    Args:
        fields: The fields that you request from the API; `None` or `META_DEFAULT`: every field of `PhoneNumber`. A
            field that `PhoneNumber` does not know is a column of plain JSON.

    Raises:
        InvalidArgumentError: `fields` holds no names of fields.
    """
    if fields is None or fields is META_DEFAULT:
        return COLUMNS
    kinds = {name: _FIELDS.get(OTHER_NAMES.get(name, name), dict) for name in field_names(fields)}
    return {**_FIRST_COLUMNS, **kinds, "extra": dict}


def row_of(waba_id: str | None, number: PhoneNumber) -> Row:
    """A number as a row of all columns.

    Args:
        waba_id: The account of the number, or `None` if you do not know it.
        number: The number.
    """
    row = {name: value for name, (value,) in _batch_of([waba_id], [number]).items()}
    return {name: str(value) if isinstance(value, StrEnum) else value for name, value in row.items()}


def batches(items: Iterable[Exportable], columns: Columns = COLUMNS) -> Iterator[Batch]:
    """The rows of accounts and numbers, with these columns, at most `BATCH_ROWS` at a time.

    A failed account has no rows. The batches bound the memory that the rows take.

    Raises:
        InvalidArgumentError: Something else is among the items.
    """
    # Two lists for each batch, and no pair for each row: the garbage collector would look at all of them.
    for_ids, for_numbers = tee(map(_numbers_of, items))
    waba_ids = _slices(chain.from_iterable(repeat(waba_id, len(found)) for waba_id, found in for_ids))
    numbers = _slices(chain.from_iterable(found for _, found in for_numbers))
    return (_choose(_batch_of(*some), columns) for some in zip(waba_ids, numbers, strict=True))


def error_batches(items: Iterable[Exportable]) -> Iterator[Batch]:
    """The rows of failed accounts, at most `BATCH_ROWS` at a time. Their columns are `ERROR_COLUMNS`."""
    rows = (errors_row(item) for item in items if isinstance(item, WabaListing) and item.error is not None)
    return ({name: [row[name] for row in some] for name in ERROR_COLUMNS} for some in _slices(rows))


def _slices(rows: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(rows)
    while some := list(islice(rest, BATCH_ROWS)):
        yield some


def _numbers_of(item: Exportable) -> tuple[str | None, Sequence[PhoneNumber]]:
    """An account, if it is known, and its numbers."""
    if isinstance(item, WabaListing):
        return item.waba_id, () if item.error is not None else item.phone_numbers
    if isinstance(item, PhoneNumber):
        return None, (item,)
    raise InvalidArgumentError("items", "WabaListing or PhoneNumber objects", type(item))


def _batch_of(waba_ids: Sequence[str | None], numbers: Sequence[PhoneNumber]) -> Batch:
    """Numbers and the account of each as a batch of all columns."""
    return {"waba_id": waba_ids, "id": (), "also_in": [None] * len(numbers)} | batch_of(numbers, _FIELDS)


def batch_of(rows: Sequence[Any], columns: Columns) -> Batch:
    """Values of a model as a batch: its fields, as plain values of the types of these columns."""
    batch: Batch = {name: [*map(attrgetter(name), rows)] for name in columns}
    for name, kind in columns.items():
        if kind in _MADE_PLAIN:
            plain = _plain_extra if name == "extra" else _MADE_PLAIN[kind]
            batch[name] = [None if value is None else plain(value) for value in batch[name]]
    return batch


def each_number_once(listing: WabaListing) -> WabaListing:
    """The same listing with each id once. Of several rows of a number, it has the one that was read last.

    Pages may shift while a list is read, so a number can come on two pages. See `Job`.
    """
    numbers = {number.id: number for number in listing.phone_numbers}
    if len(numbers) == len(listing.phone_numbers):
        return listing
    return attrs.evolve(listing, phone_numbers=tuple(numbers.values()))


def _choose(batch: Batch, columns: Columns) -> Batch:
    """The same rows with these columns only.

    A requested field that the model does not know arrives in `extra`. It moves from there into its own column.
    """
    if columns is COLUMNS:
        return batch
    known = {**batch, **{other: batch[name] for other, name in OTHER_NAMES.items()}}
    extras: list[dict[str, Any]] = [extra or {} for extra in batch["extra"]]
    moved = columns.keys() - known.keys()
    rest = [{name: value for name, value in extra.items() if name not in moved} or None for extra in extras]
    chosen = {name: [extra.get(name) for extra in extras] if name in moved else known[name] for name in columns}
    return {**chosen, "extra": rest}


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
    if isinstance(value, list | tuple):
        return [writable(item) for item in value]
    return value


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
    message = str(getattr(error, "message", error))
    hint = error.hint if isinstance(error, GraphAPIError) else None
    return message if hint is None else f"{hint} The API said: {message}"


def _in_utc(time: datetime) -> datetime:
    """The same instant in UTC, or the nearest one in the years 1 to 9999."""
    if time.tzinfo is None:
        return time.replace(tzinfo=UTC)
    try:
        return time.astimezone(UTC)
    except OverflowError:
        return _FIRST if time.year == 1 else _LAST


def _plain_extra(extra: Extra) -> dict[str, Any] | None:
    # Where no member came that no field knows, that is nothing, and no empty object.
    return None if extra is NO_EXTRA else to_dict(extra) or None


_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)
_MADE_PLAIN: Final[Mapping[type[Any], Callable[[Any], Any]]] = {datetime: _in_utc, dict: to_dict}
