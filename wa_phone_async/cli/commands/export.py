"""`wa-phone export`: the numbers of any number of accounts, into a file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import attrs
from cyclopts import Parameter

from wa_phone_async import AsyncPaginator, BusinessAccount, ExportError, InvalidArgumentError, Listings, RetryPolicy
from wa_phone_async.cli.cluster import list_on_cluster
from wa_phone_async.cli.connection import HERE, Connection, Link, connect
from wa_phone_async.cli.errors import INTERRUPTED
from wa_phone_async.cli.options import parse_fields, parse_filter
from wa_phone_async.cli.terminal.ids import STDIN, count_ids, read_ids
from wa_phone_async.cli.terminal.output import tell
from wa_phone_async.cli.terminal.progress import Progress, showing
from wa_phone_async.cli.terminal.stopping import Stop, stopping, until_a_moment_after
from wa_phone_async.export import Job

SOME_FAILED: Final = 3
"""All accounts were tried, and some could not be listed."""

_TO_GO_ON: Final = "the same command with --resume goes on"

Kind = Literal["owned", "client"]

USAGE: Final = "wa-phone export (--wabas FILE | --business ID) --out FILE [OPTIONS]"
EXAMPLES: Final = """\
wa-phone export --sandbox --out numbers.csv
wa-phone export --business $BUSINESS_ID --out all.jsonl
wa-phone export --wabas wabas.txt --out numbers.parquet \\
    --errors failed.jsonl --concurrency 64
wa-phone export --wabas wabas.txt --out numbers.parquet \\
    --errors failed.jsonl --concurrency 64 --resume
