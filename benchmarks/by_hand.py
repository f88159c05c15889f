"""The subjects that are loops over aiohttp as one writes them by hand: no types, retries or limits; rows stay dicts."""

import asyncio
import contextlib
import importlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import aiohttp
from subject import CONCURRENCY, TOKEN, Lister

Seen = tuple[int, str]
"""How many numbers there are, and the id of the last one."""


@contextlib.asynccontextmanager
async def by_row(url: str, decoder: str) -> AsyncIterator[Lister]:
    """Lists at once, taken row by row, decoded by `json` or `orjson`."""
    loads = importlib.import_module(decoder).loads
    async with opened() as session:

        async def walk(waba_id: str) -> Seen:
            seen, last, params = 0, "", {"limit": "100"}
            while True:
                async with session.get(f"{url}/v23.0/{waba_id}/phone_numbers", params=params) as response:
                    page = loads(await response.read())
                for row in page["data"]:
                    seen, last = seen + 1, row["id"]
                if "next" not in page.get("paging", {}):
                    return seen, last
                params["after"] = page["paging"]["cursors"]["after"]

        yield lister(walk)


@contextlib.asynccontextmanager
async def many(url: str, decoder: str) -> AsyncIterator[Lister]:
    """Any number of accounts, so many at a time; the rows of each are dropped when they are counted."""
    async with opened() as session:
        rows_of = reader(session, url, decoder)

        async def count(waba_id: str) -> Seen:
            return counted(await rows_of(waba_id))

        yield lister(count)


@contextlib.asynccontextmanager
async def many_kept(url: str, decoder: str) -> AsyncIterator[Lister]:
    """The same with the rows of all accounts, as `gather` gives them: what comes to mind first."""
    async with opened() as session:
        rows_of = reader(session, url, decoder)

        async def list_many(waba_ids: Sequence[str]) -> Seen:
            return total([counted(rows) for rows in await asyncio.gather(*map(rows_of, waba_ids))])

        yield list_many


def counted(rows: Sequence[Mapping[str, Any]]) -> Seen:
    return len(rows), rows[-1]["id"]


def total(found: Sequence[Seen]) -> Seen:
    """Of all accounts."""
    return sum(seen for seen, _ in found), found[-1][1]


def lister(count: Callable[[str], Awaitable[Seen]]) -> Lister:
    """All accounts at once, each counted by itself."""

    async def list_all(waba_ids: Sequence[str]) -> Seen:
        return total(await asyncio.gather(*map(count, waba_ids)))

    return list_all


def reader(session: aiohttp.ClientSession, url: str, decoder: str) -> Callable[[str], Awaitable[list[dict[str, Any]]]]:
    """What gives the rows of an account, once there is a seat."""
    loads = importlib.import_module(decoder).loads
    seats = asyncio.Semaphore(CONCURRENCY)

    async def rows_of(waba_id: str) -> list[dict[str, Any]]:
        rows, params = list[dict[str, Any]](), {"limit": "100"}
        async with seats:
            while True:
                async with session.get(f"{url}/v23.0/{waba_id}/phone_numbers", params=params) as response:
                    page = loads(await response.read())
                rows += page["data"]
                if "next" not in page.get("paging", {}):
                    return rows
                params["after"] = page["paging"]["cursors"]["after"]

    return rows_of


def opened() -> aiohttp.ClientSession:
    """A session with the settings that matter."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        headers={"Authorization": f"Bearer {TOKEN}"},
        raise_for_status=True,
    )
