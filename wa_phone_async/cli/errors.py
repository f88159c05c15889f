"""How a run that fails ends: with one sentence, and an exit status."""

from __future__ import annotations

import re
from typing import Final

from cyclopts import CycloptsError, UnknownOptionError

from wa_phone_async import GraphAPIError, InvalidArgumentError, OutcomeUnknownError, WaPhoneError

from .output import reason

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
    r"|errors|business_id|access_token|interval|total_timeout)(?= (?:must|is|has)\b)"
)
_NAMES: Final = {"access_token": "the access token", "business_id": "--business"}


def exit_status(error: Exception) -> int:
    """The exit status that goes with an error."""
    return MISUSED if isinstance(error, CycloptsError | InvalidArgumentError) else FAILED


def sentence(error: Exception) -> str:
    """What went wrong, in one sentence for people; a refusal's has Meta's trace id."""
    match error:
        case UnknownOptionError():
            text = _unknown_option(error)
        case InvalidArgumentError():
            text = _OPTIONS.sub(lambda name: _NAMES.get(name[0], f"--{name[0].replace('_', '-')}"), str(error))
            text = text.replace("--migrate-phone-number is True", "--migrate-phone-number is given")
        case OutcomeUnknownError():
            text = f"{error}: wa-phone list {error.waba_id} shows them"
        case GraphAPIError(error_user_msg=str(message)) if message:
            text = f"{message.rstrip('.')}: {error}"
        case CycloptsError() | WaPhoneError():
            text = str(error)
        case OSError():
            text = f"cannot go on: {reason(error)}"
        case _:
            text = f"{type(error).__name__}: {error}: this should not happen; --debug shows where it did"
    return text


def _unknown_option(error: UnknownOptionError) -> str:
    """Which option is unknown, without any value: it could be a secret."""
    option = (error.token.keyword or error.token.value).partition("=")[0]
    if re.search("token|secret", option):
        return (
            f"there is no {option}: other users of this machine can read arguments; "
            "export WA_ACCESS_TOKEN and WA_APP_SECRET, or give --token-file and --app-secret-file"
        )
    if option in {"--code", "--pin"}:
        return f"there is no {option}: other users of this machine can read arguments; wa-phone onboard asks for it"
    return str(error)
