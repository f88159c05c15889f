"""Where the time of a page goes, layer by layer: Python calls, C calls and bytecode, and the processor's instructions.

    python benchmarks/layers.py                   calls and bytecode; under a minute
    python benchmarks/layers.py --instructions    instructions too, by valgrind; some five minutes

A layer is a folder or module of this package, what it generates, or another package. A call of a C function counts for
the layer that calls it. The figures are those of a list of 11 pages without those of a list of one, for each page more.
They are counts, so a busy machine gives nearly the same ones as a quiet one. asyncio varies a little with how a
response arrives: of several lists, that with the fewest calls counts.

Valgrind does not see Python's functions. It sees in which library of C the instructions are.
"""

import argparse
import asyncio
import importlib
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import canned
import paired
from subject import Lister

SHORT, LONG = 1, 11
LISTS = 8
KINDS = ("Python calls", "C calls", "bytecodes")
SUBJECTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "speed": ("ours.by_row", ()),
    "core": ("ours.by_row", ()),
    "by hand, orjson": ("by_hand.by_row", ("orjson",)),
}
CORE = {"core": {"WA_PHONE_FAST_PATH": "off"}}
OWN = "wa_phone_async"
STANDARD = Path(os.__file__).parent

Counts = Mapping[str, Mapping[str, float]]
"""By the kind of what is counted, and by the layer."""


def layer_of(filename: str) -> str:
    """The layer that a file of Python belongs to."""
    parts = Path(filename).parts
    if OWN in parts:
        folder = parts[parts.index(OWN) + 1]
        return f"{OWN}/{folder.removesuffix('.py')}"
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1].removesuffix(".py")
    if STANDARD in Path(filename).parents:
        folder = Path(filename).relative_to(STANDARD).parts[0].removesuffix(".py")
        return folder if folder == "asyncio" else "other standard library"
    if filename.startswith("<builder of"):
        return f"{OWN}/decoding, generated"
    return "the program" if Path(filename).parent == paired.HERE else "other generated code"


class CallCounter:
    """Counts what a thread does, by the kind and by the layer."""

    def __init__(self) -> None:
        self.found = {kind: Counter[str]() for kind in KINDS}
        self._layers = dict[str, str]()

    def _count(self, kind: str, frame: FrameType) -> None:
        filename = frame.f_code.co_filename
        layer = self._layers.get(filename) or self._layers.setdefault(filename, layer_of(filename))
        self.found[kind][layer] += 1

    def profile(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            self._count("Python calls", frame)
        elif event == "c_call":
            self._count("C calls", frame)

    def trace(self, frame: FrameType, event: str, _: object) -> Any:
        frame.f_trace_opcodes = event != "call"  # CPython 3.13 forgets it if it is set at the call
        if event == "opcode":
            self._count("bytecodes", frame)
        return self.trace


async def counted(awaitable: Awaitable[object], *, bytecode: bool) -> dict[str, Counter[str]]:
    """What is done while something is awaited: its calls, or its bytecode. To count one disturbs the other."""
    counter = CallCounter()
    switch, count = (sys.settrace, counter.trace) if bytecode else (sys.setprofile, counter.profile)
    # Before `settrace`, or CPython 3.12 sends no event for an opcode.
    sys._getframe().f_trace_opcodes = bytecode  # noqa: SLF001 - there is no public name
    before = sys.gettrace() if bytecode else sys.getprofile()
    switch(count)
    try:
        await awaitable
    finally:
        switch(before)
    return {kind: layers for kind, layers in counter.found.items() if layers}


async def of_a_list(lister: Lister, pages: int, serial: Iterator[int]) -> dict[str, Counter[str]]:
    """The counts of the list that took the fewest, of `LISTS`."""
    found = dict[str, Counter[str]]()
    for bytecode in (False, True):
        each = [await counted(lister(canned.waba_ids(1, pages, serial)), bytecode=bytecode) for _ in range(LISTS)]
        found |= min(each, key=lambda counts: sum(counts["bytecodes" if bytecode else "Python calls"].values()))
    return found


async def of_a_page(subject: str, url: str, arguments: list[str]) -> dict[str, dict[str, float]]:
    """The counts of a page, once all is warm."""
    module, _, name = subject.partition(".")
    serial = itertools.count()
    async with getattr(importlib.import_module(module), name)(url, *arguments) as lister:
        await lister(canned.waba_ids(1, LONG, serial))
        short, long = [await of_a_list(lister, pages, serial) for pages in (SHORT, LONG)]
    return {
        kind: {layer: (long[kind][layer] - short[kind][layer]) / (LONG - SHORT) for layer in long[kind]}
        for kind in KINDS
    }


# --- instructions of the processor, by library


async def list_once(subject: str, url: str, arguments: list[str], pages: int) -> None:
    """The work that valgrind watches: four lists."""
    module, _, name = subject.partition(".")
    serial = itertools.count()
    async with getattr(importlib.import_module(module), name)(url, *arguments) as lister:
        for _ in range(4):
            await lister(canned.waba_ids(1, pages, serial))


def instructions(subject: tuple[str, ...], environment: Mapping[str, str]) -> dict[str, float]:
    """The instructions of a page, by library."""
    few, many = (by_library(under_valgrind(subject, pages, environment)) for pages in (SHORT, LONG))
    return {library: (many[library] - few[library]) / (4 * (LONG - SHORT)) for library in many}


def under_valgrind(subject: tuple[str, ...], pages: int, environment: Mapping[str, str]) -> str:
    """What callgrind writes of a process that lists."""
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory, "callgrind.out")
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", sys.executable, __file__]
        subprocess.run(
            [*command, "--list", str(pages), "--subject", *subject],
            check=True,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **paired.NO_PROXY, "PYTHONHASHSEED": "0", **environment},
        )
        return out.read_text(encoding="utf-8")