wa-phone export --wabas - --out numbers.csv < wabas.txt
"""


async def export_numbers(
    *,
    out: Annotated[Path, Parameter(metavar="FILE")],
    wabas: Annotated[Path | None, Parameter(metavar="FILE", allow_leading_hyphen=True)] = None,
    business: Annotated[str | None, Parameter(metavar="ID")] = None,
    kind: Annotated[Kind, Parameter(metavar="KIND")] = "owned",
    errors: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    resume: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    concurrency: Annotated[int, Parameter(metavar="N")] = 32,
    fields: Annotated[str | None, Parameter(metavar="NAMES")] = None,
    filters: Annotated[
        tuple[str, ...], Parameter(name="--filter", negative=(), show_default=False, metavar="FIELD=VALUE")
    ] = (),
    limit: Annotated[int, Parameter(metavar="N")] = 100,
    dask: Annotated[str | None, Parameter(metavar="ADDRESS")] = None,
    connection: Connection = HERE,
) -> int:
    """Write the phone numbers of any number of accounts to a file.

    The file appears under its name when it is whole. Until then what is complete is kept beside it, in FILE.parts:
    after the export was stopped or killed, the same command with --resume goes on where it was, asks no complete
    account again, and gives every number once. Accounts that failed are asked again by --resume as well. It has to be
    the same export: only --concurrency, --limit, --errors and the token may be others.

    Calls wait for the next hour's budget where need be. Ctrl-C finishes the calls in flight and writes what is
    complete; a second one stops at once. The exit status is 0 when all accounts were listed, 3 when some failed.

    Args:
        out: The file; its suffix says how it is written: .jsonl, .csv or .parquet (which needs the extra parquet).
        wabas: File with the id of an account in each line; lines that begin with # are left out. - is
            standard input, read as it comes.
        business: Business whose accounts are listed, instead of --wabas; with --sandbox and neither, the sandbox's.
        kind: Which accounts of the business: those it owns, or those that its clients share with it.
        errors: File for the accounts that failed, an object a line.
        resume: Go on with an export that was not finished, if there is one.
        concurrency: Calls in flight.
        fields: Fields to ask for, comma-separated, or "all" for every field known. Unless told: what list shows.
        filters: Only numbers of which this is true, such as account_mode=LIVE. May be repeated.
        limit: Numbers a page, 1 to 100. A page is a call, and calls are what Meta's quota counts.
        dask: Dask scheduler, such as tcp://scheduler:8786, whose workers list the accounts. They read WA_ACCESS_TOKEN,
            and WA_REDIS_URL with WA_APP_ID for budgets that all share, and reach the directory of --out.
        connection: Where to run.
    """
    asked, conditions = parse_fields(fields), [parse_filter(text) for text in filters]
    if wabas is not None and business is not None:
        raise InvalidArgumentError("--wabas", "left out where --business is given")
    if wabas is None and business is None and not connection.sandbox:
        raise InvalidArgumentError("--wabas FILE or --business ID", "given, or --sandbox to try it")
    _check_others(wabas, (out, errors))
    others_call = dask is not None and wabas is not None
    async with connect(connection, RetryPolicy.batch(), others_call=others_call, shows_waits=True) as link:
        how: Any = {"concurrency": concurrency, "fields": asked, "filtering": conditions or None, "limit": limit}

        def listings_of(ids: Iterable[str] | AsyncIterable[str]) -> Listings:
            return link.client.list_many(ids, **how)

        listings_of(())  # so that every argument is checked before anything is written
        accounts = _accounts_of(link, business, kind) if wabas is None else _accounts_in(wabas)
        options = {
            "base_url": "that of --sandbox" if connection.sandbox else link.client.session.base_url,
            "api_version": link.client.session.api_version,
            "accounts": accounts.name,
            "fields": asked,
            "filter": filters,
        }
        with Job(out, errors=errors, options=options, resume=resume) as job:
            progress = Progress(accounts.total, job.resumed)
            link.client.subscribe(progress.hear)
            async with _leaving_a_way_back(job):
                if dask is None:
                    is_all = await _list(accounts, listings_of, job, progress)
                else:
                    is_all = await list_on_cluster(dask, accounts.ids, how, job, progress)
                if is_all:
                    summary = await job.finish()
                else:
                    await job.pause()
                    tell(f"stopped after {progress.line()}; {_TO_GO_ON}")
                    return INTERRUPTED
    tell(progress.summary(summary))
    return SOME_FAILED if summary.failed else 0


def _check_others(wabas: Path | None, written: Iterable[Path | None]) -> None:
    if wabas is not None and os.path.realpath(wabas) in {os.path.realpath(file) for file in written if file}:
        raise InvalidArgumentError("--wabas", "another file than --out and --errors", wabas)


@attrs.frozen
class Accounts:
    """Which accounts are to be listed."""

    name: str
    """What tells them from others, when the export is resumed."""
    total: int | None
    """How many they are, where that is known."""
    ids: Callable[[Stop], AsyncGenerator[str]]
    """Gives their ids, until it is asked to stop."""


def _accounts_in(wabas: Path) -> Accounts:
    name = "standard input" if wabas == STDIN else os.path.realpath(wabas)
    return Accounts(f"in {name}", count_ids(wabas), lambda stop: read_ids(wabas, stop))


def _accounts_of(link: Link, business: str | None, kind: Kind) -> Accounts:
    owner = business or link.business_id
    accounts = link.client.list_business_accounts(owner, kind)
    return Accounts(f"{kind} by {owner}", None, lambda stop: _ids_of(accounts, stop))


async def _ids_of(accounts: AsyncPaginator[BusinessAccount], stop: Stop) -> AsyncGenerator[str]:
    async for account in accounts:
        if stop.is_asked:
            return
        yield account.id


async def _list(
    accounts: Accounts, listings_of: Callable[[AsyncIterable[str]], Listings], job: Job, progress: Progress
) -> bool:
    """List what remains to be listed, and say whether that was all of it."""
    with stopping() as stop:
        async with (
            aclosing(accounts.ids(stop)) as ids,
            aclosing(job.remaining(ids)) as remaining,
            showing(progress),
            listings_of(remaining) as listings,
            until_a_moment_after(stop),
        ):
            async for listing in listings:
                await job.add(listing)
                progress.listed(listing)
    return not stop.is_asked


@asynccontextmanager
async def _leaving_a_way_back(job: Job) -> AsyncGenerator[None]:
    """Write what has come together when something goes wrong, and say how to go on."""
    try:
        yield
    except asyncio.CancelledError:
        tell(f"stopped at once; {_TO_GO_ON}")
        raise
    except Exception as error:
        if not isinstance(error, ExportError):
            await job.pause()
        if job.so_far.accounts:
            error.add_note(f"what is complete is kept: {_TO_GO_ON}")
        raise
