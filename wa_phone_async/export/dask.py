"""Bulk listing on many machines, with one client in each worker: the extra `dask`.

    def client_factory():  # runs on each worker, and reads the token there
        throttle = RedisThrottle(os.environ["WA_REDIS_URL"], app_id=os.environ["WA_APP_ID"])
        return PhoneNumberClient.from_env(throttle=throttle, retry=RetryPolicy.batch())

    summary = export(distributed.Client("tcp://scheduler:8786"), waba_ids, client_factory, "/shared/numbers")

A task lists a chunk of accounts and writes one Parquet part. The name of the part is made of the chunk's ids, and it
appears only when it is whole. When a worker is killed, Dask gives its chunk to another worker, which writes a part of
the same name. So every account is in the result once, and so is each number of an account: see `Job`.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import os
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, Unpack

import attrs

from wa_phone_async import (
    DecodeError,
    ExportError,
    GraphAPIError,
    InvalidArgumentError,
    PaginationError,
    PhoneNumberClient,
    RateLimiter,
    RetryPolicy,
    TransportError,
    WabaListing,
)
from wa_phone_async._optional import requires
from wa_phone_async.cache.cache import ListOptions
from wa_phone_async.checks import check_at_least_one
from wa_phone_async.workflows.id_set import IdSet

from .chunks import Chunk, split_in_chunks
from .part import Part, write_part
from .paths import AnyPath, read_path
from .row_file import RowFile
from .rows import ERROR_COLUMNS, batches, columns_of, each_number_once, error_batches
from .writer import Summary

with requires("dask"):
    import distributed

_dask: Any = distributed  # most of it has no types

ClientFactory = Callable[[], PhoneNumberClient]
"""Makes the client of a worker. It runs on the worker and reads the token there, so no task holds a token."""

_CHUNKS_PER_THREAD: Final = 4  # chunks that are submitted for each thread of a worker: no thread waits for the next one
_ATTEMPTS: Final = 3  # to reach all workers: some may be killed at that moment


class ListManyOptions(ListOptions, total=False):
    """How a worker lists: the options of `PhoneNumberClient.list_many`."""

    concurrency: int
    """Requests in flight of one task."""
    max_items: int | None
    """At most so many numbers of an account; `None` means all."""
    total_timeout: float | None
    """Seconds for all attempts and waits of each page; `None` means that of the retry policy."""


@attrs.frozen(kw_only=True)
class ListedChunk:
    """The result of a task: some accounts, listed."""

    part: Part | None
    """The file with their numbers, or `None` if they have none."""
    waba_ids: tuple[str, ...]
    """The accounts that were listed."""
    phone_numbers: int
    """The count of their numbers."""
    failed: tuple[WabaListing, ...]
    """The accounts that could not be listed."""
    calls: int
    """The count of requests that were sent."""


def export(
    dask_client: distributed.Client,
    waba_ids: Iterable[str],
    client_factory: ClientFactory,
    out_dir: AnyPath,
    chunk: int = 200,
    **list_options: Unpack[ListManyOptions],
) -> Any:
    """List many accounts on a Dask cluster, into one Parquet file for each chunk of accounts.

    Args:
        dask_client: The client of the cluster.
        waba_ids: The accounts. Ids are read only as tasks are submitted. An id that you give twice is listed once.
        client_factory: Makes the client of a worker. It runs on the worker, so pickle or cloudpickle must be able to
            send it there. It must not hold a token.
        out_dir: A directory that all workers and this process share.
        chunk: Accounts in a task.
        **list_options: As for `PhoneNumberClient.list_many`. With `fields`, the columns are `waba_id`, `id`, these
            fields, and `extra`. Default: every field of `PhoneNumber` is a column.

    Returns:
        The `Summary` of all accounts; with an asynchronous `dask_client`, an awaitable of it. The accounts that failed
        are in `errors.jsonl`, beside the parts.

    Raises:
        InvalidArgumentError: An argument is invalid. Nothing was listed.
        ExportError: The directory cannot be made, or the disk is full or fails.
        AuthenticationError: The API rejected the workers' token.
    """
    check_at_least_one("chunk", chunk)
    if not callable(client_factory):
        raise InvalidArgumentError("client_factory", "a function that makes a client on the worker")
    plan = ClusterPlan(client_factory=client_factory, out_dir=read_path(out_dir, "out_dir"), list_options=list_options)
    cluster: Any = dask_client
    return cluster.sync(_export, cluster, split_in_chunks(_each_once(waba_ids), chunk), plan)


def client_from_env() -> PhoneNumberClient:
    """Make the client of a worker from its environment: `WA_ACCESS_TOKEN` and the rest of `PhoneNumberClient.from_env`.

    With `WA_REDIS_URL` and `WA_APP_ID`, all workers share their quotas by way of `RedisThrottle`. `HTTPS_PROXY` names
    the proxy, as on the command line.
    """
    return PhoneNumberClient.from_env(trust_env=True, retry=RetryPolicy.batch(), throttle=_throttle_from_env())


@functools.cache
def _throttle_from_env() -> RateLimiter | None:
    """One throttle for all clients of the worker, as long as the worker lives."""
    if not os.environ.get("WA_REDIS_URL"):
        return None
    from wa_phone_async.ratelimit.redis import RedisThrottle  # noqa: PLC0415 - another extra

    return RedisThrottle(os.environ["WA_REDIS_URL"], app_id=os.environ.get("WA_APP_ID", ""))


@attrs.frozen(kw_only=True)
class ClusterPlan:
    """What each worker does with a chunk of accounts."""

    client_factory: ClientFactory
    """Makes the client of the worker."""
    out_dir: Path
    """The directory of the parts."""
    list_options: Mapping[str, Any]
    """The options of `list_many`. Its `fields` are the columns of the parts too."""
    suffix: str = ".parquet"
    """The suffix of the parts, and so their format."""
    has_journal: bool = False
    """Whether a journal names the parts. Then each attempt to list a chunk writes a part of another name: a worker that
    comes late must not replace a part whose checksum is in the journal. Without a journal, it has to replace it."""


async def _export(cluster: Any, chunks: AsyncIterator[Chunk], plan: ClusterPlan) -> Summary:
    await asyncio.to_thread(_make_directory, plan.out_dir)
    summary = Summary()
    with RowFile(plan.out_dir / "errors.jsonl", columns=ERROR_COLUMNS) as errors:
        async with aclosing(list_chunks(cluster, chunks, plan)) as listed:
            async for chunk in listed:
                errors.write(error_batches(chunk.failed))
                summary = Summary(
                    accounts=summary.accounts + len(chunk.waba_ids),
                    phone_numbers=summary.phone_numbers + chunk.phone_numbers,
                    failed=summary.failed + len(chunk.failed),
                )
        errors.close()
    return summary


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sentence = f"cannot make the directory {directory}: {error.strerror}"
        raise ExportError(sentence, errno=error.errno, filename=str(directory)) from error


async def list_chunks(cluster: Any, chunks: AsyncIterator[Chunk], plan: ClusterPlan) -> AsyncGenerator[ListedChunk]:
    """Submit chunks of accounts, a few for each thread of the cluster. Yield each when it is listed."""
    async with _clients_on_workers(cluster, plan.client_factory) as plugin:
        threads = sum((await cluster.nthreads()).values())
        # A window of tasks, and not all at once: the ids of a pipe are read as they are needed, and the scheduler
        # holds a bounded number of tasks, however many accounts there are.
        under_way = _dask.as_completed(loop=cluster.loop)

        async def submit_next() -> bool:
            chunk = await anext(chunks, None)
            if chunk is not None:
                path = plan.out_dir / f"{_digest(chunk.waba_ids):020}{plan.suffix}"
                task = (chunk, plugin, path, plan.list_options, plan.has_journal)
                under_way.add(cluster.submit(_list_chunk, *task, key=f"{plugin}-{path.stem}"))
            return chunk is not None

        try:
            for _ in range(max(1, threads) * _CHUNKS_PER_THREAD):
                if not await submit_next():
                    break
            async for future in under_way:
                listed: ListedChunk = await future
                await submit_next()
                yield listed
        finally:  # after an error or a stop nobody waits for the tasks that are left
            await cluster.cancel(list(under_way.futures))


@asynccontextmanager
async def _clients_on_workers(cluster: Any, client_factory: ClientFactory) -> AsyncGenerator[str]:
    """Keep a client in each worker while the block runs, also in workers that join later. Yield the plugin's name."""
    name = f"wa_phone_async-{secrets.token_hex(4)}"
    for _ in range(_ATTEMPTS):
        # A worker that dies at this moment is an OSError. Registering again replaces the plugins of the same name.
        with suppress(OSError):
            await cluster.register_plugin(_ClientOnWorker(client_factory), name)
            break
    else:
        raise ConnectionError("the workers of the cluster cannot be reached: are they being killed?")
    try:
        yield name
    finally:
        with suppress(OSError):  # a dead worker has no client to close
            await cluster.unregister_worker_plugin(name)


