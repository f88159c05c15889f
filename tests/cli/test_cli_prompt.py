"""Prompts for secrets, at a terminal and in a pipe."""

import asyncio
import os
import select
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")

from wa_phone_async.cli.terminal import prompt as prompting
from wa_phone_async.cli.terminal.prompt import NoInputError
from wa_phone_async.redaction import HIDDEN

pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")
termios = pytest.importorskip("termios", reason="there are no pseudo-terminals here")

PIN = "271828"
WRONG = "999999"


class Tty(NamedTuple):
    master: int
    slave: int

    @property
    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self.slave)[3] & termios.ECHO)

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def shown(self) -> str:
        """What the terminal itself has shown so far."""
        shown = b""
        while select.select([self.master], [], [], 0)[0]:
            shown += os.read(self.master, 65536)
        return shown.decode()


@pytest.fixture
def tty(monkeypatch: pytest.MonkeyPatch) -> Iterator[Tty]:
    """A terminal as standard input of this process."""
    tty = Tty(*pty.openpty())
    with os.fdopen(os.dup(tty.slave)) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield tty
    os.close(tty.slave)
    os.close(tty.master)


class TestTerminalPrompt:
    async def test_what_is_typed_is_not_shown(self, tty: Tty, capsys: pytest.CaptureFixture[str]) -> None:
        with prompting.prompting() as prompt:
            assert prompt.is_terminal
            typing = asyncio.create_task(prompt.read("   PIN: "))
            await asyncio.sleep(0)
            tty.type(f" {PIN} \n")
            typed = await typing
            assert (typed, repr(typed)) == (PIN, repr(HIDDEN))
            assert not tty.echoes
        assert tty.echoes
        assert capsys.readouterr() == ("", "   PIN: \n")
        assert tty.shown() == ""

    async def test_what_is_typed_ahead_is_neither_shown_nor_taken(self, tty: Tty) -> None:
        with prompting.prompting() as prompt:
            tty.type(f"{WRONG}\n{WRONG}\n")
            select.select([tty.slave], [], [])  # the kernel hands it over in its own time
            typing = asyncio.create_task(prompt.read("Code: "))
            await asyncio.sleep(0)
            tty.type(f"{PIN}\n{WRONG}\n")
            assert await typing == PIN
        assert tty.shown() == ""
        assert not select.select([tty.slave], [], [], 0)[0]  # nor is anything left for the shell

    async def test_the_end_of_input(self, tty: Tty) -> None:
        with prompting.prompting() as prompt:
            typing = asyncio.create_task(prompt.read("Code: "))
            await asyncio.sleep(0)
            tty.type("\x04")
            with pytest.raises(NoInputError, match="standard input has ended: Code is missing"):
                await typing

    async def test_a_cancelled_prompt_leaves_the_line_and_the_terminal_as_it_was(
        self, tty: Tty, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(TimeoutError), prompting.prompting() as prompt:
            async with asyncio.timeout(0.01):
                await prompt.read("Code: ")
        assert tty.echoes
        assert capsys.readouterr().err == "Code: \n"

    async def test_typing_stays_hidden_after_a_shell_has_set_the_terminal(self, tty: Tty) -> None:
        before = termios.tcgetattr(tty.slave)
        with prompting.prompting():
            termios.tcsetattr(tty.slave, termios.TCSANOW, before)
            os.kill(os.getpid(), signal.SIGCONT)
            while tty.echoes:
                await asyncio.sleep(0.001)
        assert tty.echoes

    async def test_a_terminal_that_is_closed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        master, slave = pty.openpty()
        with os.fdopen(slave) as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            with prompting.prompting() as prompt:
                os.close(master)
                with pytest.raises(OSError, match="Input/output error"):
                    await prompt.read("Code: ")

    async def test_a_reader_of_stderr_who_has_left_keeps_nobody_from_typing(
        self, tty: Tty, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        stderr = os.fdopen(writing, "w")
        with monkeypatch.context() as patch, prompting.prompting() as prompt:
            patch.setattr(sys, "stderr", stderr)
            typing = asyncio.create_task(prompt.read("Code: "))
            await asyncio.sleep(0)
            tty.type("1\n")
            assert await typing == "1"
        with pytest.raises(BrokenPipeError):
            stderr.close()

    async def test_on_windows_the_console_is_read(self, tty: Tty, monkeypatch: pytest.MonkeyPatch) -> None:
        del tty
        monkeypatch.setitem(sys.modules, "termios", None)
        monkeypatch.setattr(prompting, "getpass", lambda label, stream: f" {label}{stream is sys.stderr} ")
        with prompting.prompting() as prompt:
            assert prompt.is_terminal
            assert await prompt.read("Code: ") == "Code: True"


class TestPipedPrompt:
    async def test_each_prompt_takes_a_line(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        reading, writing = os.pipe()
        with os.fdopen(reading) as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            with prompting.prompting() as prompt:
                typing = asyncio.create_task(prompt.read("   Code: "))
                await asyncio.sleep(0)
                os.write(writing, b"123-830\r\n\n\xff271828")
                os.close(writing)
                assert await typing == "123-830"
                assert [await prompt.read("Again: "), await prompt.read("PIN: ")] == ["", "\ufffd271828"]
                with pytest.raises(NoInputError, match="standard input has ended: PIN is missing"):
                    await prompt.read("PIN: ")
        assert capsys.readouterr().err == "Code:\nAgain:\nPIN:\nPIN:\n"

    async def test_a_file_is_read_too(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "lines").write_text(f"{PIN}\n")
        with (tmp_path / "lines").open() as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            with prompting.prompting() as prompt:
                assert await prompt.read("PIN: ") == PIN

    async def test_a_line_without_end_is_cut_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with Path("/dev/zero").open() as stdin:  # noqa: ASYNC230 - it never keeps anybody waiting
            monkeypatch.setattr(sys, "stdin", stdin)
            with prompting.prompting() as prompt:
                assert len(await prompt.read("PIN: ")) == 4096

    async def test_no_standard_input_at_all(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stdin", None)
        with (
            prompting.prompting() as prompt,
            pytest.raises(NoInputError, match="standard input is closed: PIN is missing"),
        ):
            await prompt.read("PIN: ")
