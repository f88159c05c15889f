"""The part of an export that runs on a Dask cluster: its workers list the accounts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

from wa_phone_async import InvalidArgumentError
from wa_phone_async._optional import requires
from wa_phone_async.export import Job
from wa_phone_async.export.chunks import Chunk

from .terminal.progress import Progress, showing
from .terminal.stopping import Stop, stopping, until_a_moment_after


async def list_on_cluster(
    address: str, chunks_until: Callable[[Stop, Job], AsyncGenerator[Chunk]], how: Any, job: Job, progress: Progress
) -> bool:
    """Let the workers of a cluster list the remaining accounts.

    Args:
        address: The address of the scheduler.
        chunks_until: Yields the accounts that the job still needs, in chunks, until the stop is set.
        how: The options of the listings, as for `client.list_many`.
        job: The export. It adopts the parts that the workers write.
        progress: Counts what the workers have done.

    Returns:
        Whether it came to the end of the accounts.

    Raises:
        InvalidArgumentError: The extra is not installed.
        OSError: There is no scheduler.
    """
    with requires("dask", error=InvalidArgumentError):
        from distributed import Client  # noqa: PLC0415 - an optional package

        from wa_phone_async.export import dask  # noqa: PLC0415 - it needs that package
    plan = dask.ClusterPlan(
        client_factory=dask.client_from_env,
        out_dir=job.directory,
        list_options=how,
        suffix=f".{job.format}",
        has_journal=True,
    )
    connecting: Any = Client(address, asynchronous=True)  # type: ignore[no-untyped-call]  # it has no types
    with stopping() as stop:
        async with (
            connecting as cluster,
            showing(progress),
            aclosing(chunks_until(stop, job)) as chunks,
            aclosing(dask.list_chunks(cluster, chunks, plan)) as listed,
            until_a_moment_after(stop),
        ):
            async for chunk in listed:
                await job.adopt(chunk.part, chunk.waba_ids)
                progress.listed_elsewhere(len(chunk.waba_ids), chunk.phone_numbers, chunk.calls)
                for listing in chunk.failed:
                    await job.add(listing)
                    progress.listed(listing)
    return not stop.is_set
