"""Ctrl-C while a command starts. Nothing changes in a process that is not the command line."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from wa_phone_async import __main__ as command
from wa_phone_async.cli import starting


@pytest.mark.parametrize(
    ("argv", "orig_argv", "expected"),
    [
        (["-m", "list"], ["python", "-m", "wa_phone_async", "list"], True),
        (["-m"], ["python", "-X", "dev", "-m", "wa_phone_async"], True),
        (["-m", "list", "-m"], ["python", "-mwa_phone_async", "list", "-m"], True),
        ([str(Path("bin", "wa-phone")), "list"], ["python", "bin/wa-phone", "list"], True),
        (["wa-phone.exe"], ["wa-phone.exe"], True),
        (["-m", "wa_phone_async"], ["python", "-m", "pytest", "wa_phone_async"], False),
        (["-m"], ["python", "-m", "shop"], False),
        (["wa-phone.py"], ["python", "wa-phone.py"], False),
        (["-c", "wa_phone_async"], ["python", "-c", "import wa_phone_async", "wa_phone_async"], False),
        ([""], ["python"], False),
        ([], [], False),
    ],
)
def test_a_process_is_the_command_line(argv: list[str], orig_argv: list[str], *, expected: bool) -> None:
    assert starting.is_command(argv, orig_argv) is expected


def test_the_library_leaves_ctrl_c_alone(tmp_path: Path) -> None:
    file = tmp_path / "shop.py"
    file.write_text("import signal, wa_phone_async\nprint(signal.getsignal(2) is signal.default_int_handler)\n")
    for command_line in ([str(file)], ["-c", file.read_text()]):
        done = subprocess.run([sys.executable, *command_line], check=True, capture_output=True, text=True)
        assert done.stdout == "True\n"


def test_a_call_of_main_in_another_process_leaves_ctrl_c_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(sys, "argv", ["shop", "--version"])
    assert command.main() == 0
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_leaves_at_once_but_for_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    left = list[int]()
    monkeypatch.setattr(os, "_exit", left.append)
    monkeypatch.setattr(starting, "_IS_COMMAND", True)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        starting.leave_at_interrupt()
        signal.raise_signal(signal.SIGINT)
        assert left == [130]
        starting.raise_at_interrupt()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
