"""Takes away what Windows does not have: modules, signals, functions of `os`, and what its event loop cannot do.

It shows that each of these has another path. It does not show that Windows takes it: CI runs the tests there too.
"""

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

# Python's own modules for other systems than Windows, which need what is taken away. They are imported before that.
import concurrent.futures.process  # isort: skip  # noqa: F401 - see above
import getpass  # isort: skip  # noqa: F401 - see above
import pty  # isort: skip  # noqa: F401 - see above
import tempfile  # isort: skip  # noqa: F401 - see above

MODULES = ("fcntl", "grp", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty")
SIGNALS = ("SIGALRM", "SIGCHLD", "SIGCONT", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGWINCH", "pthread_sigmask")
OF_OS = ("O_DIRECTORY", "fork", "getpgid", "getuid", "geteuid", "killpg", "setsid", "sysconf")
OF_LOOPS = ("add_reader", "remove_reader", "add_signal_handler", "remove_signal_handler")

SITE = "import windows; windows.take_away()"


class Msvcrt(types.ModuleType):
    """The locks of the module `msvcrt`, made of those that this system has."""

    LK_NBLCK = 2

    @staticmethod
    def locking(descriptor: int, mode: int, count: int) -> None:
        """Lock as Windows does: nobody else may read these bytes, and a lock that is taken is an `EACCES`."""
        assert (mode, count) == (Msvcrt.LK_NBLCK, 1)
        assert os.lseek(descriptor, 0, os.SEEK_CUR) >= os.fstat(descriptor).st_size, "others could not read the file"
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PermissionError(13, "Permission denied") from None


def take_away() -> None:
    """Take it away from this process, for good."""
    take_away_with(pytest.MonkeyPatch())


def take_away_with(patch: pytest.MonkeyPatch) -> None:
    """Take it away until the patch is undone."""
    for name in MODULES:
        patch.setitem(sys.modules, name, None)
    patch.setitem(sys.modules, "msvcrt", Msvcrt("msvcrt"))
    patch.setattr(signal, "SIGBREAK", signal.SIGUSR1, raising=False)  # Ctrl-Break
    for name in SIGNALS:
        patch.delattr(signal, name)
    for name in OF_OS:
        patch.delattr(os, name)

    def is_not_there(*_: Any) -> None:
        raise NotImplementedError

    for name in OF_LOOPS:
        patch.setattr(asyncio.SelectorEventLoop, name, is_not_there)


def environment(directory: Path) -> dict[str, str]:
    """Return the environment of a process that has these things no more. Its `sitecustomize` is in the directory."""
    (directory / "sitecustomize.py").write_text(SITE, encoding="utf-8")
    here, before = Path(__file__).parent, os.environ.get("PYTHONPATH", "")
    paths = (str(directory), str(here), str(here.parents[1]), *filter(None, [before]))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def start(directory: Path, *arguments: str, **options: Any) -> "subprocess.Popen[str]":
    """Start Python so."""
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    command = (sys.executable, "-W", "error", *arguments)
    return subprocess.Popen(command, text=True, env=environment(directory), **streams)
