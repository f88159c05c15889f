"""`wa-phone onboard`: one number, from the account's list to its approved name, with a person at the terminal."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from cyclopts import Parameter, Token

from wa_phone_async import InvalidArgumentError, WaitError, WaPhoneError
from wa_phone_async.cli.commands import new_command
from wa_phone_async.cli.connection import REGISTERING_HERE, Connection, RegisteringConnection, connect
from wa_phone_async.cli.dialog import when_to_continue
from wa_phone_async.cli.errors import FAILED
from wa_phone_async.cli.onboarding_dialog import NumberToOnboard, OnboardingDialog
from wa_phone_async.cli.terminal.output import complain, tell, write
from wa_phone_async.cli.terminal.prompt import NoInputError, prompting

USAGE: Final = "wa-phone onboard WABA_ID --phone-number DIGITS [OPTIONS]"
EXAMPLES: Final = """\
wa-phone onboard --sandbox
wa-phone onboard $WABA_ID --phone-number 16315551000 \\
    --verified-name "Acme Shoes" --cc 1
wa-phone onboard $WABA_ID --phone-number 16315551000 \\
    --verified-name "Acme Shoes" --cc 1 \\
    --code-method VOICE --language de_DE --no-wait
"""

command: Final = new_command("onboard", USAGE, EXAMPLES)

_CONTINUE: Final = "To continue, run the same command again."
_CONTINUE_SANDBOX: Final = "The sandbox is gone: the next run starts from the beginning."
_ANOTHER_NAME: Final = "If the name was declined or has expired, request another one first: wa-phone name request."


def _check_language(_: Any, language: str) -> None:
    if not re.fullmatch(r"[a-z]{2,3}(?:_[A-Z]{2})?", language):
        raise ValueError("It is the code of a language, such as en or en_US.")


def _upper(_: Any, tokens: Sequence[Token]) -> str:
    return tokens[0].value.upper()


def _check_code_method(_: Any, code_method: str) -> None:
    if code_method not in {"SMS", "VOICE"}:
        raise ValueError('Choose from: "SMS", "VOICE".')


@command.default
async def onboard_number(
    waba_id: Annotated[str | None, Parameter(name="WABA_ID", show_default=False)] = None,
    /,
    *,
    phone_number: Annotated[str | None, Parameter(metavar="DIGITS")] = None,
    verified_name: Annotated[str | None, Parameter(metavar="NAME")] = None,
    cc: Annotated[str | None, Parameter(metavar="DIGITS")] = None,
    code_method: Annotated[
        Literal["SMS", "VOICE"], Parameter(metavar="METHOD", converter=_upper, validator=_check_code_method)
    ] = "SMS",
    language: Annotated[str, Parameter(metavar="CODE", validator=_check_language)] = "en_US",
    no_wait: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    connection: RegisteringConnection = REGISTERING_HERE,
) -> int:
    """Add a phone number to an account, verify it, register it, and wait for its name.

    1. It finds the number in the account, or creates it.
    2. It has a code sent to the number, and you type the code.
    3. It registers the number. You type the PIN that the number has, or a new one.
    4. It waits until Meta has approved the name, and prints the number's id.

    Steps that are done are skipped. So you can leave with Ctrl-C at any time. Run the same command again to continue.

    The prompts do not show what you type. A wrong code or PIN is sent once, since Meta counts them, and you can try
    again. If a response is lost, the command polls the number to see whether the step has happened. If the number is
    blocked, it says until when. The exit status is then 1, and also if Meta has declined the name.

    Without a terminal, each prompt reads a line of standard input: the code, and then the PIN, once. An empty line
    instead of the code sends a code. An invalid line ends the command.

    Args:
        waba_id: Id of the account. Default with --sandbox: the sandbox's account without a number.
        phone_number: The number, such as 16315551000 or "+1 (631) 555-1000". Default with --sandbox: an invented one.
        verified_name: The business name that customers see, 2 to 75 characters. A number that exists keeps its own.
        cc: The country's dial code, 1 to 3 digits, with or without +. Give it: some of Meta's guides require it.
        code_method: A message or a call. Landlines and VoIP numbers need a call.
        language: Language of the message or the call.
        no_wait: End when the number is registered, without waiting for the name.
        connection: Where to run.
    """
    if connection.sandbox:
        from wa_phone_async.sandbox import EMPTY_WABA  # noqa: PLC0415 - a web server, which few commands need

        waba_id, verified_name = waba_id or EMPTY_WABA, verified_name or "Acme Shoes"
        phone_number, cc = (phone_number, cc) if phone_number else ("16315551000", cc or "1")
    if waba_id is None or phone_number is None:
        raise InvalidArgumentError("WABA_ID and --phone-number", "given, or --sandbox to try it")
    wanted = NumberToOnboard(
        waba_id=waba_id,
        phone_number=phone_number,
        verified_name=verified_name,
        cc=cc,
        code_method=code_method,
        language=language,
        waits=not no_wait,
    )
    return await _onboard(wanted, connection)


async def _onboard(wanted: NumberToOnboard, connection: Connection) -> int:
    """Run the dialog. If it ends early, say how to continue."""
    how_to_continue = _CONTINUE_SANDBOX if connection.sandbox else _CONTINUE
    try:
        async with connect(connection) as link:
            with prompting() as prompt:
                number = await OnboardingDialog(link, wanted, prompt).run()
    except InvalidArgumentError:
        raise
    except NoInputError as error:
        complain(str(error))
        tell(how_to_continue)
        return FAILED
    except WaPhoneError as error:
        error.add_note(_after(error, how_to_continue, datetime.now().astimezone()))
        raise
    except (asyncio.CancelledError, KeyboardInterrupt):
        tell(f"Stopped before the end. {how_to_continue}")
        raise
    write(f"{number.id}\n")
    return 0


def _after(error: WaPhoneError, how_to_continue: str, now: datetime) -> str:
    """Say what to do after an error: try again at once, try again later, or change the name."""
    if isinstance(error, WaitError):
        return f"Waiting does not change that. {_ANOTHER_NAME} {how_to_continue}"
    return when_to_continue(error, how_to_continue, now)
