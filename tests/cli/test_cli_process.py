"""The command line as a process: pipes, signals, and a real terminal."""

import asyncio
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import pytest

import wa_phone_async.sandbox
from wa_phone_async import PhoneNumberClient
from wa_phone_async.sandbox import LARGE_WABA, SMALL_WABA, Fault, Sandbox

pytestmark = pytest.mark.heavy  # processes and disks, for many seconds

pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")
pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")
termios = pytest.importorskip("termios", reason="there are no pseudo-terminals here")

from wa_phone_async.cli.commands.sandbox import serve_sandbox  # noqa: E402 - it needs the extra

Act = Callable[[subprocess.Popen[str], int, bytes], bool]

COMMAND = (sys.executable, "-W", "error", "-m", "wa_phone_async")
IN_BACKGROUND = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")
"""Starts a command as a script does with `&`: Ctrl-C (SIGINT) is ignored."""


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, graph_sandbox: Sandbox) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("WA_ACCESS_TOKEN", "any-token")
    monkeypatch.setenv("WA_BASE_URL", graph_sandbox.url)


def start(
    *arguments: str, before: Sequence[str] = (), stdout: int = subprocess.PIPE, stderr: int = subprocess.PIPE
) -> subprocess.Popen[str]:
    environment = dict(os.environ)  # and not what readline adds behind Python's back: COLUMNS=80
    return subprocess.Popen(
        (*before, *COMMAND, *arguments), stdout=stdout, stderr=stderr, text=True, encoding="utf-8", env=environment
    )


