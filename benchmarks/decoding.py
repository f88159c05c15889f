"""Decoding: the CPU time of a page of 100 numbers with 14 fields, and the memory of 200,000 numbers that are held.

    python benchmarks/decoding.py            both; under a minute
    python benchmarks/decoding.py --rounds 41

The pages are seeded. Subjects take turns within each round, and a ratio is the median of the rounds' own ratios, so
that slow phases of the machine fall on both sides of it; the spread is from the first to the third quartile. Memory
is the growth of the resident peak while 2,000 pages are read and all rows kept, in a process of its own for each
subject. The fast path is there where msgspec is, and the comparison with orjson where that is.
"""

import argparse
import importlib
import importlib.util
import json
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from wa_phone_async import PhoneNumber
from wa_phone_async.decoding import read_json
from wa_phone_async.paginator import read_listing, read_plain_listing

ROWS = 100
PAGES_HELD = 2_000
PAGES_IN_A_ROUND = 20
UNKNOWN = {"search_visibility": "VISIBLE"}
MISSING = ("status", "unified_cert_status", "messaging_limit_tier", "username")
WORDS = {
    "status": ("CONNECTED", "PENDING", "FLAGGED"),
    "quality_rating": ("GREEN", "YELLOW", "UNKNOWN"),
    "country_code": ("US", "CH", "BR"),
    "country_dial_code": ("1", "41", "55"),
    "code_verification_status": ("VERIFIED", "EXPIRED"),
    "unified_cert_status": ("APPROVED", "NAME_PENDING_REVIEW"),
    "account_mode": ("LIVE", "SANDBOX"),
    "host_platform": ("CLOUD_API", "ON_PREMISE"),
    "messaging_limit_tier": ("TIER_250", "TIER_1K"),
}


def row(index: int, chance: random.Random) -> dict[str, Any]:
    """A number with the 14 fields of the reference."""
    return {
        "id": str(300_000_000_000_000 + index),
        "display_phone_number": f"+1 555-{index:07}",
        "verified_name": f"{chance.choice(('Blue Bakery', 'Café Río', 'Old Mill Books', 'Zürich Optics'))} {index}",
        **{name: chance.choice(words) for name, words in WORDS.items()},
        "is_official_business_account": chance.random() < 0.2,
        "username": f"shop_{index}",
    }


def page(first: int = 0, *, more: dict[str, Any] | None = None, missing: tuple[str, ...] = ()) -> bytes:
    chance = random.Random(first)
    rows = [{**row(first + index, chance), **(more or {})} for index in range(ROWS)]
    rows = [{name: value for name, value in row.items() if name not in missing} for row in rows]
    paging = {"cursors": {"before": "QVFI" * 10, "after": "QVFJ" * 10}, "next": "https://graph.example/?after=QVFJ"}
    return json.dumps({"data": rows, "paging": paging}, separators=(",", ":")).encode()


def by_core(body: bytes) -> list[Any]:
    return read_listing(read_json(body), PhoneNumber, http_status=200).rows


def by_fast(body: bytes) -> list[Any]:
    listing = read_plain_listing(body, PhoneNumber, http_status=200)
    assert listing is not None
    return listing.rows


def by_json(body: bytes) -> list[Any]:
    rows: list[Any] = json.loads(body)["data"]
    return rows


def readers() -> dict[str, Callable[[bytes], list[Any]]]:
    """What there is, by its name in the table."""
    found: dict[str, Callable[[bytes], list[Any]]] = {"json.loads to dicts": by_json}
    if importlib.util.find_spec("orjson"):
        orjson = importlib.import_module("orjson")
        found["orjson.loads to dicts"] = lambda body: orjson.loads(body)["data"]
    found["core path"] = by_core
    if importlib.util.find_spec("msgspec"):
        found["fast path"] = by_fast
    return found


def measured(rounds: int) -> dict[str, list[float]]:
    """CPU µs a page of each subject in each round."""
    bodies = {
        "": page(),
        ", an unknown field in each row": page(more=UNKNOWN),
        ", 4 fields missing": page(missing=MISSING),
    }
    subjects = {
        name + which: (read, body)
        for name, read in readers().items()
        for which, body in bodies.items()
        if not which or name.endswith("path")
    }
    times: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(rounds + 1):
        for name, (read, body) in subjects.items():
            began = time.process_time()
            for _ in range(PAGES_IN_A_ROUND):
                read(body)
            times[name].append((time.process_time() - began) / PAGES_IN_A_ROUND * 1e6)
    return {name: values[1:] for name, values in times.items()}  # the first round warms up


def ratio(times: dict[str, list[float]], name: str, other: str) -> str:
    """The median ratio of two subjects within a round, with its quartiles."""
    if other not in times:
        return "-"
    low, middle, high = statistics.quantiles(map(float.__truediv__, times[name], times[other]), n=4)
    return f"{middle:.2f} ({low:.2f}-{high:.2f})"


def print_times(times: dict[str, list[float]]) -> None:
    print(f"{'CPU a page':45}{'µs':>6}  {'beside json':20}{'beside orjson':20}{'beside the usual page'}")
    for name, values in times.items():
        ratios = [ratio(times, name, other) for other in ("json.loads to dicts", "orjson.loads to dicts")]
        usual, comma, _ = name.partition(",")
        ratios.append(ratio(times, name, usual) if comma else "")
        print(f"{name:45}{statistics.median(values):6.0f}  " + "".join(f"{text:20}" for text in ratios).rstrip())


def hold(name: str) -> None:
    """Read and keep all pages, and print by how many MiB the peak grew."""
    read = readers()[name]
    read(page())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    held = [read(page(number * ROWS)) for number in range(PAGES_HELD)]
    assert sum(map(len, held)) == PAGES_HELD * ROWS
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)


def print_memory() -> None:
    print(f"\n{f'Memory of {PAGES_HELD * ROWS:,} numbers held':45}{'MiB':>6}  beside dicts")
    dicts = 0.0
    for name in readers():
        run = subprocess.run([sys.executable, __file__, "--hold", name], check=True, capture_output=True, text=True)
        mebibytes = float(run.stdout)
        dicts = dicts or mebibytes
        print(f"{name:45}{mebibytes:6.0f}  {mebibytes / dicts:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=21, help="of all subjects in turn, 11 or more")
    parser.add_argument("--hold", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.hold:
        hold(arguments.hold)
    else:
        print_times(measured(max(11, arguments.rounds)))
        print_memory()


if __name__ == "__main__":
    main()
