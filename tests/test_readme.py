"""The README's code runs, as a reader would run it: section by section, each with a sandbox of its own.

A section is what stands under one heading, of whatever level.

- ```python: `await` works at the top, and the blocks of a section share their names; there from the start are
  `PhoneNumberClient`, `client`, made from the environment, and `waba_id`. A block that begins with a file's name
  (`# test_mine.py`) is saved as that file; pytest then runs the section's tests. A section that reads `REDIS_URL` gets
  the address of a Redis of its own; where there is no redis-server, or the extra is not installed, it is skipped. So is
  one that imports a package of the reader's (`READERS_OWN`) that is not installed.
- ```console: what follows `$ ` runs. What is shown below it is what it prints, `...` standing for anything.
- ```bash: the two set-up commands. `.ci/run` reads them here and runs them.
- ```text: no code.

A block that cannot run like this says why on its fence. `ELSEWHERE` has what they may say, and each has a test: here at
a terminal and in an empty home, in test_notebook.py in a kernel. And the commands that its sentences name are run as
`NAMED` says.
"""

import ast
import asyncio
import inspect
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from manual import BLOCKS, README, SPANS, TEXT, Block, as_shown, block_that_runs, blocks, read_console, sections
from redis_server import COMMAND, RedisServer

from wa_phone_async import PhoneNumberClient
from wa_phone_async.sandbox import LARGE_WABA, Sandbox

ROOT = README.parent
READERS_OWN = re.compile(r"^from (tqdm) ", re.MULTILINE)
ELSEWHERE = ("at a terminal", "in a kernel", "changes ~/.bashrc")


