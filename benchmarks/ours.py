"""The subjects that are this package. Which path they take, the environment says."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Sequence

from subject import CONCURRENCY, TOKEN, Lister

from wa_phone_async import PhoneNumberClient, Throttle


@contextlib.asynccontextmanager
async def by_row(url: str) -> AsyncIterator[Lister]:
    """Lists at once, taken row by row."""
    async with PhoneNumberClient(TOKEN, base_url=url, throttle=Throttle(quota=5_000)) as client:

        async def walk(waba_id: str) -> tuple[int, str]:
            seen, last = 0, ""
            async for number in client.list_phone_numbers(waba_id):
                seen, last = seen + 1, number.id
            return seen, last

        async def walk_all(waba_ids: Sequence[str]) -> tuple[int, str]:
            found = await asyncio.gather(*map(walk, waba_ids))
            return sum(seen for seen, _ in found), found[-1][1]

        yield walk_all


@contextlib.asynccontextmanager
async def whole(url: str) -> AsyncIterator[Lister]:
    """Lists at once, each awaited for all of its rows."""
    async with PhoneNumberClient(TOKEN, base_url=url, throttle=Throttle(quota=5_000)) as client:

        async def collect_all(waba_ids: Sequence[str]) -> tuple[int, str]:
            found = await asyncio.gather(*(client.list_phone_numbers(waba_id).collect() for waba_id in waba_ids))
            return sum(map(len, found)), found[-1][-1].id

        yield collect_all


@contextlib.asynccontextmanager
async def many(url: str, threshold: str = "", freeze: str = "") -> AsyncIterator[Lister]:
    """`client.list_many`, with settings of the garbage collector.

    Args:
        url: The server's address.
        threshold: How seldom it looks for cycles; empty: as seldom as Python does.
        freeze: Whether it leaves alone what is there at the start; empty: it does not.
    """
    if threshold:
        gc.set_threshold(int(threshold))
    if freeze:
        gc.freeze()
    async with PhoneNumberClient(TOKEN, base_url=url, throttle=Throttle(quota=5_000)) as client:

        async def list_many(waba_ids: Sequence[str]) -> tuple[int, str]:
            seen, last = 0, ""
            async with client.list_many(waba_ids, concurrency=CONCURRENCY) as listings:
                async for listing in listings:
                    seen, last = seen + len(listing.phone_numbers), listing.phone_numbers[-1].id
            return seen, last

        yield list_many
