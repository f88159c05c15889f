"""The commands together, and how a run ends."""

from __future__ import annotations

import itertools
import logging
import sys
import traceback
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from cyclopts import App, CycloptsError, Group

from wa_phone_async._version import __version__

from .commands import epilogue
from .errors import TERMINATED, exit_status, sentence
from .starting import INTERRUPTED
from .terminal.hiding import hiding, without_secrets
from .terminal.output import complain, tell
from .terminal.stopping import ending_when_killed

HELP: Final = """\
Manage the phone numbers of WhatsApp Business Accounts (WABA) through Meta's Graph API.

To try a command, add --sandbox: it then uses an embedded Graph API with invented accounts, and needs no token.

To use your own accounts, export your access token as WA_ACCESS_TOKEN, or give its file with --token-file. --tokens
takes a file with a token for each account. A token is never an argument: other users of the machine can read arguments.
HTTPS_PROXY and NO_PROXY name the proxy.

Data goes to stdout, and messages go to stderr. The exit status tells how a command ended:

```text
  0  success
  1  the API rejected a request, or did not respond
  2  an argument is wrong, and nothing was sent
  3  some accounts of export, diff or report failed
  4  health or diff found what --fail-on names
130  Ctrl-C
143  a kill (SIGTERM); the command ended in order
```

Where Ctrl-C (SIGINT) is ignored at the start, as for jobs that a script runs in the background, it stays ignored. A
kill still ends the command in order.

Colours and full-screen views are for terminals. You get plain lines in a pipe, with NO_COLOR, and with TERM=dumb.
COLUMNS sets the width.
"""

EXAMPLES: Final = """\
wa-phone list --sandbox
wa-phone doctor
wa-phone accounts
wa-phone list $WABA_ID --format csv > numbers.csv
wa-phone list --help
wa-phone completion --help
"""


app: Final = App(
    name="wa-phone",
    usage="wa-phone COMMAND [OPTIONS]",
    help=HELP,
    help_epilogue=epilogue(EXAMPLES),
    help_format="markdown",  # which fills paragraphs: docstrings break their lines where the source does
    version=__version__,
    group_parameters=Group("Options", sort_key=1),
    exit_on_error=False,
    print_error=False,
    suppress_keyboard_interrupt=False,
    result_action="return_value",
)
for _flag, _what in (
    ("--help", "Show help."),
    ("--version", "Show the version."),
):
    app[_flag].group, app[_flag].help = "Options", _what

COMMANDS: Final = (  # --help lists them in this order
    ("doctor", "Check the set-up, from the network to the permissions of the token, and say what to do."),
    ("accounts", "List the WhatsApp Business Accounts of a token or of a business."),
    ("list", "List the phone numbers of WhatsApp Business Accounts."),
    ("create", "Add a phone number to a WhatsApp Business Account."),
    ("onboard", "Add a phone number to an account, verify it, register it, and wait for its name."),
    ("registrations", "Show how many of its ten registrations a number has used, and when the next one is possible."),
    ("name", "Request another display name, follow its review, and register the number again."),
    ("username", "Read, claim and release the usernames of phone numbers."),
    ("watch", "Show changes to the phone numbers of WhatsApp Business Accounts, until Ctrl-C."),
    ("health", "Say why phone numbers cannot send messages, and what to do."),
    ("webhooks", "Find numbers whose webhooks get lost, and set, clear or restore callback URLs."),
    ("report", "Write a page that shows how numbers are, what is wrong with them, and what to do."),
    ("profile", "Show the business profiles of numbers, and set or restore them."),
    ("export", "Export the phone numbers of many accounts to a file."),
    ("diff", "Show what has changed between two exports, or between an export and now."),
    ("sandbox", "Serve the Graph API with invented accounts, on this machine only, until Ctrl-C."),
    ("completion", "Write the script with which a shell completes commands, options and values."),
)
"""Each command, and the summary line of its function: `--help` shows it without an import of the command's module."""
for _place, (_name, _summary) in enumerate(COMMANDS):
    app.command(f"wa_phone_async.cli.commands.{_name}:command", name=_name, help=_summary, sort_key=_place)


def load(arguments: Sequence[str]) -> None:
    """Import the command that the arguments name. `run` does the same; this lets you do it earlier."""
    for name, _ in COMMANDS:
        if name in arguments:
            app[name].help = None  # its own page shows the docstring of its function, and not only the summary


def run(arguments: Sequence[str]) -> int:
    """Run a command.

    Args:
        arguments: The arguments after `wa-phone`.

    Returns:
        The exit status.
    """
    with hiding(arguments), ending_when_killed() as kill:
        status = _run(arguments)
    return TERMINATED if kill.is_set and status == INTERRUPTED else status


def _run(arguments: Sequence[str]) -> int:
    try:
        with _warnings_shown():
            return _call(_with_command_first(arguments))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader has left, as `head` does; that is no failure
        return 0
    except ModuleNotFoundError:  # of an extra that is not installed: `__main__` says so
        raise
    except Exception as error:  # noqa: BLE001 - people get a sentence for every error
        # The sentence says which argument is wrong. A traceback would only add all arguments, and one may be a secret.
        if "--debug" in arguments and not isinstance(error, CycloptsError):
            with suppress(OSError):  # as in `tell`
                sys.stderr.write(without_secrets("".join(traceback.format_exception(error))))
        complain(sentence(error))
        for note in getattr(error, "__notes__", ()):
            tell(note)
        return exit_status(error)


def _call(arguments: Sequence[str]) -> int:
    load(arguments)
    if arguments and not {*app.help_flags, *app.version_flags}.intersection(arguments):
        return app(arguments) or 0
    from .terminal.help import FORMATTER, HelpPage  # noqa: PLC0415 - rich, which nothing else here needs

    app.help_formatter, page = FORMATTER, HelpPage()
    status = app(arguments, console=page.console)
    page.show()
    return status or 0


def _with_command_first(arguments: Sequence[str]) -> Sequence[str]:
    """Drop `--debug` before the command: people try it there, and `_run` finds it anywhere."""
    return list(itertools.dropwhile(lambda argument: argument == "--debug", arguments))


class _ToStderr(logging.Handler):
    """Shows the warnings of the library as messages of the command."""

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
