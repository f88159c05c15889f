"""`wa-phone onboard`: one number, from the account's list to its approved name, with a person beside."""

from __future__ import annotations

import asyncio
import math
import re
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

from cyclopts import Parameter

from wa_phone_async import InvalidArgumentError, WaitError, WaPhoneError
from wa_phone_async.cli.connection import HERE, Connection, connect
from wa_phone_async.cli.errors import FAILED
from wa_phone_async.cli.onboarding_dialog import Walk, Wanted
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

_AGAIN: Final = "The same command goes on from where the number is then."
_AGAIN_SANDBOX: Final = "The sandbox is gone with this command: the next one begins anew."
_ANOTHER_NAME: Final = "Where the name was declined or has expired, ask for another one in WhatsApp Manager first."


def _check_language(_: Any, language: str) -> None:
    if not re.fullmatch(r"[a-z]{2,3}(?:_[A-Z]{2})?", language):
        raise ValueError("It is the code of a language, such as en or en_US.")


async def onboard_number(
    waba_id: Annotated[str | None, Parameter(name="WABA_ID", show_default=False)] = None,
    /,
    *,
    phone_number: Annotated[str | None, Parameter(metavar="DIGITS")] = None,
    verified_name: Annotated[str | None, Parameter(metavar="NAME")] = None,
    cc: Annotated[str | None, Parameter(metavar="DIGITS")] = None,
    code_method: Annotated[Literal["SMS", "VOICE"], Parameter(metavar="METHOD")] = "SMS",
    language: Annotated[str, Parameter(metavar="CODE", validator=_check_language)] = "en_US",
    no_wait: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    connection: Connection = HERE,
) -> int:
    """Bring a phone number all the way: into the account, verified, registered, and its name approved.

    It finds the number or creates it, has a code sent, asks for the code and for the PIN at a prompt that does not show
    them, registers the number, and waits until Meta has approved its name; then it prints the number's id. Each step
    that the number has behind it is passed over. So the same command goes on where it was left, by Ctrl-C or in any
    other way, whoever left it.

    A wrong code or PIN is asked for again and never sent again, since Meta counts them. When the answer to a code or a
    PIN is lost, the number is read until it tells whether it was taken. Where the number is blocked, it says
    until when; the exit status is then 1, and so it is where Meta has declined the name.

    Where standard input is no terminal, each prompt takes a line of it: the code, then the PIN, once. An empty line in
    the place of the code has one sent. A line that is wrong ends the command.

    Args:
        waba_id: Id of the account; with --sandbox and none, the sandbox's account without a number.
        phone_number: 7 to 15 digits, without + or blanks; with --sandbox and none, an invented one.
        verified_name: The business's name as customers see it, 2 to 75 characters. A number that is there
            keeps its own.
        cc: The country's dial code, 1 to 3 digits. Give it: some of Meta's guides require it.
        code_method: How the code comes: by message or by call, which landlines and VoIP numbers want.
        language: The language of the message.
        no_wait: End when the number is registered, whatever its name.
        connection: Where to run.
    """
    if connection.sandbox:
        from wa_phone_async.sandbox import EMPTY_WABA  # noqa: PLC0415 - a web server, which few commands need

        waba_id, verified_name = waba_id or EMPTY_WABA, verified_name or "Acme Shoes"
        phone_number, cc = (phone_number, cc) if phone_number else ("16315551000", cc or "1")
    if waba_id is None or phone_number is None:
        raise InvalidArgumentError("WABA_ID and --phone-number", "given, or --sandbox to try it")
    wanted = Wanted(
        waba_id=waba_id,
        phone_number=phone_number,
        verified_name=verified_name,
        cc=cc,
        code_method=code_method,
        language=language,
        waits=not no_wait,
    )
    return await _onboard(wanted, connection)


async def _onboard(wanted: Wanted, connection: Connection) -> int:
    """Walk, and say how to go on wherever that ends before its end."""
    go_on = _AGAIN_SANDBOX if connection.sandbox else _AGAIN
    try:
        async with connect(connection) as link:
            with prompting() as prompt:
                number = await Walk(link, wanted, prompt).run()
    except InvalidArgumentError:
        raise
    except NoInputError as error:
        complain(str(error))
        tell(go_on)
        return FAILED
    except WaPhoneError as error:
        error.add_note(_after(error, go_on, datetime.now().astimezone()))
        raise
    except (asyncio.CancelledError, KeyboardInterrupt):
        tell(f"Left before the end. {go_on}")
        raise
    write(f"{number.id}\n")
    return 0


def _after(error: WaPhoneError, go_on: str, now: datetime) -> str:
    """What can be done after an error: at once, at a time, or about the name."""
    if isinstance(error, WaitError):
        return f"Waiting does not change that. {_ANOTHER_NAME} {go_on}"
    if error.retry_after is None:
        return go_on
    wait = timedelta(seconds=math.ceil(error.retry_after))
    until = now + wait + timedelta(minutes=1)  # its seconds are not shown
    return f"Try nothing before {until:%Y-%m-%d %H:%M %Z}, {wait} from now: that may make it longer. {go_on}"
