"""The extra `dask`: the same bulk listing on many machines, with one client in each worker.

    def client_factory():  # runs on each worker, and reads the token there
        throttle = RedisThrottle(os.environ["WA_REDIS_URL"], app_id=os.environ["WA_APP_ID"])
        return PhoneNumberClient.from_env(throttle=throttle, retry=RetryPolicy.batch())

    summary = export(distributed.Client("tcp://scheduler:8786"), waba_ids, client_factory, "/shared/numbers")

A task lists a chunk of accounts and writes one Parquet part, whose name is made of the chunk's ids, and which appears
only when it is whole. So when a worker is killed, Dask gives its chunk to another one, and every account is in the
result once.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import os
import secrets
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, Unpack

import attrs

from wa_phone_async import InvalidArgumentError, PhoneNumberClient, RateLimiter, RetryPolicy, WabaListing
from wa_phone_async._optional import requires
from wa_phone_async.cache.cache import ListOptions
from wa_phone_async.checks import check_at_least_one

from . import Summary, Writer
from .ids import IdSet
from .rows import error_rows_of
from .writer import RowFile

with requires("dask"):
    import distributed

_dask: Any = distributed  # most of it has no types

ClientFactory = Callable[[], PhoneNumberClient]
"""Makes a worker's client, on the worker. It reads the token there, so that none is in a task."""

_CHUNKS_PER_THREAD: Final = 4  # so many are handed out before they are asked for: enough that no worker ever waits
_TRIES: Final = 3  # to reach all workers, some of which may be killed at that moment


class ListManyOptions(ListOptions, total=False):
    """How a worker lists: the options of `PhoneNumberClient.list_many`."""

    concurrency: int
    """Requests at a time of one task."""
    max_items: int | None
    """Numbers wanted of an account; `None` for all."""
    total_timeout: float | None
    """Seconds for all attempts and waits of each page; `None` takes the policy's."""


@attrs.frozen(kw_only=True)
class Chunk:
    """What became of some accounts."""

    part: Path | None
    """The file with their numbers; `None` where they have none."""
    waba_ids: tuple[str, ...]
    """The accounts that were listed."""
    phone_numbers: int
    """How many numbers they have."""
    failed: tuple[WabaListing, ...]
    """The accounts that could not be listed."""
    calls: int
    """How many requests were sent."""


def export(
    dask_client: distributed.Client,
    waba_ids: Iterable[str],
    client_factory: ClientFactory,
    out_dir: str | os.PathLike[str],
    chunk: int = 200,
    **list_options: Unpack[ListManyOptions],
) -> Any:
    """List many accounts on a Dask cluster into Parquet files, one for each chunk of accounts.

    Args:
        dask_client: Who hands out the work.
        waba_ids: The accounts, read as they are handed out. One that is given twice is listed once.
        client_factory: Makes the client of a worker, on the worker; it can be sent there by pickle or cloudpickle, and
            holds no token.
        out_dir: A directory that all workers and this process share.
        chunk: Accounts in a task.
        **list_options: As for `PhoneNumberClient.list_many`.

    Returns:
        The `Summary` of all; with an asynchronous `dask_client`, an awaitable of it. The accounts that failed are in
        `errors.jsonl`, beside the parts.

    Raises:
        InvalidArgumentError: An argument is wrong; nothing was listed.
        AuthenticationError: The workers' token was rejected.
    """
    check_at_least_one("chunk", chunk)
    if not callable(client_factory):
        raise InvalidArgumentError("client_factory", "a function that makes a client on the worker")
    work = Work(client_factory=client_factory, out_dir=Path(out_dir), list_options=list_options)
    cluster: Any = dask_client
    return cluster.sync(_export, cluster, in_chunks(_each_once(waba_ids), chunk), work)


def client_from_env() -> PhoneNumberClient:
    """A worker's client as its environment says: `WA_ACCESS_TOKEN` and what else `PhoneNumberClient.from_env` reads.

    Where `WA_REDIS_URL` and `WA_APP_ID` are set, the budgets are shared by `RedisThrottle`.
    """
    return PhoneNumberClient.from_env(retry=RetryPolicy.batch(), throttle=_throttle_from_env())


@functools.cache
def _throttle_from_env() -> RateLimiter | None:
    """One for all clients of the worker, as long as it lives."""
    if not os.environ.get("WA_REDIS_URL"):
        return None
    from wa_phone_async.ratelimit.redis import RedisThrottle  # noqa: PLC0415 - another extra

    return RedisThrottle(os.environ["WA_REDIS_URL"], app_id=os.environ.get("WA_APP_ID", ""))


@attrs.frozen(kw_only=True)
class Work:
    """What a worker does with a chunk of accounts."""

    client_factory: ClientFactory
    """Makes its client."""
    out_dir: Path
    """Where it writes its parts."""
    list_options: Mapping[str, Any]
    """How it lists."""
    suffix: str = ".parquet"
    """Which format the parts have."""


