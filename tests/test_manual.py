"""The code of the README and of the manual runs, as a reader would run it: each section with a sandbox of its own.

A section is what stands under one heading, of whatever level.

- ```python: `await` works at the top, and the blocks of a section share their names; there from the start are
  `PhoneNumberClient`, `client`, made from the environment, and `waba_id`. A block that begins with a file's name
  (`# test_mine.py`) is saved as that file. If the section has tests, pytest runs them; any other file is for them, or
  for a command of the section. A section that reads `REDIS_URL` gets the address of a Redis of its own; where there is
  no redis-server, or the extra is not installed, it is skipped. So is one that imports a package of the reader's
  (`READERS_OWN`) that is not installed.
- ```console: what follows `$ ` runs. What is shown below it is what it prints, `...` standing for anything.
- ```bash: set-up commands. Those of the README run in `.ci/run`; a page says on its fence why they do not run.
- ```text: no code.

A block that cannot run like this says why on its fence: "```python not run: it needs …". `ELSEWHERE` has what it may
say. The first three have a test: here at a terminal and in an empty home, in test_notebook.py in a kernel. A block that
is not run is read all the same, if it is Python. Files for other programs (`FOR_OTHERS`) always say so.
"""

import ast
import asyncio
import importlib
import inspect
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from manual import (
    BLOCKS,
    DIRECTIVE,
    DOCS,
    PAGES,
    README,
    Block,
    as_shown,
    block_that_runs,
    blocks,
    places,
    read_console,
    run,
    spans,
    words,
)
from redis_server import COMMAND, RedisServer

from wa_phone_async import PhoneNumberClient
from wa_phone_async.sandbox import LARGE_WABA

pytestmark = pytest.mark.usefixtures("reader")

ROOT = README.parent
READERS_OWN = re.compile(r"(?:^(?:from|import) |\.to_)(django|duckdb|fastapi|pandas|polars)\b", re.MULTILINE)
ELSEWHERE = (
    *("at a terminal", "in a notebook", "changes ~/.bashrc"),
    *("needs Docker", "needs systemd", "needs cron", "needs your own account", "needs the network"),
)
FOR_OTHERS = {"bash", "dockerfile", "ini", "yaml", "toml", "json"}
LONGEST = 1_000  # words
TABLES = {"reference", "fault-matrix", "reference-and-live"}  # to look things up in, not to read through
DOORS = ("", ".export", ".ratelimit.redis", ".sandbox")
WITHOUT_ALL = {
    "export.dask.client_from_env",
    "export.dask.export",
    "integrations.otel.instrument",
    "sandbox.pytest_plugin.graph_sandbox",
    "sandbox.pytest_plugin.virtual_time",
    "sandbox.pytest_plugin.wa_phone_client",
}
"""Public names of modules that have no `__all__`."""


@pytest.mark.parametrize("page", PAGES)
def test_no_code_is_left_out(page: str) -> None:
    own = [block for block in BLOCKS if block.page == page]
    directives = DIRECTIVE.findall(PAGES[page])
    fences = re.findall(r"^ *```", PAGES[page], re.MULTILINE)
    assert len(fences) == 2 * (len(own) + len(directives)), "a fence cannot be read"
    assert {block.language for block in own} <= {"python", "console", "text", *FOR_OTHERS}
    unexplained = [block.code for block in own if block.where and not any(why in block.where for why in ELSEWHERE)]
    assert unexplained == []
    if page != "README":
        assert [block.code for block in own if block.language in FOR_OTHERS and not block.where] == []


def test_python_that_is_not_run_can_be_read() -> None:
    for block in BLOCKS:
        if block.language == "python" and block.where:
            compile_block(block)


@pytest.mark.parametrize("page", sorted(PAGES.keys() - TABLES))
def test_a_page_can_be_read_in_five_minutes(page: str) -> None:
    assert words(page) <= LONGEST


def test_each_public_name_has_a_page_in_the_reference() -> None:
    pytest.importorskip("redis", reason="the extra `redis` is not installed")
    listed = Counter(re.findall(r"^   ([\w.]+)$", PAGES["reference"], re.MULTILINE))
    public = {
        f"{door[1:]}.{name}".lstrip(".")
        for door in DOORS
        for name in importlib.import_module(f"wa_phone_async{door}").__all__
    }
    assert listed == Counter(public | WITHOUT_ALL)


@pytest.fixture
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pytest.importorskip("redis", reason="the extra `redis` is not installed")
    if COMMAND is None:
        pytest.skip("there is no redis-server")
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server.url
    server.kill()


