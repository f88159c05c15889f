"""How long `import wa_phone_async` takes, beside `import aiohttp`.

    python benchmarks/importing.py --rounds 11

Each is imported in a fresh process, whose own start does not count.
"""

import functools
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence

import paired
from paired import Findings, Row, Spread, ratio

OURS, OTHER = "wa_phone_async", "aiohttp"
GOAL = 1.3
COMPILED = {"PYTHONDONTWRITEBYTECODE": ""}  # pip has compiled aiohttp, and nobody yet a package installed in place


def sample(package: str, path: str = "") -> float:
    """Seconds until it is imported, from a path if one is given."""
    code = f"import time; began = time.perf_counter(); import {package}; print(time.perf_counter() - began)"
    command, environment = [sys.executable, "-c", code], {**os.environ, **COMPILED}
    if path:
        environment["PYTHONPATH"] = path
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment).stdout)


def measure(rounds: int) -> Findings:
    subjects = {package: functools.partial(sample, package) for package in (OURS, OTHER)}
    for first in subjects.values():
        first()  # which reads the files from the disk, and compiles them
    times = paired.take_turns(subjects, rounds)
    row = Row(f"import {OURS}", f"import {OTHER}", ratio(times[OURS], times[OTHER]), GOAL)
    return Findings((row,), "\n".join(details(times)))


def details(times: Mapping[str, Sequence[float]]) -> Iterator[str]:
    yield "| package | ms to import |"
    yield "|---|---|"
    for package, found in times.items():
        spread = Spread.of(1e3 * seconds for seconds in found)
        yield f"| {package} | {spread.middle:.0f} ({spread.low:.0f}-{spread.high:.0f}) |"


if __name__ == "__main__":
    paired.main(measure, __doc__)
