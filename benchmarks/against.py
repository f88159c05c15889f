"""This checkout beside another revision of it: the same work by both, in turn.

    python benchmarks/report.py --against REV

The other revision is unpacked from git into a temporary directory. Its processes get it by `PYTHONPATH`; interpreter,
packages and the scripts of the benchmarks are the same for both. So the subjects use only what both revisions have.
A ratio below 1 says that this checkout needs less.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence

import attrs
import canned
import importing
import instant
import interleaved
import paired
import starting
from checkouts import REPOSITORY, checked_out
from interleaved import Entry
from listing import CORE
from paired import Findings, Row, Spread, ratio

MOST = 1.02
"""The lower quartile of no ratio may be above it: a slower row, and not a noisy one."""

ONE = {"turns": 5, "times": 3}
MANY = {"lists": 64, "turns": 2}
FLEET = {"lists": 2_000, "pages": 1, "turns": 3}
WORK = {
    "one list of 20 pages, speed": Entry("ours.by_row", **ONE),
    "one list of 20 pages, core": Entry("ours.by_row", environment=CORE, **ONE),
    "the same, awaited whole, speed": Entry("ours.whole", **ONE),
    "64 such lists at once, speed": Entry("ours.by_row", **MANY),
    "64 such lists at once, core": Entry("ours.by_row", environment=CORE, **MANY),
    "`list_many` of 2,000 accounts, speed": Entry("ours.many", **FLEET),
    "`list_many` of 2,000 accounts, core": Entry("ours.many", environment=CORE, **FLEET),
}
"""Processor time, in processes that stay open."""


def measure(revision: str, rounds: int) -> Findings:
    """Let this checkout and another revision do the same work in turn."""
    with checked_out(revision) as other, canned.serving(20) as server:
        paths = {"this": str(REPOSITORY), "other": other}
        found = {work: play(server, entry, paths, rounds) for work, entry in WORK.items()}
        found |= {
            f"instant transport, {name}": start(functools.partial(instant.sample, name), paths, rounds)
            for name in instant.SUBJECTS
        }
        found |= {
            work: start(functools.partial(starting.run, arguments), paths, rounds)
            for work, arguments in starting.STARTS.items()
        }
        found[importing.OURS] = start(functools.partial(importing.sample, importing.OURS), paths, rounds)
    return Findings(tuple(rows(found, revision)), "\n".join(details(found, revision)))


Times = Mapping[str, Mapping[str, Sequence[float]]]
"""Seconds of each round, by the work and by the checkout."""


def play(server: canned.Server, entry: Entry, paths: Mapping[str, str], rounds: int) -> dict[str, list[float]]:
    """The processor's seconds for a page, in long-lived processes of both checkouts."""
    entries = {
        name: attrs.evolve(entry, environment={**entry.environment, "PYTHONPATH": path}) for name, path in paths.items()
    }
    return {name: [sample.cpu for sample in found] for name, found in interleaved.play(server, entries, rounds).items()}


def start(once: Callable[[str], float], paths: Mapping[str, str], rounds: int) -> dict[str, list[float]]:
    """The seconds of something that begins with a process of its own."""
    for path in paths.values():
        once(path)  # reads the files from the disk, and compiles them
    return paired.take_turns({name: functools.partial(once, path) for name, path in paths.items()}, rounds)


def rows(found: Times, revision: str) -> Iterator[Row]:
    for work, times in found.items():
        yield Row(work, revision, ratio(times["this"], times["other"]), MOST)


def details(found: Times, revision: str) -> Iterator[str]:
    yield f"| work | this, ms | {revision}, ms |"
    yield "|---|---|---|"
    for work, times in found.items():
        this, other = (Spread.of(1e3 * seconds for seconds in times[name]) for name in ("this", "other"))
        yield f"| {work} | {this} | {other} |"


def slower(findings: Findings) -> list[str]:
    """The rows that cost more, beyond the noise of the rounds."""
    return [row.work for row in findings.rows if row.ratio.low > MOST]
