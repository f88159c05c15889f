"""Rounds in which subjects run side by side, each in a fresh process of its own, and work in short turns.

Only one works at a time; the others wait, with their connections open. A slow phase of the machine, which lasts for
seconds, falls on all of them like this.
"""

import contextlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import attrs
import canned
import paired


@attrs.frozen
class Entry:
    """A subject, and how much it does in a turn."""

    subject: str
    """A function of `ours`, `by_hand` or `peers`."""
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = attrs.field(factory=dict)
    lists: int = 1
    """Accounts at once."""
    pages: int = 20
    """Of each account."""
    times: int = 1
    warm: int = 64
    """Accounts at once in the warm-up; no more than `lists`."""
    turns: int = 1
    loop: str = ""
    """The package of the event loop; empty: that of asyncio."""
    python: str = sys.executable
    url: str = ""
    """Of the subject's own server; empty: that of all."""


@attrs.frozen
class Sample:
    """What a page took in one round, in seconds."""

    cpu: float
    """Of the subject's processor."""
    server_cpu: float
    """Of the server's processor."""
    seconds: float
    """Of time."""


class Running:
    """A subject that waits for its turns.

    Args:
        process: Its process, whose input and output are pipes.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._input, self._output = process.stdin, process.stdout

    def said(self) -> Any:
        """What it prints next."""
        line = self._output.readline()
        if not line:
            raise RuntimeError("a subject ended before its turn; its error is above")
        return json.loads(line)

    def turn(self, server: canned.Server) -> Sample:
        """Let it work once."""
        server.took()
        print(file=self._input, flush=True)
        took = self.said()
        return Sample(took["cpu"], server.took().cpu_a_page, took["seconds"])


@contextlib.contextmanager
def started(entry: Entry, url: str) -> Generator[Running]:
    """A subject that warms up by now."""
    amount = ("--lists", entry.lists, "--pages", entry.pages, "--times", entry.times, "--warm", entry.warm)
    options = ("--loop", entry.loop, *amount)
    command = [entry.python, str(paired.HERE / "subject.py"), entry.subject, entry.url or url, *entry.arguments]
    settings = {**os.environ, **paired.NO_PROXY, **entry.environment}
    with subprocess.Popen(
        [*command, *map(str, options)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=settings
    ) as process:
        assert process.stdin is not None
        try:
            yield Running(process)
        finally:
            process.stdin.close()


def play(server: canned.Server, entries: Mapping[str, Entry], rounds: int) -> dict[str, list[Sample]]:
    """What a page took each subject in each round."""
    found, chance = {name: list[Sample]() for name in entries}, random.Random(rounds)
    for _ in range(rounds):
        for name, samples in play_round(server, entries, chance).items():
            found[name].append(mean(samples))
    return found


def play_round(server: canned.Server, entries: Mapping[str, Entry], chance: random.Random) -> dict[str, list[Sample]]:
    """What a page took each subject in each of its turns; those with few, which are the slow, have theirs first."""
    found = {name: list[Sample]() for name in entries}
    with contextlib.ExitStack() as stack:
        running = {name: stack.enter_context(started(entry, server.url)) for name, entry in entries.items()}
        for one in running.values():
            assert one.said() == "ready"
        for turn in range(max(entry.turns for entry in entries.values())):
            order = [name for name, entry in entries.items() if turn < entry.turns]
            chance.shuffle(order)
            for name in sorted(order, key=lambda name: entries[name].turns):
                found[name].append(running[name].turn(server))
    return found


def mean(samples: Sequence[Sample]) -> Sample:
    """One sample of some that are of as much work each."""
    columns = zip(*(attrs.astuple(sample) for sample in samples), strict=True)
    return Sample(*(sum(column) / len(samples) for column in columns))