@pytest.fixture(autouse=True)
def reader(graph_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A shell in an empty directory, with this environment's commands and the sandbox's address."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    monkeypatch.setenv("WA_ACCESS_TOKEN", "any-token")
    monkeypatch.setenv("WA_BASE_URL", graph_sandbox.url)
    monkeypatch.setenv("COLUMNS", "100")


def test_no_code_is_left_out() -> None:
    assert len(re.findall("^```", TEXT, re.MULTILINE)) == 2 * len(BLOCKS), "a fence cannot be read"
    assert {block.language for block in BLOCKS} <= {"python", "console", "bash", "text"}
    elsewhere = [block.where for block in BLOCKS if block.where]
    assert [where for where in elsewhere if not any(place in where for place in ELSEWHERE)] == []


def test_set_up_takes_two_commands_which_ci_runs() -> None:
    commands = [line for block in BLOCKS if block.language == "bash" for line in block.code.splitlines()]
    assert [command.split("install")[0] for command in commands] == ["python -m pip "] * 2
    patterns = re.findall(r"""\$\(readme '([^']+)'\)""", (ROOT / ".ci" / "run").read_text(encoding="utf-8"))
    assert [[command for command in commands if re.search(each, command)] for each in patterns] == [
        [command] for command in reversed(commands)
    ]


def test_the_extras_are_those_that_can_be_installed() -> None:
    install = TEXT.partition("\n## Install\n")[2].partition("\n```")[0]
    named = set(re.findall(r"`(\w+)`", install.partition("extras:")[2].partition("From a checkout")[0]))
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert named == set(extras)


def test_what_it_links_to_is_there() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", TEXT)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


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


@pytest.mark.unmeasured
@pytest.mark.parametrize("section", sections("console"))
def test_console(section: str) -> None:
    pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")
    for block in blocks("console", section):
        for command, shown in read_console(block.code):
            assert command.startswith("wa-phone "), f"nothing here runs `{command}`"
            done = run(command)
            good = re.fullmatch(as_shown(shown), done.stdout.strip(), re.DOTALL) if shown else done.returncode == 0
            if not good:
                pytest.fail(f"`{command}` printed:\n{done.stdout}", pytrace=False)


@pytest.mark.unmeasured
def test_console_at_a_terminal() -> None:
    pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")
    from terminal import Terminal  # noqa: PLC0415 - skips where there is none

    [(command, shown)] = read_console(block_that_runs("at a terminal").code)
    terminal = Terminal(*command.removeprefix("wa-phone ").split())
    try:
        terminal.expect(re.sub(r"\d{3}-\d{3}", r"\\d{3}-\\d{3}", re.escape(shown.strip()).replace("\\-", "-")))
    finally:
        terminal.close()


def test_console_in_an_empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")
    monkeypatch.setenv("HOME", str(tmp_path))
    for command, _ in read_console(block_that_runs("changes ~/.bashrc").code):
        assert run(command).stdout == ""
    assert run("bash -c '. ~/.bashrc && complete -p wa-phone'").returncode == 0


WHICH = "100200300400000 --phone-number 1631555100{} --verified-name 'Acme Shoes' --cc 1"
SCRIPTS = ROOT / "benchmarks"
NAMED = {
    "wa-phone": "wa-phone --version",
    "wa-phone --help": "wa-phone --help",
    "wa-phone list WABA_ID…": "wa-phone list 100200300400003 100200300400250",
    "wa-phone create WABA_ID --phone-number … --verified-name … --cc …": f"wa-phone create {WHICH.format(1)}",
    "wa-phone create … --ensure": f"wa-phone create {WHICH.format(2)} --ensure",
    "wa-phone completion --help": "wa-phone completion --help",
    "wa-phone watch": "wa-phone watch --help",
    "wa-phone watch WABA_ID…": "wa-phone watch 100200300400003 --interval 0.1 --timeout 0.3",
    "wa-phone export": "wa-phone export --help",
    "wa-phone export --wabas FILE --out numbers.parquet": (
        "echo 100200300400003 > FILE; wa-phone export --wabas FILE --out numbers.parquet"
    ),
    # Three that need a cluster or a person are run in test_dask.py, test_cli_onboard.py and test_cli_process.py.
    "wa-phone export --dask tcp://…": "wa-phone export --help | grep -q -e --dask",
    "wa-phone onboard": "wa-phone onboard --help",
    "wa-phone onboard WABA_ID --phone-number … --verified-name … --cc …": "wa-phone onboard --help",
    "wa-phone onboard --sandbox": "wa-phone onboard --help",
    "wa-phone sandbox": "wa-phone sandbox --help",
    "benchmarks/limits.py": f"python {SCRIPTS}/limits.py hot --only log",
    "benchmarks/compressed.py": f"python {SCRIPTS}/compressed.py --rounds 1",
    # These take longer than a test should, even once: parts of them are run in test_soak.py, test_simulated_day.py and
    # test_benchmarks.py.
    "nox -s soak": f"python {SCRIPTS}/soak.py --help",
    "nox -s bench": f"python {SCRIPTS}/report.py --help",
    "benchmarks/bulk.py": f"python {SCRIPTS}/bulk.py --help",
    "benchmarks/day.py": f"python {SCRIPTS}/day.py --help",
    "benchmarks/read_ahead.py": f"python {SCRIPTS}/read_ahead.py --help",
}


def test_each_command_that_a_sentence_names_is_run() -> None:
    commands = re.compile(r"(wa-phone|nox|python|pip)( |$)|benchmarks/")
    assert {span for span in SPANS if commands.match(span)} == NAMED.keys()


@pytest.mark.unmeasured
@pytest.mark.parametrize("name", NAMED)
def test_a_command_in_a_sentence(name: str) -> None:
    if name.startswith("wa-phone"):
        pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")
    if ".parquet" in name:
        pytest.importorskip("arro3.io", reason="the extra `parquet` is not installed")
    done = run(NAMED[name])
    assert done.returncode == 0, done.stdout


def test_nox_has_the_sessions_that_a_sentence_names() -> None:
    noxfile = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    named = {name for words in re.findall(r"nox -s ([a-z ]+)", TEXT) for name in words.split()}
    assert [name for name in named if f"\ndef {name}(session" not in noxfile] == []


def test_the_command_line_has_the_options_that_a_sentence_names(capsys: pytest.CaptureFixture[str]) -> None:
    app = pytest.importorskip("wa_phone_async.cli.app", reason="the extra `cli` is not installed")
    spans = [span for span in SPANS if span.startswith(("--", "wa-phone"))]
    named = {option for span in spans for option in re.findall(r"--[a-z-]+", span)}
    for command, *_ in app.COMMANDS:
        app.run([command, "--help"])
    assert named
    assert named - {"--help"} - set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) == set()


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
