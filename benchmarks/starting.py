"""How long `wa-phone` takes from its start to its end, beside a Python that only imports aiohttp.

    python benchmarks/starting.py --rounds 11

Each runs in a fresh process, whose own start and end count. `--help` needs no aiohttp, so it may take less.
"""

import functools
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence

import importing
import paired
from paired import Findings, Row, Spread, ratio

STARTS = {
    "wa-phone --help": ("-m", "wa_phone_async", "--help"),
    "wa-phone list --sandbox": ("-m", "wa_phone_async", "list", "--sandbox", "--format", "jsonl"),
}
"""The arguments of Python."""
GOALS = {"wa-phone --help": 1.3, "wa-phone list --sandbox": 2.1}
OTHER = 'python -c "import aiohttp"'


def run(arguments: Sequence[str], path: str = "") -> float:
    """Seconds that a Python with these arguments takes, with the package from a path if one is given."""
    # Python looks for modules in the working directory first, and only then in PYTHONPATH: hence `cwd`.
    environment = {**os.environ, **importing.COMPILED, **({"PYTHONPATH": path} if path else {})}
    command, began = [sys.executable, *arguments], time.perf_counter()
    subprocess.run(
        command,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
        cwd=path or None,
    )
    return time.perf_counter() - began


def measure(rounds: int) -> Findings:
    subjects = {
        name: functools.partial(run, arguments)
        for name, arguments in {**STARTS, OTHER: ("-c", "import aiohttp")}.items()
    }
    for first in subjects.values():
        first()  # which reads the files from the disk, and compiles them
    times = paired.take_turns(subjects, rounds)
    return Findings(tuple(rows(times)), "\n".join(details(times)))


def rows(times: Mapping[str, Sequence[float]]) -> Iterator[Row]:
    for name, goal in GOALS.items():
        yield Row(name, OTHER, ratio(times[name], times[OTHER]), goal)


def details(times: Mapping[str, Sequence[float]]) -> Iterator[str]:
    yield "| command | ms from start to end |"
    yield "|---|---|"
    for name, found in times.items():
        spread = Spread.of(1e3 * seconds for seconds in found)
        yield f"| {name} | {spread.middle:.0f} ({spread.low:.0f}-{spread.high:.0f}) |"


if __name__ == "__main__":
    paired.main(measure, __doc__)
