"""`wa-phone username`: the usernames of numbers."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated, Final

from cyclopts import App, Parameter

from wa_phone_async import BusinessUsername, Extra, InvalidArgumentError, PhoneNumber, UsernameStatus
from wa_phone_async.call import writes
from wa_phone_async.call.writes import TransferAction
from wa_phone_async.checks import read_node_id
from wa_phone_async.cli.commands import new_command, new_subcommand
from wa_phone_async.cli.connection import HERE, Connection, Link, connect
from wa_phone_async.cli.errors import FAILED
from wa_phone_async.cli.numbers import NumberIds, NumberLoop, NumberRows, NumbersFile, sandbox_ids
from wa_phone_async.cli.options import Form, OfWaba
from wa_phone_async.cli.terminal.output import counted, tell, write
from wa_phone_async.cli.terminal.prompt import confirm

USAGE: Final = "wa-phone username get|suggest|claim|release [OPTIONS]"
EXAMPLES: Final = """\
wa-phone username get --sandbox
wa-phone username suggest $PHONE_NUMBER_ID
wa-phone username claim $PHONE_NUMBER_ID acme.shoes
wa-phone username release --help
"""
_GET: Final = """\
wa-phone username get --sandbox
wa-phone username get $PHONE_NUMBER_ID $OTHER_ID
wa-phone list $WABA_ID --format csv |
    wa-phone username get --numbers - --format csv
"""
_SUGGEST: Final = """\
wa-phone username suggest --sandbox
wa-phone username suggest $PHONE_NUMBER_ID
wa-phone username suggest --numbers ids.txt --format jsonl
"""
_CLAIM: Final = """\
wa-phone username claim --sandbox
wa-phone username claim $PHONE_NUMBER_ID acme.shoes
wa-phone username claim $PHONE_NUMBER_ID acme --transfer
"""
_RELEASE: Final = """\
wa-phone username release --sandbox --yes
wa-phone username release $PHONE_NUMBER_ID
wa-phone username release $PHONE_NUMBER_ID --yes
"""

_STATUSES: Final[Mapping[str | None, str]] = {
    UsernameStatus.APPROVED: "approved: people see it",
    UsernameStatus.RESERVED: "reserved: people see it once usernames are there in their region",
}
_FOR_GOOD: Final = "Anybody may claim it then, and it may be lost for good."

Yes = Annotated[bool, Parameter(negative=(), show_default=False)]

command: Final[App] = new_command("username", USAGE, EXAMPLES)
_get = new_subcommand(command, "get", "wa-phone username get [PHONE_NUMBER_ID...] [OPTIONS]", _GET)
_suggest = new_subcommand(command, "suggest", "wa-phone username suggest [PHONE_NUMBER_ID...] [OPTIONS]", _SUGGEST)
_claim = new_subcommand(command, "claim", "wa-phone username claim PHONE_NUMBER_ID USERNAME [OPTIONS]", _CLAIM)
_release = new_subcommand(command, "release", "wa-phone username release PHONE_NUMBER_ID... [OPTIONS]", _RELEASE)


@command.default
async def usernames(*_: Annotated[str, Parameter(show=False)]) -> None:
    """Read, claim and release the usernames of phone numbers.

    People find a business by its username, such as acme.shoes. A username belongs to one number, and a number has one
    at most. Each command has a page of its own: wa-phone username claim --help.
    """
    raise InvalidArgumentError("wa-phone username", "followed by get, suggest, claim or release")


@_get.default
async def get_usernames(
    *ids: NumberIds,
    numbers: NumbersFile = None,
    waba: OfWaba = None,
    form: Form = "table",
    connection: Connection = HERE,
) -> int:
    """Show the usernames of numbers, and whether people see them.

    The status approved means that people see it. reserved means that Meta keeps it for the number, until usernames are
    there in people's region. A number without a username has neither.

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
    async with connect(connection) as link:
        rows = NumberRows(form, ("id", "username", "username_status"))

        async def get(number: str) -> BusinessUsername:
            return await link.client.get_username(number, waba_id=waba)

        async for number, found in loop.each(get):
            rows.add(_row(number, found))
        rows.end(loop, link.calls)
    return FAILED if loop.failed else 0


@_suggest.default
async def suggest_usernames(
    *ids: NumberIds,
    numbers: NumbersFile = None,
    waba: OfWaba = None,
    form: Form = "table",
    connection: Connection = HERE,
) -> int:
    """Show the usernames that Meta keeps for numbers. Each of them may be claimed.

    Each row is one suggestion. A number without any has no row. A number costs one call.

    Args:
        ids: Ids of the numbers. Default with --sandbox: those of the sandbox's small account.
        numbers: File with an id in each line, or - for standard input. A CSV of wa-phone list or export is one, too.
        waba: Account of the numbers: its token is used, and its quota counts.
        form: The output format.
        connection: Where to run.
    """
    loop = NumberLoop(ids, numbers, connection)
    async with connect(connection) as link:
        rows = NumberRows(form, ("id", "username"))

        async def suggest(number: str) -> list[str]:
            return await link.client.suggest_usernames(number, waba_id=waba)

        async for number, usernames in loop.each(suggest):
            rows.add(*(PhoneNumber(number, username=username) for username in usernames))
        rows.end(loop, link.calls)
    return FAILED if loop.failed else 0


