"""The README's code runs, as a reader would run it: section by section, each with a sandbox of its own.

A section is what stands under one heading, of whatever level.

- ```python: `await` works at the top, and the blocks of a section share their names; there from the start are
  `PhoneNumberClient`, `client`, made from the environment, and `waba_id`. A block that begins with a file's name
  (`# test_mine.py`) is saved as that file; pytest then runs the section's tests. A section that reads `REDIS_URL` gets
  the address of a Redis of its own; where there is no redis-server, or the extra is not installed, it is skipped. So is
  one that imports a package of the reader's (`READERS_OWN`) that is not installed.
- ```console: what follows `$ ` runs. What is shown below it is what it prints, `...` standing for anything.
- ```bash: the two set-up commands. `.ci/run` reads them here and runs them.
- ```text and ```toml: no code.

A block that cannot run here says so and why on its fence: ```console not run: it serves until Ctrl-C
"""

import ast
import asyncio
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from redis_server import COMMAND, RedisServer

from wa_phone_async import PhoneNumberClient
from wa_phone_async.sandbox import LARGE_WABA, Sandbox

README = Path(__file__).parent.parent / "README.md"
TEXT = README.read_text(encoding="utf-8")
READERS_OWN = re.compile(r"^from (tqdm) ", re.MULTILINE)
FENCE = re.compile(r"^```(\w+)( not run: \S[^\n]*)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    language: str
    section: str
    line: int
    code: str


def read_block(fence: re.Match[str]) -> Block:
    before = TEXT[: fence.start(3)]
    headings = re.findall(r"^##+ (.+)$", before, re.MULTILINE)
    return Block(fence[1], headings[-1] if headings else "Start", before.count("\n"), fence[3])


BLOCKS = [read_block(fence) for fence in FENCE.finditer(TEXT) if not fence[2]]


def sections(language: str) -> list[str]:
    return list(dict.fromkeys(block.section for block in BLOCKS if block.language == language))


def blocks(language: str, section: str) -> list[Block]:
    return [block for block in BLOCKS if (block.language, block.section) == (language, section)]


@pytest.fixture(autouse=True)
def reader(graph_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A shell in an empty directory, with this environment's commands and the sandbox's address."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    monkeypatch.setenv("WA_ACCESS_TOKEN", "any-token")
    monkeypatch.setenv("WA_BASE_URL", graph_sandbox.url)
    monkeypatch.setenv("COLUMNS", "100")


def test_no_code_is_left_out() -> None:
    assert len(re.findall("^```", TEXT, re.MULTILINE)) == 2 * len(FENCE.findall(TEXT)), "a fence cannot be read"
    assert {block.language for block in BLOCKS} <= {"python", "console", "bash", "text", "toml"}


def test_set_up_takes_two_commands() -> None:
    commands = [line for block in BLOCKS if block.language == "bash" for line in block.code.splitlines()]
    assert [command.split("install")[0] for command in commands] == ["python -m pip "] * 2


@pytest.fixture
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pytest.importorskip("redis", reason="the extra `redis` is not installed")
    if COMMAND is None:
        pytest.skip("there is no redis-server")
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server.url
    server.kill()


@pytest.mark.parametrize("section", sections("python"))
def test_python(section: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if any('environ["REDIS_URL"]' in block.code for block in blocks("python", section)):
        monkeypatch.setenv("REDIS_URL", request.getfixturevalue("redis_url"))
    for block in blocks("python", section):
        for package in READERS_OWN.findall(block.code):
            pytest.importorskip(package)
    with asyncio.Runner() as runner:
        names: dict[str, Any] = {
            "PhoneNumberClient": PhoneNumberClient,
            "client": PhoneNumberClient.from_env(),
            "waba_id": LARGE_WABA,
        }
        try:
            for block in blocks("python", section):
                if file := re.match(r"# (\w+\.py)\n", block.code):
                    Path(file[1]).write_text(block.code, encoding="utf-8")
                elif inspect.iscoroutine(result := evaluate(block, names)):
                    runner.run(result)
        finally:
            runner.run(names["client"].aclose())
    if list(Path().glob("test_*.py")):
        subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider"], check=True)


def evaluate(block: Block, names: dict[str, Any]) -> object:
    """What the block gives: a coroutine still to be awaited where it has an `await` at the top."""
    source = "\n" * block.line + block.code  # so that a traceback names the README's own line
    return eval(compile(source, README, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)


@pytest.mark.parametrize("section", sections("console"))
def test_console(section: str) -> None:
    pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")
    for block in blocks("console", section):
        for entry in re.split(r"^\$ ", block.code, flags=re.MULTILINE)[1:]:
            command, _, shown = entry.partition("\n")
            assert command.startswith("wa-phone "), f"nothing here runs `{command}`"
            done = run(command)
            expected = re.escape(shown.strip()).replace(r"\.\.\.", ".*")
            as_shown = re.fullmatch(expected, done.stdout.strip(), re.DOTALL) if shown else done.returncode == 0
            if not as_shown:
                pytest.fail(f"`{command}` printed:\n{done.stdout}", pytrace=False)


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
