"""Lists of 20 pages of 100 numbers: one after the other, and 64 at once, beside loops by hand and the peers.

    python benchmarks/listing.py --rounds 11

Every figure is of a fresh process (`subject.py`), whose start and first lists do not count. Processor time is user and
system of all its threads. The server is a process of its own (`canned.py`); it is not what is measured, so the share of
its core that it is busy is printed beside each subject, and what bare sockets get from it.
"""

import functools
import importlib.util
from collections.abc import Iterator, Mapping, Sequence

import attrs
import canned
import paired
from paired import Findings, Row, Spread, digits, ratio

CORE = {"WA_PHONE_FAST_PATH": "off"}
KEEP_MALLOC = {"WA_PHONE_MALLOC": "off"}
ROWS = 100


@attrs.frozen
class Subject:
    """Who lists, and how much of it is enough to measure."""

    opened: str
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = attrs.field(factory=dict)
    needs: str = ""
    """The package without which there is no such subject."""
    times: int = 15
    """How many lists of 20 pages are listed one after the other."""
    pages: int = 20
    """How many pages each list has, where 64 are listed at once."""


SPEED, WHOLE, KEPT, PLAIN = "speed", "speed, awaited whole", "speed, malloc as it is", "core"
ORJSON, JSON, PYWA, OFFICIAL = "aiohttp + orjson by hand", "aiohttp + json by hand", "pywa", "facebook-business"
SUBJECTS = {
    SPEED: Subject("ours.by_row", needs="msgspec"),
    WHOLE: Subject("ours.whole", needs="msgspec"),
    KEPT: Subject("ours.by_row", environment=KEEP_MALLOC, needs="msgspec"),
    PLAIN: Subject("ours.by_row", environment=CORE),
    ORJSON: Subject("by_hand.by_row", ("orjson",), needs="orjson"),
    JSON: Subject("by_hand.by_row", ("json",)),
    PYWA: Subject("peers.pywa", needs="pywa", times=3, pages=5),
    OFFICIAL: Subject("peers.facebook_business", needs="facebook_business", times=1, pages=1),
}
ONE, MANY = "one list of 20 pages", "64 such lists at once"
GOALS = (
    (ONE, SPEED, ORJSON, 1.0),
    (ONE, KEPT, ORJSON, 1.1),
    (MANY, SPEED, ORJSON, 0.9),
    (ONE, PLAIN, JSON, 1.25),
    (MANY, PLAIN, JSON, 1.25),
    *((work, SPEED, PYWA, 1 / 5) for work in (ONE, MANY)),
    *((work, PLAIN, PYWA, 1 / 3) for work in (ONE, MANY)),
    *((work, SPEED, OFFICIAL, 1 / 80) for work in (ONE, MANY)),
    *((work, PLAIN, OFFICIAL, 1 / 45) for work in (ONE, MANY)),
)


@attrs.frozen
class Sample:
    """What a page took in one round, in seconds."""

    cpu: float
    """Of the subject's processor."""
    server_cpu: float
    """Of the server's processor."""
    seconds: float
    """Of time."""


Samples = Mapping[str, Mapping[str, Sequence[Sample]]]
"""By the work, and by the subject."""


def sample(server: canned.Server, subject: Subject, work: str) -> Sample:
    """Let a subject work, in a fresh process."""
    lists, pages, times = (64, subject.pages, 1) if work == MANY else (1, 20, subject.times)
    amount = ("--lists", lists, "--pages", pages, "--times", times)
    server.took()
    took = paired.run_fresh(
        "subject.py", subject.opened, server.url, *subject.arguments, *amount, environment=subject.environment
    )
    return Sample(took["cpu"], server.took().cpu_a_page, took["seconds"])


def measure(rounds: int) -> Findings:
    present = {name: one for name, one in SUBJECTS.items() if not one.needs or importlib.util.find_spec(one.needs)}
    with canned.serving(20) as server:
        samples = {
            work: paired.take_turns(
                {name: functools.partial(sample, server, subject, work) for name, subject in present.items()}, rounds
            )
            for work in (ONE, MANY)
        }
        capacities = [canned.capacity(server.url, connections) for connections in (1, 64)]
    return Findings(tuple(rows(samples)), "\n".join(details(samples, capacities)), speeds(samples))


def rows(samples: Samples) -> Iterator[Row]:
    for work, name, other, goal in GOALS:
        times = {who: [one.cpu for one in of_work] for who, of_work in samples[work].items()}
        if name in times and other in times:
            yield Row(f"{work}, {name}", other, ratio(times[name], times[other]), goal)


def details(samples: Samples, capacities: Sequence[float]) -> Iterator[str]:
    yield "| work | subject | processor, µs a page | numbers a second | server, µs a page | server busy |"
    yield "|---|---|---|---|---|---|"
    for work, of_work in samples.items():
        for name, found in of_work.items():
            yield f"| {work} | {name} | {' | '.join(figures(found))} |"
    yield ""
    fastest = [max(1 / one.seconds for found in samples[work].values() for one in found) for work in (ONE, MANY)]
    yield (
        f"Bare sockets get {capacities[0]:,.0f} pages a second from the server over one connection and "
        f"{capacities[1]:,.0f} over 64, where the fastest subject gets {fastest[0]:,.0f} and {fastest[1]:,.0f}."
    )
    yield f"Where 64 lists are listed at once, those of {PYWA} have {SUBJECTS[PYWA].pages} pages and those of "
    yield f"{OFFICIAL}, which does it in threads, have {SUBJECTS[OFFICIAL].pages}."


def figures(found: Sequence[Sample]) -> Iterator[str]:
    """The cells of a subject: medians, and the quartiles of the first."""
    cpu = Spread.of(one.cpu * 1e6 for one in found)
    yield f"{cpu.middle:,.0f} ({cpu.low:,.0f}-{cpu.high:,.0f})"
    yield f"{Spread.of(ROWS / one.seconds for one in found).middle:,.0f}"
    yield f"{Spread.of(one.server_cpu * 1e6 for one in found).middle:,.0f}"
    yield digits(Spread.of(one.server_cpu / one.seconds for one in found).middle)


def speeds(samples: Samples) -> dict[str, dict[str, float]]:
    """The numbers that each subject lists in a second of its processor's time."""
    return {
        work: {name: ROWS / Spread.of(one.cpu for one in found).middle for name, found in of_work.items()}
        for work, of_work in samples.items()
    }


if __name__ == "__main__":
    paired.main(measure, __doc__)
