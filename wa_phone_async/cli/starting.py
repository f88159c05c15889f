"""Ctrl-C while a command starts or ends: it leaves at once, with status 130 and without a traceback.

The package imports this module first, since imports take most of the start. This one imports only what is there
already or takes no time: no `typing`. It changes nothing in a process that is not the command line.
"""

import os
import signal
import sys

INTERRUPTED = 130
"""The exit status after Ctrl-C."""


def is_command(argv: list[str], orig_argv: list[str]) -> bool:
    """Whether a process is `wa-phone` or `python -m wa_phone_async`.

    Args:
        argv: Its `sys.argv` during the import of the package. Until Python has found a module for `-m`, it begins with
            `-m` in place of the module's file.
        orig_argv: Its `sys.orig_argv`, which has the name of the module.
    """
    if argv[:1] == ["-m"]:
        return orig_argv[-len(argv)].endswith("wa_phone_async")  # `-mwa_phone_async` is one argument
    return (argv[0] if argv else "").rpartition(os.sep)[2] in {"wa-phone", "wa-phone.exe"}


def leave_at_interrupt() -> None:
    """Let Ctrl-C end the process of a command at once: nothing is under way."""
    # An ignored SIGINT stays ignored: a shell ignores it for what a script runs in the background.
    if _IS_COMMAND and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def raise_at_interrupt() -> None:
    """Let Ctrl-C raise `KeyboardInterrupt`, as Python does by default."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(*_: object) -> None:
    # No exception: Python only prints one that is raised in a callback of an import, and then goes on.
    os._exit(INTERRUPTED)


_IS_COMMAND = is_command(sys.argv, sys.orig_argv)

leave_at_interrupt()
