"""`wa-phone registrations`: what the ledger has counted for each number."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final, Literal

from cyclopts import Parameter

from wa_phone_async import FileRegistrationLedger, InvalidArgumentError, RegistrationUsage
from wa_phone_async.checks import read_node_id
from wa_phone_async.cli.commands import new_command
from wa_phone_async.cli.connection import REGISTERING_HERE, RegisteringConnection
from wa_phone_async.cli.ledger import stored_ledger
from wa_phone_async.cli.terminal.formats import to_json
from wa_phone_async.cli.terminal.output import counted, tell, use_utf8, write
from wa_phone_async.ratelimit.registrations import MAX_REGISTRATIONS, StoredLedger

Format = Literal["text", "jsonl"]

USAGE: Final = "wa-phone registrations [PHONE_NUMBER_ID...] [OPTIONS]"
EXAMPLES: Final = """\
wa-phone registrations --sandbox
wa-phone registrations
wa-phone registrations $PHONE_NUMBER_ID --format jsonl
wa-phone registrations $PHONE_NUMBER_ID --forget
wa-phone registrations --registrations fleet.db
"""

command: Final = new_command("registrations", USAGE, EXAMPLES)


@command.default
async def show_registrations(
    *phone_number_ids: Annotated[str, Parameter(name="PHONE_NUMBER_ID")],
    forget: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    form: Annotated[Format, Parameter(name="--format", metavar="FORMAT")] = "text",
    connection: RegisteringConnection = REGISTERING_HERE,
) -> None:
    """Show how many of its ten registrations a number has used, and when the next one is possible.

    Meta allows ten registrations and deregistrations of a number in 72 hours. One more blocks the number for 72 hours.
    So wa-phone counts each one in a ledger before it is sent, and sends no eleventh. A registration counts if its
    response was lost, and if Meta rejected it for anything but the token or a quota of calls.

    This command makes no call: it shows what the ledger has counted on this machine, or in your Redis. Meta shows its
    own count to nobody.

    Args:
        phone_number_ids: Ids of the numbers, not the phone numbers. Default: all that have used any.
        forget: Forget what was counted for these numbers, and each block of Meta that the ledger has noted. Do so only
            if you know better than the ledger.
        form: The output format: a sentence, or a line of JSON for each number.
        connection: Where to run. Only --sandbox and --registrations count here.
    """
    given = list(dict.fromkeys(read_node_id("phone_number_id", each) for each in phone_number_ids))
    if forget and not given:
        raise InvalidArgumentError("PHONE_NUMBER_ID", "given with --forget")
    async with _ledger(connection) as ledger:
        for phone_number_id in given if forget else ():
            await ledger.forget(phone_number_id)
        usages = [await ledger.usage(phone_number_id) for phone_number_id in given] if given else await ledger.usages()
    use_utf8()
    for usage in usages:
        write(_line(usage, form, datetime.now().astimezone()))
    tell(f"{counted(len(usages), 'number')}, 0 calls")


@asynccontextmanager
async def _ledger(connection: RegisteringConnection) -> AsyncGenerator[StoredLedger]:
    """The ledger to show. A sandbox that names none gets an invented one."""
    if connection.sandbox and not connection.registrations:
        from wa_phone_async.sandbox import SMALL_WABA, Sandbox  # noqa: PLC0415 - a web server, which few commands need

        with TemporaryDirectory() as folder:
            invented = FileRegistrationLedger(Path(folder) / "registrations.db")
            for number, used in zip(Sandbox().numbers(SMALL_WABA), (1, 3, MAX_REGISTRATIONS), strict=True):
                for _ in range(used):
                    await invented.reserve(number["id"])
            yield invented
        return
    ledger = stored_ledger(connection.registrations)
    if ledger is None:
        hint = "with none, nothing is counted"
        raise InvalidArgumentError("--registrations or WA_REGISTRATIONS", "a file or the URL of a Redis", hint=hint)
    yield ledger


def _line(usage: RegistrationUsage, form: Format, now: datetime) -> str:
    """The line of one number."""
    at = now + timedelta(seconds=math.ceil(usage.wait))
    if form == "jsonl":
        next_at = at.isoformat(timespec="seconds")
        row = {"phone_number_id": usage.phone_number_id, "used": usage.used, "limit": usage.limit, "next_at": next_at}
        return f"{to_json(row)}\n"
    when = f"at {at:%Y-%m-%d %H:%M:%S %Z}" if usage.wait else "now"
    return f"{usage.phone_number_id}: {usage.used} of {usage.limit} used; the next one is possible {when}\n"
