"""The README's code, block by block, and the commands that its sentences name."""

import re
from pathlib import Path
from typing import NamedTuple

README = Path(__file__).parents[2] / "README.md"
TEXT = README.read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w+)(?: (\S[^\n]*))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    language: str
    where: str
    """What its fence says of where it runs; empty where it runs as all do."""
    section: str
    line: int
    code: str


def _read_block(fence: re.Match[str]) -> Block:
    before = TEXT[: fence.start(3)]
    headings = re.findall(r"^##+ (.+)$", before, re.MULTILINE)
    return Block(fence[1], fence[2] or "", headings[-1] if headings else "Start", before.count("\n"), fence[3])


BLOCKS = [_read_block(fence) for fence in FENCE.finditer(TEXT)]
SPANS = re.findall(r"`([^`]+)`", FENCE.sub("", TEXT).replace("\n", " "))
"""What its sentences show as code."""


def sections(language: str) -> list[str]:
    return list(dict.fromkeys(block.section for block in BLOCKS if block.language == language and not block.where))


def blocks(language: str, section: str) -> list[Block]:
    return [block for block in BLOCKS if (block.language, block.section, block.where) == (language, section, "")]


def block_that_runs(where: str) -> Block:
    """The one block whose fence says that it runs there."""
    [block] = [block for block in BLOCKS if where in block.where]
    return block


def read_console(code: str) -> list[tuple[str, str]]:
    """The commands of a ```console block, and what is shown below each."""
    entries = re.split(r"^\$ ", code, flags=re.MULTILINE)[1:]
    return [(command, shown) for command, _, shown in (entry.partition("\n") for entry in entries)]


def as_shown(shown: str) -> str:
    """The pattern of what a block shows: `...` stands for anything."""
    return re.escape(shown.strip()).replace(r"\.\.\.", ".*")
