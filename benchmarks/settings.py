"""The same lists in other settings: another event loop, other versions of Python, and TLS with gzip.

    python benchmarks/settings.py --rounds 11
    python benchmarks/settings.py --rounds 11 loops       some of them: loops, interpreters, transport

Each table has the processor time of a page, with the extra `speed`, of one list of 20 pages and of 64 at once; and that
of the loop by hand with orjson. uvloop is measured where it is installed. Each other Python from 3.11 on that is found
gets the same packages in a directory of its own, by `uv` or pip. TLS and gzip are what the real service uses.
"""

import argparse
import contextlib
import glob
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import attrs
import canned
import interleaved
import paired
from interleaved import Entry, Sample
from paired import Findings, Spread, ratio

ONE, MANY = "one list", "64 at once"
SIZES = {ONE: {"times": 3, "turns": 3}, MANY: {"lists": 64, "turns": 1}}
SUBJECTS = {"speed": Entry("ours.by_row"), "by hand": Entry("by_hand.by_row", ("orjson",))}
PACKAGES = ("aiohttp", "attrs", "backoff", "cattrs", "msgspec", "orjson")
"""What a subject needs; their own dependencies come with them."""
VERSIONS = ("3.11", "3.13")

Samples = Mapping[str, Mapping[str, Sequence[Sample]]]
"""By the size of the work, and by the subject with its setting."""


def play(server: canned.Server, settings: Mapping[str, Mapping[str, object]], rounds: int) -> Samples:
    """Let both subjects work in each setting, all in turn."""
    return {
        size: interleaved.play(
            server,
            {
                f"{name}, {setting}": attrs.evolve(entry, **of_each, **changes)
                for setting, changes in settings.items()
                for name, entry in SUBJECTS.items()
            },
            rounds,
        )
        for size, of_each in SIZES.items()
    }


def details(title: str, samples: Samples) -> Iterator[str]:
    """A table. The first setting is the one that the others are compared with."""
    yield f"| {title} | speed, µs a page | by hand, µs a page | speed / by hand | speed / the first |"
    yield "|---|---|---|---|---|"
    for size, found in samples.items():
        times = {name: [sample.cpu * 1e6 for sample in taken] for name, taken in found.items()}
        settings = [name.removeprefix("speed, ") for name in times if name.startswith("speed, ")]
        for setting in settings:
            mine, by_hand = times[f"speed, {setting}"], times[f"by hand, {setting}"]
            beside = "" if setting == settings[0] else ratio(mine, times[f"speed, {settings[0]}"])
            middles = " | ".join(f"{Spread.of(taken).middle:,.0f}" for taken in (mine, by_hand))
            yield f"| {size}, {setting} | {middles} | {ratio(mine, by_hand)} | {beside} |"


# --- the tables


def loops(rounds: int) -> Iterator[str]:
    """The event loop of uvloop, beside that of asyncio."""
    if not importlib.util.find_spec("uvloop"):
        yield "uvloop is not installed."
        return
    with canned.serving(20) as server:
        yield from details("event loop", play(server, {"asyncio": {}, "uvloop": {"loop": "uvloop"}}, rounds))


def interpreters(rounds: int) -> Iterator[str]:
    """The versions of Python that are found."""
    with tempfile.TemporaryDirectory() as directory, canned.serving(20) as server:
        settings = {
            f"Python {version}": {"python": python, "environment": {"PYTHONPATH": packages(python, directory)}}
            for version, python in found_interpreters().items()
        }
        yield from details("interpreter", play(server, settings, rounds))


def found_interpreters() -> dict[str, str]:
    """Each of `VERSIONS` that this machine has, on the path or in pyenv, and where it is."""
    root = os.environ.get("PYENV_ROOT") or str(Path.home() / ".pyenv")
    found = dict[str, str]()
    for version in VERSIONS:
        in_pyenv = sorted(glob.glob(f"{root}/versions/{version}.*/bin/python"), key=numbers)  # noqa: PTH207 - a text
        python = in_pyenv[-1] if in_pyenv else shutil.which(f"python{version}")
        if python:
            found[version] = python
    return found


def numbers(text: str) -> list[int]:
    """Sorts 3.11.10 behind 3.11.9."""
    return [int(digits) for digits in re.findall(r"\d+", text)]


def packages(python: str, directory: str) -> str:
    """A path with this checkout, and with the packages of this Python, in the versions that this process has."""
    target = Path(directory, *Path(python).parts[-3:-2])
    wanted = [f"{name}=={importlib.metadata.version(name)}" for name in PACKAGES]
    install = (
        ["uv", "pip", "install", "--quiet", "--python", python]
        if shutil.which("uv")
        else [python, "-m", "pip", "install", "--quiet"]
    )
    subprocess.run([*install, "--target", str(target), *wanted], check=True, stdout=sys.stderr)
    return f"{paired.HERE.parent}{os.pathsep}{target}"


def transport(rounds: int) -> Iterator[str]:
    """TLS and gzip, beside plain HTTP. One subject of each setting works with its own server."""
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        certificate = self_signed(Path(directory))
        trusted = {"SSL_CERT_FILE": str(certificate)}
        plain = stack.enter_context(canned.serving(20))
        settings: dict[str, dict[str, object]] = {"plain": {}}
        for name, options in {
            "gzip": ("--gzip",),
            "TLS": ("--certificate", str(certificate)),
            "TLS and gzip": ("--gzip", "--certificate", str(certificate)),
        }.items():
            server = stack.enter_context(canned.serving(20, *options))
            settings[name] = {"url": server.url, "environment": trusted}
        yield from details("transport", play(plain, settings, rounds))


def self_signed(directory: Path) -> Path:
    """A new certificate of 127.0.0.1 with its key, by the program `openssl`."""
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    names = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    subprocess.run(
        ["openssl", "req", "-x509", *curve, *names, "-keyout", str(key), "-out", str(certificate)],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    certificate.write_text(certificate.read_text(encoding="utf-8") + key.read_text(encoding="utf-8"), encoding="utf-8")
    return certificate


TABLES: Mapping[str, Callable[[int], Iterator[str]]] = {
    "loops": loops,
    "interpreters": interpreters,
    "transport": transport,
}


def measure(rounds: int) -> Findings:
    """All tables. None of them has a goal."""
    return Findings((), "\n\n".join("\n".join(table(rounds)) for table in TABLES.values()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", choices=[*TABLES, []], metavar="table")
    parser.add_argument("--rounds", type=int, default=11, help="in which all subjects take turns; 11 for a result")
    options = parser.parse_args()
    print(paired.conditions(options.rounds))
    for name in options.tables or TABLES:
        print(f"\n{TABLES[name].__doc__}\n", *TABLES[name](options.rounds), sep="\n", flush=True)


if __name__ == "__main__":
    main()
