"""Whether a page costs the same in long lists as in short ones, and of many lists at once as of one.

    python benchmarks/growth.py --rounds 11

Processor time a page, with the extra `speed` where it is installed; a fresh process for each figure.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence

import canned
import paired
from paired import Findings, Row, Spread, ratio

LONGER = {"10 pages": (1, 10, 60), "100 pages": (1, 100, 6), "1,000 pages": (1, 1_000, 1)}
"""How many lists at once of how many pages, and how often."""
WIDER = {"1 list": (1, 5, 120), "16 lists at once": (16, 5, 8), "256 lists at once": (256, 5, 1)}
GOAL = 1.1


def sample(server: canned.Server, lists: int, pages: int, times: int) -> float:
    """Processor seconds a page."""
    amount = ("--lists", lists, "--warm", lists, "--pages", pages, "--times", times)
    return float(paired.run_fresh("subject.py", "ours.by_row", server.url, *amount)["cpu"])


def measure(rounds: int) -> Findings:
    with canned.serving(1_000) as server:
        sizes = (LONGER | WIDER).items()
        subjects = {name: functools.partial(sample, server, *amount) for name, amount in sizes}
        times = paired.take_turns(subjects, rounds)
    return Findings(tuple(rows(times)), "\n".join(details(times)))


def rows(times: Mapping[str, Sequence[float]]) -> Iterator[Row]:
    for sizes in (LONGER, WIDER):
        least, *_, most = sizes
        yield Row(f"a page of {most}", f"of {least}", ratio(times[most], times[least]), GOAL)


def details(times: Mapping[str, Sequence[float]]) -> Iterator[str]:
    yield "| work | processor, µs a page | beside the least |"
    yield "|---|---|---|"
    for sizes in (LONGER, WIDER):
        least, *_ = sizes
        for name in sizes:
            cpu = Spread.of(one * 1e6 for one in times[name])
            beside = ratio(times[name], times[least])
            yield f"| {name} | {cpu.middle:,.0f} ({cpu.low:,.0f}-{cpu.high:,.0f}) | {beside} |"


if __name__ == "__main__":
    paired.main(measure, __doc__)
