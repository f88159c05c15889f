"""Lists of 20 pages of 100 numbers: one after the other, and 64 at once, beside loops by hand and the peers.

    python benchmarks/listing.py --rounds 11

Processor time is user and system of all threads of a subject, without its start and its first lists. The server is a
process of its own (`canned.py`); it is not what is measured, so the share of its core that it is busy is printed beside
each subject, and what bare sockets get from it.
"""

import importlib.util
from collections.abc import Iterator, Mapping, Sequence

import attrs
import canned
import interleaved
import paired
from interleaved import Entry, Sample
from pages import ROWS
from paired import Findings, Row, Spread, digits, ratio

CORE = {"WA_PHONE_FAST_PATH": "off"}


SPEED, WHOLE, PLAIN = "speed", "speed, awaited whole", "core"
ORJSON, JSON, PYWA, OFFICIAL = "aiohttp + orjson by hand", "aiohttp + json by hand", "pywa", "facebook-business"
SUBJECTS = {
    SPEED: Entry("ours.by_row"),
    WHOLE: Entry("ours.whole"),
    PLAIN: Entry("ours.by_row", environment=CORE),
    ORJSON: Entry("by_hand.by_row", ("orjson",)),
    JSON: Entry("by_hand.by_row", ("json",)),
    PYWA: Entry("peers.pywa"),
    OFFICIAL: Entry("peers.facebook_business", warm=8),
}
NEEDS = {
    SPEED: "msgspec",
    WHOLE: "msgspec",
    ORJSON: "orjson",
    PYWA: "pywa",
    OFFICIAL: "facebook_business",
}
"""The packages without which there are no such subjects."""
OF_ONE = {PYWA: (3, 1), OFFICIAL: (1, 1)}
"""Of a slow one, how many lists are listed one after the other in a turn, and in how many turns."""
OF_MANY = {PYWA: (5, 1), OFFICIAL: (1, 1)}
"""Where 64 are listed at once, of a slow one how many pages each list has, and in how many turns."""
ONE, MANY = "one list of 20 pages", "64 such lists at once"
GOALS = (
    (ONE, SPEED, ORJSON, 1.2),
    (MANY, SPEED, ORJSON, 0.95),
    (ONE, PLAIN, JSON, 1.5),
    (MANY, PLAIN, JSON, 1.3),
    *((work, SPEED, PYWA, 1 / 5) for work in (ONE, MANY)),
    *((work, PLAIN, PYWA, 1 / 3) for work in (ONE, MANY)),
    *((work, SPEED, OFFICIAL, 1 / 80) for work in (ONE, MANY)),
    *((work, PLAIN, OFFICIAL, 1 / 45) for work in (ONE, MANY)),
)


Samples = Mapping[str, Mapping[str, Sequence[Sample]]]
"""By the work, and by the subject."""


def entries(work: str) -> dict[str, Entry]:
    """Who lists, and how much of it is enough to measure."""
    found = {}
    for name, subject in SUBJECTS.items():
        if not importlib.util.find_spec(NEEDS.get(name, "aiohttp")):
            continue
        if work == ONE:
            times, of_each = OF_ONE.get(name, (3, 5))
            found[name] = attrs.evolve(subject, times=times, turns=of_each)
        else:
            pages, of_each = OF_MANY.get(name, (20, 2))
            found[name] = attrs.evolve(subject, lists=64, pages=pages, turns=of_each)
    return found


def measure(rounds: int) -> Findings:
    with canned.serving(20) as server:
        samples = {work: interleaved.play(server, entries(work), rounds) for work in (ONE, MANY)}
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
    yield (
        f"Where 64 lists are listed at once, those of {PYWA} have {OF_MANY[PYWA][0]} pages, and those of {OFFICIAL}, "
        f"which does it in threads, {OF_MANY[OFFICIAL][0]}."
    )


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
