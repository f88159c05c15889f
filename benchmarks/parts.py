"""What `bulk.py` and `fleet.py` share: a script of several parts, whose server and subjects have their own processes.

A subject takes the server's address and more words of its command, and gives the numbers that it has seen.
"""

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping
from typing import Any

import paired

from wa_phone_async.sandbox import Sandbox

Subject = Callable[..., Coroutine[Any, Any, int]]
Part = Callable[[int], Iterator[str]]
"""Takes the rounds, and yields the lines of its result."""


def main(parts: Mapping[str, Part], subjects: Mapping[str, Subject], concurrency: int, description: str) -> None:
    """The command line: the parts, or one subject, or the server."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*parts, []], metavar="part")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--subject", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(json.loads(options.serve))
    elif options.subject:
        name, *arguments = options.subject
        run_subject(subjects[name], *arguments)
    else:
        print(f"{paired.conditions(options.rounds)}; {concurrency} requests at a time")
        for part in options.parts or parts:
            print(f"\n{part}: {parts[part].__doc__}\n")
            for line in parts[part](options.rounds):
                print(line, flush=True)


def run_subject(subject: Subject, *arguments: str) -> None:
    """Print as JSON what a subject saw, and the time that it took."""
    before, began = time.process_time(), time.perf_counter()
    numbers = asyncio.run(subject(*arguments))
    took = {"cpu": time.process_time() - before, "seconds": time.perf_counter() - began, "numbers": numbers}
    print(json.dumps(took))


def measure(script: str, name: str, *arguments: object) -> dict[str, float]:
    """What `run_subject` printed in a fresh process of a script."""
    command = [sys.executable, script, "--subject", name, *map(str, arguments)]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def serve(settings: dict[str, Any]) -> None:
    """Serve a sandbox until the parent closes the pipe."""
    with Sandbox(quota=None, **settings) as sandbox:
        print(sandbox.url, sandbox.business_id, sandbox.waba_ids[0], flush=True)
        for _ in iter(sys.stdin.readline, ""):
            sandbox.requests.clear()  # a line comes between two subjects


@contextlib.contextmanager
def serving(script: str, **settings: Any) -> Generator[tuple[str, str, int]]:
    """A sandbox in a process of its own. Yield its address, its business, and the first of its accounts."""
    command = [sys.executable, script, "--serve", json.dumps(settings)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        url, business_id, first = process.stdout.readline().split()
        try:
            yield url, business_id, int(first)
        finally:
            process.stdin.close()
