"""`wa-phone` in a process at a real terminal, where there are pseudo-terminals."""

import os
import re
import select
import signal
import subprocess
import sys

import pytest

pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")
termios = pytest.importorskip("termios", reason="there are no pseudo-terminals here")

LEADER = """
import os, sys
os.close(os.open(os.ttyname(0), os.O_RDWR))  # the first one that the leader of a session opens is its own, for Ctrl-C
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


class Terminal:
    """`wa-phone` at a terminal, and a person who waits for its prompts."""

    def __init__(self, *arguments: str) -> None:
        self.screen = ""
        self.at = 0
        self.master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, 80))
        command = ("-W", "error", "-m", "wa_phone_async", *arguments)
        self.process = subprocess.Popen(
            [sys.executable, "-c", LEADER, *command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env=dict(os.environ),
        )
        os.close(slave)

    def read(self) -> bool:
        """Read what is shown next. It is `False` at the end."""
        if not select.select([self.master], [], [], 30)[0]:
            raise AssertionError(f"nothing more is shown after: {self.screen}")
        try:
            piece = os.read(self.master, 65536)
        except OSError:  # how Linux says that the other side was closed
            piece = b""
        self.screen += piece.decode().replace("\r\n", "\n")
        return bool(piece)

    def expect(self, pattern: str) -> str:
        """Wait until a pattern is shown after the last one, and return its first group."""
        while not (found := re.compile(pattern).search(self.screen, self.at)):
            assert self.read(), f"it ended without {pattern}: {self.screen}"
        self.at = found.end()
        return found[1] if found.re.groups else found[0]

    def enter(self, label: str, text: str) -> None:
        """Type a line, when its prompt is there."""
        self.expect(f"   {label}: $")
        self.type(f"{text}\n")

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    @property
    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self.master)[3] & termios.ECHO)

    def leave(self, way: str) -> None:
        """End it by Ctrl-C, typed as it is, or by a kill."""
        if way == "Ctrl-C":
            self.type("\x03")
            self.expect(r"(?m)^Stopped before the end\. To continue, run the same command again\.\n$")
            assert self.end() == 130
        else:
            self.process.kill()
            assert self.end() == -signal.SIGKILL

    def end(self) -> int:
        """Read to the end, and return the exit status."""
        while self.read():
            pass
        return self.process.wait()

    def close(self) -> None:
        """End the process, also after a test that has failed."""
        self.process.kill()
        self.process.wait()
        os.close(self.master)