class _ClientOnWorker(distributed.WorkerPlugin):
    """Holds the client of a worker.

    A client belongs to the event loop of its worker and cannot be pickled, so the worker makes it and keeps it.
    """

    def __init__(self, client_factory: ClientFactory) -> None:
        self._factory = client_factory
        self.client: PhoneNumberClient

    def setup(self, worker: distributed.Worker) -> None:
        """Make the client when the worker begins."""
        del worker
        self.client = self._factory()

    async def teardown(self, worker: distributed.Worker) -> None:
        """Close the client when the worker or the export ends. Its throttle reports the last calls to Redis."""
        del worker
        await self.client.aclose()
        if self._factory is client_from_env and (throttle := _throttle_from_env()):
            await throttle.aclose()


async def _list_chunk(
    chunk: Chunk,
    plugin: str,
    path: Path,
    list_options: Mapping[str, Any],
    has_journal: bool,  # noqa: FBT001 - Dask hands over what was submitted
) -> ListedChunk:
    """List some accounts and write their part. This is the task: it runs on a worker, in its event loop."""
    client: PhoneNumberClient = _dask.get_worker().plugins[plugin].client
    # The part is written when all listings are there: wherever the worker is killed, it leaves no part or a whole one.
    listings, calls = await _list_stretch(client, chunk, list_options)
    missing = set(chunk.waba_ids).difference(listing.waba_id for listing in listings)
    listings += await client.list_many([waba_id for waba_id in chunk.waba_ids if waba_id in missing], **list_options)
    good = [each_number_once(listing) for listing in listings if listing.error is None]
    part = None
    if any(listing.phone_numbers for listing in good):
        columns = columns_of(list_options.get("fields"))
        if has_journal:
            path = path.with_stem(f"{secrets.randbelow(10**20):020}")
        part = await asyncio.to_thread(write_part, path, batches(good, columns), columns)
    return ListedChunk(
        part=part,
        waba_ids=tuple(listing.waba_id for listing in good),
        phone_numbers=part.rows if part else 0,
        failed=tuple(listing for listing in listings if listing.error is not None),
        calls=calls + sum(listing.calls for listing in listings),
    )


