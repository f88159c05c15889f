"""Kill exports with `kill -9` at random moments, and resume them: is every number there once?

    python benchmarks/killed.py               50 kills; a minute or two
    python benchmarks/killed.py --kills 500   more of them
    python benchmarks/killed.py --seed 7      at other moments

Each run is a process of `wa-phone export` against the sandbox. Its parts have a few accounts only, so kills meet every
stage. Checked is: the file has each number of the sandbox once; the failed accounts are those that do not exist; and by
the sandbox's record, no complete account was listed again.
"""

import argparse
import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import attrs

from wa_phone_async.sandbox import Sandbox

COMMANDS = """
import functools, json, os, sys
from wa_phone_async.cli import app
from wa_phone_async.cli.commands import export
export.Job = functools.partial(export.Job, part_accounts=7)
for line in sys.stdin:  # each in a process of its own, which does not have to import everything again
    process = os.fork()
    if not process:
        os._exit(app.run(json.loads(line)))
    print(process, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
"""
ACCOUNTS = 120
MISSING = ("5551", "5552", "5553")  # accounts that do not exist
LONGEST_RUN = 60.0  # seconds


class BrokenPromiseError(Exception):
    """A number is missing or there twice, or a complete account was listed again."""


@attrs.frozen
class Kill:
    """What was on the disk when the process was dead."""

    stage: str
    complete: int
    """Accounts in the journal."""
    was_cut: bool
    """Whether the last line of the journal was cut."""


class Commands:
    """Runs `wa-phone`, each command in a process that can be killed."""

    def __init__(self, sandbox: Sandbox) -> None:
        environment = {**os.environ, "WA_BASE_URL": sandbox.url, "WA_ACCESS_TOKEN": "any-token"}
        self._runner = subprocess.Popen(
            [sys.executable, "-c", COMMANDS],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )

    def run(self, arguments: list[str], moment: Callable[[], bool], delay: float) -> int:
        """Run a command until it ends, or kill it `delay` seconds after a moment. Return its exit status."""
        assert self._runner.stdin
        assert self._runner.stdout
        self._runner.stdin.write(f"{json.dumps(arguments)}\n".encode())
        process = int(self._runner.stdout.readline())
        until = time.monotonic() + LONGEST_RUN
        while not select.select([self._runner.stdout], [], [], 0.0005)[0]:
            if time.monotonic() > until:
                os.kill(process, signal.SIGKILL)
                raise BrokenPromiseError("it does not end")
            if moment():
                time.sleep(delay)
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
                break
        return int(self._runner.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._runner:
            pass  # leaving closes its input, which ends it


class Export:
    """One export in an empty directory. You may kill it any number of times."""

    def __init__(self, directory: Path, sandbox: Sandbox, suffix: str, *, some_fail: bool) -> None:
        self.sandbox = sandbox
        self.out = directory / f"numbers{suffix}"
        self.parts = directory / f"numbers{suffix}.parts"
        self.errors = directory / "failed.jsonl"
        self.missing = MISSING if some_fail else ()
        self.complete = set[str]()
        wabas = directory / "wabas.txt"
        ids = [*sandbox.waba_ids, *self.missing, *sandbox.waba_ids[:20]]  # some of them twice
        wabas.write_text("".join(f"{waba_id}\n" for waba_id in ids))
        options = ("--wabas", wabas, "--out", self.out, "--errors", self.errors, "--limit", "2", "--concurrency", "4")
        self._arguments = ["export", *map(str, options), "--resume"]

    def run(self, commands: Commands, moment: Callable[["Export"], bool], delay: float) -> Kill | int:
        """Run it or resume it, until it ends or a moment has come. Return its exit status, or what the kill left."""
        before = len(self.sandbox.requests)
        status = commands.run(self._arguments, lambda: moment(self), delay)
        listed = {request.node for request in self.sandbox.requests[before:]}
        if again := listed & self.complete:
            raise BrokenPromiseError(f"{len(again)} complete accounts were listed again")
        return status if status >= 0 else self._inspect()

    def _inspect(self) -> Kill:
        journal = self.parts / "journal.jsonl"
        text = journal.read_bytes() if journal.exists() else b""
        lines = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith(b"\n")]
        accounts = [waba_id for line in lines for waba_id in line.get("accounts", ())]
        if len(set(accounts)) != len(accounts):
            raise BrokenPromiseError("an account is complete twice")
        if self.complete - set(accounts) and self.parts.exists():
            raise BrokenPromiseError("a complete account is not complete any more")
        self.complete = set(accounts)
        return Kill(self._stage(lines), len(accounts), bool(text) and not text.endswith(b"\n"))

    def _stage(self, lines: list[Any]) -> str:
        beside = [name for name in names_in(self.out.parent) if ".partial-" in name]
        within = names_in(self.parts)
        known = {line.get("part") for line in lines}
        if any(name.startswith(f".{self.parts.name}") for name in beside):
            return "removing the directory"
        if any(name.startswith(f".{self.out.name}") for name in beside):
            return "merging" if self.parts.exists() else "beginning"
        if self.out.exists():
            return "after merging" if self.parts.exists() else "after the end"
        if any(".partial-" in name for name in within):
            return "writing a part"
        if any(name[0].isdigit() and name not in known for name in within):
            return "between part and journal"
        return "listing" if lines else "beginning"

    def rows(self) -> Iterator[tuple[str, str]]:
        """The account and the id of each number in the file."""
        if self.out.suffix == ".parquet":
            from arro3.io import read_parquet  # noqa: PLC0415 - an optional package

            table = read_parquet(self.out).read_all()
            columns = [[value.as_py() for value in table.column(name)] for name in ("waba_id", "id")]
            yield from zip(*columns, strict=True)
        else:
            for line in self.out.read_text().splitlines():
                row = json.loads(line)
                yield row["waba_id"], row["id"]

    def check(self, status: int) -> None:
        """Check that the result is exact."""
        if status != (3 if self.missing else 0):
            raise BrokenPromiseError(f"it ended with {status}")
        expected = [(waba_id, row["id"]) for waba_id in self.sandbox.waba_ids for row in self.sandbox.numbers(waba_id)]
        if sorted(self.rows()) != sorted(expected):
            raise BrokenPromiseError("the file does not have every number once")
        failed = [json.loads(line)["waba_id"] for line in self.errors.read_text().splitlines()]
        if sorted(failed) != sorted(self.missing):
            raise BrokenPromiseError("the file of errors does not have every failed account once")
        if not self.missing and set(names_in(self.out.parent)) != {self.out.name, "failed.jsonl", "wabas.txt"}:
            raise BrokenPromiseError("something was left beside the file")


