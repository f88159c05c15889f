"""Without what Windows lacks, everything imports, and commands take another path: see `tests/support/windows.py`."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("fcntl", reason="this is Windows: the other tests show it")

import windows

from wa_phone_async import InvalidArgumentError
from wa_phone_async.alerts import receivers
from wa_phone_async.export import Job, whole_file
from wa_phone_async.export.whole_file import WholeFile, partial_path
from wa_phone_async.sandbox import LARGE_WABA, SMALL_WABA, Fault, Sandbox

Start = Callable[..., "subprocess.Popen[str]"]
PACKAGE = Path(whole_file.__file__).parents[1]

IMPORT_ALL = """
import importlib, sys
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ImportError as error:
        if "wa_phone_async[" not in str(error) and error.name in {"fcntl", "termios", "tty", "pwd", "resource", "pty"}:
            raise
print("imported", len(sys.argv) - 1)
"""


@pytest.fixture
def start(tmp_path: Path, graph_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Start the command line in a process that lacks these things, in an empty directory."""
    pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")
    monkeypatch.setenv("WA_ACCESS_TOKEN", "any-token")
    monkeypatch.setenv("WA_BASE_URL", graph_sandbox.url)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "site").mkdir()
    return lambda *arguments, **options: windows.start(tmp_path / "site", "-m", "wa_phone_async", *arguments, **options)


@pytest.fixture
def taken_away() -> Iterator[None]:
    """Take these things away from this process, except from the event loop of the test itself."""
    with pytest.MonkeyPatch.context() as patch:
        windows.take_away_with(patch)
        patch.setattr("wa_phone_async.files.lock.fcntl", None)
        yield


def test_every_module_is_imported(tmp_path: Path) -> None:
    files = [file.relative_to(PACKAGE.parent).with_suffix("") for file in PACKAGE.rglob("*.py")]
    names = [".".join(file.parts) for file in files if file.name != "__main__"]
    with windows.start(tmp_path, "-W", "default", "-c", IMPORT_ALL, *names) as process:
        out, err = process.communicate()
    assert (process.returncode, out) == (0, f"imported {len(names)}\n"), err


def test_a_list(start: Start) -> None:
    with start("list", SMALL_WABA) as process:
        _, err = process.communicate()
    assert (process.returncode, err) == (0, "3 numbers, 1 call\n")


def test_ids_from_a_pipe_and_an_export_that_is_resumed(start: Start, graph_sandbox: Sandbox) -> None:
    graph_sandbox.plan(Fault.delay(30), node=LARGE_WABA)
    options = ("export", "--wabas", "-", "--out", "n.csv", "--concurrency", "1")
    with start(*options, stdin=subprocess.PIPE) as process:
        assert process.stdin
        process.stdin.write(f"{SMALL_WABA}\n{LARGE_WABA}\n")
        process.stdin.flush()  # the pipe stays open: whoever writes to it may write more
        while not any(LARGE_WABA in request.path for request in graph_sandbox.requests):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.stderr
        assert process.stderr.readline() == "wa-phone: finishing the requests in flight; Ctrl-C again stops at once\n"
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == "stopped at once; to continue, run the same command with --resume\n"
    assert process.returncode == 130
    with start(*options, "--resume", stdin=subprocess.PIPE) as process:
        _, err = process.communicate(f"{SMALL_WABA}\n{LARGE_WABA}")
    assert process.returncode == 0, err
    assert "253 numbers" in err


def test_ctrl_break_is_a_kill(start: Start) -> None:
    with start("watch", SMALL_WABA, "--interval", "0.1") as process:
        assert process.stderr
        process.stderr.readline()
        process.send_signal(signal.SIGUSR1)  # it stands for SIGBREAK there
        process.communicate()
    assert process.returncode == 143


@pytest.mark.usefixtures("taken_away")
class TestFiles:
    def test_only_one_export_writes_to_a_file(self, tmp_path: Path) -> None:
        with Job(tmp_path / "n.csv") as job:
            with pytest.raises(InvalidArgumentError, match=r"^path must be free: another export writes to "):
                Job(tmp_path / "n.csv")
            asyncio.run(job.finish())
        assert [path.name for path in tmp_path.iterdir()] == ["n.csv"]

    def test_a_file_is_closed_before_it_gets_its_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = WholeFile(tmp_path / "n.csv")
        file.write(b"1")
        rename = Path.replace

        def replace(old: Path, new: Path) -> Path:
            assert file._file.closed
            return rename(old, new)

        monkeypatch.setattr(Path, "replace", replace)
        file.keep()
        assert (tmp_path / "n.csv").read_bytes() == b"1"

    def test_what_a_kill_left_is_removed_and_what_somebody_writes_is_not(self, tmp_path: Path) -> None:
        path = tmp_path / "n.csv"
        left = partial_path(path)
        left.touch()
        file = WholeFile(path)
        whole_file.remove_partials(path)
        assert list(tmp_path.iterdir()) == [file._partial]
        file.keep()
        assert list(tmp_path.iterdir()) == [path]


def test_a_command_for_alerts_is_killed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    killed = list[bool]()
    monkeypatch.delattr(os, "killpg")
    receivers._kill(SimpleNamespace(kill=lambda: killed.append(True)))  # type: ignore[arg-type]  # it is all that is used
    assert killed == [True]


class TestLines:
    """Standard input is read in a thread."""

    @pytest.fixture(autouse=True)
    def _needs_cli(self) -> None:
        pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")

    @pytest.mark.usefixtures("taken_away")
    async def test_other_work_goes_on_and_no_line_is_lost(self) -> None:
        from wa_phone_async.cli.terminal.stdin import LineReader  # noqa: PLC0415 - it needs the extra

        reading, writing = os.pipe()
        reader = LineReader(reading, longest=1000)
        for _ in range(2):  # the second one finds the thread of the first
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.line(), 0.01)
        os.write(writing, b"1\n2")
        assert await reader.line() == b"1"
        os.close(writing)
        assert [await reader.line() for _ in range(2)] == [b"2", None]
        os.close(reading)
        assert await LineReader(reading, longest=1000).line() is None  # it is closed

    @pytest.mark.usefixtures("taken_away")
    async def test_an_end_wakes_who_waits(self) -> None:
        from wa_phone_async.cli.terminal.stdin import LineReader  # noqa: PLC0415 - it needs the extra

        reading, writing = os.pipe()
        reader = LineReader(reading, longest=1000)
        task = asyncio.create_task(reader.line())
        await asyncio.sleep(0.01)
        reader.end()
        assert await task is None
        os.close(writing)  # and so the thread ends
        os.close(reading)

    @pytest.mark.usefixtures("taken_away")
    def test_a_loop_that_is_closed_meanwhile_is_no_error(self) -> None:
        from wa_phone_async.cli.terminal.stdin import LineReader  # noqa: PLC0415 - it needs the extra

        reading, writing = os.pipe()
        reader = LineReader(reading, longest=1000)

        async def give_up() -> None:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.line(), 0.01)

        asyncio.run(give_up())
        os.write(writing, b"1\n")
        while reader._is_reading:
            time.sleep(0.001)
        assert asyncio.run(reader.line()) == b"1"
        os.close(writing)
        os.close(reading)