async def _list_stretch(
    client: PhoneNumberClient, chunk: Chunk, list_options: Mapping[str, Any]
) -> tuple[list[WabaListing], int]:
    """List the stretch of a chunk, if it has one, and count the calls for many accounts.

    The accounts may have moved since the ids were read. Those that do not come are listed by themselves.
    """
    fleet = chunk.fleet
    if fleet is None:
        return [], 0
    left = set(chunk.waba_ids)

    def is_left(waba_id: str) -> bool:
        wanted = waba_id in left
        left.discard(waba_id)  # if the list shifts, it may come again
        return wanted

    stretch = client.list_fleet(
        fleet.business_id,
        kind=fleet.kind,
        after=fleet.after,
        max_accounts=fleet.accounts,
        wanted=is_left,
        **list_options,
    )
    listings = list[WabaListing]()
    with suppress(GraphAPIError, DecodeError, PaginationError, TransportError):
        async with stretch:
            async for listing in stretch:
                listings.append(listing)  # one by one: those before an error stay
    return listings, stretch.shared_calls


def _digest(ids: tuple[str, ...]) -> int:
    """A number that stands for a chunk, the same in every attempt to list it."""
    return int.from_bytes(hashlib.sha256("\n".join(ids).encode()).digest()[:8])


async def _each_once(waba_ids: Iterable[str]) -> AsyncGenerator[str]:
    seen = IdSet()
    for waba_id in waba_ids:
        if waba_id not in seen:
            seen.add(waba_id)
            yield waba_id