def by_library(profile: str) -> Counter[str]:
    """The instructions of each library in callgrind's profile, without those of the functions that it calls."""
    found, names, library, is_inclusive = Counter[str](), dict[str, str](), "", False
    for line in profile.splitlines():
        if named := re.fullmatch(r"ob=(\(\d+\))(?: (.*))?", line):
            number, path = named.groups()
            library = names.setdefault(number, library_of(path or ""))
        elif named := re.fullmatch(r"cob=(\(\d+\)) (.*)", line):
            names.setdefault(named[1], library_of(named[2]))
        elif line.startswith("calls="):
            is_inclusive = True  # the next line has what the called function took
        elif line[:1] in set("0123456789+-*"):
            if not is_inclusive:
                found[library] += int(line.split()[-1])
            is_inclusive = False
    return found


def library_of(path: str) -> str:
    """The name of a library, without its version and platform."""
    name = Path(path).name.partition(".")[0]
    return "Python" if re.fullmatch(r"(lib)?python[\d.]*", name) else name or "unknown"


# --- the table


def measured(*, with_instructions: bool) -> Mapping[str, Counts]:
    """The counts of each subject that there is."""
    found = dict[str, dict[str, dict[str, float]]]()
    with canned.serving(LONG) as server:
        for name, (subject, arguments) in SUBJECTS.items():
            command, environment = (subject, server.url, *arguments), CORE.get(name, {})
            found[name] = paired.run_fresh("layers.py", "--subject", *command, environment=environment)
            if with_instructions:
                found[name]["instructions"] = instructions(command, environment)
    return found


def details(found: Mapping[str, Counts]) -> Iterator[str]:
    for name, counts in found.items():
        yield f"| a page, {name} | {' | '.join(KINDS)} |"
        yield f"|---|{'---|' * len(KINDS)}"
        layers = sorted({layer for kind in KINDS for layer in counts[kind]}, key=by_place)
        for layer in layers:
            if any(round(counts[kind].get(layer, 0)) for kind in KINDS):
                yield f"| {layer} | {' | '.join(f'{counts[kind].get(layer, 0):,.0f}' for kind in KINDS)} |"
        yield f"| all | {' | '.join(f'{sum(counts[kind].values()):,.0f}' for kind in KINDS)} |"
        yield ""
        if "instructions" in counts:
            yield from details_of_libraries(name, counts["instructions"])


def by_place(layer: str) -> tuple[bool, str]:
    """Sorts the layers of this package first."""
    return not layer.startswith(OWN), layer


def details_of_libraries(name: str, libraries: Mapping[str, float]) -> Iterator[str]:
    yield f"| a page, {name} | thousand instructions |"
    yield "|---|---|"
    for library, count in sorted(libraries.items(), key=lambda each: -each[1]):
        if count >= 500:
            yield f"| {library} | {count / 1e3:,.0f} |"
    yield f"| all | {sum(libraries.values()) / 1e3:,.0f} |"
    yield ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instructions", action="store_true", help="by valgrind, which has to be installed")
    parser.add_argument("--subject", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--list", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.instructions and not shutil.which("valgrind"):
        parser.error("--instructions needs valgrind; install it, or leave the option out")
    if options.subject:
        subject, url, *arguments = options.subject
        if options.list:
            asyncio.run(list_once(subject, url, arguments, options.list))
        else:
            print(json.dumps(asyncio.run(of_a_page(subject, url, arguments))))
    else:
        print(paired.conditions(1), end="\n\n", flush=True)
        print("\n".join(details(measured(with_instructions=options.instructions))))


if __name__ == "__main__":
    main()
