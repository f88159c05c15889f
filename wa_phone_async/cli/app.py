"""The commands together, and how a run of one ends."""

from __future__ import annotations

import itertools
import logging
import traceback
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from cyclopts import App, CycloptsError, Group

from wa_phone_async import __version__

from .commands import completion
from .commands import create as creating
from .commands import export as exporting
from .commands import list as listing
from .commands import onboard as onboarding
from .commands import sandbox as serving
from .commands import watch as watching
from .errors import INTERRUPTED, TERMINATED, exit_status, sentence
from .terminal.help import FORMATTER, HelpPage
from .terminal.output import complain, drop_stdout, tell
from .terminal.stopping import ending_when_killed

HELP: Final = """\
Phone numbers of WhatsApp Business Accounts (WABA), through Meta's Graph API.

The access token is read from WA_ACCESS_TOKEN or --token-file, never from an argument. With --sandbox, commands run
against an embedded Graph API with invented accounts: try them there.

Data goes to stdout, all else to stderr. The exit status is 0; 1 when the API refused or was not reached; 2 for misuse;
3 when some accounts of an export failed; 130 for Ctrl-C; 143 for a kill that left time to end in order.

Colours and views that are drawn anew are for terminals: a pipe gets plain lines. So does a terminal where NO_COLOR is
set, or TERM is dumb. COLUMNS sets the width. A shell completes all this after "wa-phone completion".
"""

EXAMPLES: Final = """\
wa-phone list --sandbox
wa-phone list $WABA_ID --format csv > numbers.csv
wa-phone list --help
wa-phone completion --help
"""


def _epilogue(examples: str) -> str:
    return f"Examples:\n```text\n{examples}```"


app: Final = App(
    name="wa-phone",
    usage="wa-phone COMMAND [OPTIONS]",
    help=HELP,
    help_epilogue=_epilogue(EXAMPLES),
    help_format="markdown",  # which fills paragraphs: docstrings break their lines where the source does
    help_formatter=FORMATTER,
    version=__version__,
    group_parameters=Group("Options", sort_key=1),
    exit_on_error=False,
    print_error=False,
    suppress_keyboard_interrupt=False,
    result_action="return_value",
)
for _flag, _what in (("--help", "Show this help."), ("--version", "Show the version.")):
    app[_flag].group, app[_flag].help = "Options", _what

COMMANDS: Final[tuple[tuple[str, Callable[..., Any], str, str], ...]] = (  # in the order in which --help lists them
    ("list", listing.list_numbers, listing.USAGE, listing.EXAMPLES),
    ("create", creating.create_number, creating.USAGE, creating.EXAMPLES),
    ("onboard", onboarding.onboard_number, onboarding.USAGE, onboarding.EXAMPLES),
    ("watch", watching.watch_numbers, watching.USAGE, watching.EXAMPLES),
    ("export", exporting.export_numbers, exporting.USAGE, exporting.EXAMPLES),
    ("sandbox", serving.serve_sandbox, serving.USAGE, serving.EXAMPLES),
    ("completion", completion.completion_command(app), completion.USAGE, completion.EXAMPLES),
)
for _place, (_name, _command, _usage, _examples) in enumerate(COMMANDS):
    app.command(_command, name=_name, usage=_usage, help_epilogue=_epilogue(_examples), sort_key=_place)


def run(arguments: Sequence[str]) -> int:
    """Run a command to its end.

    Args:
        arguments: What follows `wa-phone` on the command line.

    Returns:
        The exit status.
    """
    with ending_when_killed() as kill:
        status = _run(arguments)
    return TERMINATED if kill.is_asked and status == INTERRUPTED else status


def _run(arguments: Sequence[str]) -> int:
    try:
        with _warnings_shown():
            page = HelpPage()
            status = app(_with_command_first(arguments), console=page.console)
            page.show()
            return status or 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader has seen enough, which is no failure
        drop_stdout()
        return 0
    except Exception as error:  # noqa: BLE001 - people get a sentence, whatever it is
        # What was misused is in the sentence; a traceback would add nothing but every argument, a secret perhaps.
        if "--debug" in arguments and not isinstance(error, CycloptsError):
            traceback.print_exception(error)
        complain(sentence(error))
        for note in getattr(error, "__notes__", ()):
            tell(note)
        return exit_status(error)


def _with_command_first(arguments: Sequence[str]) -> Sequence[str]:
    """The same without a `--debug` before the command, which people try there; `_run` heeds it anywhere."""
    return list(itertools.dropwhile(lambda argument: argument == "--debug", arguments))


class _ToStderr(logging.Handler):
    """Shows what the library logs as this command's own lines."""

    def emit(self, record: logging.LogRecord) -> None:
        complain(record.getMessage())


@contextmanager
def _warnings_shown() -> Generator[None]:
    logger, handler = logging.getLogger("wa_phone_async"), _ToStderr(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
