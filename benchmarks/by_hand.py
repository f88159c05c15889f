"""The subjects that are loops over aiohttp as one writes them by hand: no types, retries or limits; rows stay dicts."""

import asyncio
import contextlib
import importlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import aiohttp
from subject import CONCURRENCY, TOKEN, Lister


@contextlib.asynccontextmanager
async def by_row(url: str, decoder: str) -> AsyncIterator[Lister]:
    """Lists at once, taken row by row, decoded by `json` or `orjson`."""
    loads = importlib.import_module(decoder).loads
    async with opened() as session:

        async def walk(waba_id: str) -> tuple[int, str]:
            seen, last, params = 0, "", {"limit": "100"}
            while True:
                async with session.get(f"{url}/v23.0/{waba_id}/phone_numbers", params=params) as response:
                    page = loads(await response.read())
                for row in page["data"]:
                    seen, last = seen + 1, row["id"]
                if "next" not in page.get("paging", {}):
                    return seen, last
                params["after"] = page["paging"]["cursors"]["after"]

        async def walk_all(waba_ids: Sequence[str]) -> tuple[int, str]:
            found = await asyncio.gather(*map(walk, waba_ids))
            return sum(seen for seen, _ in found), found[-1][1]

        yield walk_all


@contextlib.asynccontextmanager
async def many(url: str, decoder: str) -> AsyncIterator[Lister]:
    """Any number of accounts, so many at a time; the rows of each are dropped when they are counted."""
    loads = importlib.import_module(decoder).loads
    async with opened() as session:
        seats = asyncio.Semaphore(CONCURRENCY)

        async def take(waba_id: str) -> tuple[int, str]:
            rows, params = list[dict[str, Any]](), {"limit": "100"}
            async with seats:
                while True:
                    async with session.get(f"{url}/v23.0/{waba_id}/phone_numbers", params=params) as response:
                        page = loads(await response.read())
                    rows += page["data"]
                    if "next" not in page.get("paging", {}):
                        return len(rows), rows[-1]["id"]
                    params["after"] = page["paging"]["cursors"]["after"]

        async def list_many(waba_ids: Sequence[str]) -> tuple[int, str]:
            found = await asyncio.gather(*map(take, waba_ids))
            return sum(seen for seen, _ in found), found[-1][1]

        yield list_many


def opened() -> aiohttp.ClientSession:
    """A session with the settings that matter."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        headers={"Authorization": f"Bearer {TOKEN}"},
        raise_for_status=True,
    )
