"""How long an import of the client takes, beside `import aiohttp`.

    python benchmarks/importing.py --rounds 11

Each is imported in a fresh process, whose own start does not count. The client is imported by its name, since
`import wa_phone_async` alone imports nothing before the first name is used.
"""

import functools
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence

import paired
from paired import Findings, Row, Spread, ratio

OURS, OTHER = "from wa_phone_async import PhoneNumberClient", "import aiohttp"
GOAL = 1.3
COMPILED = {"PYTHONDONTWRITEBYTECODE": ""}  # pip has compiled aiohttp, and nobody yet a package installed in place


def sample(statement: str, path: str = "") -> float:
    """Seconds that an import takes, from a path if one is given."""
    code = f"import time; began = time.perf_counter(); {statement}; print(time.perf_counter() - began)"
    command, environment = [sys.executable, "-c", code], {**os.environ, **COMPILED}
    if path:
        environment["PYTHONPATH"] = path
    # Python looks for modules in the working directory first, and only then in PYTHONPATH: hence `cwd`.
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment, cwd=path or None)
    return float(done.stdout)


def measure(rounds: int) -> Findings:
    subjects = {statement: functools.partial(sample, statement) for statement in (OURS, OTHER)}
    for first in subjects.values():
        first()  # which reads the files from the disk, and compiles them
    times = paired.take_turns(subjects, rounds)
    row = Row(OURS, OTHER, ratio(times[OURS], times[OTHER]), GOAL)
    return Findings((row,), "\n".join(details(times)))


def details(times: Mapping[str, Sequence[float]]) -> Iterator[str]:
    yield "| import | ms |"
    yield "|---|---|"
    for statement, found in times.items():
        spread = Spread.of(1e3 * seconds for seconds in found)
        yield f"| {statement} | {spread.middle:.0f} ({spread.low:.0f}-{spread.high:.0f}) |"


if __name__ == "__main__":
    paired.main(measure, __doc__)