def with_streams(streams: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it with streams as a shell redirects them: `>&-` and `2>&-` close one."""
    script = f'exec "$@" {streams}'
    command = ("sh", "-c", script, "sh", *COMMAND, *arguments)
    return subprocess.run(command, check=False, capture_output=True, text=True, env=dict(os.environ))


def test_a_closed_stdout_is_nowhere() -> None:
    done = with_streams(">&-", "list", SMALL_WABA)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "3 numbers, 1 call\n")


def test_a_closed_stderr_is_nowhere() -> None:
    done = with_streams("2>&-", "list", SMALL_WABA, "--format", "jsonl")
    assert (done.returncode, done.stdout.count("\n"), done.stderr) == (0, 3, "")


def test_an_export_with_no_streams_at_all(tmp_path: Path) -> None:
    file = tmp_path / "n.jsonl"
    done = with_streams("<&- >&- 2>&-", "export", "--business", "200300400500600", "--out", str(file))
    assert (done.returncode, file.read_text().count("\n")) == (0, 253)


def test_misuse_with_a_closed_stderr_is_misuse() -> None:
    assert with_streams("2>&-", "list", SMALL_WABA, "--limit", "0").returncode == 2


FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full here")


@FULL
@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("list", SMALL_WABA), 0),
        (("list", SMALL_WABA, "--limit", "0"), 2),
        (("list", "555", "--debug"), 1),
        (("export", "--wabas", "-", "--out", "n.csv", "--debug"), 3),
    ],
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_messages_that_cannot_be_written_change_no_exit_status(
    arguments: Sequence[str], status: int, unbuffered: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)  # then Python keeps nothing that it would write at its end
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ids").write_text("555\n")
    assert with_streams("2>/dev/full <ids", *arguments).returncode == status


@FULL
@pytest.mark.parametrize("arguments", [("list", SMALL_WABA), ("list", LARGE_WABA, "--format", "jsonl"), ("--help",)])
def test_a_full_disk_behind_stdout_is_one_message(arguments: Sequence[str]) -> None:
    done = with_streams(">/dev/full", *arguments)
    assert done.returncode == 1
    assert done.stderr == "wa-phone: cannot go on: standard output cannot be written: No space left on device\n"


def test_a_sandbox_serves_where_nobody_reads_its_messages() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with start("sandbox", stderr=writing) as process:
        os.close(writing)
        assert process.stdout
        base_url = process.stdout.readline().partition("=")[2].strip()
        listing = subprocess.run(
            [*COMMAND, "list", SMALL_WABA, "--base-url", base_url, "--format", "jsonl"],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        process.send_signal(signal.SIGINT)
    assert (process.returncode, listing.stdout.count("\n")) == (130, 3)


@pytest.mark.parametrize("form", ["table", "json"])
def test_a_reader_who_leaves_ends_it_quietly(form: str) -> None:
    with start("list", LARGE_WABA, "--limit", "1", "--format", form) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_help_to_a_reader_who_has_left() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with start("--help", stdout=writing) as process:
        os.close(writing)
        assert process.stderr
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_ctrl_c_ends_a_call(graph_sandbox: Sandbox) -> None:
    graph_sandbox.plan(Fault.delay(30), times=9)
    with start("list", SMALL_WABA) as process:
        while not graph_sandbox.requests:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.communicate() == ("", "")
    assert process.returncode == 130


IMPORTING = (sys.executable, "-X", "importtime")
"""Python writes a line to stderr after each import."""
FIRST = "wa_phone_async.cli.starting"


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """The file that pip makes of the entry point."""
    file = tmp_path / "wa-phone"
    file.write_text("import sys\nfrom wa_phone_async.__main__ import main\nsys.exit(main())\n")
    return file


def open_command(*command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.unmeasured
@pytest.mark.parametrize("moment", range(0, 720, 30))  # about 600 imports follow the first one
@pytest.mark.parametrize("way", ["module", "script"])
def test_ctrl_c_at_any_moment_of_the_start_is_quiet(
    moment: int, way: str, script: Path, graph_sandbox: Sandbox
) -> None:
    graph_sandbox.plan(Fault.delay(30), times=9)
    command = ("-m", "wa_phone_async") if way == "module" else (str(script),)
    with open_command(*IMPORTING, *command, "list", SMALL_WABA) as process:
        assert process.stderr
        lines = iter(process.stderr.readline, "")
        assert any(FIRST in line for line in lines)
        while moment and not graph_sandbox.requests:
            moment -= select.select([process.stderr], [], [], 0.01)[0] != [] and bool(next(lines))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, out) == (130, "")
    assert [line for line in err.splitlines() if not line.startswith("import time:")] == []


def test_ctrl_c_at_the_end_is_quiet(script: Path) -> None:
    with open_command(sys.executable, str(script), "--version") as process:
        assert process.stdout
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.communicate() == ("", "")
    assert process.returncode in {0, 130, -signal.SIGINT}  # the last one when Python has let go of the signals


def test_what_a_script_runs_in_the_background_starts_despite_ctrl_c() -> None:
    with open_command(*IN_BACKGROUND, *IMPORTING, "-m", "wa_phone_async", "list", SMALL_WABA) as process:
        assert process.stderr
        assert any(FIRST in line for line in iter(process.stderr.readline, ""))
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate()
    assert (process.returncode, out.count("\n")) == (0, 4)


def test_a_wait_is_explained(graph_sandbox: Sandbox) -> None:
    graph_sandbox.plan(Fault.error(80008, "Too many calls from somewhere"))
    with start("list", SMALL_WABA) as process:
        assert process.stderr
        assert process.stderr.readline() == "throttled: next try in 60 s (Ctrl-C ends it)\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate() == ("", "")
    assert process.returncode == 130


def test_ctrl_c_in_a_create_says_that_it_may_have_happened(graph_sandbox: Sandbox) -> None:
    graph_sandbox.plan(Fault.delay_response(30))
    with start("create", SMALL_WABA, "--phone-number", "16315551000", "--verified-name", "Acme") as process:
        while not graph_sandbox.created:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, out, err.count("\n")) == (130, "", 1)
    assert re.match(r"wa-phone: POST .* may have happened", err)


def test_a_kill_is_a_ctrl_c(graph_sandbox: Sandbox) -> None:
    graph_sandbox.plan(Fault.delay(30), times=9)
    with start("list", SMALL_WABA) as process:
        while not graph_sandbox.requests:
            assert process.poll() is None
        process.terminate()
        assert process.communicate() == ("", "")
    assert process.returncode == 143


def test_a_kill_ends_in_order_what_a_script_runs_in_the_background(
    graph_sandbox: Sandbox,
) -> None:
    graph_sandbox.plan(Fault.delay_response(30))
    create = ("create", SMALL_WABA, "--phone-number", "16315551000", "--verified-name", "Acme")
    with start(*create, before=IN_BACKGROUND) as process:
        while not graph_sandbox.created:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.terminate()
        out, err = process.communicate()
    assert (process.returncode, out, err.count("\n")) == (143, "", 1)
    assert re.match(r"wa-phone: POST .* may have happened", err)


def test_a_kill_gives_the_terminal_its_cursor_back() -> None:
    screen, status = on_terminal(80, "watch", "--sandbox", "--interval", "0.1", act=kill_after(b"CONNECTED"))
    assert status == 143
    _, is_first_screen, left = screen.partition("\x1b[?25h\x1b[?1049l")
    assert is_first_screen
    assert re.search(r"\n\d+ changes, \d+ calls\n$", left)


def kill_after(sign: bytes) -> Act:
    def kill(process: subprocess.Popen[str], _: int, seen: bytes) -> bool:
        if sign in seen:
            process.terminate()
        return sign in seen

    return kill


def test_a_live_view_fits_a_terminal_that_was_made_narrower() -> None:
    def narrow(process: subprocess.Popen[str], master: int, seen: bytes) -> bool:
        if b"name_status" in seen:
            termios.tcsetwinsize(master, (24, 50))
        *_, last, _ = (b"", *seen.split(b"\x1b[H"))
        if widest(last.decode()) == 50:
            process.send_signal(signal.SIGINT)
            return True
        return False

    def widest(text: str) -> int:
        return max(map(len, re.split(r"[\r\n]+", re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", text))))

    screen, status = on_terminal(100, "watch", "--sandbox", "--interval", "0.1", act=narrow)
    assert status == 130
    *_, last = screen.split("\x1b[H")
    view, _, left = last.partition("\x1b[?1049l")
    assert widest(view) == 50
    assert widest(left) <= 50


@pytest.mark.parametrize("mode", ["live", "reference"])
def test_the_sandbox_serves_until_ctrl_c(mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with start("sandbox", "--mode", mode) as process:
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(14)]
        script = tmp_path / "exports"
        script.write_text("".join(lines))
        assert re.fullmatch(r"export WA_BASE_URL=http://127\.0\.0\.1:\d+\n", lines[0])
        assert lines[1] == "export WA_ACCESS_TOKEN=any-token\n"
        assert [line for line in lines[2:10] if not re.fullmatch(r"export [A-Z_]+=\S.*\n", line)] == []
        assert lines[10:13] == [f"# WABA 100200300400{count:03}: {count} numbers\n" for count in (0, 3, 250)]
        assert lines[13] == "# business 200300400500600: 3 accounts\n"
        monkeypatch.delenv("WA_BASE_URL")
        monkeypatch.delenv("WA_ACCESS_TOKEN")
        listing = subprocess.run(
            ["sh", "-c", f'. {script}; "$@"', "sh", *COMMAND, "list", LARGE_WABA, "--format", "csv"],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert listing.stdout.count("\n") == 251
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, out) == (130, "")
    assert err == "serving until Ctrl-C; run the lines above in another shell\n"


async def test_the_sandbox_keeps_no_record_that_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    served = list[Sandbox]()

    class Kept(Sandbox):
        async def __aenter__(self) -> Self:
            served.append(await super().__aenter__())
            return self

    monkeypatch.setattr(wa_phone_async.sandbox, "Sandbox", Kept)
    serving = asyncio.create_task(serve_sandbox(review_after=0.001))
    while not served:
        await asyncio.sleep(0)
    [sandbox] = served
    async with PhoneNumberClient("any-token", base_url=sandbox.url) as client:
        for number in range(3):
            await client.create_phone_number(
                SMALL_WABA, phone_number=f"631555010{number}", verified_name="Invented Shop", cc="1"
            )
    assert len(sandbox.created) == 3
    async with asyncio.timeout(30):
        while sandbox.requests or sandbox.webhooks:
            await asyncio.sleep(0.01)
    serving.cancel()
    await asyncio.wait([serving])


def test_the_sandbox_serves_as_many_accounts_as_are_wanted() -> None:
    with start("sandbox", "--accounts", "1000000", "--numbers-per-account", "7") as process:
        assert process.stdout
        url, *_, owned = [process.stdout.readline() for _ in range(14)]
        assert owned == (
            "# business 200300400500600: 1000000 accounts of 7 numbers, WABA 110000000000000 to 110000000999999\n"
        )
        base_url = url.partition("=")[2].strip()
        listing = subprocess.run(
            [*COMMAND, "list", "110000000999999", "--base-url", base_url, "--format", "jsonl"],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert listing.stdout.count("\n") == 7
        process.send_signal(signal.SIGINT)
        process.communicate()


def on_terminal(width: int, *arguments: str, act: Act = lambda *_: True) -> tuple[str, int]:
    """What a terminal of this width gets, and the exit status; `act` is called until it is done."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, width))
    with start(*arguments, stdout=slave, stderr=slave) as process:
        os.close(slave)
        seen, is_done = b"", False
        try:
            while chunk := os.read(master, 65536):
                seen += chunk
                is_done = is_done or act(process, master, seen)
        except OSError:  # how Linux says that the other side was closed
            pass
    os.close(master)
    return seen.decode().replace("\r\n", "\n"), process.returncode


def without_colour(text: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", text)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_terminal_gets_colour_and_a_table_that_fits(width: int) -> None:
    screen, status = on_terminal(width, "list", LARGE_WABA)
    assert status == 0
    assert "\x1b[32mCONNECTED" in screen
    plain = without_colour(screen)
    lines = plain.splitlines()
    assert max(map(len, lines)) <= width
    assert len(set(re.findall(r"^\d{15}(?=  \S)", plain, re.MULTILINE))) == 250
    assert re.search(r"^250 numbers, 3 calls", plain, re.MULTILINE)


def test_a_pipe_gets_no_colour_and_a_line_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with start("list", LARGE_WABA) as process:
        out, _ = process.communicate()
    assert "\x1b" not in out
    assert out.count("\n") == 251


def test_a_terminal_gets_no_control_character_from_a_csv(graph_sandbox: Sandbox) -> None:
    number = graph_sandbox.numbers(SMALL_WABA)[0]
    graph_sandbox.update_number(SMALL_WABA, number["id"], verified_name="\x1b]0;Evil\x07")
    screen, _ = on_terminal(80, "list", SMALL_WABA, "--format", "csv")
    assert r"\x1b]0;Evil\x07" in screen
    assert screen.endswith("3 numbers, 1 call\n")  # people are there to read it


def test_a_dumb_terminal_gets_its_whole_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    screen, _ = on_terminal(100, "list", LARGE_WABA, "--max-items", "9")
    assert len(re.findall(r"^\d{15}(?=  \S)", screen, re.MULTILINE)) == 9
    widths = [len(line) for line in f"{screen}{on_terminal(60, 'list', '--help')[0]}".splitlines()]
    assert max(widths[:10]) in range(81, 101)
    assert max(widths[11:]) <= 60


def test_help_on_a_terminal() -> None:
    screen, status = on_terminal(80, "list", "--help")
    assert status == 0
    assert max(map(len, without_colour(screen).splitlines())) <= 80
    assert "\x1b[1m--fields NAMES" in screen
