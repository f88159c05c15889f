"""What the benchmarks share: rounds in which subjects take turns, and the ratios within each of them.

A machine has slow phases of seconds, which fall on all subjects of a round alike. So two subjects are compared within
each round, and the median of these ratios stands for the run, with the first and the third quartile for its spread.
"""

import argparse
import datetime as dt
import importlib.metadata
import json
import os
import platform
import random
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import attrs

Name = TypeVar("Name")
Taken = TypeVar("Taken")

HERE = Path(__file__).parent
PACKAGES = ("aiohttp", "attrs", "cattrs", "msgspec", "orjson", "pywa", "httpx", "facebook-business", "requests")
NO_PROXY = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}  # two of the peers would ask it


@attrs.frozen
class Spread:
    """The median of some figures, and the quartiles below and above it."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, figures: Iterable[float]) -> Self:
        found = sorted(figures)
        if len(found) == 1:
            return cls(found[0], found[0], found[0])
        low, middle, high = statistics.quantiles(found, n=4, method="inclusive")
        return cls(middle, low, high)

    def __str__(self) -> str:
        return f"{digits(self.middle)} ({digits(self.low)}-{digits(self.high)})"


def digits(figure: float) -> str:
    """Two places after the point, or three digits of what is small."""
    return f"{figure:.2f}" if figure >= 0.1 or not figure else f"{figure:.3g}"


def ratio(figures: Sequence[float], others: Sequence[float]) -> Spread:
    """How one subject's figures stand to another's, round by round."""
    return Spread.of([figure / other for figure, other in zip(figures, others, strict=True)])


@attrs.frozen
class Row:
    """A line of the table: some work, what it is compared with, and what is to be reached."""

    work: str
    against: str
    ratio: Spread
    goal: float

    @property
    def is_reached(self) -> bool:
        return self.ratio.middle <= self.goal


@attrs.frozen
class Findings:
    """What a shape of work was found to cost."""

    rows: tuple[Row, ...]
    details: str
    """All figures, in Markdown."""
    speeds: Mapping[str, Mapping[str, float]] = attrs.field(factory=dict)
    """For the picture: of some work, what each subject gets done in a second of its processor's time."""


HEAD = ("| work | against | ratio | quartiles | goal |", "|---|---|---|---|---|")


def line(row: Row) -> str:
    """The row in Markdown; the ratio is bold where the goal is reached."""
    middle = digits(row.ratio.middle)
    cells = (
        row.work,
        row.against,
        f"**{middle}**" if row.is_reached else middle,
        f"{digits(row.ratio.low)}-{digits(row.ratio.high)}",
        digits(row.goal),
    )
    return f"| {' | '.join(cells)} |"


def table(rows: Iterable[Row]) -> str:
    return "\n".join((*HEAD, *map(line, rows)))


def take_turns(subjects: Mapping[Name, Callable[[], Taken]], rounds: int) -> dict[Name, list[Taken]]:
    """What each subject gave in each round. Their order changes from round to round, the same in each run."""
    order, found = list(subjects), {name: list[Taken]() for name in subjects}
    chance = random.Random(rounds)
    for _ in range(rounds):
        chance.shuffle(order)
        for name in order:
            found[name].append(subjects[name]())
    return found


def run_fresh(script: str, *arguments: object, environment: Mapping[str, str] | None = None) -> Any:
    """The JSON that a script beside this one prints, run in a process of its own."""
    command = [sys.executable, str(HERE / script), *map(str, arguments)]
    settings = {**os.environ, **NO_PROXY, **(environment or {})}
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, env=settings).stdout)


def main(measure: Callable[[int], Findings], description: str) -> None:
    """The command line of a script that measures one shape of work."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11, help="in which all subjects take turns; 11 for a result")
    rounds = parser.parse_args().rounds
    print(conditions(rounds), end="\n\n", flush=True)
    findings = measure(rounds)
    print(findings.details)
    if findings.rows:
        print(f"\n{table(findings.rows)}")


def conditions(rounds: int) -> str:
    """The day, the machine and the versions, in one line."""
    packages = [f"{name} {version}" for name in PACKAGES if (version := installed(name))]
    return (
        f"{dt.datetime.now(dt.UTC):%Y-%m-%d}, {rounds} rounds, {processor()}, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f} at the start, {platform.system()}, "
        f"{platform.python_implementation()} {platform.python_version()}, {', '.join(packages)}"
    )


def installed(package: str) -> str:
    """The version of a package, or an empty string."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def processor() -> str:
    """What the processor is called."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text(encoding="utf-8").splitlines() if facts.exists() else []
    names = [text.partition(":")[2].strip() for text in lines if text.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
