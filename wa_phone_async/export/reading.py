"""Reads the files that an export writes: the numbers of each account, a piece at a time.

Nothing but the rows of one account is in memory, if the rows of an account stand together, as an export writes them.
This module stands below the client, which checks the health of exported numbers. So it imports nothing of the export.
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
        InvalidArgumentError: The file is not an export, or cannot be read. The text says which row is wrong.
    """
    with closing(read_numbers(path)) as numbers:
        for waba_id, rows in groupby(numbers, itemgetter(0)):
            yield waba_id, [number for _, number in rows]


def read_numbers(path: Path) -> Generator[ExportedNumber]:
    """Yield each number of an exported file with its account.

    Args:
        path: The file. Its suffix is its format: `.jsonl`, `.csv` or `.parquet`, which needs the extra `parquet`.

    Raises:
        InvalidArgumentError: The file is not an export, or cannot be read. The text says which row is wrong.
    """
    read = _FORMATS.get(path.suffix.lower())
    if read is None:
        raise _invalid(path, "its name ends in neither .jsonl, .csv nor .parquet")
    row = 0
    try:
        for row, members in enumerate(read(path), 1):  # noqa: B007 - the errors below name the row
            yield _number_of(members)
    except OSError as error:
        raise _invalid(path, error.strerror or type(error).__name__) from None
    except (ValueError, TypeError, RecursionError, csv.Error, DecodeError) as error:
        # `DecodeError` says what is wrong and holds no value. The others are about text that is not JSON or UTF-8.
        why = str(error) if isinstance(error, DecodeError) else "it is not what an export writes"
        place = row if isinstance(error, DecodeError) else row + 1
        raise _invalid(path, f"row {place}: {why}") from None


def _invalid(path: Path, why: str) -> InvalidArgumentError:
    return InvalidArgumentError("source", "a file that an export has written", path.name, hint=why)


def _number_of(members: Mapping[str, Any]) -> ExportedNumber:
    extra: Any = members.get("extra") or {}
    if not isinstance(extra, dict):
        raise DecodeError("extra is no object")
    known = {name: value for name, value in members.items() if value is not None and name not in ("waba_id", "extra")}
    waba_id = members.get("waba_id")
    return None if waba_id is None else str(waba_id), from_dict(PhoneNumber, cast("dict[str, Any]", extra) | known)


def _read_json_lines(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(encoding="utf-8-sig") as lines:
        for line in lines:
            members = json.loads(line)
            if not isinstance(members, dict):
                raise TypeError
            yield cast("dict[str, Any]", members)


def _read_csv(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        rows = csv.reader(lines, strict=True)
        names = next(rows, list[str]())
        for cells in rows:
            yield _parsed(zip(names, cells, strict=True))


def _read_parquet(path: Path) -> Iterator[Mapping[str, Any]]:
    with requires("parquet", error=InvalidArgumentError):
        from arro3.io import read_parquet  # noqa: PLC0415 - an optional package
    # arro3 panics at a file that was cut, so its two ends are read first. A panic is no `Exception`.
    with path.open("rb") as file:
        ends = (file.read(4), file.seek(max(0, path.stat().st_size - 4)) and file.read(4))
    if ends != (_MAGIC, _MAGIC):
        raise ValueError
    try:
        for batch in read_parquet(path, batch_size=_BATCH_ROWS):
            names = batch.schema.names
            columns: Any = [batch.column(index) for index in range(len(names))]
            for cells in zip(*(column.to_pylist() for column in columns), strict=True):
                yield _parsed(zip(names, cells, strict=True))
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise ValueError from error
        raise


def _parsed(cells: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """A row with its JSON parsed. An empty cell is nothing."""
    return {
        name: cell.isoformat() if isinstance(cell, datetime) else cell if name in _TEXTS else json.loads(cell)
        for name, cell in cells
        if cell is not None and cell != ""
    }


_FORMATS: Final[Mapping[str, Callable[[Path], Iterator[Mapping[str, Any]]]]] = {
    ".jsonl": _read_json_lines,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
