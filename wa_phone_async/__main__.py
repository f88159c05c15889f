"""`wa-phone` and `python -m wa_phone_async`: runs the command line, or says what to install for it."""

import gc
import os
import sys
from collections.abc import Callable, Sequence
from typing import Final

from .cli.starting import INTERRUPTED, leave_at_interrupt, raise_at_interrupt
from .cli.terminal.output import drop_unwritable, tell

_EXTRA: Final = frozenset({"cyclopts", "rich"})
"""What the extra `cli` installs."""


def main() -> int:
    """Run the command line with the arguments of this process.

    Returns:
        The exit status. 0: success. 1: an API error, or no connection. 2: wrong usage. 3: an export in which some
        accounts failed. 130: Ctrl-C.
    """
    _open_closed_streams()
    try:
        return _run()
    finally:
        drop_unwritable()


def _run() -> int:
    try:
        run = _load()
        raise_at_interrupt()
        return run(sys.argv[1:])
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in _EXTRA:
            raise
    except KeyboardInterrupt:  # before `run` handles it, or after
        return INTERRUPTED
    finally:
        leave_at_interrupt()
    tell('wa-phone: the command line is an extra: python -m pip install "wa_phone_async[cli]"')
    return 2


def _load() -> Callable[[Sequence[str]], int]:
    """Import what the command needs."""
    gc.disable()  # imports leave little garbage, and the search for it would take a fifth of the time
    try:
        from .cli.app import load, run  # noqa: PLC0415 - the library works without the packages of this extra

        load(sys.argv[1:])
        gc.freeze()  # modules last as long as the process: later searches, and the one at its end, skip them
    finally:
        gc.enable()
    return run


def _open_closed_streams() -> None:
    """Discard what is written to a closed stdout or stderr. Cron or a daemon may close them.

    A closed stdin stays closed: a command that reads it reports that.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_WRONLY)  # never closed: it lasts as long as the process
            setattr(sys, name, open(nowhere, "w", encoding="utf-8", closefd=False))  # noqa: SIM115 - the same


if __name__ == "__main__":
    sys.exit(main())
