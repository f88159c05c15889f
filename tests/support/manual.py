"""The code of the README and the manual, block by block, and the commands that their sentences name."""

import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

README = Path(__file__).parents[2] / "README.md"
TEXT = README.read_text(encoding="utf-8")
DOCS = README.parent / "docs"
PAGES = {page.stem: page.read_text(encoding="utf-8") for page in (README, *sorted(DOCS.glob("*.md")))}
"""The text of the README and of each page, by the name of the file. The manual generates the rest of its pages."""
DIRECTIVE = re.compile(r"^```\{.*?^```$", re.MULTILINE | re.DOTALL)
"""What is for Sphinx, such as a table of contents."""
FENCE = re.compile(r"^```(\w+)(?: (\S[^\n]*))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\w+\.py)\n")


class Block(NamedTuple):
    page: str
    language: str
    where: str
    """What its fence says of where it runs; empty where it runs as all do."""
    section: str
    line: int
    code: str

    @property
    def place(self) -> str:
        """The page and the section, whose blocks run together."""
        return f"{self.page}: {self.section}"

    @property
    def file(self) -> str | None:
        """The name of the file that it shows, if it begins with one."""
        name = FILE.match(self.code)
        return name[1] if name else None


def _blocks_of(page: str, text: str) -> Iterator[Block]:
    for fence in FENCE.finditer(text):
        before = text[: fence.start(3)]
        headings = re.findall(r"^##+ (.+)$", FENCE.sub("", before), re.MULTILINE)
        section = headings[-1] if headings else "Start"
        yield Block(page, fence[1], fence[2] or "", section, before.count("\n"), fence[3])


BLOCKS = [block for page, text in PAGES.items() for block in _blocks_of(page, text)]


def spans(texts: Iterable[str]) -> list[str]:
    """Return what the sentences show as code."""
    return [span for text in texts for span in re.findall(r"`([^`]+)`", _prose(text).replace("\n", " "))]


def words(page: str) -> int:
    """Count the words of a page, code and all."""
    return len(DIRECTIVE.sub("", PAGES[page]).split())


def _prose(text: str) -> str:
    return FENCE.sub("", DIRECTIVE.sub("", text))


def places(language: str) -> list[str]:
    """Return the pages and sections with such blocks that run as all do."""
    return list(dict.fromkeys(block.place for block in BLOCKS if block.language == language and not block.where))


def blocks(language: str, place: str) -> list[Block]:
    """Return the blocks of a section that run as all do."""
    return [block for block in BLOCKS if (block.language, block.place, block.where) == (language, place, "")]


def block_that_runs(where: str) -> Block:
    """Return the one block whose fence says that it runs there."""
    [block] = [block for block in BLOCKS if where in block.where]
    return block


def read_console(code: str) -> list[tuple[str, str]]:
    """The commands of a ```console block, and what is shown below each."""
    entries = re.split(r"^\$ ", code, flags=re.MULTILINE)[1:]
    return [(command, shown) for command, _, shown in (entry.partition("\n") for entry in entries)]


def as_shown(shown: str) -> str:
    """The pattern of what a block shows: `...` stands for anything."""
    return re.escape(shown.strip()).replace(r"\.\.\.", ".*")


def run(command: str) -> subprocess.CompletedProcess[str]:
    """Run it as a shell would, since pipes are part of what is shown, with both its outputs in one."""
    return subprocess.run(
        command,
        check=False,
        shell=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
