"""`export`: the numbers of many accounts to a file, in one call."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final, Literal

from wa_phone_async import DEFAULT_FIELDS, ExportError, Filter, InvalidArgumentError, PhoneNumberClient
from wa_phone_async.checks import MAX_PAGE_SIZE, check_kind
from wa_phone_async.concurrency import DEFAULT_CONCURRENCY
from wa_phone_async.query import AccountKind, Fields, ListQuery
from wa_phone_async.workflows.bulk import Accounts

from .formats import FileFormat
from .job import Job
from .paths import AnyPath
from .writer import Summary

_TO_CONTINUE: Final = "to continue, export to the same file with resume=True"


async def export(
    client: PhoneNumberClient,
    path: AnyPath,
    waba_ids: Accounts | None = None,
    *,
    business_id: str | int | None = None,
    kind: AccountKind | Literal["all"] = "owned",
    fields: Fields = None,
    filtering: Filter | Iterable[Filter] | None = None,
    errors: AnyPath | None = None,
    format: FileFormat | None = None,  # noqa: A002 - what everybody calls it
    resume: bool = False,
    concurrency: int = DEFAULT_CONCURRENCY,
    limit: int = MAX_PAGE_SIZE,
    total_timeout: float | None = None,
) -> Summary:
    """Export the numbers of many accounts to a file, by a `Job`. You can kill it at any moment and resume it.

        async with PhoneNumberClient.from_env(retry=RetryPolicy.batch()) as client:
            summary = await export(client, "numbers.parquet", business_id="1234", resume=True)

    The file appears when it is complete. Until then, the directory `numbers.parquet.parts` beside it keeps what is
    done. With `RetryPolicy.batch()`, the client waits for the next hour when a quota is used.

    It costs the calls of `list_many`, or with `business_id` those of `list_fleet`.

    Args:
        client: The client. It stays open.
        path: The file, in the format of its suffix: `.jsonl`, `.csv` or `.parquet` (extra `parquet`).
        waba_ids: The accounts or their ids, an iterable or an async iterable of any length, read as needed.
        business_id: The business whose accounts are exported, instead of `waba_ids`.
        kind: With `business_id`: accounts that it `"owned"`, those that a `"client"` shares with it, or `"all"`.
        fields: The fields to request. The columns are `waba_id`, `id`, `also_in`, these fields, and `extra`. `None`:
            `DEFAULT_FIELDS`. With `META_DEFAULT`, every field of `PhoneNumber` is a column.
        filtering: The conditions that a number must meet; `None` for all numbers.
        errors: A file for the accounts that failed this time, in JSON Lines: see `errors_row`.
        format: The format; default: that of the suffix.
        resume: Whether to go on with an unfinished export, if there is one. It must have the same arguments;
            `concurrency`, `limit`, `errors` and `total_timeout` may differ. An export whose accounts failed is
            unfinished until it is half a day old. Then it begins again.
        concurrency: The number of requests that may be in flight at once.
        limit: Numbers of a page, 1 to 100.
        total_timeout: Seconds for all attempts and waits of each call; `None` takes that of the retry policy.

    Returns:
        What is in the file, and which accounts failed. If some failed, the parts stay. Call it again with
        `resume=True` to list only those.

    Raises:
        InvalidArgumentError: An argument is invalid; nothing was sent. Or there is an unfinished export and `resume` is
            `False`; or it has other arguments; or another process writes to it.
        ExportError: The disk is full or fails.
        WaPhoneError: The accounts of the business cannot be listed, or the API rejected the token that all share. What
            is complete is kept.
    """
    check_kind("client", client, PhoneNumberClient, "a PhoneNumberClient")
    if (waba_ids is None) == (business_id is None):
        raise InvalidArgumentError("waba_ids or business_id", "given, and not both")
    fields = DEFAULT_FIELDS if fields is None else fields
    how: Any = {
        "concurrency": concurrency,
        "fields": fields,
        "filtering": filtering,
        "limit": limit,
        "total_timeout": total_timeout,
    }
    # To check every argument before anything is written.
    client.list_many(() if waba_ids is None else waba_ids, **how)
    if business_id is not None:
        client.list_fleet(business_id, kind=kind, **how)
    options = {
        "base_url": client.session.base_url,
        "api_version": client.session.api_version,
        "accounts": "those that were given" if business_id is None else f"{kind} by {business_id}",
        "query": dict(ListQuery.of_numbers(fields=fields, filtering=filtering).params),
    }
    with Job(path, fields=fields, errors=errors, format=format, options=options, resume=resume) as job:
        remaining = job.remaining(waba_ids or ())
        if business_id is None:
            listings = client.list_many(remaining, **how)
        else:
            listings = client.list_fleet(business_id, kind=kind, wanted=job.needs, **how)
        async with saving(job, _TO_CONTINUE), aclosing(remaining), listings:
            async for listing in listings:
                await job.add(listing)
        return await job.finish()


@asynccontextmanager
async def saving(job: Job, to_continue: str) -> AsyncGenerator[None]:
    """Save what is complete when something goes wrong in the block, and note at the error how to continue."""
    try:
        yield
    except Exception as error:
        is_damaged = isinstance(error, ExportError) and error.errno is None  # then resuming fails too
        if not isinstance(error, ExportError):
            await job.pause()
        if job.so_far.accounts and not is_damaged:
            error.add_note(f"what is complete is kept: {to_continue}")
        raise
