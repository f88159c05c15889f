"""All shapes of work, one table and one picture: what `nox -s bench` runs.

    python benchmarks/report.py                              all; some twenty-five minutes
    python benchmarks/report.py --rounds 3                   all, in short
    python benchmarks/report.py --rounds 11 listing growth   some of them, without the picture
    python benchmarks/report.py --against v0.1.0             this checkout beside another revision; some ten minutes

A shape of work is a module with a function `measure(rounds)` that gives `paired.Findings`. The table is printed last,
between the marks that stand around it in docs/benchmarks.md, and drawn in `results.svg`.
"""

import argparse
import importlib
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import against
import chart
import listing
import paired
from paired import Findings

SHAPES = {
    "listing": "measure",
    "bulk": "measure_beside_orjson",
    "decoding": "measure",
    "read_ahead": "measure_steady",
    "importing": "measure",
    "starting": "measure",
    "growth": "measure",
    "compressed": "measure",
    "instant": "measure",
    "exporting": "measure",
    "settings": "measure",
}
"""The modules, in the order of the table, and the function of each that measures."""
OURS = {listing.SPEED: "wa_phone_async[speed]", listing.PLAIN: "wa_phone_async"}
DRAWN = OURS | {name: name for name in (listing.ORJSON, listing.JSON, listing.PYWA, listing.OFFICIAL)}
"""The subjects in the picture, and what they are called there."""
MARKS = ("<!-- the table of `nox -s bench` -->", "<!-- its end -->")
PICTURE = Path(__file__).with_name("results.svg")


def measure(shapes: Sequence[str], rounds: int) -> list[Findings]:
    """Measure the shapes one after the other, and print the figures of each."""
    found = list[Findings]()
    for shape in shapes:
        found.append(getattr(importlib.import_module(shape), SHAPES[shape])(rounds))
        print(f"## {shape}\n\n{found[-1].details}\n", flush=True)
    return found


def for_manual(found: Sequence[Findings], conditions: str) -> str:
    """The table of all shapes between its marks, and what it was measured on."""
    rows = [row for findings in found for row in findings.rows]
    return "\n".join((MARKS[0], paired.table(rows), "", f"Measured on {conditions}.", MARKS[1]))


def draw(found: Sequence[Findings], conditions: str) -> str:
    """The picture of all shapes."""
    rows = [row for findings in found for row in findings.rows]
    speeds = {
        title: {called: group[name] for name, called in DRAWN.items() if name in group}
        for findings in found
        for title, group in findings.speeds.items()
    }
    return chart.draw(speeds, rows, list(OURS.values()), "\n".join(textwrap.wrap(conditions, 120)))


def compare(revision: str, rounds: int) -> int:
    """Print this checkout beside another revision; 1 where some work costs more."""
    findings = against.measure(revision, rounds)
    print(findings.details, paired.table(findings.rows), sep="\n\n")
    slower = against.slower(findings)
    print(f"\nSlower than {revision}: {', '.join(slower) or 'nothing'}.")
    return int(bool(slower))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="*", choices=[*SHAPES, []], metavar="shape", help=", ".join(SHAPES))
    parser.add_argument("--rounds", type=int, default=11, help="in which all subjects take turns; 11 for a result")
    parser.add_argument("--against", metavar="REV", help="compare with another revision; exit with 1 if slower")
    options = parser.parse_args()
    conditions = paired.conditions(options.rounds)
    print(conditions, end="\n\n", flush=True)
    if options.against:
        sys.exit(compare(options.against, options.rounds))
    found = measure(options.shapes or list(SHAPES), options.rounds)
    print(for_manual(found, conditions))
    if not options.shapes:
        PICTURE.write_text(draw(found, conditions), encoding="utf-8")


if __name__ == "__main__":
    main()
