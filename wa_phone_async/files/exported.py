"""Reads the files that an export writes: the numbers of each account, a piece at a time.

Nothing but the rows of one account is in memory, if the rows of an account stand together, as an export writes them.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

import attrs

from wa_phone_async._optional import requires
from wa_phone_async.decoding.builders import bare_type
from wa_phone_async.decoding.converter import from_dict
from wa_phone_async.errors import DecodeError, InvalidArgumentError
from wa_phone_async.models import PhoneNumber

ExportedNumber: TypeAlias = tuple[str | None, PhoneNumber]
"""A number and its account, if the file names one."""


@attrs.frozen
class ExportedRow:
    """A row of an exported file."""

    number: PhoneNumber
    """The number."""
    homes: tuple[str, ...]
    """Its accounts: that of the row, if the file names it, and those in `also_in`."""
    has_account: bool
    """Whether the first of `homes` is that of the row."""
    members: dict[str, Any]
    """What the number was made of: plain JSON by name, without nulls."""


@attrs.define
class _Place:
    """Where in a file its reader is, for errors."""

    unit: str
    """`line` or `row`."""
    number: int = 0
    """Which one it is. 0: the file as a whole."""

    def __str__(self) -> str:
        return f"{self.unit} {self.number}: " if self.number else ""


_BATCH_ROWS: Final = 1_024
_MAGIC: Final = b"PAR1"  # a whole Parquet file begins and ends with it
_TEXTS: Final = frozenset(
    {"waba_id", "platform_type"}
    | {
        field.name
        for field in attrs.fields(PhoneNumber)
        if not (field.name == "extra" or attrs.has(bare_type(field.type)) or issubclass(bare_type(field.type), Mapping))
    }
)
"""The columns that hold texts, booleans and times. All others hold JSON."""


def read_accounts(path: Path) -> Generator[tuple[str | None, list[PhoneNumber]]]:
    """Yield the numbers of each account, for rows that stand together.

    Raises:
        InvalidArgumentError: The file is not an export, or cannot be read. The text says which line is wrong.
    """
    with closing(read_numbers(path)) as numbers:
        for waba_id, rows in groupby(numbers, itemgetter(0)):
            yield waba_id, [number for _, number in rows]


def read_numbers(path: Path) -> Generator[ExportedNumber]:
    """Yield each number of an exported file with its account.

    Args:
        path: The file. Its suffix is its format: `.jsonl`, `.csv` or `.parquet`, which needs the extra `parquet`.

    Raises:
        InvalidArgumentError: The file is not an export, or cannot be read. The text says which line is wrong.
    """
    with closing(read_rows(path)) as rows:
        for row in rows:
            yield row.homes[0] if row.has_account else None, row.number


def read_columns(path: Path) -> tuple[str, ...]:
    """Return the names of the columns of an exported file. In JSON Lines, they are those of the first row.

    Raises:
        InvalidArgumentError: As for `read_numbers`.
    """
    columns = dict[str, None]()
    with closing(read_rows(path, columns)) as rows:
        next(rows, None)
    return tuple(columns)


def read_rows(path: Path, columns: dict[str, None] | None = None) -> Generator[ExportedRow]:
    """Yield each row of an exported file.

    Args:
        path: The file, as for `read_numbers`.
        columns: Gets the names of the columns, as they come.

    Raises:
        InvalidArgumentError: As for `read_numbers`.
    """
    read = _FORMATS.get(path.suffix.lower())
    if read is None:
        raise _invalid(path, "its name ends in neither .jsonl, .csv nor .parquet")
    place, columns = _Place("row" if read is _read_parquet else "line"), {} if columns is None else columns
    try:
        for members in read(path, place, columns):
            yield _row_of(members)
    except OSError as error:
        raise _invalid(path, error.strerror or type(error).__name__) from None
    except DecodeError as error:  # it says what is wrong, and holds no value
        raise _invalid(path, f"{place}{error}") from None
    except (ValueError, TypeError, RecursionError, csv.Error):  # about text that is not JSON or UTF-8
        raise _invalid(path, f"{place}it is not what an export writes") from None


def _invalid(path: Path, why: str) -> InvalidArgumentError:
    return InvalidArgumentError("source", "a file that an export has written", path.name, hint=why)


def _row_of(cells: Mapping[str, Any]) -> ExportedRow:
    extra: Any = cells.get("extra") or {}
    if not isinstance(extra, dict):
        raise DecodeError("extra is no object")
    others: list[Any] = cells.get("also_in") or []
    if type(others) is not list or not all(isinstance(other, str) for other in others):
        raise DecodeError("also_in is no list of ids")
    members = cast("dict[str, Any]", extra) | {
        name: value for name, value in cells.items() if value is not None and name not in _OF_NO_NUMBER
    }
    waba_id = cells.get("waba_id")
    own = () if waba_id is None else (str(waba_id),)
    return ExportedRow(from_dict(PhoneNumber, members), (*own, *others), bool(own), members)


def _read_json_lines(path: Path, place: _Place, columns: dict[str, None]) -> Iterator[Mapping[str, Any]]:
    with path.open("rb") as lines:
        for place.number, line in enumerate(lines, 1):
            members = json.loads(line)
            if not isinstance(members, dict):
                raise TypeError
            columns.update(dict.fromkeys(cast("dict[str, Any]", members)))
            yield cast("dict[str, Any]", members)


def _read_csv(path: Path, place: _Place, columns: dict[str, None]) -> Iterator[Mapping[str, Any]]:
    with path.open("rb") as file:

        def lines() -> Iterator[str]:
            for place.number, line in enumerate(file, 1):
                yield line.decode("utf-8-sig" if place.number == 1 else "utf-8")

        rows = csv.reader(lines(), strict=True)
        names = next(rows, list[str]())
        if "id" not in names:
            place.number = 1
            raise DecodeError("it names no column id")
        columns.update(dict.fromkeys(names))
        for cells in rows:
            yield _parsed(zip(names, (cell or None for cell in cells), strict=True))  # it cannot tell an empty text


def _read_parquet(path: Path, place: _Place, columns: dict[str, None]) -> Iterator[Mapping[str, Any]]:
    with requires("parquet", error=InvalidArgumentError):
        from arro3.io import read_parquet  # noqa: PLC0415 - an optional package
    # arro3 panics at a file that was cut, so its two ends are read first. A panic is no `Exception`.
    with path.open("rb") as file:
        ends = (file.read(4), file.seek(max(0, path.stat().st_size - 4)) and file.read(4))
    if ends != (_MAGIC, _MAGIC):
        raise DecodeError("it is no whole Parquet file")
    try:
        reader = read_parquet(path, batch_size=_BATCH_ROWS)
        columns.update(dict.fromkeys(reader.schema.names))
        for batch in reader:
            values: Any = [batch.column(index) for index in range(len(columns))]
            for cells in zip(*(column.to_pylist() for column in values), strict=True):
                place.number += 1
                yield _parsed(zip(columns, cells, strict=True))
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise ValueError from error
        raise


def _parsed(cells: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """A row with its JSON parsed, without nulls."""
    return {
        name: cell.isoformat() if isinstance(cell, datetime) else cell if name in _TEXTS else json.loads(cell)
        for name, cell in cells
        if cell is not None
    }


_OF_NO_NUMBER: Final = frozenset({"waba_id", "also_in", "extra"})
_FORMATS: Final[Mapping[str, Callable[[Path, _Place, dict[str, None]], Iterator[Mapping[str, Any]]]]] = {
    ".jsonl": _read_json_lines,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
