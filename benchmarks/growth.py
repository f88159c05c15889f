"""Whether a page costs the same in long lists as in short ones, and of many lists at once as of one.

    python benchmarks/growth.py --rounds 11

Processor time a page, with the extra `speed` where it is installed. Of many lists at once each page costs a loop by
hand more as well, whose buffers and sockets are as many: it is shown beside.
"""

import importlib.util
from collections.abc import Iterator, Mapping, Sequence

import attrs
import canned
import interleaved
import paired
from interleaved import Entry
from paired import Findings, Row, Spread, ratio

LONGER = {
    "10 pages": Entry("ours.by_row", pages=10, times=30, turns=2),
    "100 pages": Entry("ours.by_row", pages=100, times=3, turns=2),
    "1,000 pages": Entry("ours.by_row", pages=1_000, turns=2),
}
WIDER = {
    "1 list": Entry("ours.by_row", pages=5, times=60, turns=2),
    "16 lists at once": Entry("ours.by_row", lists=16, pages=5, times=4, turns=2),
    "256 lists at once": Entry("ours.by_row", lists=256, warm=256, pages=5, turns=2),
}
DECODER = "orjson" if importlib.util.find_spec("orjson") else "json"
BY_HAND = {
    f"{name}, by hand": attrs.evolve(entry, subject="by_hand.by_row", arguments=(DECODER,))
    for name, entry in WIDER.items()
}
GOAL = 1.1


def measure(rounds: int) -> Findings:
    times = dict[str, list[float]]()
    with canned.serving(1_000) as server:
        for sizes in (LONGER, WIDER | BY_HAND):
            found = interleaved.play(server, sizes, rounds)
            times |= {name: [sample.cpu for sample in samples] for name, samples in found.items()}
    return Findings(tuple(rows(times)), "\n".join(details(times)))


def rows(times: Mapping[str, Sequence[float]]) -> Iterator[Row]:
    for sizes in (LONGER, WIDER):
        least, *_, most = sizes
        yield Row(f"a page of {most}", f"of {least}", ratio(times[most], times[least]), GOAL)


def details(times: Mapping[str, Sequence[float]]) -> Iterator[str]:
    yield "| work | processor, µs a page | beside the least |"
    yield "|---|---|---|"
    for sizes in (LONGER, WIDER, BY_HAND):
        least, *_ = sizes
        for name in sizes:
            cpu = Spread.of(one * 1e6 for one in times[name])
            beside = ratio(times[name], times[least])
            yield f"| {name} | {cpu.middle:,.0f} ({cpu.low:,.0f}-{cpu.high:,.0f}) | {beside} |"


if __name__ == "__main__":
    paired.main(measure, __doc__)
