"""How a run that fails ends: with one sentence, and an exit status."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from cyclopts import CycloptsError, MissingArgumentError, UnknownCommandError, UnknownOptionError

from wa_phone_async import AuthenticationError, InvalidArgumentError, OutcomeUnknownError, WaPhoneError

from .terminal.output import reason

FAILED: Final = 1
"""The API refused, or was not reached."""
MISUSED: Final = 2
"""The command was wrong, and nothing was sent."""
INTERRUPTED: Final = 130
"""Ctrl-C."""
TERMINATED: Final = 143
"""A kill (SIGTERM) that left time to end in order."""

_OPTIONS: Final = re.compile(
    r"\b(?:fields|sort|limit|max_items|phone_number|verified_name|cc|migrate_phone_number|preverified_id|concurrency"
    r"|errors|business_id|interval|total_timeout|waba_id)(?= (?:must|is|has)\b)"
    r"|(?<=was begun with )(?:base_url|api_version|fields|filter)\b"
)
_NAMES: Final = {"business_id": "--business", "waba_id": "WABA_ID"}

_WORDS: Final[Sequence[tuple[str, str]]] = (
    (r"--migrate-phone-number is True", "--migrate-phone-number is given"),
    (r"such as \['id', 'status'\] or 'id,status'", "such as id,status"),
    (r"; None asks for the API's default$", ""),
    (r"a Sort or the API's own text for one", "an order such as creation_time.desc"),
    (r"^Filter's field must be a field's name", "--filter must begin with a field's name"),
    (r"^Filter\('(\w+)', …\) wants True or False", r"--filter \1 must be true or false"),
    (r" \(resume=True\)", ""),
    (r" is for api_version$", " is for --api-version"),
)
"""What the library says to programs, and how it is said to people."""


def exit_status(error: Exception) -> int:
    """The exit status that goes with an error."""
    return MISUSED if isinstance(error, CycloptsError | InvalidArgumentError) else FAILED


def sentence(error: Exception) -> str:
    """What went wrong, in one sentence for people; a refusal's has Meta's trace id."""
    match error:
        case UnknownOptionError():
            text = _no_secret(error.token.keyword or error.token.value) or str(error)
        case UnknownCommandError(unused_tokens=[str(option), *_]) if option.startswith("-"):
            # It is not repeated: what stands here could be anything.
            text = _no_secret(option) or "options stand behind the command, as in wa-phone list --sandbox"
        case MissingArgumentError():
            text = _missing(error)
        case InvalidArgumentError():
            text = _in_options(str(error))
        case OutcomeUnknownError():
            text = str(error).replace("call ensure_phone_number", "give --ensure")
            text = f"{text}: wa-phone list {error.waba_id} shows them"
        case AuthenticationError():
            text = f"{error}; give another token, as WA_ACCESS_TOKEN or by --token-file"
        case CycloptsError():
            text = str(error).replace("into int.", "into a whole number.").replace("into float.", "into a number.")
        case WaPhoneError():
            text = str(error)
        case OSError():
            text = f"cannot go on: {reason(error)}"
        case _:
            text = f"{type(error).__name__}: {error}: this should not happen; --debug shows where it did"
    return text


def _in_options(text: str) -> str:
    """The same in the words of the command line."""
    text = _OPTIONS.sub(lambda name: _NAMES.get(name[0], f"--{name[0].replace('_', '-')}"), text)
    for python, words in _WORDS:
        text = re.sub(python, words, text)
    return text


def _missing(error: MissingArgumentError) -> str:
    """What has to be given, and where there are examples of it."""
    command = " ".join(error.command_chain or ())
    name = error.argument.name if error.argument else "an argument"
    problem = f"{error.keyword} needs a value" if error.keyword else f"{command} needs {name}"
    return f"{problem}: wa-phone {command} --help has examples"


def _no_secret(option: str) -> str:
    """What to do instead of giving a secret as an argument, without any value: it could be that secret."""
    option = option.partition("=")[0]
    if re.search("token|secret", option):
        return (
            f"there is no {option}: other users of this machine can read arguments; "
            "export WA_ACCESS_TOKEN and WA_APP_SECRET, or give --token-file and --app-secret-file"
        )
    if option in {"--code", "--pin"}:
        return f"there is no {option}: other users of this machine can read arguments; wa-phone onboard asks for it"
    return ""
