"""`wa-phone watch`: what changes about the numbers of accounts, as it is seen."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import Parameter

from wa_phone_async import AuthenticationError, GraphAPIError
from wa_phone_async.cli.connection import HERE, Connection, Link, connect
from wa_phone_async.cli.errors import sentence
from wa_phone_async.cli.options import accounts_to_read, parse_fields
from wa_phone_async.cli.terminal.changes import Account, Board, JsonLines, TextLines
from wa_phone_async.cli.terminal.output import complain, counted, takes_escapes, tell
from wa_phone_async.cli.terminal.progress import repeating

if TYPE_CHECKING:
    from wa_phone_async.sandbox import Sandbox

Format = Literal["table", "text", "jsonl"]

_SECONDS_PER_DRAWING: Final = 1.0

USAGE: Final = "wa-phone watch [WABA_ID...] [OPTIONS]"
EXAMPLES: Final = """\
wa-phone watch --sandbox --interval 2
wa-phone watch $WABA_ID
wa-phone watch $WABA_ID --fields id,status,name_status
wa-phone watch $WABA_ID $OTHER_ID --format jsonl >> seen
wa-phone watch $WABA_ID --interval 300 --timeout 86400
"""


async def watch_numbers(
    *waba_ids: Annotated[str, Parameter(name="WABA_ID")],
    interval: Annotated[float, Parameter(metavar="SECONDS")] = 60.0,
    total_timeout: Annotated[float | None, Parameter(name=("--total-timeout", "--timeout"), metavar="SECONDS")] = None,
    fields: Annotated[str, Parameter(metavar="NAMES")] = "all",
    form: Annotated[Format, Parameter(name="--format", metavar="FORMAT")] = "table",
    connection: Connection = HERE,
) -> int:
    """Show what changes about the phone numbers of WhatsApp Business Accounts, until Ctrl-C.

    Each account's whole list is read again and again, and what is different from the list before is shown: on a
    terminal in a table that is drawn anew, newest first, under the state of each account; in a pipe a line for each
    change. A number that comes or goes is shown as such. The first list is what later ones are compared with.

    After a change it looks a quarter of --interval later, and up to four times --interval apart while nothing changes.
    Where more than a quarter of the hour's budget is used, it looks less often.

    It says when an account is throttled or the API cannot be reached, and goes on. An account that is refused otherwise
    is reported, and the others are watched all the same; the exit status is then 1. Ctrl-C ends it with 130.

    Args:
        waba_ids: Ids of the accounts; with --sandbox and none, the sandbox's account of 3 numbers, which lives there.
        interval: Seconds between two looks at an account. A look costs a call for each 100 numbers.
        total_timeout: Seconds after which it ends; unless told, Ctrl-C does.
        fields: Fields to ask for, comma-separated, or "all" for every field known.
        form: How changes are written; a table is for terminals, and text in a pipe.
        connection: Where to run.
    """
    given = accounts_to_read(waba_ids, connection, sample="small")
    async with connect(connection, shows_waits=True) as link:
        accounts = [
            Account(
                link.client.watch(waba_id, interval=interval, total_timeout=total_timeout, fields=parse_fields(fields))
            )
            for waba_id in dict.fromkeys(given)
        ]
        try:
            with _board(form, accounts) as board:
                async with repeating(board.draw, _SECONDS_PER_DRAWING), _living(link.sandbox, accounts, interval):
                    await _watch(accounts, board)
        except asyncio.CancelledError:
            tell(_summary(accounts, link))
            raise
        tell(_summary(accounts, link))
    return 1 if any(account.refusal for account in accounts) else 0


def _board(form: Format, accounts: Sequence[Account]) -> AbstractContextManager[Board]:
    if form == "jsonl":
        return JsonLines(accounts)
    if form == "text" or not takes_escapes(sys.stdout):
        return TextLines(accounts)
    from wa_phone_async.cli.terminal.live import LiveTable  # noqa: PLC0415 - rich, which nothing else here needs

    return LiveTable(accounts)


async def _watch(accounts: Sequence[Account], board: Board) -> None:
    """Watch all accounts at once, until each has ended."""
    failures: Sequence[Exception] = ()
    try:
        async with asyncio.TaskGroup() as tasks:
            for account in accounts:
                tasks.create_task(_watch_one(account, board, is_alone=len(accounts) == 1))
    except ExceptionGroup as group:
        failures = group.exceptions
    for failure in failures:
        raise failure


async def _watch_one(account: Account, board: Board, *, is_alone: bool) -> None:
    try:
        async for change in account.watch:
            account.changes += 1
            board.change(change)
    except GraphAPIError as error:
        if is_alone or isinstance(error, AuthenticationError):  # accounts share their token
            raise
        account.refusal = sentence(error)
        complain(f"{account.waba_id}: {account.refusal}")


@asynccontextmanager
async def _living(sandbox: Sandbox | None, accounts: Sequence[Account], seconds: float) -> AsyncGenerator[None]:
    """Let something happen to the first account of a sandbox while the block runs."""
    if sandbox is None:
        yield
        return
    from wa_phone_async.sandbox.demo import number_stages  # noqa: PLC0415 - a web server, which few commands need

    async with repeating(number_stages(sandbox, accounts[0].waba_id), seconds):
        yield


def _summary(accounts: Sequence[Account], link: Link) -> str:
    changes = sum(account.changes for account in accounts)
    of_accounts = f" of {len(accounts):,} accounts" if len(accounts) > 1 else ""
    return f"{counted(changes, 'change')}{of_accounts}, {counted(link.calls, 'call')}"
