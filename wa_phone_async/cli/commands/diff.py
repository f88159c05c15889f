"""`wa-phone diff`: what has changed between two exports, or between an export and now."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from cyclopts import Parameter

from wa_phone_async import (
    ALL_FIELDS,
    DEFAULT_FIELDS,
    InvalidArgumentError,
    Listings,
    RetryPolicy,
    Severity,
    WabaListing,
)
from wa_phone_async.cli.commands import new_command
from wa_phone_async.cli.connection import HERE, Connection, Link, connect
from wa_phone_async.cli.errors import FOUND, SOME_FAILED, sentence
from wa_phone_async.cli.options import NoCheck, parse_fields
from wa_phone_async.cli.terminal.differences import view_of, what_was_compared
from wa_phone_async.cli.terminal.ids import count_ids, read_ids
from wa_phone_async.cli.terminal.output import complain, tell
from wa_phone_async.cli.terminal.stopping import Stop
from wa_phone_async.decoding.converter import OTHER_NAMES
from wa_phone_async.files.exported import read_columns
from wa_phone_async.query import field_names
from wa_phone_async.workflows.differences import diff_listings

Format = Literal["table", "jsonl", "markdown"]
FailOn = Literal["warning", "error"]
Kind = Literal["owned", "client", "all"]

USAGE: Final = "wa-phone diff OLD [NEW | --wabas FILE | --business ID]"
EXAMPLES: Final = """\
wa-phone diff --sandbox
wa-phone diff monday.csv tuesday.parquet
wa-phone diff old.csv new.csv --fail-on error
wa-phone diff old.jsonl --business $BUSINESS_ID
wa-phone diff old.csv --wabas wabas.txt --format markdown
"""

command: Final = new_command("diff", USAGE, EXAMPLES)


@command.default
async def diff_numbers(
    old: Annotated[Path | None, Parameter(name="OLD", show_default=False)] = None,
    new: Annotated[Path | None, Parameter(name="NEW", show_default=False)] = None,
    /,
    *,
    wabas: Annotated[Path | None, Parameter(metavar="FILE", allow_leading_hyphen=True)] = None,
    business: Annotated[str | None, Parameter(metavar="ID")] = None,
    kind: Annotated[Kind, Parameter(metavar="KIND")] = "owned",
    fields: Annotated[str | None, Parameter(metavar="NAMES")] = None,
    no_check: NoCheck = False,
    fail_on: Annotated[FailOn | None, Parameter(metavar="SEVERITY")] = None,
    form: Annotated[Format, Parameter(name="--format", metavar="FORMAT")] = "table",
    connection: Connection = HERE,
) -> int:
    """Show what has changed between two exports, or between an export and now.

    It shows the numbers that came, went or moved to another account, and each field that changed. With a change, it
    shows the findings that the change causes, as wa-phone health words them.

    OLD and NEW are files that wa-phone export has written: .jsonl, .csv or .parquet. Their rows may come in any order.
    Their formats may differ. A column that one of them lacks is not compared. Two files cost no call and need no token.

    Without NEW, the fleet is listed now, with the fields that OLD has. If an account cannot be listed, a message says
    so, its numbers count as unchanged, and the exit status is 3.

    jsonl has an object for each change, as in wa-phone watch, with its findings. markdown is one table. Rows are sorted
    by account in small files, and are in another order in files of many thousands.

    The exit status is 4 if a change causes a finding that --fail-on names.

    Args:
        old: The export to compare with. With --sandbox it may be left out: the sandbox then changes some numbers.
        new: The newer export. Default: the accounts of --wabas or --business are listed now.
        wabas: File with the ids of the accounts to list, as for wa-phone export.
        business: Business whose accounts are listed. Default with --sandbox: that of the sandbox.
        kind: Accounts that the business owns, those that its clients share with it, or all of them.
        fields: Fields to compare, separated by commas, or "all". Default: those that both have.
        no_check: Take fields as they are. Without it, one that is almost a known one is an error.
        fail_on: Exit with status 4 if a change causes something at least as bad: warning or error.
        form: The output format.
        connection: Where to run.
    """
    _check_sources(old, new, wabas, business, connection)
    asked = None if fields is None else parse_fields(fields, check=not no_check)
    if new is None:
        asked = _fields_to_list(old, asked)  # before anything is sent: the file may be damaged
    async with AsyncExitStack() as stack:
        sources: tuple[Any, Any] = (old, new)
        link: Link | None = None
        if new is None:
            link = await stack.enter_async_context(connect(connection, RetryPolicy.batch()))
            if old is None and link.sandbox is not None:
                from wa_phone_async.sandbox.demo import change_overnight  # noqa: PLC0415 - a web server

                async with _listings(link, None, None, kind, asked) as listings:
                    sources = ([listing async for listing in listings], None)
                change_overnight(link.sandbox)
            now = _told(_listings(link, wabas, business, kind, asked))
            sources = (sources[0], await stack.enter_async_context(aclosing(now)))
        levels = set[Severity]()
        differences = await stack.enter_async_context(diff_listings(*sources, fields=asked))
        view = view_of(form)
        async for change in differences:
            levels |= {finding.severity for finding in change.findings}
            view.show(change)
        view.end()
        tell(what_was_compared(differences.summary, None if link is None else link.calls))
    if fail_on and any(level.reaches(Severity(fail_on)) for level in levels):
        return FOUND
    return SOME_FAILED if differences.summary.not_compared else 0


def _check_sources(
    old: Path | None, new: Path | None, wabas: Path | None, business: str | None, connection: Connection
) -> None:
    """Check that two lists are named."""
    options = {"--wabas": wabas, "--business": business, "--sandbox": connection.sandbox or None}
    live = [name for name, value in options.items() if value is not None]
    if new is not None and live:
        raise InvalidArgumentError(live[0], "left out where NEW is given")
    if wabas is not None and business is not None:
        raise InvalidArgumentError("--wabas", "left out where --business is given")
    if old is None and live != ["--sandbox"]:
        raise InvalidArgumentError("OLD", "given, or --sandbox to try it")
    if new is None and not live:
        raise InvalidArgumentError("NEW, --wabas FILE or --business ID", "given")


def _fields_to_list(old: Path | None, asked: str | None) -> str:
    """Return the fields to request: those that the old file has. What it has in `extra` was not requested."""
    if old is None:
        return asked or ",".join(DEFAULT_FIELDS)
    try:
        columns = [OTHER_NAMES.get(name, name) for name in read_columns(old)]
    except InvalidArgumentError as error:
        error.argument = "old"
        raise
    wanted = ALL_FIELDS if asked is None else field_names(asked)
    return ",".join(dict.fromkeys(("id", *(name for name in columns if name in ALL_FIELDS and name in wanted))))


@asynccontextmanager
async def _listings(
    link: Link, wabas: Path | None, business: str | None, kind: Kind, fields: str | None
) -> AsyncGenerator[Listings]:
    """List the accounts of a file or of a business, while the block runs."""
    if wabas is None:
        async with link.client.list_fleet(business or link.business_id, kind=kind, fields=fields) as listings:
            yield listings
    else:
        count_ids(wabas)  # to check every line before anything is sent
        async with (
            aclosing(read_ids(wabas, Stop())) as ids,
            link.client.list_many(ids, fields=fields) as listings,
        ):
            yield listings


async def _told(listings: AbstractAsyncContextManager[Listings]) -> AsyncGenerator[WabaListing]:
    """Yield listings, and say which accounts could not be listed."""
    async with listings as opened:
        async for listing in opened:
            if listing.error is not None:
                complain(f"{listing.waba_id}: {sentence(listing.error)}")
            yield listing
