"""`wa-phone report`: a health report as one page of HTML."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from cyclopts import Parameter

from wa_phone_async import InvalidArgumentError, RetryPolicy, WabaListing, to_html
from wa_phone_async.checks import read_node_id
from wa_phone_async.cli.commands import new_command
from wa_phone_async.cli.connection import HERE, Connection, Link, connect
from wa_phone_async.cli.errors import SOME_FAILED
from wa_phone_async.cli.terminal.findings import what_was_done
from wa_phone_async.cli.terminal.output import counted, tell, use_utf8, write
from wa_phone_async.export.whole_file import WholeFile
from wa_phone_async.files.exported import read_columns
from wa_phone_async.health.rules import ChosenRules
from wa_phone_async.query import ChosenFields

Kind = Literal["owned", "client", "all"]

MAX_FINDINGS: Final = 5_000
"""Findings that the page has. All are counted."""

USAGE: Final = "wa-phone report [FILE | WABA_ID... | --business ID] --out FILE"
EXAMPLES: Final = """\
wa-phone report --sandbox --out report.html
wa-phone report numbers.parquet --out report.html
wa-phone report new.csv --since old.csv --out new.html
wa-phone report $WABA_ID --title "Our shops" > shops.html
wa-phone report --business $BUSINESS_ID > report.html
"""

command: Final = new_command("report", USAGE, EXAMPLES)


@command.default
async def report_health(
    *sources: Annotated[str, Parameter(name="WABA_ID")],
    out: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    business: Annotated[str | None, Parameter(metavar="ID")] = None,
    kind: Annotated[Kind, Parameter(metavar="KIND")] = "owned",
    since: Annotated[Path | None, Parameter(metavar="OLD")] = None,
    title: Annotated[str | None, Parameter(metavar="TEXT", allow_leading_hyphen=True)] = None,
    connection: Connection = HERE,
) -> int:
    """Write a page that shows how numbers are, what is wrong with them, and what to do.

    The page is one file of HTML. It loads nothing, so you can mail it. It has totals, the quality, status and limit of
    each account, names in review, findings with their remedies, and tables that you can sort and search. It prints.
    Behind its address, #number-ID and #account-ID lead to a row.

    FILE is what wa-phone export has written: .jsonl, .csv or .parquet. It costs no call, and needs no token. An account
    costs a call for each 100 numbers, and one more for the checks of the account and its business. With --business, a
    call lists up to 100 accounts, and these checks are left out: the page says so. Accounts of more than 100 numbers
    cost further calls.

    The page has a row for each of 100,000 numbers, 20,000 accounts and 5,000 findings, less if they need more than 15
    MB. If there are more, those that need attention have a row. Totals count all.

    A pipe gets the page without --out. If an account cannot be listed, the page says so, and the exit status is 3.

    Args:
        sources: Ids of the accounts, or one file: .jsonl, .csv or .parquet. Default with --sandbox: accounts with
            every kind of trouble, and what changed overnight.
        out: The page to write. A page that is there is replaced when the new one is complete.
        business: Business whose accounts are listed, many in each call.
        kind: With --business: "owned" accounts, those that a "client" shares with the business, or "all".
        since: An older export. The page then has what has changed since.
        title: The heading of the page. Default: WhatsApp phone numbers.
        connection: Where to run.
    """
    file = Path(sources[0]) if len(sources) == 1 and not sources[0].isdecimal() else None
    if len(sources) > 1 and (others := [source for source in sources if not source.isdecimal()]):
        raise InvalidArgumentError("WABA_ID or FILE", "ids of accounts, or one file alone", others[0])
    accounts = [] if file is not None else [str(read_node_id("waba_id", source)) for source in sources]
    if business is not None and sources:
        raise InvalidArgumentError("WABA_ID or FILE", "left out where --business is given")
    if business is None and not sources and not connection.sandbox:
        raise InvalidArgumentError("FILE, WABA_ID or --business ID", "given, or --sandbox to try it")
    if out is None and sys.stdout.isatty():
        raise InvalidArgumentError("--out", "given, such as --out report.html: a terminal shows no page")
    _check_files(out, file, since)
    async with AsyncExitStack() as stack:
        page = None if out is None else WholeFile(out)
        if page is not None:
            stack.callback(page.drop)
        link = await stack.enter_async_context(connect(connection, RetryPolicy.batch(), needs_token=file is None))
        source: Any = file or list(dict.fromkeys(accounts))
        old: Path | Sequence[WabaListing] | None = since
        name = None
        if business is not None:
            fields = ChosenFields(",".join(ChosenRules().number_fields))
            source, name = link.client.list_fleet(business, kind=kind, fields=fields), f"business {business}"
        elif not sources:
            source, before = await _prepare_sandbox(link)
            old, name = since or before, "the sandbox"
        report = await link.client.check_health(source).report(since=old, max_findings=MAX_FINDINGS, source=name)
        html = to_html(report, title=title)
        if page is None:
            use_utf8()
            write(html)
        else:
            page.write(html.encode())
            page.keep()
    tell(f"{what_was_done(report)}; the page has {counted(len(html.encode()), 'byte')}")
    return SOME_FAILED if "account.not_listed" in report.totals.by_code else 0


def _check_files(out: Path | None, file: Path | None, since: Path | None) -> None:
    """Check that the page replaces no export, and that the older export is one, before anything is sent."""
    if out is not None and os.path.realpath(out) in {os.path.realpath(each) for each in (file, since) if each}:
        raise InvalidArgumentError("--out", "another file than FILE and --since", out)
    if since is not None:
        try:
            read_columns(since)
        except InvalidArgumentError as error:
            error.argument = "since"
            raise


async def _prepare_sandbox(link: Link) -> tuple[list[str], list[WabaListing]]:
    """Let a night pass in the sandbox. Returns the accounts in the morning, and their listings in the evening."""
    from wa_phone_async.sandbox import LARGE_WABA, SMALL_WABA  # noqa: PLC0415 - a web server, which few need
    from wa_phone_async.sandbox.demo import MISSING_WABA, NEW_WABA, add_troubles, change_overnight  # noqa: PLC0415 - as above

    assert link.sandbox is not None  # noqa: S101 - the caller has tested it
    accounts = [SMALL_WABA, LARGE_WABA, *add_troubles(link.sandbox)]
    accounts.remove(MISSING_WABA)
    fields = ChosenFields(",".join(ChosenRules().number_fields))
    before = await link.client.list_many(accounts, fields=fields)
    change_overnight(link.sandbox)
    return [*accounts, NEW_WABA], before