async def _export(cluster: Any, chunks: AsyncIterator[tuple[str, ...]], work: Work) -> Summary:
    await asyncio.to_thread(work.out_dir.mkdir, parents=True, exist_ok=True)
    summary = Summary()
    with RowFile(work.out_dir / "errors.jsonl", "jsonl", error_rows_of) as errors:
        async with aclosing(list_chunks(cluster, chunks, work)) as listed:
            async for chunk in listed:
                errors.write(chunk.failed)
                summary = Summary(
                    accounts=summary.accounts + len(chunk.waba_ids),
                    phone_numbers=summary.phone_numbers + chunk.phone_numbers,
                    failed=summary.failed + len(chunk.failed),
                )
        errors.close()
    return summary


async def list_chunks(cluster: Any, chunks: AsyncIterator[tuple[str, ...]], work: Work) -> AsyncGenerator[Chunk]:
    """Hand out chunks of accounts, a few for each thread of the cluster, and give each as it is done."""
    async with _clients_on_workers(cluster, work.client_factory) as plugin:
        threads = sum((await cluster.nthreads()).values())

        under_way = _dask.as_completed(loop=cluster.loop)

        async def hand_out_another() -> bool:
            ids = await anext(chunks, None)
            if ids:
                part = work.out_dir / f"{_number(ids):020}{work.suffix}"
                under_way.add(
                    cluster.submit(_list_chunk, ids, plugin, part, work.list_options, key=f"{plugin}-{part.stem}")
                )
            return bool(ids)

        try:
            for _ in range(max(1, threads) * _CHUNKS_PER_THREAD):
                if not await hand_out_another():
                    break
            async for future in under_way:
                done: Chunk = await future
                await hand_out_another()
                yield done
        finally:
            await cluster.cancel(list(under_way.futures))


@asynccontextmanager
async def _clients_on_workers(cluster: Any, client_factory: ClientFactory) -> AsyncGenerator[str]:
    """A client in each worker, in those that join later as well, until the block ends; gives the plugin's name."""
    name = f"wa_phone_async-{secrets.token_hex(4)}"
    for _ in range(_TRIES):
        with suppress(OSError):  # a worker has died meanwhile; a plugin of the same name takes the place of the others
            await cluster.register_plugin(_ClientOnWorker(client_factory), name)
            break
    else:
        raise ConnectionError("the workers of the cluster cannot be reached: are they being killed?")
    try:
        yield name
    finally:
        with suppress(OSError):  # a worker that has died has no client to close
            await cluster.unregister_worker_plugin(name)


class _ClientOnWorker(distributed.WorkerPlugin):
    """Holds the client of a worker, in its event loop."""

    def __init__(self, client_factory: ClientFactory) -> None:
        self._factory = client_factory
        self.client: PhoneNumberClient

    def setup(self, worker: distributed.Worker) -> None:
        """Make the client, where the worker begins."""
        del worker
        self.client = self._factory()

    async def teardown(self, worker: distributed.Worker) -> None:
        """Close it, where the worker or the export ends, and tell Redis what it was not told yet of its calls."""
        del worker
        await self.client.aclose()
        if self._factory is client_from_env and (throttle := _throttle_from_env()):
            await throttle.aclose()


async def _list_chunk(ids: tuple[str, ...], plugin: str, file: Path, list_options: Mapping[str, Any]) -> Chunk:
    """List some accounts and write their part; runs on a worker, in its event loop."""
    client: PhoneNumberClient = _dask.get_worker().plugins[plugin].client
    listings = await client.list_many(ids, **list_options)
    good = [listing for listing in listings if listing.error is None]
    numbers = sum(len(listing.phone_numbers) for listing in good)
    if numbers:
        await asyncio.to_thread(_write, file, good)
    return Chunk(
        part=file if numbers else None,
        waba_ids=tuple(listing.waba_id for listing in good),
        phone_numbers=numbers,
        failed=tuple(listing for listing in listings if listing.error is not None),
        calls=sum(listing.calls for listing in listings),
    )


def _write(part: Path, listings: list[WabaListing]) -> None:
    with Writer(part) as writer:
        writer.write(listings)


def _number(ids: tuple[str, ...]) -> int:
    """What tells a chunk from others."""
    return int.from_bytes(hashlib.sha256("\n".join(ids).encode()).digest()[:8])


async def in_chunks(waba_ids: AsyncIterable[str], size: int) -> AsyncGenerator[tuple[str, ...]]:
    """The ids, so many at a time."""
    chunk: list[str] = []
    async for waba_id in waba_ids:
        chunk.append(waba_id)
        if len(chunk) == size:
            yield tuple(chunk)
            chunk = []
    if chunk:
        yield tuple(chunk)


async def _each_once(waba_ids: Iterable[str]) -> AsyncGenerator[str]:
    seen = IdSet()
    for waba_id in waba_ids:
        if waba_id not in seen:
            seen.add(waba_id)
            yield waba_id
