"""`wa-phone export`: the numbers of many accounts, in a file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import attrs
from cyclopts import Parameter

from wa_phone_async import InvalidArgumentError, Listings, RetryPolicy
from wa_phone_async.cli.cluster import list_on_cluster
from wa_phone_async.cli.commands import new_command
from wa_phone_async.cli.connection import HERE, Connection, Link, connect
from wa_phone_async.cli.errors import SOME_FAILED
from wa_phone_async.cli.options import NoCheck, parse_fields, parse_filter
from wa_phone_async.cli.starting import INTERRUPTED
from wa_phone_async.cli.terminal.ids import STDIN, count_ids, read_ids
from wa_phone_async.cli.terminal.output import tell
from wa_phone_async.cli.terminal.progress import Progress, showing
from wa_phone_async.cli.terminal.stopping import Stop, stopping, until_a_moment_after
from wa_phone_async.export import Job
from wa_phone_async.export.chunks import Chunk, split_in_chunks, stretches_of
from wa_phone_async.export.one_call import saving
from wa_phone_async.export.paths import read_path
from wa_phone_async.query import AccountKind

_CHUNK: Final = 200  # accounts in a task of a cluster
_TO_CONTINUE: Final = "to continue, run the same command with --resume"

Kind = Literal["owned", "client", "all"]

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

command: Final = new_command("export", USAGE, EXAMPLES)


@command.default
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
    no_check: NoCheck = False,
    limit: Annotated[int, Parameter(metavar="N")] = 100,
    dask: Annotated[str | None, Parameter(metavar="ADDRESS")] = None,
    connection: Connection = HERE,
) -> int:
    """Export the phone numbers of many accounts to a file.

    FILE appears when it is complete. Until then, FILE.parts beside it keeps the accounts that are done. If the export
    stops, run the same command with --resume. It continues where it stopped, writes each number once, and retries the
    accounts that failed. You may change --concurrency, --limit, --errors and the token for that, and nothing else.

    When an hourly quota is used, the export waits. Ctrl-C finishes the requests in flight and saves what is complete. A
    second Ctrl-C stops at once.

    The exit status is 0 if all accounts were listed, and 3 if some failed.

    Args:
        out: The file to write. Its suffix is the format: .jsonl, .csv or .parquet. Parquet needs the extra "parquet".
        wabas: File with an account id in each line, or a spreadsheet's CSV with the column waba_id. Lines that begin
            with # are comments. A file is checked before anything is sent. A single - reads standard input as it comes.
        business: Business whose accounts are exported, instead of --wabas. Default with --sandbox: that of the sandbox.
        kind: With --business: "owned" accounts, those that a "client" shares with the business, or "all".
        errors: File for the accounts that failed: a JSON object in each line.
        resume: Continue an export that was stopped, if there is one. If accounts failed, only they are listed again.
            When the export is half a day old, all are.
        concurrency: How many requests may be in flight at once.
        fields: Fields to request, separated by commas, or "all". Default: the columns of wa-phone list. The file has
            the columns waba_id, id, the other fields, and extra with the rest.
        filters: Only numbers that match, such as account_mode=LIVE. Give it again for a further condition.
        no_check: Send fields and filters as they are. Without it, one that is almost a known one is an error.
        limit: Numbers per page, 1 to 100. Each page is a call, and Meta limits the calls of an hour.
        dask: Dask scheduler, such as tcp://scheduler:8786. Its workers list the accounts. They need WA_ACCESS_TOKEN and
            the directory of --out. WA_REDIS_URL and WA_APP_ID let them share the quotas.
        connection: Where to run.
    """
    asked = parse_fields(fields, check=not no_check)
    conditions = [parse_filter(text, check=not no_check) for text in filters]
    if wabas is not None and business is not None:
        raise InvalidArgumentError("--wabas", "left out where --business is given")
    if wabas is None and business is None and not connection.sandbox:
        raise InvalidArgumentError("--wabas FILE or --business ID", "given, or --sandbox to try it")
    if dask is not None and connection.tokens is not None:
        hint = "the workers make the calls, and each reads WA_ACCESS_TOKEN"
        raise InvalidArgumentError("--tokens", "left out where --dask is given", hint=hint)
    for option, file in (("--out", out), ("--errors", errors), ("--wabas", wabas)):
        if file is not None:
            read_path(file, option)
    _check_others(wabas, (out, errors))
    others_call = dask is not None and wabas is not None
    async with connect(connection, RetryPolicy.batch(), needs_token=not others_call, shows_waits=True) as link:
        how: Any = {"concurrency": concurrency, "fields": asked, "filtering": conditions or None, "limit": limit}

        link.client.list_many((), **how)  # to check every argument before anything is written
        accounts = _accounts_of(link, business, kind, how) if wabas is None else _accounts_in(wabas, link, how)
        options = {
            "base_url": "that of --sandbox" if connection.sandbox else link.client.session.base_url,
            "api_version": link.client.session.api_version,
            "accounts": accounts.name,
            "fields": asked,
            "filter": filters,
        }
        with Job(out, fields=asked, errors=errors, options=options, resume=resume) as job:
            progress = Progress(accounts.total, job.resumed)
            link.client.subscribe(progress.count)
            async with _telling_of_a_stop(), saving(job, _TO_CONTINUE):
                if dask is None:
                    is_all = await _list(accounts, job, progress)
                else:
                    is_all = await list_on_cluster(dask, accounts.chunks, how, job, progress)
                if is_all:
                    summary = await job.finish()
                else:
                    await job.pause()
                    tell(f"stopped after {progress.line()}; {_TO_CONTINUE}")
                    return INTERRUPTED
    tell(progress.summary(summary))
    return SOME_FAILED if summary.failed else 0


def _check_others(wabas: Path | None, written: Iterable[Path | None]) -> None:
    if wabas is not None and os.path.realpath(wabas) in {os.path.realpath(file) for file in written if file}:
        raise InvalidArgumentError("--wabas", "another file than --out and --errors", wabas)


@attrs.frozen
class Accounts:
    """The accounts to list."""

    name: str
    """Where they come from. A resumed export must have the same name."""
    total: int | None
    """How many there are; `None` if that is unknown."""
    chunks: Callable[[Stop, Job], AsyncGenerator[Chunk]]
    """Yields those that a job still needs, for the tasks of a cluster, until the stop is set."""
    listings: Callable[[Stop, Job], AbstractAsyncContextManager[Listings]]
    """Lists those that a job still needs, until the stop is set."""


def _accounts_in(wabas: Path, link: Link, how: Any) -> Accounts:
    name = "standard input" if wabas == STDIN else os.path.realpath(wabas)

    async def chunks(stop: Stop, job: Job) -> AsyncGenerator[Chunk]:
        async with aclosing(read_ids(wabas, stop)) as ids, aclosing(job.remaining(ids)) as remaining:
            async for chunk in split_in_chunks(remaining, _CHUNK):
                yield chunk

    @asynccontextmanager
    async def listings(stop: Stop, job: Job) -> AsyncGenerator[Listings]:
        async with (
            aclosing(read_ids(wabas, stop)) as ids,
            aclosing(job.remaining(ids)) as remaining,
            link.client.list_many(remaining, **how) as listings,
        ):
            yield listings

    return Accounts(f"in {name}", count_ids(wabas), chunks, listings)


def _accounts_of(link: Link, business: str | None, kind: Kind, how: Any) -> Accounts:
    owner = business or link.business_id

    async def chunks(stop: Stop, job: Job) -> AsyncGenerator[Chunk]:
        kinds: tuple[AccountKind, ...] = ("owned", "client") if kind == "all" else (kind,)
        for each in kinds:
            async with aclosing(stretches_of(link.client, owner, each, job.needs)) as stretches:
                async for chunk in stretches:
                    if stop.is_set:
                        return
                    yield chunk

    @asynccontextmanager
    async def listings(stop: Stop, job: Job) -> AsyncGenerator[Listings]:
        async with link.client.list_fleet(owner, kind=kind, wanted=job.needs, **how) as listings:
            stop.then(listings.stop)
            yield listings

    return Accounts(f"{kind} by {owner}", None, chunks, listings)


async def _list(accounts: Accounts, job: Job, progress: Progress) -> bool:
    """List the remaining accounts. Returns whether it came to the end of them."""
    with stopping() as stop:
        async with showing(progress), accounts.listings(stop, job) as listings, until_a_moment_after(stop):
            async for listing in listings:
                await job.add(listing)
                progress.listed(listing)
    return not stop.is_set


@asynccontextmanager
async def _telling_of_a_stop() -> AsyncGenerator[None]:
    """Say how to continue when the export is stopped at once."""
    try:
        yield
    except asyncio.CancelledError:
        tell(f"stopped at once; {_TO_CONTINUE}")
        raise
