"""Decoding: the CPU time of a page of 100 numbers, and the memory that 200,000 numbers take.

A number has 14 fields, or all fields of the model: what the width of `ALL_FIELDS` costs.

    python benchmarks/decoding.py            both; under a minute
    python benchmarks/decoding.py --rounds 41
    python benchmarks/decoding.py --widths   the bytes and the CPU time of a page by the fields that are requested

Subjects take turns within each round, 20 ms each. Memory is the growth of the peak resident size while 2,000 pages are
read and all rows are kept; each subject has a process of its own. The fast path needs msgspec, and the comparison with
orjson needs orjson.
"""

import argparse
import functools
import importlib
import importlib.util
import json
import resource
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import paired
from pages import ROWS, page
from paired import Findings, Row, Spread, ratio

from wa_phone_async import ALL_FIELDS, DEFAULT_FIELDS, PhoneNumber
from wa_phone_async.decoding.converter import read_json
from wa_phone_async.pagination.page import page_reader, read_page

PAGES_HELD = 2_000
PAGES_IN_A_ROUND = 20
UNKNOWN = {"search_visibility": "VISIBLE"}
MISSING = ("status", "unified_cert_status", "messaging_limit_tier", "username")
WIDE = "ALL_FIELDS"
META_DEFAULT = (
    "id",
    "display_phone_number",
    "verified_name",
    "quality_rating",
    "code_verification_status",
    "host_platform",
    "throughput",
    "webhook_configuration",
    "last_onboarded_time",
)
JSON, ORJSON, CORE, FAST = "json.loads to dicts", "orjson.loads to dicts", "core path", "fast path"
PATHS = {FAST: "speed", CORE: "core"}
GOAL, GOAL_OF_MEMORY = 1.2, 0.55


def by_core(body: bytes) -> list[Any]:
    return read_page(read_json(body), PhoneNumber, http_status=200).rows


def by_fast(body: bytes) -> list[Any]:
    read = page_reader(PhoneNumber).read_bytes
    raw = None if read is None else read(body, 200)
    assert raw is not None
    return raw.rows


def by_json(body: bytes) -> list[Any]:
    rows: list[Any] = json.loads(body)["data"]
    return rows


def readers() -> dict[str, Callable[[bytes], list[Any]]]:
    """Return the readers that are installed, by their names in the table."""
    found: dict[str, Callable[[bytes], list[Any]]] = {JSON: by_json}
    if importlib.util.find_spec("orjson"):
        orjson = importlib.import_module("orjson")
        found[ORJSON] = lambda body: orjson.loads(body)["data"]
    found[CORE] = by_core
    if importlib.util.find_spec("msgspec"):
        found[FAST] = by_fast
    return found


def measured(rounds: int) -> dict[str, list[float]]:
    """Return the CPU time of a page, in µs, for each subject in each round."""
    bodies = {
        "": page(),
        ", an unknown field in each row": page(more=UNKNOWN),
        ", 4 fields missing": page(missing=MISSING),
        f", {WIDE}": page(wide=True),
    }
    subjects = {
        name + which: functools.partial(cpu_a_page, read, body)
        for name, read in readers().items()
        for which, body in bodies.items()
        if not which or name in PATHS or WIDE in which
    }
    for warm_up in subjects.values():
        warm_up()
    return paired.take_turns(subjects, rounds)


def cpu_a_page(read: Callable[[bytes], Any], body: bytes) -> float:
    """Return the CPU time of a page, in µs."""
    began = time.process_time()
    for _ in range(PAGES_IN_A_ROUND):
        read(body)
    return (time.process_time() - began) / PAGES_IN_A_ROUND * 1e6


def least(rounds: int) -> dict[str, float]:
    """Return the least CPU time of a page for each reader, in µs: it has the least noise."""
    subjects = {name: functools.partial(cpu_a_page, read, page()) for name, read in readers().items()}
    return {name: min(times) for name, times in paired.take_turns(subjects, rounds).items()}


