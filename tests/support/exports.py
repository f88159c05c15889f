"""Listings to export, invented ones and any at all, and readers of the files that share no code with the writers."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from pathlib import Path
from types import NoneType
from typing import Any, get_args

import attrs
from hypothesis import strategies as st

from wa_phone_async import Extra, NotFoundError, PhoneNumber, Throughput, WabaListing
from wa_phone_async.export import COLUMNS, Row
from wa_phone_async.export.rows import Batch, Columns, Exportable, batches

FORMATS = ("jsonl", "csv", "parquet")

ACME = PhoneNumber(
    "106540352242922",
    display_phone_number="+1 631-555-0100",
    verified_name='Acme "Shoes", Ltd',
    status="CONNECTED",
    is_pin_enabled=False,
    throughput=Throughput("HIGH"),
    last_onboarded_time=datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=2))),
    webhook_configuration=Extra({"application": "https://acme.example/hook?key=of-acme"}),
    extra=Extra({"owner": {"id": "200300400500600"}}),
)
BARE = PhoneNumber("106540352242923")
LISTINGS = [
    WabaListing(waba_id="100200300400003", phone_numbers=(ACME, BARE)),
    WabaListing(waba_id="100200300400000"),
    WabaListing(waba_id="100200300400009", error=NotFoundError("Unsupported get request", http_status=400, code=100)),
]


def rows_of(*items: Exportable, columns: Columns = COLUMNS) -> list[Row]:
    """The rows of an export of these items."""
    return rows_in(batches(items, columns))


def rows_in(batches: Iterable[Batch]) -> list[Row]:
    """The rows of batches, each by the names of its columns."""
    return [dict(zip(batch, row, strict=True)) for batch in batches for row in zip(*batch.values(), strict=True)]


TEXTS = st.text(st.characters(codec=None, exclude_categories=()), max_size=12) | st.sampled_from(
    [
        "",
        " ",
        "\ud800",
        "\udc00\ud800",
        "\0",
        '"',
        '""',
        ",",
        "\r",
        "\n",
        "\r\n",
        "=1+1",
        "+1",
        "-",
        "@x",
        "\u2028",
        "🏪",
        "é",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
EXTRAS = st.dictionaries(TEXTS, JSON, max_size=3).map(Extra)
OFFSETS = st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone)
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXTS,
    bool: st.booleans(),
    datetime: st.datetimes(timezones=st.none() | st.just(UTC) | OFFSETS),
    Extra: EXTRAS,
    Throughput: st.builds(Throughput, level=st.none() | TEXTS, extra=EXTRAS),
}


def _values(annotation: Any) -> st.SearchStrategy[Any]:
    kinds = [kind for kind in get_args(annotation) or (annotation,) if kind is not NoneType]
    enums = [st.sampled_from(kind) for kind in kinds if issubclass(kind, StrEnum)]
    return st.one_of(st.none(), *enums, *(VALUES[kind] for kind in kinds if not issubclass(kind, StrEnum)))


NUMBERS = st.builds(
    PhoneNumber,
    id=TEXTS,
    extra=EXTRAS,
    **{field.name: _values(field.type) for field in attrs.fields(PhoneNumber)[1:-1]},
)
ANY_LISTINGS = st.lists(
    st.builds(WabaListing, waba_id=TEXTS, phone_numbers=st.lists(NUMBERS, max_size=3).map(tuple)), max_size=4
)


def listings(accounts: int, each: int = 10, *, first: int = 0) -> list[WabaListing]:
    """Accounts with `each` numbers. No two numbers are alike."""
    return [
        WabaListing(
            waba_id=str(100200300400000 + account),
            phone_numbers=tuple(
                attrs.evolve(ACME, id=f"{account}{number:05d}", verified_name=f"Shop {hash((account, number)):x}")
                for number in range(each)
            ),
        )
        for account in range(first, first + accounts)
    ]


def read(path: Path, columns: Columns = COLUMNS) -> list[dict[str, Any]]:
    """The rows of a file in any of the formats, by a reader that is not ours: times, booleans and JSON as such."""
    return {".jsonl": _read_jsonl, ".csv": _read_csv, ".parquet": _read_parquet}[path.suffix](path, columns)


def _read_jsonl(path: Path, columns: Columns) -> list[dict[str, Any]]:
    lines = path.read_bytes().decode().split("\n")
    assert lines.pop() == ""
    rows = [json.loads(line, parse_constant=_fail) for line in lines]
    assert all(list(row) == list(columns) for row in rows)
    return [{name: _from_text(columns[name], value) for name, value in row.items()} for row in rows]


def _read_csv(path: Path, columns: Columns) -> list[dict[str, Any]]:
    text = path.read_bytes().decode()
    header, *lines = _csv_lines(text)
    assert header == list(columns)
    with path.open(newline="", encoding="utf-8") as file:
        assert [[cell or "" for cell in line] for line in lines] == list(csv.reader(file, strict=True))[1:]
    return [{name: _from_cell(columns[name], cell) for name, cell in zip(columns, line, strict=True)} for line in lines]


def _csv_lines(text: str) -> list[list[str | None]]:
    """RFC 4180 to the letter, with the difference between nothing and an empty text."""
    lines: list[list[str | None]] = [[]]
    start = 0
    while start < len(text):
        cell = re.compile(r'(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)').match(text, start)
        assert cell, text[start : start + 50]
        quoted, plain, end = cell.groups()
        lines[-1].append(quoted.replace('""', '"') if plain is None else plain or None)
        start = cell.end()
        if end != ",":
            lines.append([])
    return lines[:-1]


def _from_cell(kind: type[Any], cell: str | None) -> Any:
    if cell is None or kind in {str, datetime}:
        return _from_text(kind, cell)
    return json.loads(cell, parse_constant=_fail)


def _read_parquet(path: Path, columns: Columns) -> list[dict[str, Any]]:
    from arro3.io import read_parquet  # noqa: PLC0415 - an optional package

    table = read_parquet(path).read_all()
    assert table.column_names == list(columns)
    rows = zip(*(table.column(name).to_pylist() for name in table.column_names), strict=True)
    return [from_arrow(dict(zip(table.column_names, row, strict=True)), columns) for row in rows]


def from_arrow(row: dict[str, Any], columns: Columns = COLUMNS) -> dict[str, Any]:
    """A row in which JSON is text, with that JSON."""
    return {
        name: json.loads(value, parse_constant=_fail) if value is not None and columns[name] is dict else value
        for name, value in row.items()
    }


def _from_text(kind: type[Any], value: Any) -> Any:
    return datetime.fromisoformat(value) if value is not None and kind is datetime else value


def _fail(constant: str) -> Any:
    raise AssertionError(f"{constant} is no JSON")
