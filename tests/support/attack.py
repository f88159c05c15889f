"""The plugin of the attacks: how large they are, which random numbers they have, and the table of their figures.

A test in `tests/attack/` takes the fixture `attack`. Its name is the law that must hold:

    def test_no_forged_signature_is_accepted(attack: Attack) -> None:
        for draw in attack.rounds(short=200, seconds=10):
            ...
            attack.count("signatures")

The short form is for every run of all tests. With `--attack-minutes 5`, each attack is as large as its time allows. At
the end pytest prints the law of each attack and what it counted. The same seed gives the same rounds.
"""

import random
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs
import pytest

T = TypeVar("T")

FULL_MINUTES: Final = 5.0
"""The minutes of the full form, on two cores. The `seconds` of each attack are a share of them."""

_SECONDS_OF_A_MINUTE: Final = 50
"""The rest of each minute is for what an attack still has to end."""
_PROPERTY: Final = "attack"
_END: Final = pytest.StashKey[float]()
"""When the attacks of this process have to end, by its monotonic clock."""


@attrs.define
class Attack:
    """The size of one attack, and its figures."""

    name: str
    seed: int
    minutes: float
    """The minutes that all attacks may take; 0 for the short form."""
    end: float
    """When all attacks have to end, by the monotonic clock."""
    counts: dict[str, float]
    """What was counted."""
    largest: dict[str, float]
    """The largest of what was measured."""
    place: str = "before the first point"
    """Where the attack is, for the report of a failure."""

    @property
    def is_short(self) -> bool:
        """Whether the attack runs beside all other tests."""
        return not self.minutes

    def count(self, what: str, number: float = 1) -> None:
        """Add to a figure."""
        self.counts[what] = self.counts.get(what, 0) + number

    def measure(self, what: str, value: float) -> None:
        """Keep the largest value of a figure."""
        self.largest[what] = max(value, self.largest.get(what, value))

    def rounds(self, *, short: int, seconds: float) -> Iterator[random.Random]:
        """Yield the random numbers of each round: `short` rounds, or in the full form as many as fit in `seconds`."""
        began, number = time.monotonic(), 0
        while number < short or self._has_time(time.monotonic() - began, seconds):
            self.place = f"round {number}"
            yield random.Random(f"{self.seed}/{self.name}/{number}")
            number += 1

    def points(self, places: Sequence[T], *, short: int) -> Iterator[T]:
        """Yield every place of the full form, in random order, or `short` of them."""
        order = random.Random(f"{self.seed}/{self.name}").sample(places, len(places))
        for number, place in enumerate(order):
            if number >= short and not self._has_time(0, 1):
                return
            self.place = f"point {place}"
            yield place

    def _has_time(self, spent: float, seconds: float) -> bool:
        # A slow machine reaches the end before the last of its points, and counts less.
        return time.monotonic() < self.end and spent < seconds * self.minutes / FULL_MINUTES


@pytest.fixture
def attack(request: pytest.FixtureRequest) -> Attack:
    """The attack of this test. What it counts is printed at the end of the run."""
    counts, largest = dict[str, float](), dict[str, float]()
    request.node.user_properties.append((_PROPERTY, {"counts": counts, "largest": largest}))
    option, end = request.config.getoption, request.config.stash[_END]
    return Attack(request.node.nodeid, option("attack_seed"), option("attack_minutes"), end, counts, largest)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the attacks."""
    group = parser.getgroup("attack")
    group.addoption("--attack-minutes", type=float, default=0.0, help="minutes of all attacks; default: short forms")
    group.addoption("--attack-seed", type=int, default=15, help="the seed of their random numbers; default: 15")
    group.addoption("--attack-report", type=Path, help="a file for the table of their figures, as Markdown")


def pytest_configure(config: pytest.Config) -> None:
    """Note when the attacks have to end."""
    config.stash[_END] = time.monotonic() + _SECONDS_OF_A_MINUTE * config.getoption("attack_minutes")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say where an attack has failed."""
    report = yield
    found = getattr(item, "funcargs", {}).get("attack")
    if report.failed and isinstance(found, Attack):
        report.sections.append(("attack", f"{found.place} with --attack-seed {found.seed}"))
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the table."""
    rows = _rows(report for reports in terminalreporter.stats.values() for report in reports)
    if not rows:
        return
    terminalreporter.section("attacks")
    for law, figures in rows.items():
        terminalreporter.line(f"{law}: {figures}")
    if file := config.getoption("attack_report"):
        lines = ["| what held | figures |", "|---|---|", *(f"| {law} | {rows[law]} |" for law in rows)]
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _rows(reports: Iterator[Any]) -> dict[str, str]:
    """The figures of each law. The parameters of a test share one row."""
    found = dict[str, dict[str, dict[str, float]]]()
    for report in reports:
        for name, figures in getattr(report, "user_properties", ()):
            if name == _PROPERTY and report.when == "call" and report.outcome != "skipped":
                law = report.location[2].partition("[")[0].removeprefix("test_").replace("_", " ")
                law = f"FAILED: {law}" if report.failed else law
                merged = found.setdefault(law, {"counts": {}, "largest": {}})
                for what, value in figures["counts"].items():
                    merged["counts"][what] = merged["counts"].get(what, 0) + value
                for what, value in figures["largest"].items():
                    merged["largest"][what] = max(value, merged["largest"].get(what, value))
    return {law: _text(**found[law]) for law in sorted(found)}


def _text(counts: dict[str, float], largest: dict[str, float]) -> str:
    parts = [f"{value:,.0f} {what}" for what, value in counts.items()]
    return ", ".join([*parts, *(f"at most {value:,.4g} {what}" for what, value in largest.items())])