@_claim.default
async def claim_username(
    phone_number_id: Annotated[str | None, Parameter(name="PHONE_NUMBER_ID", show_default=False)] = None,
    username: Annotated[str | None, Parameter(name="USERNAME", show_default=False)] = None,
    /,
    *,
    transfer: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    yes: Yes = False,
    waba: OfWaba = None,
    connection: Connection = HERE,
) -> int:
    """Claim a username for a number.

    It reads the number's username first. If that is the one, nothing is sent. If the number has another one, the claim
    replaces it, and it may be lost for good: the command asks before, or wants --yes.

    The claim is sent once, and never retried. If its response is lost, the command says so: wa-phone username get shows
    what the number has. It costs two calls.

    If another number of your business portfolio has the username (code 147005), --transfer moves it. Code 147001 means
    that it is not available: wa-phone username suggest lists others.

    Args:
        phone_number_id: Id of the number. Default with --sandbox: one of the sandbox.
        username: The username without @: 3 to 35 letters a-z, digits, dots and underscores, with a letter.
        transfer: Take it from another number of your business portfolio, which then has none.
        yes: Replace another username of the number without asking.
        waba: Account of the number: its token is used, and its quota counts.
        connection: Where to run.
    """
    if connection.sandbox:
        phone_number_id, username = phone_number_id or sandbox_ids()[0], username or "acme.shoes"
        yes = True  # nothing is lost there
    if phone_number_id is None or username is None:
        raise InvalidArgumentError("PHONE_NUMBER_ID and USERNAME", "given, or --sandbox to try it")
    number = read_node_id("phone_number_id", phone_number_id)
    action: TransferAction = "force_transfer" if transfer else "none"
    writes.claim_username(number, username, transfer_action=action)  # checks the username before anything is sent
    async with connect(connection) as link:
        before = await link.client.get_username(number, waba_id=waba)
        if before.username and before.username.lower() == username.lower():
            tell(f"{number} has the username {before.username} already, {_status(before)}; {_calls(link)}")
            write(f"{before.username}\n")
            return 0
        if before.username:
            question = f"{number} has the username {before.username}, and the claim replaces it. {_FOR_GOOD} Claim?"
            if not await _may_lose(question, yes=yes):
                return FAILED
        claimed = await link.client.claim_username(number, username, transfer_action=action, waba_id=waba)
        tell(f"{number} has the username {claimed.username}, {_status(claimed)}; {_calls(link)}")
    write(f"{claimed.username}\n")
    return 0


@_release.default
async def release_usernames(
    *ids: NumberIds,
    yes: Yes = False,
    waba: OfWaba = None,
    connection: Connection = HERE,
) -> int:
    """Release the usernames of numbers.

    Anybody may claim a released username, so it may be lost for good. The command reads each username, and asks before
    it releases it. Without a terminal, it wants --yes.

    A release is sent once, and never retried. If its response is lost, the command says so: wa-phone username get shows
    what is left. Then it reads the username again, since Meta is said to keep one that is only reserved. A number costs
    three calls, and one if it has no username.

    Args:
        ids: Ids of the numbers. Default with --sandbox: those of the sandbox's small account.
        yes: Release without asking.
        waba: Account of the numbers: its token is used, and its quota counts.
        connection: Where to run.
    """
    if not yes and not _is_terminal():
        raise _needs_yes()
    loop = NumberLoop(ids, None, connection)
    async with connect(connection) as link:

        async def release(number: str) -> None:
            before = await link.client.get_username(number, waba_id=waba)
            if not before.username:
                tell(f"{number} has no username")
                return
            if not await _may_lose(f"Release the username {before.username} of {number}? {_FOR_GOOD}", yes=yes):
                return
            await link.client.release_username(number, waba_id=waba)
            after = await link.client.get_username(number, waba_id=waba)
            if after.username:
                tell(f"{number} still has the username {after.username}, {_status(after)}")
            else:
                tell(f"{number} has released the username {before.username}")
                write(f"{before.username}\n")

        async for _ in loop.each(release, at_once=1):
            pass
        tell(_calls(link))
    return FAILED if loop.failed else 0


async def _may_lose(question: str, *, yes: bool) -> bool:
    """Whether a username may be given up: with `--yes`, or if the person at the terminal says so."""
    if yes:
        return True
    if not _is_terminal():
        raise _needs_yes()
    if await confirm(question):
        return True
    tell("Nothing was sent.")
    return False


def _needs_yes() -> InvalidArgumentError:
    return InvalidArgumentError("--yes", "given", hint="a username may be lost for good, and nobody is there to ask")


def _is_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _row(number: str, found: BusinessUsername) -> PhoneNumber:
    status = {} if found.status is None else {"username_status": str(found.status)}
    return PhoneNumber(number, username=found.username, extra=Extra({**found.extra, **status}))


def _status(found: BusinessUsername) -> str:
    return _STATUSES.get(found.status, f"with the status {found.status}")


def _calls(link: Link) -> str:
    return counted(link.calls, "call")