@pytest.mark.parametrize("place", places("python"))
def test_python(place: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if any('environ["REDIS_URL"]' in block.code for block in blocks("python", place)):
        monkeypatch.setenv("REDIS_URL", request.getfixturevalue("redis_url"))
    for block in blocks("python", place):
        for package in READERS_OWN.findall(block.code):
            pytest.importorskip(package)
    save_files(place)
    with asyncio.Runner() as runner:
        names: dict[str, Any] = {
            "__name__": "page",
            "PhoneNumberClient": PhoneNumberClient,
            "client": PhoneNumberClient.from_env(),
            "waba_id": LARGE_WABA,
        }
        try:
            for block in blocks("python", place):
                if block.file is None and inspect.iscoroutine(result := evaluate(block, names)):
                    runner.run(result)
        finally:
            runner.run(names["client"].aclose())
    files = [block.file for block in blocks("python", place) if block.file]
    if any(file.startswith("test_") for file in files):
        subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider"], check=True)
    else:
        commands = "".join(block.code for block in blocks("console", place))
        assert [file for file in files if file not in commands] == [], "nothing runs this file"


def save_files(place: str) -> None:
    for block in blocks("python", place):
        if block.file:
            Path(block.file).write_text(block.code, encoding="utf-8")


def evaluate(block: Block, names: dict[str, Any]) -> object:
    """What the block gives: a coroutine still to be awaited where it has an `await` at the top."""
    return eval(compile_block(block), names)


def compile_block(block: Block) -> CodeType:
    source = "\n" * block.line + block.code  # a traceback then names the page's own line
    page = README if block.page == "README" else DOCS / f"{block.page}.md"
    code: CodeType = compile(source, page, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return code


@pytest.mark.unmeasured
@pytest.mark.parametrize("place", places("console"))
def test_console(place: str) -> None:
    pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")
    save_files(place)
    for block in blocks("console", place):
        for command, shown in read_console(block.code):
            assert command.startswith(("wa-phone ", "python3 ")), f"nothing here runs `{command}`"
            done = run(command)
            good = re.fullmatch(as_shown(shown), done.stdout.strip(), re.DOTALL) if shown else done.returncode == 0
            if not good:
                pytest.fail(f"`{command}` printed:\n{done.stdout}", pytrace=False)


@pytest.mark.unmeasured
def test_console_at_a_terminal() -> None:
    pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")
    from terminal import Terminal  # noqa: PLC0415 - skips where there is none

    [(command, shown)] = read_console(block_that_runs("asks at a terminal").code)
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
    "wa-phone doctor": "wa-phone doctor",
    "wa-phone accounts": "wa-phone accounts",
    "wa-phone accounts BUSINESS_ID": "wa-phone accounts 200300400500600",
    "wa-phone --token-file FILE": "echo any-token > FILE; wa-phone list 100200300400003 --token-file FILE",
    "wa-phone --tokens FILE": (
        "umask 077; echo 100200300400003,any-token > FILE; wa-phone list 100200300400003 --tokens FILE"
    ),
    "wa-phone list": "wa-phone list --sandbox",
    "wa-phone list --help": "wa-phone list --help",
    "wa-phone list WABA_ID…": "wa-phone list 100200300400003 100200300400250",
    "wa-phone create WABA_ID --phone-number … --verified-name … --cc …": (
        f"wa-phone create {WHICH.format(1)} && wa-phone create {WHICH.format(2)} --ensure"
    ),
    "wa-phone profile get": "wa-phone profile get --sandbox",
    "wa-phone profile set FILE": "echo id > FILE.csv; wa-phone profile set FILE.csv --email a@b.example",
    "wa-phone profile undo FILE": "wa-phone profile undo --sandbox",
    "wa-phone completion --help": "wa-phone completion --help",
    "wa-phone name status": "wa-phone name status --sandbox",
    "wa-phone name request": "wa-phone name request --sandbox --no-wait",
    "wa-phone name register": "echo 123456 | wa-phone name register 300000001000000",
    "wa-phone username get": "wa-phone username get --sandbox",
    "wa-phone username suggest": "wa-phone username suggest --sandbox",
    "wa-phone username claim": "wa-phone username claim --sandbox",
    "wa-phone username release": "wa-phone username release --sandbox --yes",
    "wa-phone watch": "wa-phone watch --help",
    "wa-phone watch WABA_ID…": "wa-phone watch 100200300400003 --interval 0.1 --timeout 0.3",
    "wa-phone health --sandbox": "wa-phone health --sandbox",
    "wa-phone health WABA_ID…": "wa-phone health 100200300400003",
    "wa-phone registrations": "wa-phone registrations",
    "wa-phone registrations PHONE_NUMBER_ID --forget": "wa-phone registrations 300000001000000 --forget",
    "wa-phone webhooks audit WABA_ID…": "wa-phone webhooks audit 100200300400003",
    "wa-phone webhooks clear --sandbox": "wa-phone webhooks clear --sandbox",
    "wa-phone webhooks undo FILE": (
        "wa-phone webhooks clear 300000001000000 --journal FILE --yes && wa-phone webhooks undo FILE"
    ),
    "wa-phone report": "wa-phone report --sandbox --out report.html",
    "wa-phone report numbers.parquet": "echo id > n.csv; wa-phone report n.csv --out report.html",
    "wa-phone report numbers.parquet --out report.html": "echo id > n.csv; wa-phone report n.csv --out report.html",
    "wa-phone report WABA_ID…": "wa-phone report 100200300400003 --out report.html",
    "wa-phone report --business ID": "wa-phone report --business 200300400500600 > report.html",
    "wa-phone diff": "wa-phone diff --sandbox",
    "wa-phone diff OLD NEW": "echo id > OLD.csv; wa-phone diff OLD.csv OLD.csv",
    "wa-phone export": "wa-phone export --help",
    "wa-phone export --business": "wa-phone export --business 200300400500600 --out fleet.csv",
    "wa-phone list --business": "wa-phone list --business 200300400500600",
    "wa-phone export --wabas FILE --out numbers.parquet": (
        "echo 100200300400003 > FILE; wa-phone export --wabas FILE --out numbers.parquet"
    ),
    # Three that need a cluster or a person are run in test_dask.py, test_cli_onboard.py and test_cli_process.py.
    "wa-phone export --dask tcp://…": "wa-phone export --help | grep -q -e --dask",
    "wa-phone onboard": "wa-phone onboard --help",
    "wa-phone onboard WABA_ID --phone-number … --verified-name … --cc …": "wa-phone onboard --help",
    "wa-phone sandbox": "wa-phone sandbox --help",
    "python tests/support/faults.py": f"python {ROOT}/tests/support/faults.py > /dev/null",
    "benchmarks/limits.py": f"python {SCRIPTS}/limits.py hot --only log",
    "benchmarks/decoding.py --widths": f"python {SCRIPTS}/decoding.py --widths",
    "benchmarks/compressed.py": f"python {SCRIPTS}/compressed.py --rounds 1",
    # These take longer than a test should, even once: parts of them are run in test_soak.py, test_simulated_day.py,
    # test_benchmarks.py and attack/.
    "nox -s attack": f"python -m pytest {ROOT}/tests/attack --collect-only -q > /dev/null",
    "nox -s soak": f"python {SCRIPTS}/soak.py --help",
    "nox -s bench": f"python {SCRIPTS}/report.py --help",
    "benchmarks/bulk.py": f"python {SCRIPTS}/bulk.py --help",
    "benchmarks/fleet.py": f"python {SCRIPTS}/fleet.py --help",
    "benchmarks/fleet.py calls": f"python {SCRIPTS}/fleet.py --help",
    "benchmarks/day.py": f"python {SCRIPTS}/day.py --help",
    "benchmarks/read_ahead.py": f"python {SCRIPTS}/read_ahead.py --help",
}
"""The commands that a sentence of the README, of the manual or of CONTRIBUTING.md names, and how each is run here."""


def test_each_command_that_a_sentence_names_is_run() -> None:
    commands = re.compile(r"(wa-phone|nox)( |$)|python3? |benchmarks/")
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = {span.replace("python benchmarks/", "benchmarks/") for span in spans([*PAGES.values(), contributing])}
    assert {span for span in named if commands.match(span)} == NAMED.keys()


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
    named = {name for span in spans(PAGES.values()) if span.startswith("nox -s") for name in span.split()[2:]}
    assert [name for name in named if f"\ndef {name}(session" not in noxfile] == []


def test_the_command_line_has_the_options_that_a_sentence_names(capsys: pytest.CaptureFixture[str]) -> None:
    app = pytest.importorskip("wa_phone_async.cli.app", reason="the extra `cli` is not installed")
    shown = [span for span in spans(PAGES.values()) if span.startswith(("--", "wa-phone"))]
    named = {option for span in shown for option in re.findall(r"--[a-z-]+", span)}
    for command, *_ in app.COMMANDS:
        for subcommand in ([], *([name] for name in app.app[command] if not name.startswith("-"))):
            app.run([command, *subcommand, "--help"])
    assert named
    assert named - {"--help"} - set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) == set()