def names_in(directory: Path) -> list[str]:
    """The names in a directory. A directory that does not exist has none."""
    try:
        return [file.name for file in directory.iterdir()]
    except FileNotFoundError:
        return []


def moments(export: Export, draw: random.Random) -> tuple[Callable[[Export], bool], float]:
    """The moment of the next kill, and the delay after it. A moment comes with requests, with files or with time."""
    kind = draw.choice(["calls", "calls", "calls", "part", "part", "time", "merge", "removal"])
    calls = len(export.sandbox.requests) + draw.randint(1, 80)
    parts = len(names_in(export.parts)) + draw.randint(1, 3)
    until = time.monotonic() + draw.uniform(0.0, 0.3)

    def has_come(export: Export) -> bool:
        if kind == "calls":
            return len(export.sandbox.requests) >= calls
        if kind == "part":
            return len(names_in(export.parts)) >= parts
        if kind == "time":
            return time.monotonic() > until
        names = names_in(export.out.parent)
        if kind == "merge":
            return export.parts.name in names and any(name.startswith(f".{export.out.name}.partial-") for name in names)
        return export.out.name in names or any(name.startswith(f".{export.parts.name}") for name in names)

    return has_come, draw.choice([0.0, draw.uniform(0.0, 0.003), draw.uniform(0.0, 0.05)])


def run(kills: int, seed: int, directory: Path, suffixes: tuple[str, ...]) -> list[Kill]:
    """Kill exports until there were so many kills. Check each export when it has ended."""
    draw, done = random.Random(seed), list[Kill]()
    with Sandbox(accounts=ACCOUNTS, numbers_per_account=3, latency=0.002) as sandbox, Commands(sandbox) as commands:
        while len(done) < kills:
            where = directory / f"{len(done)}"
            where.mkdir()
            export = Export(where, sandbox, draw.choice(suffixes), some_fail=draw.random() < 0.3)
            ended, more = None, draw.randint(4, 8)
            while not isinstance(ended, int):
                is_killed = more and len(done) < kills
                ended = export.run(commands, *(moments(export, draw) if is_killed else (lambda _: False, 0.0)))
                more -= bool(more)
                if isinstance(ended, Kill):
                    done.append(ended)
                    if ended.stage == "after the end":
                        ended = 0
            export.check(ended)
            shutil.rmtree(where)
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    arguments = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        try:
            done = run(arguments.kills, arguments.seed, Path(directory), (".jsonl", ".parquet"))
        except BrokenPromiseError as error:
            sys.exit(f"With seed {arguments.seed}: {error}.")
    print(
        f"{len(done)} kills with seed {arguments.seed} in {time.monotonic() - began:.0f} s: every export was exact.\n"
    )
    print("| killed while | times |\n|---|---:|")
    for stage, count in Counter(kill.stage for kill in done).most_common():
        print(f"| {stage} | {count} |")


if __name__ == "__main__":
    main()
