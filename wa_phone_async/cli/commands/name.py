"""`wa-phone name`: the display names of numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Final

import attrs
from cyclopts import Parameter

from wa_phone_async import (
    Extra,
    InvalidArgumentError,
    NameStage,
    PhoneNumber,
    WaitError,
    WaitTimeoutError,
    WaPhoneError,
    read_display_name,
)
from wa_phone_async.call.writes import request_display_name
from wa_phone_async.checks import check_seconds, read_node_id
from wa_phone_async.cli.commands import new_command, new_subcommand
from wa_phone_async.cli.connection import HERE, REGISTERING_HERE, Connection, RegisteringConnection, connect
from wa_phone_async.cli.dialog import when_to_continue
from wa_phone_async.cli.errors import FAILED
from wa_phone_async.cli.name_dialog import NameDialog, WantedName
from wa_phone_async.cli.numbers import NumberIds, NumberLoop, NumberRows, NumbersFile, sandbox_ids
from wa_phone_async.cli.options import Form, OfWaba
from wa_phone_async.cli.terminal.output import complain, tell, write
from wa_phone_async.cli.terminal.prompt import NoInputError, prompting
from wa_phone_async.workflows.display_name import NAME_FIELDS, STAGES

USAGE: Final = "wa-phone name status|request|register [OPTIONS]"
EXAMPLES: Final = """\
wa-phone name status --sandbox
wa-phone name status $PHONE_NUMBER_ID
wa-phone name request $PHONE_NUMBER_ID "Acme Shoes"
wa-phone name register $PHONE_NUMBER_ID
"""
_STATUS: Final = """\
wa-phone name status --sandbox
wa-phone name status $PHONE_NUMBER_ID $OTHER_ID
wa-phone list $WABA_ID --format csv |
    wa-phone name status --numbers - --format csv
"""
_REQUEST: Final = """\
wa-phone name request --sandbox
wa-phone name request $PHONE_NUMBER_ID "Acme Shoes"
wa-phone name request $PHONE_NUMBER_ID "Acme" --no-wait
wa-phone name request $PHONE_NUMBER_ID "Acme Shoes" \\
    --timeout 3600 --no-register
