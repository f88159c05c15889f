"""How a run that fails ends: with one sentence, and an exit status."""

from __future__ import annotations

import re
from copy import copy
from typing import Final

from cyclopts import CycloptsError, MissingArgumentError, UnknownCommandError, UnknownOptionError

from wa_phone_async.errors import AuthenticationError, InvalidArgumentError, OutcomeUnknownError, WaPhoneError

from .terminal.output import reason

FAILED: Final = 1
"""The API rejected a request, or did not respond."""
MISUSED: Final = 2
"""The command was wrong, and nothing was sent."""
SOME_FAILED: Final = 3
"""All accounts were tried, and some could not be listed."""
FOUND: Final = 4
"""There is a finding that `--fail-on` names."""
TERMINATED: Final = 143
"""A kill (SIGTERM) that left time to end in order."""

_OPTIONS: Final = {
    "Filter.field": "the FIELD of --filter",
    "Filter.value": "the VALUE of --filter",
    "accounts": "--wabas or --business",
    "business_id": "--business",
    "name": "NAME",
    "new": "NEW",
    "old": "OLD",
    "path": "--out",
    "phone_number_id": "PHONE_NUMBER_ID",
    "source": "FILE",
    "username": "USERNAME",
    "targets": "ID or FILE",
    "undo": "FILE",
    "verify_token": "--verify-token-file or WA_VERIFY_TOKEN",
    "waba_id": "WABA_ID",
    "websites": "--website",
}
"""The option of an argument, where the argument's name does not say it."""

_SHOWN_BY: Final = {
    "request_display_name": "name status {id}",
    "claim_username": "username get {id}",
    "release_username": "username get {id}",
}
"""The command that shows whether a write has happened. For any other write it is wa-phone list."""

_OF_PYTHON: Final = re.compile(r" \(in Python: [^()]*(?:\([^()]*\)[^()]*)*\)")
"""What a hint of an API error says for Python alone, such as ` (in Python: `client.list_phone_numbers("1")`)`."""


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
            text = _in_options(error)
        case OutcomeUnknownError():
            text = _unknown(error)
        case AuthenticationError():
            text = f"{error}; give another token, as WA_ACCESS_TOKEN, by --token-file or in the file of --tokens"
        case CycloptsError():
            text = str(error).replace("into int.", "into a whole number.").replace("into float.", "into a number.")
        case WaPhoneError():
            text = without_python(str(error))
        case OSError():
            text = f"cannot go on: {reason(error)}"
        case _:
            text = f"{type(error).__name__}: {error}: this should not happen; --debug shows where it did"
    return text


def without_python(text: str) -> str:
    """Leave out what the text of an API error says for Python alone."""
    return _OF_PYTHON.sub("", text)


def _in_options(error: InvalidArgumentError) -> str:
    """The error's sentence with an option in place of the argument."""
    said = copy(error)
    if error.argument in _OPTIONS:
        said.argument = _OPTIONS[error.argument]
    elif re.fullmatch("[a-z_]+", error.argument):
        said.argument = f"--{error.argument.replace('_', '-')}"
    if error.expected == "True":  # options without a value are given or left out
        said.expected = "given"
    return str(said)


def _unknown(error: OutcomeUnknownError) -> str:
    """What may have happened when a response was lost, and which command shows it."""
    lost = f"since the response to {error.operation} was lost ({error.reason})"
    command = _SHOWN_BY.get(error.operation, f"list {error.waba_id}" if error.waba_id else "name status {id}")
    shows = f"wa-phone {command.format(id=error.phone_number_id)} shows it"
    if error.phone_number is None:
        return f"{error.phone_number_id} may have changed, {lost}: {shows}"
    ensure = "wa-phone create --ensure creates it only if it is missing"
    return f"{error.phone_number} may have been created, {lost}: {shows}; {ensure}"


def _missing(error: MissingArgumentError) -> str:
    """What has to be given, and where there are examples of it."""
    command = " ".join(error.command_chain or ())
    name = error.argument.name if error.argument else "an argument"
    problem = f"{error.keyword} needs a value" if error.keyword else f"{command} needs {name}"
    return f"{problem}: wa-phone {command} --help has examples"


def _no_secret(option: str) -> str:
    """What to do instead of giving a secret as an argument, without any value: it could be that secret."""
    option = option.partition("=")[0]
    if "verify-token" in option:
        return (
            f"there is no {option}: other users of this machine can read arguments; "
            "export WA_VERIFY_TOKEN, or give --verify-token-file"
        )
    if re.search("token|secret", option):
        return (
            f"there is no {option}: other users of this machine can read arguments; "
            "export WA_ACCESS_TOKEN and WA_APP_SECRET, or give --token-file and --app-secret-file"
        )
    if option in {"--code", "--pin"}:
        return f"there is no {option}: other users of this machine can read arguments; wa-phone onboard asks for it"
    return ""
