"""`wa-phone`, and `python -m wa_phone_async`: the command line, or in one line what to install for it."""

import os
import sys
from typing import Final

_EXTRA: Final = frozenset({"cyclopts", "rich"})
"""What the extra `cli` installs."""


def main() -> int:
    """Run the command line with the arguments of this process.

    Returns:
        The exit status: 0, 1 where the API refused or was not reached, 2 for misuse, 3 where
        some accounts of an export failed, 130 for Ctrl-C.
    """
    _open_closed_streams()
    try:
        from .cli.app import run  # noqa: PLC0415 - the library works without the packages that this needs

        return run(sys.argv[1:])
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in _EXTRA:
            raise
    except KeyboardInterrupt:  # while it was still starting
        return 130
    sys.stderr.write('wa-phone: the command line is an extra: python -m pip install "wa_phone_async[cli]"\n')
    return 2


def _open_closed_streams() -> None:
    """Let what is written to a closed stdout or stderr go nowhere, as where cron or a daemon closes them.

    A closed stdin stays closed: what would read it says so.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_WRONLY)  # nothing closes it: it lasts as long as the process
            setattr(sys, name, open(nowhere, "w", encoding="utf-8", closefd=False))  # noqa: SIM115 - the same


if __name__ == "__main__":
    sys.exit(main())