"""
_REGISTER: Final = """\
wa-phone name register $PHONE_NUMBER_ID
wa-phone name register $PHONE_NUMBER_ID < pin.txt
"""

command: Final = new_command("name", USAGE, EXAMPLES)
_status = new_subcommand(command, "status", "wa-phone name status [PHONE_NUMBER_ID...] [OPTIONS]", _STATUS)
_request = new_subcommand(command, "request", "wa-phone name request PHONE_NUMBER_ID NAME [OPTIONS]", _REQUEST)
_register = new_subcommand(command, "register", "wa-phone name register PHONE_NUMBER_ID [OPTIONS]", _REGISTER)

_CONTINUE: Final = "To continue, run the same command again."
_CONTINUE_SANDBOX: Final = "The sandbox is gone: the next run starts from the beginning."


@command.default
async def display_names(*_: Annotated[str, Parameter(show=False)]) -> None:
    """Request another display name, follow its review, and register the number again.

    Customers see the display name of a number. Meta reviews a new one, which may take days. After its approval the
    number has to be registered again. Each command has a page of its own: wa-phone name request --help.
    """
    raise InvalidArgumentError("wa-phone name", "followed by status, request or register")


@_status.default
async def show_status(
    *ids: NumberIds,
    numbers: NumbersFile = None,
    waba: OfWaba = None,
    form: Form = "table",
    connection: Connection = HERE,
) -> int:
    """Show how far the newest display name of each number has come.

    The stage says it in one word. not-reviewed (AVAILABLE_WITHOUT_REVIEW) is no approval: the name may be used, and
    Meta has not reviewed it yet. approved waits for a registration. next says what to do; below a table a message does.

    A number costs one call. Rows come in the order of the ids, as they are read. If the API rejects one of several
    numbers, a message says so, and the others follow. The exit status is then 1.

    Args:
        ids: Ids of the numbers. Default with --sandbox: those of the sandbox's small account.
        numbers: File with an id in each line, or - for standard input. A CSV of wa-phone list or export is one, too.
        waba: Account of the numbers: its token is used, and its quota counts.
        form: The output format.
        connection: Where to run.
    """
    loop = NumberLoop(ids, numbers, connection)
    stages = dict[NameStage, str]()
    async with connect(connection) as link:
        columns = (*NAME_FIELDS, "stage", "next")
        rows = NumberRows(form, columns, ("id", "display_phone_number", "verified_name", "new_display_name", "stage"))

        async def read(number: str) -> PhoneNumber:
            return await link.client.get_phone_number(number, fields=NAME_FIELDS, waba_id=waba)

        async for _, number in loop.each(read):
            name = read_display_name(number)
            more = {"stage": name.stage.value, "next": name.remedy}
            rows.add(attrs.evolve(number, extra=Extra({**number.extra, **more})))
            stages[name.stage] = name.remedy
        rows.end(loop, link.calls)
        for stage, remedy in stages.items() if form == "table" else ():
            tell(f"{stage}: {STAGES[stage]} {remedy}")
    return FAILED if loop.failed else 0


@_request.default
async def request_name(
    phone_number_id: Annotated[str | None, Parameter(name="PHONE_NUMBER_ID", show_default=False)] = None,
    name: Annotated[str | None, Parameter(name="NAME", show_default=False)] = None,
    /,
    *,
    anyway: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    no_wait: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    no_register: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    interval: Annotated[float, Parameter(metavar="SECONDS")] = 60.0,
    total_timeout: Annotated[float | None, Parameter(name=("--total-timeout", "--timeout"), metavar="SECONDS")] = None,
    waba: OfWaba = None,
    connection: RegisteringConnection = REGISTERING_HERE,
) -> int:
    """Request another display name for a number, follow its review, and register the number again.

    1. It reads the number. A name that is requested already is not requested again.
    2. It requests the name, once. If the response is lost, it polls the number to see whether that has happened.
    3. It waits for Meta's review, which may take days.
    4. After the approval it registers the number again, with the PIN that you type. That spends one of the ten
       registrations that Meta allows for a number in 72 hours.

    You can leave with Ctrl-C at any time. Run the same command again to continue.

    If Meta has not reviewed the name yet (AVAILABLE_WITHOUT_REVIEW), it says so and ends: the name may be used, and a
    review may decline it later. If Meta has declined the name, or its certificate has expired, the exit status is 1.

    Without a terminal, the PIN is a line of standard input. It costs a call for each poll, and one for each write. The
    last stage is printed: in-review, not-reviewed, approved, in-use or registered.

    Args:
        phone_number_id: Id of the number. Default with --sandbox: one of the sandbox.
        name: The name. Meta's display name guidelines say what it accepts.
        anyway: Request it even if it was declined or has expired, or if another name is in review.
        no_wait: End after the request.
        no_register: End after the review, without a registration.
        interval: Seconds between two polls. A poll is a call.
        total_timeout: Seconds to wait for the review. Default: no limit.
        waba: Account of the number: its token is used, and its quota counts.
        connection: Where to run.
    """
    if connection.sandbox:
        phone_number_id, name = phone_number_id or sandbox_ids()[0], name or "Acme Shoes"
    if phone_number_id is None or name is None:
        raise InvalidArgumentError("PHONE_NUMBER_ID and NAME", "given, or --sandbox to try it")
    check_seconds("interval", interval)
    if total_timeout is not None:
        check_seconds("total_timeout", total_timeout)
    request = request_display_name(phone_number_id, name)  # it checks both, before the number is read
    wanted = WantedName(
        phone_number_id=request.path,
        name=name,
        waba_id=waba,
        anyway=anyway,
        waits=not no_wait,
        registers=not no_register,
        interval=interval,
        total_timeout=total_timeout,
    )
    return await _run(wanted, connection, NameDialog.run)


@_register.default
async def register_name(
    phone_number_id: Annotated[str, Parameter(name="PHONE_NUMBER_ID")],
    /,
    *,
    waba: OfWaba = None,
    connection: RegisteringConnection = REGISTERING_HERE,
) -> int:
    """Register a number again. Customers see its approved display name afterwards.

    It spends one of the ten registrations that Meta allows for a number in 72 hours. So it reads the number first, and
    sends nothing if the name is in review, declined or expired: before its approval a registration changes nothing.

    You type the PIN of the number. It is not shown. Without a terminal, it is a line of standard input. It costs two
    calls.

    Args:
        phone_number_id: Id of the number.
        waba: Account of the number: its token is used, and its quota counts.
        connection: Where to run.
    """
    wanted = WantedName(phone_number_id=read_node_id("phone_number_id", phone_number_id), waba_id=waba)
    return await _run(wanted, connection, NameDialog.register)


async def _run(wanted: WantedName, connection: Connection, act: Callable[[NameDialog], Awaitable[str]]) -> int:
    """Run a dialog, and print how far the name has come. If it ends early, say how to continue."""
    how_to_continue = _CONTINUE_SANDBOX if connection.sandbox else _CONTINUE
    try:
        async with connect(connection) as link:
            with prompting() as prompt:
                stage = await act(NameDialog(link, wanted, prompt))
    except InvalidArgumentError:
        raise
    except NoInputError as error:
        complain(str(error))
        tell(how_to_continue)
        return FAILED
    except WaPhoneError as error:
        if isinstance(error, WaitTimeoutError) or not isinstance(error, WaitError):  # the text of others says it all
            error.add_note(when_to_continue(error, how_to_continue, datetime.now().astimezone()))
        raise
    except (asyncio.CancelledError, KeyboardInterrupt):
        tell(f"Stopped before the end. {how_to_continue}")
        raise
    write(f"{stage}\n")
    return 0