def widths(rounds: int) -> Iterator[str]:
    """Yield a table of what each set of fields costs."""
    sets = {"META_DEFAULT": META_DEFAULT, "DEFAULT_FIELDS": DEFAULT_FIELDS, WIDE: ALL_FIELDS}
    pages = {name: page(wide=True, missing=tuple({*ALL_FIELDS}.difference(names))) for name, names in sets.items()}
    subjects = {
        f"{name}, {path}": functools.partial(cpu_a_page, read, body)
        for name, body in pages.items()
        for path, read in readers().items()
        if path in PATHS
    }
    times = paired.take_turns(subjects, rounds)
    yield "| fields of a page of 100 numbers | kB | µs, speed | µs, core |"
    yield "|---|---|---|---|"
    for name, body in pages.items():
        cpu = " | ".join(f"{min(times[f'{name}, {path}']):.0f}" for path in PATHS if f"{name}, {path}" in times)
        yield f"| {name} | {len(body) / 1000:.1f} | {cpu} |"


def hold(name: str) -> float:
    """Read and keep all pages, and return the growth of the peak in MiB."""
    path, _, which = name.partition(", ")
    read, wide = readers()[path], which == WIDE
    read(page(wide=wide))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    held = [read(page(number * ROWS, wide=wide)) for number in range(PAGES_HELD)]
    assert sum(map(len, held)) == PAGES_HELD * ROWS
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def measure(rounds: int) -> Findings:
    """Measure time and memory. Memory hardly varies, so three rounds of it are enough."""
    times = measured(rounds)
    names = [name + which for which in ("", f", {WIDE}") for name in readers()]
    holders = {name: functools.partial(paired.run_fresh, "decoding.py", "--hold", name) for name in names}
    held = paired.take_turns(holders, min(rounds, 3))
    return Findings(tuple(rows(times, held)), "\n".join((*details(times), "", *details_of_memory(held))))


def rows(times: Mapping[str, Sequence[float]], held: Mapping[str, Sequence[float]]) -> Iterator[Row]:
    for name, values in times.items():
        path, comma, which = name.partition(", ")
        if comma and which != WIDE:  # a wider page costs more: that is shown, and no goal
            against = "the same page without" if "unknown" in which else "the same page with all"
            yield Row(f"decoding, {which}, {PATHS[path]}", against, ratio(values, times[path]), GOAL)
    for path, name in PATHS.items():
        if path in held:
            work = f"{PAGES_HELD * ROWS:,} numbers held, peak memory, {name}"
            yield Row(work, "dicts", ratio(held[path], held[JSON]), GOAL_OF_MEMORY)


def details(times: Mapping[str, Sequence[float]]) -> Iterator[str]:
    yield "| decoding a page | µs | beside json | beside orjson | beside the usual page |"
    yield "|---|---|---|---|---|"
    for name, values in times.items():
        usual, comma, _ = name.partition(",")
        wide = f", {WIDE}" if WIDE in name else ""
        others = (JSON + wide, ORJSON + wide, usual if comma else "")
        ratios = [str(ratio(values, times[other])) if other in times else "" for other in others]
        yield f"| {name} | {Spread.of(values).middle:.0f} | {' | '.join(ratios)} |"


def details_of_memory(held: Mapping[str, Sequence[float]]) -> Iterator[str]:
    yield f"| {PAGES_HELD * ROWS:,} numbers held | MiB | beside dicts |"
    yield "|---|---|---|"
    for name, values in held.items():
        usual, _, _ = name.partition(",")
        yield f"| {name} | {Spread.of(values).middle:.0f} | {ratio(values, held[JSON + name[len(usual) :]])} |"


def main() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--hold")
    parser.add_argument("--least", type=int)
    parser.add_argument("--widths", action="store_true")
    arguments, _ = parser.parse_known_args()
    if arguments.hold:
        print(hold(arguments.hold))
    elif arguments.least:
        print(json.dumps(least(arguments.least)))
    elif arguments.widths:
        print("\n".join(widths(21)))
    else:
        paired.main(measure, __doc__)


if __name__ == "__main__":
    main()
