"""`wa-phone create`: a new number in an account."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from cyclopts import Parameter

from wa_phone_async import EnsuredPhoneNumber, to_dict
from wa_phone_async.cli.commands import new_command
from wa_phone_async.cli.connection import HERE, Connection, connect
from wa_phone_async.cli.terminal.formats import to_json
from wa_phone_async.cli.terminal.output import tell, use_utf8, write

USAGE: Final = "wa-phone create WABA_ID --phone-number DIGITS [OPTIONS]"
EXAMPLES: Final = """\
wa-phone create $WABA_ID --phone-number 16315551000 \\
    --verified-name "Acme Shoes" --cc 1
wa-phone create $WABA_ID --phone-number 16315551000 \\
    --verified-name "Acme Shoes" --cc 1 --ensure
wa-phone create $WABA_ID --phone-number 16315551000 \\
    --migrate-phone-number
wa-phone create 100200300400000 --sandbox \\
    --phone-number 16315551000 --verified-name Acme --cc 1
"""

command: Final = new_command("create", USAGE, EXAMPLES)


@command.default
async def create_number(
    waba_id: Annotated[str, Parameter(name="WABA_ID")],
    /,
    *,
    phone_number: Annotated[str, Parameter(metavar="DIGITS")],
    verified_name: Annotated[str | None, Parameter(metavar="NAME")] = None,
    cc: Annotated[str | None, Parameter(metavar="DIGITS")] = None,
    migrate_phone_number: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    preverified_id: Annotated[str | None, Parameter(metavar="ID")] = None,
    ensure: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    form: Annotated[Literal["id", "json"], Parameter(name="--format", metavar="FORMAT")] = "id",
    connection: Connection = HERE,
) -> None:
    """Add a phone number to a WhatsApp Business Account.

    It prints the id of the new number. The number is not verified yet, and no code has been sent: wa-phone onboard does
    the rest.

    The request is sent once, and never retried. If its response is lost, the number may exist or not. The command says
    so and ends with status 1: see wa-phone list before you try again. With --ensure it does that itself, and you can
    run it as often as you like. It finds a number with and without its country code, and creates none that is there.

    Args:
        waba_id: Id of the account.
        phone_number: The number, such as 16315551000 or "+1 (631) 555-1000".
        verified_name: The business name that customers see, 2 to 75 characters. Required, unless you migrate a number.
        cc: The country's dial code, 1 to 3 digits, with or without +. Give it: some of Meta's guides require it.
        migrate_phone_number: Move the number here from another account.
        preverified_id: Id of a number that was verified in advance.
        ensure: Create the number only if the account does not have it, and check again if the response is lost.
        form: The id, or the API's response as JSON. With --ensure, the JSON has the number, and whether it was created.
        connection: Where to run.
    """
    async with connect(connection) as link:
        call = link.client.ensure_phone_number if ensure else link.client.create_phone_number
        made = await call(
            waba_id,
            phone_number=phone_number,
            verified_name=verified_name,
            cc=cc,
            migrate_phone_number=migrate_phone_number or None,
            preverified_id=preverified_id,
        )
    number_id, outcome = (
        (made.phone_number.id, made.outcome) if isinstance(made, EnsuredPhoneNumber) else (made.id, "created")
    )
    news = "it was there already" if outcome == "found" else "unverified, and no code has been sent yet"
    tell(f"{outcome} {phone_number} in WABA {waba_id}: id {number_id}; {news}")  # first: stdout may be a full disk
    use_utf8()
    write(f"{number_id if form == 'id' else to_json(to_dict(made))}\n")
