"""Export: the processor time of a row, beside a loop by hand that writes the same numbers to a file.

    python benchmarks/exporting.py --rounds 11

The numbers are there: nothing is listed. Both write 100 accounts of 100 numbers, with a column for each field of
`PhoneNumber`. By hand is `csv`, `orjson` and arro3, as one writes it first: without checksums, rows that UTF-8 cannot
hold, escapes for terminals, or a difference between an empty text and none. With `ALL_FIELDS`, a number has a value in
nearly every column, among them four JSON objects.
"""

import csv
import functools
import importlib.util
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import Any

import paired
from pages import ROWS, page
from paired import Findings, Row, Spread, ratio

from wa_phone_async import PhoneNumber, WabaListing, to_dict
from wa_phone_async.decoding.converter import read_json
from wa_phone_async.export import COLUMNS, Writer, to_arrow
from wa_phone_async.pagination.page import read_page

ACCOUNTS = 100
GOAL = 1.3
CSV, JSON, ARROW, PARQUET = "csv", "jsonl", "Arrow table", "parquet"
BY_HAND = {CSV: "`csv` by hand", JSON: "`orjson` by hand", ARROW: "arro3 by hand", PARQUET: "arro3 by hand"}
NEEDS = {CSV: "csv", JSON: "orjson", ARROW: "arro3.core", PARQUET: "arro3.io"}
"""The packages without which a format is not measured."""
WIDE = ", ALL_FIELDS"

Listings = Sequence[WabaListing]
HOMES = ("waba_id", "also_in")
FIELDS = [name for name in COLUMNS if name not in HOMES]
NAMES = (*HOMES, *FIELDS)
FLAT, NESTED = ([name for name in FIELDS if (COLUMNS[name] is dict) == nested] for nested in (False, True))
values_of, flat_of, nested_of = (attrgetter(*names) for names in (FIELDS, FLAT, NESTED))


def listings(*, wide: bool) -> list[WabaListing]:
    """The accounts."""
    return [
        WabaListing(
            waba_id=str(100_200_300_400_000 + number),
            phone_numbers=tuple(
                read_page(read_json(page(number * ROWS, wide=wide)), PhoneNumber, http_status=200).rows
            ),
        )
        for number in range(ACCOUNTS)
    ]


# --- the subjects


def ours(listings: Listings, path: Path) -> None:
    with Writer(path) as writer:
        writer.write(listings)


def our_table(listings: Listings, _: Path) -> None:
    assert to_arrow(listings).num_rows == ACCOUNTS * ROWS


def csv_by_hand(listings: Listings, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow((*HOMES, *FLAT, *NESTED))
        for listing in listings:
            writer.writerows(
                (listing.waba_id, None, *flat_of(number), *map(json_or_nothing, nested_of(number)))
                for number in listing.phone_numbers
            )


def json_or_nothing(value: Any) -> str | None:
    return json.dumps(to_dict(value)) if value else None


def plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else to_dict(value)


def orjson_by_hand(listings: Listings, path: Path) -> None:
    orjson = importlib.import_module("orjson")
    with path.open("wb") as file:
        for listing in listings:
            for number in listing.phone_numbers:
                row = dict(zip(NAMES, (listing.waba_id, None, *values_of(number)), strict=True))
                file.write(orjson.dumps(row, default=plain, option=orjson.OPT_APPEND_NEWLINE))


def arrow_by_hand(listings: Listings, _: Path) -> Any:
    core = importlib.import_module("arro3.core")
    rows = [(listing.waba_id, None, *values_of(number)) for listing in listings for number in listing.phone_numbers]
    text, number, boolean = core.DataType.utf8(), core.DataType.int64(), core.DataType.bool()
    arrays = list[Any]()
    for name, column in zip(NAMES, zip(*rows, strict=True), strict=True):
        kind = COLUMNS[name]
        if kind is dict:
            arrays.append(core.Array([json.dumps(to_dict(value)) if value else None for value in column], text))
        elif kind is datetime:
            arrays.append(core.Array([value and int(value.timestamp() * 1e6) for value in column], number))
        else:
            arrays.append(core.Array(column, boolean if kind is bool else text))
    return core.RecordBatch.from_arrays(arrays, names=list(NAMES))


def parquet_by_hand(listings: Listings, path: Path) -> None:
    io = importlib.import_module("arro3.io")
    io.write_parquet(arrow_by_hand(listings, path), path, compression="zstd(3)")


Subject = Callable[[Listings, Path], object]
SUBJECTS: Mapping[str, tuple[Subject, Subject]] = {
    CSV: (ours, csv_by_hand),
    JSON: (ours, orjson_by_hand),
    ARROW: (our_table, arrow_by_hand),
    PARQUET: (ours, parquet_by_hand),
}
"""By the format: ours, and by hand."""


# --- the table

Work = tuple[str, bool]
"""A format with what its numbers have, and whether the loop by hand writes it."""


def measure(rounds: int) -> Findings:
    with tempfile.TemporaryDirectory() as directory:
        subjects: dict[Work, Callable[[], float]] = {
            (form + more, by_hand): functools.partial(cpu_a_row, subject, given, Path(directory, f"{by_hand}.{form}"))
            for more, given in (("", listings(wide=False)), (WIDE, listings(wide=True)))
            for form, pair in SUBJECTS.items()
            if importlib.util.find_spec(NEEDS[form].partition(".")[0])
            for by_hand, subject in enumerate(pair)
        }
        for warm_up in subjects.values():
            warm_up()
        times = paired.take_turns(subjects, rounds)
    return Findings(tuple(rows(times)), "\n".join(details(times)))


def cpu_a_row(subject: Subject, listings: Listings, path: Path) -> float:
    """Processor seconds of a row, of all threads."""
    began = time.process_time()
    subject(listings, path)
    return (time.process_time() - began) / (ACCOUNTS * ROWS)


def rows(times: Mapping[Work, Sequence[float]]) -> Iterator[Row]:
    for form, other in BY_HAND.items():
        if (form, False) in times:
            yield Row(f"export of a row, {form}", other, ratio(times[form, False], times[form, True]), GOAL)


def details(times: Mapping[Work, Sequence[float]]) -> Iterator[str]:
    yield "| export | ours, µs a row | by hand, µs a row | ratio |"
    yield "|---|---|---|---|"
    for work, by_hand in times:
        if not by_hand:
            mine, theirs = (Spread.of(1e6 * seconds for seconds in times[work, which]) for which in (False, True))
            yield f"| {work} | {mine} | {theirs} | {ratio(times[work, False], times[work, True])} |"


if __name__ == "__main__":
    paired.main(measure, __doc__)
